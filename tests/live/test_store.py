#!/usr/bin/env python3
"""test_store.py - the S3 store against a real server: Ceph's radosgw, with TLS and signatures checked."""
import os
import subprocess
import sys

from harness import rgw, tap, tls

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peer"))
os.environ.setdefault("CPAM_STORE_DRIVER", os.path.join(
    os.environ.get("CPAM_BUILD_ROOT", "build"), "tests", "peer", "store_driver"))
import peer  # noqa: E402

KEY = "wal/1/00000001/00000000/000000010000000000000001"


def drive(bucket, *arguments, **options):
    server = rgw.shared()
    options.setdefault("ca", server.ca)
    options.setdefault("access_key", server.access_key)
    options.setdefault("secret_key", server.secret_key)
    return peer.drive(options.pop("endpoint", server.endpoint), *arguments, bucket=bucket, **options)


_made = set()


def bucket(name, versioned=False):
    if name not in _made:
        rgw.shared().client.make_bucket(name, versioned)
        _made.add(name)
    return name


def test_an_object_is_put_looked_at_and_read_back_whole_and_in_parts(t):
    name = bucket("objects")
    path, body = peer.file(t, "body", 20_000_000)
    to = os.path.join(t.folder(), "got")
    for command, key in (("put", "a/put"), ("putfd", "a/putfd"), ("stream", "a/stream")):
        peer.expect(t, drive(name, "--prefix=folder/demo", command, key, path), "ok", what=command)
        t.true(rgw.shared().client.get(name, "folder/demo/" + key) == body, f"{command} stored it")
        for offset, size in ((0, 0), (0, 100), (12_345_678, 1_000_000), (19_999_999, 1)):
            arguments = ("--prefix=folder/demo", "get", key, to, offset, size)
            peer.expect(t, drive(name, *arguments), "ok", what=f"{command} {offset} {size}")
            with open(to, "rb") as file:
                t.true(file.read() == body[offset:offset + size if size else None],
                       f"{command}: {size} bytes from {offset}")
    answer = drive(name, "--prefix=folder/demo", "get", "a/put", to, 19_999_999, 2)
    peer.expect(t, answer, "corrupt", "has 20000000 bytes")
    answer = drive(name, "--prefix=folder/demo", "get", "a/put", to, 30_000_000, 1)
    peer.expect(t, answer, "corrupt", "416 InvalidRange")


def test_S2_over_plain_http_too(t):
    name = bucket("plain")
    path, body = peer.file(t, "body", 17_000_000)
    for command in ("put", "stream"):
        peer.expect(t, drive(name, command, command, path, endpoint=rgw.shared().plain), "ok")
        t.true(rgw.shared().client.get(name, command) == body, command)


def test_S2_this_store_looks_at_a_signed_sha256(t):
    """So a large body needs no MD5; it does not know CRC-32C, and keeps the probe for that."""
    path, body = peer.file(t, "body", 3_000_000)
    for versioned in (False, True):
        name = bucket(f"guarded-{versioned}".lower(), versioned)
        for key in ("a", "b"):
            peer.expect(t, drive(name, "put", key, path), "ok", what=key)
            t.true(rgw.shared().client.get(name, key) == body, key)
        t.equal(rgw.shared().client.keys(name), ["a", "b", "probe/crc32c"])


def test_a_bucket_in_the_host_name(t):
    server, name = rgw.shared(), bucket("virtual")
    path, _ = peer.file(t, "body", 1000)
    where = f"--resolve=virtual.localhost:{server.https_port}:127.0.0.1"
    peer.expect(t, drive(name, "--addressing=virtual", where, "put", "k", path), "ok")
    t.equal(server.client.keys(name), ["k"])


def race(t, name, key, paths):
    """Puts all at once; the driver's answers."""
    server = rgw.shared()
    processes = [subprocess.Popen(
        [peer.DRIVER, f"--endpoint={server.endpoint}", f"--ca={server.ca}", f"--bucket={name}",
         "--deadline=60000", "put", key, path],
        env={**os.environ, **server.environment()}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True) for path in paths]
    return [process.communicate()[0].split("\t")[0] for process in processes]


def test_P3_of_two_racing_pushers_one_wins(t):
    paths = [peer.file(t, f"racer{number}", 1 << 20, seed=number)[0] for number in range(2)]
    bodies = [open(path, "rb").read() for path in paths]
    for name, rounds in ((bucket("race"), 30), (bucket("raceversions", True), 30)):
        for number in range(rounds):
            key = f"wal/{number:03d}"
            answers = race(t, name, key, paths)
            t.equal(sorted(answers), ["exists", "ok"], f"{name}, round {number}")
            winner = bodies[answers.index("ok")]
            versions = drive(name, "versions", key).lines
            to = os.path.join(t.folder(), "got")
            oldest = versions[0].split()[0] if versions[0].split()[0] != "object" else ""
            drive(name, "get", key, to, 0, 0, *([oldest] if oldest else []))
            with open(to, "rb") as file:
                t.true(file.read() == winner, f"{name}, round {number}: the winner's bytes count")


def test_S11_a_listing_beyond_one_page_is_whole(t):
    name = bucket("listing")
    answer = drive(name, "many", 1100, deadline=120000)
    peer.expect(t, answer, "ok")
    keys = [f"many/{number:06d}" for number in range(1100)]
    answer = drive(name, "list", "many/", "-")
    peer.expect(t, answer, "ok")
    t.equal([line.split()[0] for line in answer.lines], keys)
    answer = drive(name, "list", "many/", "many/001050")
    t.equal([line.split()[0] for line in answer.lines], keys[1051:], "behind a key")
    answer = drive(name, "list", "", "-", "delimited")
    t.equal(answer.lines, ["many/ 0 prefix"])


def test_S3_S5_a_multipart_upload_is_whole_or_leaves_nothing(t):
    name = bucket("parts")
    path, body = peer.file(t, "body", 40_000_000)
    client = rgw.shared().client
    peer.expect(t, drive(name, "stream", "good", path), "ok")
    t.true(client.get(name, "good") == body, "the object in three parts")
    peer.expect(t, drive(name, "stream", "good", path), "exists", "is there already")
    peer.expect(t, drive(name, "stream", "thrown", path, "free"), "ok")
    t.equal((client.uploads(name), client.keys(name)), ([], ["good"]), "what stayed")


def test_F5_what_a_delete_marker_hides_is_neither_absent_nor_free(t):
    name = bucket("versions", True)
    path, body = peer.file(t, "body", 3000)
    other, _ = peer.file(t, "other", 4000, seed=2)
    peer.expect(t, drive(name, "head", KEY), "not_found")
    peer.expect(t, drive(name, "put", KEY, path), "ok")
    peer.expect(t, drive(name, "put", KEY, other), "exists")
    rgw.shared().client.delete(name, KEY)
    for command in (("head", KEY), ("get", KEY, t.folder() + "/got")):
        peer.expect(t, drive(name, *command), "unknown", "listed under the name", command[0])
    peer.expect(t, drive(name, "put", KEY, other), "exists", "older version")
    listed = drive(name, "versions", KEY)
    oldest, kind, size = listed.lines[0].split()
    t.equal((kind, size), ("object", "3000"), "the oldest version")
    to = os.path.join(t.folder(), "got")
    peer.expect(t, drive(name, "get", KEY, to, 0, 0, oldest), "ok")
    with open(to, "rb") as file:
        t.equal(file.read(), body, "the oldest version's bytes")


def test_P3_prepare_is_content_with_this_store(t):
    for name, versioned in (("prepare", False), ("prepareversions", True)):
        peer.expect(t, drive(bucket(name, versioned), "--prefix=a/b", "prepare"), "ok", what=name)
        t.equal(rgw.shared().client.keys(name), [], "probes that stayed")
    peer.expect(t, drive("nosuchbucket", "prepare"), "refused", "NoSuchBucket")


REFUSALS = [
    ({"secret_key": "wrong"}, "SignatureDoesNotMatch"),
    ({"access_key": "NOBODY"}, "InvalidAccessKeyId"),
]


def test_F1_wrong_credentials_and_authorities_are_refused_never_absent(t):
    name = bucket("refusals")
    path, _ = peer.file(t, "body", 10)
    other = tls.authority(t.folder(), "other")[0]
    for options, words in REFUSALS + [({"ca": other}, "certificate"), ({"ca": None}, "certificate")]:
        for command in (("head", "k"), ("get", "k", t.folder() + "/got"), ("put", "k", path),
                        ("list", "", "-"), ("versions", "k")):
            peer.expect(t, drive(name, *command, **options), "refused", words, f"{command} {options}")
    server = rgw.shared()
    server.make_user("stranger", "STRANGERACCESSKEY001", "strangerSecret")
    stranger = {"access_key": "STRANGERACCESSKEY001", "secret_key": "strangerSecret"}
    for command in (("head", "k"), ("get", "k", t.folder() + "/got"), ("put", "k", path)):
        answer = drive(name, *command, **stranger)
        peer.expect(t, answer, "refused", "AccessDenied", f"{command} of a stranger")
        t.holds(answer.hint, "policy")


def test_P11_a_gateway_that_is_gone_or_silent_ends_with_the_deadline(t):
    server = rgw.start(t)  # of its own: the others go on using theirs
    server.client.make_bucket("cpam")
    path, _ = peer.file(t, "body", 1_000_000)

    def run(*arguments, deadline=peer.PATIENT):
        return peer.drive(server.endpoint, *arguments, bucket="cpam", ca=server.ca, deadline=deadline,
                          access_key=server.access_key, secret_key=server.secret_key)

    peer.expect(t, run("put", "k", path), "ok")
    server.pause_gateway()
    for command in (("get", "k", t.folder() + "/got"), ("put", "k2", path), ("list", "", "-")):
        answer = run(*command, deadline=peer.HASTY)
        peer.expect(t, answer, "deadline", what=f"{command[0]} of a silent gateway")
        peer.in_time(t, answer)
    server.resume_gateway()
    peer.expect(t, run("head", "k"), "ok", what="the gateway that speaks again")
    server.kill_gateway()
    answer = run("head", "k", deadline=peer.HASTY)
    peer.expect(t, answer, "deadline", "connect", "a gateway that is gone")
    server.start_gateway()
    peer.expect(t, run("head", "k"), "ok", what="what was stored stays")


def test_S1_a_push_waits_over_a_restart_of_the_gateway(t):
    server = rgw.start(t)
    server.client.make_bucket("cpam")
    path, body = peer.file(t, "body", 1_000_000)
    server.kill_gateway()
    process = subprocess.Popen(
        [peer.DRIVER, f"--endpoint={server.endpoint}", f"--ca={server.ca}", "--bucket=cpam",
         "--deadline=60000", "put", "k", path], env={**os.environ, **server.environment()},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    t.defer(process.kill)
    server.start_gateway()
    t.holds(process.communicate(timeout=180)[0], "ok\t")
    t.true(server.client.get("cpam", "k") == body, "the object")


if __name__ == "__main__":
    tap.main(globals())
