#!/usr/bin/env python3
"""test_wal_workers.py - servers that archive through cpam-wal-worker and recover through cpam-wal-prefetch
(test_wal_workers_majors.py has the journeys for 14 to 18)."""
import os

import worker_journeys
from fetch_finishing import rows, timeline
from fetch_world import World
from harness import cpam, tap, workspace
from worker_journeys import FETCH, PUSH, archives_through_its_worker, opened, serving

globals().update(worker_journeys.tests_of(15))


@tap.limit(900)
def test_F8_P4_ask13_pg_rewind_with_both_workers(t):
    """The old primary, rewound from the archive, follows through the prefetching worker, is promoted in its
    turn and archives through the worker it had before, in the same data directory."""
    world = World(t, push="worker", timeout="60s")
    world.begin(1)
    old = world.primary
    data, base = world.copy(old, "b"), world.copy(old, "d")
    new = world.recovering(data, "b", "standby.signal", primary_conninfo=old.connection(),
                           archive_mode="on").start()
    new.wait_sql("select count(*) from t", str(rows(old)))
    new.promote()
    new.sql("insert into t values (1000)")
    # the old one writes on, on its own timeline; its early WAL is in the archive only
    diverged = archives_through_its_worker(world, old, 4)
    old.sql("checkpoint")
    old.stop()
    names = archives_through_its_worker(world, new, 2)
    t.equal((diverged[0][:8], names[0][:8]), ("00000001", "00000002"), "the timelines")
    new.sql("checkpoint")
    old.configure(restore_command=cpam.restore_command(world.config))
    wal = os.path.join(old.data, "pg_wal")
    last = old.controldata()["Latest checkpoint's REDO WAL file"]
    removed = [name for name in os.listdir(wal)
               if len(name) == 24 and name.startswith("00000001") and name < last]
    for name in removed:
        os.unlink(os.path.join(wal, name))
    # the checkpoint may have removed them by itself
    t.true(any(not os.path.exists(os.path.join(wal, name)) for name in diverged),
           "some of its WAL is in the archive only")
    before = serving(world, FETCH)
    done = workspace.run([os.path.join(old.bins, "pg_rewind"), "-c", "-D", old.data,
                          "--source-server", new.connection()], check=False)
    t.equal(done.returncode, 0, "pg_rewind: " + done.stdout + done.stderr)
    t.equal(serving(world, FETCH), before, "pg_rewind met no prefetching worker")

    # it follows by the archive alone: what it replays is not what it wrote itself
    more = archives_through_its_worker(world, new, 4)
    old.configure(primary_conninfo="", restore_command=cpam.restore_command(world.config),
                  archive_mode="on", hot_standby="on", wal_retrieve_retry_interval="200ms")
    old.append("standby.signal", "")
    old.start()
    old.wait_sql("select count(*) from t", str(rows(new)))
    t.true(old.data in serving(world, FETCH), "it was fetched ahead")
    t.equal(old.sql("select count(*) from t where a = 1000"), "1")
    t.holds(old.log_text(), f'restored log file "{more[0]}"', "the log")
    new.stop()
    old.promote()
    t.equal(timeline(old), "00000003", "the timeline")
    names = archives_through_its_worker(world, old, 3)
    t.equal(names[0][:8], "00000003", "the timeline")
    wanted = rows(old)
    old.stop()
    opened(world, world.recovering(base, "d", "recovery.signal").start(), 4, wanted)


if __name__ == "__main__":
    tap.main(globals())
