#!/usr/bin/env python3
"""test_guard.py - S2: a body that was damaged on its way is refused by every kind of store.

A store is what it looks at: MD5, SHA-256, CRC-32C, all of them, or nothing.  The body is large enough
for the store to be asked which.
"""
import os

import peer
from harness import tap

SIZE = 300_000

# What a store looks at, over TLS or not, and what has to go along with the body.
STORES = [
    ({"md5", "sha256", "crc32c"}, True, "x-amz-checksum-crc32c"),  # S3, MinIO
    ({"md5", "sha256"}, True, "x-amz-content-sha256"),             # radosgw
    ({"md5"}, True, "content-md5"),
    (set(), True, "content-md5"),
    ({"md5", "sha256", "crc32c"}, False, "x-amz-content-sha256"),
    ({"md5"}, False, "content-md5"),
]


def is_probe(request):
    return request.key in ("probe/crc32c", "probe/sha256")


def puts(server):
    return [each for each in server.requests if each.method == "PUT" and not is_probe(each)]


def flip(times):
    """So many puts arrive with a bit turned."""
    left = [times]

    def decide(request, _):
        if request.method != "PUT" or is_probe(request) or left[0] == 0:
            return None
        left[0] -= 1
        return "flip_upload"

    return decide


def test_S2_a_flipped_bit_is_found_by_every_kind_of_store(t):
    for number, (digests, secure, header) in enumerate(STORES):
        server = peer.start(t, secure=secure)
        server.digests = digests
        path, body = peer.file(t, f"body{number}", SIZE)
        what = f"a store that looks at {sorted(digests)}, {'with' if secure else 'without'} TLS"
        server.fault = flip(1)
        answer = peer.drive(server.endpoint, "put", "k", path, ca=server.ca)
        sent = puts(server)
        value = sent[0].headers.get(header, "")
        t.true(value not in ("", "UNSIGNED-PAYLOAD"), f"{header} goes to {what}: {sent[0].headers}")
        if header != "content-md5":
            t.true("content-md5" not in sent[0].headers, f"no MD5 for {what}")
        if digests:
            peer.expect(t, answer, "ok", what=what)
            t.equal(len(sent), 2, f"puts to {what}")
            t.true(server.store.buckets["cpam"].current("k").body == body, f"the object in {what}")
        else:  # it took the damaged body; its own ETag tells
            peer.expect(t, answer, "corrupt", "holds other bytes than were sent", what)


def test_S2_a_probe_stays_only_where_a_store_looks_away(t):
    for digests, stays in (({"md5", "sha256", "crc32c"}, []), ({"md5", "sha256"}, ["probe/crc32c"]),
                           ({"md5"}, ["probe/crc32c", "probe/sha256"])):
        server = peer.start(t, secure=True)
        server.digests = digests
        path, body = peer.file(t, "body", SIZE)
        for bucket in ("cpam", "versioned"):
            for key in ("a", "b"):  # two processes: the second one finds what the first one left
                peer.expect(t, peer.drive(server.endpoint, "put", key, path, ca=server.ca, bucket=bucket),
                            "ok")
            objects = server.store.buckets[bucket].objects
            t.equal(sorted(objects), sorted(["a", "b", *stays]), f"{sorted(digests)} in {bucket}")
            t.true(all(len(versions) == 1 for versions in objects.values()), "and no second version")
            t.true(objects["a"][0].body == body == objects["b"][0].body, "whole")


def test_S1_S2_a_probe_that_fails_does_not_fail_the_put(t):
    path, body = peer.file(t, "body", SIZE)
    for fault in (403, 503, "reset", "not_implemented", "error_200", "lost_answer", "no_http"):
        server = peer.start(t, secure=True)
        server.fault = lambda request, _, fault=fault: fault if is_probe(request) else None
        peer.expect(t, peer.drive(server.endpoint, "put", "k", path, ca=server.ca), "ok",
                    what=f"a put whose probe meets {fault}")
        t.equal(["content-md5" in each.headers for each in puts(server)], [True], str(fault))
        t.true(server.store.buckets["cpam"].current("k").body == body, "the object")


def test_S3_what_the_store_has_is_looked_at_without_an_md5_too(t):
    path, _ = peer.file(t, "body", SIZE)
    for fault, words in (("store_less", "was put with 300000 bytes"),
                         ("wrong_etag", "and ETag 00000000000000000000000000000000, but the store now")):
        server = peer.start(t, secure=True)
        server.fault = lambda request, _, fault=fault: \
            fault if request.method == "PUT" and not is_probe(request) else None
        answer = peer.drive(server.endpoint, "put", "k", path, ca=server.ca)
        peer.expect(t, answer, "corrupt", words, fault)
        t.true("content-md5" not in puts(server)[0].headers, "without an MD5")


def test_P8_a_body_from_a_file_is_guarded_as_well(t):
    server = peer.start(t, secure=True)
    path, body = peer.file(t, "large", 3_000_000, seed=3)
    server.fault = flip(1)
    peer.expect(t, peer.drive(server.endpoint, "putfd", "k", path, ca=server.ca), "ok")
    t.equal(["content-md5" in each.headers for each in puts(server)], [False, False])
    t.true(server.store.buckets["cpam"].current("k").body == body, "the object")
    t.true(os.path.getsize(path) == len(body), "and its file")


if __name__ == "__main__":
    tap.main(globals())
