"""test_wal_fetch_store.py - cpam-wal-fetch before an S3 server whose "not there" is a lie.

In recovery 1 ends the replay and opens the server for writing, short of the data the bucket has: so it is
said only where the store is sure (F1).
"""
import os
import subprocess

from bucket_world import bucket, peer
from push_world import name, tap, workspace

WANTED = "pg_wal/RECOVERYXLOG"


class Recovery:
    """Three segments in a bucket, and the data directory of a server that recovers from it."""

    def __init__(self, t):
        self.t = t
        self.w, self.store = bucket(t, fetch="timeout: 5s, prefetch: 0", worker=False)
        for number in (1, 2, 3):
            self.w.expect(self.w.push(self.w.segment(number)), 0)
            os.unlink(f"{self.w.pg_wal}/{name(1, number)}")
        workspace.write(f"{self.w.data}/recovery.signal", "")
        workspace.write(f"{self.w.data}/postmaster.pid",
                        f"{os.getpid()}\n{self.w.data}\n1700000000\n")

    def ask(self, file_name, code, words=()):
        target = f"{self.w.data}/{WANTED}"
        done = subprocess.run(
            self.w.command(file_name, WANTED, program="cpam-wal-fetch"), cwd=self.w.data,
            env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", timeout=60, check=False,
            **workspace.as_user())
        self.w.expect(done, code, *([words] if isinstance(words, str) else words))
        self.t.equal(os.path.exists(target), code == 0, f"delivered: {done.stderr}")
        if code == 0:
            os.unlink(target)


def of_object(one, answer):
    """GET and HEAD of the object with this name meet the answer."""
    return lambda request, _: \
        answer if request.method in ("GET", "HEAD") and request.key.endswith(one) else None


def document(text, status=404):
    return status, {"Content-Type": "application/xml"}, (peer.HEAD + text).encode()


NO_KEY = "<Error><Code>NoSuchKey</Code>{}<RequestId>R</RequestId></Error>"
LIES = {
    "500": document(NO_KEY.format(""), 500),
    "503": document(NO_KEY.format(""), 503),
    "403": document(NO_KEY.format(""), 403),
    "302": document(NO_KEY.format(""), 302),
    "breaks off": document("<Error><Code>NoSuchKey</Code><Mess"),
    "has two codes": document(NO_KEY.format("<Code>NoSuchKey</Code>")),
    "is about another object": document(NO_KEY.format("<Key>x/other</Key>")),
}


@tap.limit(300)
def test_F1_NoSuchKey_proves_an_absence_only_as_S3_says_it(t):
    r = Recovery(t)
    last = name(1, 3)
    for number in (1, 2, 3):
        r.ask(name(1, number), 0)
    r.ask(name(1, 4), 1)
    for what, answer in LIES.items():
        # of the last one in the archive: no later one makes a hole of it, and no listing shows the next
        for one in (last, name(1, 4)):
            r.store.fault = of_object(one, answer)
            r.ask(one, 254, str(answer[0]))
    r.store.fault = lambda request, _: None
    r.ask(last, 0)


def test_F1_a_listed_segment_that_a_get_does_not_find_is_not_the_end(t):
    """A replica that lags behind, or a cache that remembers a "no": a 404 as it should be, and a lie."""
    r = Recovery(t)
    last = name(1, 3)
    r.store.fault = of_object(last, document(NO_KEY.format("")))
    r.ask(last, 254, ["the store lists it", "ask again later"])
    r.ask(name(1, 4), 1)
    # the same of a history, on which the choice of a timeline hangs
    r.store.fault = lambda request, _: None
    history = b"1\t0/300000\tno recovery target specified\n"
    r.w.expect(r.w.push(r.w.write("00000002.history", history)), 0)
    os.unlink(f"{r.w.pg_wal}/00000002.history")
    r.store.fault = of_object("00000002.history", document(NO_KEY.format("")))
    r.ask("00000002.history", 254, "the store lists it")
    r.store.fault = lambda request, _: None
    r.ask("00000002.history", 0)
    # what was archived between the question and the listing is delivered
    left = [1]

    def once(request, _):
        if request.method != "GET" or not request.key.endswith(last) or not left:
            return None
        left.pop()
        return document(NO_KEY.format(""))

    r.store.fault = once
    r.ask(last, 0)


if __name__ == "__main__":
    tap.main(globals())
