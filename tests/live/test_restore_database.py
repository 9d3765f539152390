#!/usr/bin/env python3
"""test_restore_database.py - one database of a backup, the others empty (T7, trap 31), with WAL for all
of them replayed over it."""
import os

from harness import cluster, tap, workspace
from restore_world import World


def fill(pg, name):
    pg.sql("create table d (id int primary key, filler text)", database=name)
    pg.sql("insert into d select g, repeat(md5(g::text), 20) from generate_series(1, 5000) g",
           database=name)


@tap.limit(900)
def test_T7_trap31_one_database_complete_and_the_others_dropped(t):
    world = World(t, start=False)
    world.start()
    space = workspace.folder(os.path.join(t.folder(), "space"), 0o700)
    world.pg.sql(f"create tablespace one location '{space}'")
    for name in ("wanted", "other"):
        world.pg.sql(f"create database {name}")
        fill(world.pg, name)
        world.pg.sql("create table in_space tablespace one as select * from d", database=name)
    world.insert(1)
    world.push()
    # WAL that changes, extends, truncates and drops in the ones that come back empty
    for name in ("wanted", "other"):
        world.pg.sql("update d set filler = 'new' where id % 3 = 0", database=name)
        world.pg.sql("insert into d select g, 'more' from generate_series(5001, 9000) g",
                     database=name)
        world.pg.sql("truncate in_space", database=name)
        world.pg.sql("vacuum d", database=name)
        world.pg.sql("checkpoint")
        world.pg.sql("delete from d where id % 7 = 0", database=name)
    world.pg.sql("create database later template template0")
    world.archived()
    expected = world.pg.sql("select count(*), sum(id), count(filler) from d", database="wanted")
    arguments = ["--latest", "--database", "wanted", "--tablespace-map", f"{space}={space} new"]
    world.fetch("--latest", "--database", "nobody", code=2, words=['no database "nobody"'])
    world.fetch("--database", "wanted", "--latest", "--recover", code=2, words=["--recover"])
    world.fetch("--database", "wanted", "--standby", code=2, words=["--standby"])
    result, data = world.fetch(*arguments)
    t.holds(result.out, ["empty", "other", "archive        never"])
    t.lacks(result.out, ["cpam-repo claim"])
    world.verify(data)
    t.exits(world.run("cpam-repo", "claim", data), 1, ["restored with --database"])
    # zeros take no room
    oid = world.pg.sql("select oid from pg_database where datname = 'other'")
    path = world.pg.sql("select pg_relation_filepath('d')", database="other")
    about = os.stat(os.path.join(data, path))
    t.true(about.st_size > 1 << 20 and about.st_blocks == 0, f"{about.st_size}, {about.st_blocks}")
    t.true(os.path.exists(f"{data}/base/{oid}/PG_VERSION"), "its folder is one of a database")
    server = cluster.restored(t, data)
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(server.sql("select count(*), sum(id), count(filler) from d", database="wanted"), expected)
    t.equal(server.sql("select count(*) from in_space", database="wanted"), "0")
    t.equal(world.rows(server), "1")
    server.sql("create extension amcheck", database="wanted")
    workspace.run([cluster.client("pg_amcheck"), "-h", server.socket, "-p", cluster.PORT, "-U",
                   "postgres", "-d", "wanted", "--heapallindexed"])
    # the other one can't be used, and can be dropped
    try:
        server.sql("select 1", database="other")
        raise AssertionError("an empty database was opened")
    except RuntimeError as refused:
        t.holds(str(refused), ["FATAL"])
    t.equal(server.sql("select 1"), "1")  # and the server did not fall
    server.sql("drop database other")
    t.equal(server.sql("select count(*) from pg_database where datname = 'other'"), "0")
    server.sql("checkpoint")
    # trap 7: it does not archive, and --delta renews it in place
    name = server.switch_wal()
    cluster.wait_for(lambda: os.path.exists(f"{data}/pg_wal/archive_status/{name}.ready"), 60,
                     "a segment to wait")
    server.stop()
    world.fetch(*arguments, "--delta", data=data, code=3)
    world.verify(data)
    server = cluster.restored(t, data)
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(server.sql("select count(*), sum(id), count(filler) from d", database="wanted"), expected)


if __name__ == "__main__":
    tap.main(globals())
