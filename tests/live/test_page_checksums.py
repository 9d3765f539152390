#!/usr/bin/env python3
"""test_page_checksums.py - damaged pages are found when they are backed up, and named (B6)."""
import json
import os

from harness import cluster, cpam, tap

PAGE = 8192


class World:
    """A stopped-and-started cluster, so that what is broken on disk is not in the server's memory."""

    def __init__(self, t, checksums=True, base=None):
        self.folder = t.folder()
        self.pg = cluster.new(t, init=checksums)
        if not checksums:
            self.pg.init(checksums=False)
        self.settings = cpam.settings(self.folder, self.pg)
        if base:
            self.settings["base"] = base
        self.config = cpam.write_config(self.folder, self.settings)
        self.pg.configure(**cpam.archive_settings(self.config))
        self.pg.start()
        t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)

    def push(self, *arguments):
        return cpam.run("cpam-base-push", *arguments, config=self.config)

    def table(self, name, database="postgres"):
        self.pg.sql(f"create table {name} as select g, repeat('x', 500) from generate_series(1, 1000) g",
                    database=database)
        self.pg.sql(f"vacuum {name}", database=database)
        return self.pg.sql(f"select pg_relation_filepath('{name}')", database=database)

    def break_block(self, path, block, suffix=""):
        with open(os.path.join(self.pg.data, path + suffix), "r+b") as file:
            file.seek(block * PAGE + 4000)
            byte = file.read(1)
            file.seek(block * PAGE + 4000)
            file.write(bytes([byte[0] ^ 1]))


def test_B6_damaged_pages_are_named_by_relation_file_and_block(t):
    world = World(t)
    world.pg.sql("create database other")
    here, there = world.table("accounts"), world.table("ledger", "other")
    world.pg.stop()
    world.break_block(here, 3)
    world.break_block(here, 5)
    world.break_block(there, 7)
    world.break_block(here, 1, "_fsm")  # heals itself: told, and never counted
    world.pg.start()
    result = world.push()
    t.exits(result, 3)
    t.holds(result.out, "3 pages are damaged on disk")
    for path, block, name in ((here, 3, "relation public.accounts of database postgres"),
                              (here, 5, "relation public.accounts of database postgres"),
                              (there, 7, "relation public.ledger of database other")):
        line = [line for line in result.err.splitlines() if f'"{path}"' in line and f"block {block} " in line]
        t.equal(len(line), 1, f"lines about block {block} of {path}")
        t.holds(line[0], name)
    t.holds(result.out, f"{here} block 3, {here} block 5")
    t.holds(result.err, "a free space map, which heals itself")
    info = json.loads(cpam.run("cpam-info", "--json", config=world.config).out)
    t.equal([backup["damaged_pages"] for repository in info["repositories"]
             for backup in repository["backups"]], [3])


def test_B6_with_fail_there_is_no_backup(t):
    world = World(t, base={"checksums": "fail"})
    path = world.table("accounts")
    world.pg.stop()
    world.break_block(path, 2)
    world.pg.start()
    result = world.push()
    t.exits(result, 1, "1 page of the database is damaged on disk")
    info = json.loads(cpam.run("cpam-info", "--json", config=world.config).out)
    t.equal([repository["backups"] for repository in info["repositories"]], [[]])


def test_B6_a_cluster_without_checksums_has_nothing_to_find(t):
    world = World(t, checksums=False)
    path = world.table("accounts")
    world.pg.stop()
    world.break_block(path, 2)
    world.pg.start()
    t.exits(world.push(), 0)


if __name__ == "__main__":
    tap.main(globals())
