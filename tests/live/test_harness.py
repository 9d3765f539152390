#!/usr/bin/env python3
"""test_harness.py - the tests' own PostgreSQL starts, answers, crashes, and leaves nothing behind."""
import os

from harness import cluster, cpam, tap, workspace


def test_a_cluster_answers_crashes_and_comes_back(t):
    pg = cluster.new(t).start()
    pg.sql("create table t as select 1 as a")
    pg.stop("crash")
    t.equal(pg.pids(), [], "processes left after a crash")
    pg.start()
    t.equal(pg.sql("select a from t"), "1")
    pg.stop()
    t.equal(pg.controldata()["Database cluster state"], "shut down")


def test_a_cluster_that_cannot_start_says_why(t):
    pg = cluster.new(t, no_such_setting="1")
    try:
        pg.start()
    except RuntimeError as error:
        t.holds(str(error), "no_such_setting")
    else:
        raise AssertionError("it started with an unknown setting")


def test_archiving_with_plain_cp_is_seen(t):
    folder = workspace.folder(os.path.join(t.folder(), "wal"))
    pg = cluster.new(t, archive_mode="on", archive_command=f"cp %p {folder}/%f").start()
    segment = pg.switch_wal()
    pg.wait_archived(segment)
    t.true(os.path.exists(os.path.join(folder, segment)), "the archived segment")


def test_the_folder_is_gone_afterwards(t):
    inner = tap.Test("inner")
    folder = inner.folder()
    t.true(os.path.isdir(folder), "the folder")
    t.equal(inner.finish(), [])
    t.true(not os.path.exists(folder), "the folder is removed")


def test_children_get_no_secrets(t):
    os.environ["AWS_SECRET_ACCESS_KEY"] = "x"
    os.environ["PGPASSWORD"] = "x"
    out = workspace.run(["env"]).stdout
    t.lacks(out, ["AWS_", "PGPASSWORD"])


def test_configurations_are_written_as_yaml(t):
    text = cpam.yaml({"a": {"b": [{"c": "d\"e"}, 5]}, "f": True, "g": []})
    t.equal(text, 'a:\n  b:\n    -\n      c: "d\\"e"\n    - 5\nf: true\ng: []\n')


if __name__ == "__main__":
    tap.main(globals())
