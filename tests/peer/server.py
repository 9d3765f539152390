"""server.py - an S3 server in memory that can be told to misbehave; HTTP and TLS, own code throughout.

By itself it is a small correct S3: signatures are checked (harness/sigv4.py), Content-MD5, the
payload's SHA-256 and, where it is told to, x-amz-checksum-crc32c too, If-None-Match is kept, versions are kept where a bucket has them, listings have
pages.  `server.fault` is a function (request, server) -> the name of a fault, a status, a whole answer
(status, headers, body), or None; the faults are the methods fault_* of Connection, each of which says in
its first line what it does.
"""
import datetime
import email.utils
import hashlib
import itertools
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True
import digests  # noqa: E402
from harness import sigv4  # noqa: E402  (tests/live is put on the path by peer.py)

ACCESS_KEY = "CPAMPEERACCESSKEY001"
SECRET_KEY = "cpamPeerSecret/Key+000000000000000000001"
REGION = "us-east-1"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


class Refusal(Exception):
    """An S3 error: status, code, further headers."""

    def __init__(self, status, code, headers=None):
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers or {}


class Request:
    def __init__(self, method, target, headers):
        self.method, self.target, self.headers = method, target, headers
        path, _, query = target.partition("?")
        self.path = urllib.parse.unquote(path)
        self.query = urllib.parse.parse_qsl(query, keep_blank_values=True)
        self.argument = dict(self.query)
        _, self.bucket, *rest = self.path.split("/", 2) + [""]
        self.key = rest[0]
        self.body = b""
        self.body_md5 = None

    def md5(self):
        """Of the body, computed once: for a digest that came with it, and for the ETag."""
        if self.body_md5 is None:
            self.body_md5 = hashlib.md5(self.body)
        return self.body_md5


class Version:
    def __init__(self, number, body, marker=False, etag=None):
        self.id, self.body, self.marker = number, body, marker
        self.etag = etag or hashlib.md5(body).hexdigest()
        self.modified = datetime.datetime.now(datetime.timezone.utc)


class Bucket:
    def __init__(self, versioned=False):
        self.versioned = versioned
        self.objects = {}  # key: versions, oldest first
        self.uploads = {}  # id: (key, {part number: body})

    def current(self, key):
        versions = self.objects.get(key, [])
        return versions[-1] if versions else None


class Store:
    """What S3 does, without HTTP.  One lock: the tests want correct, not fast."""

    def __init__(self):
        self.buckets = {}
        self.lock = threading.RLock()
        self.numbers = itertools.count(1)
        self.page = 1000

    def bucket(self, request):
        if request.bucket not in self.buckets:
            raise Refusal(404, "NoSuchBucket")
        return self.buckets[request.bucket]

    def handle(self, request):
        """(status, headers, body)"""
        with self.lock:
            bucket, asked = self.bucket(request), request.argument
            if request.key == "":
                if "versioning" in asked:
                    return 200, {}, self.versioning(bucket)
                if "versions" in asked:
                    return 200, {}, self.list_versions(bucket, request)
                return 200, {}, self.list(bucket, request)
            if "uploads" in asked or "uploadId" in asked:
                return self.multipart(bucket, request)
            return getattr(self, request.method.lower())(bucket, request)

    # -- objects ---------------------------------------------------------------------------------

    def add(self, bucket, key, version):
        if bucket.versioned:
            bucket.objects.setdefault(key, []).append(version)
        else:
            version.id = "null"
            bucket.objects[key] = [version]
        return {"x-amz-version-id": version.id} if bucket.versioned else {}

    def put(self, bucket, request):
        self.check_condition(bucket, request)
        version = Version(f"v{next(self.numbers):06d}", request.body, etag=request.md5().hexdigest())
        headers = self.add(bucket, request.key, version)
        headers["ETag"] = f'"{version.etag}"'
        return 200, headers, b""

    @staticmethod
    def check_condition(bucket, request):
        there = bucket.current(request.key)
        if request.headers.get("if-none-match") == "*" and there and not there.marker:
            raise Refusal(412, "PreconditionFailed")

    @staticmethod
    def find(bucket, request):
        wanted = request.argument.get("versionId")
        if wanted:
            for version in bucket.objects.get(request.key, []):
                if version.id == wanted:
                    return version
            raise Refusal(404, "NoSuchVersion")
        found = bucket.current(request.key)
        if found is None:
            raise Refusal(404, "NoSuchKey")
        if found.marker:
            raise Refusal(404, "NoSuchKey", {"x-amz-delete-marker": "true"})
        return found

    def get(self, bucket, request):
        version = self.find(bucket, request)
        headers = {"ETag": f'"{version.etag}"',
                   "Last-Modified": email.utils.format_datetime(version.modified, usegmt=True)}
        if bucket.versioned:
            headers["x-amz-version-id"] = version.id
        body, size = version.body, len(version.body)
        if "range" not in request.headers:
            return 200, headers, body
        first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
        first, last = int(first), min(int(last or size - 1), size - 1)
        if first >= size:
            raise Refusal(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return 206, headers, body[first:last + 1]

    head = get

    def delete(self, bucket, request):
        if bucket.versioned and "versionId" not in request.argument:
            self.add(bucket, request.key, Version(f"v{next(self.numbers):06d}", b"", marker=True))
            return 204, {"x-amz-delete-marker": "true"}, b""
        left = [version for version in bucket.objects.get(request.key, [])
                if request.argument.get("versionId", version.id) != version.id]
        bucket.objects[request.key] = left
        if not left:
            del bucket.objects[request.key]
        return 204, {}, b""

    # -- multipart -------------------------------------------------------------------------------

    def multipart(self, bucket, request):
        number = request.argument.get("uploadId")
        if request.method == "POST" and number is None:
            number = f"upload-{next(self.numbers)}"
            bucket.uploads[number] = (request.key, {})
            return 200, {}, (f"{HEAD}<InitiateMultipartUploadResult><UploadId>{number}</UploadId>"
                             "</InitiateMultipartUploadResult>").encode()
        if number not in bucket.uploads or bucket.uploads[number][0] != request.key:
            raise Refusal(404, "NoSuchUpload")
        parts = bucket.uploads[number][1]
        if request.method == "PUT":
            parts[int(request.argument["partNumber"])] = request.body
            return 200, {"ETag": f'"{request.md5().hexdigest()}"'}, b""
        if request.method == "DELETE":
            del bucket.uploads[number]
            return 204, {}, b""
        self.check_condition(bucket, request)
        bodies = [parts[each] for each in sorted(parts)]
        digest = hashlib.md5(b"".join(hashlib.md5(each).digest() for each in bodies)).hexdigest()
        version = Version(f"v{next(self.numbers):06d}", b"".join(bodies),
                          etag=f"{digest}-{len(bodies)}")
        del bucket.uploads[number]
        headers = self.add(bucket, request.key, version)
        return 200, headers, (f"{HEAD}<CompleteMultipartUploadResult><ETag>&quot;{version.etag}"
                              "&quot;</ETag></CompleteMultipartUploadResult>").encode()

    # -- listings --------------------------------------------------------------------------------

    @staticmethod
    def versioning(bucket):
        status = "<Status>Enabled</Status>" if bucket.versioned else ""
        return f"{HEAD}<VersioningConfiguration>{status}</VersioningConfiguration>".encode()

    def list(self, bucket, request):
        asked = request.argument
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        after = asked.get("continuation-token") or asked.get("start-after", "")
        limit = min(int(asked.get("max-keys", 1000)), self.page)
        rows, last = {}, ""
        for key in sorted(bucket.objects):
            if key <= after or not key.startswith(prefix) or bucket.current(key).marker:
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key if cut < 0 else key[:cut + 1]
            if cut >= 0 and after.startswith(name):
                continue
            if name not in rows and len(rows) == limit:
                return self.page_of(rows, bucket, last)
            rows[name], last = cut >= 0, key
        return self.page_of(rows, bucket, None)

    @staticmethod
    def page_of(rows, bucket, token):
        text = [HEAD, '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
                "<EncodingType>url</EncodingType>",
                f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>"]
        if token:
            text.append(f"<NextContinuationToken>{escape(token)}</NextContinuationToken>")
        for name, is_prefix in rows.items():
            quoted = escape(urllib.parse.quote(name))
            if is_prefix:
                text.append(f"<CommonPrefixes><Prefix>{quoted}</Prefix></CommonPrefixes>")
            else:
                version = bucket.current(name)
                text.append(f"<Contents><Key>{quoted}</Key><Size>{len(version.body)}</Size>"
                            f"<ETag>&quot;{version.etag}&quot;</ETag><LastModified>"
                            f"{version.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>")
        return "".join(text + ["</ListBucketResult>"]).encode()

    @staticmethod
    def list_versions(bucket, request):
        prefix = request.argument.get("prefix", "")
        text = [HEAD, "<ListVersionsResult><IsTruncated>false</IsTruncated>"]
        for key in sorted(bucket.objects):
            for version in reversed(bucket.objects[key]) if key.startswith(prefix) else ():
                kind = "DeleteMarker" if version.marker else "Version"
                text.append(f"<{kind}><Key>{escape(key)}</Key><VersionId>{version.id}</VersionId>"
                            f"<Size>{len(version.body)}</Size><ETag>&quot;{version.etag}&quot;"
                            f"</ETag></{kind}>")
        return "".join(text + ["</ListVersionsResult>"]).encode()


def check_signature(request, clock=0.0):
    """Raises Refusal unless the request is signed rightly by the one user there is."""
    fields = dict(part.strip().split("=", 1) for part in
                  request.headers.get("authorization", "").removeprefix("AWS4-HMAC-SHA256 ").split(",")
                  if "=" in part)
    if "Signature" not in fields:
        raise Refusal(403, "AccessDenied")
    if fields["Credential"].split("/")[0] != ACCESS_KEY:
        raise Refusal(403, "InvalidAccessKeyId")
    date = request.headers.get("x-amz-date", "")
    then = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs(time.time() + clock - then.timestamp()) > 900:
        raise Refusal(403, "RequestTimeTooSkewed")
    signed = fields["SignedHeaders"].split(";")
    needed = {name for name in request.headers if name.startswith("x-amz-")} | {"host"}
    if not needed <= set(signed):
        raise Refusal(403, "AccessDenied")
    made = sigv4.signature(request.method, request.path, request.query, request.headers, signed,
                           request.headers["x-amz-content-sha256"], SECRET_KEY, date, REGION)
    if made != fields["Signature"]:
        raise Refusal(403, "SignatureDoesNotMatch")


class Gone(Exception):
    """The connection is over."""


class Connection:
    def __init__(self, server, sock):
        self.server, self.sock, self.rest = server, sock, b""

    # -- reading ---------------------------------------------------------------------------------

    def more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise Gone
        self.rest += data

    def read_request(self):
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Request(method, target, headers)

    def read_body(self, request):
        size = int(request.headers.get("content-length", 0))
        if request.headers.get("expect", "").lower() == "100-continue" and self.server.continues:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts, have = [self.rest], len(self.rest)
        broken = self.server.upload(request)
        while have < size:
            if broken and have >= size // 2:  # "reset" or "stall", with half of the body on its way
                getattr(self, broken)()
            data = self.sock.recv(1 << 18)
            if not data:
                raise Gone
            parts.append(data)
            have += len(data)
        everything = b"".join(parts)
        request.body, self.rest = everything[:size], everything[size:]

    # -- answering -------------------------------------------------------------------------------

    def answer(self, request):
        """What a correct server says: (status, headers, body)."""
        try:
            check_signature(request, self.server.clock)
            complaint = digests.complaint(request, self.server.digests)
            if complaint:
                raise Refusal(400, complaint)
            return self.server.store.handle(request)
        except Refusal as refusal:
            body = (f"{HEAD}<Error><Code>{refusal.code}</Code><Message>as told</Message>"
                    "<RequestId>PEER1</RequestId></Error>").encode()
            return refusal.status, refusal.headers, body

    def head_of(self, status, headers, size):
        now = email.utils.formatdate(time.time() + self.server.clock, usegmt=True)
        lines = [f"HTTP/1.1 {status} told", f"Content-Length: {size}", f"Date: {now}"]
        lines += [f"{name}: {value}" for name, value in headers.items()
                  if name.lower() != "content-length"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def send(self, request, status, headers, body):
        size = headers.get("Content-Length", len(body))
        self.sock.sendall(self.head_of(status, headers, size)
                          + (b"" if request.method == "HEAD" else body))

    def reset(self):
        """RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def stall(self):
        """Nothing more, until the client has gone or the server ends."""
        while not self.server.ended.is_set():
            time.sleep(0.02)
            self.sock.setblocking(False)
            try:
                if self.sock.recv(1) == b"":
                    break
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            except OSError:
                break
        raise Gone

    # -- faults ----------------------------------------------------------------------------------

    def fault_reset(self, request):
        """Reads the request and resets the connection."""
        self.reset()

    def fault_lost_answer(self, request):
        """Does what was asked and resets the connection instead of answering."""
        self.answer(request)
        self.reset()

    def fault_stall(self, request):
        """Reads the request and never answers."""
        self.stall()

    def fault_stall_in_body(self, request):
        """Sends the head and half of the body, then nothing."""
        status, headers, body = self.answer(request)
        self.sock.sendall(self.head_of(status, headers, len(body)) + body[:len(body) // 2])
        self.stall()

    def fault_drip(self, request):
        """One byte a second from the first byte of the head on."""
        status, headers, body = self.answer(request)
        for byte in self.head_of(status, headers, len(body)) + body:
            self.sock.sendall(bytes([byte]))
            if self.server.ended.wait(1.0):
                break
        raise Gone

    def fault_truncate(self, request):
        """Half of the body, then an orderly end of the connection."""
        status, headers, body = self.answer(request)
        half = b"" if request.method == "HEAD" else body[:len(body) // 2]
        self.sock.sendall(self.head_of(status, headers, len(body)) + half)
        raise Gone

    def fault_reset_in_body(self, request):
        """Half of the body, then a reset."""
        status, headers, body = self.answer(request)
        self.sock.sendall(self.head_of(status, headers, len(body)) + body[:len(body) // 2])
        self.reset()

    def fault_short(self, request):
        """A body that is shorter than the object, with a Content-Length that agrees with it."""
        status, headers, body = self.answer(request)
        self.send(request, status, headers, body[:len(body) // 2])

    def fault_long(self, request):
        """More bytes than Content-Length says."""
        status, headers, body = self.answer(request)
        headers["Content-Length"] = len(body)
        self.send(request, status, headers, body + b"surplus")
        raise Gone

    def fault_flood(self, request):
        """More headers than anybody needs."""
        self.send(request, 200, {f"X-{number}": "x" * 1000 for number in range(200)}, b"")

    def fault_no_http(self, request):
        """Something that is no HTTP."""
        self.sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 4)
        raise Gone

    def fault_error_200(self, request):
        """200 with an error document."""
        self.send(request, 200, {}, (HEAD + "<Error><Code>InternalError</Code></Error>").encode())

    def fault_flip_upload(self, request):
        """One bit of the body that came in is turned, as a bad line would."""
        if request.body:
            request.body = bytes([request.body[0] ^ 1]) + request.body[1:]
        self.send(request, *self.answer(request))

    def fault_wrong_etag(self, request):
        """An ETag that belongs to other bytes."""
        status, headers, body = self.answer(request)
        headers["ETag"] = '"00000000000000000000000000000000"'
        self.send(request, status, headers, body)

    def fault_store_less(self, request):
        """Says that it stored what came, and stores half of it."""
        status, headers, body = self.answer(request)
        version = self.server.store.bucket(request).current(request.key)
        version.body = version.body[:len(version.body) // 2]
        self.send(request, status, headers, body)

    def fault_marker(self, request):
        """404 NoSuchKey behind a delete marker."""
        self.send(request, 404, {"x-amz-delete-marker": "true"},
                  (HEAD + "<Error><Code>NoSuchKey</Code></Error>").encode())

    def fault_html_404(self, request):
        """404 from something that is no S3."""
        self.send(request, 404, {"Content-Type": "text/html"}, b"<html>Not Found</html>")

    def fault_not_implemented(self, request):
        """501, as stores without conditional writes say."""
        self.send(request, 501, {}, (HEAD + "<Error><Code>NotImplemented</Code></Error>").encode())

    def fault_ignore_condition(self, request):
        """Overwrites although If-None-Match was sent."""
        request.headers = dict(request.headers)
        status, headers, body = self.answer_unconditionally(request)
        self.send(request, status, headers, body)

    def answer_unconditionally(self, request):
        check_signature(request, self.server.clock)
        request.headers.pop("if-none-match", None)
        return self.server.store.handle(request)

    def fault_list_repeat_token(self, request):
        """Pages that always lead to the same token."""
        status, headers, body = self.answer(request)
        start, _, tail = body.partition(b"<NextContinuationToken>")
        _, _, tail = tail.partition(b"</NextContinuationToken>")
        body = (start.replace(b"<IsTruncated>false", b"<IsTruncated>true")
                + b"<NextContinuationToken>again</NextContinuationToken>" + tail)
        self.send(request, status, headers, body)

    def fault_list_no_token(self, request):
        """Truncated, and no word on where to go on."""
        status, headers, body = self.answer(request)
        start, found, tail = body.partition(b"<NextContinuationToken>")
        if found:
            body = start + tail.partition(b"</NextContinuationToken>")[2]
        self.send(request, status, headers, body)

    def fault_list_from_the_beginning(self, request):
        """Takes start-after and begins with the first key all the same."""
        request.argument.pop("start-after", None)
        self.send(request, *self.answer(request))

    def fault_status(self, request, status):
        """503, 500, 403...: with the code S3 has for it."""
        code = {403: "AccessDenied", 500: "InternalError", 503: "SlowDown", 429: "SlowDown"}[status]
        self.send(request, status, {}, f"{HEAD}<Error><Code>{code}</Code></Error>".encode())

    # --------------------------------------------------------------------------------------------

    def serve_one(self):
        request = self.read_request()
        self.read_body(request)
        with self.server.lock:
            self.server.requests.append(request)
            fault = self.server.fault(request, self.server)
            self.server.faults += fault is not None
        self.server.before(request)
        if fault is None:
            self.send(request, *self.answer(request))
        elif isinstance(fault, int):
            self.fault_status(request, fault)
        elif isinstance(fault, tuple):
            self.send(request, *fault)
        else:
            getattr(self, "fault_" + fault)(request)

    def serve(self):
        try:
            while True:
                self.serve_one()
        except (Gone, OSError, ssl.SSLError):
            pass
        finally:
            self.sock.close()


class Server:
    """endpoint; store; requests (all that came); fault (see above); upload (request -> "reset", "stall"
    or None: what a body meets half-way); clock (seconds it is ahead);
    continues (answers "Expect: 100-continue"); digests (those it looks at); before (a function of each
    request that is called before it is answered, and may wait)."""

    def __init__(self, tls=None, fault=None, buckets=("cpam",), versioned=("versioned",)):
        self.store = Store()
        for name in buckets:
            self.store.buckets[name] = Bucket()
        for name in versioned:
            self.store.buckets[name] = Bucket(True)
        self.fault = fault or (lambda request, server: None)
        self.upload = lambda request: None
        self.requests, self.faults = [], 0
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.stall_handshake, self.clock, self.continues = False, 0.0, True
        self.before = lambda request: None
        self.digests = {"md5", "sha256"}
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.endpoint = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.stall_handshake:
            self.ended.wait()
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
        except (OSError, ssl.SSLError):
            sock.close()
            return
        Connection(self, sock).serve()

    def stop(self):
        self.ended.set()
        self.listener.close()
