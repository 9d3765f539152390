#!/usr/bin/env python3
"""test_keys.py - key files through the real programs: made once, shown never; passphrases, and a key
that was changed."""
import os
import stat

from harness import attack, cpam, tap, workspace

_scenes = []


def scene():
    if not _scenes:
        _scenes.append(attack.Scene())
    return _scenes[0]


def test_E8_key_files_are_their_owners_and_their_secret_is_never_shown(t):
    folder = workspace.folder(os.path.join(t.folder(), "keys"))
    shows = {"keyfile": 16, "x25519": len("cpam1pub") + 60, "writer": len("cpam1wpub") + 60}
    for kind, length in shows.items():
        path = os.path.join(folder, kind)
        made = t.exits(cpam.run("cpam-keys", "generate", kind, path), 0)
        secret = open(path, encoding="utf-8").read().split()[-1]
        t.equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, f"mode of {kind}")
        t.equal(len(made.out.strip()), length, f"what is shown of {kind}")
        t.lacks(made.out + made.err, [secret, secret[9:40]])
        t.equal(t.exits(cpam.run("cpam-keys", "public", path), 0).out, made.out)
        before = open(path, "rb").read()
        again = t.exits(cpam.run("cpam-keys", "generate", kind, path), 1, "never overwritten")
        t.lacks(again.out + again.err, [secret])
        t.equal(open(path, "rb").read(), before, "the file")


def test_E8_key_file_of_root_goes_to_the_folders_owner(t):
    if os.geteuid() != 0:
        raise tap.Skip("not root")
    folder = workspace.folder(os.path.join(t.folder(), "keys"))
    path = os.path.join(folder, "key")
    t.exits(cpam.run("cpam-keys", "generate", "keyfile", path, root=True), 0)
    t.equal(os.stat(path).st_uid, workspace.user().pw_uid, "owner")
    shown = t.exits(cpam.run("cpam-keys", "public", path), 0).out
    t.equal(t.exits(cpam.run("cpam-keys", "public", path, root=True), 0).out, shown)
    # a key brought back by root and forgotten there: which user, and what to type
    os.chown(path, 0, 0)
    t.exits(cpam.run("cpam-keys", "public", path), 1,
            ["Permission denied", f'chown {workspace.user().pw_uid} "{path}"'])


def test_wrong_calls_of_cpam_keys_say_the_right_ones(t):
    t.exits(cpam.run("cpam-keys", "generate", "rsa", "/nonexistent/x"), 2, "keyfile, x25519 and writer")
    t.exits(cpam.run("cpam-keys", "generate", "keyfile"), 2, "cpam-keys generate keyfile|x25519|writer FILE")
    t.exits(cpam.run("cpam-keys", "destroy", "x"), 2, "cpam-keys public FILE")
    t.exits(cpam.run("cpam-keys", "public", "/nonexistent/x"), 1, "No such file")
    open_to_all = workspace.write(os.path.join(t.folder(), "open"), "cpam1key...\n", 0o644)
    t.exits(cpam.run("cpam-keys", "public", open_to_all), 2, ["others than its owner can use it", "chmod 0600"])


def test_E3_archive_stays_readable_after_the_key_was_changed(t):
    copy = scene().copy(t)
    old = copy.scene.reading["recipients"][0]["keyfile"]
    new = os.path.join(copy.folder, "new")
    copy.scene.must("cpam-keys", "generate", "keyfile", new)
    config = copy.configure({"recipients": [{"keyfile": new}], "identities": [{"keyfile": old}]}, "new.yaml")
    copy.good(config=config)
    # the same segment again, its content id made with the older key: known, not a conflict
    raw = os.path.join(copy.folder, copy.scene.segments[0])
    t.exits(cpam.run("cpam-wal-fetch", copy.scene.segments[0], raw, config=config), 0)
    before = copy.read(copy.segment())
    t.exits(cpam.run("cpam-wal-push", raw, config=config), 0)
    t.equal(copy.read(copy.segment()), before, "the archived object")
    # sealed anew for the new key alone, the old one opens nothing
    os.unlink(copy.segment())
    t.exits(cpam.run("cpam-wal-push", raw, config=config), 0)
    copy.good(config=config)
    copy.refused("which the configuration does not hold")


def test_E3_passphrase_opens_what_it_sealed(t):
    copy = scene().copy(t)
    raw = os.path.join(copy.folder, copy.scene.segments[0])
    t.exits(cpam.run("cpam-wal-fetch", copy.scene.segments[0], raw, config=copy.config), 0)
    words = workspace.write(os.path.join(copy.folder, "words"), "correct horse battery\n", 0o600)
    wrong = workspace.write(os.path.join(copy.folder, "wrong"), "incorrect horse\n", 0o600)
    config = copy.configure({"recipients": [{"passphrase": "@" + words}]}, "words.yaml", "spoken")
    made = t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    t.holds(made.out, [f"Keep the passphrase of {words} on paper"])
    t.exits(cpam.run("cpam-wal-push", raw, config=config), 0)
    copy.good(config=config)
    kept = [name for name in os.listdir(os.path.join(copy.folder, "state")) if name.startswith("passphrase-")]
    t.equal(len(kept), 1, "keys kept in the state folder")
    t.equal(stat.S_IMODE(os.stat(os.path.join(copy.folder, "state", kept[0])).st_mode), 0o600)
    copy.refused("which the configuration does not hold",
                 config=copy.configure({"recipients": [{"passphrase": "@" + wrong}]}, "wrong.yaml", "spoken"))


if __name__ == "__main__":
    tap.main(globals())
