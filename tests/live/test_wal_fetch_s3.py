#!/usr/bin/env python3
"""test_wal_fetch_s3.py - cpam-wal-fetch on a real S3 server, and on one that misbehaves.

A proxy between the program and radosgw refuses, resets, stalls, trickles, answers errors for ever, or
cuts and alters what passes.  Deletion in a versioned bucket is real (format-1.md fault 5).
"""
import os
import signal

import fetch_finishing
from fetch_finishing import DOWN_IN_RECOVERY, rows, timeline
from fetch_world import IN_ARCHIVE_RECOVERY, IN_PRODUCTION, World, control_state
from harness import cluster, cpam, proxy, rgw, tap, workspace

RECOVERY = ("recovery.signal", "postmaster.pid")
STANDBY = ("standby.signal", "postmaster.pid")
TIMEOUT = 3  # s: wal.fetch.timeout of what has to run into it; all else has a minute
LATE = 15  # s: by then it has answered, on a busy machine too.  Exactness is proven by the injected clock.

_buckets = 0


class S3World(World):
    """A World in a bucket of its own, seen through a proxy."""

    def __init__(self, t, versioned=False, **wal_fetch):
        global _buckets
        _buckets += 1
        self.server = rgw.shared()
        self.bucket = f"fetch{_buckets}"
        self.server.client.make_bucket(self.bucket, versioned=versioned)
        self.way = proxy.start(t, self.server.plain)
        secret = workspace.write(os.path.join(t.folder(), "secret"), self.server.secret_key + "\n", 0o600)
        entry = self.server.repository(self.bucket, secret_file=secret, endpoint=self.way.endpoint)
        del entry["ca_file"]
        wal_fetch.setdefault("timeout", "60s")
        # each call asks the store: what was fetched ahead would answer for one that is gone
        # (test_wal_prefetch.py has that)
        wal_fetch.setdefault("prefetch", 0)
        super().__init__(t, [entry], **wal_fetch)
        self.hasty = self.write_config("hasty.yaml", self.primary, [entry],
                                       dict(wal_fetch, timeout=f"{TIMEOUT}s"))

    def key(self, name):
        keys = [key for key in self.server.client.keys(self.bucket) if key.endswith("/" + name)]
        self.t.equal(len(keys), 1, f"objects called {name}")
        return keys[0]

    def in_time(self, data, name, code, words=(), **how):
        """The answer where the store misbehaves, and that it did not come long after the deadline."""
        done = self.answers(data, name, code, words, config=self.hasty, **how)
        self.t.true(done.seconds < LATE, f"{done.line} took {done.seconds:.2f} s, less than {LATE}")
        return done


def later(name, by=30):
    return name[:16] + "%08X" % (int(name[16:], 16) + by)


# what, which requests (a word in the path; the segment's name is put for {}), for the segment it is
MISBEHAVIOURS = {
    "resets": (proxy.reset, ""),
    "stalls": (proxy.stall, ""),
    "answers_403": (proxy.status(403), ""),
    "answers_500": (proxy.status(500), ""),
    "answers_503": (proxy.status(503), ""),
    "has_no_such_bucket": (proxy.status(404, "NoSuchBucket"), ""),
    "trickles": (proxy.trickle, ""),
    "stalls_on_the_segment": (proxy.stall, "{}"),
    "answers_403_on_the_segment": (proxy.status(403), "{}"),
    "answers_503_on_the_segment": (proxy.status(503), "{}"),
    "trickles_the_segment": (proxy.trickle, "{}"),
    "cuts_the_segment": (proxy.cut, "{}"),
    "shortens_the_segment": (proxy.short, "{}"),
    "alters_the_segment": (proxy.alter, "{}"),
    "gives_an_error_as_the_segment": (proxy.error_in_200, "{}"),
}

_world = {}


def shared(t):
    """One archive for the whole table; its folder belongs to the first test and is kept to the end."""
    import atexit

    if not _world:
        owner = tap.Test("shared")
        world = S3World(owner)
        names = world.begin(3)
        world.primary.stop()
        _world.update(world=world, names=names,
                      recovery=world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY),
                      standby=world.directory("s", *STANDBY, state=IN_ARCHIVE_RECOVERY),
                      person=world.directory("p", state=IN_PRODUCTION))
        atexit.register(owner.finish)
    _world["world"].t = t
    return _world["world"], _world["names"]


def _misbehaves(how, word):
    def case(t):
        world, names = shared(t)
        name = names[1]
        world.way.misbehave(how, word.format(name))
        t.defer(world.way.behave)
        world.in_time(_world["recovery"], name, 254)
        world.in_time(_world["standby"], name, 1)
        world.in_time(_world["person"], name, 254, wanted="pg_wal/" + name)
        if not word:  # nor does it make anything absent
            world.in_time(_world["recovery"], later(name), 254)
            world.in_time(_world["recovery"], "00000002.history", 254)
        world.way.behave()
        world.answers(_world["recovery"], name, 0)
        world.answers(_world["recovery"], later(name), 1)

    return case


for _what, _rule in MISBEHAVIOURS.items():
    globals()["test_F1_P11_a_store_that_" + _what] = _misbehaves(*_rule)


def test_F1_P11_a_store_that_refuses_connections(t):
    world, names = shared(t)
    world.way.refuse()
    world.in_time(_world["recovery"], names[1], 254)
    world.in_time(_world["recovery"], later(names[1]), 254)
    world.in_time(_world["standby"], names[1], 1)
    world.way.accept()
    world.answers(_world["recovery"], names[1], 0)


def test_F1_a_listing_that_fails_proves_nothing(t):
    """The absence of a segment needs the answer that nothing comes after it."""
    world, names = shared(t)
    for how in (proxy.status(403), proxy.status(503), proxy.cut, proxy.stall, proxy.error_in_200):
        world.way.misbehave(how, "list-type=2")
        world.in_time(_world["recovery"], later(names[1]), 254)
        world.answers(_world["recovery"], names[1], 0)
        world.way.behave()


def test_F1_ask1_a_recovering_server_stops_when_the_store_falls_silent_and_goes_on(t):
    world = S3World(t)
    world.begin(1)
    data = world.copy(world.primary, "r")
    names = world.write_segments(world.primary, 5)
    wanted = rows(world.primary)
    world.primary.stop()
    pg = world.recovering(data, "r", "recovery.signal", config=world.hasty)
    for how, word in ((proxy.stall, names[2]), (proxy.status(503), names[3]), (proxy.alter, names[3])):
        world.way.misbehave(how, word)
        pg.launch()
        t.true(pg.ended() != 0, "the server stopped")
        t.true(control_state(data) in DOWN_IN_RECOVERY, "it has not opened")
        t.true(os.path.exists(os.path.join(data, "recovery.signal")), "recovery.signal is there")
        t.true(not os.path.exists(os.path.join(data, "pg_wal/RECOVERYXLOG")), "nothing was delivered")
        t.lacks(pg.log_text(), "selected new timeline", "the log")
    world.way.behave()
    pg.configure(restore_command=cpam.restore_command(world.config))
    pg.start()
    pg.wait_sql("select pg_is_in_recovery()", "f")
    t.equal(rows(pg), wanted, "rows")
    t.equal(timeline(pg), "00000002")


def test_trap1_a_promotion_waits_while_the_store_is_a_black_hole(t):
    world = S3World(t)
    data, wanted = fetch_finishing.of_timeline_2(world)
    pg = world.recovering(data, "c", "standby.signal", config=world.hasty).start()
    pg.wait_sql("select count(*) from t", str(wanted))
    os.unlink(os.path.join(data, "pg_wal/00000002.history"))
    world.way.misbehave(proxy.stall)
    pg.sql("select pg_promote(false)")
    pg.wait_log("the server has ended its recovery and waits for this file", 120)
    t.equal(pg.sql("select pg_is_in_recovery()"), "t", "in recovery")
    world.way.behave()
    fetch_finishing.opened_on_timeline_3(t, pg, wanted)


def test_trap14_an_orphan_delivers_nothing_to_the_next_server(t):
    """Killed servers leave their fetch behind; it gets its file when the next server is running."""
    world = S3World(t, timeout="5m")
    world.begin(1)
    data = world.copy(world.primary, "s")
    names = world.write_segments(world.primary, 3)
    pg = world.recovering(data, "s", "standby.signal")
    world.way.requests.clear()
    world.way.misbehave(proxy.late, names[1])
    pg.launch()
    cluster.wait_for(lambda: any(names[1] in line for line in world.way.requests), 180,
                     f"{names[1]} to be asked for")
    orphan = [pid for pid in pg.pids() if "cpam-wal-fetch" in open(f"/proc/{pid}/cmdline").read()]
    t.equal(len(orphan), 1, "fetches running")
    for pid in pg.pids():
        if pid not in orphan:
            os.kill(pid, signal.SIGKILL)
    pg.process.wait(180)
    cluster.wait_for(lambda: pg.pids() == orphan, 180, "only the fetch to be left")
    world.way.rule = None  # the stalled answer stays stalled
    pg.start()
    pg.wait_sql("select count(*) from t", str(rows(world.primary)))
    asked = len(world.way.requests)
    t.true(orphan[0] in pg.pids(), "the orphan lives")
    world.way.let_go()
    pg.wait_log("is not the one that runs")
    cluster.wait_for(lambda: orphan[0] not in pg.pids(), 180, "the orphan to end")
    t.true(not [left for left in os.listdir(os.path.join(data, "pg_wal")) if left.startswith(".cpam-")],
           "nothing is left of it")
    t.true(len(world.way.requests) >= asked, "the standby goes on asking")
    world.write_segments(world.primary, 1)
    pg.wait_sql("select count(*) from t", str(rows(world.primary)))


# -- format-1.md, fault 5: in a versioned bucket a deletion or an overwrite is only laid on top ---------


def test_F1_fault5_a_delete_marker_is_no_absence(t):
    world = S3World(t, versioned=True)
    names = world.begin(3)
    second = world.second_timeline()
    second.stop()
    client = world.server.client
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    world.answers(data, names[1], 0)
    for name, wanted in ((names[1], "pg_wal/RECOVERYXLOG"), ("00000002.history",
                                                             "pg_wal/RECOVERYHISTORY")):
        client.delete(world.bucket, world.key(name))
        done = world.answers(data, name, 0, wanted=wanted)  # the version below is what was archived
        t.holds(done.err, "delete marker", "stderr")
    # everything behind a marker, the newest segment too: still not the end of the archive
    for key in client.keys(world.bucket):
        if "/wal/" in key:
            client.delete(world.bucket, key)
    world.answers(data, names[2], 0)
    world.answers(data, later(names[2]), 1)


def test_F1_fault5_a_foreign_version_on_top_is_passed_over(t):
    world = S3World(t, versioned=True)
    names = world.begin(3)
    client = world.server.client
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    key, other = world.key(names[1]), world.key(names[2])
    good = client.get(world.bucket, key)
    true_content = os.path.join(world.folder, "true")
    world.segment_file(names[1], true_content)
    forged = bytearray(good)
    forged[len(forged) // 2] ^= 1
    for on_top in (b"", b"rubbish", client.get(world.bucket, other), bytes(forged), good[:-1]):
        client.put(world.bucket, key, on_top)
        t.exits(world.fetch(data, names[1]), 0)
        with open(os.path.join(data, "pg_wal/RECOVERYXLOG"), "rb") as one, open(true_content, "rb") as two:
            t.true(one.read() == two.read(), f"the archived content, below {len(on_top)} bytes")
        os.unlink(os.path.join(data, "pg_wal/RECOVERYXLOG"))
    # nothing genuine left below: neither delivered nor absent
    t.equal(client.get(world.bucket, key), good[:-1])


def test_F1_fault5_only_markers_are_no_absence(t):
    """A marker over nothing genuine: somebody was here, so it is not proven that nothing ever was."""
    world = S3World(t, versioned=True)
    names = world.begin(2)
    client = world.server.client
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    name = later(names[1])
    key = world.key(names[1]).replace(names[1], name)
    client.put(world.bucket, key, b"rubbish")
    world.answers(data, name, 254)
    client.delete(world.bucket, key)
    world.answers(data, name, 254)


if __name__ == "__main__":
    tap.main(globals())
