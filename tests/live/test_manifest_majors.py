#!/usr/bin/env python3
"""test_manifest_majors.py - the backup_manifest of a restored directory is one that PostgreSQL 17 and 18
take for pg_basebackup --incremental (wider tier).

pg_combinebackup itself can't be had here (harness/replication.py says why), so its rules are checked one by
one, and what it does is done: the restored directory and the server's own incremental backup are joined,
and a server runs on the result.
"""
import hashlib
import json
import os

from harness import cluster, compare, cpam, tap
from harness.replication import INCREMENTAL, Connection, Refused, combine, unpack


class World:
    def __init__(self, t, major):
        self.t = t
        self.pg = cluster.new(t, major=major, summarize_wal="on")
        self.config = cpam.write_config(t.folder(), cpam.settings(t.folder(), self.pg))
        self.pg.configure(**cpam.archive_settings(self.config)).start()
        t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)
        self.pg.sql("create table same as select g, repeat('x', 300) from generate_series(1, 20000) g")
        self.pg.sql("create table other as select g, repeat('y', 300) as b from generate_series(1, 20000) g")
        self.pg.sql("create table gone as select 1 as a; create table shorter as select * from other")

    def restored(self):
        """A backup, restored and not started; its directory and its manifest."""
        self.t.exits(cpam.run("cpam-base-push", config=self.config), 0)
        self.pg.wait_archived(self.pg.switch_wal())
        data = os.path.join(self.t.folder(), "full")
        self.t.exits(cpam.run("cpam-base-fetch", "--latest", data, config=self.config), 0)
        with open(os.path.join(data, "backup_manifest"), "rb") as file:
            return data, file.read()


def rules(t, world, data, text):
    """What the server and pg_combinebackup ask of a manifest and its backup_label."""
    manifest = json.loads(text)
    t.equal(manifest["PostgreSQL-Backup-Manifest-Version"], 2)
    control = world.pg.sql("select system_identifier from pg_control_system()")
    t.equal(str(manifest["System-Identifier"]), control)
    head, found, _ = text.rpartition(b'"Manifest-Checksum"')
    t.true(found, "it ends in its checksum")
    t.equal(manifest["Manifest-Checksum"], hashlib.sha256(head).hexdigest())
    with open(os.path.join(data, "backup_label"), encoding="utf-8") as file:
        label = dict(line.rstrip("\n").split(": ", 1) for line in file)
    start = label["START WAL LOCATION"].split(" ")[0]
    t.lacks("\n".join(label), "INCREMENTAL FROM")
    t.equal(manifest["WAL-Ranges"][-1]["Start-LSN"], start)
    t.equal(str(manifest["WAL-Ranges"][-1]["Timeline"]), label["START TIMELINE"])
    listed = {one.get("Path") or bytes.fromhex(one["Encoded-Path"]).decode(): one["Size"]
              for one in manifest["Files"]}
    # pg_verifybackup steps over postgresql.auto.conf, which every restore rewrites
    for path, size in listed.items():
        if path == "postgresql.auto.conf":
            continue
        t.equal(os.path.getsize(os.path.join(data, path)), size, path)
    t.true("backup_label" in listed and "backup_manifest" not in listed, "the list of files")
    return start, label["START TIMELINE"]


def change(world):
    pg = world.pg
    pg.sql("update other set b = 'changed' where g = 77")
    pg.sql("drop table gone; create table born as select generate_series(1, 1000) as a")
    pg.sql("truncate shorter; insert into shorter values (5, 'five')")
    pg.sql("delete from same where g > 15000; vacuum (truncate) same")


def _serves(major):
    @tap.limit(600)
    def case(t):
        world = World(t, major)
        data, text = world.restored()
        start, timeline = rules(t, world, data, text)
        change(world)
        rows = compare.rows(world.pg)
        connection = Connection(t, world.pg)
        connection.upload_manifest(text)
        archives, manifest = connection.base_backup(
            "LABEL 'later', CHECKPOINT 'fast', INCREMENTAL true, WAL true, MANIFEST 'yes'")
        t.equal(list(archives), ["base.tar"])
        t.true(json.loads(manifest)["Files"], "it has a manifest of its own")
        later = os.path.join(t.folder(), "later")
        unpack(archives["base.tar"], later)
        with open(os.path.join(later, "backup_label"), encoding="utf-8") as file:
            label = file.read()
        # pg_combinebackup joins only what names each other
        t.holds(label, [f"INCREMENTAL FROM LSN: {start}\n", f"INCREMENTAL FROM TLI: {timeline}\n"])
        partial = [name for _, _, names in os.walk(later) for name in names
                   if name.startswith(INCREMENTAL)]
        t.true(len(partial) > 100, f"{len(partial)} files are incremental ones")
        out = os.path.join(t.folder(), "joined")
        files, blocks = combine(data, later, out)
        t.equal(files, len(partial))
        t.true(0 < blocks < 2000, f"{blocks} blocks were sent")
        world.pg.stop()
        joined = cluster.restored(t, out, "joined", major)
        joined.configure(archive_mode="off")
        joined.start()
        compare.same_rows(t, rows, joined)

    return case


def _refuses(major):
    def case(t):
        """So that what is taken above is not taken blindly: one digit altered, another cluster's."""
        world = World(t, major)
        _, text = world.restored()
        for wrong, words in ((text.replace(b'"Size": 8192', b'"Size": 8193', 1), "checksum"),
                             (text[:-20], "manifest")):
            try:
                Connection(t, world.pg).upload_manifest(wrong)
            except Refused as refused:
                t.holds(str(refused), words)
            else:
                raise AssertionError("an altered manifest was taken")

    return case


for _major in (17, 18):
    globals()[f"test_B3_B12_manifest_serves_an_incremental_of_{_major}"] = _serves(_major)
    globals()[f"test_B12_server_{_major}_checks_what_it_is_given"] = _refuses(_major)


if __name__ == "__main__":
    tap.main(globals())
