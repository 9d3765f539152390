"""proxy.py - stands between a program and an S3 server, and misbehaves on demand.

    way = proxy.start(t, server.plain)       # an endpoint of its own: way.endpoint
    way.misbehave(proxy.stall)               # every request; or only those whose path holds a word:
    way.misbehave(proxy.status(503), "00000001000000000000000A")
    way.behave()

What passes is passed byte by byte, headers included, so that signatures hold.  A misbehaviour is a
function of a struct Answer (the true answer, already fetched) and the connection.
"""
import http.client
import http.server
import socket
import struct
import threading
import urllib.parse


class Answer:
    """The upstream's answer: status, headers (pairs), body."""

    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def head(self, length=None):
        lines = [f"HTTP/1.1 {self.status} {self.reason}"]
        lines += [f"{name}: {value}" for name, value in self.headers
                  if name.lower() not in ("content-length", "transfer-encoding", "connection")]
        lines += [f"Content-Length: {len(self.body) if length is None else length}", "", ""]
        return "\r\n".join(lines).encode("latin-1")


def _error(code, name):
    body = (f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{name}</Code>'
            f"<Message>by the test</Message></Error>").encode()
    return Answer(code, name, [("Content-Type", "application/xml")], body)


def status(code, name=None):
    """Answers every request with this error."""
    names = {403: "AccessDenied", 404: "NoSuchBucket", 500: "InternalError", 503: "SlowDown"}

    def misbehave(way, handler, _answer):
        made = _error(code, name or names[code])
        handler.wfile.write(made.head() + (b"" if handler.command == "HEAD" else made.body))

    return misbehave


def stall(way, handler, _answer):
    """Takes the request and says nothing until the test lets go (way.let_go) or ends."""
    way.released.wait()
    handler.close_connection = True


def late(way, handler, answer):
    """Says nothing until the test lets go, and then answers truly."""
    way.released.wait()
    handler.wfile.write(answer.head() + answer.body)


def reset(way, handler, _answer):
    """Ends the connection by RST."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def cut(way, handler, answer):
    """Half the body under the full length, then the end of the connection."""
    handler.wfile.write(answer.head() + answer.body[: len(answer.body) // 2])
    handler.close_connection = True


def short(way, handler, answer):
    """Half the body under half the length: only what the object says of itself can tell."""
    half = answer.body[: len(answer.body) // 2]
    handler.wfile.write(answer.head(len(half)) + half)


def alter(way, handler, answer):
    """One bit of the body is another."""
    body = bytearray(answer.body)
    body[len(body) // 2] ^= 0x10
    handler.wfile.write(answer.head() + bytes(body))


def trickle(way, handler, answer):
    """One byte a second, for as long as anybody listens."""
    handler.wfile.write(answer.head())
    for byte in answer.body:
        if way.released.wait(1):
            break
        handler.wfile.write(bytes([byte]))
    handler.close_connection = True


def error_in_200(way, handler, _answer):
    """An error document under status 200."""
    made = _error(200, "InternalError")
    handler.wfile.write(made.head() + made.body)


class Proxy:
    def __init__(self, upstream):
        parsed = urllib.parse.urlsplit(upstream)
        self.upstream = (parsed.hostname, parsed.port)
        self.released = threading.Event()
        self.rule = None  # (misbehaviour, word)
        self.requests = []  # "GET /path?query", as they came
        self.server = None
        self.listen(0)

    def listen(self, port):
        way = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                size = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(size)
                way.requests.append(f"{self.command} {self.path}")
                answer = way.ask(self.command, self.path, self.headers.items(), body)
                rule = way.rule
                if rule is not None and rule[1] in self.path:
                    rule[0](way, self, answer)
                elif self.command == "HEAD":
                    length = dict((k.lower(), v) for k, v in answer.headers).get("content-length", 0)
                    self.wfile.write(answer.head(length))
                else:
                    self.wfile.write(answer.head() + answer.body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(self, format, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):
                pass  # the program went away in the middle: it may

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def ask(self, method, path, headers, body):
        there = http.client.HTTPConnection(*self.upstream, timeout=120)
        try:
            there.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in ("connection", "expect"):
                    there.putheader(name, value)
            there.endheaders(body if body else None)
            reply = there.getresponse()
            return Answer(reply.status, reply.reason, reply.getheaders(), reply.read())
        finally:
            there.close()

    def misbehave(self, how, word=""):
        """From now on, for every request whose path and query hold the word."""
        self.released.clear()
        self.rule = (how, word)

    def behave(self):
        self.rule = None
        self.let_go()

    def let_go(self):
        """What is stalled goes on; it stays so until the next misbehave()."""
        self.released.set()

    def refuse(self):
        """Nobody listens any more: connections are refused."""
        self.server.shutdown()
        self.server.server_close()
        self.server = None

    def accept(self):
        self.listen(self.port)

    def close(self):
        self.let_go()
        if self.server is not None:
            self.refuse()


def start(t, upstream):
    way = Proxy(upstream)
    t.defer(way.close)
    return way
