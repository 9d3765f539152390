"""small_disk.py - a file system of its own below a test's folder, to be filled or made read-only.

Only root mounts: elsewhere these tests are skipped, and a skip is a failure in continuous integration.
"""
import os

from push_world import tap, workspace


def mount(t, folder, options="size=64k"):
    """A tmpfs of PostgreSQL's user there, until the test ends.  Skip where mounting is not allowed."""
    if os.geteuid() != 0:
        raise tap.Skip("mounting needs root")
    done = workspace.run(["mount", "-t", "tmpfs", "-o", f"{options},mode=0700", "none", folder], root=True,
                         check=False)
    if done.returncode != 0:
        raise tap.Skip("mounting is not allowed here")
    t.defer(workspace.run, ["umount", "-l", folder], root=True)
    workspace.give(folder)
    return folder


def fill(folder):
    """Not one block is left."""
    with open(f"{folder}/full", "wb", buffering=0) as file:
        size = 1 << 20
        while size >= 4096:
            try:
                if file.write(b"x" * size) < size:
                    size //= 2
            except OSError:
                size //= 2


def fill_inodes(folder):
    """Not one more file can be made, however much room there is."""
    number = 0
    while True:
        try:
            os.close(os.open(f"{folder}/full{number}", os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError:
            return
        number += 1


def make_room(folder):
    for one in os.listdir(folder):
        if one.startswith("full"):
            os.unlink(f"{folder}/{one}")


def read_only(folder, yes=True):
    """Nothing may have a file of it open for writing."""
    workspace.run(["mount", "-o", f"remount,{'ro' if yes else 'rw'}", folder], root=True)
