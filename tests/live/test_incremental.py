#!/usr/bin/env python3
"""test_incremental.py - backups of what has changed: complete by themselves, right whatever happened to the
files, and full ones where nothing is known of an earlier one."""
import glob
import json
import os
import threading

from harness import cluster, compare, cpam, tap, workspace
from restore_world import World, check_files


def quiet_world(t, **more):
    """A cluster that writes nothing by itself, so that a stopped one can be compared block by block."""
    world = World(t, start=False, **more)
    world.pg.configure(autovacuum="off", checkpoint_timeout="1h", bgwriter_lru_maxpages="0")
    return world.start()


def push(world, *arguments, code=0, words=()):
    """What cpam-base-push --json tells of its first repository; and what it said besides."""
    result = world.t.exits(world.run("cpam-base-push", "--json", *arguments), code, words)
    return json.loads(result.out)["backups"][0], result.err


def state(world):
    return sorted(glob.glob(os.path.join(world.t.folder(), "state", "base-*.state")))


def restored(world, backup):
    """The backup's files, accepted by pg_verifybackup, not started."""
    _, data = world.fetch("--backup", backup["label"])
    world.verify(data)
    return data


def fill(pg, table, rows, more=""):
    pg.sql(f"create table {table} {more} as select g as id, md5(g::text) || repeat('x', 200) as filler "
           f"from generate_series(1, {rows}) g")


@tap.limit(900)
def test_B3_B12_an_incremental_is_the_cluster_block_by_block(t):
    world = quiet_world(t)
    space = workspace.folder(os.path.join(t.folder(), "space"), 0o700)
    world.pg.sql(f"create tablespace space location '{space}'")
    for name in ("updated", "truncated", "dropped", "extended", "rewritten", "kept", "shrunk"):
        fill(world.pg, name, 20000, "tablespace space" if name in ("kept", "updated") else "")
    world.pg.sql("create unlogged table unlogged as select g from generate_series(1, 1000) g")
    world.pg.sql("create index on updated (id)")
    world.pg.sql("checkpoint")
    full, _ = push(world)
    t.equal(full["kind"], "full")

    pg = world.pg
    pg.sql("update updated set filler = 'new' where id % 500 = 0")
    pg.sql("truncate truncated")
    pg.sql("drop table dropped")
    fill(pg, "dropped", 100)
    pg.sql("insert into extended select g, 'more' from generate_series(1, 5000) g")
    pg.sql("delete from rewritten where id % 2 = 0")
    pg.sql("vacuum full rewritten")
    pg.sql("delete from shrunk where id > 10000")
    pg.sql("vacuum shrunk")
    pg.sql("create database another")
    world.insert(1)
    pg.sql("checkpoint")
    second, said = push(world)
    t.holds(said, f'an incremental one, after "{full["label"]}"')
    t.equal(second["kind"], "incremental")
    t.true(second["stored_bytes"] < full["stored_bytes"] / 2,
           f"{second['stored_bytes']} bytes of {full['stored_bytes']}")

    pg.sql("update updated set filler = 'newer' where id = 1")
    pg.sql("drop database another")
    world.insert(2)
    wanted = compare.rows(pg)  # now, since reading sets hint bits
    pg.sql("checkpoint")
    third, _ = push(world, "--mode", "incremental")
    t.true(third["stored_bytes"] < full["stored_bytes"] / 4,
           f"{third['stored_bytes']} bytes of {full['stored_bytes']}")
    pg.stop()
    maps = ["--tablespace-map", f"{space}={space} new"]
    _, data = world.fetch("--latest", *maps)
    world.verify(data)
    compare.same_files(t, pg.data, data)
    server = cluster.restored(t, data, "copy")
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    compare.same_rows(t, wanted, server)
    check_files(t, server)

    # the ones before are what they were, and what they share is told
    for backup in (full, second):
        workspace.run(["rm", "-rf", space + " new"])
        _, data = world.fetch("--backup", backup["label"], *maps)
        world.verify(data)
    told = json.loads(t.exits(world.run("cpam-info", "--json"), 0).out)["repositories"][0]["backups"]
    t.equal([(b["kind"], b["epoch"], full["label"] in b["parents"]) for b in told],
            [("full", full["label"], False), ("incremental", full["label"], True),
             ("incremental", full["label"], True)])
    intent = json.loads(open(f"{t.folder()}/repo/demo/intent/{third['label']}").read())
    t.equal(sorted(intent["parents"]), sorted([full["label"], second["label"]]))
    t.equal(len(state(world)), 1)
    t.equal(os.stat(state(world)[0]).st_mode & 0o777, 0o600)


if __name__ == "__main__":
    tap.main(globals())
