"""test_base_push_disk.py - trouble with the disk under cpam-base-push: a state directory or a repository
that is full, read-only or away.  Said clearly, with the right exit status, and never half a backup."""
import glob
import os
import shutil

import push_world  # finds the harness
import small_disk
from harness import cluster, cpam, tap, workspace


class World:
    """A server that archives into a directory; state and second repository in places of their own."""

    def __init__(self, t, **more):
        self.t, self.folder = t, t.folder()
        self.pg = cluster.new(t, init=False)
        self.pg.init("--wal-segsize=1")
        self.settings = cpam.settings(self.folder, self.pg, **more)
        self.config = cpam.write_config(self.folder, self.settings)
        self.pg.configure(**cpam.archive_settings(self.config))
        self.pg.start()
        t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)
        self.state = os.path.join(self.folder, "state")

    def push(self):
        return cpam.run("cpam-base-push", "--archive-wait", "60s", config=self.config)

    def labels(self, repo="repo"):
        return sorted(os.path.basename(os.path.dirname(path))
                      for path in glob.glob(f"{self.folder}/{repo}/demo/backup/*/summary.json"))

    def no_backup(self, result, words, before=()):
        """It failed with a sentence, and nothing is listed that was not before; the server is out of backup
        mode."""
        self.t.exits(result, 1, words)
        self.t.equal(self.labels(), list(before))
        info = cpam.run("cpam-info", config=self.config)
        self.t.true(info.code in (0, 3), info.output())
        self.t.equal(self.pg.sql("select count(*) from pg_stat_activity where application_name = "
                                 "'cpam-base-push'"), "0")

    def restores(self):
        """The next push works, and what it made comes back."""
        self.t.exits(self.push(), 0)
        target = f"{self.folder}/restored"
        self.t.exits(cpam.run("cpam-base-fetch", "--latest", target, config=self.config), 0)
        shutil.rmtree(target)


def test_B8_a_state_directory_that_is_full(t):
    world = World(t)
    small_disk.mount(t, world.state, "size=1m")
    small_disk.fill(world.state)
    world.no_backup(world.push(), ["No space left on device"])
    small_disk.make_room(world.state)
    # it fills while the backup is made: the plan of so many files does not fit
    world.pg.sql("do $$ begin for i in 1..300 loop execute format('create table t%s (a text)', i); "
                 "end loop; end $$")
    with open(f"{world.state}/fullish", "wb") as file:
        file.write(b"x" * ((1 << 20) - (64 << 10)))
    world.no_backup(world.push(), ["No space left on device"])
    small_disk.make_room(world.state)
    world.restores()


def test_B8_a_state_directory_that_is_read_only(t):
    world = World(t)
    small_disk.mount(t, world.state, "size=4m")
    small_disk.read_only(world.state)
    world.no_backup(world.push(), [world.state, "Read-only file system"])
    small_disk.read_only(world.state, False)
    world.restores()


def test_B8_a_state_directory_that_is_not_ours(t):
    world = World(t)
    if os.geteuid() != 0:
        raise tap.Skip("needs another user than the one that owns it")
    os.chown(world.state, 0, 0)
    world.no_backup(world.push(), [world.state, "Permission denied"])
    workspace.give(world.state)
    world.restores()


def test_B8_a_state_directory_that_is_missing_is_made(t):
    world = World(t)
    shutil.rmtree(world.state)
    t.exits(world.push(), 0)
    t.equal(len(world.labels()), 1)
    t.equal(os.stat(world.state).st_mode & 0o777, 0o700)
    # where it can't be made, that is said
    shutil.rmtree(world.state)
    workspace.write(world.state, "a file")
    world.no_backup(world.push(), [world.state], world.labels())
    os.unlink(world.state)
    world.restores()


def test_B8_D4_a_repository_that_is_full_loses_its_backup_alone(t):
    folder = t.folder()
    second = workspace.folder(os.path.join(folder, "second"), 0o700)
    small_disk.mount(t, second, "size=3m")
    # archiving goes on without the full one
    wal = {"spool": workspace.folder(f"{folder}/spool", 0o700),
           "push": {"mode": "direct", "acknowledge": "any"}}
    world = World(t, wal=wal, repositories=[{"name": "primary", "url": f"file://{folder}/repo"},
                                            {"name": "second", "url": f"file://{second}"}])
    small_disk.fill(second)
    result = t.exits(world.push(), 1, ['"second"', "No space left on device"])
    t.holds(result.out, 'is in repository "primary"')
    t.equal(len(world.labels()), 1)
    t.equal(world.labels("second"), [])
    t.exits(cpam.run("cpam-base-fetch", "--latest", f"{folder}/restored", config=world.config), 0)
    # nothing of the lost one is listed, and a half-written object is none
    info = cpam.run("cpam-info", "--repo", "second", "--json", config=world.config)
    t.true(info.code in (0, 3), info.output())
    t.lacks(info.out, [world.labels()[0]])


if __name__ == "__main__":
    tap.main(globals())
