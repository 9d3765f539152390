"""stores.py - where the WAL of the benchmark goes: a folder, or S3 with TLS, near or far away.

The S3 server of the benchmark is the scripted one of tests/peer, which keeps objects in memory and
checks signatures and digests: it takes little of the processors that the contenders need.  radosgw
is there as well (`--s3 radosgw`); on a small machine it takes more than both contenders.
"""
import os
import shutil
import subprocess
import sys

from harness import rgw, tls, workspace

import measure

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests/peer"))
import digests  # noqa: E402
import server  # noqa: E402


class Store:
    """What a benchmark asks of a store: its settings for each contender, and to be there for a while."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Folder(Store):
    name = "directory"

    def cpam(self, folder):
        return [{"name": "primary", "url": "file://" + os.path.join(folder, "repo")}]

    def pgbackrest(self, folder):
        return {"repo1-path": os.path.join(folder, "repo")}

    def fresh(self, folder):
        shutil.rmtree(os.path.join(folder, "repo"), ignore_errors=True)


class S3(Store):
    """A bucket of its own for each fresh repository; port: what the contenders connect to."""

    name = "S3, TLS"

    def __init__(self, t, kind="memory"):
        self.number = 0
        if kind == "radosgw":
            self.server = rgw.start(t)
            self.ca, self.port = self.server.ca, self.server.https_port
            self.access, self.secret = self.server.access_key, self.server.secret_key
            self.make = self.server.client.make_bucket
        else:
            authority = tls.authority(t.folder())
            self.server = server.Server(tls.certificate(t.folder(), authority, ("localhost",)))
            self.server.digests = {"md5", "sha256", "crc32c"}  # as S3 and MinIO
            digests.crc32c = measure.crc32c()
            t.defer(self.server.stop)
            self.ca, self.port = authority[0], self.server.port
            self.access, self.secret = server.ACCESS_KEY, server.SECRET_KEY
            self.make = self.make_in_memory
        self.secret_file = workspace.write(os.path.join(t.folder(), "secret"), self.secret + "\n", 0o600)

    def make_in_memory(self, bucket):
        self.server.store.buckets = {bucket: server.Bucket()}
        self.server.requests.clear()

    def fresh(self, _folder):
        self.number += 1
        self.bucket = f"bench{self.number}"
        self.make(self.bucket)

    def requests(self):
        return self.server.requests

    def stored(self):
        """Bytes of the objects that there are."""
        bucket = self.server.store.buckets[self.bucket]
        return sum(len(versions[-1].body) for key, versions in bucket.objects.items() if "/wal/" in key)

    def cpam(self, _folder):
        return [{"name": "primary", "url": f"s3://{self.bucket}/x", "region": server.REGION,
                 "endpoint": f"https://localhost:{self.port}", "ca_file": self.ca,
                 "addressing": "path", "credentials": "static", "access_key_id": self.access,
                 "secret_access_key": "@" + self.secret_file}]

    def pgbackrest(self, _folder):
        return {"repo1-type": "s3", "repo1-path": "/x", "repo1-s3-bucket": self.bucket,
                "repo1-s3-endpoint": "localhost", "repo1-s3-region": server.REGION,
                "repo1-s3-uri-style": "path", "repo1-s3-key": self.access,
                "repo1-s3-key-secret": self.secret, "repo1-storage-host": "localhost",
                "repo1-storage-port": self.port, "repo1-storage-ca-file": self.ca}


class Far(Store):
    """Another store behind a line with a round trip, and a bandwidth in bytes a second (0: no limit)."""

    def __init__(self, near, milliseconds, bandwidth=0):
        self.near, self.milliseconds, self.bandwidth = near, milliseconds, bandwidth
        self.name = f"{near.name}, {milliseconds} ms" + (
            f", {bandwidth / 1e6:.0f} MB/s" if bandwidth else "")

    def __enter__(self):
        self.there = self.near.port
        self.process = subprocess.Popen(
            [measure.tool("delay"), str(self.there), str(self.milliseconds), str(self.bandwidth)],
            stdout=subprocess.PIPE, text=True)
        self.near.port = int(self.process.stdout.readline())
        return self.near

    def __exit__(self, *_):
        self.near.port = self.there
        self.process.kill()
        self.process.wait()

    def __getattr__(self, name):
        return getattr(self.near, name)
