"""test_wal_push.py - cpam-wal-push on directory repositories: what it accepts, refuses and promises."""
import os
import shutil

import push_world
from push_world import MIB, SYSID, World, name, segment, tap, workspace


def test_P1_the_same_segment_twice_sends_no_body(t):
    w = World(t)
    one = w.segment()
    w.expect(w.push(one), 0)
    before = w.objects()
    t.true(w.key_of(one) in before, f"{w.key_of(one)} is stored")
    log = f"{w.folder}/log"
    w.expect(w.push(one, program="cpam-wal-push-twin", env={"CPAM_TWIN_LOG": log}), 0)
    t.equal(w.objects(), before, "content, inode and time of every object")
    with open(log, "rb") as file:
        t.lacks(file.read().decode("latin-1"), ["write\t", "create\t", "link\t"], "the twin's log")


if __name__ == "__main__":
    tap.main(globals())
