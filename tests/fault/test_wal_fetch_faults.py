"""test_wal_fetch_faults.py - cpam-wal-prefetch --once with each of its calls failing: a server in
archive recovery is never told "the archive ends here" because something failed, and nothing that
is not whole is ever at its destination."""
import errno
import os
import re

import push_world
from push_world import World, name, segment, subprocess, tap, workspace

DESTINATION = "pg_wal/RECOVERYXLOG"


class Recovery(World):
    """A data directory as a server in archive recovery leaves it while it asks; 1 to 3 are archived,
    and 5 and 6 behind a hole."""

    def __init__(self, t):
        super().__init__(t, wal="fetch: { timeout: 3s }")
        with open(self.config, encoding="utf-8") as file:
            text = file.read().replace("timeout: 3s", "timeout: 60s")
        self.patient = workspace.write(f"{self.folder}/patient.yaml", text, 0o600)
        for number in (1, 2, 3, 5, 6):
            self.expect(self.push(self.segment(number)), 0)
            os.unlink(f"{self.pg_wal}/{name(1, number)}")
        workspace.write(f"{self.data}/global/pg_control", push_world.control(state=5), 0o600)
        workspace.write(f"{self.data}/recovery.signal", "", 0o600)
        workspace.write(f"{self.data}/postmaster.pid",
                        f"{os.getpid()}\n{self.data}\n1767225600\n5432\n/tmp\n", 0o600)

    def ask(self, file_name, **env):
        """As the server asks: exit status (None: still at it after a while), descriptors, stderr.
        Only what is made to fail has a short deadline to fail by."""
        config, patience = (self.config, 15) if "FAIL" in env else (self.patient, 120)
        count = f"{self.folder}/count"
        for path in (count, f"{self.data}/{DESTINATION}"):
            if os.path.exists(path):
                os.unlink(path)
        names = {"CPAM_TWIN_COUNT": count, **{f"CPAM_TWIN_{key}": str(value)
                                              for key, value in env.items()}}
        process = subprocess.Popen(
            [f"{push_world.programs()}/cpam-wal-prefetch-twin", "--config", config, "--once",
             file_name, DESTINATION], cwd=self.data, env=workspace.environment(names),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **workspace.as_user())
        try:
            _, said = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
            return None, None, None, said
        if not os.path.exists(count):
            return process.returncode, None, None, said
        with open(count, encoding="ascii") as file:
            calls, fds = re.fullmatch(r"calls (\d+) open (-?\d+)\n", file.read()).groups()
        return process.returncode, int(calls), int(fds), said

    def delivered(self):
        path = f"{self.data}/{DESTINATION}"
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return file.read()

    def litter(self):
        return [one for one in os.listdir(self.pg_wal) if one not in ("RECOVERYXLOG",)]


def each_call_fails(t, w, file_name, plain, content):
    code, calls, fds, said = w.ask(file_name)
    t.equal(code, plain, said)
    t.equal(fds, 0)
    t.note(f"{file_name}: {calls} calls")
    told = 0
    for number in (errno.EIO, errno.EACCES):
        for call in range(1, calls + 1):
            code, _, fds, said = w.ask(file_name, FAIL=f"{call}:{number}")
            what = f"call {call} of {calls} failing with {errno.errorcode[number]}"
            if content is None:
                t.true(code in (plain, 254, None), f"{what}: {code}: {said}")
            else:
                t.true(code in (0, 254, None), f"{what}: {code}: {said}")
            got = w.delivered()
            t.true(got in (None, content), f"{what}: something else at the destination")
            t.true(code != 0 or got == content, f"{what}: 0 and nothing delivered")
            t.true(fds in (0, None), f"{what}: {fds} descriptors left open")
            told += code == 254
    t.true(told > calls // 2, f"{told} of {2 * calls} failures were told")


@tap.limit(600)
def test_F1_F4_a_segment_that_is_there_is_delivered_or_254(t):
    w = Recovery(t)
    each_call_fails(t, w, name(1, 2), 0, segment(1, 2))
    t.equal(w.litter(), [], "left over in pg_wal")


@tap.limit(600)
def test_F1_F2_a_hole_is_254_whatever_fails(t):
    w = Recovery(t)
    each_call_fails(t, w, name(1, 4), 254, None)


def test_F1_what_is_archived_while_it_is_asked_for_is_no_hole(t):
    """The server that recovers is as far as the one that archives: 4 comes between "not there" and the
    listing, in which it has 5 and 6 behind it."""
    w = Recovery(t)
    w.expect(w.push(w.segment(4)), 0)
    os.unlink(f"{w.pg_wal}/{name(1, 4)}")
    path = f"{w.root()}/{w.key_of(name(1, 4))}"
    os.rename(path, f"{w.folder}/not-yet")
    code, _, _, said = w.ask(name(1, 4), MOVE=f"{w.folder}/not-yet:{path}:opendir:wal/")
    t.equal(code, 0, said)
    t.true(w.delivered() == segment(1, 4), "the segment is delivered")
    t.true(os.path.exists(path), "it was moved")
    # a hole stays one
    os.rename(path, f"{w.folder}/not-yet")
    code, _, _, said = w.ask(name(1, 4))
    t.equal(code, 254, said)
    t.holds(said, "missing although later segments")


@tap.limit(600)
def test_F1_F2_the_end_is_1_or_254(t):
    w = Recovery(t)
    each_call_fails(t, w, name(1, 7), 1, None)


if __name__ == "__main__":
    tap.main(globals())
