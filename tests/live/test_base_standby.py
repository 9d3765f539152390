#!/usr/bin/env python3
"""test_base_standby.py - backups taken from a standby: whole, or none when it does not stay one (B5)."""
import json
import os
import signal

from harness import cluster, cpam, tap
from standby_world import CONTENT, StandbyWorld, fill, start_load

def begun(world, *arguments):
    """A slow push that has begun backup mode."""
    process = cpam.start("cpam-base-push", "--max-rate", "3MiB", *arguments, config=world.config)
    cluster.wait_for(lambda: process.poll() is not None or world.standby.psql(
        "select count(*) from pg_stat_activity where application_name = 'cpam-base-push' and query "
        "like '%backup_start%' and state = 'idle'", check=False).stdout.strip() == "1", 120,
        "the backup to begin")
    return process


def fails(t, world, process, words):
    _, err = process.communicate(timeout=300)
    t.equal(process.returncode, 1, err)
    t.holds(err, words)
    t.equal(world.summaries(), [], "backups")


def test_B5_backup_of_a_standby_under_load_comes_back(t):
    world = StandbyWorld(t)
    fill(world.pg)
    world.pg.pgbench("-i", "-s", "2", "-q")
    world.caught_up()
    load = start_load(t, world.pg)
    # trap 10 d: nothing of that may come back from the backup
    t.true(os.path.exists(os.path.join(world.standby.data, "standby.signal")), "standby.signal")
    result = world.push("--json")
    t.exits(result, 0)
    backup = json.loads(result.out)["backups"][0]
    t.holds(result.err, "the primary was asked to close segment")
    before = world.pg.sql("select count(*) from pgbench_history")
    point = world.pg.now()
    world.pg.sql("insert into x values (20001, 'behind the point')")
    load.send_signal(signal.SIGINT)
    load.wait(180)
    rows = world.pg.sql("select count(*) from pgbench_history")
    world.pg.wait_archived(world.pg.switch_wal())
    wanted = world.pg.sql(CONTENT)
    t.true(int(rows) >= int(before) > 0, "the load wrote")
    latest = world.restore("latest", "--latest")
    t.equal(latest.sql(CONTENT), wanted)
    t.equal(latest.sql("select count(*) from pgbench_history"), rows)
    t.equal(latest.sql("select (select sum(abalance) from pgbench_accounts) = (select sum(delta) "
                       "from pgbench_history)"), "t")
    latest.stop()
    pitr = world.restore("pitr", "--backup", backup["label"], "--pitr", point.replace(" ", "T"),
                         "--target-action", "promote")
    t.equal(pitr.sql("select count(*), max(a) from x"), "20000|20000")


def test_B5_trap22_an_idle_primary_closes_its_segment(t):
    world = StandbyWorld(t)
    fill(world.pg)
    world.caught_up()
    t.exits(world.push("--archive-wait", "2m"), 0)
    t.equal(len(world.summaries()), 1)
    # nothing was written since: there is nothing to close, and nothing is missing
    t.exits(world.push("--archive-wait", "2m"), 0)
    t.equal(world.restore("restored", "--latest").sql(CONTENT), world.pg.sql(CONTENT))


def test_B5_trap22_without_the_primary_what_is_missing_is_named(t):
    world = StandbyWorld(t)
    fill(world.pg)
    world.caught_up()
    # the connection to the primary leads to the standby, and nowhere
    for connection, words in ((world.standby.connection(), "is a standby too"),
                              ("host=/nowhere/at/all", "could not connect")):
        config = world.write(connection=connection, name="alone.yaml")
        result = world.push("--archive-wait", "2s", config=config)
        t.exits(result, 1, ["no backup", "is not in the repository after 2 s"])
        t.holds(result.err, "the primary can't be asked to close its WAL segment")
        t.holds(result.err, words)
        t.equal(world.summaries(), [])
    # it comes while it is waited for, whoever made it come
    process = cpam.start("cpam-base-push", "--archive-wait", "3m", config=config)
    cluster.wait_for(lambda: process.poll() is not None or world.standby.sql(
        "select count(*) from pg_stat_activity where application_name = 'cpam-base-push' and query "
        "like '%min_recovery_end_timeline%'") == "1", 120, "the end of backup mode")
    world.pg.switch_wal()
    _, err = process.communicate(timeout=300)
    t.equal(process.returncode, 0, err)
    t.equal(len(world.summaries()), 1)


def test_B5_promotion_in_mid_backup_leaves_no_backup(t):
    world = StandbyWorld(t)
    fill(world.pg)
    world.caught_up()
    process = begun(world)
    world.standby.promote()
    fails(t, world, process, "promoted")
    # promoted before it began
    t.exits(world.push(), 1, "is no standby")
    t.equal(world.summaries(), [])


def test_B5_a_timeline_switch_in_mid_backup_leaves_no_backup(t):
    world = StandbyWorld(t)
    fill(world.pg)
    upstream, world.standby = world.standby, world.follow(world.standby, "cascade")
    world.config = world.write(connection=world.pg.connection())
    world.caught_up()
    process = begun(world)
    upstream.promote()
    upstream.sql("insert into x select 1, 'x' from generate_series(1, 1000)")
    upstream.sql("checkpoint")
    lsn = upstream.sql("select pg_current_wal_lsn()")
    world.standby.wait_sql(f"select pg_last_wal_replay_lsn() >= '{lsn}'")
    world.standby.sql("checkpoint")
    fails(t, world, process, "from timeline 1 to 2")


def test_B5_O6_check_is_for_the_primarys_side(t):
    world = StandbyWorld(t)
    t.exits(cpam.run("cpam-repo", "check", config=world.config), 1,
            [f'a standby runs in "{world.standby.data}"', "run it on the primary's host"])
    t.holds(cpam.run("cpam-repo", "check", config=world.archive).out, ["WAL is archived"])


def test_B5_trap5_the_right_server_on_the_right_side(t):
    world = StandbyWorld(t)
    cases = [
        # the standby's directory, and the primary's session: the same system identifier
        (dict(standby_connection=world.pg.connection()), {}, "is not the one that runs in"),
        (dict(connection=world.pg.connection()), {"from": "primary"}, "is not the one that runs in"),
        (dict(connection=world.standby.connection()), {"from": "primary"}, "is a standby"),
        (dict(data=world.pg.data, standby_connection=world.standby.connection()), {},
         "is not the one that runs in"),
        (dict(data=world.pg.data, standby_connection=world.pg.connection()), {}, "is no standby"),
    ]
    for postgresql, base, words in cases:
        config = world.write(base=base, name="wrong.yaml", **postgresql)
        t.exits(world.push(config=config), 1, words)
    t.equal(world.summaries(), [])
    # without standby_connection it is the server that runs in the directory
    config = world.write(standby_connection="", name="plain.yaml")
    t.exits(world.push(config=config), 0)


if __name__ == "__main__":
    tap.main(globals())
