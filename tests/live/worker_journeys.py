"""worker_journeys.py - the WAL's whole way through both workers: archived by cpam-wal-worker, recovered from
the segments that cpam-wal-prefetch has ready.

tests_of(major) yields the tests for one major of PostgreSQL; all but pg_rewind, which is of one major and
comes with Debian's, need nothing but a server.
"""
import os

from fetch_finishing import rows, timeline, wrapper
from fetch_world import World
from harness import tap, workspace

PUSH, FETCH = "cpam-wal-worker", "cpam-wal-prefetch"


def serving(world, program):
    """{data directory: pid} of this program's workers."""
    return {line[line.index("--serve") + 1]: pid
            for pid, line in workspace.workers(world.folder).items()
            if os.path.basename(line[0]) == program}


def archives_through_its_worker(world, pg, segments=2):
    """It writes segments, and it is the worker of its own data directory that has archived them."""
    names = world.write_segments(pg, segments)
    world.t.true(pg.data in serving(world, PUSH), f"{pg.name} has a push worker")
    world.t.lacks(pg.log_text(), "in the foreground", f"the log of {pg.name}")
    for name in names:
        world.object(name)
    return names


def told(world, name="told.sh"):
    """A restore_command that says, of each segment it is asked for, that a worker fetches for this server."""
    return wrapper(world, name, 'pgrep -f -- "cpam-wal-prefetch .*--serve $PWD$" > /dev/null && '
                   'echo "prefetching $1" >&2')


def restored_segments(pg):
    return [line.split('"')[1] for line in pg.log_text().splitlines() if "restored log file" in line
            and ".history" not in line]


def opened(world, pg, number, wanted):
    pg.wait_sql("select pg_is_in_recovery()", "f")
    world.t.equal(timeline(pg), f"{number:08X}", "the timeline")
    world.t.equal(rows(pg), wanted, "rows")


def there_and_back(t, world):
    """Twenty segments, and the server that recovers them was offered them by the worker."""
    world.begin(2)
    data = world.copy(world.primary, "r")
    names = archives_through_its_worker(world, world.primary, 20)
    wanted = rows(world.primary)
    world.primary.stop()
    pg = world.recovering(data, "r", "recovery.signal", command=told(world)).start()
    opened(world, pg, 2, wanted)
    t.true(set(names) <= set(restored_segments(pg)), "all of them came from the archive")
    prefetched = [name for name in names if f"prefetching {name}" in pg.log_text()]
    t.true(len(prefetched) >= 18, f"the worker was there for {prefetched}")
    t.lacks(pg.log_text(), "in the foreground", "the log")


def three_timelines(t, world):
    """Two promotions by recovery, and a standby that follows all of it, is promoted itself and goes on
    archiving: four timelines, each archived by the worker of its own server."""
    world.begin(2)
    base, follower = world.copy(world.primary, "d"), world.copy(world.primary, "f")
    archives_through_its_worker(world, world.primary)
    second = world.second_timeline()
    names = archives_through_its_worker(world, second)
    t.equal(names[0][:8], "00000002", "the timeline")
    standby = world.recovering(follower, "f", "standby.signal", archive_mode="on").start()
    standby.wait_sql("select count(*) from t", str(rows(second)))
    other = world.copy(second, "c")
    archives_through_its_worker(world, second)
    second.stop()
    third = world.recovering(other, "c", "recovery.signal", archive_mode="on").start()
    third.wait_sql("select pg_is_in_recovery()", "f")
    names = archives_through_its_worker(world, third)
    t.equal(names[0][:8], "00000003", "the timeline")
    standby.wait_sql("select count(*) from t", str(rows(third)))
    third.stop()

    standby.promote()
    t.equal(timeline(standby), "00000004", "the promoted standby's timeline")
    names = archives_through_its_worker(world, standby, 4)
    t.equal(names[0][:8], "00000004", "the timeline")
    wanted = rows(standby)
    for number in (2, 3, 4):
        world.object(f"{number:08X}.history")
    standby.stop()
    t.true(len(serving(world, PUSH)) <= 4, "one push worker for each server at most")

    fresh = world.recovering(base, "d", "recovery.signal").start()
    opened(world, fresh, 5, wanted)
    t.equal({name[:8] for name in restored_segments(fresh)},
            {f"{number:08X}" for number in (1, 2, 3, 4)}, "timelines replayed")


CASES = {
    "P9_F5_archived_and_recovered_through_both_workers": there_and_back,
    "P4_F7_ask13_a_promoted_standby_goes_on_over_three_timelines_through_both_workers": three_timelines,
}


def tests_of(major):
    """{test function's name: function} of one major."""

    def bound(case):
        return lambda t: case(t, World(t, major=major, push="worker", timeout="60s"))

    suffix = "" if major == 15 else f"_on_{major}"
    return {f"test_{name}{suffix}": tap.limit(900)(bound(case)) for name, case in CASES.items()}
