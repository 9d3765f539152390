"""test_wal_worker_crash.py - the push worker with the power cut behind each acknowledgement, killed before
each of its calls, and with each of them failing: what the front answered 0 is there, whole."""
import errno
import os
import re
import shutil
import signal
import subprocess
import time

import crash_states
import push_world
from push_world import World, segment, tap, workspace
from worker_world import has, ready, the_worker, until

_bin = None


def programs():
    """The front as it is released, and the twin in the place of the worker it starts."""
    global _bin
    if _bin is None:
        _bin = workspace.folder(f"{push_world.programs()}/twins")
        shutil.copy(f"{push_world.programs()}/cpam-wal-push", _bin)
        shutil.copy(f"{push_world.programs()}/cpam-wal-worker-twin", f"{_bin}/cpam-wal-worker")
    return _bin


def twin(**values):
    return {f"CPAM_TWIN_{key}": str(value) for key, value in values.items()}


def push(w, one, **values):
    """The front; a worker that it starts is the twin, with these values (but LOG and COUNT: a worker that
    detaches closes every file)."""
    return subprocess.run(
        [f"{programs()}/cpam-wal-push", "--config", w.config, f"pg_wal/{one}"], cwd=w.data,
        env=workspace.environment(twin(**values)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors="replace", timeout=120, check=False,
        **workspace.as_user())


def socket_there(w):
    spool = f"{w.folder}/spool"
    return any("push.sock" in os.listdir(f"{spool}/{one}") for one in os.listdir(spool))


def serve(w, err=subprocess.DEVNULL, **values):
    """The twin as a worker that is there before anybody asks; comes back when it can be asked or died.
    err: where its log goes."""
    process = subprocess.Popen(
        [f"{programs()}/cpam-wal-worker", "--config", w.config, "--serve", w.data, "--foreground"],
        cwd="/", env=workspace.environment(twin(**values)), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=err, **workspace.as_user())
    until("the worker's socket, or its end",
          lambda: socket_there(w) or process.poll() is not None)
    return process


def end(process):
    if process.poll() is None:
        process.terminate()
    return process.wait(180)


def flips(t, size, calls, **more):
    """{call: exit status} of pushes by a worker while a byte of the file is flipped before that read of it.
    0 is said of what the file holds then, and of nothing else."""
    w = World(t, worker=True, size=size, **more)
    codes = {}
    for number, call in enumerate(calls, 1):
        one = w.segment(number)
        before = segment(1, number, size)
        process = serve(w, FLIP=f"{w.pg_wal}/{one}:{size - 4096}:pread:{call}", SHORT=str(size // 8))
        codes[call] = push(w, one).returncode
        with open(f"{w.pg_wal}/{one}", "rb") as file:
            now = file.read()
        stored = w.fetch(one) if has(w, one) else None  # its id is of these bytes, or it is refused
        t.true(stored in (None, before, now), f"flip before read {call}: one of both contents, or none")
        if codes[call] == 0:
            t.true(stored == now, f"flip before read {call}: 0 is of what is there now")
        elif stored == before and now != before:
            w.expect(push(w, one), 4)
        else:
            w.expect(push(w, one), 0)
            t.true(w.fetch(one) == now, f"flip before read {call}: the next push")
        end(process)
        push_world.workers.end(w.folder)
    t.note(f"{size >> 20} MiB: {codes}")
    return codes


@tap.limit(600)
def test_P8_a_file_that_changes_while_a_worker_reads_it(t):
    codes = flips(t, push_world.MIB, range(1, 14))
    t.true(any(code != 0 for code in codes.values()), "some change was seen")


@tap.limit(900)
def test_P8_a_large_file_that_changes_while_a_worker_reads_it(t):
    codes = flips(t, 64 * push_world.MIB, (2, 9, 12, 17, 20), rest="compression: { wal: none }\n")
    t.true(any(code != 0 for code in codes.values()), "some change was seen")


def forget(w):
    """No worker, nothing in the spool, nothing archived."""
    shutil.rmtree(f"{w.root()}/wal", ignore_errors=True)
    shutil.rmtree(f"{w.folder}/spool")
    workspace.folder(f"{w.folder}/spool", 0o700)


def every_state(w, roots, log, acknowledged):
    """Each state of a power cut: no half segment, and of `acknowledged` (object path: size of the log when
    the front answered 0) all that were answered by then.  Returns how many states had to have one."""
    base = {}
    for root in roots:
        base.update(crash_states.snapshot(root))
    final = {}
    for path in acknowledged:
        with open(path, "rb") as file:
            final[path] = file.read()
    ops, _ = crash_states.read(log)
    for path in final:
        del base[path]
    checked = 0
    for point, _, what, files in crash_states.states(base, log):
        size = ops[point - 1].end if point > 0 else 0
        for path, at in acknowledged.items():
            if files.get(path) not in (None, final[path]):
                raise AssertionError(f"cut after {point}, {what}: half of {path}")
            if size >= at:
                checked += 1
                if path not in files:
                    raise AssertionError(f"cut after {point}, {what}: {path} was answered 0 and is lost")
    return checked


@tap.limit(900)
def test_P10_power_cut_after_a_worker_acknowledged(t):
    """The one that was asked for and those that it did ahead, in the order in which they are answered."""
    w = World(t, worker=True)
    names = [w.segment(number) for number in range(1, 5)]
    ready(w, *names)
    log = f"{w.folder}/log"
    acknowledged = {}
    before = crash_states.snapshot(w.root())
    process = serve(w, LOG=log)
    for one in names:
        w.expect(push(w, one), 0)
        acknowledged[f"{w.root()}/{w.key_of(one)}"] = os.path.getsize(log)
    t.equal(the_worker(t, w), process.pid, "who answered")
    t.equal(end(process), 0)
    t.true(not any(path in before for path in acknowledged), "nothing was there before")
    checked = every_state(w, [w.root()], log, acknowledged)
    t.note(f"{checked} times something acknowledged had to be there")
    t.true(checked > 20, "states behind an acknowledgement")


@tap.limit(900)
def test_P10_P4_power_cut_after_a_worker_acknowledged_on_timeline_2(t):
    """What was answered 0 is there, and so is its history, whether anybody has asked for that or not."""
    w = World(t, worker=True)
    w.write("00000002.history", "1\t0/4ABCD0\tno recovery target specified\n")
    names = [w.segment(4, timeline=2, header_timeline=1)]  # the one in which the timeline began
    names += [w.segment(number, timeline=2) for number in (5, 6)]
    ready(w, *names)
    log = f"{w.folder}/log"
    history = f"{w.root()}/{w.key_of('00000002.history')}"
    acknowledged = {}
    base = crash_states.snapshot(w.root())
    process = serve(w, LOG=log)
    for one in names:
        w.expect(push(w, one), 0)
        acknowledged[f"{w.root()}/{w.key_of(one)}"] = os.path.getsize(log)
        acknowledged.setdefault(history, os.path.getsize(log))
    t.equal(the_worker(t, w), process.pid, "who answered")
    t.equal(end(process), 0)
    t.true(not any(path in base for path in acknowledged), "nothing was there before")
    t.true(every_state(w, [w.root()], log, acknowledged) > 20, "states behind an acknowledgement")
    # nor is there ever a segment without it, acknowledged or not
    with_segment = 0
    for point, _, what, files in crash_states.states(base, log):
        if any(path in files for path in acknowledged if path != history):
            with_segment += 1
            t.true(history in files, f"cut after {point}, {what}: a segment without its history")
    t.true(with_segment > 0, "states with a segment")


@tap.limit(600)
def test_P10_a_worker_settles_what_it_finds_before_it_acknowledges(t):
    """A worker is killed between the link and the fsync of the folder; the next one finds the segment, and
    must not answer 0 for what a power cut would still take."""
    w = World(t, worker=True)
    one = w.segment()
    process = serve(w, KILL="1:unlink")
    push(w, one, KILL="1:unlink")  # whoever tries it dies there, the front's own push too
    end(process)
    t.true(has(w, one), "linked, not yet synced")
    log = f"{w.folder}/log"
    process = serve(w, LOG=log)
    w.expect(push(w, one), 0)
    t.equal(the_worker(t, w), process.pid, "who answered")
    t.equal(end(process), 0)
    ops, seen = crash_states.read(log)
    synced = {seen.get(op.fields[0]) for op in ops if op.kind == "fsync"}
    path = f"{w.root()}/{w.key_of(one)}"
    t.true(os.path.dirname(path) in synced, f"the folder of {path} is synced: {synced}")
    t.true(path in synced, f"{path} is synced: {synced}")


def calls_of(t, w, one):
    """How many calls a worker makes from its start to the end of one push."""
    count = f"{w.folder}/count"
    process = serve(w, COUNT=count)
    w.expect(push(w, one), 0)
    t.equal(end(process), 0)
    with open(count, encoding="ascii") as file:
        return int(re.match(r"calls (\d+) ", file.read()).group(1))


@tap.limit(1200)
def test_P10_a_worker_killed_before_each_call(t):
    """Killed -9 in every state: before there is a socket, while it reads, sends, syncs, answers and ends."""
    w = World(t, worker=True)
    one = w.segment()
    calls = calls_of(t, w, one)
    t.note(f"{calls} calls")
    killed = 0
    for call in range(1, calls + 1):
        forget(w)
        process = serve(w, KILL=call)
        done = push(w, one)  # another worker takes over, without the twin's order
        w.expect(done, 0)
        killed += end(process) == -signal.SIGKILL
        t.true(has(w, one), f"call {call}: stored")
        if call % 5 == 0:
            t.equal(w.fetch(one), segment(1, 1))
        push_world.workers.end(w.folder)
    t.note(f"killed {killed} times")
    t.true(killed > calls // 2, "most of them were reached")


def test_P13_a_configuration_that_is_replaced_while_a_service_starts(t):
    """Read before, looked at behind: it would serve by the old one for ever."""
    w = World(t, worker=True)
    with open(w.config, encoding="utf-8") as file:
        text = file.read()
    later = workspace.write(f"{w.folder}/later.yaml", text + "# another one\n", 0o600)
    process = serve(w, MOVE=f"{later}:{w.config}:open:pg_control")
    w.expect(push(w, w.segment()), 0)
    t.true(not os.path.exists(later), "it was replaced by then")
    t.equal(process.wait(180), 0)  # another one has read the new one, and answered
    the_worker(t, w)


@tap.limit(600)
def test_P11_P14_a_thread_that_hangs_in_a_system_call(t):
    """A disk that answers nothing any more: whoever asks hears of it in time, the worker gives itself up
    without waiting for that thread, and the next one does the work."""
    w = World(t, worker=True, wal="push: { timeout: 2s }")
    one = w.segment()
    with open(f"{w.folder}/log", "wb") as log:
        process = serve(w, log, STALL="600:fsync:/wal/")
    start = time.monotonic()
    done = push(w, one)
    took = time.monotonic() - start
    t.true(1 < took < 15, f"an answer after {took:.2f} s")
    w.expect(done, 1, f'"{one}" is not archived')
    t.true(not has(w, one), "nothing of it has its name")
    until("the worker's end", lambda: process.poll() is not None)
    with open(f"{w.folder}/log", encoding="utf-8") as log:
        t.holds(log.read(), ['repository "primary" hangs in a system call; this worker ends'])
    w.expect(push(w, one), 0)
    t.equal(w.fetch(one), segment(1, 1))


@tap.limit(1200)
def test_P14_each_call_of_a_worker_failing(t):
    w = World(t, worker=True)
    one = w.segment()
    calls = calls_of(t, w, one)
    for number in (errno.EIO, errno.ENOSPC):
        told = 0
        for call in range(1, calls + 1, 2):
            forget(w)
            process = serve(w, FAIL=f"{call}:{number}")
            done = push(w, one, FAIL=f"{call}:{number}")
            t.true(0 <= done.returncode <= 125, f"call {call} failing: {done.returncode}")
            if done.returncode == 0:
                t.true(has(w, one), f"call {call}: 0 means stored")
                t.equal(w.fetch(one), segment(1, 1))
            else:
                told += 1
                t.holds(done.stderr, "error: ")
            end(process)
            push_world.workers.end(w.folder)
        t.note(f"errno {number}: {told} were told")


if __name__ == "__main__":
    tap.main(globals())
