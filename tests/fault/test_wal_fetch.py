"""test_wal_fetch.py - the fetch in the foreground (cpam-wal-prefetch --once) with its calls to the outside failing one after the other.

The promise: a fault never reads as "the archive ends here" (F1), and whatever happens, at whichever
call, %p has the whole segment or does not exist (F4).
"""
import os
import subprocess

from push_world import MIB, World, control, name, segment, tap, workspace

WANTED = "pg_wal/RECOVERYXLOG"
CODES = {"recovery.signal": {0, 254}, "standby.signal": {0, 1}}


class Archive(World):
    """Three segments archived, and the data directory of a server that recovers."""

    def __init__(self, t, signal="recovery.signal", **more):
        super().__init__(t, **more)
        for number in (1, 2, 3):
            self.expect(self.push(self.segment(number)), 0)
            os.unlink(f"{self.pg_wal}/{name(1, number)}")
        workspace.write(f"{self.data}/{signal}", "")
        workspace.write(f"{self.data}/postmaster.pid", f"{os.getpid()}\n{self.data}\n1700000000\n")
        self.wanted = f"{self.data}/{WANTED}"

    def ask(self, file_name, env=None, wanted=WANTED, timeout=60):
        return subprocess.run(
            self.command("--once", file_name, wanted, program="cpam-wal-prefetch-twin"), cwd=self.data,
            env=workspace.environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout, check=False,
            **workspace.as_user())

    def calls(self, file_name, **how):
        """How many calls a fetch without faults makes; nothing stays open."""
        count = f"{self.folder}/count"
        self.ask(file_name, {"CPAM_TWIN_COUNT": count}, **how)
        with open(count, encoding="ascii") as file:
            words = file.read().split()
        self.t.equal(words[3], "0", "descriptors left open")
        self.clear()
        return int(words[1])

    def left(self):
        return [one for one in os.listdir(self.pg_wal) if one.startswith(".cpam-")]

    def clear(self):
        for one in os.listdir(self.pg_wal):
            if os.path.isfile(f"{self.pg_wal}/{one}"):
                os.unlink(f"{self.pg_wal}/{one}")

    def whole_or_absent(self, about, path=None):
        path = path or self.wanted
        if not os.path.exists(path):
            return False
        with open(path, "rb") as file:
            self.t.true(file.read() == segment(1, 2), f"the whole segment after {about}")
        return True


def _failing(signal, errno):
    def case(t):
        w = Archive(t, signal)
        calls = w.calls(name(1, 2))
        t.true(calls > 20, f"{calls} calls")
        seen = set()
        for number in range(1, calls + 1):
            about = f"call {number} failing with {errno}"
            done = w.ask(name(1, 2), {"CPAM_TWIN_FAIL": f"{number}:{errno}"})
            there = w.whole_or_absent(about)
            t.true(done.returncode in CODES[signal],
                   f"{about}: ended with {done.returncode}: {done.stderr}")
            t.equal(done.returncode == 0, there, f"{about}: delivered if and only if it says so")
            t.true(done.returncode == 0 or done.stderr, f"{about}: it says why")
            t.true(len(w.left()) <= 1, f"{about}: at most the file that could not be removed")
            seen.add(done.returncode)
            w.clear()
        t.equal(seen, CODES[signal], "both answers were seen")

    return tap.limit(300)(case)


for _signal in CODES:
    for _errno in ("EIO", "ENOENT", "ENOSPC", "EACCES"):
        globals()[f"test_F1_every_call_failing_with_{_errno}_under_{_signal.replace('.', '_')}"] = \
            _failing(_signal, _errno)


def test_F1_trap1_everything_failing_from_some_call_on(t):
    """A server whose state can't be seen may be the one that 254 opens on the old timeline: it waits."""
    w = Archive(t)
    waits = []
    for number in range(1, w.calls(name(1, 2)) + 1, 2):
        about = f"all calls from {number} on failing"
        try:
            done = w.ask(name(1, 2), {"CPAM_TWIN_FAIL": f"{number}+:EIO"}, timeout=15)
        except subprocess.TimeoutExpired:
            t.true(not w.whole_or_absent(about), about)
            waits.append(number)
            continue
        t.true(done.returncode != 1, f"{about}: {done.returncode}: {done.stderr}")
        if not w.whole_or_absent(about):
            t.equal(done.returncode, 254, about)
        w.clear()
    t.true(waits and waits == list(range(1, waits[-1] + 1, 2)) and waits[-1] < 9,
           f"it waits where all signs are out of sight, and nowhere else: {waits}")


@tap.limit(300)
def test_F4_killed_at_every_call_leaves_the_whole_segment_or_nothing(t):
    w = Archive(t)
    short = {"CPAM_TWIN_SHORT": "65536"}  # more writes, so that kills come between them
    calls = w.calls(name(1, 2))
    killed = whole = number = 0
    while True:
        number += 1
        about = f"a kill at call {number}"
        done = w.ask(name(1, 2), {"CPAM_TWIN_KILL": str(number), **short})
        there = w.whole_or_absent(about)
        if done.returncode == 0:
            break
        t.equal(done.returncode, -9, about)
        killed, whole = killed + 1, whole + there
        t.equal([one for one in os.listdir(w.pg_wal)
                 if one != "RECOVERYXLOG" and not one.startswith(".cpam-")], [], "what is left")
        # the next fetch is not disturbed by what was left
        w.expect(w.ask(name(1, 2)), 0)
        t.true(w.whole_or_absent("the next fetch"), "the next fetch delivers")
        w.clear()
    t.true(killed > calls and whole < killed / 2, f"{killed} kills, {whole} of them behind the rename")


def test_F4_short_reads_and_writes_are_no_matter(t):
    w = Archive(t)
    w.expect(w.ask(name(1, 2), {"CPAM_TWIN_SHORT": "777"}), 0)
    t.true(w.whole_or_absent("short reads and writes"), "delivered")


def test_F4_what_a_person_gets_is_durable_before_it_appears(t):
    """RECOVERYXLOG needs no fsync (the server makes it durable); any other name gets one, in order."""
    w = Archive(t)
    trace, count = f"{w.folder}/trace", f"{w.folder}/count"
    env = {"CPAM_TWIN_TRACE": trace, "CPAM_TWIN_COUNT": count}

    def steps(wanted):
        w.expect(w.ask(name(1, 2), env, wanted=wanted), 0)
        with open(trace, encoding="utf-8") as file:
            lines = [line for line in file.read().splitlines() if "pg_wal" in line]
        w.clear()
        return [line.split()[0] for line in lines if line.split()[0] in ("fsync", "close", "rename")]

    t.equal(steps(WANTED)[-2:], ["close", "rename"], "for the server")
    t.lacks(" ".join(steps(WANTED)), "fsync", "steps for the server")
    t.equal(steps(f"pg_wal/{name(1, 2)}"), ["fsync", "close", "rename", "fsync", "close"],
            "for anybody else")


def test_trap1_a_server_that_died_meanwhile_keeps_its_recovery_signal(t):
    """It waited at the end of its recovery, was killed, and only then the answer is there: whoever
    starts it again must find recovery.signal, or it opens on the old timeline."""
    w = Archive(t)
    held = f"{w.data}/recovery.signal"
    os.unlink(held)
    workspace.write(f"{w.data}/global/pg_control", control(state=5), 0o600)
    gone = subprocess.Popen(["true"])
    gone.wait()
    workspace.write(f"{w.data}/postmaster.pid", f"{gone.pid}\n{w.data}\n1700000000\n")
    ask = ("00000003.history", None, "pg_wal/RECOVERYHISTORY")
    w.expect(w.ask(*ask), 254, "the server that asked is gone")
    t.true(os.path.exists(held), "recovery.signal stays for the next start")
    # of a server that lives it is taken away
    os.unlink(held)
    workspace.write(f"{w.data}/postmaster.pid", f"{os.getpid()}\n{w.data}\n1700000000\n")
    w.expect(w.ask(*ask), 1)
    t.true(not os.path.exists(held), "recovery.signal is taken away before the answer")


def test_P11_a_file_system_that_hangs_ends_with_254_in_time(t):
    w = Archive(t, wal="fetch: { timeout: 2s }")
    for kind in ("open", "read", "pread"):
        done = w.ask(name(1, 2), {"CPAM_TWIN_STALL": f"30:{kind}:{name(1, 2)}"}, timeout=20)
        if done.returncode == 0:  # this kind of call is not made on the object
            w.clear()
            continue
        w.expect(done, 254)
        t.true(not w.whole_or_absent(f"a hanging {kind}"), "nothing is delivered")
        t.equal(w.left(), [], "temporary files")
        break
    else:
        raise AssertionError("no call on the object hung")


if __name__ == "__main__":
    tap.main(globals())
