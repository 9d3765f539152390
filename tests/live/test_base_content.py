#!/usr/bin/env python3
"""test_base_content.py - what comes back is the original: block by block where nothing wrote, row by row
where everything was written, dropped, truncated, rewritten and made anew; and a data directory with files
that are unreadable, unexpected, huge, or gone when their turn comes."""
import os
import random
import socket
import subprocess

from harness import cluster, compare, cpam, tap, workspace
from harness.churn import Churn
from restore_world import check_files

GIB = 1 << 30


class World:
    """A cluster with checksums that archives into a directory repository."""

    def __init__(self, t, major=15, *init):
        self.t = t
        self.pg = cluster.new(t, major=major, init=False)
        self.pg.init("--wal-segsize=1", *init)
        self.config = cpam.write_config(t.folder(), cpam.settings(t.folder(), self.pg))
        self.pg.configure(**cpam.archive_settings(self.config), max_connections=30)
        if major >= 15:
            self.pg.configure(allow_in_place_tablespaces="on")
        self.pg.start()
        t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)

    def push(self, *arguments, code=0, words=()):
        return self.t.exits(cpam.run("cpam-base-push", *arguments, config=self.config), code, words)

    def archived(self):
        self.pg.wait_archived(self.pg.switch_wal())

    def fetch(self, *arguments, name="restored", target="--latest"):
        data = os.path.join(self.t.folder(), name)
        result = cpam.run("cpam-base-fetch", target, *arguments, data, config=self.config)
        self.t.true(result.code in (0, 3), result.line + "\n" + result.output())
        return data

    def verify(self, data):
        workspace.run([cluster.client("pg_verifybackup"), "-n", data])

    def opened(self, data, major=15):
        copy = cluster.restored(self.t, data, os.path.basename(data), major)
        copy.start()
        copy.wait_sql("select not pg_is_in_recovery()")
        return copy


def fill(pg):
    """A bit of everything that has files."""
    pg.sql("""
        create table plain as select g as id, md5(g::text) as t from generate_series(1, 20000) g;
        create index on plain (id); create index on plain using hash (t); vacuum plain;
        create table toasted as select g, repeat(md5(g::text), 500) as big from generate_series(1, 50) g;
        alter table toasted alter big set storage external; insert into toasted select * from toasted;
        create unlogged table unlogged (a int primary key); insert into unlogged values (1), (2);
        create sequence counted; select nextval('counted') from generate_series(1, 100);
        create materialized view seen as select count(*) from plain;
        create table parts (a int) partition by range (a);
        create table parts_1 partition of parts for values from (0) to (1000);
        insert into parts select generate_series(0, 999);
        create table empty (a int);
        select lo_from_bytea(0, decode(repeat('00ff', 30000), 'hex'));
        create role somebody; create database other""")
    pg.sql("create table there as select generate_series(1, 100) as a; create unlogged table gone (a int)",
           database="other")


@tap.limit(600)
def test_B11_B12_block_by_block_where_nothing_wrote(t):
    wal = os.path.join(t.folder(), "wal elsewhere")
    world = World(t, 15, "-X", wal)
    pg = world.pg
    fill(pg)
    maps = ["--tablespace-map", f"{wal}={wal} new"]
    for name in ("one", "two"):
        place = workspace.folder(os.path.join(t.folder(), f"space {name}"), 0o700)
        pg.sql(f"create tablespace {name} location '{place}'")
        pg.sql(f"create table in_{name} tablespace {name} as select g, repeat('y', 300) "
               "from generate_series(1, 3000) g; "
               f"create unlogged table un_{name} (a int) tablespace {name}")
        maps += ["--tablespace-map", f"{place}={place} new"]
    pg.sql("create tablespace in_place location ''")
    pg.sql("create table inside tablespace in_place as select generate_series(1, 5000) as a")
    # temporary files of a session that lives during the backup, in a database of its own
    pg.sql("create database busy")
    busy = pg.sql("select oid from pg_database where datname = 'busy'")
    holder = subprocess.Popen(
        [cluster.client("psql"), "-X", "-q", pg.connection("busy")], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, env=workspace.environment(), text=True, **workspace.as_user())
    t.defer(lambda: holder.poll() is None and holder.kill())
    holder.stdin.write("create temporary table passing as select generate_series(1, 10000) as a;\n"
                       "create table told_us (a int);\n")
    holder.stdin.flush()
    cluster.wait_for(lambda: pg.sql("select count(*) from pg_class where relname = 'told_us'",
                                    database="busy") == "1", 60, "the session")
    t.true(any(name.startswith("t") for name in os.listdir(os.path.join(pg.data, "base", busy))),
           "there are temporary files")
    rows, unlogged = compare.rows(pg), ("unlogged", "un_one", "un_two")
    world.push("--workers", "2")
    # nobody writes from before the backup to the end of the server
    data = world.fetch(*maps, target="--target-immediate")
    world.verify(data)
    holder.stdin.close()
    holder.wait(60)
    pg.stop()
    # the end of that session wrote into its own database's catalogue
    compare.same_files(t, pg.data, data, ignore=rf"^base/{busy}/|^pg_xact/")
    t.true(not any(name.startswith("t") for name in os.listdir(os.path.join(data, "base", busy))),
           "no temporary file came back")
    copy = cluster.restored(t, data)
    copy.start()
    copy.wait_sql("select pg_get_wal_replay_pause_state()", "paused")
    copy.sql("select pg_wal_replay_resume()")
    copy.wait_sql("select not pg_is_in_recovery()")
    compare.same_rows(t, rows, copy)
    t.equal(copy.sql(" union all ".join(f"select count(*) from {name}" for name in unlogged)), "0\n0\n0")
    check_files(t, copy)


@tap.limit(600)
def test_T2_B12_row_by_row_under_load_of_every_kind(t):
    world = World(t)
    fill(world.pg)
    churn = Churn(t, world.pg)
    world.push("--workers", "2")
    churn.wait(2)
    # another one in the middle of it, at a rate that makes it last
    world.push("--max-rate", "12MiB")
    rounds = churn.stop()
    t.note(f"{rounds} rounds of writing")
    world.archived()
    data = world.fetch()
    world.verify(data)
    copy = world.opened(data)
    compare.same_rows(t, world.pg, copy)
    t.true(compare.empty_unlogged(t, world.pg, copy) >= 4, "unlogged tables are there")
    check_files(t, copy)


@tap.limit(600)
def test_B1_files_of_a_gibibyte(t):
    world = World(t)
    pg = world.pg
    pg.sql("create table large (a int, b text)")
    pg.sql("insert into large select g, repeat(md5(g::text), 20) from generate_series(1, 3000) g")
    path = os.path.join(pg.data, pg.sql("select pg_relation_filepath('large')"))
    pg.stop()
    # pages that were never used, up to the end of the first segment and into the second
    os.truncate(path, GIB)
    workspace.write(path + ".1", bytes(3 * 8192), 0o600)
    # what is no relation is backed up too; nothing in it compresses
    filler = workspace.write(os.path.join(pg.data, "base", "filler"), random.randbytes(48 << 20), 0o600)
    with open(filler, "r+b") as file:
        file.seek(GIB - 4096)
        file.write(random.randbytes(4096))
    pg.start()
    pg.sql("insert into large select g, repeat(md5(g::text), 20) from generate_series(3001, 6000) g")
    t.true(os.path.getsize(path + ".1") > 3 * 8192, "the second segment is written to")
    pg.sql("checkpoint")
    rows = compare.rows(pg)
    world.push("--workers", "2")
    data = world.fetch(target="--target-immediate")
    world.verify(data)
    pg.stop()
    compare.same_files(t, pg.data, data)
    copied = os.stat(os.path.join(data, "base", "filler"))
    t.true(copied.st_blocks * 512 < GIB // 2, "what was a hole takes no room")
    copy = cluster.restored(t, data)
    copy.start()
    copy.wait_sql("select pg_get_wal_replay_pause_state()", "paused")
    compare.same_rows(t, rows, copy)


def test_B11_an_unreadable_file_is_refused_and_named(t):
    world = World(t)
    base = os.path.join(world.pg.data, "base", "1")
    path = workspace.write(os.path.join(base, "987654"), b"x", 0o000)
    world.push(code=1, words=[path, "Permission denied"])
    os.unlink(path)
    path = workspace.folder(os.path.join(base, "closed"), 0o000)
    world.push(code=1, words=[path, "Permission denied"])
    os.rmdir(path)
    info = cpam.run("cpam-info", config=world.config)
    t.holds(info.out + info.err, "no backup")
    world.push()


def test_B11_unexpected_files_come_back_or_are_told(t):
    world = World(t)
    data = world.pg.data
    odd = os.path.join(data, "base", "1", "odd \u00e4\n\"name")
    workspace.write(odd, b"kept")
    raw = os.path.join(data.encode(), b"raw \xff")
    with open(raw, "wb") as file:
        file.write(b"raw")
    os.chown(raw, workspace.user().pw_uid, workspace.user().pw_gid) if os.geteuid() == 0 else None
    deep = os.path.join(data, "of a person", "with", "folders")
    os.makedirs(deep)
    workspace.run(["chown", "-R", workspace.user().pw_name, os.path.join(data, "of a person")],
                  root=os.geteuid() == 0)
    workspace.write(os.path.join(deep, "file"), b"")
    os.symlink("/nowhere/at all", os.path.join(data, "dangling"))
    os.mkfifo(os.path.join(data, "pipe"))
    listener = socket.socket(socket.AF_UNIX)
    t.defer(listener.close)
    listener.bind(os.path.join(data, "socket"))
    result = world.push()
    for name in ("pipe", "socket"):
        t.holds(result.err, f'"{data}/{name}" is no file, directory or link, and is left out')
    restored = world.fetch(target="--target-immediate")
    world.pg.stop()
    compare.same_files(t, data, restored, ignore="^(pipe|socket)$")
    with open(os.path.join(restored.encode(), b"raw \xff"), "rb") as file:
        t.equal(file.read(), b"raw")
    t.equal(os.readlink(os.path.join(restored, "dangling")), "/nowhere/at all")
    for name in ("pipe", "socket"):
        t.true(not os.path.lexists(os.path.join(restored, name)), f"{name} is not restored")


def test_B11_files_that_vanish_or_shrink_on_the_way_are_fine(t):
    """Dropped and truncated between the walk and the read: replay does both again."""
    world = World(t)
    world.pg.sql("create table stays as select generate_series(1, 50000) as a")
    for number in range(40):
        world.pg.sql(f"create table goes_{number} as select g, repeat('z', 700) "
                     "from generate_series(1, 800) g")
    paths = world.pg.sql("select pg_relation_filepath(oid) from pg_class where relname like 'goes_%' "
                         "order by oid").splitlines()
    process = cpam.start("cpam-base-push", "--max-rate", "4MiB", "--workers", "1", config=world.config)
    t.defer(lambda: process.poll() is None and process.kill())
    running = lambda: cpam.run("cpam-info", "--json", config=world.config).out
    cluster.wait_for(lambda: '"total": 0' not in running() and "cpam-base-push" in running(), 120,
                     "the files to be counted")
    world.pg.sql("truncate " + ", ".join(f"goes_{number}" for number in range(20)))
    world.pg.sql("; ".join(f"drop table goes_{number}" for number in range(20, 40)))
    world.pg.sql("checkpoint")
    gone = [path for path in paths if not os.path.exists(os.path.join(world.pg.data, path))]
    t.true(len(gone) >= 20, f"{len(gone)} files have gone")
    t.true(process.poll() is None, "the backup is under way")
    # the rate was to hold it until here
    _, err = process.communicate(timeout=400)
    t.equal(process.returncode, 0, err)
    world.archived()
    copy = world.opened(world.fetch())
    compare.same_rows(t, world.pg, copy)
    check_files(t, copy)


if __name__ == "__main__":
    tap.main(globals())
