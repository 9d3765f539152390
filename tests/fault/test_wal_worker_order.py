"""test_wal_worker_order.py - which segment a worker sends next, seen by the store that it sends them to, and a
file that is changed while the store takes its time."""
import json
import os
import subprocess
import threading
import time

from bucket_world import bucket
from push_world import World, name, segment, tap, workspace
from test_wal_worker_store import stored
from worker_world import has, ready, the_worker, until

READY = 1000
ON_THEIR_WAY = list(range(2, 10))  # with one of wal.push.workers: eight connections


class Gate:
    """Holds each PUT of a segment back until it is let through, and remembers in which order they came."""

    def __init__(self, t, store):
        self.order = []
        self.permits = threading.Semaphore(0)
        self.lock = threading.Lock()
        t.defer(self.permits.release, 10000)  # whoever waits ends with the test
        store.before = self.pass_through

    def pass_through(self, request):
        one = request.key.rpartition("/")[2]
        if request.method == "PUT" and "/wal/" in request.key:
            with self.lock:
                self.order.append(one)
            self.permits.acquire()

    def numbers(self):
        return [int(one[16:], 16) for one in self.order]

    def next(self):
        """Lets one through; the number of the one that comes then."""
        came = len(self.order)
        self.permits.release()
        until("another PUT", lambda: len(self.order) > came)
        return self.numbers()[came]


def waits(process):
    """It has asked: it holds a socket and sleeps."""
    try:
        held = any(os.readlink(f"/proc/{process.pid}/fd/{fd}").startswith("socket:")
                   for fd in os.listdir(f"/proc/{process.pid}/fd"))
        with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
            return held and file.read().rpartition(")")[2].split()[0] == "S"
    except OSError:
        return False


@tap.limit(600)
def test_P9_ask10_the_asked_for_segment_is_first_of_a_thousand(t):
    w, store = bucket(t, timeout="400s", push="workers: 1")
    ready(w, w.segment(1))  # it stays known as long as the server may ask again
    w.expect(w.push(name(1, 1)), 0)
    gate = Gate(t, store)
    names = []
    for number in range(2, READY + 2):
        names.append(w.write(name(1, number), segment(1, number)[:8192].ljust(w.size, b"\0")))
    ready(w, *names)
    calls = [w.start(name(1, 2))]
    until("eight PUTs", lambda: len(gate.order) >= len(ON_THEIR_WAY))
    for number in (900, 500, 1001):
        calls.append(w.start(name(1, number)))
        until(f"the question for {number}", lambda: waits(calls[-1]))
        w.expect(w.push(name(1, 1)), 0)  # answered from memory: the question before it is known as well
    t.equal(sorted(gate.numbers()), ON_THEIR_WAY, "nothing overtakes what is on its way")
    t.equal(sorted(gate.next() for _ in range(3)), [500, 900, 1001], "asked for, so next")
    t.equal([gate.next() for _ in range(3)], [10, 11, 12], "then the oldest")
    calls.append(w.start(name(1, 700)))
    until("the question for 700", lambda: waits(calls[-1]))
    w.expect(w.push(name(1, 1)), 0)
    t.equal([gate.next() for _ in range(3)], [700, 13, 14], "again")
    for call in calls:
        gate.permits.release(READY)
        t.equal(call.wait(100), 0, call.stderr.read())
        call.stderr.close()
        call.stdout.close()


def held_back(t):
    """A world whose store holds the PUT of segment 1 back, and the push that waits for it."""
    w, store = bucket(t)
    gate = Gate(t, store)
    one = w.segment(1, seed="then")
    call = w.start(one)
    until("the PUT", lambda: gate.order)
    return w, store, gate, one, call


def ends(t, gate, call):
    gate.permits.release(100)
    out, err = call.communicate(timeout=100)
    t.note(f"{call.returncode}: {out}{err}")
    return call.returncode


def test_P8_P10_a_file_that_is_changed_while_the_store_takes_it_is_not_acknowledged(t):
    """What was stored is whole and is what was read; of what the file holds now nothing is said."""
    w, store, gate, one, call = held_back(t)
    w.segment(1, seed="now")
    code = ends(t, gate, call)
    t.true(1 <= code <= 125, f"exit status {code} for bytes that are not in the archive")
    t.true(w.fetch(one) == segment(1, 1, seed="then"), "what is stored is what was read")
    w.expect(w.push(one), 4, "is archived with other content")
    w.segment(1, seed="then")
    w.expect(w.push(one), 0)


def test_P8_P10_a_file_that_is_replaced_while_the_store_takes_it_is_not_acknowledged(t):
    w, store, gate, one, call = held_back(t)
    other = workspace.write(f"{w.folder}/other", segment(1, 1, seed="now"), 0o600)
    os.rename(other, f"{w.pg_wal}/{one}")
    code = ends(t, gate, call)
    t.true(1 <= code <= 125, f"exit status {code} for bytes that are not in the archive")
    w.expect(w.push(one), 4, "is archived with other content")


def test_P8_P10_a_file_that_is_written_again_with_the_same_bytes_is_compared(t):
    w, store, gate, one, call = held_back(t)
    w.segment(1, seed="then")
    t.true(0 <= ends(t, gate, call) <= 125, "an exit status of an archive_command")
    w.expect(w.push(one), 0)
    t.true(w.fetch(one) == segment(1, 1, seed="then"), "stored")


HISTORY = """START WAL LOCATION: 0/1000028 (file {0})
STOP WAL LOCATION: 0/1000100 (file {0})
CHECKPOINT LOCATION: 0/1000060
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-08-01 00:00:00 UTC
LABEL: x
START TIMELINE: 1
STOP TIME: 2026-08-01 00:00:01 UTC
STOP TIMELINE: 1
"""

MEASURE = """import json, os, resource, subprocess, sys
spent = []
for line in json.loads(sys.argv[1]):
    spent.append(subprocess.run(line).returncode)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([spent, used.ru_maxrss, used.ru_utime + used.ru_stime]))
"""


def test_P15_ask10_what_was_done_ahead_is_acknowledged_without_a_request(t):
    w, store = bucket(t)
    names = [w.segment(number) for number in range(1, 101)]
    ready(w, *names)
    w.expect(w.push(names[0]), 0)
    until("all of them", lambda: all(stored(w, store, one) for one in names))
    for one in names:
        w.expect(w.push(one), 0)  # what was stored may not have been answered yet
    pid = the_worker(t, w)
    asked = len(store.requests)
    done = subprocess.run(
        ["python3", "-c", MEASURE, json.dumps([w.command(f"pg_wal/{one}") for one in names])],
        cwd=w.data, env=workspace.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        check=True, **workspace.as_user())
    codes, kib, seconds = json.loads(done.stdout)
    t.note(f"at most {kib} KiB, {1000 * seconds / len(names):.2f} ms CPU each")
    t.equal(codes, [0] * len(names))
    t.equal(len(store.requests), asked, "requests by then")
    t.equal(the_worker(t, w), pid, "who answered")
    if "LD_PRELOAD" not in os.environ and "ASAN_OPTIONS" not in os.environ:
        t.true(kib < 16 << 10, f"{kib} KiB resident")


@tap.limit(900)
def test_P9_it_looks_ahead_however_much_there_is(t):
    """More files than the worker keeps in mind: what has been archived has to leave it."""
    w = World(t, worker=True)
    segment = w.segment(1)
    label = HISTORY.format(segment)
    names = [f"{segment}.{0x28 + number:08X}.backup" for number in range(17000)]
    for one in names:
        w.write(one, label)
    ready(w, *names)
    w.expect(w.push(names[0]), 0)
    left = iter(names)
    waiting = next(left)
    end = time.monotonic() + 600
    while waiting is not None:  # the server asks for none of them: only looking ahead gets them there
        if has(w, waiting):
            os.unlink(f"{w.pg_wal}/archive_status/{waiting}.ready")
            waiting = next(left, None)
        elif time.monotonic() > end:
            raise AssertionError(f"{waiting} is not archived")
        else:
            time.sleep(0.01)
    the_worker(t, w)


if __name__ == "__main__":
    tap.main(globals())
