#!/usr/bin/env python3
"""test_resolve.py - two servers that write one timeline, and how a person ends it: the archiver goes
on, and both contents are kept.  On a directory, in a bucket, and in one that keeps versions."""
import os
import re
import subprocess

from fetch_world import World
from harness import cluster, cpam, tap, workspace
from test_wal_fetch_s3 import S3World

READER = os.path.join(cpam.SOURCE_ROOT, "tests/reader/read_repository.py")


class Split:
    """The primary, and a copy of it that was started as it was: the same timeline, written twice."""

    def __init__(self, t, world):
        self.t, self.world = t, world
        self.names = world.begin(2)
        world.primary.stop()
        data = os.path.join(world.folder, "b")
        workspace.run(["cp", "-a", world.primary.data, data])
        self.other = cluster.restored(t, data, "b")
        self.config = world.write_config("b.yaml", self.other, getattr(world, "entries", None))
        world.primary.start()
        self.name = world.write_segments(world.primary, 1)[0]
        self.archived = self.content("archived")
        world.primary.stop()
        self.other.start()
        self.other.sql("insert into t select g from generate_series(-100, -1) g")
        t.equal(self.other.switch_wal(), self.name, "the segment both have written")
        self.other.wait_log("is archived with other content")
        with open(os.path.join(data, "pg_wal", self.name), "rb") as file:
            self.local = file.read()

    def content(self, called):
        into = os.path.join(self.world.folder, called)
        if os.path.exists(into):
            os.unlink(into)
        with open(self.world.segment_file(self.name, into), "rb") as file:
            return file.read()

    def resolve(self, *arguments, code=0, words=()):
        done = self.t.exits(cpam.run("cpam-repo", "resolve", self.name, *arguments,
                                     config=self.config), code)
        self.t.holds(done.output(), list(words), "cpam-repo resolve")
        return done

    def archiver_goes_on(self):
        """The segment that was refused, and the one behind it."""
        following = self.world.write_segments(self.other, 1)[-1]
        self.t.true(following > self.name, f"{following} comes after {self.name}")
        self.t.true(not [one for one in os.listdir(os.path.join(self.other.data,
                                                                "pg_wal/archive_status"))
                         if one.endswith(".ready")], "nothing waits for the archiver")


class Bucket(S3World):
    def write_config(self, name, pg, repositories=None, wal_fetch=None):
        self.entries = repositories
        return super().write_config(name, pg, repositories, wal_fetch)


def test_ask7_keep_archived_and_the_archiver_goes_on(t):
    split = Split(t, World(t))
    t.holds(split.other.log_text(), ["content id", "timeline 1", "cpam-repo resolve"], "its log")
    shown = split.resolve(code=3, words=["two contents claim this name", "LSN"])
    t.lacks(shown.out, ["done"])
    split.resolve("--keep", "archived", "--reason", "b was a test", "--yes", words=["done:"])
    split.archiver_goes_on()
    t.equal(split.content("after") == split.archived, True, "the archived content")
    listed = t.exits(cpam.run("cpam-repo", "quarantine", config=split.config), 0)
    t.holds(listed.out, [split.name, "b was a test"])
    aside = re.search(r"content ([0-9a-f]{16})", listed.out).group(1)
    # the independent reader opens what lies there by nothing but docs/format.md
    folder, config = split.world.folder, split.other.controldata()
    read = subprocess.run(
        ["/usr/bin/python3", READER, os.path.join(folder, "repo", "demo"), os.path.join(folder, "key"),
         "wal", config["Database system identifier"], f"{aside}/{split.name}"],
        capture_output=True, check=False)
    t.equal(read.returncode, 0, read.stderr.decode())
    t.true(read.stdout == split.local, "the local content, from quarantine")


def test_ask7_keep_local_and_the_archiver_goes_on(t):
    split = Split(t, World(t))
    split.resolve("--keep", "local", code=3, words=["--yes would"])
    split.resolve("--keep", "local", "--yes", words=["done:"])
    split.archiver_goes_on()
    t.true(split.content("after") == split.local, "the local content")
    listed = t.exits(cpam.run("cpam-repo", "quarantine", config=split.config), 0)
    t.holds(listed.out, ["was archived"])


def test_ask7_in_a_bucket(t):
    split = Split(t, Bucket(t))
    split.resolve("--keep", "local", "--yes", words=["done:"])
    split.archiver_goes_on()
    t.true(split.content("after") == split.local, "the local content")


def test_ask7_F13_in_a_bucket_with_versions(t):
    """The archived side can be kept; only somebody who may delete versions can free its name."""
    split = Split(t, Bucket(t, versioned=True))
    world = split.world
    done = split.resolve("--keep", "local", "--yes", code=1, words=["lies in quarantine now",
                                                                   "delete-object"])
    t.true(split.content("after") == split.archived, "the archived content")
    version = re.search(r"IDs: (\S+)\)", done.err).group(1)
    key, = [key for key in world.server.client.keys(world.bucket)
            if key.endswith("/" + split.name) and "/quarantine/" not in key]
    world.server.client.delete(world.bucket, key, version)
    split.resolve("--keep", "local", "--yes", words=["done:"])
    split.archiver_goes_on()
    t.true(split.content("after") == split.local, "the local content")


def test_ask7_keep_archived_in_a_bucket_with_versions(t):
    split = Split(t, Bucket(t, versioned=True))
    split.resolve("--keep", "archived", "--yes", words=["done:"])
    split.archiver_goes_on()
    t.true(split.content("after") == split.archived, "the archived content")


if __name__ == "__main__":
    tap.main(globals())
