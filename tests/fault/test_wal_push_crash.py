"""test_wal_push_crash.py - cpam-wal-push with each of its calls failing, killed at each call, killed at
any time, and with the power cut at each point: what was answered 0 is there, whole, and nothing else
ever looks as if it were."""
import errno
import os
import random
import re
import shutil
import signal
import time

import crash_states
import push_world
from push_world import World, name, segment, tap, workspace

TWIN = "cpam-wal-worker-twin"


def clean(w, repository="primary"):
    """Forget what was pushed; keep the repository's own records."""
    shutil.rmtree(f"{w.root(repository)}/wal", ignore_errors=True)


def run(w, one, **env):
    """A push through the twin: its result, calls made, descriptors left open (None if killed)."""
    count = f"{w.folder}/count"
    if os.path.exists(count):
        os.unlink(count)
    done = w.push(one, program=TWIN, env={"CPAM_TWIN_COUNT": count,
                                          **{f"CPAM_TWIN_{key}": str(value)
                                             for key, value in env.items()}})
    if not os.path.exists(count):
        return done, None, None
    with open(count, encoding="ascii") as file:
        calls, fds = re.fullmatch(r"calls (\d+) open (-?\d+)\n", file.read()).groups()
    return done, int(calls), int(fds)


def state(w, one, content, repository="primary"):
    """absent, whole, or an exception: what a recovery would see."""
    got = w.fetch(one) if w.key_of(one) in w.objects(repository) else None
    if got is None:
        return "absent"
    if got != content:
        raise AssertionError(f"{one} is there with other content")
    return "whole"


@tap.limit(900)
def test_P14_each_call_failing_ends_in_0_to_125_and_loses_nothing(t):
    w = World(t)
    one = w.segment()
    content = segment(1, 1)
    done, calls, fds = run(w, one)
    w.expect(done, 0)
    t.equal(fds, 0, "descriptors left open")
    t.note(f"{calls} calls")
    for number in (errno.EIO, errno.ENOSPC, errno.EACCES):
        forgiven = 0
        for call in range(1, calls + 1):
            clean(w)
            done, _, fds = run(w, one, FAIL=f"{call}:{number}")
            t.true(0 <= done.returncode <= 125, f"call {call} failing ends with {done.returncode}")
            t.equal(fds, 0, f"call {call}: descriptors left open")
            there = w.key_of(one) in w.objects()
            if done.returncode == 0:
                forgiven += 1
                t.true(there, f"call {call}: 0 means stored")
            else:
                t.true(done.stderr.startswith(("cpam-wal-push: error: ", "cpam-wal-worker: error: ")),
                       f"a sentence: {done.stderr}")
            if call % 7 == 0 or done.returncode == 0:
                state(w, one, content)
            t.equal(w.stray(), [], f"call {call}: temporaries")
        t.note(f"errno {number}: {forgiven} of {calls} failing calls did no harm")
        t.true(forgiven < calls / 2, "most failures are told")
    w.expect(w.push(one), 0)
    t.equal(state(w, one, content), "whole")


@tap.limit(600)
def test_P14_from_one_call_on_everything_fails(t):
    w = World(t)
    one = w.segment()
    done, calls, _ = run(w, one)
    for call in range(1, calls + 1, 3):
        clean(w)
        done, _, fds = run(w, one, FAIL=f"{call}+:{errno.EIO}")
        t.true(1 <= done.returncode <= 125 or w.key_of(one) in w.objects(),
               f"from call {call} on: {done.returncode}")
        if done.returncode != 0:
            t.holds(done.stderr, "error: ")
    clean(w)
    w.expect(w.push(one), 0)


@tap.limit(600)
def test_P14_interrupted_and_short_calls_are_continued(t):
    w = World(t)
    one = w.segment()
    content = segment(1, 1)
    _, calls, _ = run(w, one)
    for kind in ("read", "write", "open"):
        for call in range(1, 12):
            clean(w)
            done, _, _ = run(w, one, FAIL=f"{call}:{errno.EINTR}:{kind}")
            w.expect(done, 0)
    clean(w)
    done, more, _ = run(w, one, SHORT=1000)
    w.expect(done, 0)
    t.true(more > calls + 1000, "many short reads and writes")
    t.equal(state(w, one, content), "whole")


@tap.limit(900)
def test_P10_killed_before_each_call_and_pushed_again(t):
    w = World(t)
    one = w.segment()
    content = segment(1, 1)
    _, calls, _ = run(w, one)
    seen = set()
    for call in range(1, calls + 1):
        clean(w)
        done, _, _ = run(w, one, KILL=call)
        t.equal(done.returncode, -signal.SIGKILL)
        seen.add(state(w, one, content) if w.key_of(one) in w.objects() else "absent")
        w.expect(w.push(one), 0)
        if call % 5 == 0:
            t.equal(state(w, one, content), "whole")
    t.equal(seen, {"absent", "whole"})


@tap.limit(900)
def test_P10_killed_at_any_time_and_pushed_again(t):
    w = World(t)
    chance = random.Random(1)
    start = time.monotonic()
    w.expect(w.push(w.segment(1)), 0)
    usual = time.monotonic() - start
    killed = 0
    last = 1
    while killed < 50 and last < 500:
        last = number = last + 1
        one = w.segment(number)
        while True:
            start = time.monotonic()
            process = w.start(one)
            try:
                process.wait(timeout=chance.uniform(0, usual * 1.5))
            except push_world.subprocess.TimeoutExpired:
                process.kill()
            code = process.wait()
            process.communicate()
            if code == 0:
                usual = min(usual, time.monotonic() - start)
                break
            t.equal(code, -signal.SIGKILL)
            killed += 1
            if w.key_of(one) in w.objects():
                t.equal(state(w, one, segment(1, number)), "whole")
        if number % 10 == 0:
            t.equal(state(w, one, segment(1, number)), "whole")
    t.note(f"{killed} kills in {last} segments")
    t.true(killed > 20, "it was killed often enough")
    for number in range(1, last + 1):
        t.true(w.key_of(name(1, number)) in w.objects(), f"segment {number} is there")


def cut(t, w, one, content, repositories=("primary",), env=None, code=0):
    """Push with a log, then look at every state a power cut could have left; returns their number."""
    bases = {which: crash_states.snapshot(w.root(which)) for which in repositories}
    log = f"{w.folder}/log"
    done, _, _ = run(w, one, LOG=log, **(env or {}))
    w.expect(done, code)
    count, seen, samples = 0, set(), []
    for which in repositories:
        path = f"{w.root(which)}/{w.key_of(one)}"
        with open(path, "rb") as file:
            final = file.read()
        kept = {key: value for key, value in bases[which].items() if value is not None}
        for point, total, what, files in crash_states.states(bases[which], log):
            count += 1
            found = files.get(path)
            if found not in (None, final):
                raise AssertionError(f"{which}: cut after {point} of {total}, {what}: half a segment")
            if point == total and code == 0 and found is None:
                raise AssertionError(f"{which}: answered 0, then the power was cut ({what}): lost")
            for key, value in kept.items():
                if files.get(key) != value:
                    raise AssertionError(f"{which}: cut after {point} of {total}, {what}: {key} "
                                         "was changed")
            seen.add("absent" if found is None else "whole")
            if count % 7 == 0:
                samples.append((which, point, what, files))
    t.true("whole" in seen, "a state with the object")
    return count, seen, samples, bases


@tap.limit(900)
def test_P10_power_cut_at_each_point_of_a_first_push(t):
    w = World(t)
    one = w.segment()
    content = segment(1, 1)
    count, seen, samples, bases = cut(t, w, one, content)
    t.equal(seen, {"absent", "whole"})
    t.note(f"{count} states, {len(samples)} of them pushed to again")
    # and whatever is left: the next push ends with the segment in its place
    root = w.root()
    for which, point, what, files in samples:
        shutil.rmtree(root)
        crash_states.write_out(files, bases[which], root, root)
        for top, folders, names in os.walk(root):
            for inner in [top, *[os.path.join(top, x) for x in folders + names]]:
                workspace.give(inner)
        done = w.push(one)
        if done.returncode != 0:
            raise AssertionError(f"cut after {point} ({what}), then: {done.stderr}")
        t.equal(state(w, one, content), "whole")


@tap.limit(600)
def test_P10_power_cut_after_a_push_that_found_it_there(t):
    """The first pusher is killed between the link and its fsync of the folder; the second one finds
    the segment, answers 0, and then the power is cut: it must have settled what it found."""
    w = World(t)
    one = w.segment()
    log = f"{w.folder}/log"
    run(w, one, LOG=log)
    with open(log, encoding="latin-1") as file:
        lines = [line for line in file if line.split("\t")[0] == "link"]
    t.equal(len(lines), 1)
    clean(w)
    base = crash_states.snapshot(w.root())
    first, second, both = (f"{w.folder}/{which}" for which in ("log1", "log2", "log"))
    done, _, _ = run(w, one, LOG=first, KILL="1:unlink")
    t.equal(done.returncode, -signal.SIGKILL)
    t.true(w.key_of(one) in w.objects(), "linked, not yet synced")
    done, _, _ = run(w, one, LOG=second)
    w.expect(done, 0)
    # the second log goes on where the first ended: its ids are moved behind those of the first
    ops1, seen1 = crash_states.read(first)
    ops2, seen2 = crash_states.read(second)
    at = {}
    for op in ops1:
        if op.kind in ("create", "mkdir", "link"):
            parent = seen1.get(op.fields[0]) or at.get(op.fields[0])
            at[op.fields[2]] = f"{parent}/{op.fields[1]}"
    known = {path: number for number, path in {**seen1, **at}.items()}
    same = {number: known.get(path, 10000 + number) for number, path in seen2.items()}
    for op in ops2:
        for index in {"create": (0, 2), "mkdir": (0, 2), "link": (0, 2), "rename": (0, 2, 4)}.get(
                op.kind, (0,)):
            op.fields[index] = same.get(op.fields[index], 10000 + op.fields[index])
        op.of = {op.fields[0]}
    ops = ops1 + ops2
    path = f"{w.root()}/{w.key_of(one)}"
    with open(path, "rb") as file:
        final = file.read()
    lost_before = [what for what, chosen in crash_states.choices(ops1, len(ops1))
                   if crash_states.build(base, seen1, ops1, chosen).get(path) is None]
    for what, chosen in crash_states.choices(ops, len(ops)):
        if crash_states.build(base, seen1, ops, chosen).get(path) != final:
            raise AssertionError(f"answered 0, then the power was cut ({what}): lost")
    t.true(lost_before, "without the second push it could have been lost")


@tap.limit(900)
def test_P10_power_cut_with_two_repositories(t):
    w = World(t, repositories=("first", "second"))
    one = w.segment()
    count, seen, _, _ = cut(t, w, one, segment(1, 1), repositories=("first", "second"))
    t.note(f"{count} states")
    t.equal(seen, {"absent", "whole"})


@tap.limit(600)
def test_P10_power_cut_on_a_second_timeline(t):
    """The history is there before the first segment that needs it."""
    w = World(t)
    w.write("00000002.history", "1\t0/200000\tno recovery target specified\n")
    one = w.segment(5, timeline=2)
    base = crash_states.snapshot(w.root())
    log = f"{w.folder}/log"
    done, _, _ = run(w, one, LOG=log)
    w.expect(done, 0)
    history = f"{w.root()}/{w.key_of('00000002.history')}"
    path = f"{w.root()}/{w.key_of(one)}"
    with_segment = 0
    for point, _, what, files in crash_states.states(base, log):
        if path in files:
            with_segment += 1
            t.true(history in files, f"cut after {point}, {what}: a segment without its history")
    t.true(with_segment > 0, "states with the segment")


if __name__ == "__main__":
    tap.main(globals())
