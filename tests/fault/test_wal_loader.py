"""test_wal_loader.py - the programs behind cpam-wal-push and cpam-wal-fetch start no more, since a library
they need is gone: a loader ends with 127, which would end the archiver, shut a standby down, and open a
server that finishes its recovery on its old timeline."""
import os
import shutil
import subprocess

from push_world import World, control, name, programs, segment, tap, workspace
from worker_world import until

LIBRARY = b"libcurl.so.4\0"


class Archive(World):
    """A segment archived, and the data directory of a server that recovers, with programs of its own."""

    def __init__(self, t):
        super().__init__(t, wal="fetch: { timeout: 20s }")
        self.expect(self.push(self.segment(1)), 0)
        os.unlink(f"{self.pg_wal}/{name(1, 1)}")
        workspace.folder(f"{self.folder}/spool", 0o700)
        workspace.write(f"{self.data}/recovery.signal", "")
        workspace.write(f"{self.data}/postmaster.pid", f"{os.getpid()}\n{self.data}\n1700000000\n")
        self.programs = workspace.folder(f"{self.folder}/bin")
        for program in ("cpam-wal-fetch", "cpam-wal-prefetch"):
            shutil.copy(f"{programs()}/{program}", self.programs)

    def start(self):
        return subprocess.Popen(
            [f"{self.programs}/cpam-wal-fetch", "--config", self.config, name(1, 1), "pg_wal/RECOVERYXLOG"],
            cwd=self.data, env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **workspace.as_user())

    def ask(self):
        call = self.start()
        out, err = call.communicate(timeout=120)
        return subprocess.CompletedProcess(call.args, call.returncode, out, err)


def unload(path):
    """The loader finds one of its libraries no more."""
    with open(path, "rb") as file:
        content = file.read()
    assert LIBRARY in content
    os.unlink(path)
    workspace.write(path, content.replace(LIBRARY, b"libcurl.so.X\0"), 0o755)
    done = subprocess.run([path, "--version"], stdout=-1, stderr=-1, check=False, **workspace.as_user())
    assert done.returncode == 127, done


def _push(mode):
    def case(t):
        w = World(t, worker=True, wal=f"push: {{ mode: {mode} }}")
        folder = workspace.folder(f"{w.folder}/bin")
        for program in ("cpam-wal-push", "cpam-wal-worker"):
            shutil.copy(f"{programs()}/{program}", folder)
        unload(f"{folder}/cpam-wal-worker")
        one = w.segment()
        done = subprocess.run([f"{folder}/cpam-wal-push", "--config", w.config, f"pg_wal/{one}"], cwd=w.data,
                              env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=-1, stderr=-1,
                              text=True, timeout=120, check=False, **workspace.as_user())
        w.expect(done, 1, "libcurl.so.X", "it ends with 127", "is the installation complete?")
    return case


for _mode in ("worker", "direct"):
    globals()[f"test_P14_a_worker_without_its_library_is_1_in_mode_{_mode}"] = _push(_mode)


def test_F1_a_fetch_without_its_library_is_answered_by_the_state(t):
    w = Archive(t)
    unload(f"{w.programs}/cpam-wal-prefetch")
    w.expect(w.ask(), 254, "it ends with 127", "is the installation complete?")
    os.unlink(f"{w.data}/recovery.signal")
    workspace.write(f"{w.data}/standby.signal", "")
    w.expect(w.ask(), 1, "it ends with 127")


def test_F1_trap1_a_finishing_server_waits_for_the_library(t):
    w = Archive(t)
    whole = f"{w.programs}/whole"
    shutil.copy(f"{w.programs}/cpam-wal-prefetch", whole)
    unload(f"{w.programs}/cpam-wal-prefetch")
    os.unlink(f"{w.data}/recovery.signal")
    workspace.write(f"{w.data}/global/pg_control", control(state=5), 0o600)
    call = w.start()
    t.defer(call.kill)
    until("recovery.signal to be held", lambda: os.path.exists(f"{w.data}/recovery.signal"))
    t.equal(call.poll(), None, "it waits")
    os.rename(whole, f"{w.programs}/cpam-wal-prefetch")
    said = call.communicate(timeout=180)[1]
    t.equal(call.returncode, 0, said)
    with open(f"{w.pg_wal}/RECOVERYXLOG", "rb") as file:
        t.true(file.read() == segment(1, 1), "the segment is delivered")


if __name__ == "__main__":
    tap.main(globals())
