"""test_base_push_crash.py - cpam-base-push killed at points by call number, with calls failing, and with
the power cut: a backup that is listed is whole, one that was answered 0 is listed, and whatever
happened, the next one works."""
import errno
import glob
import os
import random
import re
import shutil
import signal
import subprocess

import crash_states
import push_world  # finds the harness
from harness import cluster, cpam, tap, workspace

POINTS = 50


class World:
    """A server that archives into a directory, and cpam-base-push with the twin in it."""

    def __init__(self, t, *repositories):
        """repositories: names of more than the one in repo, in folders of their names."""
        self.t, self.folder = t, t.folder()
        self.pg = cluster.new(t, init=False)
        self.pg.init("--wal-segsize=1")
        settings = cpam.settings(self.folder, self.pg)
        for name in repositories:
            settings["repositories"].append({"name": name, "url": f"file://{self.folder}/{name}"})
        self.config = cpam.write_config(self.folder, settings)
        self.pg.configure(**cpam.archive_settings(self.config))
        self.pg.start()
        t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)
        self.twin = f"{self.folder}/cpam-base-push-twin"
        shutil.copy(f"{push_world.BUILD_ROOT}/tests/fault/cpam-base-push-twin", self.twin)
        self.root = f"{self.folder}/repo/demo"

    def push(self, **env):
        """A push through the twin (one worker, so that calls have an order): result and calls."""
        count = f"{self.folder}/count"
        if os.path.exists(count):
            os.unlink(count)
        names = {"CPAM_TWIN_COUNT": count, **{f"CPAM_TWIN_{key}": str(value)
                                              for key, value in env.items()}}
        done = workspace.run([self.twin, "--config", self.config, "--workers", "1"], env=names,
                             check=False, timeout=300)
        if not os.path.exists(count):
            return done, None, None
        with open(count, encoding="ascii") as file:
            calls, fds = re.fullmatch(r"calls (\d+) open (-?\d+)\n", file.read()).groups()
        return done, int(calls), int(fds)

    def labels(self):
        """What is listed: backups with a summary."""
        return sorted(os.path.basename(os.path.dirname(path))
                      for path in glob.glob(f"{self.root}/backup/*/summary.json"))

    def restores(self, label):
        """The backup of this label is whole: every byte of it comes back and is checked."""
        target = f"{self.folder}/restored"
        done = cpam.run("cpam-base-fetch", "--backup", label, target, config=self.config)
        self.t.exits(done, 0)
        shutil.rmtree(target)

    def works(self):
        """A push now makes one more backup, and finishes one that had all but its summary stored."""
        before = self.labels()
        done, _, fds = self.push()
        self.t.equal(done.returncode, 0, f"the next push: {done.stderr}")
        self.t.equal(fds, 0, "descriptors left open by the next push")
        fresh = sorted(set(self.labels()) - set(before))
        self.t.true(len(fresh) in (1, 2), f"new backups {fresh}")
        self.t.equal(len(fresh) == 2, "which is stored now" in done.stderr, f"new backups {fresh}")
        return fresh[-1]


@tap.limit(900)
def test_B8_killed_at_50_points_by_call_number(t):
    w = World(t)
    done, calls, fds = w.push()
    t.equal(done.returncode, 0, done.stderr)
    t.equal(fds, 0, "descriptors left open")
    t.note(f"{calls} calls")
    listed = w.labels()
    for number in range(POINTS):
        point = 1 + number * (calls - 1) // POINTS
        done, _, _ = w.push(KILL=point)
        t.equal(done.returncode, -signal.SIGKILL, f"killed before call {point}: {done.stderr}")
        t.equal(w.labels(), listed, f"what is listed after a kill before call {point}")
        if number % 5 == 4:
            listed.append(w.works())
    w.restores(listed[-1])


@tap.limit(900)
def test_B8_killed_around_each_name_that_is_made_at_the_end(t):
    """The last objects are what makes it a backup: before the summary there is none, after it there
    is a whole one, and nothing between."""
    w = World(t)
    log = f"{w.folder}/log"
    done, _, _ = w.push(LOG=log)
    t.equal(done.returncode, 0, done.stderr)
    ops, _ = crash_states.read(log)
    links = len([op for op in ops if op.kind == "link"])
    t.note(f"{links} objects")
    os.unlink(log)
    t.true(links >= 4, "intent, pack, manifest, summary")
    seen = set()
    for kind in ("link", "unlink"):
        for nth in range(max(1, links - 6), links + 2):
            before = w.labels()
            done, _, _ = w.push(KILL=f"{nth}:{kind}")
            fresh = sorted(set(w.labels()) - set(before))
            seen.add((done.returncode, len(fresh)))
            t.true(len(fresh) <= 1, f"killed before {kind} {nth}: {fresh}")
            t.true(fresh or done.returncode != 0, "0 means listed")
            for label in fresh:
                w.restores(label)
    t.true((-signal.SIGKILL, 0) in seen and (-signal.SIGKILL, 1) in seen,
           f"kills before and behind the summary: {seen}")
    w.works()


def test_B8_a_signal_between_two_repositories_is_no_success(t):
    """One repository has its backup; the other one, just as required, has none.  Which one comes
    first is a matter of which has the last segment first."""
    w = World(t, "second")

    def having():
        return [name for name, root in (("primary", w.root), ("second", f"{w.folder}/second/demo"))
                if glob.glob(f"{root}/backup/*/summary.json")]

    # behind the summary of the first repository, before the other one's turn
    stall = {"CPAM_TWIN_STALL": "30:unlink:/summary-"}
    process = subprocess.Popen(
        [w.twin, "--config", w.config], env=workspace.environment(stall), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, **workspace.as_user())
    t.defer(lambda: process.poll() is None and process.kill())
    cluster.wait_for(lambda: having() or process.poll() is not None, 180, "the first summary")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=180)
    t.equal(len(having()), 1, f"repositories with a backup, of {having()}")
    t.equal(process.returncode, 1, err)
    other = {"primary": "second", "second": "primary"}[having()[0]]
    t.holds(err, [other, "the backup was stopped"])


@tap.limit(900)
def test_B8_a_call_that_fails_makes_no_half_backup(t):
    w = World(t)
    done, calls, _ = w.push()
    t.equal(done.returncode, 0, done.stderr)
    chance = random.Random(8)
    points = sorted({chance.randrange(1, calls + 1) for _ in range(12)} |
                    {calls - chance.randrange(120) for _ in range(12)})
    failed = 0
    for point in points:
        before = w.labels()
        done, _, fds = w.push(FAIL=f"{point}:{errno.EIO}")
        fresh = sorted(set(w.labels()) - set(before))
        t.true(0 <= done.returncode <= 3, f"call {point} failing: {done.returncode} {done.stderr}")
        t.true(fresh or done.returncode not in (0, 3), f"call {point} failing: done means listed")
        t.equal(fds, 0, f"call {point} failing: descriptors left open")
        failed += done.returncode == 1
        for label in fresh:
            w.restores(label)
        # trap 30: no session is left in backup mode
        w.pg.wait_sql("select count(*) = 0 from pg_stat_activity where application_name like 'cpam%'")
    t.note(f"{failed} of {len(points)} failing calls failed the backup")
    t.true(failed > 3, "most failures are told")
    w.restores(w.works())


@tap.limit(900)
def test_B8_T10_power_cut_at_50_points_leaves_no_listed_backup_that_is_not_whole(t):
    w = World(t)
    base = crash_states.snapshot(w.root)
    log = f"{w.folder}/log"
    done, _, _ = w.push(LOG=log)
    t.equal(done.returncode, 0, done.stderr)
    (label,) = w.labels()
    final = {path: content for path, content in crash_states.snapshot(w.root).items()
             if content is not None and f"/backup/{label}/" in path}
    summary = f"{w.root}/backup/{label}/summary.json"
    t.true(summary in final and len(final) >= 3, f"the backup's objects: {sorted(final)}")

    ops, seen = crash_states.read(log)
    # what is not in the repository (local state) is another disk as far as this goes
    named = [index for index, op in enumerate(ops) if op.kind == "link"]
    chance = random.Random(10)
    points = {len(ops)}
    for index in named[-5:]:
        points |= {min(index + step, len(ops)) for step in range(4)}
    t.true(len(ops) > 2 * POINTS, f"only {len(ops)} operations")
    while len(points) < POINTS:
        points.add(chance.randrange(len(ops)))
    count, with_summary = 0, 0
    for point in sorted(points):
        for what, chosen in crash_states.choices(ops, point):
            files = crash_states.build(base, seen, ops, chosen)
            count += 1
            if summary not in files:
                t.true(point < len(ops), f"answered 0, then the power was cut ({what}): no backup")
                continue
            with_summary += 1
            for path, content in final.items():
                if files.get(path) != content:
                    raise AssertionError(f"cut after {point} of {len(ops)}, {what}: listed, but "
                                         f"{os.path.basename(path)} is not whole")
    t.note(f"{len(points)} points, {count} states, {with_summary} of them with a summary")
    t.true(with_summary > 0, "states with a summary")


def _make_real(w, files, base, state):
    """What the cut left of the repository, but for WAL, which others archive, and of the state folder."""
    for one in os.listdir(w.root):
        if os.path.isfile(f"{w.root}/{one}"):
            os.unlink(f"{w.root}/{one}")
        elif one != "wal":
            shutil.rmtree(f"{w.root}/{one}")
    shutil.rmtree(state)
    left = {path: content for path, content in files.items() if not path.startswith(f"{w.root}/wal/")}
    for root in (w.root, state):
        crash_states.write_out(left, base, root, root)
        for top, folders, names in os.walk(root):
            for inner in [top, *[os.path.join(top, one) for one in folders + names]]:
                workspace.give(inner)
    os.chmod(state, 0o700)
    for one in os.listdir(state):
        if os.path.isfile(f"{state}/{one}"):
            os.chmod(f"{state}/{one}", 0o600)


@tap.limit(900)
def test_B3_B4_B8_power_cut_in_an_incremental_backup(t):
    """The backup before it stays whole, one that is listed is whole, and whatever is left of journal and
    state, the next push makes one that comes back."""
    w = World(t)
    state = f"{w.folder}/state"
    w.pg.sql("create table a as select i, md5(i::text) as t from generate_series(1, 20000) as i")
    done, _, _ = w.push()
    t.equal(done.returncode, 0, done.stderr)
    (first,) = w.labels()
    w.pg.sql("update a set t = t || 'x' where i % 7 = 0")
    base = {**crash_states.snapshot(w.root), **crash_states.snapshot(state)}
    log = f"{w.folder}/log"
    done, _, _ = w.push(LOG=log)
    t.equal(done.returncode, 0, done.stderr)
    (label,) = sorted(set(w.labels()) - {first})
    with open(f"{w.root}/backup/{label}/summary.json", encoding="latin-1") as file:
        t.holds(file.read(), ['"incremental"'])
    whole = {path: content for path, content in crash_states.snapshot(w.root).items()
             if content is not None and f"/backup/{label}/" in path}
    whole.update({path: content for path, content in base.items()
                  if content is not None and f"/backup/{first}/" in path})
    summary = f"{w.root}/backup/{label}/summary.json"

    ops, seen = crash_states.read(log)
    chance = random.Random(34)
    named = [index for index, op in enumerate(ops) if op.kind in ("link", "rename")]
    points = {len(ops)} | {min(index + step, len(ops)) for index in named[-6:] for step in range(4)}
    while len(points) < POINTS:
        points.add(chance.randrange(len(ops)))
    count, real, with_summary = 0, [], 0
    for point in sorted(points):
        for what, chosen in crash_states.choices(ops, point):
            files = crash_states.build(base, seen, ops, chosen)
            count += 1
            listed = summary in files
            with_summary += listed
            t.true(listed or point < len(ops), f"answered 0, then the power was cut ({what})")
            for path, content in whole.items():
                if (listed or f"/{first}/" in path) and files.get(path) != content:
                    raise AssertionError(f"cut after {point} of {len(ops)}, {what}: "
                                         f"{os.path.basename(path)} is not whole")
            if chance.random() < 0.02:
                real.append((point, what, files))
    t.note(f"{count} states, {with_summary} of them with a summary, {len(real)} of them made real")
    t.true(with_summary > 0 and len(real) > 5, "states of every kind")
    for point, what, files in real[:16]:
        _make_real(w, files, base, state)
        done, _, _ = w.push()
        t.equal(done.returncode, 0, f"cut after {point} of {len(ops)}, {what}, then: {done.stderr}")
        w.restores(w.labels()[-1])


if __name__ == "__main__":
    tap.main(globals())
