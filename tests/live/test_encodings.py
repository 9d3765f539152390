#!/usr/bin/env python3
"""test_encodings.py - paths are bytes: a server whose databases are in LATIN1 and whose directories have
names in UTF-8, and directories whose names no database's encoding knows."""
import os
import shutil

from harness import cluster, cpam, tap, workspace


class World:
    """A cluster in this encoding that archives into a directory repository."""

    def __init__(self, t, encoding="LATIN1", directory="pg"):
        self.t = t
        self.pg = cluster.new(t, init=False)
        self.pg.data = os.path.join(t.folder(), directory)
        self.pg.init("--wal-segsize=1", "-E", encoding)
        self.config = cpam.write_config(t.folder(), cpam.settings(t.folder(), self.pg))
        self.pg.configure(**cpam.archive_settings(self.config))
        t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)

    def start(self):
        self.pg.start()
        return self

    def back_up(self, code=0, words=(), **more):
        self.t.exits(cpam.run("cpam-base-push", config=self.config, **more), code, words)
        self.pg.wait_archived(self.pg.switch_wal())

    def fetch(self, *arguments):
        self.t.exits(cpam.run("cpam-base-fetch", "--latest", *arguments, config=self.config), 0)

    def opened(self, data):
        server = cluster.restored(self.t, data, os.path.basename(data))
        server.start()
        server.wait_sql("select not pg_is_in_recovery()")
        return server


def links(data):
    folder = os.fsencode(data) + b"/pg_tblspc"
    return [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]


def check_tablespace(t, place, encoding="LATIN1", source="directory"):
    """A tablespace at these bytes is restored to them, and the server opens with what is in it."""
    world = World(t, encoding)
    if source == "stream":
        world.config = cpam.write_config(t.folder(), cpam.settings(t.folder(), world.pg,
                                                                   base={"source": "stream"}))
    world.start()
    os.mkdir(place, 0o700)
    workspace.give(place)
    sql = b"set client_encoding = 'SQL_ASCII'; create tablespace space location '%s';" % place
    # each statement by itself: no tablespace is made in a transaction
    script = os.path.join(t.folder(), "space.sql")
    with open(script, "wb") as out:
        out.write(sql.replace(b"; ", b";\n"))
    os.chmod(script, 0o644)
    workspace.run([cluster.client("psql"), "-X", "-v", "ON_ERROR_STOP=1", "-f", script,
                   world.pg.connection()])
    world.pg.sql("create table kept tablespace space as select 4711 as id")
    # what is said of a user's own terminal is not meant for paths
    world.back_up(env={"PGCLIENTENCODING": "UTF8"})
    world.pg.stop()
    os.rename(place, place + b".old")
    os.rename(world.pg.data, world.pg.data + ".old")
    world.fetch("--recover", world.pg.data)
    t.equal(links(world.pg.data), [place], "where the restored link leads")
    with open(os.path.join(world.pg.data, "tablespace_map"), "rb") as text:
        t.holds(repr(text.read()), repr(place)[2:-1])
    world.pg.start()
    world.pg.wait_sql("select not pg_is_in_recovery()")
    t.equal(links(world.pg.data), [place], "where the link leads once the server has read its map")
    t.equal(world.pg.sql("select id from kept"), "4711", "what is in the tablespace")


def test_B11_tablespace_of_a_latin1_server(t):
    check_tablespace(t, os.fsencode(os.path.join(t.folder(), "donn\u00e9es")))


def test_B11_tablespace_whose_bytes_are_no_utf8_in_a_stream(t):
    check_tablespace(t, os.fsencode(t.folder()) + b"/donn\xe9es", source="stream")


def test_B11_tablespace_whose_bytes_are_no_utf8(t):
    check_tablespace(t, os.fsencode(t.folder()) + b"/donn\xe9es", "SQL_ASCII")


def test_trap5_data_directory_of_a_latin1_server(t):
    """The server names its directory byte for byte, to the backup and to cpam-repo check."""
    world = World(t, directory="donn\u00e9es").start()
    world.pg.sql("create database \"caf\u00e9\"")
    world.back_up()
    t.exits(cpam.run("cpam-repo", "check", config=world.config), 0)
    restored = os.path.join(t.folder(), "restored")
    world.fetch(restored)
    names = world.opened(restored).sql("select count(*) from pg_database where datname = 'caf\u00e9'")
    t.equal(names, "1", "the database")


def test_B11_pg_wal_behind_a_link_that_is_no_utf8(t):
    world = World(t)
    wal, elsewhere = os.fsencode(world.pg.data) + b"/pg_wal", os.fsencode(t.folder()) + b"/w\xe9l"
    shutil.move(wal, elsewhere)
    os.symlink(elsewhere, wal)
    world.start().back_up(words=["no text in UTF-8"])
    restored = os.path.join(t.folder(), "restored")
    world.fetch(restored)
    t.true(not os.path.islink(os.path.join(restored, "pg_wal")), "pg_wal is no directory")
    world.opened(restored)


if __name__ == "__main__":
    tap.main(globals())
