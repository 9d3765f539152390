"""test_wal_worker_store.py - the push worker before an S3 server that refuses, stalls, resets, throttles or
lies (tests/peer/server.py): 0 only for what is whole in the bucket, an answer in time, no hammering, and all
is archived once the server is well again."""
import os
import random
import shutil
import signal
import threading
import time

from bucket_world import bucket
from push_world import World, name, segment, tap, workers, workspace
from worker_world import has, ready, the_worker, until

LATE = 20  # s: by then a push with a deadline of 3 s has answered


def stored(w, store, one):
    """The bytes of this segment's object, or None."""
    for key in list(store.store.buckets["cpam"].objects):
        if key.endswith(w.key_of(one)):
            return store.store.buckets["cpam"].current(key).body
    return None


def only(method, one, fault, times=None):
    """Requests of this method for this segment meet the fault, so many times (None: always)."""
    left = [times]
    seen = []

    def decide(request, _):
        if request.method != method or not request.key.endswith(one):
            return None
        seen.append(time.monotonic())
        if left[0] is None:
            return fault
        left[0] -= 1
        return fault if left[0] >= 0 else None

    decide.seen = seen
    return decide


def timed(t, w, one):
    start = time.monotonic()
    done = w.push(one)
    took = time.monotonic() - start
    t.true(took < LATE, f"an answer after {took:.1f} s")
    return done


# -- what is asked beside a put ------------------------------------------------------------------------

def test_S2_P1_only_who_puts_many_asks_what_a_store_looks_at(t):
    w, store = bucket(t)
    for number, program in ((1, "cpam-wal-worker-twin"), (2, "cpam-wal-push")):
        noise = random.Random(number).randbytes(w.size - 4096)
        one = w.write(name(1, number, w.size), segment(1, number, w.size)[:4096] + noise)
        w.expect(w.push(one, program=program), 0)
        asked = [each.key for each in store.requests if each.key.endswith(("/crc32c", "/sha256"))]
        t.equal(len(asked) > 0, program == "cpam-wal-push", f"{program} put a probe: {asked}")
        t.equal(w.fetch(one), segment(1, number, w.size)[:4096] + noise)


# -- what goes over by trying again ------------------------------------------------------------------

PASSING = [("reset", 1), ("lost_answer", 1), (503, 3), (500, 1), ("error_200", 1), ("flip_upload", 1),
           ("truncate", 1)]


def test_S1_S2_S3_P10_a_fault_that_passes_is_no_failure(t):
    w, store = bucket(t)
    for number, (fault, times) in enumerate(PASSING, 1):
        one = w.segment(number)
        store.fault = only("PUT", one, fault, times)
        w.expect(w.push(one), 0)
        t.true(len(store.fault.seen) >= 1, f"{fault} was met")
        store.fault = lambda request, server: None
        t.equal(w.fetch(one), segment(1, number), f"after {fault}")
    the_worker(t, w)


# -- what does not -----------------------------------------------------------------------------------

LASTING = [("reset", "PUT"), ("stall", "PUT"), ("drip", "PUT"), (503, "PUT"), (403, "PUT"),
           ("error_200", "PUT"), ("flip_upload", "PUT"), ("no_http", "PUT"), ("wrong_etag", "PUT")]


def _lasting(fault, method):
    def case(t):
        w, store = bucket(t, timeout="3s")
        one, other = w.segment(1), w.segment(2)
        store.fault = only(method, one, fault)
        done = timed(t, w, one)
        t.true(1 <= done.returncode <= 125, f"exit status {done.returncode} with {fault}")
        t.holds(done.stderr, f'"{one}" is not archived')
        t.true(len(store.fault.seen) >= 1, "the fault was met")
        w.expect(w.push(other), 0)  # what is next is not held up by it
        store.fault = lambda request, server: None
        until("a push of it", lambda: w.push(one).returncode == 0)
        t.equal(w.fetch(one), segment(1, 1))
    return case


for _fault, _method in LASTING:
    globals()[f"test_P11_S2_ask4_a_store_that_answers_a_{_method}_with_{_fault}"] = _lasting(_fault, _method)


@tap.limit(600)
def test_P10_a_worker_killed_at_each_request_to_a_store(t):
    """Right before the store takes it, which it then does: nothing acknowledged is missing, and the next
    worker gets along with what is there."""
    w, store = bucket(t)
    w.expect(w.push(w.segment(1)), 0)
    killed = []

    def at_request(wanted):
        count = [0]

        def decide(request, _):
            count[0] += 1
            if count[0] == wanted:
                for pid in w.workers():
                    os.kill(pid, signal.SIGKILL)
                    killed.append((request.method, request.key))
            return None

        return decide

    numbers = range(2, 42)
    for number in numbers:
        store.fault = at_request(1 + number % 3)
        w.expect(w.push(w.segment(number)), 0)
        t.true(stored(w, store, name(1, number)), f"segment {number} is acknowledged, and stored")
    store.fault = lambda request, server: None
    t.note(f"{len(killed)} kills: {sorted(set(method for method, _ in killed))}")
    t.true(len(killed) > 20 and any(method == "PUT" for method, _ in killed), "kills at puts among them")
    for number in numbers:
        t.equal(w.fetch(name(1, number)), segment(1, number))


def test_S3_P10_ask4_a_store_that_keeps_half_is_never_believed(t):
    """It says that it stored everything: no 0, now or later, from this worker or the next."""
    w, store = bucket(t, timeout="3s")
    one = w.segment()
    store.fault = only("PUT", one, "store_less", 1)
    for _ in range(3):
        done = timed(t, w, one)
        t.true(1 <= done.returncode <= 125, f"exit status {done.returncode}: {done.stderr}")
    workers.end(w.folder)
    t.true(timed(t, w, one).returncode != 0, "another worker does not believe it either")


def _again(fault):
    def case(t):
        """The segment is there; the question whether it is the same one meets the fault."""
        w, store = bucket(t, timeout="3s")
        one = w.segment()
        w.expect(w.push(one), 0)
        workers.end(w.folder)
        store.fault = lambda request, server: (
            fault if request.method in ("GET", "HEAD") and request.key.endswith(one) else None)
        done = timed(t, w, one)
        t.true(1 <= done.returncode <= 125, f"exit status {done.returncode} with {fault}")
        # and another content under that name is not taken for it
        w.segment(1, seed="other")
        t.true(timed(t, w, one).returncode != 0, "other content")
        store.fault = lambda request, server: None
        # what was under way may still end as it did; then it is told
        until("the conflict", lambda: w.push(one).returncode == 4)
    return case


for _fault in ("stall_in_body", "reset_in_body", "short", "error_200", 503):
    globals()[f"test_P1_P11_what_is_there_and_a_store_that_answers_with_{_fault}"] = _again(_fault)


# -- a long way ---

def test_P9_ask10_a_store_far_away_gets_more_at_a_time(t):
    """Threads that wait for the store leave the processors to others: with two workers, more than eight
    segments are under way at once."""
    w, store = bucket(t, push="workers: 2")
    names = [w.segment(number) for number in range(1, 61)]
    ready(w, *names)
    lock, now, most = threading.Lock(), set(), [0]
    enough = threading.Event()

    def before(request):
        one = request.key[-24:]
        if request.method != "PUT" or one not in names:
            return
        with lock:
            now.add(one)
            most[0] = max(most[0], len(now))
            if len(now) > 8:
                enough.set()
        enough.wait(60)  # none is answered before more than eight have been asked for
        with lock:
            now.discard(one)

    store.before = before
    for one in names:
        w.expect(w.push(one), 0)
    t.true(enough.is_set(), f"at most {most[0]} at a time")
    t.true(all(stored(w, store, one) for one in names), "all are stored")


# -- throttling --------------------------------------------------------------------------------------

def test_S1_throttling_is_obeyed_and_everything_arrives(t):
    w, store = bucket(t, timeout="6s")
    names = [w.segment(number) for number in range(1, 31)]
    ready(w, *names)
    asked = []
    throttles = [True]

    def decide(request, _):
        if request.method == "PUT":
            asked.append((time.monotonic(), request.key))
            return 503 if throttles[0] else None
        return None

    store.fault = decide
    t.equal(timed(t, w, names[0]).returncode, 1)
    # Of the key that was tried most, which may be the one that shows what the store refuses: a
    # segment can be left with two tries, and the wait between those may be 50 ms.
    times = max(([at for at, key in asked if key == one] for one in {key for _, key in asked}),
                key=len)
    t.note(f"{len(asked)} requests, at most {len(times)} of them for one key")
    t.true(len(times) >= 3, "it was tried again")
    # without waiting thousands of requests go over loopback in 6 s
    t.true(len(asked) < 400, f"{len(asked)} requests while the store says SlowDown")
    gaps = [later - at for at, later in zip(times, times[1:])]
    t.true(max(gaps) > 0.1, f"it waits between two tries: {gaps}")
    throttles[0] = False
    # as the server does: it asks again, for the one that failed and then for the next
    for one in names:
        until(one, lambda one=one: w.push(one).returncode == 0)
        t.true(stored(w, store, one), f"{one} is stored")


# -- the clock ---------------------------------------------------------------------------------------

def test_S10_a_clock_20_minutes_off_is_no_failure(t):
    """From the first request on, and in the middle of a worker's life; ahead and behind."""
    w, store = bucket(t)
    number = 0
    for clock in (1200.0, -1200.0, 0.0):
        store.clock = clock
        names = [w.segment(number + more) for more in range(1, 5)]
        number += 4
        ready(w, *names)
        w.expect(w.push(names[0]), 0)
        until("all of them", lambda: all(stored(w, store, one) for one in names))
        for one in names:
            w.expect(w.push(one), 0)
            t.equal(w.fetch(one), segment(1, int(one[-8:], 16)))
    the_worker(t, w)
    # another one, which has never seen the right time
    store.clock = 1200.0
    workers.end(w.folder)
    w.expect(w.push(w.segment(number + 1)), 0)


# -- two hosts ---------------------------------------------------------------------------------------

def other_host(t, w):
    """A second data directory with the same identity: a worker of its own, as on another host."""
    other = workspace.folder(f"{w.folder}/other", 0o700)
    shutil.copytree(w.data, other, dirs_exist_ok=True)
    for top, folders, names in os.walk(other):
        for inner in folders + names:
            workspace.give(os.path.join(top, inner))
    return other


def race(t, w, content_of, rounds=25):
    other = other_host(t, w)
    for number in range(1, rounds + 1):
        one = w.segment(number, seed="here")
        workspace.write(f"{other}/pg_wal/{one}", segment(1, number, seed="there"), 0o600)
        ends = [None, None]

        def call(at, cwd, one=one, ends=ends):
            ends[at] = w.push(one, cwd=cwd)

        threads = [threading.Thread(target=call, args=row) for row in ((0, w.data), (1, other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = [done.returncode for done in ends]
        t.equal(sorted(codes), [0, 4], f"round {number}: {ends[0].stderr} {ends[1].stderr}")
        t.equal(content_of(one), segment(1, number, seed=("here", "there")[codes.index(0)]))
    t.equal(len(w.workers()), 2, "workers")


@tap.limit(600)
def test_P3_ask3_two_hosts_push_the_same_names_into_a_bucket(t):
    w, _ = bucket(t)
    race(t, w, w.fetch)


@tap.limit(600)
def test_P3_ask3_two_hosts_push_the_same_names_into_a_directory(t):
    w = World(t, worker=True)
    race(t, w, w.fetch)
    t.true(has(w, name(1, 1)), "stored")


if __name__ == "__main__":
    tap.main(globals())
