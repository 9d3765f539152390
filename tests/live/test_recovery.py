#!/usr/bin/env python3
"""test_recovery.py - recovery to each kind of target, with rows that prove the exact boundary.

Rows are numbers in table t, one transaction each; what a restore holds is compared as a whole.
"""
import json
import os
import re
import shutil

from harness import cluster, tap, workspace
from restore_world import World, check_files


def story(t):
    """Row 1 is in the backup; 2, 3, a restore point and 4 follow, all archived."""
    world = World(t)
    world.insert(1)
    world.push()
    rows = {2: world.insert(2), 3: world.insert(3)}
    world.pg.sql("select pg_create_restore_point('before the accident')")
    rows[4] = world.insert(4)
    world.archived()
    return world, rows


@tap.limit(600)
def test_T1_T5_B12_every_target_at_its_exact_boundary(t):
    world, rows = story(t)
    cases = [
        ("1 2 3 4", ("--latest",)),
        ("1", ("--target-immediate", "--target-action", "promote")),
        ("1 2 3", ("--target-name", "before the accident", "--target-action", "promote")),
        ("1 2 3", ("--target-xid", rows[3]["xid"], "--target-action", "promote")),
        ("1 2", ("--target-xid", rows[3]["xid"], "--target-exclusive", "--target-action", "promote")),
        ("1 2 3", ("--target-lsn", rows[3]["lsn"], "--target-action", "promote")),
        ("1 2", ("--target-lsn", rows[3]["lsn"], "--target-exclusive", "--target-action", "promote")),
        ("1 2 3", ("--pitr", rows[3]["time"], "--target-action", "promote")),
        ("1 2", ("--pitr", rows[3]["time"], "--target-exclusive", "--target-action", "promote")),
    ]
    for expected, target in cases:
        world.drop(world.expect(expected, *target))
    check_files(t, world.expect("1 2 3 4", "--latest"))


@tap.limit(300)
def test_T5_trap33_the_default_is_to_pause_and_the_printed_line_resumes(t):
    world, rows = story(t)
    result, data = world.fetch("--pitr", rows[3]["time"])
    t.holds(result.out, ["pg_wal_replay_resume()", f"-D {data}", "cpam-repo claim"])
    server = cluster.restored(t, data)
    server.start()
    server.wait_sql("select pg_get_wal_replay_pause_state()", "paused")
    t.equal(world.rows(server), "1 2 3")
    server.sql("select pg_wal_replay_resume()")
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(server), "1 2 3")
    server.stop()
    label = re.search(r"backup +(\S+) of", result.out).group(1)
    server = world.restore("--backup", label, opened=False)
    t.equal(world.rows(server), "1", "--backup alone")


@tap.limit(300)
def test_T11_trap7_a_copy_keeps_its_wal_and_does_not_archive(t):
    world, _ = story(t)
    before = sorted(os.listdir(wal_folder(world)))
    server = world.restore("--latest")
    t.equal(server.sql("show archive_mode"), "on")
    t.holds(server.sql("show archive_command"), "--unclaimed")
    world.insert(5, server)
    segment = server.switch_wal()
    server.wait_sql("select failed_count > 0 from pg_stat_archiver")
    t.true(os.path.exists(os.path.join(server.data, "pg_wal", segment)), "the segment is kept")
    t.equal(sorted(os.listdir(wal_folder(world))), before, "the archive")


def wal_folder(world):
    """wal/<sysid> of the repository."""
    top = os.path.join(world.t.folder(), "repo", "demo", "wal")
    return os.path.join(top, os.listdir(top)[0])


@tap.limit(900)
def test_T1_trap2_trap11_recovery_across_a_timeline_switch(t):
    world, rows = story(t)
    # in place: the server dies, comes back at row 3, promotes, and archives as timeline 2
    world.pg.stop("crash")
    shutil.rmtree(world.pg.data)
    world.fetch("--target-xid", rows[3]["xid"], "--recover", data=world.pg.data)
    world.pg.start()
    world.pg.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(world.pg), "1 2 3")
    rows[5] = world.insert(5)  # in the segment in which the timeline switched
    world.archived()
    rows[6] = world.insert(6)
    world.archived()
    world.push()
    rows[7] = world.insert(7)
    world.archived()
    promote = ("--target-action", "promote")
    # what the timeline of row 4 may have, too, asks for attention; a moment or LSN behind its end does not
    planned, _ = world.fetch("--pitr", rows[4]["time"], "--dry-run", code=3)
    t.holds(planned.out, ["attention      timeline 1 has WAL up to", "--target-timeline 1 takes it"])
    for expected, target in [
        ("1 2", ("--target-xid", rows[2]["xid"], *promote)),
        ("1 2 3 5", ("--target-xid", rows[5]["xid"], *promote)),
        ("1 2 3", ("--target-xid", rows[5]["xid"], "--target-exclusive", *promote)),
        ("1 2 3", ("--pitr", rows[4]["time"], *promote)),
    ]:
        world.drop(world.expect(expected, *target, code=3))
    for expected, target in [
        ("1 2 3 5 6 7", ("--latest",)),
        ("1 2 3 5", ("--pitr", rows[5]["time"], *promote)),
        ("1 2 3 5 6", ("--target-lsn", rows[6]["lsn"], *promote)),
        ("1 2 3 4", ("--latest", "--target-timeline", "1")),
        ("1 2 3 4", ("--target-lsn", rows[4]["lsn"], "--target-timeline", "1", *promote)),
    ]:
        world.drop(world.expect(expected, *target))


@tap.limit(300)
def test_T1_T2_T4_what_cannot_be_reached_is_refused_before_anything_is_written(t):
    world, rows = story(t)
    data = os.path.join(t.folder(), "never")
    early = "1999-01-01 00:00:00+00"
    late = "2999-01-01 00:00:00+00"
    refusals = [
        (("--pitr", early), 1, ["no usable backup ended before it", "what can be reached lies from"]),
        (("--pitr", late), 1, ["the archive ends before WAL segment", "what can be reached lies from"]),
        (("--pitr", "2026-01-01 12:00:00"), 2, ["2026-01-01 12:00:00"]),
        (("--target-lsn", "0/100"), 1, ["no usable backup ended before it"]),
        (("--target-lsn", "FF/0"), 1, ["is not in the archive"]),
        (("--target-xid", "3"), 1, ["it had finished before the end of every usable backup"]),
        (("--latest", "--target-timeline", "9"), 1, ["00000009.history"]),
        (("--backup", "cpam_backup_20000101_000000"), 1, ["holds no backup"]),
        ((), 2, ["no target given", "--latest", "--pitr", "--target-immediate"]),
        (("--latest", "--target-immediate"), 2, ["two targets"]),
        (("--latest", "--repo", "nope"), 2, ["nope", "primary"]),
    ]
    for arguments, code, words in refusals:
        world.fetch(*arguments, code=code, data=data, words=words)
        t.true(not os.path.exists(data), f"nothing written by {arguments}")
    # a hole in the WAL behind the backup: the first missing segment is named
    for number in (5, 6):
        world.insert(number)
        world.archived()
    folder = os.path.join(wal_folder(world), "00000001", "00000000")
    segments = sorted(name for name in os.listdir(folder) if len(name) == 24)
    os.rename(os.path.join(folder, segments[-2]), os.path.join(t.folder(), "hidden"))
    world.fetch("--latest", code=1, data=data,
                words=[f"WAL segment {segments[-2]} is missing from the archive", "--accept-end"])
    # whoever accepts the end gets what is in front of the hole
    _, accepted = world.fetch("--latest", "--accept-end", code=3)
    server = cluster.restored(t, accepted)
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(server), "1 2 3 4")
    # a segment that the backup itself needs
    plan = json.loads(world.fetch("--target-immediate", "--dry-run", "--json", data=data)[0].out)
    first = plan["wal"]["first"]
    os.rename(os.path.join(folder, first), os.path.join(t.folder(), "hidden too"))
    world.fetch("--latest", code=1, data=data,
                words=[f"WAL segment {first}, which backup", "needs, is not in the archive"])
    t.true(not os.path.exists(data), "nothing written")


@tap.limit(300)
def test_T12_dry_run_tells_the_plan_and_writes_nothing(t):
    world, rows = story(t)
    data = os.path.join(t.folder(), "dry")
    result, _ = world.fetch("--pitr", rows[3]["time"], "--dry-run", data=data)
    t.holds(result.out, ["backup ", "target ", "timeline ", "WAL ", "restore to", "not checked", " free"])
    plan = json.loads(world.fetch("--target-name", "x", "--dry-run", "--json", data=data)[0].out)
    t.equal(plan["target"], {"kind": "name", "name": "x", "exclusive": False})
    t.equal(plan["target_checked"], False)
    t.equal(plan["dry_run"], True)
    t.true(plan["files"] > 100 and plan["packs"] > 0, "sums")
    t.true(not os.path.exists(data), "nothing was written")


@tap.limit(300)
def test_F1_standby_follows_the_archive(t):
    world, _ = story(t)
    _, data = world.fetch("--standby")
    t.true(os.path.exists(os.path.join(data, "standby.signal")), "standby.signal")
    server = cluster.restored(t, data, "standby")
    server.start()
    server.wait_sql("select count(*) from t", "4")
    world.insert(5)
    world.archived()
    server.wait_sql("select count(*) from t", "5")
    t.equal(server.sql("select pg_is_in_recovery()"), "t")


@tap.limit(600)
def test_T5_trap10_what_the_server_was_told_of_an_old_recovery_does_not_count(t):
    world = World(t)
    world.insert(1)
    mark = os.path.join(t.folder(), "mark")
    world.pg.configure(recovery_target="immediate", recovery_target_name="of old",
                       recovery_target_inclusive="off", recovery_target_action="shutdown",
                       recovery_end_command=f"touch {mark}", archive_cleanup_command=f"touch {mark}")
    world.pg.sql("alter system set recovery_min_apply_delay = '6h'")
    world.push()
    rows = {2: world.insert(2), 3: world.insert(3)}
    world.archived()
    world.expect("1 2 3", "--latest").stop()
    world.expect("1 2", "--target-lsn", rows[2]["lsn"], opened=False).stop()
    world.expect("1 2", "--target-xid", rows[2]["xid"], "--target-action", "promote").stop()
    _, data = world.fetch("--standby")
    standby = cluster.restored(t, data, "standby")
    standby.start()
    standby.wait_sql("select count(*) from t", "3")
    world.insert(4)
    world.archived()
    standby.wait_sql("select count(*) from t", "4")
    standby.sql("checkpoint")  # a restartpoint cleans the archive
    t.equal(standby.sql("select pg_is_in_recovery()"), "t")
    t.true(not os.path.exists(mark), "no command of another life ran")


@tap.limit(600)
def test_T11_F1_a_replica_of_what_was_restored_in_place_comes_up(t):
    world = World(t)
    world.insert(1)
    world.push()
    rows = world.insert(2)
    world.insert(3)
    world.archived()
    world.pg.stop()
    shutil.rmtree(world.pg.data)
    result, _ = world.fetch("--target-xid", rows["xid"], "--recover", data=world.pg.data)
    t.holds(result.out, [f"cpam-repo claim {world.pg.data}"])
    auto = os.path.join(world.pg.data, "postgresql.auto.conf")
    with open(auto, encoding="utf-8") as file:
        told = file.read()
    # while it is to recover, it needs what it was told
    t.holds(t.exits(world.run("cpam-repo", "claim", world.pg.data), 0).out, "Nothing to claim")
    with open(auto, encoding="utf-8") as file:
        t.equal(file.read(), told, "before recovery")
    world.pg.start()
    world.pg.wait_sql("select not pg_is_in_recovery()")
    world.pg.sql("alter system set work_mem = '5MB'")  # writes the file anew
    t.holds(t.exits(world.run("cpam-repo", "claim", world.pg.data), 0).out, "settings of its recovery")
    with open(auto, encoding="utf-8") as file:
        text = file.read()
    t.holds(text, "work_mem")
    t.lacks(text, ["recovery_", "restore_command", "cpam_restore"])
    replica = os.path.join(t.folder(), "replica")
    workspace.run([cluster.client("pg_basebackup"), "-h", world.pg.socket, "-p", str(cluster.PORT),
                   "-U", "postgres", "-D", replica, "-R", "-c", "fast"])
    world.insert(5)
    server = cluster.restored(t, replica, "replica")
    server.start()
    server.wait_sql("select count(*) from t", "3")
    t.equal(world.rows(server), "1 2 5")


@tap.limit(300)
def test_trap7_a_copy_of_a_server_that_archives_always_keeps_none_of_what_it_replays(t):
    world = World(t)
    world.pg.configure(archive_mode="always")
    world.pg.stop()
    world.pg.start()
    world.push()
    rows = []
    for number in range(4):
        rows.append(world.insert(number))
        world.archived()
    server = world.restore("--target-xid", rows[-1]["xid"], opened=False)
    t.equal(server.sql("show archive_mode"), "on")
    status = os.path.join(server.data, "pg_wal", "archive_status")
    t.equal([name for name in os.listdir(status) if name.endswith(".ready")], [])
    world.pg.stop()
    server.sql("select pg_wal_replay_resume()")
    server.wait_sql("select not pg_is_in_recovery()")
    t.exits(world.run("cpam-repo", "claim", server.data), 0)
    server.stop()
    server.start()
    t.equal(server.sql("show archive_mode"), "always")
    server.wait_archived(server.switch_wal())


@tap.limit(300)
def test_T1_T5_a_name_that_no_configuration_can_hold_is_refused_before_anything_is_written(t):
    world, _ = story(t)
    data = os.path.join(t.folder(), "never")
    world.fetch("--target-name", "two\nlines", data=data, code=2,
                words=["recovery_target_name holds a line end"])
    t.true(not os.path.exists(data), "nothing was written")


if __name__ == "__main__":
    tap.main(globals())
