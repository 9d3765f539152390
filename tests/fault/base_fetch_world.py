"""base_fetch_world.py - a repository with one backup, and cpam-base-fetch with the twin in it."""
import os
import re
import shutil

import crash_states
import push_world  # finds the harness
from harness import cluster, cpam, workspace


class World:
    """A repository with one backup and its WAL, and cpam-base-fetch with the twin in it."""

    def __init__(self, t):
        self.t, self.folder = t, t.folder()
        self.pg = cluster.new(t, init=False)
        self.pg.init("--wal-segsize=1")
        self.config = cpam.write_config(self.folder, cpam.settings(self.folder, self.pg))
        self.pg.configure(**cpam.archive_settings(self.config))
        self.pg.start()
        t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)
        self.pg.sql("create table t as select generate_series(1, 1000) a")
        t.exits(cpam.run("cpam-base-push", config=self.config), 0)
        self.pg.sql("insert into t values (4711)")
        self.pg.wait_archived(self.pg.switch_wal())
        self.pg.stop()
        # the settings it writes name the programs beside it
        bin_folder = workspace.folder(f"{self.folder}/bin", 0o755)
        for one in os.listdir(cpam.programs()):
            shutil.copy(f"{cpam.programs()}/{one}", bin_folder)
        self.twin = f"{bin_folder}/cpam-base-fetch-twin"
        shutil.copy(f"{push_world.BUILD_ROOT}/tests/fault/cpam-base-fetch-twin", self.twin)
        self.above = workspace.folder(f"{self.folder}/restored", 0o755)
        self.target = f"{self.above}/data"
        self.options = []

    def damage(self):
        """A directory of this cluster, restored before, in which --delta has something of everything to
        do; {path: content} of it."""
        options, self.options = self.options, []
        self.clear()
        t = self.t
        done, _, _ = self.fetch()
        t.true(done.returncode in (0, 3), done.stderr)
        self.options = options
        wrong = 0
        for top, _, names in os.walk(f"{self.target}/base"):
            for name in sorted(names)[::25]:
                with open(f"{top}/{name}", "r+b") as file:
                    file.write(b"damage")
                wrong += 1
        t.true(wrong > 10, f"{wrong} files are wrong")
        owner = workspace.user().pw_uid if os.geteuid() == 0 else os.geteuid()
        for name in ("base/foreign", "global/foreign", "pg_wal/00000009.history"):
            with open(f"{self.target}/{name}", "wb") as file:
                file.write(b"foreign")
            os.chown(f"{self.target}/{name}", owner, -1)
        os.unlink(f"{self.target}/PG_VERSION")
        return {path: content for path, content in crash_states.snapshot(self.target).items()
                if content is not None}

    def untouched(self, before):
        """Nothing but our own files has come, nothing has changed."""
        return all(os.path.exists(path) and open(path, "rb").read() == content
                   for path, content in before.items())

    def fetch(self, **env):
        """A restore through the twin: result, calls made, descriptors left open."""
        count = f"{self.folder}/count"
        if os.path.exists(count):
            os.unlink(count)
        names = {"CPAM_TWIN_COUNT": count, **{f"CPAM_TWIN_{key}": str(value)
                                              for key, value in env.items()}}
        done = workspace.run([self.twin, "--config", self.config, "--latest", *self.options,
                              self.target],
                             env=names, check=False, timeout=300)
        if not os.path.exists(count):
            return done, None, None
        with open(count, encoding="ascii") as file:
            calls, fds = re.fullmatch(r"calls (\d+) open (-?\d+)\n", file.read()).groups()
        return done, int(calls), int(fds)

    def clear(self):
        shutil.rmtree(self.target, ignore_errors=True)

    def refused(self, what):
        """PostgreSQL does not start on what is there."""
        if not os.path.isdir(self.target):
            return
        server = cluster.restored(self.t, self.target, "half")
        server.launch()
        code = server.ended(30)
        self.t.true(code != 0, f"{what}: PostgreSQL ended with {code}: {server.log_tail(5)}")

    def again(self):
        """The restore is run once more, after moving the rest aside if it asks for that."""
        done, _, _ = self.fetch()
        if done.returncode not in (0, 3):
            self.t.holds(done.stderr, ["mv ", self.target])
            os.rename(self.target, f"{self.target}.aside")
            done, _, _ = self.fetch()
            shutil.rmtree(f"{self.target}.aside")
        self.t.true(done.returncode in (0, 3), f"the restore again: {done.stderr}")

    def starts(self):
        """It recovers to the end of the archive, with the row that only WAL has."""
        server = cluster.restored(self.t, self.target, "whole")
        server.start()
        self.t.equal(server.sql("select count(*) from t where a = 4711"), "1", "the last row")
        server.stop()
