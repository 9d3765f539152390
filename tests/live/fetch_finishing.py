"""fetch_finishing.py - the end of recovery while the store is gone (postgresql.md, trap 1).

The server has chosen its new timeline, has removed its signal files, and asks for its parent's history
once more.  Whatever is answered above 125 there makes it open, at its next start, on the old timeline.
tests_of(major) yields the tests for one major of PostgreSQL.
"""
import os

from fetch_world import IN_ARCHIVE_RECOVERY, SHUT_DOWN_IN_RECOVERY, World, control_state
from harness import cpam, tap, workspace

DOWN_IN_RECOVERY = (IN_ARCHIVE_RECOVERY, SHUT_DOWN_IN_RECOVERY)
FINISHING = '[ ! -e standby.signal ] && [ ! -e recovery.signal ]'


def wrapper(world, name, before):
    """A restore_command that runs shell lines first, then cpam-wal-fetch by exec ($1 %f, $2 %p)."""
    program = cpam.path("cpam-wal-fetch")
    script = workspace.write(
        os.path.join(world.folder, name),
        f"#!/bin/bash\n{before}\nexec {program} --config {world.config} \"$1\" \"$2\"\n", 0o755)
    return f"exec {script} %f %p"


def timeline(pg):
    return pg.insert_segment()[:8]


def rows(pg):
    return int(pg.sql("select count(*) from t"))


def of_timeline_2(world):
    """A base copy of a server on timeline 2, with WAL behind it; and its rows."""
    world.begin(1)
    second = world.second_timeline()
    data = world.copy(second, "c")
    world.write_segments(second, 2)
    wanted = rows(second)
    second.stop()
    return data, wanted


def finishing_standby(t, world):
    """Promoted while the store is gone, and pg_wal without the parent's history."""
    data, wanted = of_timeline_2(world)
    pg = world.recovering(data, "c", "standby.signal").start()
    pg.wait_sql("select count(*) from t", str(wanted))
    # local copies are what the server falls back to: without one it depends on the archive
    os.unlink(os.path.join(data, "pg_wal/00000002.history"))
    world.away()
    pg.sql("select pg_promote(false)")
    pg.wait_log("the server has ended its recovery and waits for this file")
    t.true(not os.path.exists(os.path.join(data, "standby.signal")), "standby.signal is gone: finishing")
    t.true(os.path.exists(os.path.join(data, "recovery.signal")), "recovery.signal is held")
    t.equal(pg.sql("select pg_is_in_recovery()"), "t", "in recovery")
    t.equal(control_state(data), IN_ARCHIVE_RECOVERY, "pg_control's state, by which it is recognised")
    return pg, wanted


def opened_on_timeline_3(t, pg, wanted):
    pg.wait_sql("select pg_is_in_recovery()", "f")
    t.equal(timeline(pg), "00000003", "the timeline")
    t.equal(rows(pg), wanted, "rows")
    for name in ("standby.signal", "recovery.signal"):
        t.true(not os.path.exists(os.path.join(pg.data, name)), f"{name} is gone")
    with open(os.path.join(pg.data, "pg_wal/00000003.history"), encoding="ascii") as file:
        history = file.read()
    t.equal([line.split("\t")[0] for line in history.splitlines() if line.strip()], ["1", "2"],
            "ancestors in the new history")


def trap1_promotion_waits(t, world):
    pg, wanted = finishing_standby(t, world)
    world.back()
    opened_on_timeline_3(t, pg, wanted)


def trap1_stop_while_waiting(t, world):
    """Stopped, or killed, while it waits: without recovery.signal it would open timeline 2."""
    pg, wanted = finishing_standby(t, world)
    pg.stop("fast")
    pg.launch()
    t.true(pg.ended() != 0, "it stops while the store is gone")
    t.true(control_state(pg.data) in DOWN_IN_RECOVERY, "it has not opened")
    world.back()
    pg.start()
    opened_on_timeline_3(t, pg, wanted)


def trap1_crash_while_waiting(t, world):
    pg, wanted = finishing_standby(t, world)
    pg.stop("crash")
    world.back()
    pg.start()
    opened_on_timeline_3(t, pg, wanted)


def trap1_end_of_pitr(t, world):
    """The same last call at the end of a recovery to a target."""
    world.begin(1)
    second = world.second_timeline()
    data = world.copy(second, "c")
    world.write_segments(second, 1)
    wanted, lsn = rows(second), second.sql("select pg_current_wal_lsn()")
    world.write_segments(second, 1)
    second.stop()
    gone = wrapper(world, "gone.sh",
                   f'if {FINISHING} && [ ! -e {world.folder}/once ]; then touch {world.folder}/once; '
                   f'rm -f pg_wal/00000002.history; mv {world.repository()} {world.repository()}.away; fi')
    pg = world.recovering(data, "c", "recovery.signal", command=gone, recovery_target_lsn=lsn,
                          recovery_target_timeline="2", recovery_target_action="promote")
    pg.launch()
    pg.wait_log("the server has ended its recovery and waits for this file")
    t.true(os.path.exists(os.path.join(data, "recovery.signal")), "recovery.signal is held")
    world.back()
    pg.wait_ready()
    opened_on_timeline_3(t, pg, wanted)


def trap1_local_copy(t, world):
    """pg_wal has the parent's history, as it usually has: nobody is asked, nothing waits."""
    data, wanted = of_timeline_2(world)
    pg = world.recovering(data, "c", "standby.signal").start()
    pg.wait_sql("select count(*) from t", str(wanted))
    world.away()
    pg.promote()
    opened_on_timeline_3(t, pg, wanted)
    t.lacks(pg.log_text(), "waits for this file", "the log")


def trap1_first_timeline(t, world):
    """The parent is timeline 1, which has no history: promotion in an outage needs nothing."""
    world.begin(1)
    data = world.copy(world.primary, "s")
    world.write_segments(world.primary, 1)
    wanted = rows(world.primary)
    pg = world.recovering(data, "s", "standby.signal").start()
    pg.wait_sql("select count(*) from t", str(wanted))
    world.away()
    pg.promote()
    t.equal(timeline(pg), "00000002")
    t.equal(rows(pg), wanted)


CASES = {
    "trap1_a_promotion_waits_for_the_store_and_opens_the_new_timeline": trap1_promotion_waits,
    "trap1_a_stop_while_it_waits_does_not_open_the_old_timeline": trap1_stop_while_waiting,
    "trap1_a_crash_while_it_waits_does_not_open_the_old_timeline": trap1_crash_while_waiting,
    "trap1_the_end_of_a_pitr_waits_too": trap1_end_of_pitr,
    "trap1_a_local_history_is_the_answer_at_once": trap1_local_copy,
    "trap1_the_first_timeline_needs_nobody": trap1_first_timeline,
}


def tests_of(major):
    """{test function's name: function} of one major."""

    def bound(case):
        return lambda t: case(t, World(t, major=major))

    suffix = "" if major == 15 else f"_on_{major}"
    return {f"test_{name}{suffix}": tap.limit(300)(bound(case)) for name, case in CASES.items()}
