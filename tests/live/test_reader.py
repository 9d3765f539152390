#!/usr/bin/env python3
"""test_reader.py - docs/format.md is enough: a reader of under 150 lines that shares no code with the
programs restores a segment and a file from what they wrote, and refuses what was changed."""
import json
import os
import subprocess

from harness import attack, cpam, tap

READER = os.path.join(cpam.SOURCE_ROOT, "tests/reader/read_repository.py")
PYTHON = "/usr/bin/python3"  # Debian's, which has the packages it needs

_scenes = {}


def scene(keys):
    if keys not in _scenes:
        built = os.path.exists(os.path.join(cpam.programs(), "cpam-base-push"))
        _scenes[keys] = attack.Scene(keys, backups=1 if built else 0)
    return _scenes[keys]


def read(copy, *what):
    words = [copy.root, copy.scene.key("x25519" if copy.scene.keys == "x25519" else "keyfile")[0]]
    if copy.scene.keys == "x25519":
        words.append(copy.scene.key("writer")[1])
    return subprocess.run([PYTHON, READER, *words, *what], capture_output=True, timeout=120)


def test_E1_reader_is_short(t):
    with open(READER, encoding="utf-8") as file:
        lines = file.read().splitlines()
    t.true(len(lines) < 150, f"{len(lines)} lines are fewer than 150")
    t.true(max(map(len, lines)) <= 120, "its lines can be read")


def check_segment(t, keys):
    copy = scene(keys).copy(t)
    for number, name in enumerate(copy.scene.segments):
        got = read(copy, "wal", copy.scene.sysid, name)
        t.equal((got.returncode, got.stderr), (0, b""), "the reader's end")
        t.exits(copy.fetch(number), 0)
        t.true(got.stdout == copy.read(copy.wanted), "the segment, byte for byte")
        t.equal(len(got.stdout), 1 << 20)
    copy.change(copy.segment(), 5000)
    t.true(read(copy, "wal", copy.scene.sysid, copy.scene.segments[0]).returncode != 0,
           "a changed object is refused")
    copy.change(copy.segment(), 5000)
    copy.replace(copy.segment(), copy.read(copy.segment(1)))
    t.holds(read(copy, "wal", copy.scene.sysid, copy.scene.segments[0]).stderr.decode(),
            "refused: identity of wal/")


def test_E1_reader_reads_a_segment_with_a_keyfile(t):
    check_segment(t, "keyfile")


def test_E3_reader_reads_a_segment_with_a_private_key(t):
    check_segment(t, "x25519")


def check_files(t, keys):
    if not scene(keys).labels:
        raise tap.Skip("cpam-base-push is not built")
    copy = scene(keys).copy(t)
    label = copy.scene.labels[0]
    version = read(copy, "file", label, "PG_VERSION")
    t.equal((version.returncode, version.stdout, version.stderr), (0, b"15\n", b""))
    # a table that was not written to since: as PostgreSQL has it
    path = copy.scene.pg.sql("select pg_relation_filepath('pg_class')")
    got = read(copy, "file", label, path)
    t.equal((got.returncode, got.stderr), (0, b""))
    t.true(len(got.stdout) > 0 and len(got.stdout) % 8192 == 0, "whole pages")
    t.holds(read(copy, "file", label, "backup_label").stdout.decode(), "START WAL LOCATION")
    copy.change(copy.path("backup", label, "summary.json"), 60)
    t.true(read(copy, "file", label, "PG_VERSION").returncode != 0, "a changed summary is refused")


def test_E1_reader_reads_files_with_a_keyfile(t):
    check_files(t, "keyfile")


def test_E3_reader_reads_files_with_a_private_key(t):
    check_files(t, "x25519")


def check_incremental(t, keys):
    made = attack.Scene(keys, segments=1, backups=1)
    made.pg.sql("create table wide as select g, repeat(md5(g::text), 40) as w from generate_series(1, 4000) g")
    made.pg.psql("vacuum freeze wide")  # no page changes by being looked at
    made.backup()
    made.pg.sql("update wide set w = repeat('x', 1280) where g % 1000 = 0")
    made.backup()
    made.pg.wait_archived(made.pg.switch_wal())
    copy = made.copy(t)
    parent, label = made.labels[1:]
    with open(copy.path("backup", label, "summary.json"), encoding="utf-8") as file:
        summary = json.load(file)
    t.equal((summary["kind"], summary["parents"]), ("incremental", made.labels[1::-1]))
    target = os.path.join(copy.folder, "restored")
    t.exits(cpam.run("cpam-base-fetch", "--backup", label, target, config=copy.config), 0)
    path = made.pg.sql("select pg_relation_filepath('wide')")
    for name in (path, "PG_VERSION", "global/pg_control", "backup_label"):
        got = read(copy, "file", label, name)
        t.equal((got.returncode, got.stderr), (0, b""), name)
        left = name + ".old" if name == "backup_label" and not os.path.exists(f"{target}/{name}") else name
        t.true(got.stdout == copy.read(os.path.join(target, left)), f"{name}, byte for byte")
    copy.remove("backup", parent, "pack")
    t.true(read(copy, "file", label, path).returncode != 0, "what did not change lies in the parent's packs")
    t.equal(read(copy, "file", label, "backup_label").returncode, 0, "and what is new does not")


def test_B3_E1_reader_reads_an_incremental_backup_with_a_keyfile(t):
    check_incremental(t, "keyfile")


def test_B3_E3_reader_reads_an_incremental_backup_with_a_private_key(t):
    check_incremental(t, "x25519")


if __name__ == "__main__":
    tap.main(globals())
