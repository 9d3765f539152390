"""test_conflict.py - several contents of one name, and a conflict that is being resolved, as a server
in recovery, a standby and a person see them."""
import os
import shutil
import subprocess

from push_world import BUILD_ROOT, World, name, programs, segment, tap, workspace


class Archive(World):
    """Three segments archived, and the data directory of a server that recovers."""

    def __init__(self, t, signal="recovery.signal", **more):
        super().__init__(t, **more)
        for number in (1, 2, 3):
            self.expect(self.push(self.segment(number)), 0)
            os.unlink(f"{self.pg_wal}/{name(1, number)}")
        self.becomes(signal)
        workspace.write(f"{self.data}/postmaster.pid", f"{os.getpid()}\n{self.data}\n1700000000\n")

    def becomes(self, signal):
        for one in ("recovery.signal", "standby.signal"):
            if os.path.exists(f"{self.data}/{one}"):
                os.unlink(f"{self.data}/{one}")
        workspace.write(f"{self.data}/{signal}", "")

    def answers(self, file_name, code, *words, wanted="pg_wal/RECOVERYXLOG"):
        """cpam-wal-fetch as the server calls it; with any answer but 0 nothing is delivered."""
        done = subprocess.run(
            self.command(file_name, wanted, program="cpam-wal-fetch"), cwd=self.data,
            env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", timeout=120, check=False,
            **workspace.as_user())
        self.expect(done, code, *words)
        self.t.equal(os.path.exists(f"{self.data}/{wanted}"), code == 0, f"{wanted} after {code}")
        if code == 0:
            os.unlink(f"{self.data}/{wanted}")


def lay_beside(w, file_name, content):
    """A second content of an archived file, beside it in the repository."""
    tool = shutil.copy(f"{BUILD_ROOT}/tests/fault/make_conflict", programs())
    workspace.write(f"{w.folder}/{file_name}", content, 0o600)
    workspace.run([tool, w.config, "primary", f"{w.folder}/{file_name}"])
    found = [key for key in w.objects() if key.startswith(w.key_of(file_name) + ".")]
    w.t.equal(len(found), 1, f"one conflict object: {found}")
    return found[0]


def test_F13_a_segment_with_two_contents_stops_recovery_and_lists_them(t):
    w = Archive(t)
    two = name(1, 2)
    w.answers(two, 0)
    beside = lay_beside(w, two, segment(1, 2, seed="other"))
    for signal, code in (("recovery.signal", 254), ("standby.signal", 1)):
        w.becomes(signal)
        w.answers(two, code, "several contents", w.key_of(two), beside, "content id")
        w.answers(two, 254, "several contents", wanted="pg_wal/copy")
        w.answers(name(1, 1), 0)
        w.answers(name(1, 3), 0)
    # a person has looked, and moved the other away
    os.rename(f"{w.root()}/{beside}", f"{w.folder}/moved")
    w.answers(two, 0)


def test_F13_a_history_with_two_contents(t):
    w = Archive(t)
    one = w.write("00000002.history", "1\t0/300000\tno recovery target specified\n")
    w.expect(w.push(one), 0)
    beside = lay_beside(w, one, "1\t0/280000\tno recovery target specified\n")
    os.unlink(f"{w.pg_wal}/{one}")
    w.answers(one, 254, "several contents", beside, wanted="pg_wal/RECOVERYHISTORY")


def test_F13_no_other_repository_decides_which_is_real(t):
    w = Archive(t, repositories=("primary", "second"))
    two = name(1, 2)
    lay_beside(w, two, segment(1, 2, seed="other"))
    w.answers(two, 254, "several contents")


def test_F13_planted_rubbish_stops_nobody(t):
    w = Archive(t)
    two = name(1, 2)
    for ending in ("0123456789abcdef", "0123456789abcde0"):
        workspace.write(f"{w.root()}/{w.key_of(two)}.{ending}", "rubbish" * 100, 0o600)
    shutil.copy(f"{w.root()}/{w.key_of(name(1, 1))}", f"{w.root()}/{w.key_of(two)}.0000000000000000")
    workspace.give(f"{w.root()}/{w.key_of(two)}.0000000000000000")
    w.answers(two, 0, "is passed over")


if __name__ == "__main__":
    tap.main(globals())
