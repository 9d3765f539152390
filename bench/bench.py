#!/usr/bin/env python3
"""bench.py - push, fetch, backup and restore beside Debian's pgbackrest: `./cpam bench`.

Both contenders work on the same PostgreSQL, encrypted, with the same codec at level 1 and two workers.
WAL is real: pgbench writes it.  Rounds alternate and the first is dropped (a disk's fresh blocks are
slower than its used ones).  docs/performance.md has what came out of one run: of the WAL path
(bench/wal.py), of backup and restore (bench/base.py).

Absolute figures do not carry to another machine; ratios of one run do.
"""
import argparse
import glob
import os
import shutil
import signal
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("CPAM_BUILD_ROOT", os.path.join(ROOT, "build-bench"))
sys.path.insert(0, os.path.join(ROOT, "tests", "live"))
from harness import cluster, tap, workspace  # noqa: E402

import base  # noqa: E402
import growth  # noqa: E402
import wal  # noqa: E402

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


class Saved:
    """What --keep left of a server: its control file and its WAL."""

    def __init__(self, folder):
        self.data = folder

    def connection(self):
        return "host=/nowhere"


def with_wal(options, t):
    """A server (or what was kept of one), and the segments that pgbench wrote to it."""
    kept = options.keep and os.path.join(os.path.abspath(options.keep), "wal")
    if kept and os.path.isdir(kept):
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


def bench_wal(options, t, wanted):
    server, segments = with_wal(options, t)
    path = wal.Bench(t, server, segments, options.rounds, options.s3)
    if "wal" in wanted:
        path.show_beside_the_peer()
    if "ahead" in wanted:
        path.show_ahead()
    if "far" in wanted:
        path.show_far(options.bandwidth, options.replay)
    if "profile" in wanted:
        path.show_profile()


def main():
    parser = argparse.ArgumentParser(prog="./cpam bench", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="wal|ahead|far|base|changed|growth|profile|base-profile",
                        help="what to measure (all but growth, which takes long, and the profiles, which want perf "
                        "and root)")
    parser.add_argument("--segments", type=int, default=96, help="WAL segments to push and fetch")
    parser.add_argument("--scale", type=int, default=40, help="pgbench scale; 40 are 600 MiB")
    parser.add_argument("--gib", type=float, default=2, help="size of the cluster to back up")
    parser.add_argument("--codecs", default="lz4,zstd", help="of backups")
    parser.add_argument("--rounds", type=int, default=4, help="of which the first is dropped")
    parser.add_argument("--s3", choices=("memory", "radosgw"), default="memory", help="the S3 server")
    parser.add_argument("--bandwidth", type=float, default=60e6, help="bytes a second to a far store")
    parser.add_argument("--replay", type=int, default=100, help="ms to replay a segment, far away")
    parser.add_argument("--sizes", default="1,4,16", help="GiB, for growth")
    parser.add_argument("--files", default="1000,100000,1000000", help="numbers of files, for growth")
    parser.add_argument("--picture", metavar="SVG", help="where growth is drawn")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the WAL there, and take it from there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    wanted = options.what or ["wal", "ahead", "far", "base", "changed"]
    t = tap.Test("bench")
    try:
        print(f"Load of the machine when it began: {os.getloadavg()[0]:.1f} on {os.cpu_count()} "
              "processors.\n", flush=True)
        if set(wanted) & {"wal", "ahead", "far", "profile"}:
            bench_wal(options, t, wanted)
        if set(wanted) & {"base", "changed", "base-profile"}:
            backups = base.Bench(t, options)
            if "base" in wanted:
                backups.show(options.codecs.split(","))
            if "changed" in wanted:
                backups.show_changed(options.codecs.split(",")[0])
            if "base-profile" in wanted:
                backups.show_profile(options.codecs.split(",")[0], options.keep or ".")
        if "growth" in wanted:
            growth.show(options)
        print(f"\nLoad when it ended: {os.getloadavg()[0]:.1f}.", flush=True)
    finally:
        for problem in t.finish():
            print(problem, file=sys.stderr)


if __name__ == "__main__":
    main()
