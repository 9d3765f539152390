"""test_wal_push.py - cpam-wal-push as PostgreSQL's archive_command, on a server that really writes,
backs up, promotes, restarts and loses its repository for a while."""
import os
import re

from harness import cluster, cpam, tap, workspace


def begin(t, **more):
    """A primary with 1 MiB segments that archives into a directory, and its configuration."""
    pg = cluster.new(t, "a", init=False)
    pg.init("--wal-segsize=1")
    pg.configure(wal_keep_size="0", max_wal_size="16MB", min_wal_size="4MB", **more)
    config = cpam.write_config(t.folder(), cpam.settings(t.folder(), pg))
    done = cpam.run("cpam-repo", "create", config=config)
    t.equal(done.code, 0, "cpam-repo create " + done.output())
    pg.configure(**cpam.archive_settings(config))
    pg.start()
    pg.sql("create table t (a int); insert into t values (0)")
    return pg, config


def content(path):
    with open(path, "rb") as file:
        return file.read()


def fetched(t, config, name):
    target = os.path.join(t.folder(), "fetched")
    t.exits(cpam.run("cpam-wal-fetch", name, target, config=config), 0)
    got = content(target)
    os.unlink(target)
    return got


def archived(t):
    """Names of what the repository holds of WAL."""
    found = []
    for _, _, names in os.walk(os.path.join(t.folder(), "repo", "demo", "wal")):
        found += names
    return sorted(found)


def done_files(pg):
    """What the server believes to be archived and still has."""
    status = os.path.join(pg.data, "pg_wal", "archive_status")
    return sorted(name[:-5] for name in os.listdir(status) if name.endswith(".done"))


def same_as_in_pg_wal(t, pg, config):
    names = [name for name in done_files(pg)
             if os.path.exists(os.path.join(pg.data, "pg_wal", name))]
    for name in names:
        t.equal(fetched(t, config, name) == content(os.path.join(pg.data, "pg_wal", name)), True,
                f"{name} as it is in pg_wal")
    return names


def test_P5_all_a_server_has_to_archive(t):
    pg, config = begin(t)
    for _ in range(3):
        pg.sql("insert into t select generate_series(1, 1000)")
        segment = pg.switch_wal()
    pg.wait_archived(segment)
    # a backup leaves <segment>.<offset>.backup
    workspace.run([cluster.client("psql"), "-X", "-q", pg.connection()],
                  stdin="select pg_backup_start('x', true);\nselect pg_backup_stop(false);\n")
    pg.switch_wal()
    cluster.wait_for(lambda: any(name.endswith(".backup") for name in archived(t)), 180,
                     "the backup history file")
    # the last segment of a clean shutdown is archived before the server is gone
    pg.sql("insert into t values (1)")
    last = pg.insert_segment()
    pg.stop()
    t.true(last in archived(t), f"{last} was archived at the shutdown; there is {archived(t)}")
    # a promotion: history, the segment where the timeline began (trap 2), and what follows
    workspace.write(os.path.join(pg.data, "standby.signal"), "")
    pg.configure(restore_command=cpam.restore_command(config))
    pg.start()
    pg.promote()
    pg.sql("insert into t select generate_series(1, 1000)")
    first = pg.switch_wal()
    t.equal(first[:8], "00000002", "the timeline")
    second = pg.switch_wal() if pg.sql("insert into t values (1)") == "" else None
    pg.wait_archived(second or first)
    names = archived(t)
    t.true("00000002.history" in names, f"the history in {names}")
    header = fetched(t, config, first)
    t.equal(header[4], 1, "the first page of the segment where timeline 2 began is of timeline")
    same = same_as_in_pg_wal(t, pg, config)
    t.true(len(same) >= 3, f"compared with pg_wal: {same}")
    t.equal(pg.sql("select failed_count from pg_stat_archiver"), "0")
    t.lacks(pg.log_text(), ["archive command failed", "archiver process"], "the server's log")


def test_P14_the_archiver_outlives_a_repository_that_is_away(t):
    pg, config = begin(t)
    pg.wait_archived(pg.switch_wal())
    archiver = pg.sql("select pid from pg_stat_activity where backend_type = 'archiver'")
    repo = os.path.join(t.folder(), "repo")
    os.rename(repo, repo + ".away")
    pg.sql("insert into t values (1)")
    waiting = pg.switch_wal()
    pg.wait_sql("select failed_count > 0 from pg_stat_archiver")
    t.true(not os.path.exists(repo), "nobody made a second repository in its place")
    t.holds(pg.log_text(), ["archive command failed with exit code 1", "is its disk mounted?"])
    os.rename(repo + ".away", repo)
    pg.sql("select pg_switch_wal() from (select txid_current()) t")
    # the archiver waits up to 60 s after three failures; a new segment wakes it
    pg.wait_archived(waiting, timeout=240)
    t.equal(pg.sql("select pid from pg_stat_activity where backend_type = 'archiver'"), archiver,
            "the archiver's pid")
    t.equal(fetched(t, config, waiting) == content(os.path.join(pg.data, "pg_wal", waiting))
            if os.path.exists(os.path.join(pg.data, "pg_wal", waiting)) else True, True)


def test_P2_a_server_whose_names_are_taken_keeps_its_segments(t):
    """Two servers on one timeline: the second one's segments are refused and stay in its pg_wal."""
    pg, config = begin(t)
    twin, taken = cluster.rival(t, pg)
    before = fetched(t, config, taken)
    twin.start()
    twin.sql("insert into t select generate_series(1, 500)")
    t.equal(twin.switch_wal(), taken, "the same name")
    twin.wait_sql("select failed_count > 0 from pg_stat_archiver")
    twin.wait_log("is archived with other content")
    t.holds(twin.log_text(), ["archive command failed with exit code 4", "nothing was changed"])
    ids = set(re.findall(r"content id ([0-9a-f]{64})", twin.log_text()))
    t.equal(len(ids), 2, "content ids in the log")
    t.true(os.path.exists(os.path.join(twin.data, "pg_wal", taken)), "the segment stays")
    t.equal(fetched(t, config, taken) == before, True, "what is archived is what it was")


def test_trap_7_an_unclaimed_copy_archives_nothing(t):
    pg, config = begin(t)
    pg.wait_archived(pg.switch_wal())
    # the shutdown of a server that may not archive must not wait for ever either
    pg.configure(**cpam.archive_settings(config, extra="--unclaimed"))
    pg.reload()
    pg.sql("insert into t values (1)")
    names = archived(t)
    pg.switch_wal()
    pg.wait_sql("select failed_count > 0 from pg_stat_archiver")
    t.holds(pg.log_text(), ["archive command failed with exit code 6", "cpam-repo claim"])
    t.equal(archived(t), names, "what is archived")


if __name__ == "__main__":
    tap.main(globals())
