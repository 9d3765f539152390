#!/usr/bin/env python3
"""test_attack_wal.py - somebody can write to the store and has no secret: no WAL of his is replayed.

The faults are those of docs/format.md's readers; each is tried on a real repository with the real
programs, in the simple default (a keyfile) or with public keys, and each message says what was found.
"""
import os
import shutil

from harness import attack, cluster, cpam, tap

_scenes = {}


def scene(keys="keyfile"):
    if keys not in _scenes:
        _scenes[keys] = attack.Scene(keys)
    return _scenes[keys]


def test_E1_untouched_archive_is_read_in_both_set_ups(t):
    for keys in ("keyfile", "x25519"):
        scene(keys).copy(t).good()


def test_E5_database_host_with_public_keys_cannot_read_its_archive(t):
    copy = scene("x25519").copy(t)
    config = copy.configure(scene("x25519").settings["encryption"], "host.yaml")
    copy.refused("no key held here opens it", config=config)


def test_E1_flipped_bits_are_refused(t):
    copy = scene().copy(t)
    size = os.path.getsize(copy.segment())
    places = {0: "no object of this suite", 8: "version 0 of the format", 100: "signature does not match",
              300: "signature does not match", 330: "stanzas are not those", 500: "tag does not match",
              size - 100: "frame", size - 20: "its end: its signature"}
    for at, words in places.items():
        copy.change(copy.segment(), at)
        copy.refused([copy.scene.segments[0], words])
        copy.change(copy.segment(), at)
    copy.good()


def test_E1_cut_and_lengthened_segments_are_refused(t):
    copy = scene().copy(t)
    whole = copy.read(copy.segment())
    for size in (0, 8, 319, 400, len(whole) // 2, len(whole) - 64, len(whole) - 1):
        copy.replace(copy.segment(), whole[:size])
        copy.refused("cut short")
    copy.replace(copy.segment(), whole + b"\0")
    copy.refused("behind its end")


def test_E2_swapped_segments_are_refused(t):
    copy = scene().copy(t)
    first, second = copy.read(copy.segment(0)), copy.read(copy.segment(1))
    copy.replace(copy.segment(0), second)
    copy.replace(copy.segment(1), first)
    copy.refused("written under another name", 0)
    copy.refused("written under another name", 1)
    copy.good(2)


def test_E2_other_kinds_under_a_segments_name_are_refused(t):
    copy = scene().copy(t)
    identity = copy.read(copy.path("repo.json"))
    copy.replace(copy.segment(), identity)
    copy.refused("bytes are no object" if len(identity) < 320 else "no object of this suite")
    copy.replace(copy.segment(), identity * 4)
    copy.refused("it is no object of this suite (it starts with 7b 22")


def test_E2_signed_json_moved_or_changed_is_refused(t):
    copy = scene().copy(t)
    identity = copy.read(copy.path("repo.json"))
    copy.replace(copy.path("repo.json"), identity.replace(b'"cluster":"demo"', b'"cluster":"demo2"'))
    copy.refused(["repo.json", "it was changed"])
    copy.replace(copy.path("repo.json"), identity[:-10])
    copy.refused("the repo.json is not valid JSON")
    copy.replace(copy.path("repo.json"), identity[:-3] + b"}\n")
    copy.refused("repo.json")
    copy.replace(copy.path("repo.json"), copy.read(copy.path("cluster", copy.scene.sysid + ".json")))
    copy.refused(["repo.json"])
    copy.remove("repo.json")
    copy.refused(["repo"])


def forger(copy, name="forger"):
    """He has all public keys, makes a writer key of his own, and trusts whom the victim trusts."""
    public = copy.scene.key("x25519")[1]
    trusted = copy.scene.key("writer")[1]
    own = os.path.join(copy.folder, name)
    copy.scene.must("cpam-keys", "generate", "writer", own)
    return copy.configure({"recipients": [{"x25519": public}], "writer_key": own,
                           "trusted_writers": [trusted]}, name + ".yaml")


def test_fault_1_segment_forged_with_the_public_keys_is_refused(t):
    copy = scene("x25519").copy(t)
    config = forger(copy)
    raw = os.path.join(copy.folder, copy.scene.segments[0])
    t.exits(cpam.run("cpam-wal-fetch", copy.scene.segments[0], raw, config=copy.config), 0)
    copy.remove(os.path.relpath(copy.segment(), copy.root))
    t.exits(cpam.run("cpam-wal-push", raw, config=config), 0)
    t.true(os.path.exists(copy.segment()), "the forged object")
    copy.refused(["signed by writer", "which the configuration does not trust"])


def test_fault_1_repository_made_by_somebody_else_is_refused(t):
    """The whole folder replaced by one that the attacker made, under the same keys as far as he has them."""
    victim = scene("x25519").copy(t)
    shutil.rmtree(victim.root)
    own = os.path.join(victim.folder, "own")
    victim.scene.must("cpam-keys", "generate", "writer", own)
    config = victim.configure({"recipients": [{"x25519": victim.scene.key("x25519")[1]}],
                               "writer_key": own}, "own.yaml")
    victim.scene.must("cpam-repo", "create", config=config)
    victim.refused(["repo.json", "which the configuration does not trust"])


def test_fault_9_keyfile_repository_of_somebody_else_is_refused(t):
    victim = scene().copy(t)
    shutil.rmtree(victim.root)
    own = os.path.join(victim.folder, "own")
    victim.scene.must("cpam-keys", "generate", "keyfile", own)
    config = victim.configure({"recipients": [{"keyfile": own}]}, "own.yaml")
    victim.scene.must("cpam-repo", "create", config=config)
    victim.refused(["repo.json", "which the configuration does not hold"])


def test_fault_10_object_of_another_repository_under_the_same_key_is_refused(t):
    copy = scene().copy(t)
    other = copy.configure(copy.scene.reading, "other.yaml", "other")
    copy.scene.must("cpam-repo", "create", config=other)
    at = os.path.relpath(copy.segment(), copy.root)
    raw = os.path.join(copy.folder, copy.scene.segments[0])
    t.exits(cpam.run("cpam-wal-fetch", copy.scene.segments[0], raw, config=copy.config), 0)
    t.exits(cpam.run("cpam-wal-push", raw, config=other), 0)
    copy.replace(copy.segment(), copy.read(os.path.join(copy.folder, "repo/other", at)))
    copy.refused("belongs to repository")


def test_fault_10_object_of_another_cluster_is_refused(t):
    """The same names after a re-initdb: the folder of one system identifier served as the other's."""
    copy = scene().copy(t)
    new = cluster.new(t, "again", init=False)
    new.init("--wal-segsize=1")
    sysid = new.controldata()["Database system identifier"]
    t.true(sysid != copy.scene.sysid, "two clusters have two system identifiers")
    os.rename(copy.path("wal", copy.scene.sysid), copy.path("wal", sysid))
    settings = cpam.settings(copy.folder, new)
    settings["encryption"] = copy.scene.reading
    copy.refused([f"system identifier {copy.scene.sysid}, not {sysid}"],
                 config=cpam.write_config(copy.folder, settings, "again.yaml"))


def test_fault_20_unsealed_archive_is_refused_by_who_seals(t):
    copy = scene().copy(t)
    raw = os.path.join(copy.folder, copy.scene.segments[0])
    t.exits(cpam.run("cpam-wal-fetch", copy.scene.segments[0], raw, config=copy.config), 0)
    shutil.rmtree(copy.root)
    none = copy.configure("none", "none.yaml")
    copy.scene.must("cpam-repo", "create", config=none)
    t.exits(cpam.run("cpam-wal-push", raw, config=none), 0)
    copy.good(config=none)
    copy.refused(["unsigned data is refused"])
    # nor does the configuration without the section mean "none"
    settings = cpam.settings(copy.folder, copy.scene.pg)
    del settings["encryption"]
    left_out = cpam.write_config(copy.folder, settings, "left-out.yaml")
    copy.refused(["encryption"], config=left_out)


def test_fault_20_unsealed_object_in_a_sealed_repository_is_refused(t):
    copy = scene().copy(t)
    raw = os.path.join(copy.folder, copy.scene.segments[0])
    t.exits(cpam.run("cpam-wal-fetch", copy.scene.segments[0], raw, config=copy.config), 0)
    none = copy.configure("none", "none.yaml", "clear")
    copy.scene.must("cpam-repo", "create", config=none)
    t.exits(cpam.run("cpam-wal-push", raw, config=none), 0)
    clear = bytearray(copy.read(os.path.join(copy.folder, "repo/clear",
                                             os.path.relpath(copy.segment(), copy.root))))
    clear[16:32] = copy.read(copy.segment())[16:32]  # the UUID of the place it is moved to
    copy.replace(copy.segment(), bytes(clear))
    copy.refused("it is not encrypted")


def test_E8_no_secret_is_in_any_message(t):
    copy = scene("x25519").copy(t)
    secrets = [open(copy.scene.key(kind)[0]).read().split()[-1] for kind in ("x25519", "writer")]
    copy.change(copy.segment(), 100)
    result = copy.fetch()
    t.lacks(result.out + result.err, secrets)


if __name__ == "__main__":
    tap.main(globals())
