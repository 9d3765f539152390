"""test_base_fetch_disk.py - a restore onto a disk that is too small, fills meanwhile, or is read-only: said
clearly, with the right exit status, and PostgreSQL never starts on what is left."""
import os
import subprocess

import small_disk  # finds the harness
from base_fetch_world import World
from harness import cluster, tap, workspace


def test_T9_a_target_with_too_little_room_is_refused_before_anything_is_written(t):
    w = World(t)
    small_disk.mount(t, w.above, "size=8m")
    done, _, _ = w.fetch()
    t.equal(done.returncode, 2, done.stderr)
    t.holds(done.stderr, ["not enough room", w.target])
    t.equal(os.listdir(w.above), [])


def test_T9_a_disk_that_fills_while_it_is_restored_to(t):
    w = World(t)
    small_disk.mount(t, w.above, "size=200m")
    # one file of the cluster keeps the restore waiting
    process = subprocess.Popen(
        [w.twin, "--config", w.config, "--latest", w.target], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env=workspace.environment({"CPAM_TWIN_STALL": "8:open_beneath:global/pg_filenode.map"}),
        **workspace.as_user())
    t.defer(lambda: process.poll() is None and process.kill())
    cluster.wait_for(lambda: os.path.isdir(f"{w.target}/global") or process.poll() is not None, 120,
                     "the restore to begin", every=0.005)
    small_disk.fill(w.above)
    _, err = process.communicate(timeout=180)
    t.equal(process.returncode, 1, err)
    t.holds(err, ["No space left on device"])
    w.refused("half a directory")
    small_disk.make_room(w.above)
    w.again()
    w.starts()


def test_T9_a_read_only_target(t):
    w = World(t)
    small_disk.mount(t, w.above, "size=200m")
    small_disk.read_only(w.above)
    for target in (w.target, f"{w.above}/deep/er/data"):
        w.target = target
        done, _, _ = w.fetch()
        t.equal(done.returncode, 1, done.stderr)
        t.holds(done.stderr, ["Read-only file system"])
    t.equal(os.listdir(w.above), [])
    small_disk.read_only(w.above, False)
    w.target = f"{w.above}/data"
    w.again()
    w.starts()


if __name__ == "__main__":
    tap.main(globals())
