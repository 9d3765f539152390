"""test_wal_push_deadline.py - P11: whatever a store does, cpam-wal-push answers by wal.push.timeout,
with something from 1 to 125, and the other repositories are served meanwhile.  That it is not a second
late is proven by the injected clock (push_faults, http); here a busy machine may be slow itself."""
import os
import socket
import ssl
import threading
import time

import push_world
from push_world import World, tap, workspace

TIMEOUT = 5  # s: wal.push.timeout
LATE = 20  # s: by then it has answered


class Peer:
    """A server on loopback that does to every connection what `behave` does."""

    def __init__(self, t, behave):
        self.behave = behave
        self.kept = []
        self.asked = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()
        t.defer(self.socket.close)

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.asked += 1
            self.kept.append(connection)
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        try:
            self.behave(connection)
        except OSError:
            pass


def silent(connection):
    """Takes everything, says nothing."""
    while connection.recv(65536):
        pass


def deaf(connection):
    """Does not even read."""
    time.sleep(60)


def drop(connection):
    """Resets the connection once something came."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def drip(connection):
    """One byte a second, for ever."""
    connection.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nETag: \"x\"\r\n\r\n" + b"x" * 1000000:
        connection.send(bytes([byte]))
        time.sleep(1)


def drip_body(connection):
    """The header at once, then one byte a second."""
    connection.recv(65536)
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nETag: \"x\"\r\n\r\n")
    while True:
        connection.send(b"{")
        time.sleep(1)


def answer(status, body=b"", more=b""):
    def behave(connection):
        while connection.recv(65536):
            connection.send(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nContent-Type: application/xml\r\n"
                            b"%s\r\n%s" % (status, len(body), more, body))
    return behave


def error(code):
    return b"<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>no</Message></Error>" % code


def rubbish(connection):
    connection.recv(65536)
    connection.send(b"\x15\x03\x01\x00\x02\x02\x28 what is this\r\n\r\n")
    connection.close()


def row(port, scheme="http"):
    return (f"{{ name: bucket, url: s3://bucket/x, endpoint: \"{scheme}://127.0.0.1:{port}\", "
            "region: us-east-1, addressing: path, credentials: static, access_key_id: AKIATEST, "
            "secret_access_key: not-a-secret, required: true }")


def pushed(t, w, one):
    start = time.monotonic()
    done = w.push(one)
    took = time.monotonic() - start
    t.note(f"{done.returncode} after {took:.2f} s: {done.stderr.strip()[:300]}")
    t.true(took < LATE, f"an answer after {took:.2f} s")
    t.true(1 <= done.returncode <= 125, f"exit status {done.returncode}")
    t.true(w.key_of(one) in w.objects(), "the directory beside it was served")
    t.holds(done.stderr, f'"{one}" is not archived')
    return done


CASES = {
    "silent": (silent, "http"), "deaf": (deaf, "http"), "reset": (drop, "http"),
    "drip": (drip, "http"), "drip_body": (drip_body, "http"), "stalled_tls": (silent, "https"),
    "rubbish": (rubbish, "http"), "not_tls": (rubbish, "https"),
    "503": (answer(b"503 Slow Down", error(b"SlowDown")), "http"),
    "500": (answer(b"500 Internal Server Error", error(b"InternalError")), "http"),
    "403": (answer(b"403 Forbidden", error(b"AccessDenied")), "http"),
    "404": (answer(b"404 Not Found", error(b"NoSuchBucket")), "http"),
    "200_with_an_error": (answer(b"200 OK", error(b"InternalError")), "http"),
    "200_empty": (answer(b"200 OK"), "http"),
    "redirect": (answer(b"301 Moved Permanently", error(b"PermanentRedirect"),
                        b"Location: http://127.0.0.1:1/\r\n"), "http"),
}


def case(what):
    def test(t):
        behave, scheme = CASES[what]
        peer = Peer(t, behave)
        w = World(t, wal=f"push: {{ timeout: {TIMEOUT}s }}", more=[row(peer.port, scheme)])
        pushed(t, w, w.segment())
        t.true(peer.asked > 0, "the bucket was asked")
    return test


for _what in CASES:
    globals()[f"test_P11_{_what}"] = case(_what)


def test_P11_refused(t):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    w = World(t, wal=f"push: {{ timeout: {TIMEOUT}s }}", more=[row(port)])
    pushed(t, w, w.segment())


def test_P11_a_black_hole(t):
    """A full backlog: the kernel drops what more comes, as a firewall would."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    t.defer(listener.close)
    fill = [socket.socket() for _ in range(4)]
    for one in fill:
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
        t.defer(one.close)
    w = World(t, wal=f"push: {{ timeout: {TIMEOUT}s }}", more=[row(listener.getsockname()[1])])
    pushed(t, w, w.segment())


def test_P11_a_file_system_that_hangs(t):
    w = World(t, repositories=("primary", "hung"), wal=f"push: {{ timeout: {TIMEOUT}s }}")
    one = w.segment()
    start = time.monotonic()
    done = w.push(one, program="cpam-wal-worker-twin",
                  env={"CPAM_TWIN_STALL": "30:fsync:repo-hung"})
    took = time.monotonic() - start
    t.true(TIMEOUT <= took < LATE, f"an answer after {took:.2f} s")
    w.expect(done, 1, f'"{one}" is not archived', "within wal.push.timeout")
    t.true(w.key_of(one) in w.objects("primary"), "the other one was served")
    w.expect(w.push(one), 0)


def test_P11_what_is_left_behind_does_not_see_the_process_taken_down(t):
    """exit(3) frees OpenSSL under a thread that comes back to use it.  The twin's count is written at
    exit, so it shows whether that was run."""
    w = World(t, repositories=("primary", "hung"), wal=f"push: {{ timeout: {TIMEOUT}s }}")
    count = f"{w.folder}/count"
    done = w.push(w.segment(), program="cpam-wal-worker-twin",
                  env={"CPAM_TWIN_STALL": "30:fsync:repo-hung", "CPAM_TWIN_COUNT": count})
    w.expect(done, 1, "within wal.push.timeout")
    t.true(not os.path.exists(count), "nothing runs at exit")
    done = w.push(w.segment(2), program="cpam-wal-worker-twin", env={"CPAM_TWIN_COUNT": count})
    w.expect(done, 0)
    t.true(os.path.exists(count), "it does when nobody was left behind")


if __name__ == "__main__":
    tap.main(globals())
