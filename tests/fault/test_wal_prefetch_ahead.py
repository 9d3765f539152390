"""test_wal_prefetch_ahead.py - a replay of 200 segments from a store that is 20 ms away: once warm, what is
asked for was asked of the store before, and never twice."""
import collections
import os
import re
import signal
import subprocess
import time

import push_world
from bucket_world import bucket
from push_world import World, name, programs, segment, tap, workspace
from worker_world import until

SEGMENTS = 200
FIRST = 8  # segments until it is warm


class Replay(World):
    """A bucket with the segments in it, and the data directory of a server that recovers."""

    def __init__(self, t, fetch):
        made, self.store = bucket(t, fetch=fetch)
        self.__dict__.update({**made.__dict__, "store": self.store})
        names = [self.segment(number) for number in range(1, SEGMENTS + 1)]
        folder = workspace.folder(f"{self.pg_wal}/archive_status", 0o700)
        for one in names:
            workspace.write(f"{folder}/{one}.ready", "", 0o600)
        for one in names:
            self.expect(self.push(one), 0)
        push_world.workers.end(self.folder)
        for one in names:
            os.unlink(f"{self.pg_wal}/{one}")
            os.unlink(f"{folder}/{one}.ready")
        workspace.write(f"{self.data}/recovery.signal", "")
        workspace.write(f"{self.data}/postmaster.pid", f"{os.getpid()}\n{self.data}\n1700000000\n")
        del self.store.requests[:]
        self.store.before = lambda request: time.sleep(0.02)

    def got(self):
        """{segment's number: how often the store was asked for its content}; none behind the last."""
        found = collections.Counter()
        for request in list(self.store.requests):
            at = re.search(r"/(0000000100000000[0-9A-F]{8})$", request.key)
            if request.method == "GET" and at:
                found[int(at.group(1)[16:], 16)] += 1
        return {number: times for number, times in found.items() if number <= SEGMENTS}

    def replay(self, number):
        done = subprocess.run(
            [f"{programs()}/cpam-wal-fetch", "--config", self.config, name(1, number),
             "pg_wal/RECOVERYXLOG"], cwd=self.data, env=workspace.environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=120, check=False, **workspace.as_user())
        self.expect(done, 0)
        with open(f"{self.pg_wal}/RECOVERYXLOG", "rb") as file:
            self.t.true(file.read() == segment(1, number), f"segment {number}")
        os.unlink(f"{self.pg_wal}/RECOVERYXLOG")


@tap.limit(900)
def test_F5_ask11_each_segment_is_asked_of_the_store_before_replay_asks_for_it(t):
    """A continuous pipeline: before each question the next two are on their way as well, with no question
    that would set them off.  A batch that is used up to its end, or a worker that stalls, never gets there."""
    w = Replay(t, "timeout: 100s, workers: 2, prefetch: 16")
    for number in range(1, SEGMENTS + 1):
        if number > FIRST:
            wanted = {ahead for ahead in range(number, number + 3) if ahead <= SEGMENTS}
            until(f"{sorted(wanted)} to be asked of the store before {number} is asked for",
                  lambda wanted=wanted: wanted <= set(w.got()))
        w.replay(number)
    asked = w.got()
    t.equal(sorted(asked), list(range(1, SEGMENTS + 1)), "segments asked for")
    twice = [number for number, times in asked.items() if times > 1]
    t.equal([number for number in twice if number > FIRST], [], "segments that were fetched twice")
    t.note(f"{len(w.store.requests)} requests for {SEGMENTS} segments")
    t.true(len(w.store.requests) < 2 * SEGMENTS, f"{len(w.store.requests)} requests")


@tap.limit(900)
def test_F5_ask11_a_replay_that_never_waits_by_itself(t):
    """Segment after segment without a pause: nothing is fetched twice, and nothing in the foreground."""
    w = Replay(t, "timeout: 100s, workers: 4, prefetch: 64")
    waited = 0
    for number in range(1, SEGMENTS + 1):
        waited += number not in w.got()
        w.replay(number)
    asked = w.got()
    t.note(f"{waited} of {SEGMENTS} were not on their way yet when they were asked for")
    t.equal([number for number, times in asked.items() if times > 1 and number > FIRST], [],
            "segments that were fetched twice")
    t.true(waited < SEGMENTS // 2, f"{waited} were not on their way")


@tap.limit(900)
def test_F4_a_worker_killed_at_requests_to_a_store(t):
    """Each segment is delivered whole all the same, by the next worker or without one."""
    w = Replay(t, "timeout: 100s, workers: 2, prefetch: 16")
    killed = []

    def fault(request, _):
        if len(w.store.requests) % 9 == 0:
            for pid in push_world.workers.pids(w.folder, "cpam-wal-prefetch"):
                os.kill(pid, signal.SIGKILL)
                killed.append(request.key)

    w.store.fault = fault
    for number in range(1, 61):
        w.replay(number)
    t.note(f"{len(killed)} kills")
    t.true(len(killed) > 10, f"{len(killed)} kills")


if __name__ == "__main__":
    tap.main(globals())
