"""workers.py - the background workers of a test: found by the data directory they serve, which lies in
the test's own folder, and ended with it."""
import os
import signal
import time


def pids(folder, program="cpam-wal-worker"):
    """Processes of this program that serve a data directory in folder, oldest first."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                line = [part.decode(errors="replace") for part in file.read().split(b"\0")]
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                rest = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if (len(line) > 4 and os.path.basename(line[0]) == program and "--serve" in line
                and line[line.index("--serve") + 1].startswith(folder + "/") and rest[0] != "Z"):
            found.append((int(rest[19]), int(entry)))
    return [pid for _, pid in sorted(found)]


def end(folder, program="cpam-wal-worker", patience=10):
    """SIGTERM to each, SIGKILL to who is still there after a while."""
    until = time.monotonic() + patience
    told = set()
    while running := pids(folder, program):
        for pid in running:
            late = time.monotonic() > until
            if pid not in told or late:
                told.add(pid)
                try:
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                except ProcessLookupError:
                    pass
        time.sleep(0.02)
