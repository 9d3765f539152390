#!/usr/bin/env python3
"""test_harness.py - the tests' own PostgreSQL starts, answers, crashes, and leaves nothing behind."""
import os
import shutil

from harness import cluster, compare, cpam, tap, workspace


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


def fails(t, words, check, *arguments):
    try:
        check(t, *arguments)
    except AssertionError as error:
        t.holds(str(error), words)
    else:
        raise AssertionError(f"nothing was found, and should have been: {words}")


def test_a_comparison_sees_one_row_and_one_block(t):
    pg = cluster.new(t).start()
    pg.sql("create table t as select g as a, 'x' as t from generate_series(1, 5000) g; create sequence s;"
           "create unlogged table u as select 1 as a; select nextval('s'); create database other;"
           "select lo_from_bytea(0, 'large')")
    pg.sql("create table o as select 1 as a", database="other")
    pg.stop()
    shutil.copytree(pg.data, pg.data + "2", symlinks=True)
    workspace.run(["chown", "-R", workspace.user().pw_name, pg.data + "2"], root=os.geteuid() == 0)
    compare.same_files(t, pg.data, pg.data + "2")
    copy = cluster.restored(t, pg.data + "2")
    pg.start()
    copy.start()
    compare.same_rows(t, pg, copy)
    copy.sql("update t set t = 'y' where a = 4711")
    fails(t, "postgres: t is 5000|", compare.same_rows, pg, copy)
    fails(t, "got {'u': '1'}, wanted {'u': '0'}", compare.empty_unlogged, pg, copy)
    copy.sql("update t set t = 'x' where a = 4711; truncate u")
    compare.same_rows(t, pg, copy)
    t.equal(compare.empty_unlogged(t, pg, copy), 1)
    pg.sql("select nextval('s') from generate_series(1, 50)")
    fails(t, "sequence s is", compare.same_rows, pg, copy)
    copy.sql("insert into o values (1)", database="other")
    fails(t, "other: o is 2|", compare.same_rows, compare.rows(pg), copy)
    copy.sql("create role somebody")
    fails(t, "pg_authid", compare.same_rows, pg, copy)
    path = copy.sql("select pg_relation_filepath('t')")
    pg.stop()
    copy.stop()
    shutil.rmtree(copy.data)
    shutil.copytree(pg.data, copy.data, symlinks=True)
    with open(os.path.join(copy.data, path), "r+b") as file:
        file.seek(3 * 8192 + 17)
        file.write(b"!")
    fails(t, f"{path} differs in 1 blocks of 23: [3]", compare.same_files, pg.data, copy.data)
    os.truncate(os.path.join(copy.data, path), 2 * 8192)
    fails(t, f"{path} differs in 21 blocks", compare.same_files, pg.data, copy.data)
    os.unlink(os.path.join(copy.data, path))
    fails(t, f"{path} is only in the original", compare.same_files, pg.data, copy.data)
    compare.same_files(t, pg.data, copy.data, ignore=path)
    os.chmod(os.path.join(copy.data, "PG_VERSION"), 0o640)
    fails(t, "PG_VERSION is -rw-r----- and should be -rw-------", compare.same_files, pg.data, copy.data, path)


if __name__ == "__main__":
    tap.main(globals())
