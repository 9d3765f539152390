"""peer.py - what the tests against the scripted server share: the server, and the driver's answers."""
import os
import subprocess
import sys
import time

ROOT = os.environ.get("CPAM_SOURCE_ROOT") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "live"))

import server  # noqa: E402
from harness import tls, workspace  # noqa: E402

PATIENT = 60000  # ms: the deadline of what has to succeed, on a slow and busy machine too
HASTY = 2000  # ms: the deadline of what has to run into it
LATE = 15  # s: by then it has

DRIVER = os.environ.get("CPAM_STORE_DRIVER") or os.path.join(ROOT, "build/tests/peer/store_driver")


def start(t, fault=None, secure=False, **options):
    """A server that ends with the test; secure: with TLS and a CA of its own (server.ca)."""
    pair, authority = None, None
    if secure:
        authority = tls.authority(t.folder())
        pair = tls.certificate(t.folder(), authority, ("localhost",))
    made = server.Server(tls=pair, fault=fault, **options)
    made.ca = authority[0] if authority else None
    t.defer(made.stop)
    return made


class Answer:
    """status ("ok", "not_found", ...), text, hint, lines before them, seconds."""

    def __init__(self, out, err, seconds):
        *self.lines, last = out.rstrip("\n").split("\n") if out.strip() else [""]
        self.status, self.text, self.hint = (last.split("\t") + ["", ""])[:3]
        self.err, self.seconds = err, seconds

    def __str__(self):
        return f"{self.status}: {self.text} [{self.hint}] after {self.seconds:.1f} s {self.err}"


def drive(endpoint, *arguments, ca=None, bucket="cpam", deadline=PATIENT, env=None, timeout=120,
          access_key=server.ACCESS_KEY, secret_key=server.SECRET_KEY):
    """One run of the driver: an Answer.  deadline in ms."""
    line = [DRIVER, f"--endpoint={endpoint}", f"--bucket={bucket}", f"--deadline={deadline}"]
    if ca:
        line.append(f"--ca={ca}")
    environment = workspace.environment({"AWS_ACCESS_KEY_ID": access_key,
                                         "AWS_SECRET_ACCESS_KEY": secret_key, **(env or {})})
    begin = time.monotonic()
    done = subprocess.run(line + [str(argument) for argument in arguments], env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=timeout, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{line} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return Answer(done.stdout, done.stderr, time.monotonic() - begin)


def expect(t, answer, status, words=(), what=""):
    t.true(answer.status == status, f"{what or 'the store'} says {status}, not {answer}")
    t.holds(answer.text, words, what or "the sentence")
    return answer


def in_time(t, answer, what=""):
    """A call whose deadline was HASTY or less has ended, and not much later.  That it is kept to the
    microsecond is proven by the injected clock (http/http, fault/push_faults)."""
    t.true(answer.seconds < LATE, f"{what or 'the driver'} ends within {LATE} s: {answer}")


def file(t, name, size, seed=1):
    """A file of size bytes that do not repeat; returns path and bytes."""
    import hashlib

    blocks = (size + 31) // 32
    body = b"".join(hashlib.sha256(f"{seed}/{i}".encode()).digest() for i in range(blocks))[:size]
    path = os.path.join(t.folder(), name)
    with open(path, "wb") as out:
        out.write(body)
    return path, body
