#!/usr/bin/env python3
"""test_segment_sizes.py - the whole way there and back with each size of WAL segment."""
from harness import tap
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


for _mib in SIZES:
    globals()[f"test_F6_P7_archive_and_recovery_with_segments_of_{_mib}_mib"] = _there_and_back(_mib)


if __name__ == "__main__":
    tap.main(globals())
