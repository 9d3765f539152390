#!/usr/bin/env python3
"""test_memory.py - a base backup's memory does not grow with the database.

A sparse relation stands in for a large database: PostgreSQL does not know it, cpam-base-push reads
every byte of it.  What is looked at is the largest resident set the program ever had, as the kernel
counted it, of runs whose data differ twenty times.
"""
import os
import subprocess

from harness import cluster, cpam, tap, workspace

MIB = 1 << 20
LIMIT = 128 * MIB
SEGMENT = 1024 * MIB


def fill(server, size):
    """Replace the stand-in by one of this size, cut into segments of 1 GiB as PostgreSQL does."""
    database = server.sql("select oid from pg_database where datname = 'postgres'")
    base = os.path.join(server.data, "base", database, "99999")
    for number in range(8):
        path = base + (f".{number}" if number else "")
        if os.path.exists(path):
            os.unlink(path)
        rest = size - number * SEGMENT
        if rest > 0:
            with open(path, "wb") as out:
                out.truncate(min(rest, SEGMENT))
            os.chmod(path, 0o600)
            workspace.give(path)


def peak(config):
    """Bytes of the largest resident set of one cpam-base-push; it must succeed."""
    line = cpam.arguments_of("cpam-base-push", [], config)
    with subprocess.Popen(line, cwd="/", env=workspace.environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **workspace.as_user()) as process:
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(line)} ended with {process.returncode}\n{said}")
    return usage.ru_maxrss * 1024


@tap.limit(900)
def test_B9_memory_does_not_grow_from_200_MiB_to_4_GiB(t):
    server = cluster.new(t)
    config = cpam.settings(t.folder(), server, base={"workers": 2})
    path = cpam.write_config(t.folder(), config)
    t.exits(cpam.run("cpam-repo", "create", config=path), 0)
    server.configure(**cpam.archive_settings(path)).start()
    fill(server, 200 * MIB)
    small = peak(path)
    fill(server, 4096 * MIB)
    large = peak(path)
    t.note(f"largest resident set: {small // 1024} KiB at 200 MiB, {large // 1024} KiB at 4 GiB")
    t.true(large < LIMIT, f"{large // MIB} MiB are below 128 MiB")
    t.true(large - small <= small // 10, f"{large // 1024} KiB are no tenth more than {small // 1024} KiB")


if __name__ == "__main__":
    tap.main(globals())
