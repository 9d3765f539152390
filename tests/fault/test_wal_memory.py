"""test_wal_memory.py - the resident memory of a worker and the program that asks it, together, stays below
48 MiB with two workers and segments of 16 MiB: pushed and fetched, into a directory and a bucket with TLS,
for WAL that becomes smaller and for WAL that does not."""
import os
import random
import struct
import subprocess
import sys
import threading
import time

import push_world
from push_world import MIB, SYSID, World, name, programs, tap, workers, workspace

sys.path.insert(0, os.path.join(push_world.SOURCE_ROOT, "tests", "peer"))
from harness import tls  # noqa: E402
import server as peer  # noqa: E402
from worker_world import ready  # noqa: E402

LIMIT = 48 * MIB
SIZE = 16 * MIB
SEGMENTS = 20


class Watch(threading.Thread):
    """The greatest sum of the resident sets of a worker and of who asks it."""

    def __init__(self, folder, program):
        super().__init__(daemon=True)
        self.folder, self.program = folder, program
        self.asker, self.greatest, self.over, self.looks = None, 0, False, 0

    def sum(self):
        total = 0
        for pid in [*workers.pids(self.folder, self.program), self.asker]:
            try:
                with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                    total += int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
            except (OSError, IndexError):
                pass
        return total

    def run(self):
        while not self.over:
            self.greatest = max(self.greatest, self.sum())
            self.looks += 1
            time.sleep(0.003)


def segment(number, small):
    """small: of pages that repeat themselves, 4 times smaller when compressed; else of noise."""
    head = struct.pack("<HHIQI4xQII", 0xD110, 2, 1, number * SIZE, 0, SYSID, SIZE, 8192)
    noise = random.Random(number).randbytes(SIZE // 4 if small else SIZE)
    text = b"".join(noise[at:at + 4096] * 4 for at in range(0, len(noise), 4096)) if small else noise
    return head + text[len(head):]


def world(t, tls_bucket):
    if not tls_bucket:
        return World(t, worker=True, size=SIZE, wal="push: { workers: 2 }, fetch: { workers: 2 }")
    authority = tls.authority(t.folder())
    store = peer.Server(tls.certificate(t.folder(), authority, ("localhost",)))
    t.defer(store.stop)
    workspace.give(authority[0])
    w = World(t, worker=True, size=SIZE, repositories=(), wal="push: { workers: 2 }, fetch: { workers: 2 }",
              more=[f"{{ name: bucket, url: s3://cpam/x, endpoint: \"https://localhost:{store.port}\", "
                    f"region: us-east-1, addressing: path, credentials: static, ca_file: {authority[0]}, "
                    f"access_key_id: {peer.ACCESS_KEY}, secret_access_key: \"{peer.SECRET_KEY}\", "
                    "required: true }"])
    workspace.run([f"{programs()}/make_repo", w.config, "bucket", SYSID, 15, SIZE])
    return w


def below(t, watch, what):
    watch.over = True
    watch.join()
    t.true(watch.looks > 20, f"{watch.looks} looks")
    t.note(f"{what}: {watch.greatest / MIB:.1f} MiB")
    t.true(watch.greatest < LIMIT, f"{watch.greatest / MIB:.1f} MiB to {what}")


def push(t, w, names):
    watch = Watch(w.folder, "cpam-wal-worker")
    watch.start()
    ready(w, *names)
    for one in names:
        call = w.start(one)
        watch.asker = call.pid
        said = call.communicate(timeout=120)[1]
        t.equal(call.returncode, 0, said)
        os.unlink(f"{w.pg_wal}/archive_status/{one}.ready")
    below(t, watch, "push")


def fetch(t, w, wanted):
    workers.end(w.folder)
    workspace.write(f"{w.data}/recovery.signal", "")
    workspace.write(f"{w.data}/postmaster.pid", f"{os.getpid()}\n{w.data}\n1700000000\n")
    t.defer(workers.end, w.folder, "cpam-wal-prefetch")
    watch = Watch(w.folder, "cpam-wal-prefetch")
    watch.start()
    for one, content in wanted.items():
        call = subprocess.Popen([f"{programs()}/cpam-wal-fetch", "--config", w.config, one,
                                 "pg_wal/RECOVERYXLOG"], cwd=w.data, env=workspace.environment(),
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                **workspace.as_user())
        watch.asker = call.pid
        said = call.communicate(timeout=120)[1]
        t.equal(call.returncode, 0, said)
        with open(f"{w.pg_wal}/RECOVERYXLOG", "rb") as file:
            t.true(file.read() == content, one)
    below(t, watch, "fetch")


def _case(tls_bucket, small):
    @tap.limit(600)
    def case(t):
        w = world(t, tls_bucket)
        wanted = {name(1, number, SIZE): segment(number, small) for number in range(1, SEGMENTS + 1)}
        for one, content in wanted.items():
            w.write(one, content)
        push(t, w, list(wanted))
        fetch(t, w, wanted)
    return case


for _tls in (False, True):
    for _small in (False, True):
        globals()[f"test_P15_F5_less_than_48_MiB_in_a_{'bucket' if _tls else 'directory'}_for_WAL_that_"
                  f"{'compresses' if _small else 'does_not_compress'}"] = _case(_tls, _small)


if __name__ == "__main__":
    tap.main(globals())
