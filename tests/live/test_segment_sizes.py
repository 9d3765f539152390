#!/usr/bin/env python3
"""test_segment_sizes.py - the whole way there and back with each size of WAL segment: in the foreground, and
through the two workers."""
import os

from harness import tap, workers, workspace
from restore_world import World

SIZES = (1, 16, 64, 1024)  # MiB


def _there_and_back(mib):
    @tap.limit(600)
    def case(t):
        world = World(t, segment_mib=mib)
        world.insert(1)
        world.push()
        kept = world.insert(2)
        world.insert(3)
        world.archived()
        latest = world.restore("--latest")
        t.equal(latest.controldata()["Bytes per WAL segment"], str(mib << 20))
        t.equal(world.rows(latest), "1 2 3")
        latest.stop()
        moment = world.restore("--pitr", kept["time"], "--target-action", "promote")
        t.equal(world.rows(moment), "1 2")

    return case


def _by_workers(mib):
    @tap.limit(900)
    def case(t):
        spool = workspace.folder(os.path.join(t.folder(), "spool"), 0o700)
        t.defer(workers.end, t.folder())
        world = World(t, segment_mib=mib, wal={
            "spool": spool, "push": {"mode": "worker", "timeout": "240s"},
            "fetch": {"timeout": "240s"}})
        world.insert(1)
        world.push()
        pushing = workers.pids(t.folder())
        t.equal(len(pushing), 1, "the worker that archived")
        for number in (2, 3):
            world.insert(number)
            world.archived()
        t.equal(workers.pids(t.folder()), pushing, "it was one worker")
        latest = world.restore("--latest")
        t.equal(world.rows(latest), "1 2 3")
        t.equal(len(workers.pids(t.folder(), "cpam-wal-prefetch")), 1, "the worker that fetched")

    return case


for _mib in SIZES:
    globals()[f"test_F6_P7_archive_and_recovery_with_segments_of_{_mib}_mib"] = _there_and_back(_mib)
    globals()[f"test_F6_P9_ask12_through_both_workers_with_segments_of_{_mib}_mib"] = _by_workers(_mib)


if __name__ == "__main__":
    tap.main(globals())
