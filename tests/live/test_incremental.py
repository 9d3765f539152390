#!/usr/bin/env python3
"""test_incremental.py - backups of what has changed: complete by themselves, right whatever happened to the
files, and full ones where nothing is known of an earlier one."""
import glob
import json
import os
import threading

from harness import cluster, compare, cpam, rgw, tap, workspace
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


PACK = 8 << 20  # bytes


def noise(world, tables):
    """Tables of 2 MiB that no codec makes smaller, all of them one file each."""
    for number in range(tables):
        world.pg.sql(f"create table noise{number} as select g, (select string_agg(decode(md5(g::text || i || "
                     f"'{number}'), 'hex'), '') from generate_series(1, 120) i) from generate_series(1, 950) g")


def killed_at_90_percent(t, world, put):
    """put(label): {name of a pack: its bytes}.  The second run sends what was not there, and what was in the
    packs under way: one being filled, one just put and not in the journal yet."""
    noise(world, 60)
    world.pg.sql("checkpoint")
    whole = push(world, "--mode", "full")[0]
    total = sum(put(whole["label"]).values())
    process = cpam.start("cpam-base-push", "--mode", "full", "--workers", "1", "--max-rate", "24MiB",
                         config=world.config)
    t.defer(lambda: process.poll() is None and process.kill())
    label = None

    def far_enough():
        nonlocal label
        t.true(process.poll() is None, "it is killed before it ends")
        labels = world.labels() - {whole["label"]}
        label = labels.pop() if labels else None
        return label and sum(put(label).values()) >= 0.9 * total

    cluster.wait_for(far_enough, 300, "90 % to be there", every=0.02)
    process.kill()
    process.communicate()
    before = put(label)
    again, said = push(world, "--mode", "full")
    t.holds(said, "which was interrupted, is gone on with")
    t.equal(again["label"], label)
    sent = {name: size for name, size in put(label).items() if name not in before}
    missing = total - sum(before.values())
    t.note(f"{sum(sent.values())} of {total} bytes were sent by the second run, {missing} were missing")
    t.true(sum(sent.values()) < missing + 2 * PACK, f"{sent} of {missing} bytes")
    t.true(all(name.startswith("02") for name in sent), "packs of the second attempt")
    world.pg.stop()
    data = restored(world, again)
    compare.same_files(t, world.pg.data, data)


@tap.limit(900)
def test_B4_killed_at_90_percent_it_sends_the_rest(t):
    world = quiet_world(t, base={"pack_size": f"{PACK >> 20}MiB"})
    root = f"{t.folder()}/repo/demo"
    world.labels = lambda: set(os.listdir(f"{root}/intent")) if os.path.isdir(f"{root}/intent") else set()

    def put(label):
        return {os.path.basename(path): os.path.getsize(path)
                for path in glob.glob(f"{root}/backup/{label}/pack/0*")}

    killed_at_90_percent(t, world, put)


@tap.limit(900)
def test_B4_killed_at_90_percent_in_s3(t):
    server = rgw.shared()
    bucket = "resume"
    server.client.make_bucket(bucket, True)
    secret = workspace.write(os.path.join(t.folder(), "secret"), server.secret_key, 0o600)
    world = quiet_world(t, base={"pack_size": f"{PACK >> 20}MiB"},
                        repositories=[server.repository(bucket, secret_file=secret)])
    world.labels = lambda: {key.rsplit("/", 1)[1] for key in server.client.keys(bucket, "cpam/demo/intent/")}

    sizes = {}

    def put(label):
        for key in server.client.keys(bucket, f"cpam/demo/backup/{label}/pack/"):
            if key in sizes:
                continue
            try:
                sizes[key] = len(server.client.get(bucket, key))
            except RuntimeError as error:  # listed while it is being put, and there a moment later
                if "answered 404" not in str(error):
                    raise
        return {os.path.basename(key): size for key, size in sizes.items() if f"/{label}/" in key}

    killed_at_90_percent(t, world, put)


@tap.limit(600)
def test_B3_without_a_parent_it_says_why(t):
    world = World(t)
    t.exits(world.run("cpam-base-push", "--mode", "incremental"), 1,
            ["an incremental backup has no parent", "nothing is known here"])
    full, said = push(world)
    t.holds(said, "the backup is a full one: nothing is known here")
    # a state that was damaged, and one that is lost
    with open(state(world)[0], "r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    _, said = push(world, "--mode", "auto")
    t.holds(said, ["the backup is a full one", "a record is damaged"])
    second, _ = push(world)
    t.equal(second["kind"], "incremental")
    # a parent that was taken away
    os.rename(f"{t.folder()}/repo/demo/backup/{second['label']}/summary.json", f"{t.folder()}/aside")
    t.exits(world.run("cpam-base-push", "--mode", "incremental"), 1, ["has no parent: repository \"primary\""])
    os.rename(f"{t.folder()}/aside", f"{t.folder()}/repo/demo/backup/{second['label']}/summary.json")
    t.equal(push(world, "--mode", "incremental")[0]["kind"], "incremental")
    t.equal(push(world, "--mode", "full")[0]["kind"], "full")


@tap.limit(900)
def test_B3_under_load_across_a_restore_and_with_public_keys_only(t):
    """Tables are written, dropped, truncated, extended and rewritten while it runs; after a restore, on a new
    timeline, on a host that can't read its own backups."""
    keys = {}
    for kind in ("x25519", "writer"):
        path = os.path.join(t.folder(), kind)
        out = t.exits(cpam.run("cpam-keys", "generate", kind, path), 0).out
        keys[kind] = next(word for word in out.split() if word.startswith(("cpam1pub", "cpam1wpub")))
    sealed = {"recipients": [{"x25519": keys["x25519"]}], "writer_key": f"{t.folder()}/writer",
              "trusted_writers": [keys["writer"]]}
    world = World(t, encryption=sealed)
    reader = cpam.write_config(t.folder(), cpam.settings(
        t.folder(), world.pg, encryption={**sealed, "identities": [{"x25519": f"{t.folder()}/x25519"}]}), "reader.yaml")
    pg = world.pg
    for name in ("a", "b", "c"):
        fill(pg, name, 20000)
    push(world)
    stopped = threading.Event()

    def load():
        number = 0
        while not stopped.is_set():
            number += 1
            pg.sql(f"update a set filler = 'n{number}' where id % 97 = {number % 97}")
            pg.sql(f"truncate b; insert into b select g, 'b{number}' from generate_series(1, 3000) g")
            pg.sql(f"drop table if exists d{number - 1}; create table d{number} as select * from c limit 2000")
            pg.sql("vacuum full c")
        return number

    thread = threading.Thread(target=load)
    thread.start()
    t.defer(stopped.set)
    for _ in range(3):
        backup, _ = push(world)
        t.equal(backup["kind"], "incremental")
    stopped.set()
    thread.join()
    world.archived()
    wanted = compare.rows(pg)
    pg.stop()
    workspace.run(["mv", pg.data, pg.data + ".old"])
    t.exits(cpam.run("cpam-base-fetch", "--latest", "--recover", pg.data, config=reader), 0)
    world.verify(pg.data)
    pg.start()
    pg.wait_sql("select not pg_is_in_recovery()")
    compare.same_rows(t, wanted, pg)
    # what is known of the files of before is right for those of after, too
    pg.sql("insert into a select g, 'after' from generate_series(1, 100) g")
    backup, _ = push(world)
    t.equal(backup["kind"], "incremental")
    wanted = compare.rows(pg)
    data = os.path.join(t.folder(), "again")
    t.exits(cpam.run("cpam-base-fetch", "--latest", data, config=reader), 0)
    world.verify(data)
    server = cluster.restored(t, data, "again")
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    compare.same_rows(t, wanted, server)
    check_files(t, server)


if __name__ == "__main__":
    tap.main(globals())
