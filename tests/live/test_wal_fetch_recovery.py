#!/usr/bin/env python3
"""test_wal_fetch_recovery.py - real servers recovering through cpam-wal-fetch while the store fails.

What must never happen: a server that opens although the archive has more (F1), or on the timeline it
was just recovered along (trap 1, in fetch_finishing.py; test_wal_fetch_majors.py has it for 14 to 18).
"""
import os
import shutil

import fetch_finishing
from fetch_finishing import DOWN_IN_RECOVERY, rows, timeline, wrapper
from fetch_world import World, control_state
from harness import cpam, tap, workspace

globals().update(fetch_finishing.tests_of(15))



def still_recovering(t, pg, signal_file):
    """The server is down and would go on: it has not opened, and its signal file is there."""
    t.true(os.path.exists(os.path.join(pg.data, signal_file)), f"{signal_file} is there")
    for left in ("RECOVERYXLOG", "RECOVERYHISTORY"):
        t.true(not os.path.exists(os.path.join(pg.data, "pg_wal", left)), f"there is no {left}")
    t.lacks(pg.log_text(), ["selected new timeline", "archive recovery complete"], "the log")


def store_goes_away(t, world, ends_at):
    """Recovery while the store goes away, when the third segment or a later one is asked for; ends_at:
    segment numbers behind the first at which it has to stop."""
    world.begin(1)
    data = world.copy(world.primary, "r")
    names = world.write_segments(world.primary, 6)
    wanted = rows(world.primary)
    world.primary.stop()
    gone = wrapper(world, "gone.sh", f'[ "$1" = {names[2]} ] && [ ! -e {world.folder}/once ] && '
                   f'touch {world.folder}/once && mv {world.repository()} {world.repository()}.away')
    pg = world.recovering(data, "r", "recovery.signal", command=gone)
    pg.launch()
    t.true(pg.ended() != 0, "the server stopped")
    log = pg.log_text()
    t.holds(log, [f'restored log file "{names[1]}"', "exit code 254"], "the log")
    t.true(any(f'could not restore file "{names[number]}"' in log for number in ends_at)
           or ends_at[-1] == len(names) - 1 and f'restored log file "{names[-1]}"' in log,
           f"it stopped at one of {[names[number] for number in ends_at]}, or behind the last:\n{log}")
    t.true(control_state(pg.data) in DOWN_IN_RECOVERY, "it has not opened")
    still_recovering(t, pg, "recovery.signal")
    # and stops again, at every start, for as long as it is gone
    pg.launch()
    t.true(pg.ended() != 0, "the server stopped again")
    still_recovering(t, pg, "recovery.signal")
    world.back()
    pg.start()
    pg.wait_sql("select pg_is_in_recovery()", "f")
    t.equal(rows(pg), wanted, "rows")
    t.equal(timeline(pg), "00000002")


def test_F1_ask1_archive_recovery_stops_while_the_store_is_gone_and_goes_on(t):
    store_goes_away(t, World(t, prefetch=0), [2])


def test_F1_archive_recovery_stops_behind_what_was_fetched_ahead_and_goes_on(t):
    """What was verified before the store went away may be replayed; then it stops all the same."""
    store_goes_away(t, World(t), [2, 3, 4, 5])


def test_F1_an_absent_segment_ends_recovery(t):
    world = World(t)
    world.begin(1)
    data = world.copy(world.primary, "r")
    world.write_segments(world.primary, 3)
    wanted = rows(world.primary)
    world.primary.stop()
    pg = world.recovering(data, "r", "recovery.signal").start()
    pg.wait_sql("select pg_is_in_recovery()", "f")
    t.equal(rows(pg), wanted, "rows")
    t.equal(timeline(pg), "00000002")


def test_F1_a_corrupt_segment_stops_recovery(t):
    world = World(t)
    world.begin(1)
    data = world.copy(world.primary, "r")
    names = world.write_segments(world.primary, 4)
    wanted = rows(world.primary)
    world.primary.stop()
    path = world.object(names[2])
    with open(path, "rb") as file:
        good = file.read()
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(len(good) // 2)
        file.write(bytes([good[len(good) // 2] ^ 4]))
    pg = world.recovering(data, "r", "recovery.signal")
    pg.launch()
    t.true(pg.ended() != 0, "the server stopped")
    t.holds(pg.log_text(), f'restored log file "{names[1]}"', "the log")
    still_recovering(t, pg, "recovery.signal")
    with open(path, "r+b") as file:
        file.write(good)
    pg.start()
    pg.wait_sql("select pg_is_in_recovery()", "f")
    t.equal(rows(pg), wanted, "rows")


def test_trap3_recovery_goes_through_a_hole_that_pg_wal_fills(t):
    """Step 6 of the manual's recovery: un-archived segments saved from the old server's pg_wal."""
    world = World(t)
    world.begin(1)
    data = world.copy(world.primary, "r")
    names = world.write_segments(world.primary, 4)
    wanted = rows(world.primary)
    world.primary.stop()
    saved = world.segment_file(names[2], os.path.join(world.folder, "saved"))
    world.lose(names[2])
    pg = world.recovering(data, "r", "recovery.signal")
    pg.launch()
    t.true(pg.ended() != 0, "the server stopped at the hole")
    t.holds(pg.log_text(), "missing although later segments", "the log")
    still_recovering(t, pg, "recovery.signal")
    local = os.path.join(data, "pg_wal", names[2])
    shutil.copy(saved, local)
    workspace.give(local)
    pg.start()
    pg.wait_sql("select pg_is_in_recovery()", "f")
    t.equal(rows(pg), wanted, "rows")


def test_F1_a_standby_lives_on_and_catches_up(t):
    world = World(t)
    world.begin(1)
    data = world.copy(world.primary, "s")
    world.write_segments(world.primary, 1)
    pg = world.recovering(data, "s", "standby.signal").start()
    pg.wait_sql("select count(*) from t", str(rows(world.primary)))
    world.away()
    refused = pg.log_text().count('repository "primary"')
    pg.wait_log('repository "primary"', count=refused + 3)
    t.true(pg.running(), "the standby lives")
    t.equal(pg.sql("select pg_is_in_recovery()"), "t", "in recovery")
    world.back()
    world.write_segments(world.primary, 2)
    pg.wait_sql("select count(*) from t", str(rows(world.primary)))
    t.equal(pg.sql("select pg_is_in_recovery()"), "t", "in recovery")


def test_trap26_on_error_stop_keeps_a_standby_from_ending_short(t):
    """auto answers 1 to a standby, so a promotion in an outage may end short; stop does not."""
    world = World(t)
    world.begin(1)
    data, other = world.copy(world.primary, "s"), world.copy(world.primary, "o")
    world.write_segments(world.primary, 1)
    wanted = rows(world.primary)
    stop = world.write_config("stop.yaml", world.primary, wal_fetch={"on_error": "stop"})
    auto = world.recovering(data, "s", "standby.signal").start()
    strict = world.recovering(other, "o", "standby.signal", config=stop).start()
    for pg in (auto, strict):
        pg.wait_sql("select count(*) from t", str(wanted))
    world.away()
    t.true(strict.ended() != 0, "with stop the standby ends instead of guessing")
    still_recovering(t, strict, "standby.signal")
    auto.promote()
    t.equal(timeline(auto), "00000002", "with auto it can be promoted in an outage")


def test_F8_pg_rewind_fetches_from_the_archive(t):
    """pg_rewind -c runs the target's restore_command from its own working directory."""
    world = World(t)
    world.begin(1)
    data = world.copy(world.primary, "b")
    old = world.primary
    new = world.recovering(data, "b", "standby.signal", primary_conninfo=old.connection()).start()
    new.wait_sql("select count(*) from t", str(rows(old)))
    new.promote()
    new.sql("insert into t values (1000)")
    # the old primary writes on, on its own timeline, then ends; its early WAL is in the archive only
    world.write_segments(old, 4)
    old.sql("checkpoint")
    old.stop()
    new.sql("checkpoint")
    old.configure(restore_command=cpam.restore_command(world.config))
    wal = os.path.join(old.data, "pg_wal")
    newest = sorted(name for name in os.listdir(wal) if len(name) == 24)
    archived = [name for name in newest if name.startswith("00000001")]
    last = old.controldata()["Latest checkpoint's REDO WAL file"]
    for name in archived:
        if name < last:
            os.unlink(os.path.join(wal, name))
    done = workspace.run([os.path.join(old.bins, "pg_rewind"), "-c", "-D", old.data,
                          "--source-server", new.connection()], check=False)
    t.equal(done.returncode, 0, "pg_rewind: " + done.stdout + done.stderr)
    old.configure(primary_conninfo=new.connection(), archive_mode="off", restore_command="")
    old.append("standby.signal", "")
    old.start()
    old.wait_sql("select count(*) from t where a = 1000", "1")
    t.equal(rows(old), rows(new), "rows")


if __name__ == "__main__":
    tap.main(globals())
