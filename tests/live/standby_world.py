"""standby_world.py - a primary that archives, and a standby of it whose backups are taken (row B5)."""
import os
import subprocess

from harness import cluster, cpam, workspace

CONTENT = "select count(*), coalesce(sum(a), 0), md5(string_agg(b, ',' order by a)) from x"


def fill(pg):
    """A table whose content CONTENT tells."""
    pg.sql("create table x as select a, md5(a::text) as b from generate_series(1, 20000) a")


def start_load(t, pg):
    """pgbench that writes until it gets SIGINT, or the test ends."""
    load = subprocess.Popen(
        [cluster.client("pgbench"), "-n", "-c", "2", "-T", "600", pg.connection()],
        env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, **workspace.as_user())
    t.defer(lambda: load.poll() is None and load.kill())
    cluster.wait_for(lambda: int(pg.sql("select count(*) from pgbench_history")) > 50, 180,
                     "pgbench to write")
    return load


class StandbyWorld:
    """pg archives into a directory repository; standby follows it; config is for base.from: standby."""

    def __init__(self, t, major=15, standby=True, **more):
        self.t, self.folder, self.major = t, t.folder(), major
        self.pg = cluster.new(t, major=major)
        self.archive = cpam.write_config(self.folder, cpam.settings(self.folder, self.pg))
        self.pg.configure(**cpam.archive_settings(self.archive)).start()
        t.exits(cpam.run("cpam-repo", "create", config=self.archive), 0)
        self.standby = self.follow(self.pg, "standby") if standby else None
        self.config = self.write(**more)

    def write(self, base=None, name="standby.yaml", **postgresql):
        """A configuration on the standby's side."""
        settings = cpam.settings(self.folder, self.pg)
        settings["postgresql"] = {"connection": self.pg.connection()}
        if self.standby:
            settings["postgresql"].update(data=self.standby.data,
                                          standby_connection=self.standby.connection())
        settings["postgresql"].update(postgresql)
        settings["base"] = dict({"from": "standby"}, **(base or {}))
        return cpam.write_config(self.folder, settings, name)

    def follow(self, upstream, name):
        """A started standby of that server."""
        data = os.path.join(self.folder, name)
        workspace.run([cluster.client("pg_basebackup"), "-D", data, "-d", upstream.connection(), "-R",
                       "-X", "stream", "-c", "fast"])
        standby = cluster.restored(self.t, data, name, self.major)
        return standby.start()

    def push(self, *arguments, **more):
        return cpam.run("cpam-base-push", *arguments, config=more.pop("config", self.config), **more)

    def caught_up(self):
        """The standby has replayed what the primary has written so far."""
        lsn = self.pg.sql("select pg_current_wal_insert_lsn()")
        self.standby.wait_sql(f"select pg_last_wal_replay_lsn() >= '{lsn}'")

    def summaries(self):
        backup = os.path.join(self.folder, "repo", "demo", "backup")
        return sorted(name for name in (os.listdir(backup) if os.path.isdir(backup) else [])
                      if os.path.exists(os.path.join(backup, name, "summary.json")))

    def restore(self, name, *target):
        """Restored, verified against its backup_manifest, started, and out of recovery."""
        t, data = self.t, os.path.join(self.folder, name)
        result = cpam.run("cpam-base-fetch", *target, data, config=self.archive)
        t.true(result.code in (0, 3), result.line + "\n" + result.output())
        done = workspace.run([cluster.client("pg_verifybackup"), "-n", data], check=False)
        # the client of 15 reads the manifests of 14 to 16
        if self.major <= 16:
            t.equal(done.returncode, 0, done.stdout + done.stderr)
        copy = cluster.restored(t, data, name, self.major)
        copy.start()
        copy.wait_sql("select not pg_is_in_recovery()")
        return copy
