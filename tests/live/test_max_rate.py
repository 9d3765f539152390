#!/usr/bin/env python3
"""test_max_rate.py - a backup of a limited rate: shared by workers and repositories, not by WAL."""
import json
import os
import signal

from harness import cluster, cpam, tap
from restore_world import World

MIB = 1 << 20
NOISE = "create table {} as select sha256((g::text || '{}')::bytea) as a, " \
        "sha256(('x' || g::text)::bytea) as b, sha256(('y' || g::text)::bytea) as c, " \
        "sha256(('z' || g::text)::bytea) as d from generate_series(1, {}) g"


@tap.limit(600)
def test_B10_the_rate_is_shared_by_workers_and_repositories(t):
    folder = t.folder()
    world = World(t, repositories=[
        {"name": name, "url": "file://" + os.path.join(folder, name)} for name in ("one", "two")])
    world.pg.sql(NOISE.format("noise", "a", 450000))
    result = t.exits(world.run("cpam-base-push", "--workers", "4", "--max-rate", "8MiB", "--json"), 0)
    backups = json.loads(result.out)["backups"]
    t.equal(len(backups), 2)
    seconds = backups[0]["milliseconds"] / 1000
    read, sent = backups[0]["bytes"], sum(backup["stored_bytes"] for backup in backups)
    t.true(sent > read, f"{sent} bytes sent, {read} read: sending is what decides")
    # 5 %, and the burst and the last takes, which need not be waited for
    for what, bytes_moved in ("read", read), ("sent", sent):
        least = bytes_moved / (8 * MIB) * 0.95 - 0.5
        t.true(seconds >= least, f"{what} {bytes_moved} bytes in {seconds} s, not in {least} s")


@tap.limit(600)
def test_B10_wal_push_is_not_limited(t):
    world = World(t, base={"max_rate": "64KiB"})
    process = cpam.start("cpam-base-push", config=world.config)
    running = lambda: json.loads(cpam.run("cpam-info", "--json", config=world.config).out)["running"]
    cluster.wait_for(lambda: any(job["done_bytes"] > 0 for job in running()), 60, "the first bytes")
    before = running()[0]
    world.pg.sql(NOISE.format("later", "b", 100000))  # at 64 KiB/s its WAL would take five minutes
    world.archived()
    t.equal(process.poll(), None, "the backup is still running")
    after = running()[0]
    t.true(after["done_bytes"] < after["total_bytes"], f"{before} {after}")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    t.equal(process.returncode, 1, err)
    t.holds(err, "the backup was stopped")


@tap.limit(300)
def test_B10_a_rate_that_is_too_low_is_refused(t):
    world = World(t)
    t.exits(world.run("cpam-base-push", "--max-rate", "1000"), 2, ["64KiB"])


if __name__ == "__main__":
    tap.main(globals())
