#!/usr/bin/env python3
"""test_demo.py - `./cpam demo` shows what it promises, and what it prints is fit to be read."""
import os
import subprocess
import sys

from harness import cpam, tap


def demo(*options):
    script = os.path.join(cpam.SOURCE_ROOT, "tests", "live", "demo.py")
    return subprocess.run([sys.executable, script, *options], capture_output=True, text=True,
                          timeout=600, check=False, env={**os.environ, "PYTHONUNBUFFERED": "1"})


def looked_at(t, done):
    if done.returncode != 0:
        raise AssertionError(f"the demonstration failed\n{done.stdout}{done.stderr}")
    t.holds(done.stdout, ["cpam-repo create", "cpam-base-push", "cpam-base-fetch", "1500 rows, md5",
                          "Proven: the database is back as it was at the chosen moment"])
    folder = done.stdout.split("DIR is ", 1)[1].split(",", 1)[0]
    t.true(not os.path.exists(folder), "the demonstration's folder is gone")


@tap.limit(600)
def test_the_demo_proves_the_rows_on_a_directory(t):
    looked_at(t, demo())


@tap.limit(900)
def test_the_demo_proves_the_rows_on_s3(t):
    looked_at(t, demo("--s3"))


if __name__ == "__main__":
    tap.main(globals())
