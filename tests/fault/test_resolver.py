"""test_resolver.py - a name that nobody resolves: the resolver takes every question and never answers, or
there is none.  The one deadline of a call is over this as well, and nothing absent is made of it.

The programs run in a mount namespace of their own with another /etc/resolv.conf, which only root can make.
"""
import os
import socket
import subprocess
import threading
import time

from push_world import World, name, programs, segment, tap, workspace

TIMEOUT = 2  # s: wal.push.timeout and wal.fetch.timeout
LATE = 15  # s: by then it has answered; the C library by itself would wait for minutes
ENDPOINT = ("{ name: bucket, url: s3://bucket/x, endpoint: \"http://store.cpam.test:9000\", region: us-east-1, "
            "addressing: path, credentials: static, access_key_id: AKIATEST, secret_access_key: "
            "not-a-secret, required: true }")


class Resolver:
    """A name server on loopback that counts what it is asked and says nothing."""

    def __init__(self, t, address):
        self.asked = 0
        self.over = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        t.defer(self.close)

    def listen(self):
        while not self.over:
            try:
                self.socket.recvfrom(4096)
                self.asked += 1
            except TimeoutError:
                pass

    def close(self):
        self.over = True
        self.thread.join()
        self.socket.close()


class Lost(World):
    """A directory that answers, and a bucket whose name is never resolved; both are required."""

    def __init__(self, t, silent=True, worker=False):
        if os.geteuid() != 0:
            raise tap.Skip("a mount namespace and port 53 need root")
        super().__init__(t, worker=worker, more=[ENDPOINT],
                         wal=f"push: {{ timeout: {TIMEOUT}s }}, fetch: {{ timeout: {TIMEOUT}s }}")
        address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
        self.resolver = Resolver(t, address) if silent else None
        self.resolv_conf = workspace.write(
            f"{self.folder}/resolv.conf", f"nameserver {address}\noptions timeout:30 attempts:5\n")

    def run(self, *line):
        """In the data directory, as the server does: (its end, seconds)."""
        owner = workspace.user()
        start = time.monotonic()
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c",
             'mount --bind "$0" /etc/resolv.conf && exec setpriv "$@"', self.resolv_conf,
             f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", *line],
            cwd=self.data, env=workspace.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=400, check=False)
        took = time.monotonic() - start
        self.t.note(f"{os.path.basename(line[0])}: {done.returncode} after {took:.2f} s")
        self.t.true(took < LATE, f"an answer after {took:.2f} s: {done.stderr}")
        return done

    def pushed(self, one):
        done = self.run(f"{programs()}/cpam-wal-push", "--config", self.config, f"pg_wal/{one}")
        self.t.true(1 <= done.returncode <= 125, f"exit status {done.returncode}: {done.stderr}")
        self.t.holds(done.stderr, f'"{one}" is not archived')
        self.t.true(self.key_of(one) in self.objects(), "the directory beside it was served")

    def answers(self, one, code, *words):
        done = self.run(f"{programs()}/cpam-wal-fetch", "--config", self.config, one, "pg_wal/RECOVERYXLOG")
        self.expect(done, code, *words)
        wanted = f"{self.pg_wal}/RECOVERYXLOG"
        self.t.equal(os.path.exists(wanted), code == 0, f"whether {one} is delivered")
        if code == 0:
            with open(wanted, "rb") as file:
                self.t.true(file.read() == segment(1, int(one[16:], 16)), "the segment")
            os.unlink(wanted)

    def recovers(self, signal):
        for other in ("standby.signal", "recovery.signal"):
            if os.path.exists(f"{self.data}/{other}"):
                os.unlink(f"{self.data}/{other}")
        workspace.write(f"{self.data}/{signal}", "")
        workspace.write(f"{self.data}/postmaster.pid", f"{os.getpid()}\n{self.data}\n1700000000\n")


def _push(silent, worker):
    def case(t):
        w = Lost(t, silent, worker)
        for number in (1, 2):
            w.pushed(w.segment(number))
        t.equal(len(w.workers()), int(worker), "workers")
        if silent:
            t.true(w.resolver.asked > 0, "the resolver was asked")
    return case


def _fetch(silent, worker):
    def case(t):
        w = Lost(t, silent, worker)
        one = w.segment(1)
        w.pushed(one)  # into the directory
        for signal, unknown in (("recovery.signal", 254), ("standby.signal", 1)):
            w.recovers(signal)
            w.answers(one, 0)
            for other in (name(1, 2), "00000002.history"):
                w.answers(other, unknown, "wal.fetch.timeout" if silent else "bucket")
        if silent:
            t.true(w.resolver.asked > 0, "the resolver was asked")
    return case


test_P11_ask9_a_resolver_that_hangs_and_a_push = _push(True, False)
test_P11_ask9_a_resolver_that_hangs_and_a_push_by_a_worker = _push(True, True)
test_P11_ask9_no_resolver_and_a_push = _push(False, False)
test_F1_ask1_ask9_a_resolver_that_hangs_and_a_fetch = _fetch(True, False)
test_F1_ask1_ask9_a_resolver_that_hangs_and_a_fetch_with_a_worker = _fetch(True, True)
test_F1_ask1_no_resolver_and_a_fetch = _fetch(False, False)


if __name__ == "__main__":
    tap.main(globals())
