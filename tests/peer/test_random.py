#!/usr/bin/env python3
"""test_random.py - hundreds of pushes through a server that fails one request in five."""
import os
import random

import peer
from harness import tap

FAULTS = [503, 429, 500, "reset", "truncate", "reset_in_body", "lost_answer", "flip_upload"]
PUSHES = 500


def failing(seed, share):
    chance = random.Random(seed)

    def decide(request, _):
        if chance.random() >= share:
            return None
        fault = chance.choice(FAULTS)
        return "reset" if fault == "flip_upload" and not request.body else fault

    return decide


@tap.limit(600)
def test_S1_500_pushes_through_20_percent_of_faults(t):
    seed = int(os.environ.get("SEED", "20261123"))
    t.note(f"SEED={seed}")
    server = peer.start(t, failing(seed, 0.2))
    answer = peer.drive(server.endpoint, "--virtual-clock", "many", PUSHES, deadline=0, timeout=500)
    peer.expect(t, answer, "ok")
    t.note(answer.lines[-1])
    t.true(server.faults > PUSHES / 2, f"faults that were met: {server.faults}")
    objects = server.store.buckets["cpam"].objects
    t.equal(len(objects), PUSHES, "objects")
    t.true(all(len(versions) == 1 for versions in objects.values()), "each put once")


@tap.limit(600)
def test_S1_in_a_bucket_with_versions_each_name_has_one(t):
    server = peer.start(t, failing(7, 0.2))
    answer = peer.drive(server.endpoint, "--virtual-clock", "many", 100, bucket="versioned",
                        deadline=0, timeout=500)
    peer.expect(t, answer, "ok")
    objects = server.store.buckets["versioned"].objects
    t.equal((len(objects), max(map(len, objects.values()))), (100, 1), "objects and versions")


if __name__ == "__main__":
    tap.main(globals())
