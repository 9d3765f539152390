#!/usr/bin/env python3
"""test_config_files.py - configuration outside of the data directory is backed up, and comes back on a
machine that has nothing (B13, trap 18)."""
import json
import os
import shutil

from harness import cluster, compare, cpam, tap, workspace

NAMES = ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")


class World:
    """A cluster whose configuration lies as Debian lays it, with includes of all kinds."""

    def __init__(self, t, major=15):
        self.t = t
        self.pg = cluster.new(t, major=major)
        self.config = cpam.write_config(t.folder(), cpam.settings(t.folder(), self.pg))
        self.etc = workspace.folder(os.path.join(t.folder(), "etc/main"), 0o755)
        self.write_folder("conf.d")
        self.pg.configure(**cpam.archive_settings(self.config))
        self.pg.append("postgresql.conf", f"data_directory = '{self.pg.data}'\n"
                       f"hba_file = '{self.etc}/pg_hba.conf'\nident_file = '{self.etc}/pg_ident.conf'\n"
                       "include_dir 'conf.d'\ninclude_if_exists 'absent.conf'\ninclude 'more.conf'\n")
        for name, mode in zip(NAMES, (0o644, 0o640, 0o600)):
            os.chmod(os.path.join(self.pg.data, name), mode)
            os.rename(os.path.join(self.pg.data, name), os.path.join(self.etc, name))
        self.write("conf.d/10.conf", "work_mem = '7MB'\n")
        self.write("more.conf", "# nothing but a remark: \u00e4\n")
        self.write("dbs", "postgres\n")
        self.append("pg_hba.conf", "local @dbs all trust\n")
        self.option = ("-c", f"config_file={self.etc}/postgresql.conf")

    def write_folder(self, name):
        workspace.folder(os.path.join(self.etc, name))

    def write(self, name, text, mode=0o640):
        workspace.write(os.path.join(self.etc, name), text, mode)

    def append(self, name, text):
        with open(os.path.join(self.etc, name), "a", encoding="utf-8") as out:
            out.write(text)

    def start(self):
        self.pg.start(*self.option)
        self.t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)
        return self

    def push(self, code=0, words=()):
        result = self.t.exits(cpam.run("cpam-base-push", "--json", config=self.config), code, words)
        return json.loads(result.out)["backups"][0]["label"]

    def fetch(self, *arguments, code=0, words=()):
        return self.t.exits(cpam.run("cpam-base-fetch", *arguments, config=self.config), code, words)


def comes_back(t, world, files):
    """All files, standalone, before there is a data directory; then the server starts on them."""
    first = world.push()
    wanted = {}
    for name in files:
        path = os.path.join(world.etc, name)
        with open(path, "rb") as file:
            wanted[path] = (file.read(), os.stat(path).st_mode & 0o777)
    world.pg.sql("create table t as select generate_series(1, 100) as a")
    rows = compare.rows(world.pg)
    world.write("conf.d/20.conf", "work_mem = '9MB'\n")
    world.push()
    world.pg.wait_archived(world.pg.switch_wal())
    world.pg.stop()
    # the machine is lost: data directory and configuration
    shutil.rmtree(world.pg.data)
    shutil.rmtree(world.etc)
    out = os.path.join(t.folder(), "out")
    result = world.fetch("--config-files", out, "--backup", first)
    t.holds(result.out, [f"{out}{path} (" for path in wanted])
    found = [os.path.join(top, name) for top, _, names in os.walk(out) for name in names]
    t.equal(sorted(path[len(out):] for path in found), sorted(wanted), "the files that came back")
    for path, (content, mode) in wanted.items():
        with open(out + path, "rb") as file:
            t.equal(file.read(), content, path)
        t.equal(os.stat(out + path).st_mode & 0o777, mode & 0o750, path)
    # nothing is overwritten; the newest backup's has one more
    world.fetch("--config-files", out, code=2, words=["is not empty"])
    shutil.rmtree(out)
    listed = json.loads(world.fetch("--config-files", out, "--latest", "--json").out)
    t.equal(len(listed["files"]), len(wanted) + 1)
    # the data, whose closing text names the command as long as the configuration is away
    result = world.fetch("--latest", "--recover", world.pg.data, code=3)
    line = next(line for line in result.out.splitlines() if "--config-files" in line)
    t.holds(line, f"the backup holds it: cpam-base-fetch --config-files {world.pg.data}.config --backup ")
    shutil.copytree(out + world.etc, world.etc)
    workspace.run(["chown", "-R", workspace.user().pw_name, world.etc], root=os.geteuid() == 0)
    world.pg.start(*world.option)
    world.pg.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.pg.sql("show work_mem"), "9MB")
    compare.same_rows(t, rows, world.pg)


def test_B13_trap18_configuration_comes_back_on_an_empty_machine(t):
    comes_back(t, World(t).start(), [*NAMES, "conf.d/10.conf", "more.conf", "dbs"])


def test_B13_a_file_that_can_not_be_read_is_told(t):
    world = World(t).start()
    world.write("conf.d/30.conf", b"# \xff\n")
    label = world.push(3, ["conf.d/30.conf", "is no text in UTF-8"])
    if os.geteuid() == 0:
        os.chown(os.path.join(world.etc, "more.conf"), 0, 0)
        os.chmod(os.path.join(world.etc, "more.conf"), 0o600)
        label = world.push(3, ["more.conf", "Permission denied"])
    # the backup is whole, and the other files are in it
    out = os.path.join(t.folder(), "out")
    world.fetch("--config-files", out, "--backup", label)
    t.true(os.path.exists(f"{out}{world.etc}/conf.d/10.conf"), "the others")
    t.true(not os.path.exists(f"{out}{world.etc}/conf.d/30.conf"), "the one that is left out")


def test_B13_nothing_of_it_lies_in_clear(t):
    world = World(t)
    secret = "primary_conninfo = 'host=10.1.2.3 password=correcthorsebattery'\n"
    world.write("conf.d/40.conf", secret, 0o600)
    world.start()
    world.push()
    for top, _, names in os.walk(os.path.join(t.folder(), "repo")):
        for name in names:
            with open(os.path.join(top, name), "rb") as file:
                t.true(b"correcthorse" not in file.read(), f"{name} holds no secret")
    out = os.path.join(t.folder(), "out")
    world.fetch("--config-files", out)
    path = f"{out}{world.etc}/conf.d/40.conf"
    with open(path, encoding="utf-8") as file:
        t.equal(file.read(), secret)
    t.equal(os.stat(path).st_mode & 0o777, 0o600)


def test_B13_configuration_inside_of_the_data_directory_is_no_such_file(t):
    pg = cluster.new(t)
    config = cpam.write_config(t.folder(), cpam.settings(t.folder(), pg))
    pg.configure(**cpam.archive_settings(config)).start()
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    t.exits(cpam.run("cpam-base-push", config=config), 0)
    out = os.path.join(t.folder(), "out")
    t.exits(cpam.run("cpam-base-fetch", "--config-files", out, config=config), 1,
            ["holds no configuration files", "they lay in the data directory"])
    t.exits(cpam.run("cpam-base-fetch", "--config-files", out, "--standby", config=config), 2)
    t.exits(cpam.run("cpam-base-fetch", "--config-files", out, out, config=config), 2)
    t.exits(cpam.run("cpam-base-fetch", "--latest", config=config), 2, "directory")
    t.true(not os.path.exists(out), "nothing was written")


if __name__ == "__main__":
    tap.main(globals())
