#!/usr/bin/env python3
"""test_attack_backup.py - somebody can write to the store and has no secret: no backup of his is
restored, and what he took away shows."""
import json
import os
import shutil

from harness import attack, cpam, tap

_scenes = {}


def scene(keys="keyfile"):
    if keys not in _scenes:
        _scenes[keys] = attack.Scene(keys, backups=3)
    return _scenes[keys]


def restore(copy, *options):
    copy.target = os.path.join(copy.folder, "target")
    shutil.rmtree(copy.target, ignore_errors=True)
    return cpam.run("cpam-base-fetch", *options, copy.target, config=copy.config)


def refused(copy, words, *options):
    """The restore fails with these words, and what it left can't be started."""
    result = restore(copy, *options)
    copy.t.true(result.code not in (0, 3), f"{result.line} ended with {result.code}\n{result.output()}")
    copy.t.holds(result.err, words)
    copy.t.true(not os.path.exists(os.path.join(copy.target, "global/pg_control")), "no pg_control")


def newest(copy, *parts):
    return copy.path("backup", copy.scene.labels[-1], *parts)


def packs(copy, number=-1):
    folder = copy.path("backup", copy.scene.labels[number], "pack")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def test_E1_untouched_backup_is_restored_in_both_set_ups(t):
    for keys in ("keyfile", "x25519"):
        copy = scene(keys).copy(t)
        result = restore(copy, "--latest")
        t.true(result.code in (0, 3), result.output())
        t.true(os.path.exists(os.path.join(copy.target, "global/pg_control")), "a whole directory")


def test_E5_database_host_with_public_keys_cannot_read_its_backups(t):
    copy = scene("x25519").copy(t)
    copy.config = copy.configure(scene("x25519").settings["encryption"], "host.yaml")
    refused(copy, "no key held here opens it", "--latest")


def test_E1_changed_packs_are_refused(t):
    copy = scene().copy(t)
    pack = max(packs(copy), key=os.path.getsize)
    size = os.path.getsize(pack)
    for at, words in ((100, ["pack/"]), (330, ["pack/"]), (size // 2, ["does not match", "another backup may be whole"])):
        copy.change(pack, at)
        refused(copy, words, "--latest")
        copy.change(pack, at)
    whole = copy.read(pack)
    copy.replace(pack, whole[:size // 2])
    refused(copy, ["pack/"], "--latest")
    os.unlink(pack)
    refused(copy, ["pack/"], "--latest")


def test_fault_13_pack_of_another_backup_is_refused(t):
    copy = scene().copy(t)
    copy.replace(packs(copy)[0], copy.read(packs(copy, 0)[0]))
    refused(copy, "written under another name", "--latest")


def test_E2_changed_or_exchanged_manifests_are_refused(t):
    copy = scene().copy(t)
    own = copy.read(newest(copy, "manifest"))
    copy.change(newest(copy, "manifest"), len(own) // 2)
    refused(copy, "manifest", "--latest")
    copy.replace(newest(copy, "manifest"), copy.read(copy.path("backup", copy.scene.labels[0], "manifest")))
    refused(copy, "written under another name", "--latest")
    copy.replace(newest(copy, "manifest"), own[:-70])
    refused(copy, "manifest", "--latest")
    os.unlink(newest(copy, "manifest"))
    refused(copy, "manifest", "--latest")


def test_fault_9_changed_summary_is_no_backup(t):
    """Moved into the future it would make expiry drop the others, and restores prefer it."""
    copy = scene().copy(t)
    path = newest(copy, "summary.json")
    text = copy.read(path).decode()
    stop = json.loads(text)["stop_time"]
    copy.replace(path, text.replace(stop, "2036" + stop[4:]).encode())
    refused(copy, ["summary.json", "it was changed"], "--backup", copy.scene.labels[-1])
    told = cpam.run("cpam-info", config=copy.config)
    t.holds(told.out + told.err, "it was changed")
    t.true(told.code != 0, "cpam-info says that something needs a person")


def test_fault_9_summary_of_another_label_is_refused(t):
    copy = scene().copy(t)
    copy.replace(newest(copy, "summary.json"), copy.read(copy.path("backup", copy.scene.labels[0],
                                                                   "summary.json")))
    refused(copy, "summary.json", "--backup", copy.scene.labels[-1])


def test_fault_8_backup_taken_from_the_middle_shows(t):
    copy = scene().copy(t)
    os.unlink(copy.path("backup", copy.scene.labels[1], "summary.json"))
    refused(copy, "--accept-end", "--latest")
    result = restore(copy, "--latest", "--accept-end")
    t.true(result.code in (0, 3), result.output())
    t.holds(cpam.run("cpam-info", config=copy.config).out, "a backup was taken away")


def test_fault_8_backup_taken_with_its_number_shows(t):
    copy = scene().copy(t)
    copy.remove("backup", copy.scene.labels[1])
    copy.remove("seq", sorted(os.listdir(copy.path("seq")))[1])
    copy.remove("intent", copy.scene.labels[1])
    refused(copy, "--accept-end", "--latest")


def test_fault_8_newest_backup_taken_away_shows(t):
    copy = scene().copy(t)
    copy.remove("backup", copy.scene.labels[-1])
    told = cpam.run("cpam-info", config=copy.config)
    t.holds(told.out + told.err, copy.scene.labels[-1])
    t.true(told.code != 0, "cpam-info says that something needs a person")


def test_fault_8_wal_taken_from_the_middle_is_refused(t):
    copy = scene().copy(t)
    copy.remove(os.path.relpath(copy.segment(1), copy.root))
    refused(copy, copy.scene.segments[1], "--backup", copy.scene.labels[0], "--latest")


def test_fault_1_backup_forged_with_the_public_keys_is_refused(t):
    """A whole backup made with his own writer key, by the real program, under the victim's identity."""
    copy = scene("x25519").copy(t)
    own = os.path.join(copy.folder, "own")
    copy.scene.must("cpam-keys", "generate", "writer", own)
    forger = copy.configure({"recipients": [{"x25519": copy.scene.key("x25519")[1]}], "writer_key": own,
                             "trusted_writers": [copy.scene.key("writer")[1]]}, "forger.yaml")
    copy.scene.pg.configure(**cpam.archive_settings(forger))
    copy.scene.pg.reload()
    try:
        before = set(os.listdir(copy.path("backup")))
        copy.scene.must("cpam-base-push", config=forger)
        forged = (set(os.listdir(copy.path("backup"))) - before).pop()
    finally:
        copy.scene.pg.configure(**cpam.archive_settings(copy.scene.config))
        copy.scene.pg.reload()
    refused(copy, "which the configuration does not trust", "--backup", forged)
    result = restore(copy, "--latest")
    t.lacks(result.out, forged)


if __name__ == "__main__":
    tap.main(globals())
