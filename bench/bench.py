#!/usr/bin/env python3
"""bench.py - push, fetch, backup and restore beside Debian's pgbackrest: `./cpam bench`.

Both contenders work on the same PostgreSQL, encrypted, with the same codec at level 1 and two workers.
WAL is real: pgbench writes it.  Rounds alternate and the first is dropped (a disk's fresh blocks are
slower than its used ones).  docs/performance.md has what came out of one run: of the WAL path tables
(bench/wal.py), of backup and restore

  speed  CPAM's work per second over pgbackrest's: above 1 is faster
  CPU    CPAM's processor time over pgbackrest's: below 1 is less
  limit  CPAM's processor time over that of compression and encryption alone, measured in this run
         (bench/limit.c): 1 would be a program that does nothing else

Absolute figures do not carry to another machine; ratios of one run do.
"""
import argparse
import glob
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("CPAM_BUILD_ROOT", os.path.join(ROOT, "build-bench"))
sys.path.insert(0, os.path.join(ROOT, "tests", "live"))
from harness import cluster, cpam, tap, workspace  # noqa: E402

import measure  # noqa: E402
import wal  # noqa: E402

CODEC = {"wal": "lz4", "base": "zstd"}


class Taken:
    """Wall and processor seconds of one run."""

    def __init__(self, wall, cpu):
        self.wall, self.cpu = wall, cpu


def timed(script, arguments=(), cwd="/"):
    """Run a shell script as PostgreSQL's user; every failing command ends it, and the benchmark."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    workspace.run(["sh", "-euc", script, "sh", *arguments], cwd=cwd, timeout=3600)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


class Cpam:
    name = "CPAM"

    def __init__(self, folder, server):
        self.folder, self.server = workspace.folder(folder), server
        self.data = server.data

    def fresh(self):
        """An empty repository."""
        shutil.rmtree(self.folder)
        workspace.folder(self.folder)
        config = cpam.settings(self.folder, self.server,
                               compression={"wal": CODEC["wal"], "base": CODEC["base"], "level": 1},
                               base={"workers": 2})
        self.config = cpam.write_config(self.folder, config)
        done = cpam.run("cpam-repo", "create", config=self.config)
        if done.code != 0:
            raise RuntimeError(done.output())

    def push_command(self):
        return f"{cpam.path('cpam-wal-push')} --config {self.config}"

    def backup(self):
        return timed(f"{cpam.path('cpam-base-push')} --config {self.config}")

    def restore(self, to):
        return timed(f'{cpam.path("cpam-base-fetch")} --config {self.config} --latest "{to}"')


class Pgbackrest:
    name = "pgbackrest"

    def __init__(self, folder, server):
        self.folder, self.server = workspace.folder(folder), server
        self.data = server.data
        self.conf = os.path.join(folder, "pgbackrest.conf")

    def write(self, codec):
        """Its configuration; the codec is chosen anew for backups."""
        codec = {"zstd": "zst"}.get(codec, codec)
        workspace.write(self.conf, f"""[global]
repo1-path={self.folder}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=benchmark-only-benchmark-only
repo1-bundle=y
compress-type={codec}
compress-level=1
process-max=2
start-fast=y
log-path={self.folder}
lock-path={self.folder}
spool-path={self.folder}
log-level-console=error
log-level-file=off
[bench]
pg1-path={self.data}
pg1-socket-path={self.server.socket}
pg1-port={cluster.PORT}
pg1-user=postgres
""")

    def command(self, rest):
        return f"pgbackrest --config={self.conf} --stanza=bench {rest}"

    def fresh(self):
        shutil.rmtree(self.folder)
        workspace.folder(self.folder)
        self.write(CODEC["wal"])
        workspace.run(["sh", "-c", self.command("stanza-create")])

    def push_command(self):
        return self.command("archive-push")

    def backup(self):
        self.write(CODEC["base"])
        return timed(self.command("--type=full backup"))

    def restore(self, to):
        return timed(self.command(f'--pg1-path="{to}" restore'))


def make_wal(server, folder, wanted):
    """Real WAL: pgbench until there are enough segments; their paths, oldest first."""
    while True:
        server.sql("checkpoint")  # behind it pages are logged whole, as in any server's WAL
        server.pgbench("-c", "4", "-j", "2", "-t", "4000", "-n", timeout=1800)
        segments = sorted(glob.glob(folder + "/0*"))
        if len(segments) >= wanted:
            server.configure(archive_command="true")
            server.reload()
            return segments[:wanted]


def alternate(rounds, contenders, job):
    """job(contender) in turns; medians by name, the first round dropped."""
    taken = {one.name: [] for one in contenders}
    for number in range(rounds):
        for one in contenders:
            result = job(one)
            if number > 0:
                taken[one.name].append(result)
    return {name: Taken(statistics.median(run.wall for run in runs),
                        statistics.median(run.cpu for run in runs)) for name, runs in taken.items()}


def show(what, taken, least):
    ours, theirs = taken["CPAM"], taken["pgbackrest"]
    print(f"{what:<8} speed {theirs.wall / ours.wall:5.2f}   CPU {ours.cpu / theirs.cpu:5.2f}   "
          f"limit {ours.cpu / least:5.2f}", flush=True)


def bench_base(t, server, contenders, rounds):
    for one in contenders:
        one.fresh()
    script = workspace.write(os.path.join(t.folder(), "archive"), "#!/bin/sh\n# pgbackrest\nset -e\n" + "".join(
        f'{one.push_command()} "$1"\n' for one in contenders), 0o755)
    server.configure(archive_command=f"{script} %p # pgbackrest")
    server.reload()
    relations = [path for path in glob.glob(server.data + "/base/*/*") if os.path.getsize(path) > 0]
    there, back = measure.limit(CODEC["base"], relations)
    show("backup", alternate(rounds, contenders, lambda one: one.backup()), there)

    def restore(one):
        to = workspace.folder(os.path.join(t.folder(), "restored"), 0o700)
        taken = one.restore(to)
        shutil.rmtree(to)
        return taken

    show("restore", alternate(rounds, contenders, restore), back)


class Saved:
    """What --keep left of a server: its control file and its WAL."""

    def __init__(self, folder):
        self.data = folder

    def connection(self):
        return "host=/nowhere"


def with_wal(options, t, need_server):
    """A server (or what was kept of one), and the segments that pgbench wrote to it."""
    kept = options.keep and os.path.join(os.path.abspath(options.keep), "wal")
    if kept and os.path.isdir(kept) and not need_server:
        return Saved(os.path.dirname(kept)), sorted(glob.glob(kept + "/0*"))[:options.segments]
    folder = workspace.folder(os.path.join(t.folder(), "wal"))
    server = cluster.new(t, archive_mode="on", archive_command=f"cp %p {folder}/%f", fsync="off",
                         shared_buffers="128MB", max_wal_size="4GB")
    server.start()
    print("filling a database with pgbench...", file=sys.stderr, flush=True)
    server.pgbench("-i", "-q", "-s", str(options.scale), timeout=1800)
    segments = make_wal(server, folder, options.segments)
    if kept:
        os.makedirs(os.path.dirname(kept) + "/global")
        shutil.copy(server.data + "/global/pg_control", os.path.dirname(kept) + "/global")
        shutil.copytree(folder, kept)
    return server, segments


def main():
    parser = argparse.ArgumentParser(prog="./cpam bench", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="wal|ahead|far|base|profile",
                        help="what to measure (all but profile, which wants perf and root)")
    parser.add_argument("--segments", type=int, default=96, help="WAL segments to push and fetch")
    parser.add_argument("--scale", type=int, default=40, help="pgbench scale; 40 are 600 MiB")
    parser.add_argument("--rounds", type=int, default=4, help="of which the first is dropped")
    parser.add_argument("--s3", choices=("memory", "radosgw"), default="memory", help="the S3 server")
    parser.add_argument("--bandwidth", type=float, default=60e6, help="bytes a second to a far store")
    parser.add_argument("--replay", type=int, default=100, help="ms to replay a segment, far away")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the WAL there, and take it from there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    wanted = options.what or ["wal", "ahead", "far", "base"]
    t = tap.Test("bench")
    try:
        server, segments = with_wal(options, t, "base" in wanted)
        path = wal.Bench(t, server, segments, options.rounds, options.s3)
        print(f"Load of the machine when it began: {os.getloadavg()[0]:.1f} on {os.cpu_count()} "
              "processors.\n", flush=True)
        if "wal" in wanted:
            path.show_beside_the_peer()
        if "ahead" in wanted:
            path.show_ahead()
        if "far" in wanted:
            path.show_far(options.bandwidth, options.replay)
        if "profile" in wanted:
            path.show_profile()
        if "base" in wanted:
            bench_base(t, server, [Cpam(t.folder() + "/c", server), Pgbackrest(t.folder() + "/p", server)],
                       options.rounds)
        print(f"\nLoad when it ended: {os.getloadavg()[0]:.1f}.", flush=True)
    finally:
        for problem in t.finish():
            print(problem, file=sys.stderr)


if __name__ == "__main__":
    main()
