"""restore_world.py - a cluster that archives and is backed up, and restores of it: for live tests."""
import os
import shutil

from harness import cluster, cpam, workspace


class World:
    """A PostgreSQL 15 with segments of 1 MiB, a directory repository, and cpam archiving into it."""

    def __init__(self, t, start=True, segment_mib=1, **settings):
        self.t = t
        self.count = 0
        self.pg = cluster.new(t, init=False)
        self.pg.init(f"--wal-segsize={segment_mib}")
        self.config = cpam.write_config(t.folder(), cpam.settings(t.folder(), self.pg, **settings))
        self.pg.configure(track_commit_timestamp="on", archive_timeout="0",
                          **{key: value for key, value in cpam.archive_settings(self.config).items()
                             if key != "archive_timeout"})
        t.exits(self.run("cpam-repo", "create"), 0)
        if start:
            self.start()

    def start(self):
        self.pg.start()
        self.pg.sql("create extension pg_walinspect")
        self.pg.sql("create table t (id int primary key)")
        return self

    def run(self, name, *arguments, **more):
        return cpam.run(name, *arguments, config=self.config, **more)

    def push(self, pg=None):
        """A base backup of the cluster the configuration names; its label."""
        result = self.t.exits(self.run("cpam-base-push"), 0)
        return result.out

    def archived(self, pg=None):
        """Everything written so far is in the repository."""
        pg = pg or self.pg
        pg.wait_archived(pg.switch_wal())

    def insert(self, number, pg=None):
        """A row in a transaction of its own: its xid, moment, and the LSN where its commit begins."""
        pg = pg or self.pg
        start = pg.sql("select pg_current_wal_insert_lsn()")
        xid = pg.sql(f"with i as (insert into t values ({number}) returning xmin) select xmin from i")
        time = pg.sql(f"select pg_xact_commit_timestamp('{xid}')")
        end = pg.sql("select pg_current_wal_flush_lsn()")
        lsn = pg.sql("select start_lsn from pg_get_wal_records_info("
                     f"'{start}', '{end}') where xid = '{xid}' and record_type = 'COMMIT'")
        return {"xid": xid, "time": time, "lsn": lsn}

    def fetch(self, *arguments, code=0, data=None, words=()):
        """cpam-base-fetch into a new directory; (Result, path)."""
        self.count += 1
        data = data or os.path.join(self.t.folder(), f"restored{self.count}")
        result = self.run("cpam-base-fetch", *arguments, data)
        self.t.exits(result, code, words)
        return result, data

    def verify(self, data):
        """pg_verifybackup -n accepts it before its first start (B12)."""
        workspace.run([cluster.client("pg_verifybackup"), "-n", data])

    def restore(self, *arguments, verify=True, opened=True, **exits):
        """Fetch, verify, start, and wait until it paused at its target or opened; the cluster."""
        _, data = self.fetch(*arguments, **exits)
        if verify:
            self.verify(data)
        server = cluster.restored(self.t, data, os.path.basename(data))
        server.start()
        if opened:
            server.wait_sql("select not pg_is_in_recovery()")
        else:
            server.wait_sql("select pg_get_wal_replay_pause_state()", "paused")
        return server

    def rows(self, server):
        return server.sql("select string_agg(id::text, ' ' order by id) from t")

    def expect(self, rows, *arguments, **more):
        """The restore to this target holds exactly these rows."""
        server = self.restore(*arguments, **more)
        self.t.equal(self.rows(server), rows, " ".join(arguments))
        return server

    def drop(self, server):
        server.stop("immediate")
        shutil.rmtree(server.data)


def check_files(t, server):
    """pg_amcheck on the open server, pg_checksums on the stopped one: nothing to find."""
    server.sql("create extension if not exists amcheck")
    workspace.run([cluster.client("pg_amcheck"), "-h", server.socket, "-p", cluster.PORT, "-U",
                   "postgres", "-d", "postgres", "--heapallindexed"])
    server.stop()
    out = workspace.run([cluster.client("pg_checksums"), "--check", "-D", server.data]).stdout
    t.holds(out, "Bad checksums:  0")
