"""test_base_fetch_crash.py - cpam-base-fetch killed at points by call number, with an fsync failing, and
with the power cut: PostgreSQL never starts on half a directory, and what was answered done is there."""
import errno
import os
import re
import shutil
import signal

import crash_states
import push_world  # finds the harness
from harness import cluster, cpam, tap, workspace

POINTS = 50


class World:
    """A repository with one backup and its WAL, and cpam-base-fetch with the twin in it."""

    def __init__(self, t):
        self.t, self.folder = t, t.folder()
        self.pg = cluster.new(t, init=False)
        self.pg.init("--wal-segsize=1")
        self.config = cpam.write_config(self.folder, cpam.settings(self.folder, self.pg))
        self.pg.configure(**cpam.archive_settings(self.config))
        self.pg.start()
        t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)
        self.pg.sql("create table t as select generate_series(1, 1000) a")
        t.exits(cpam.run("cpam-base-push", config=self.config), 0)
        self.pg.sql("insert into t values (4711)")
        self.pg.wait_archived(self.pg.switch_wal())
        self.pg.stop()
        # the settings it writes name the programs beside it
        bin_folder = workspace.folder(f"{self.folder}/bin", 0o755)
        for one in os.listdir(cpam.programs()):
            shutil.copy(f"{cpam.programs()}/{one}", bin_folder)
        self.twin = f"{bin_folder}/cpam-base-fetch-twin"
        shutil.copy(f"{push_world.BUILD_ROOT}/tests/fault/cpam-base-fetch-twin", self.twin)
        self.above = workspace.folder(f"{self.folder}/restored", 0o755)
        self.target = f"{self.above}/data"

    def fetch(self, **env):
        """A restore through the twin: result, calls made, descriptors left open."""
        count = f"{self.folder}/count"
        if os.path.exists(count):
            os.unlink(count)
        names = {"CPAM_TWIN_COUNT": count, **{f"CPAM_TWIN_{key}": str(value)
                                              for key, value in env.items()}}
        done = workspace.run([self.twin, "--config", self.config, "--latest", self.target],
                             env=names, check=False, timeout=300)
        if not os.path.exists(count):
            return done, None, None
        with open(count, encoding="ascii") as file:
            calls, fds = re.fullmatch(r"calls (\d+) open (-?\d+)\n", file.read()).groups()
        return done, int(calls), int(fds)

    def clear(self):
        shutil.rmtree(self.target, ignore_errors=True)

    def refused(self, what):
        """PostgreSQL does not start on what is there."""
        if not os.path.isdir(self.target):
            return
        server = cluster.restored(self.t, self.target, "half")
        server.launch()
        code = server.ended(30)
        self.t.true(code != 0, f"{what}: PostgreSQL ended with {code}: {server.log_tail(5)}")

    def again(self):
        """The restore is run once more, after moving the rest aside if it asks for that."""
        done, _, _ = self.fetch()
        if done.returncode not in (0, 3):
            self.t.holds(done.stderr, ["mv ", self.target])
            os.rename(self.target, f"{self.target}.aside")
            done, _, _ = self.fetch()
            shutil.rmtree(f"{self.target}.aside")
        self.t.true(done.returncode in (0, 3), f"the restore again: {done.stderr}")

    def starts(self):
        """It recovers to the end of the archive, with the row that only WAL has."""
        server = cluster.restored(self.t, self.target, "whole")
        server.start()
        self.t.equal(server.sql("select count(*) from t where a = 4711"), "1", "the last row")
        server.stop()


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


if __name__ == "__main__":
    tap.main(globals())
