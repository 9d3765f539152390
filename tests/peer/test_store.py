#!/usr/bin/env python3
"""test_store.py - the S3 store against a server that misbehaves in one way at a time."""
import os
import socket

import peer
from harness import tap

KEY = "wal/1/00000001/00000000/000000010000000000000001"
SIZE = 300_000


def only(method, fault, times=None, key=None):
    """Requests of this method for an object (key: only this one) meet the fault, so many times.  What
    finds out which digests the server looks at is left alone: test_guard.py is about that."""
    state = {"left": times}

    def decide(request, _):
        if request.method != method or request.key in ("", "probe/crc32c", "probe/sha256") or (key and not request.key.endswith(key)):
            return None
        if state["left"] == 0:
            return None
        if state["left"]:
            state["left"] -= 1
        return fault

    return decide


def stored(t, fault=None, secure=False, size=SIZE):
    """A server with one good object, and from then on the fault."""
    server = peer.start(t, secure=secure)
    path, body = peer.file(t, "body", size)
    peer.expect(t, peer.drive(server.endpoint, "put", KEY, path, ca=server.ca), "ok")
    if fault:
        server.fault = fault
    return server, path, body


def get(t, server, *more, **options):
    """The answer and the bytes that were delivered (None: the file did not appear)."""
    to = os.path.join(t.folder(), "got")
    if os.path.exists(to):
        os.unlink(to)
    answer = peer.drive(server.endpoint, "get", KEY, to, *more, ca=server.ca, **options)
    if not os.path.exists(to):
        return answer, None
    with open(to, "rb") as file:
        return answer, file.read()


def deadline_for(status):
    """Only what has to run into the deadline gets a short one."""
    return peer.HASTY if status == "deadline" else peer.PATIENT


# What a GET meets, and what has to come out: (fault, times, status, words).
GETS = [
    ("reset", 1, "ok", ()), ("truncate", 1, "ok", ()), ("reset_in_body", 1, "ok", ()),
    (503, 3, "ok", ()), (500, 2, "ok", ()), (429, 1, "ok", ()),
    ("reset", None, "deadline", "gave up after"), (503, None, "deadline", "503 SlowDown"),
    (500, None, "deadline", "500 InternalError"), ("stall", None, "deadline", "used up"),
    ("stall_in_body", None, "deadline", "used up"), ("drip", None, "deadline", "used up"),
    (403, None, "refused", "403 AccessDenied"), ("short", 1, "corrupt", ()),
    ("error_200", 1, "corrupt", "has no ETag"), ("marker", 1, "unknown", "a delete marker hides"),
    ("html_404", 1, "unknown", "answered 404"), ("flood", 1, "corrupt", "bytes of headers"),
    ("no_http", 1, "corrupt", ()),
    ((200, {"X-Long": "x" * 400_000}, b""), 1, "no_memory", "a header of the answer is too long"),
]


def test_F1_P11_a_get_delivers_everything_or_says_why_not_within_its_deadline(t):
    server, _, body = stored(t)
    for fault, times, status, words in GETS:
        server.fault = only("GET", fault, times)
        answer, got = get(t, server, deadline=deadline_for(status))
        what = f"a get that meets {fault}"
        if fault == "short":  # a shorter object under the same Content-Length is not to be told here:
            t.true(answer.status == "ok" and got == body[:SIZE // 2], f"{what}: {answer}")
            continue          # the sealed object's own end tells it (ranged reads below do know)
        peer.expect(t, answer, status, words, what)
        if status == "deadline":
            peer.in_time(t, answer, what)
        t.equal(got, body if status == "ok" else None, what)


def test_P11_an_upload_that_is_cut_or_not_taken_half_way(t):
    """More than any socket holds: the client is still sending."""
    for secure in (False, True):
        server = peer.start(t, secure=secure)
        path, body = peer.file(t, "body", 24_000_000)
        for number, (fault, times, status) in enumerate((("reset", 1, "ok"), ("stall", None, "deadline"),
                                                         ("reset", None, "deadline"))):
            key, left = f"{KEY}{number}", [times]

            def upload(request, fault=fault, key=key, left=left):
                if request.method != "PUT" or request.key != key or left[0] == 0:
                    return None
                left[0] = left[0] and left[0] - 1
                return fault

            server.upload = upload
            what = f"a put that meets {fault} half-way, {'TLS' if secure else 'plain'}"
            answer = peer.drive(server.endpoint, "put", key, path, ca=server.ca,
                                deadline=deadline_for(status))
            peer.expect(t, answer, status, what=what)
            if status == "deadline":
                peer.in_time(t, answer, what)
            versions = server.store.buckets["cpam"].objects.get(key, [])
            t.equal([version.body == body for version in versions], [True] * (status == "ok"), what)


def test_F1_a_short_answer_to_a_range_is_found(t):
    server, _, body = stored(t)
    answer, got = get(t, server, 1000, 5000)
    t.equal(got, body[1000:6000], str(answer))
    for fault in ("short", "truncate"):
        server.fault = only("GET", fault, 1)
        answer, got = get(t, server, 1000, 5000)
        status = "corrupt" if fault == "short" else "ok"
        peer.expect(t, answer, status, "only 2500 of 5000 bytes came" if fault == "short" else "")
        t.equal(got, body[1000:6000] if status == "ok" else None)


def test_a_broken_get_goes_on_where_it_was_cut(t):
    server, _, body = stored(t, only("GET", "reset_in_body", 2), size=4_000_000)
    answer, got = get(t, server)
    t.true(got == body, f"the whole object: {answer}")
    ranges = [request.headers.get("range") for request in server.requests
              if request.method == "GET" and request.key]
    t.equal(ranges[0], None)
    t.true(len(ranges) == 3 and all(ranges[1:]), f"the rest was asked for by range: {ranges}")


def test_F1_surplus_bytes_do_not_get_into_the_object(t):
    server, _, body = stored(t, only("GET", "long", 1))
    answer, got = get(t, server)
    t.equal(got, body, str(answer))


def test_F1_absent_is_only_what_the_store_says_is_absent(t):
    server, _, _ = stored(t)
    for bucket, status in (("cpam", "not_found"), ("versioned", "not_found"), ("nobucket", "refused")):
        for command in (("head", "wal/none"), ("get", "wal/none", t.folder() + "/got")):
            answer = peer.drive(server.endpoint, *command, bucket=bucket)
            peer.expect(t, answer, status, what=f"{command[0]} in {bucket}")
    refused = socket.create_server(("127.0.0.1", 0))
    port = refused.getsockname()[1]
    refused.close()
    answer = peer.drive(f"http://127.0.0.1:{port}", "head", "wal/none", deadline=peer.HASTY)
    peer.expect(t, answer, "deadline", "connect")
    peer.in_time(t, answer)


def test_F5_a_delete_marker_is_not_absence(t):
    server = peer.start(t)
    path, _ = peer.file(t, "body", 1000)
    other, _ = peer.file(t, "other", 1200, seed=2)

    def run(*arguments):
        return peer.drive(server.endpoint, *arguments, bucket="versioned")

    peer.expect(t, run("put", KEY, path), "ok")
    peer.expect(t, run("remove", KEY), "ok")
    peer.expect(t, run("head", KEY), "unknown", "a delete marker hides")
    peer.expect(t, run("get", KEY, t.folder() + "/got"), "unknown", "a delete marker hides")
    # a put above the marker is not a put of something new
    peer.expect(t, run("put", KEY, other), "exists", "has an older version")
    listed = run("versions", KEY)
    peer.expect(t, listed, "ok")
    t.equal([line.split()[1:] for line in listed.lines],
            [["object", "1000"], ["marker", "0"], ["object", "1200"]], "oldest first")
    # nothing but a marker
    peer.expect(t, run("remove", "wal/bare"), "ok")
    peer.expect(t, run("put", "wal/bare", path), "unknown", "lies a delete marker")


def test_P3_a_second_put_is_refused_and_changes_nothing(t):
    server, _, body = stored(t)
    other, _ = peer.file(t, "other", SIZE, seed=2)
    for bucket in ("cpam", "versioned"):
        path = os.path.join(t.folder(), "body")
        if bucket == "versioned":
            peer.expect(t, peer.drive(server.endpoint, "put", KEY, path, bucket=bucket), "ok")
        peer.expect(t, peer.drive(server.endpoint, "put", KEY, other, bucket=bucket), "exists", "412")
        t.equal([each.body for each in server.store.buckets[bucket].objects[KEY]], [body])


# What a PUT meets: (fault, times, status, words).
PUTS = [
    ("reset", 1, "ok", ()), (503, 3, "ok", ()), ("flip_upload", 1, "ok", ()),
    ("error_200", 1, "ok", ()), ("lost_answer", 1, "exists", "412"),
    ("wrong_etag", 1, "corrupt", "holds other bytes than were sent"),
    ("store_less", 1, "corrupt", "was put with 200000 bytes"),
    ("flip_upload", None, "deadline", "BadDigest"), ("stall", None, "deadline", "used up"),
    (403, None, "refused", "AccessDenied"), ("not_implemented", None, "refused", "501"),
    ("truncate", 1, "ok", ()),
]


def test_S2_S3_a_put_is_good_when_the_store_has_it_whole(t):
    server, path, body = stored(t, size=200_000)  # so small that it has an MD5 (test_guard.py: larger)
    for number, (fault, times, status, words) in enumerate(PUTS):
        server.fault = only("PUT", fault, times)
        key = f"put/{number}"
        answer = peer.drive(server.endpoint, "put", key, path, deadline=deadline_for(status))
        peer.expect(t, answer, status, words, f"a put that meets {fault}")
        if status == "deadline":
            peer.in_time(t, answer, f"a put that meets {fault}")
        there = server.store.buckets["cpam"].current(key)
        if status in ("ok", "exists"):
            t.true(there is not None and there.body == body, f"the object after {fault}")


def test_P8_a_body_from_a_file_arrives_whole_also_after_a_break(t):
    server, _, _ = stored(t, only("PUT", "reset", 1))
    path, body = peer.file(t, "large", 6_000_000, seed=3)
    for key in ("fd/1", "fd/2"):
        peer.expect(t, peer.drive(server.endpoint, "putfd", key, path), "ok")
        t.true(server.store.buckets["cpam"].current(key).body == body, key)


def test_a_server_that_never_says_continue_is_not_asked_again(t):
    server, _, _ = stored(t)
    server.continues = False
    path, body = peer.file(t, "large", 40_000_000, seed=3)
    answer = peer.drive(server.endpoint, "stream", "k", path)
    peer.expect(t, answer, "ok")
    t.true(server.store.buckets["cpam"].current("k").body == body, "the object")
    asked = ["expect" in request.headers for request in server.requests
             if "partNumber" in request.argument]
    t.equal(asked, [True, False, False], "parts that asked for 100-continue")


def test_a_body_is_asked_for_only_until_one_was_taken_and_after_a_refusal(t):
    """The answer to "may I" is a round trip: worth it where a refusal would come before the body."""
    server, _, _ = stored(t)
    path, body = peer.file(t, "large", 40_000_000, seed=3)
    seen = []

    def decide(request, _):
        if "partNumber" not in request.argument:
            return None
        seen.append(request)
        return 503 if len(seen) == 2 else None

    server.fault = decide
    peer.expect(t, peer.drive(server.endpoint, "stream", "k", path), "ok")
    t.true(server.store.buckets["cpam"].current("k").body == body, "the object")
    t.equal(["expect" in request.headers for request in seen], [True, False, True, False],
            "parts that asked for 100-continue; the second one was refused")


def test_S2_over_plain_http_the_payload_is_signed(t):
    server, _, _ = stored(t)
    puts = [request for request in server.requests if request.method == "PUT"]
    t.true(all(len(request.headers["x-amz-content-sha256"]) == 64 for request in puts), "signed")
    secure, _, _ = stored(t, secure=True, size=1000)
    puts = [request for request in secure.requests if request.method == "PUT"]
    t.equal([request.headers["x-amz-content-sha256"] for request in puts], ["UNSIGNED-PAYLOAD"])
    t.true(all("content-md5" in request.headers for request in puts), "with their MD5")


def test_S8_the_expected_owner_is_named_in_every_request(t):
    server = peer.start(t)
    path, _ = peer.file(t, "body", 100)
    peer.expect(t, peer.drive(server.endpoint, "--owner=111122223333", "put", KEY, path), "ok")
    t.true(len(server.requests) >= 2 and all(
        request.headers.get("x-amz-expected-bucket-owner") == "111122223333"
        for request in server.requests), "the owner is named")


STREAM = 40_000_000  # three parts


def test_S3_S5_a_stream_is_whole_or_leaves_nothing(t):
    server = peer.start(t)
    path, body = peer.file(t, "body", STREAM)
    bucket = server.store.buckets["cpam"]

    def run(key, *more, **options):
        return peer.drive(server.endpoint, "stream", key, path, *more, **options)

    peer.expect(t, run("stream/good"), "ok")
    t.true(bucket.current("stream/good").body == body, "the object")
    peer.expect(t, run("stream/good"), "exists", "is there already")
    peer.expect(t, run("stream/thrown", "free"), "ok")
    server.fault = only("PUT", "flip_upload", 2)
    peer.expect(t, run("stream/flipped"), "ok")
    t.true(bucket.current("stream/flipped").body == body, "parts that were damaged were sent again")
    server.fault = only("PUT", 403)
    peer.expect(t, run("stream/refused"), "refused", "AccessDenied")

    def complete(fault, times=None):
        once = only("POST", fault, times)
        return lambda request, _: once(request, _) if "uploadId" in request.argument else None

    server.fault = complete("error_200")
    peer.expect(t, run("stream/error", deadline=20000), "deadline", "in the body of a success")
    server.fault = complete("lost_answer", 1)
    peer.expect(t, run("stream/lost"), "ok")
    t.true(bucket.current("stream/lost").body == body, "an object whose completion was not answered")
    server.fault = complete("store_less", 1)
    peer.expect(t, run("stream/less"), "corrupt", "bytes where 40000000 were sent")
    t.equal(bucket.uploads, {}, "uploads that nobody will finish")
    for key in ("stream/thrown", "stream/refused", "stream/error"):
        t.true(bucket.current(key) is None, f"{key} is not there")


def test_S5_an_abort_that_cannot_be_made_is_told(t):
    server = peer.start(t)
    path, _ = peer.file(t, "body", STREAM)
    server.fault = lambda request, _: 403 if request.method == "DELETE" else None
    answer = peer.drive(server.endpoint, "stream", "stream/thrown", path, "free")
    t.holds(answer.err, "the parts of an unfinished upload stay in the bucket")


def test_S3_listings_that_lie_are_unknown(t):
    server = peer.start(t)
    server.store.page = 3
    path, _ = peer.file(t, "body", 10)
    keys = [f"wal/{number:02d}" for number in range(8)]
    for key in keys:
        peer.expect(t, peer.drive(server.endpoint, "put", key, path), "ok")
    answer = peer.drive(server.endpoint, "list", "wal/", "-")
    peer.expect(t, answer, "ok")
    t.equal([line.split()[0] for line in answer.lines], keys, "three pages")
    answer = peer.drive(server.endpoint, "list", "wal/", "wal/05")
    t.equal([line.split()[0] for line in answer.lines], keys[6:], "from the middle")
    for fault, words in (("list_repeat_token", "goes"), ("list_no_token", "where to go on"),
                         ("error_200", "in the body of a success"), ("short", "can't be read")):
        server.fault = lambda request, _, fault=fault: fault if request.key == "" else None
        status = "deadline" if fault == "error_200" else "unknown"
        answer = peer.drive(server.endpoint, "list", "wal/", "-", deadline=deadline_for(status))
        peer.expect(t, answer, status, words, fault)


def test_P3_prepare_finds_a_store_that_overwrites(t):
    server = peer.start(t)
    for bucket in ("cpam", "versioned"):
        peer.expect(t, peer.drive(server.endpoint, "prepare", bucket=bucket), "ok", what=bucket)
        t.equal(server.store.buckets[bucket].objects, {}, "probes that stayed")
    server.fault = only("PUT", "ignore_condition")
    answer = peer.drive(server.endpoint, "prepare")
    peer.expect(t, answer, "refused", "overwrites all the same")
    t.holds(answer.hint, "conditional writes")
    # where versions are kept the oldest one counts, whatever lies on top
    peer.expect(t, peer.drive(server.endpoint, "prepare", bucket="versioned"), "ok")
    server.fault = only("PUT", "not_implemented")
    answer = peer.drive(server.endpoint, "prepare")
    peer.expect(t, answer, "refused", "501 NotImplemented")
    t.holds(answer.hint, "without which archived WAL could be overwritten")
    server.fault = only("PUT", "ignore_condition", 2)
    peer.expect(t, peer.drive(server.endpoint, "prepare"), "refused", "overwrites all the same")
    server.fault = lambda request, _: 403 if request.method == "DELETE" else None  # S7
    peer.expect(t, peer.drive(server.endpoint, "prepare"), "ok")


def test_F2_prepare_finds_a_store_that_cannot_tell_the_end(t):
    server = peer.start(t)
    server.fault = lambda request, _: \
        "list_from_the_beginning" if "list-type" in request.argument else None
    answer = peer.drive(server.endpoint, "prepare")
    peer.expect(t, answer, "refused", "goes back")
    t.holds(answer.hint, "start-after")


def test_P11_slow_handshakes_and_servers_end_with_the_deadline(t):
    server, path, _ = stored(t, secure=True)
    server.stall_handshake = True
    answer = peer.drive(server.endpoint, "head", KEY, ca=server.ca, deadline=peer.HASTY)
    peer.expect(t, answer, "deadline", what="a stalled handshake")
    peer.in_time(t, answer)
    server.stall_handshake = False
    # nothing but patience: the whole operation with its retries
    server.fault = only("HEAD", "stall")
    answer = peer.drive(server.endpoint, "--patience=1500", "head", KEY, ca=server.ca)
    peer.expect(t, answer, "deadline", what="a stalled server and patience")
    peer.in_time(t, answer)
    # a stall is told from the deadline, and another connection may do better
    server.fault = only("HEAD", "stall", 1)
    answer = peer.drive(server.endpoint, "--stall=1000", "head", KEY, ca=server.ca)
    peer.expect(t, answer, "ok", what="a stall that passes")
    server.fault = only("PUT", "stall")
    answer = peer.drive(server.endpoint, "put", "wal/2", path, ca=server.ca, deadline=peer.HASTY)
    peer.expect(t, answer, "deadline", what="a put that is never answered")
    peer.in_time(t, answer)


def test_S10_a_clock_that_is_wrong_is_learnt_from_the_store(t):
    server, path, _ = stored(t)
    for clock, word in ((1200.0, "behind"), (-1200.0, "ahead of")):
        server.clock = clock
        for command in (("head", KEY), ("get", KEY, t.folder() + "/got"), ("list", "", "-"),
                                          ("versions", KEY), ("put", f"clock/{word[:2]}", path)):
            answer = peer.drive(server.endpoint, *command)
            peer.expect(t, answer, "ok", what=f"{command} at {clock} s")
            t.holds(answer.err, f"s {word} that of the store", f"the warning of {command}")


def test_a_server_of_another_authority_is_refused(t):
    server, _, _ = stored(t, secure=True)
    from harness import tls

    other = tls.authority(t.folder(), "other")[0]
    before = len(server.requests)
    for ca, words in ((other, "certificate"), (None, "certificate"), ("/nonexistent", "certificate")):
        answer = peer.drive(server.endpoint, "head", KEY, ca=ca)
        peer.expect(t, answer, "refused", words, f"CA {ca}")
        t.holds(answer.hint, "ca_file")
    # the certificate is for "localhost" alone
    answer = peer.drive(server.endpoint.replace("localhost", "127.0.0.1"), "head", KEY, ca=server.ca)
    peer.expect(t, answer, "refused", "subject name", "another name")
    t.equal(len(server.requests), before, "requests sent to a server that could not prove itself")


def test_credentials_that_are_wrong_are_refused(t):
    server, _, _ = stored(t)
    wrong = peer.drive(server.endpoint, "head", KEY, secret_key="wrong")
    peer.expect(t, wrong, "refused", "403 SignatureDoesNotMatch")
    t.holds(wrong.hint, "secret access key")
    t.lacks(wrong.text + wrong.hint + wrong.err, ["wrong\n", peer.server.SECRET_KEY])
    peer.expect(t, peer.drive(server.endpoint, "head", KEY, access_key="NOBODY"), "refused",
                "InvalidAccessKeyId")
    none = peer.drive(server.endpoint, "head", KEY, access_key="", secret_key="",
                      env={"AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"})
    peer.expect(t, none, "refused", ["AWS_ACCESS_KEY_ID is not set", "\"/nonexistent\" is not there"])


if __name__ == "__main__":
    tap.main(globals())
