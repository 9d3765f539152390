"""test_base_fetch_crash.py - cpam-base-fetch killed at points by call number, with an fsync failing, and
with the power cut: PostgreSQL never starts on half a directory, and what was answered done is there."""
import errno
import os
import signal

import crash_states
from base_fetch_world import World  # finds the harness
from harness import tap, workspace

POINTS = 50


@tap.limit(900)
def test_T9_killed_at_50_points_by_call_number(t):
    w = World(t)
    done, calls, fds = w.fetch()
    t.true(done.returncode in (0, 3), done.stderr)
    t.equal(fds, 0, "descriptors left open")
    t.note(f"{calls} calls")
    points = {1 + number * (calls - 1) // POINTS for number in range(POINTS)}
    # and around the end, where pg_control gets its name and the settings are there
    points |= set(range(calls - 12, calls - 1, 3))
    started = 0
    for point in sorted(points):
        w.clear()
        done, _, _ = w.fetch(KILL=point)
        t.equal(done.returncode, -signal.SIGKILL, f"killed before call {point}")
        if os.path.exists(f"{w.target}/global/pg_control"):
            w.starts()  # complete but for the answer: then it must be whole
            started += 1
        else:
            w.refused(f"killed before call {point}")
            if point % 4 == 0:
                w.again()
    t.note(f"{started} of {len(points)} kills came when everything was in place")
    w.clear()
    w.fetch(KILL=calls // 2)
    w.again()
    w.starts()


@tap.limit(900)
def test_T10_an_fsync_that_fails_fails_the_restore(t):
    w = World(t)
    trace = f"{w.folder}/trace"
    done, _, _ = w.fetch(TRACE=trace)
    t.true(done.returncode in (0, 3), done.stderr)
    with open(trace, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    syncs = [line for line in lines if line.startswith("fsync ")]
    t.note(f"{len(syncs)} fsyncs")
    t.true(len(syncs) > 20, "files and directories are synced")
    for number in sorted({1, 2, len(syncs) // 3, len(syncs) // 2, *range(len(syncs) - 5,
                                                                       len(syncs) + 1)}):
        w.clear()
        done, _, fds = w.fetch(FAIL=f"{number}:{errno.EIO}:fsync")
        t.equal(done.returncode, 1, f"fsync {number} ({syncs[number - 1]}) failed: {done.stderr}")
        t.equal(fds, 0, "descriptors left open")
        t.holds(done.stderr, "Input/output error")


@tap.limit(900)
def test_T9_T10_power_cut_at_50_points_keeps_what_was_answered_and_starts_on_nothing_less(t):
    w = World(t)
    log = f"{w.folder}/log"
    done, _, _ = w.fetch(LOG=log)
    t.true(done.returncode in (0, 3), done.stderr)
    final = {path: content for path, content in crash_states.snapshot(w.target).items()
             if content is not None}
    control = f"{w.target}/global/pg_control"
    t.true(control in final and len(final) > 500, f"{len(final)} files")
    base = {w.above: None}
    ops, seen = crash_states.read(log)
    named = [index for index, op in enumerate(ops)
             if op.kind in ("rename", "link", "create") and "pg_control" in op.fields]
    t.true(named, "pg_control gets its name")
    points = {len(ops), len(ops) - 1, *range(named[-1] - 2, min(named[-1] + 4, len(ops))),
              *(len(ops) * number // POINTS for number in range(POINTS))}
    t.true(len(points) >= POINTS, f"only {len(points)} points")
    count, with_control = 0, 0
    for point in sorted(points):
        for what, chosen in crash_states.choices(ops, point, most=6):
            files = crash_states.build(base, seen, ops, chosen)
            count += 1
            if control not in files:
                t.true(point < len(ops), f"answered done, then the power was cut ({what}): lost")
                continue
            with_control += 1
            for path, content in final.items():
                if files.get(path) != content:
                    raise AssertionError(f"cut after {point} of {len(ops)}, {what}: it would start, "
                                         f"but {path[len(w.target):]} is not whole")
    t.note(f"{len(points)} points, {count} states, {with_control} of them with pg_control")


@tap.limit(900)
def test_T6_T9_a_delta_restore_killed_at_25_points(t):
    w = World(t)
    w.options = ["--delta"]
    before = w.damage()
    workspace.run(["cp", "-a", w.target, f"{w.folder}/kept"])
    done, calls, fds = w.fetch()
    t.equal(done.returncode, 3, done.stderr)  # a timeline history was put aside
    t.equal(fds, 0, "descriptors left open")
    w.starts()
    untouched, halves, whole = 0, 0, 0
    points = {1 + number * (calls - 1) // 25 for number in range(25)}
    points |= set(range(calls - 12, calls - 1, 4))
    for point in sorted(points):
        w.clear()
        workspace.run(["cp", "-a", f"{w.folder}/kept", w.target])
        done, _, _ = w.fetch(KILL=point)
        t.equal(done.returncode, -signal.SIGKILL, f"killed before call {point}")
        if not os.path.exists(f"{w.target}/global/pg_control"):
            halves += 1
            w.refused(f"killed before call {point}")
            if halves % 5 == 1:
                done, _, _ = w.fetch()
                t.true(done.returncode in (0, 3), done.stderr)
                t.true(os.path.exists(f"{w.target}/pg_wal/before-restore/00000009.history"),
                       "what was put aside stays")
                w.starts()
        elif w.untouched(before):
            untouched += 1
        else:
            w.starts()
            whole += 1
    t.note(f"{untouched} kills came before anything was touched, {halves} in the middle, {whole} "
           "when everything was in place")
    t.true(untouched > 0 and halves > 15 and whole > 0, "all three are seen")


@tap.limit(900)
def test_T6_T9_T10_power_cut_in_a_delta_restore(t):
    w = World(t)
    w.options = ["--delta"]
    before = w.damage()
    base = {w.above: None, **crash_states.snapshot(w.target), w.target: None}
    log = f"{w.folder}/log"
    done, _, _ = w.fetch(LOG=log)
    t.equal(done.returncode, 3, done.stderr)
    final = {path: content for path, content in crash_states.snapshot(w.target).items()
             if content is not None}
    control = f"{w.target}/global/pg_control"
    ops, seen = crash_states.read(log)
    gone = [index for index, op in enumerate(ops)
            if op.kind == "unlink" and op.fields[-1] == "pg_control"]
    named = [index for index, op in enumerate(ops)
             if op.kind in ("rename", "link", "create") and "pg_control" in op.fields]
    t.true(gone and named and gone[0] < named[-1], "pg_control goes, and gets its name")
    points = {len(ops), *range(gone[0], gone[0] + 12), *range(named[-1] - 2, named[-1] + 3),
              *(len(ops) * number // 25 for number in range(25))}
    count, old, new = 0, 0, 0
    for point in sorted(point for point in points if point <= len(ops)):
        for what, chosen in crash_states.choices(ops, point, most=6):
            files = crash_states.build(base, seen, ops, chosen)
            count += 1
            if control not in files:
                t.true(point < len(ops), f"answered done, then the power was cut ({what}): lost")
            elif all(files.get(path) == content for path, content in final.items()):
                new += 1
            elif all(files.get(path) == content for path, content in before.items()):
                old += 1
            else:
                wrong = [path for path, content in before.items() if files.get(path) != content]
                raise AssertionError(f"cut after {point} of {len(ops)}, {what}: it would start on a "
                                     f"mixture, {len(wrong)} files changed: {wrong[:3]}")
    t.note(f"{len(points)} points, {count} states: {old} untouched, {new} whole")
    t.true(old > 0 and new > 0, "both are seen")


if __name__ == "__main__":
    tap.main(globals())
