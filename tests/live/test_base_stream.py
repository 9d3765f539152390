#!/usr/bin/env python3
"""test_base_stream.py - backups over a replication connection: the same as out of the directory (B1, B5)."""
import glob
import json
import os
import random
import signal
import time

from harness import cluster, cpam, tap, workspace
from standby_world import CONTENT, StandbyWorld, fill, start_load


class StreamWorld(StandbyWorld):
    """The same, with pushes of the primary from "another host": one where its directory is not."""

    def __init__(self, t, major=15, **more):
        self.away = os.path.join(t.folder(), "away")
        super().__init__(t, major, standby=more.pop("standby", False), **more)

    def write(self, base=None, name="stream.yaml", **postgresql):
        wanted = {"data": self.away, "connection": self.pg.connection()}
        return super().write(dict({"from": "primary", "source": "stream"}, **(base or {})), name,
                             **dict(wanted, **postgresql))


def test_B1_B11_a_stream_under_load_with_tablespaces_comes_back(t):
    world = StreamWorld(t)
    pg = world.pg
    pg.pgbench("-i", "-s", "3", "-q")
    fill(pg)
    maps = []
    for name in ("one", "two"):
        place = workspace.folder(os.path.join(world.folder, "space " + name), 0o700)
        pg.sql(f"create tablespace {name} location '{place}'")
        pg.sql(f"create table in_{name} tablespace {name} as select generate_series(1,5000) as a")
        maps += ["--tablespace-map", f"{place}={place}.restored"]
    pg.configure(allow_in_place_tablespaces="on").reload()
    pg.sql("set allow_in_place_tablespaces = on; create tablespace inplace location ''")
    pg.sql("create table in_place tablespace inplace as select generate_series(1,5000) as a")
    pg.sql("create unlogged table gone as select 1 as a")
    pg.sql("create table empty ()")
    for name in ("standby.signal.old", "promote"):
        workspace.write(os.path.join(pg.data, name), "x")
    load = start_load(t, pg)
    result = t.exits(world.push("--json", "--workers", "2"), 0)
    backup = json.loads(result.out)["backups"][0]
    t.equal(backup["kind"], "full")
    load.send_signal(signal.SIGINT)
    load.wait(180)
    rows = pg.sql("select count(*) from pgbench_history")
    pg.wait_archived(pg.switch_wal())
    wanted = pg.sql(CONTENT)
    copy = world.restore("latest", "--latest", *maps)
    t.equal(copy.sql("select count(*) from pgbench_history"), rows)
    t.equal(copy.sql("select (select sum(abalance) from pgbench_accounts) = (select sum(delta) "
                     "from pgbench_history)"), "t")
    t.equal(copy.sql(CONTENT), wanted)
    for name in ("in_one", "in_two", "in_place"):
        t.equal(copy.sql(f"select count(*) from {name}"), "5000", name)
    t.equal(copy.sql("select count(*) from gone"), "0", "an unlogged table comes back empty")
    t.true(os.path.exists(os.path.join(copy.data, "standby.signal.old")), "another file")
    t.true(not os.path.exists(os.path.join(copy.data, "promote")), "trap 10 d: promote")


def begun(world, config=None):
    """A slow push whose stream has begun."""
    server = world.standby or world.pg
    process = cpam.start("cpam-base-push", "--max-rate", "3MiB", config=config or world.config)
    cluster.wait_for(lambda: process.poll() is not None or server.psql(
        "select count(*) from pg_stat_progress_basebackup where phase = 'streaming database files'",
        check=False).stdout.strip() == "1", 120, "the stream to begin")
    return process


def fails(t, world, process, words):
    _, err = process.communicate(timeout=300)
    t.equal(process.returncode, 1, err)
    t.holds(err, words)
    t.equal(world.summaries(), [], "backups")


def test_B5_a_standby_by_stream_and_its_promotion_in_mid_stream(t):
    world = StreamWorld(t, standby=True, base={"from": "standby"})
    fill(world.pg)
    world.caught_up()
    result = t.exits(world.push(), 0)
    t.holds(result.err, "the primary was asked to close segment")
    wanted = world.pg.sql(CONTENT)
    t.equal(world.restore("restored", "--latest").sql(CONTENT), wanted)
    # a primary where a standby is wanted, and the other way round
    config = world.write({"from": "standby"}, "wrong.yaml",
                         standby_connection=world.pg.connection())
    t.exits(world.push(config=config), 1, "is no standby")
    config = world.write(name="wrong.yaml", connection=world.standby.connection())
    t.exits(world.push(config=config), 1, "is a standby")
    listed = world.summaries()
    process = begun(world)
    world.standby.promote()
    _, err = process.communicate(timeout=300)
    t.equal(process.returncode, 1, err)
    t.holds(err, "promoted during online backup")
    t.equal(world.summaries(), listed, "backups")


def test_B3_the_next_stream_sends_only_what_changed(t):
    world = StreamWorld(t)
    pg = world.pg
    pg.pgbench("-i", "-s", "5", "-q")
    fill(pg)
    first = json.loads(t.exits(world.push("--json"), 0).out)["backups"][0]
    pg.sql("update x set b = 'changed' where a % 1000 = 0")
    pg.sql("delete from pgbench_accounts where aid > 490000")
    pg.sql("vacuum pgbench_accounts")  # cuts its file
    pg.sql("create table y as select generate_series(1, 1000) as a")
    pg.sql("drop table pgbench_tellers")
    second = json.loads(t.exits(world.push("--json"), 0).out)["backups"][0]
    t.equal([first["kind"], second["kind"]], ["full", "incremental"])
    t.true(second["stored_bytes"] < first["stored_bytes"] / 2,
           f"{second['stored_bytes']} of {first['stored_bytes']} bytes")
    pg.wait_archived(pg.switch_wal())
    copy = world.restore("restored", "--latest")
    for statement in (CONTENT, "select count(*), sum(aid) from pgbench_accounts",
                      "select count(*) from y"):
        t.equal(copy.sql(statement), pg.sql(statement), statement)
    # out of the directory it is another matter: that begins with a full one
    config = world.write({"source": "files"}, "files.yaml", data=pg.data)
    result = t.exits(world.push("--json", config=config), 0)
    t.equal(json.loads(result.out)["backups"][0]["kind"], "full")
    t.holds(result.err, "another base.source")


def test_B1_the_server_compresses_where_it_is_told_to(t):
    world = StreamWorld(t)
    world.pg.configure(log_replication_commands="on").reload()
    fill(world.pg)
    place = workspace.folder(os.path.join(world.folder, "space"), 0o700)
    world.pg.sql(f"create tablespace space location '{place}'")
    world.pg.sql("create table s tablespace space as select generate_series(1, 5000) as a")
    for codec in ("zstd", "lz4", "gzip"):
        config = world.write({"stream_compression": codec, "mode": "full"}, codec + ".yaml")
        t.exits(world.push(config=config), 0)
        world.pg.wait_log(f"COMPRESSION '{codec}'")
        copy = world.restore(codec, "--latest", "--tablespace-map", f"{place}={place}.{codec}")
        t.equal(copy.sql(CONTENT), world.pg.sql(CONTENT), codec)
        t.equal(copy.sql("select count(*) from s"), "5000", codec)
        copy.stop()


def test_B5_a_stream_that_breaks_leaves_no_backup(t):
    world = StreamWorld(t)
    fill(world.pg)
    process = begun(world)
    world.pg.sql("select pg_terminate_backend(pid) from pg_stat_progress_basebackup")
    fails(t, world, process, "the connection to the database server is lost")
    process = begun(world)
    process.send_signal(signal.SIGTERM)
    fails(t, world, process, "the backup was stopped")
    world.pg.wait_sql("select count(*) from pg_stat_activity where application_name = "
                      "'cpam-base-push'", "0")
    process = begun(world)
    world.pg.stop("immediate")
    fails(t, world, process, "connection")


@tap.limit(600)
def test_B4_a_stream_killed_half_way_is_gone_on_with(t):
    """The server sends it all again; what the repository has is not sent there again."""
    world = StreamWorld(t, base={"pack_size": "8MiB"})
    fill(world.pg)
    world.pg.sql("create table noise (b bytea); alter table noise alter b set storage external")
    world.pg.sql("insert into noise select decode(string_agg(md5(random()::text), ''), 'hex') "
                 "from generate_series(1, 50) a, generate_series(1, 62500) group by a")

    def packs():
        """{path: bytes}"""
        return {path: os.path.getsize(path)
                for path in glob.glob(f"{world.folder}/repo/demo/backup/*/pack/0*")}

    process = cpam.start("cpam-base-push", "--workers", "1", "--max-rate", "16MiB", config=world.config)
    t.defer(lambda: process.poll() is None and process.kill())
    cluster.wait_for(lambda: len(packs()) >= 3 or process.poll() is not None, 180, "three packs")
    process.kill()
    process.communicate()
    before = packs()
    t.true(before, "packs of the first attempt")
    result = t.exits(world.push("--json"), 0)
    t.holds(result.err, "which was interrupted, is gone on with")
    after = packs()
    t.true(set(before) <= set(after), "they are of this backup now")
    sent = sum(size for path, size in after.items() if path not in before)
    t.note(f"{sum(before.values())} bytes were there, {sent} came")
    t.true(sent < sum(after.values()) - 0.8 * sum(before.values()), f"{after} behind {before}")
    world.pg.wait_archived(world.pg.switch_wal())
    copy = world.restore("restored", "--latest")
    for statement in (CONTENT, "select count(*), sum(length(b)), md5(string_agg(md5(b), '' order by md5(b))) "
                      "from noise"):
        t.equal(copy.sql(statement), world.pg.sql(statement), statement)


def test_B1_auto_streams_only_where_no_server_runs_in_the_directory(t):
    world = StreamWorld(t)
    words = "the backup comes over a replication connection"
    t.holds(t.exits(world.push(config=world.write({"source": "auto"})), 0).err, words)
    config = world.write({"source": "auto"}, data=world.pg.data)
    result = t.exits(world.push(config=config), 0)
    t.true(words not in result.err, "files")
    # of a directory here, and a server elsewhere: trap 5
    other = cluster.new(t, "other")
    other.start()
    config = world.write({"source": "auto"}, data=other.data)
    t.exits(world.push(config=config), 1, "is not the one that runs in")
    t.equal(len(world.summaries()), 2)


def test_B1_trap30_a_role_with_as_few_rights_as_it_needs(t):
    world = StreamWorld(t)
    pg, word = world.pg, "hush-hush-4711"
    fill(pg)
    pg.sql(f"create role saver login replication password '{word}'")
    hba = os.path.join(pg.data, "pg_hba.conf")
    with open(hba, encoding="utf-8") as file:
        text = file.read()
    workspace.write(hba, "local postgres,replication saver scram-sha-256\n" + text, 0o600)
    for name in ("statement_timeout", "idle_session_timeout", "lock_timeout"):
        pg.sql(f"alter role saver set {name} = '50ms'")
    pg.reload()
    passwords = workspace.write(os.path.join(world.folder, "pass"), f"*:*:*:saver:{word}\n", 0o600)
    connection = f"host={pg.socket} port=5432 dbname=postgres user=saver"
    cluster.wait_for(lambda: "fe_sendauth" in world.push(
        config=world.write(connection=connection)).err, 60, "the server to want a password")
    config = world.write(connection=connection + f" passfile={passwords}")
    result = t.exits(world.push("--json", config=config), 0)
    for text in (result.output(), pg.log_text()):
        t.true(word not in text, "no password in logs")
    pg.sql("alter role saver noreplication")
    t.exits(world.push(config=config), 1, "replication")
    pg.sql("alter role saver replication")
    workspace.write(hba, "local replication saver reject\n" + open(hba, encoding="utf-8").read(),
                    0o600)
    pg.reload()
    cluster.wait_for(lambda: "pg_hba.conf rejects replication connection" in world.push(
        config=config).err, 60, "the server to refuse")
    t.equal(len(world.summaries()), 1)


def test_B6_damaged_pages_in_a_stream_are_named(t):
    world = StreamWorld(t)
    fill(world.pg)
    world.pg.sql("checkpoint")
    path = world.pg.sql("select pg_relation_filepath('x')")
    world.pg.stop()
    with open(os.path.join(world.pg.data, path), "r+b") as file:
        file.seek(3 * 8192 + 4000)
        byte = file.read(1)
        file.seek(3 * 8192 + 4000)
        file.write(bytes([byte[0] ^ 1]))
    world.pg.start()
    result = t.exits(world.push(), 3)
    t.holds(result.out, f"1 page is damaged on disk, and so it is in it: {path} block 3")
    t.holds(result.err, "relation public.x of database postgres")
    config = world.write({"checksums": "fail"}, "fail.yaml")
    t.exits(world.push(config=config), 1, "1 page of the database is damaged on disk")
    t.equal(len(world.summaries()), 1)


def test_B9_a_stream_needs_no_more_memory_for_more_data(t):
    world = StreamWorld(t)
    base = world.pg.sql("select oid from pg_database where datname = 'postgres'")
    big = os.path.join(world.pg.data, "base", base, "filler")  # no relation: no page checksums
    with open(big, "wb") as out:
        for _ in range(200):
            out.write(random.randbytes(1 << 20))
        out.truncate(600 << 20)
    workspace.give(big)
    process = cpam.start("cpam-base-push", "--workers", "2", config=world.config)
    most = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                most = max([most] + [int(line.split()[1]) for line in status
                                     if line.startswith("VmHWM")])
        except OSError:
            pass
        time.sleep(0.01)
    _, err = process.communicate()
    t.equal(process.returncode, 0, err)
    t.note(f"peak {most} KiB with 600 MiB")
    t.true(0 < most < 128 * 1024, f"{most} KiB")


if __name__ == "__main__":
    tap.main(globals())
