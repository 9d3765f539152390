#!/usr/bin/env python3
"""test_segment_sizes.py - the whole way there and back with each size of WAL segment: in the foreground, and
through the two workers."""
import os

from harness import rgw, tap, workers, workspace
from restore_world import World

SIZES = (1, 16, 64, 1024)  # MiB
NOISE = {64: 50, 1024: 150}  # MB in a segment that nothing makes smaller


def _there_and_back(mib):
    @tap.limit(600)
    def case(t):
        world = World(t, segment_mib=mib)
        world.insert(1)
        world.push()
        kept = world.insert(2)
        world.insert(3)
        world.archived()
        latest = world.restore("--latest")
        t.equal(latest.controldata()["Bytes per WAL segment"], str(mib << 20))
        t.equal(world.rows(latest), "1 2 3")
        latest.stop()
        moment = world.restore("--pitr", kept["time"], "--target-action", "promote")
        t.equal(world.rows(moment), "1 2")

    return case


def _by_workers(mib):
    @tap.limit(900)
    def case(t):
        spool = workspace.folder(os.path.join(t.folder(), "spool"), 0o700)
        t.defer(workers.end, t.folder())
        world = World(t, segment_mib=mib, wal={
            "spool": spool, "push": {"mode": "worker", "timeout": "240s"},
            "fetch": {"timeout": "240s"}})
        world.insert(1)
        world.push()
        pushing = workers.pids(t.folder())
        t.equal(len(pushing), 1, "the worker that archived")
        for number in (2, 3):
            world.insert(number)
            world.archived()
        t.equal(workers.pids(t.folder()), pushing, "it was one worker")
        latest = world.restore("--latest")
        t.equal(world.rows(latest), "1 2 3")
        t.equal(len(workers.pids(t.folder(), "cpam-wal-prefetch")), 1, "the worker that fetched")

    return case


def _in_a_bucket(mib, mode):
    """Objects of more than what is held in memory: through a file there, and frame by frame back."""
    @tap.limit(900)
    def case(t):
        server = rgw.shared()
        bucket = f"sizes-{mib}-{mode}"
        server.client.make_bucket(bucket)
        secret = workspace.write(os.path.join(t.folder(), "secret"), server.secret_key, 0o600)
        t.defer(workers.end, t.folder())
        world = World(t, segment_mib=mib, repositories=[server.repository(bucket, secret_file=secret)],
                      wal={"spool": workspace.folder(os.path.join(t.folder(), "spool"), 0o700),
                           "push": {"mode": mode, "timeout": "240s"}, "fetch": {"timeout": "240s"}})
        world.push()
        world.pg.sql("create table noise (b bytea); alter table noise alter b set storage external")
        world.pg.sql("insert into noise select decode(string_agg(md5(random()::text), ''), 'hex') "
                     f"from generate_series(1, {NOISE[mib]}) a, generate_series(1, 62500) group by a")
        world.insert(1)
        world.archived()
        keys = [key for key in server.client.keys(bucket) if "/wal/" in key]
        sizes = [int(dict((name.lower(), value) for name, value in
                          server.client.check("HEAD", f"/{bucket}/{key}")[0].items())["content-length"])
                 for key in keys]
        t.true(max(sizes) > NOISE[mib] * 900_000, f"sizes of what was archived: {sizes}")
        latest = world.restore("--latest")
        t.equal(world.rows(latest), "1")
        t.equal(latest.sql("select count(*), sum(length(b)) from noise"),
                f"{NOISE[mib]}|{NOISE[mib] * 1_000_000}")

    return case


for _mib in NOISE:
    for _mode in ("direct", "worker"):
        globals()[f"test_F6_P7_ask12_{_mode}_with_large_objects_of_{_mib}_mib_segments_in_a_bucket"] = \
            _in_a_bucket(_mib, _mode)
for _mib in SIZES:
    globals()[f"test_F6_P7_archive_and_recovery_with_segments_of_{_mib}_mib"] = _there_and_back(_mib)
    globals()[f"test_F6_P9_ask12_through_both_workers_with_segments_of_{_mib}_mib"] = _by_workers(_mib)


if __name__ == "__main__":
    tap.main(globals())
