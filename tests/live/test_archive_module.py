#!/usr/bin/env python3
"""test_archive_module.py - archive_library = 'cpam_archive' on a server that writes, promotes, stops,
and loses its worker, its spool and its store."""
import os
import signal
import socket
import time

from harness import cluster, cpam, tap, workspace


def configuration(t, pg, push=None, name="backup-config.yaml", **more):
    settings = cpam.settings(t.folder(), pg, **more)
    settings["wal"]["push"] = {"mode": "worker", "timeout": "60s", **(push or {})}
    return cpam.write_config(t.folder(), settings, name)


def begin(t, push=None, create=True, **more):
    """A primary with 1 MiB segments that archives through the module, and its configuration."""
    pg = cluster.new(t, "a", init=False)
    pg.init("--wal-segsize=1")
    pg.configure(wal_keep_size="0", max_wal_size="16MB", min_wal_size="4MB",
                 log_min_messages="warning")
    config = configuration(t, pg, push, **more)
    if create:
        t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    pg.configure(**cpam.module_settings(config))
    t.defer(end_workers, t)
    pg.start()
    pg.sql("create table t (a int); insert into t values (0)")
    return pg, config


def workers(t):
    """Processes with --serve that were started for this test."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as line:
                words = line.read().split(b"\0")
        except OSError:
            continue
        if b"--serve" in words and any(word.startswith(t.folder().encode()) for word in words):
            found.append(int(entry))
    return found


def end_workers(t):
    for pid in workers(t):
        os.kill(pid, signal.SIGKILL)


def archived(t, repo="repo"):
    """Names of what the repository holds of WAL."""
    return sorted(name for _, _, names in os.walk(os.path.join(t.folder(), repo, "demo", "wal"))
                  for name in names)


def segment(pg):
    pg.sql("insert into t select generate_series(1, 100)")
    return pg.switch_wal()


def counters(pg):
    return pg.sql("select archived_count || ' ' || failed_count from pg_stat_archiver").split()


class BlackHole:
    """A store that takes connections and never says a word."""

    def __init__(self, t):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)
        t.defer(self.socket.close)

    def repositories(self):
        return [{"name": "primary", "url": "s3://bucket/cpam", "region": "us-east-1",
                 "endpoint": "http://127.0.0.1:%d" % self.socket.getsockname()[1],
                 "credentials": "static", "access_key_id": "AKIAEXAMPLE",
                 "secret_access_key": "nobodys"}]


def test_P15_segments_archived_through_the_module_come_back(t):
    pg = cluster.new(t, "a", init=False)
    pg.init("--wal-segsize=1")
    config = configuration(t, pg)
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    t.defer(end_workers, t)
    # as the sample has it, but for where this build's files are
    added = cpam.module_settings(config)
    pg.append("postgresql.conf", cpam.sample("archive-library.conf", config=config))
    pg.configure(**{name: added[name] for name in ("dynamic_library_path", "cpam_archive.bindir")})
    pg.start()
    pg.sql("create table t (a int)")
    t.exits(cpam.run("cpam-base-push", config=config), 0)
    for _ in range(22):
        last = segment(pg)
    pg.wait_archived(last)
    done, failed = counters(pg)
    t.equal(failed, "0", "failed_count")
    t.true(int(done) >= 22, f"archived_count {done}")
    t.true(len([name for name in archived(t) if len(name) == 24]) >= 22, "segments in the repository")
    t.exits(cpam.run("cpam-repo", "check", config=config), 0)
    # the last segment of a clean shutdown is archived before the server is gone
    pg.sql("insert into t values (4711)")
    last = pg.insert_segment()
    pg.stop()
    t.true(last in archived(t), f"{last} was archived at the shutdown")
    t.lacks(pg.log_text(), ["archiver process", "cpam_archive:"], "the server's log")

    # postgresql.md, trap 7: the copy has the same settings, and archives nothing before it is claimed
    data = os.path.join(t.folder(), "copy")
    t.exits(cpam.run("cpam-base-fetch", "--latest", data, config=config), 0)
    copy = cluster.restored(t, data, "copy")
    copy.start()
    copy.wait_sql("select not pg_is_in_recovery()")
    t.equal(copy.sql("select count(*) from t"), "2201")
    t.equal(copy.sql("show archive_library"), "")
    before = archived(t)
    waiting = segment(copy)
    copy.wait_sql("select failed_count > 0 from pg_stat_archiver")
    t.holds(copy.log_text(), "nobody has claimed")
    t.equal(archived(t), before, "what is archived")
    t.exits(cpam.run("cpam-repo", "claim", data, config=config), 0)
    copy.wait_sql("select current_setting('archive_library')", "cpam_archive")
    copy.wait_archived(waiting, timeout=120)
    t.true(waiting in archived(t), f"{waiting} of the claimed copy")


def test_P15_P5_a_promotion_through_the_module(t):
    pg, config = begin(t)
    pg.wait_archived(segment(pg))
    pg.stop()
    workspace.write(os.path.join(pg.data, "standby.signal"), "")
    pg.configure(restore_command=cpam.restore_command(config))
    pg.start()
    pg.promote()
    first = segment(pg)
    t.equal(first[:8], "00000002", "the timeline")
    pg.wait_archived(first)
    names = archived(t)
    t.true("00000002.history" in names and first in names, f"history and {first} in {names}")
    t.equal(counters(pg)[1], "0", "failed_count")


def test_P15_a_store_that_is_away_is_told_and_tried_again(t):
    pg, _ = begin(t)
    pg.wait_archived(segment(pg))
    archiver = pg.sql("select pid from pg_stat_activity where backend_type = 'archiver'")
    repo = os.path.join(t.folder(), "repo")
    os.rename(repo, repo + ".away")
    waiting = segment(pg)
    pg.wait_sql("select failed_count > 0 from pg_stat_archiver")
    t.holds(pg.log_text(), ["LOG:  cpam_archive: ", f"\"{waiting}\" is not archived", "HINT:  "])
    t.true(os.path.exists(os.path.join(pg.data, "pg_wal", waiting)), "the segment stays")
    os.rename(repo + ".away", repo)
    segment(pg)
    pg.wait_archived(waiting, timeout=120)
    t.equal(pg.sql("select pid from pg_stat_activity where backend_type = 'archiver'"), archiver,
            "the archiver's pid: no failure ends it")


def test_P15_a_worker_that_is_killed_is_replaced(t):
    pg, _ = begin(t)
    pg.wait_archived(segment(pg))
    for _ in range(3):
        found = workers(t)
        t.equal(len(found), 1, "workers")
        os.kill(found[0], signal.SIGKILL)
        pg.wait_archived(segment(pg))
        t.true(found[0] not in workers(t), "another worker")
    t.equal(counters(pg)[1], "0", "failed_count")


def test_P15_without_a_worker_its_program_does_it(t):
    """wal.push.mode: direct, and a spool that can't be used."""
    pg, config = begin(t, push={"mode": "direct"})
    pg.wait_archived(segment(pg))
    t.equal(workers(t), [], "workers")
    configuration(t, pg)
    spool = os.path.join(t.folder(), "spool")
    os.rmdir(spool)
    workspace.write(spool, "")
    pg.wait_archived(segment(pg))
    t.equal(workers(t), [], "workers")
    t.equal(counters(pg)[1], "0", "failed_count")
    # and what its program says is in the log
    os.rename(os.path.join(t.folder(), "repo"), os.path.join(t.folder(), "gone"))
    segment(pg)
    pg.wait_sql("select failed_count > 0 from pg_stat_archiver")
    t.holds(pg.log_text(), ["is its disk mounted?", "--push\" ended with 1"])
    os.rename(os.path.join(t.folder(), "gone"), os.path.join(t.folder(), "repo"))


def test_P15_a_stalled_store_holds_up_neither_statements_nor_the_shutdown(t):
    hole = BlackHole(t)
    pg, _ = begin(t, push={"timeout": "30m"}, create=False,
                  repositories=hole.repositories(), encryption="none")
    segment(pg)
    cluster.wait_for(lambda: workers(t), 180, "the worker to be asked")
    # waits for every process of the server to have looked at its interrupts, the archiver too
    pg.sql("create database gone")
    pg.sql("drop database gone", timeout=60)
    start = time.monotonic()
    pg.stop(timeout=300)
    t.note(f"stopped after {time.monotonic() - start:.1f} s")
    t.holds(pg.log_text(), ["the time for it is over", "database system is shut down"])


def test_P15_a_reload_changes_the_configuration(t):
    pg, _ = begin(t)
    pg.wait_archived(segment(pg))
    before = archived(t)
    other = configuration(t, pg, name="other.yaml", repositories=[
        {"name": "other", "url": "file://" + os.path.join(t.folder(), "elsewhere")}])
    t.exits(cpam.run("cpam-repo", "create", config=other), 0)
    pg.configure(**{"cpam_archive.config": other})
    pg.reload()
    pg.wait_sql("select current_setting('cpam_archive.config')", other)
    pg.wait_archived(segment(pg))
    last = segment(pg)
    pg.wait_archived(last)
    t.true(last in archived(t, "elsewhere"), f"{last} in the other repository")
    t.true(last not in archived(t) and set(before) <= set(archived(t)), "the first one stays")


def test_P15_what_can_not_archive_is_not_configured(t):
    pg, config = begin(t)
    pg.wait_archived(segment(pg))
    for settings, words in (({"cpam_archive.bindir": "/nonexistent"},
                             ["/nonexistent/cpam-wal-worker", "cpam_archive.bindir names"]),
                            ({"cpam_archive.config": "/nonexistent.yaml"}, ["/nonexistent.yaml"])):
        pg.configure(**settings)
        pg.reload()
        waiting = segment(pg)
        pg.wait_log("archiving is not configured")
        t.holds(pg.log_text(), ["LOG:  cpam_archive: ", *words])
        t.true(waiting not in archived(t), f"{waiting} is not archived")
        pg.configure(**{"cpam_archive.bindir": cpam.programs(), "cpam_archive.config": config})
        pg.reload()
        segment(pg)
        pg.wait_archived(waiting)


def test_P15_P2_another_content_is_a_conflict(t):
    pg, _ = begin(t)
    twin, taken = cluster.rival(t, pg)
    twin.start()
    twin.sql("insert into t select generate_series(1, 500)")
    t.equal(twin.switch_wal(), taken, "the same name")
    twin.wait_sql("select failed_count > 0 from pg_stat_archiver")
    t.holds(twin.log_text(), ["LOG:  cpam_archive: ", "is archived with other content",
                              "nothing was changed"])
    t.true(os.path.exists(os.path.join(twin.data, "pg_wal", taken)), "the segment stays")


def test_P15_trap9_what_a_worker_warns_of_is_in_the_servers_log(t):
    """Two contents of one .partial: both are kept, and somebody should know."""
    pg, _ = begin(t)
    name = segment(pg)
    pg.wait_archived(name)
    with open(os.path.join(pg.data, "pg_wal", name), "rb") as file:
        content = bytearray(file.read())
    partial = f"{name}.partial"
    status = os.path.join(pg.data, "pg_wal", "archive_status", partial)
    for _ in range(2):
        if os.path.exists(status + ".done"):
            os.unlink(status + ".done")
        workspace.write(os.path.join(pg.data, "pg_wal", partial), bytes(content), 0o600)
        workspace.write(status + ".ready", "", 0o600)
        pg.wait_archived(segment(pg))  # the archiver looks at what there is
        cluster.wait_for(lambda: os.path.exists(status + ".done"), what="the .partial is archived")
        content[-1] ^= 1
    t.holds(pg.log_text(), ["LOG:  cpam_archive: ", "is archived with other content",
                            "was put beside it"])
    t.equal(len([each for each in archived(t) if each.startswith(partial)]), 2)


if __name__ == "__main__":
    tap.main(globals())
