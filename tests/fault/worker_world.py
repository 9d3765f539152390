"""worker_world.py - what tests of cpam-wal-worker look at: .ready files, what is stored, processes."""
import os
import signal
import time

from push_world import workspace


def until(what, holds, seconds=180):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def ready(w, *names):
    folder = f"{w.pg_wal}/archive_status"
    if not os.path.isdir(folder):
        workspace.folder(folder, 0o700)
    for one in names:
        workspace.write(f"{folder}/{one}.ready", "", 0o600)


def has(w, one, repository="primary"):
    return os.path.exists(f"{w.root(repository)}/{w.key_of(one)}")


def the_worker(t, w):
    found = w.workers()
    t.equal(len(found), 1, "workers")
    return found[0]


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)
    if number == signal.SIGKILL:
        until("the worker's end", lambda: not alive(pid))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
