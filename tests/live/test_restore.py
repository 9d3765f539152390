#!/usr/bin/env python3
"""test_restore.py - the files of a restore: tablespaces, a linked pg_wal, what is in the way, kill -9
in the middle, configuration outside of the data directory."""
import os
import signal
import time

from harness import cluster, cpam, tap, workspace
from restore_world import World, check_files


def link_wal(t, pg):
    """pg_wal moved away and linked, as initdb -X does it."""
    place = os.path.join(t.folder(), "wal")
    os.rename(os.path.join(pg.data, "pg_wal"), place)
    workspace.run(["ln", "-s", place, os.path.join(pg.data, "pg_wal")])
    return place


@tap.limit(600)
def test_B11_T8_three_tablespaces_and_a_linked_pg_wal(t):
    world = World(t, start=False)
    places = {"pg_wal": link_wal(t, world.pg)}
    world.start()
    for name in ("one", "two", "three"):
        places[name] = workspace.folder(os.path.join(t.folder(), "space " + name), 0o700)
        world.pg.sql(f"create tablespace {name} location '{places[name]}'")
        world.pg.sql(f"create table in_{name} tablespace {name} as "
                     "select g as id, repeat('x', 500) as filler from generate_series(1, 500) g")
    world.insert(1)
    world.push()
    world.insert(2)
    world.archived()
    data = os.path.join(t.folder(), "copy")
    # the original is alive: its places are taken, and nothing is written
    world.fetch("--latest", data=data, code=2, words=["is not empty", "--tablespace-map"])
    t.true(not os.path.exists(data), "nothing was written")
    maps = []
    for name, place in places.items():
        maps += ["--tablespace-map", f"{place}={place} new"]
    result, _ = world.fetch("--latest", *maps, data=data)
    t.holds(result.out, [f"{place} new (was {place})" for place in places.values()])
    world.verify(data)
    server = cluster.restored(t, data, "copy")
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(server), "1 2")
    for name in ("one", "two", "three"):
        t.equal(server.sql(f"select count(*), sum(id) from in_{name}"), "500|125250")
        t.equal(server.sql("select pg_tablespace_location(oid) from pg_tablespace "
                           f"where spcname = '{name}'"), places[name] + " new")
    t.true(os.path.islink(os.path.join(data, "pg_wal")), "pg_wal is a link")
    check_files(t, server)
    # all but one at once
    everywhere = os.path.join(t.folder(), "everywhere")
    one = ["--tablespace-map", f"{places['one']}={places['one']} by itself", "--tablespace-map",
           f"{places['pg_wal']}={places['pg_wal']} third"]
    third = os.path.join(t.folder(), "third")
    world.fetch("--latest", *one, "--tablespace-map-all", "relative", data=third, code=2,
                words=["not an absolute path"])
    world.fetch("--latest", *one, "--tablespace-map-all", everywhere, data=third)
    oids = dict(line.split("|") for line in world.pg.sql(
        "select spcname, oid from pg_tablespace where spcname in ('one', 'two', 'three')").splitlines())
    t.equal(os.readlink(f"{third}/pg_tblspc/{oids['one']}"), places["one"] + " by itself")
    for name in ("two", "three"):
        t.equal(os.readlink(f"{third}/pg_tblspc/{oids[name]}"), f"{everywhere}/{oids[name]}")
    world.verify(third)
    # a place that is free again is used without a map
    world.pg.stop()
    for place in [*places.values(), world.pg.data]:
        os.rename(place, place + " aside")
    world.fetch("--latest", "--recover", data=world.pg.data)
    world.verify(world.pg.data)
    world.pg.start()
    world.pg.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.pg.sql("select count(*) from in_two"), "500")


@tap.limit(300)
def test_T9_a_directory_that_is_not_empty_is_left_alone_and_the_line_is_printed(t):
    world = World(t)
    world.push()
    result = world.run("cpam-base-fetch", "--latest", world.pg.data)
    t.exits(result, 2, ["is not empty", f"mv {world.pg.data} {world.pg.data}.old"])
    world.pg.stop("crash")
    workspace.run(["mv", world.pg.data, world.pg.data + ".old"])
    world.fetch("--latest", data=world.pg.data)


@tap.limit(300)
def test_root_restores_for_the_owner(t):
    if os.geteuid() != 0:
        raise tap.Skip("needs root")
    world = World(t)
    world.insert(1)
    world.push()
    world.pg.stop()
    workspace.run(["rm", "-rf", world.pg.data])
    t.exits(world.run("cpam-base-fetch", "--latest", "--recover", world.pg.data, root=True), 0)
    owner = workspace.user().pw_uid
    for folder, _, files in os.walk(world.pg.data):
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            t.equal(os.lstat(path).st_uid, owner, path)
    world.pg.start()
    world.pg.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(world.pg), "1")


def try_start(t, data):
    """True if a server comes up on it."""
    server = cluster.restored(t, data, "half")
    server.launch()
    try:
        server.wait_ready(30)
        return True
    except RuntimeError:
        return False
    finally:
        server.close()


@tap.limit(600)
def test_T9_killed_at_any_moment_it_does_not_start_and_runs_again(t):
    world = World(t)
    world.pg.sql("create table big as select g, repeat(md5(g::text), 20) as filler "
                 "from generate_series(1, 60000) g")
    world.insert(1)
    world.push()
    world.insert(2)
    world.archived()
    data = os.path.join(t.folder(), "killed")
    start = time.monotonic()
    world.fetch("--latest", data=data)
    whole = time.monotonic() - start
    workspace.run(["rm", "-rf", data])
    halves = 0
    for step in range(1, 61):
        start = time.monotonic()
        process = cpam.start("cpam-base-fetch", "--latest", data, config=world.config)
        try:
            process.wait(whole * (step % 13) / 13)
            whole = min(whole, time.monotonic() - start)  # it was faster this time
        except Exception:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if step > 12 and halves >= 3:
            break
        control = os.path.join(data, "global", "pg_control")
        if os.path.isdir(data) and os.listdir(data) and not os.path.exists(control):
            halves += 1
            if halves % 3 == 1:
                t.true(not try_start(t, data), f"a half of step {step} must not start")
            if halves % 2:
                continue  # the next one begins on what this one left
        if os.path.exists(control):
            workspace.run(["rm", "-rf", data])
    t.true(halves >= 3, f"killed {halves} times in the middle")
    t.note(f"killed {halves} times with something written")
    if os.path.exists(os.path.join(data, "global", "pg_control")):
        workspace.run(["rm", "-rf", data])
    world.fetch("--latest", data=data)
    world.verify(data)
    server = cluster.restored(t, data)
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(server), "1 2")
    t.equal(server.sql("select count(*) from big"), "60000")
    check_files(t, server)


def state_of(process):
    """The letter of proc(5); "" when it has ended."""
    try:
        with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def stopped_at_its_marker(t, world, data, *options):
    """A restore into data that has begun and stands still."""
    marker = os.path.join(data, ".cpam-restore")
    while True:
        process = cpam.start("cpam-base-fetch", "--latest", *options, data, config=world.config)
        while process.poll() is None and not os.path.exists(marker):
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        while process.poll() is None and state_of(process) != "T":
            time.sleep(0.001)
        if os.path.exists(marker) and process.poll() is None:
            return process
        process.send_signal(signal.SIGCONT)
        process.communicate()
        workspace.run(["rm", "-rf", data])


@tap.limit(300)
def test_T9_two_restores_into_one_directory_do_not_meet(t):
    world = World(t)
    place = workspace.folder(os.path.join(t.folder(), "space"), 0o700)
    world.pg.sql(f"create tablespace one location '{place}'")
    world.pg.sql("create table in_one tablespace one as select 1 as id")
    world.insert(1)
    world.push()
    world.insert(2)
    world.archived()
    data, alias = os.path.join(t.folder(), "data"), os.path.join(t.folder(), "alias")
    mapped = ("--tablespace-map", f"{place}={place} new")
    first = stopped_at_its_marker(t, world, data, *mapped)
    try:
        workspace.run(["ln", "-s", data, alias])
        words = [f"another cpam-base-fetch, process {first.pid}, is restoring into", "cpam-info"]
        for options in ((), ("--delta",), ("--dry-run",)):
            for target in (data, alias):
                world.fetch("--latest", *mapped, *options, data=target, code=1, words=words)
        other = os.path.join(t.folder(), "other")
        if os.path.exists(place + " new/.cpam-restore"):
            world.fetch("--latest", *mapped, data=other, code=1, words=["another cpam-base-fetch"])
            t.true(not os.path.exists(os.path.join(other, "global")), "nothing was restored")
    finally:
        first.send_signal(signal.SIGCONT)
    out, err = first.communicate(timeout=100)
    t.equal(first.returncode, 0, err)
    world.verify(data)
    t.lacks(os.listdir(data), [".cpam-restore"])
    # killed, it holds nothing; what it left goes
    workspace.run(["rm", "-rf", data, place + " new"])
    process = stopped_at_its_marker(t, world, data, *mapped)
    process.kill()
    process.communicate()
    world.fetch("--latest", *mapped, data=data)
    world.verify(data)


@tap.limit(300)
def test_T9_killed_before_its_marker_has_a_name_it_runs_again(t):
    world = World(t)
    world.push()
    data = workspace.folder(os.path.join(t.folder(), "data"), 0o700)
    stray = workspace.write(os.path.join(data, ".cpam-" + "0123456789abcdef" * 2), "", 0o600)
    world.fetch("--latest", data=data)
    t.true(not os.path.exists(stray), "it is gone")
    # what an aborted one left is known however the directory is spelled
    os.unlink(os.path.join(data, "global/pg_control"))
    marker = os.path.join(data, ".cpam-restore")
    workspace.write(marker, f"cpam-base-fetch of it\n{t.folder()}/./data\n", 0o600)
    world.fetch("--latest", data=data)
    t.true(not os.path.exists(marker), "the marker is gone")
    world.verify(data)


@tap.limit(300)
def test_trap18_configuration_outside_of_the_data_directory(t):
    world = World(t, start=False)
    etc = workspace.folder(os.path.join(t.folder(), "etc"), 0o755)
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        os.rename(os.path.join(world.pg.data, name), os.path.join(etc, name))
    with open(os.path.join(etc, "postgresql.conf"), "a", encoding="utf-8") as out:
        out.write(f"data_directory = '{world.pg.data}'\nhba_file = '{etc}/pg_hba.conf'\n"
                  f"ident_file = '{etc}/pg_ident.conf'\n")
    option = ("-c", f"config_file={etc}/postgresql.conf")
    world.pg.start(*option)
    world.pg.sql("create table t (id int primary key)")
    world.pg.sql("insert into t values (1)")
    world.push()
    result, data = world.fetch("--latest")
    line = f"-c config_file={etc}/postgresql.conf -c data_directory={data} -c port=15432"
    t.holds(result.out, [line, "configuration  "])
    world.pg.stop()
    server = cluster.restored(t, data)
    server.start(*option, "-c", f"data_directory={data}")
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(server.sql("show data_directory"), data)
    t.equal(world.rows(server), "1")


@tap.limit(300)
def test_T8_a_tablespace_that_came_later_is_not_written_into_unsaid(t):
    world = World(t)
    world.insert(1)
    old = world.push().split()[1]
    place = workspace.folder(os.path.join(t.folder(), "space"), 0o700)
    world.pg.sql(f"create tablespace one location '{place}'")
    world.pg.sql("create table in_one tablespace one as select 1 as id")
    new = world.push().split()[1]
    world.archived()
    words = ["created after this backup", f'"{place}" is not empty here', f"--backup {new}"]
    result, data = world.fetch("--backup", old, "--latest", "--dry-run", code=3)
    t.holds(result.err, words)
    t.true(not os.path.exists(data), "nothing was written")
    # the later backup knows it, and with the original away nobody's files are in the way
    result, _ = world.fetch("--latest", "--dry-run", "--tablespace-map", f"{place}={place} new")
    t.lacks(result.err, ["created after"])
    world.pg.stop()
    os.rename(place, place + " aside")
    result, _ = world.fetch("--backup", old, "--latest", "--dry-run")
    t.lacks(result.err, ["created after"])


def files_below(place):
    """{path: content}"""
    found = {}
    for folder, _, names in os.walk(place):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.join(folder, name)] = file.read()
    return found


def recovery_beside_the_original(t, prefetch):
    """Replay of CREATE TABLESPACE takes the directory of its record for its own, on whatever host it is."""
    world = World(t, wal={"spool": workspace.folder(os.path.join(t.folder(), "spool"), 0o700),
                          "push": {"mode": "direct"}, "fetch": {"prefetch": prefetch}})
    world.insert(1)
    world.push()
    place = workspace.folder(os.path.join(t.folder(), "space"), 0o700)
    before_it = world.insert(2)
    world.pg.sql(f"create tablespace one location '{place}'")
    world.pg.sql("create table in_one tablespace one as select generate_series(1, 1000) as id")
    world.insert(3)
    world.pg.sql("checkpoint")
    world.archived()
    before = files_below(place)
    t.true(before, "the original has files there")
    _, data = world.fetch("--latest", "--target-action", "promote")
    server = cluster.restored(t, data)
    server.launch()
    t.true(server.ended() != 0, "the copy stops instead")
    t.holds(server.log_text(), ["for this server's own, which it is not", place, "exit code 254"])
    t.equal(files_below(place), before, "nothing of the original was touched")
    # a target that lies before the statement, in that very segment: only a person knows that it does
    _, early = world.fetch("--target-lsn", before_it["lsn"], "--target-action", "promote")
    with open(os.path.join(early, "postgresql.auto.conf"), "a", encoding="utf-8") as settings:
        settings.write(f"restore_command = 'exec {cpam.path('cpam-wal-fetch')} --config {world.config} "
                       "--any-tablespace %f %p'\n")
    copy = cluster.restored(t, early, "early")
    copy.start()
    copy.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(copy), "1 2")
    t.equal(files_below(place), before, "nothing of the original was touched by that either")
    # left of a lost server: put aside, as the message says; recovery goes on from there
    world.pg.stop()
    for name in os.listdir(place):
        os.rename(os.path.join(place, name), os.path.join(place, name + ".old"))
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(server), "1 2 3")
    t.equal(server.sql("select count(*) from in_one"), "1000")


@tap.limit(300)
def test_trap6_recovery_does_not_remove_the_originals_tablespace(t):
    recovery_beside_the_original(t, 16)


@tap.limit(300)
def test_trap6_recovery_in_the_foreground_does_not_either(t):
    recovery_beside_the_original(t, 0)


@tap.limit(300)
def test_trap6_what_was_replayed_already_is_replayed_again(t):
    """A standby that is started again goes over its own CREATE TABLESPACE once more."""
    world = World(t)
    world.insert(1)
    world.push()
    _, data = world.fetch("--standby", "--latest")
    place = workspace.folder(os.path.join(t.folder(), "space"), 0o700)
    world.pg.sql(f"create tablespace one location '{place}'")
    world.pg.sql("create table in_one tablespace one as select 1 as id")
    world.archived()
    world.pg.stop()
    for name in os.listdir(place):  # as on another host
        os.rename(os.path.join(place, name), os.path.join(place, "primary's " + name))
    server = cluster.restored(t, data)
    server.configure(primary_conninfo="")
    server.start()
    server.wait_sql("select count(*) from pg_tablespace where spcname = 'one'", "1")
    server.stop("immediate")
    server.start()
    server.wait_sql("select id from in_one", "1")
    t.lacks(server.log_text(), ["which it is not"])


@tap.limit(600)
def test_trap32_a_prepared_transaction_comes_back_and_is_pointed_at(t):
    """Prepared before the backup or behind it: it holds its locks again, and its rows are there when it is
    committed."""
    world = World(t, start=False)
    world.pg.configure(max_prepared_transactions="5")
    world.start()
    world.pg.psql("begin; insert into t values (1); prepare transaction 'before';")
    world.push()
    world.pg.psql("begin; insert into t values (2); prepare transaction 'behind';")
    world.archived()
    result, data = world.fetch("--latest")
    t.holds(result.out, ["pg_prepared_xacts"])
    server = cluster.restored(t, data, "prepared")
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(server.sql("select string_agg(gid, ' ' order by gid) from pg_prepared_xacts"), "before behind")
    t.equal(server.sql("select count(*) from t"), "0")
    for one in ("before", "behind"):
        server.sql(f"commit prepared '{one}'")
    t.equal(world.rows(server), "1 2")


if __name__ == "__main__":
    tap.main(globals())
