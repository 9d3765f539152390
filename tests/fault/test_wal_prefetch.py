"""test_wal_prefetch.py - the front and the worker with their calls to the outside failing, or killed
between two of them: %p has the whole segment or does not exist (F4), and a fault never reads as "the
archive ends here" (F1).
"""
import os
import shutil
import signal
import subprocess

from push_world import BUILD_ROOT, SYSID, World, name, programs, segment, tap, workers, workspace
from worker_world import until

from harness import cluster

WANTED = "pg_wal/RECOVERYXLOG"


class Archive(World):
    """Eight segments archived, and the data directory of a server that recovers.  twin: what has the
    twin in it, the front or the worker; the other one is as it is released."""

    def __init__(self, t, twin, fetch="timeout: 20s", **more):
        super().__init__(t, wal=f"fetch: {{ {fetch} }}", **more)
        for number in range(1, 9):
            self.expect(self.push(self.segment(number)), 0)
            os.unlink(f"{self.pg_wal}/{name(1, number)}")
        workspace.folder(f"{self.folder}/spool", 0o700)
        workspace.write(f"{self.data}/recovery.signal", "")
        workspace.write(f"{self.data}/postmaster.pid", f"{os.getpid()}\n{self.data}\n1700000000\n")
        self.wanted = f"{self.data}/{WANTED}"
        self.programs = workspace.folder(f"{self.folder}/bin")
        self.twin = twin
        for program in ("cpam-wal-fetch", "cpam-wal-prefetch"):
            shutil.copy(f"{programs()}/{program}{'-twin' if program == twin else ''}",
                        f"{self.programs}/{program}")

    def ask(self, number, env=None, timeout=120):
        return subprocess.run(
            [f"{self.programs}/cpam-wal-fetch", "--config", self.config, name(1, number), WANTED],
            cwd=self.data, env=workspace.environment(env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            timeout=timeout, check=False, **workspace.as_user())

    def calls(self, number):
        count = f"{self.folder}/count"
        self.expect(self.ask(number, {"CPAM_TWIN_COUNT": count}), 0)
        self.whole_or_absent(number, "no fault")
        with open(count, encoding="ascii") as file:
            return int(file.read().split()[1])

    def whole_or_absent(self, number, about):
        """Whether it is there, and if so whole; it is taken away."""
        left = [one for one in os.listdir(self.pg_wal)
                if one != "RECOVERYXLOG" and not one.startswith(".cpam-")]
        self.t.equal(left, [], f"what is in pg_wal after {about}")
        there = os.path.exists(self.wanted)
        if there:
            with open(self.wanted, "rb") as file:
                self.t.true(file.read() == segment(1, number), f"the whole segment after {about}")
        for one in os.listdir(self.pg_wal):
            os.unlink(f"{self.pg_wal}/{one}")
        return there


def has_socket(pid):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
                   for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:  # one was closed while it was looked at
        return False


@tap.limit(600)
def test_F4_the_front_killed_at_every_call(t):
    w = Archive(t, "cpam-wal-fetch")
    w.calls(1)  # the worker runs now
    call = killed = whole = 0
    while True:
        call += 1
        about = f"a kill of the front at call {call}"
        done = w.ask(2 + call % 4, {"CPAM_TWIN_KILL": str(call)})
        there = w.whole_or_absent(2 + call % 4, about)
        if done.returncode == 0:
            t.true(there, "delivered")
            break
        t.equal(done.returncode, -signal.SIGKILL, about)
        killed, whole = killed + 1, whole + there
        w.expect(w.ask(2 + call % 4), 0)  # the next one is not disturbed
        t.true(w.whole_or_absent(2 + call % 4, "the next fetch"), "the next fetch delivers")
    t.true(killed > 10 and whole <= 3, f"{killed} kills, {whole} of them behind the rename")


@tap.limit(600)
def test_F1_F4_every_call_of_the_front_failing(t):
    w = Archive(t, "cpam-wal-fetch")
    calls = w.calls(1)
    t.true(calls > 10, f"{calls} calls")
    delivered = 0
    for errno in ("EIO", "ENOENT", "ENOSPC", "EACCES"):
        for call in range(1, calls + 1):
            about = f"call {call} of the front failing with {errno}"
            done = w.ask(2 + call % 4, {"CPAM_TWIN_FAIL": f"{call}:{errno}"})
            t.true(done.returncode in (0, 254), f"{about}: {done.returncode}: {done.stderr}")
            t.equal(w.whole_or_absent(2 + call % 4, about), done.returncode == 0, about)
            delivered += done.returncode == 0
    t.true(delivered > calls, f"{delivered} delivered: most are had in the foreground")


@tap.limit(600)
def test_F1_every_call_of_a_standbys_front_failing(t):
    """254 would shut it down."""
    w = Archive(t, "cpam-wal-fetch")
    os.unlink(f"{w.data}/recovery.signal")
    workspace.write(f"{w.data}/standby.signal", "")
    calls = w.calls(1)
    for errno in ("EIO", "ENFILE", "ESTALE"):
        for call in range(1, calls + 1):
            about = f"call {call} of the front failing with {errno}"
            done = w.ask(2 + call % 4, {"CPAM_TWIN_FAIL": f"{call}:{errno}"})
            t.true(done.returncode in (0, 1), f"{about}: {done.returncode}: {done.stderr}")
            t.equal(w.whole_or_absent(2 + call % 4, about), done.returncode == 0, about)


@tap.limit(900)
def test_F1_F4_the_worker_failing_or_killed_at_any_call(t):
    """Whatever happens to it, the front delivers the whole segment, or says that it could not tell."""
    w = Archive(t, "cpam-wal-prefetch")
    seen = set()
    for fault in ([f"KILL {call}" for call in (5, 20, 40, 60, 90, 130, 180)] +
                  [f"FAIL {call}:{errno}" for errno in ("EIO", "ENOSPC") for call in range(1, 160, 13)] +
                  [f"FAIL {call}+:ENOSPC" for call in (1, 40, 90)]):
        kind, value = fault.split()
        env = {f"CPAM_TWIN_{kind}": value}
        for number in (1, 2, 3):
            # the fetch in the foreground is the same program: it meets the fault as well
            done = w.ask(number, env)
            t.true(done.returncode in (0, 254, -signal.SIGKILL),
                   f"{fault}: {done.returncode}: {done.stderr}")
            t.equal(w.whole_or_absent(number, fault), done.returncode == 0, fault)
            seen.add(done.returncode)
        workspace.end_workers(w.folder)
        w.expect(w.ask(4), 0)
        w.whole_or_absent(4, "the fault is gone")
        workspace.end_workers(w.folder)
    t.true(0 in seen, f"answers: {seen}")


def test_F4_trap14_a_stop_of_the_server_ends_the_front_by_the_signal(t):
    """While it waits for a worker that does not answer."""
    w = Archive(t, "cpam-wal-fetch")
    w.expect(w.ask(1), 0)
    w.whole_or_absent(1, "no fault")
    workers = list(workspace.workers(w.folder))
    t.equal(len(workers), 1, "workers")
    os.kill(workers[0], signal.SIGSTOP)
    try:
        front = subprocess.Popen(
            [f"{w.programs}/cpam-wal-fetch", "--config", w.config, name(1, 8), WANTED],
            cwd=w.data, env=workspace.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **workspace.as_user())
        cluster.wait_for(lambda: has_socket(front.pid), 180, "the front to ask")
        front.terminate()
        t.equal(front.wait(180), -signal.SIGTERM, "how it ended")
    finally:
        os.kill(workers[0], signal.SIGCONT)
    t.true(not w.whole_or_absent(8, "the signal"), "nothing is delivered")


def test_trap14_a_segment_fetched_ahead_is_not_given_to_the_next_server(t):
    """The server ends, and another starts, between the worker's answer and the rename."""
    w = Archive(t, "cpam-wal-fetch")
    w.calls(1)
    workspace.write(f"{w.folder}/next.pid", f"{os.getpid()}\n{w.data}\n1700000099\n")
    done = w.ask(2, {"CPAM_TWIN_MOVE": f"{w.folder}/next.pid:{w.data}/postmaster.pid:stat:/prefetch/"})
    w.expect(done, 254, "is not the one that runs")
    t.true(not os.path.exists(f"{w.folder}/next.pid"), "another server ran by then")
    t.true(not w.whole_or_absent(2, "a restart"), "nothing is delivered")
    w.expect(w.ask(2), 0)  # to the new one it is
    t.true(w.whole_or_absent(2, "a restart"), "the new server's is delivered")


def test_trap14_the_foreground_too_delivers_to_the_server_that_asked(t):
    """The worker has nothing, so the front becomes the foreground fetch: still for the same server."""
    w = Archive(t, "cpam-wal-fetch")
    shutil.rmtree(f"{w.folder}/spool")
    workspace.write(f"{w.folder}/next.pid", f"{os.getpid()}\n{w.data}\n1700000099\n")
    done = w.ask(2, {"CPAM_TWIN_MOVE": f"{w.folder}/next.pid:{w.data}/postmaster.pid:open:/spool"})
    t.true(not os.path.exists(f"{w.folder}/next.pid"), "another server ran by then")
    w.expect(done, 254, "is not the one that runs")
    t.true(not w.whole_or_absent(2, "a restart"), "nothing is delivered")


def test_F1_without_the_program_behind_it_the_state_decides(t):
    """An installation that is not complete: 254 in recovery, 1 on a standby."""
    w = Archive(t, "cpam-wal-fetch")
    os.unlink(f"{w.programs}/cpam-wal-prefetch")
    w.expect(w.ask(1), 254, "is the installation complete?")
    os.unlink(f"{w.data}/recovery.signal")
    workspace.write(f"{w.data}/standby.signal", "")
    w.expect(w.ask(1), 1, "is the installation complete?")


def test_F5_a_repository_that_was_made_anew_is_fetched_ahead_from(t):
    """Under the worker: what it knew of the one before it counts no longer."""
    w = Archive(t, "", fetch="timeout: 60s, prefetch: 2")
    w.expect(w.ask(1), 0)  # and 2 and 3 ahead
    w.whole_or_absent(1, "the first repository")
    before = workers.pids(w.folder, "cpam-wal-prefetch")
    t.equal(len(before), 1, "workers")
    shutil.rmtree(w.root())
    workspace.folder(w.root(), 0o700)
    workspace.run([f"{programs()}/make_repo", w.config, "primary", SYSID, 15, w.size])
    for number in range(1, 9):
        w.expect(w.push(w.segment(number, seed="anew")), 0)
    place, = [one for one in os.listdir(f"{w.folder}/spool") if one.startswith("test-")]

    def ahead():
        w.expect(w.ask(6), 0)
        with open(w.wanted, "rb") as file:
            t.true(file.read() == segment(1, 6, seed="anew"), "what the new one has")
        return [one for one in os.listdir(f"{w.folder}/spool/{place}/prefetch") if name(1, 7) in one]

    until("a segment fetched ahead", ahead)
    t.equal(workers.pids(w.folder, "cpam-wal-prefetch"), before, "the same worker")


def test_F7_F13_trap14_what_was_put_aside_is_not_given_to_the_next_server(t):
    """Fetched ahead for a server that ended; then a person decides that the archived one is wrong."""
    w = Archive(t, "", fetch="timeout: 60s, prefetch: 2")
    w.expect(w.ask(1), 0)
    w.whole_or_absent(1, "the first server")
    place, = [one for one in os.listdir(f"{w.folder}/spool") if one.startswith("test-")]
    until("a segment fetched ahead",
          lambda: [one for one in os.listdir(f"{w.folder}/spool/{place}/prefetch")
                   if name(1, 2) in one and not one.endswith(".part")])
    right = workspace.write(f"{w.folder}/{name(1, 2)}", segment(1, 2, seed="right"), 0o600)
    workspace.run([f"{BUILD_ROOT}/operate/cpam-repo", "--config", w.config, "resolve", name(1, 2), "--keep",
                   "local", "--file", right, "--reason", "the other one is of a test", "--yes"])
    workspace.write(f"{w.data}/postmaster.pid", f"{os.getpid()}\n{w.data}\n1700009999\n")
    w.expect(w.ask(2), 0)
    with open(w.wanted, "rb") as file:
        t.true(file.read() == segment(1, 2, seed="right"), "what the archive has now")


def _beside_an_empty_one(first, prefetch):
    @tap.limit(600)
    def case(t):
        """Thirty recoveries: all is delivered each time, whichever of the two is asked first."""
        names = ("empty", "primary") if first else ("primary", "empty")
        w = Archive(t, "", fetch=f"timeout: 60s, prefetch: {prefetch}", repositories=names)
        shutil.rmtree(f"{w.root('empty')}/wal")
        for again in range(30):
            for number in range(1, 9):
                w.expect(w.ask(number), 0)
                t.true(w.whole_or_absent(number, f"recovery {again}"), "delivered")
            w.expect(w.ask(9), 1)  # in neither of them
            if again % 10 == 0:
                workspace.end_workers(w.folder)
    return case


for _first in (True, False):
    for _prefetch in (0, 8):
        globals()[f"test_F2_ask2_an_empty_repository_{'before' if _first else 'behind'}_a_full_one_"
                  f"prefetch_{_prefetch}"] = _beside_an_empty_one(_first, _prefetch)


def test_F4_across_file_systems_it_is_copied_and_renamed(t):
    """/dev/shm is another file system than /tmp wherever that matters; where it is not, a rename."""
    w = Archive(t, "cpam-wal-fetch")
    spool = workspace.make("/dev/shm")
    t.defer(lambda: workspace.remove(spool))
    with open(w.config, encoding="utf-8") as file:
        text = file.read().replace(f"{w.folder}/spool", spool)
    workspace.write(w.config, text, 0o600)
    for number in (1, 2, 3):
        w.expect(w.ask(number), 0)
        t.true(w.whole_or_absent(number, "a copy"), "delivered")
    if os.stat(spool).st_dev == os.stat(w.folder).st_dev:
        t.note("one file system: nothing was copied")
        return
    call = 0
    while True:
        call += 1
        about = f"a kill at call {call} of a copy"
        done = w.ask(4, {"CPAM_TWIN_KILL": str(call), "CPAM_TWIN_SHORT": "65536"})
        there = w.whole_or_absent(4, about)
        if done.returncode == 0:
            break
        t.true(done.returncode == -signal.SIGKILL, about)
        t.true(call < 2000, "it comes to an end")
    t.true(there and call > 30, f"{call} calls")


if __name__ == "__main__":
    tap.main(globals())
