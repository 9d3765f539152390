#!/usr/bin/env python3
"""test_restore_delta.py - cpam-base-fetch --delta over a real data directory: damaged, moved on, and of
somebody else."""
import os
import re
import shutil

from harness import cluster, cpam, tap, workspace
from restore_world import World, check_files


def filled(t, mib=24):
    """A world with a relation of about so many MiB that does not compress, backed up; its file."""
    world = World(t)
    world.pg.sql("create table big as select g, md5(g::text) || md5((g + 1)::text) as a from "
                 f"generate_series(1, {mib * 10000}) g")
    world.pg.sql("create index on big (g)")
    world.insert(1)
    world.pg.sql("checkpoint")
    world.push()
    return world, world.pg.sql("select pg_relation_filepath('big')")


def fetched(t, result):
    """Bytes that were asked for, and the ones that were right already."""
    found = re.search(r"fetched +([0-9.]+) (\w+); ([0-9.]+) (\w+) were right", result.out)
    t.true(found is not None, result.out)
    units = {"B": 1, "bytes": 1, "kB": 1000, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    return (float(found[1]) * units[found[2]], float(found[3]) * units[found[4]])


@tap.limit(600)
def test_T6_the_original_after_damage_and_with_WAL_that_was_never_archived(t):
    world, path = filled(t)
    world.insert(2)
    world.archived()
    world.insert(3)  # in pg_wal alone
    segment = world.pg.sql("select pg_walfile_name(pg_current_wal_lsn())")
    world.pg.stop("immediate")
    pid = os.path.join(world.pg.data, "postmaster.pid")
    if not os.path.exists(pid):
        with open(pid, "w", encoding="ascii") as out:
            out.write(f"999999\n{world.pg.data}\n")
    result = world.run("cpam-base-fetch", "--latest", "--recover", "--delta", world.pg.data)
    t.exits(result, 2, ["postmaster.pid", "rm "])
    os.unlink(pid)
    whole = os.path.getsize(os.path.join(world.pg.data, path))
    with open(os.path.join(world.pg.data, path), "r+b") as file:
        file.seek(whole // 2 // 8192 * 8192)
        file.write(os.urandom(8192))
    foreign = os.path.join(world.pg.data, "base", "foreign")
    with open(foreign, "w", encoding="ascii") as out:
        out.write("foreign")
    workspace.run(["chown", workspace.user().pw_name, foreign], check=False)
    result = world.run("cpam-base-fetch", "--latest", "--recover", "--delta", world.pg.data)
    t.exits(result, 3)
    t.holds(result.out, ["fetched", "old WAL"])
    t.true(not os.path.exists(foreign), "what is foreign is gone")
    kept = os.path.join(world.pg.data, "pg_wal", "before-restore")
    t.true(segment in os.listdir(kept), f"{segment} is kept: {os.listdir(kept)}")
    world.verify(world.pg.data)
    world.pg.start()
    world.pg.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(world.pg), "1 2")
    world.push()  # it archives, and what was put aside is in nobody's way
    check_files(t, world.pg)
    # it is told again as long as it lies there
    result, _ = world.fetch("--latest", "--recover", "--delta", data=world.pg.data, code=3)
    t.holds(result.out, ["old WAL"])


@tap.limit(600)
def test_T6_another_clusters_directory_and_no_directory_of_a_cluster(t):
    world, _ = filled(t, 1)
    other = cluster.new(t, "other", init=False)
    other.init("--wal-segsize=1")
    result = world.run("cpam-base-fetch", "--latest", "--delta", other.data)
    t.exits(result, 2, ["is another cluster", "mv "])
    t.true(os.path.exists(f"{other.data}/global/pg_control"), "untouched")
    folder = workspace.folder(os.path.join(t.folder(), "letters"), 0o700)
    with open(os.path.join(folder, "letter"), "w", encoding="ascii") as out:
        out.write("dear")
    t.exits(world.run("cpam-base-fetch", "--latest", "--delta", folder), 2,
            ["no data directory that can be told"])
    t.equal(os.listdir(folder), ["letter"])
    # a server that runs is never written under
    t.exits(world.run("cpam-base-fetch", "--latest", "--delta", world.pg.data), 2,
            ["a server runs in"])
    t.equal(world.pg.sql("select count(*) from t"), "1")
    # an empty one is as good as without --delta
    result, data = world.fetch("--latest", "--delta")
    world.verify(data)


@tap.limit(600)
def test_trap7_a_copy_renewed_by_delta_keeps_its_WAL_until_claim(t):
    world, _ = filled(t, 1)
    world.archived()
    _, data = world.fetch("--latest")
    copy = cluster.restored(t, data, "copy")
    copy.start()
    copy.wait_sql("select not pg_is_in_recovery()")
    world.insert(100, copy)
    copy.stop()
    world.insert(2)
    world.archived()
    result, _ = world.fetch("--latest", "--delta", data=data, code=3)
    t.holds(result.out, ["old WAL"])
    with open(f"{data}/postgresql.auto.conf", encoding="utf-8") as file:
        text = file.read()
    t.equal(text.count("--unclaimed"), 1, text)
    t.equal(len(re.findall(r"^restore_command", text, re.M)), 1, text)
    world.verify(data)
    copy = cluster.restored(t, data, "copy")
    copy.start()
    copy.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(copy), "1 2")
    name = copy.switch_wal()
    t.true(os.path.exists(f"{data}/pg_wal/archive_status/{name}.ready"), "it waits to be archived")


def stored(world):
    """Bytes in the repository's packs."""
    return sum(os.path.getsize(os.path.join(top, name))
               for top, _, names in os.walk(f"{world.t.folder()}/repo") for name in names
               if "/pack" in top)


@tap.limit(900)
def test_T6_a_hundredth_of_the_pages_changed(t):
    world, path = filled(t, 40)
    full = stored(world)
    label = re.search(r"backup (\S+) is in", world.push())[1]  # incremental, if it is built
    world.fetch("--backup", label, data=f"{t.folder()}/copy")
    # a hundredth of the pages, lying together as new rows do
    world.pg.sql("update big set a = a || 'x' where g > (select max(g) * 0.994 from big)")
    world.pg.sql("checkpoint")
    world.push()
    before = stored(world)
    result, data = world.fetch("--latest", "--delta", data=f"{t.folder()}/copy")
    asked, kept = fetched(t, result)
    t.note(f"fetched {asked} of {full}, kept {kept}; the repository grew to {before}")
    t.lacks(result.err, ["can't be told"])
    t.true(asked < full * 0.03, f"{asked} of {full} bytes")
    world.verify(data)
    # damaged: one page is wrong, and no more than its frame is fetched
    whole = os.path.join(data, path)
    with open(whole, "r+b") as file:
        file.seek(os.path.getsize(whole) // 3 // 8192 * 8192)
        file.write(os.urandom(8192))
    result, _ = world.fetch("--latest", "--delta", data=data)
    asked, _ = fetched(t, result)
    t.true(asked < (1 << 20) + full * 0.01, f"{asked} bytes for one page")
    world.verify(data)
    server = cluster.restored(t, data)
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(server.sql("select count(*) from big where a like '%x'"),
            world.pg.sql("select count(*) from big where a like '%x'"))
    check_files(t, server)


@tap.limit(600)
def test_T6_T9_B12_what_its_owner_may_not_write_comes_back_whole_and_as_it_was(t):
    world = World(t)
    modes = {"server.key": 0o400, "large.key": 0o440, "empty.key": 0o400, "plain": 0o600,
             "closed": 0o500, "closed/inner": 0o400, "closed/deeper": 0o500,
             "closed/deeper/file": 0o600}
    content = {}
    for name, mode in modes.items():
        path = os.path.join(world.pg.data, name)
        if name in ("closed", "closed/deeper"):
            workspace.folder(path, 0o700)
            continue
        content[name] = os.urandom({"large.key": 300000, "empty.key": 0}.get(name, 3000))
        workspace.write(path, content[name], mode)
    workspace.run(["ln", "-s", "inner", os.path.join(world.pg.data, "closed/link")])
    for name in ("closed/deeper", "closed"):
        os.chmod(os.path.join(world.pg.data, name), modes[name])

    def check(data, what):
        for name, mode in modes.items():
            t.equal(oct(os.stat(os.path.join(data, name)).st_mode & 0o777), oct(mode),
                    f"{what}: {name}")
        for name, text in content.items():
            with open(os.path.join(data, name), "rb") as file:
                t.true(file.read() == text, f"{what}: {name}")
        t.equal(os.readlink(os.path.join(data, "closed/link")), "inner", what)
        workspace.run([cluster.client("pg_verifybackup"), "-n", "-i", "closed/link", data])

    world.insert(1)
    world.push()
    world.insert(2)
    world.archived()
    _, data = world.fetch("--latest")
    check(data, "into an empty directory")
    result, _ = world.fetch("--latest", "--delta", data=data)
    check(data, "what is right already")
    # another key, one missing, one page of a large one; nothing a restore would not meet
    for name in ("server.key", "closed/inner"):
        os.unlink(os.path.join(data, name))
    workspace.write(os.path.join(data, "server.key"), b"renewed", 0o400)
    with open(os.path.join(data, "large.key"), "r+b") as file:
        file.write(os.urandom(8192))
    workspace.run(["mkdir", "-p", os.path.join(data, "foreign/inner")])
    workspace.run(["chmod", "0500", os.path.join(data, "foreign/inner"),
                   os.path.join(data, "foreign")])
    world.fetch("--latest", "--delta", data=data)
    check(data, "over what is wrong")
    # both ways to go on from an aborted restore
    for options in ((), ("--delta",)):
        os.unlink(os.path.join(data, "global/pg_control"))
        workspace.write(os.path.join(data, ".cpam-restore"),
                        f"cpam-base-fetch of it\n{data}\n", 0o600)
        world.fetch("--latest", *options, data=data)
        check(data, f"resumed {options}")
    server = cluster.restored(t, data)
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(server), "1 2")


def crashed(world):
    """The server is gone, and its postmaster.pid with it."""
    world.pg.stop("immediate")
    pid = os.path.join(world.pg.data, "postmaster.pid")
    if os.path.exists(pid):
        os.unlink(pid)


def pg_wal_is_a_directory_again(t, below):
    """Backed up while pg_wal was a link to a folder of `below`."""
    world = World(t, start=False)
    plain, place = os.path.join(world.pg.data, "pg_wal"), os.path.join(below, "wal")
    workspace.run(["mv", plain, place])
    workspace.run(["ln", "-s", place, plain])
    world.start()
    world.insert(1)
    world.push()
    world.insert(2)
    world.archived()
    world.pg.stop()
    os.unlink(plain)
    workspace.run(["mv", place, plain])
    world.pg.configure(archive_command="false")
    world.pg.start()
    world.insert(3)
    segment = world.pg.sql("select pg_walfile_name(pg_current_wal_lsn())")
    crashed(world)
    with open(os.path.join(plain, segment), "rb") as file:
        content = file.read()
    result, _ = world.fetch("--latest", "--recover", "--delta", data=world.pg.data, code=3)
    t.holds(result.out, ["old WAL"])
    t.equal(os.readlink(plain), place)
    kept = os.path.join(place, "before-restore")
    t.true(segment in os.listdir(kept), f"{segment} is kept: {os.listdir(kept)}")
    with open(os.path.join(kept, segment), "rb") as file:
        t.true(file.read() == content, "as it was")


@tap.limit(300)
def test_T6_trap20_WAL_never_archived_in_a_pg_wal_that_was_a_link_when_it_was_backed_up(t):
    pg_wal_is_a_directory_again(t, t.folder())


@tap.limit(300)
def test_T6_trap20_such_WAL_goes_to_another_file_system(t):
    below = workspace.make("/dev/shm")
    t.defer(workspace.remove, below)
    if os.stat(below).st_dev == os.stat(t.folder()).st_dev:
        raise tap.Skip("needs another file system at /dev/shm")
    pg_wal_is_a_directory_again(t, below)


@tap.limit(300)
def test_T6_trap20_WAL_that_an_aborted_delta_had_still_to_put_aside(t):
    world, _ = filled(t, 1)
    world.insert(2)
    world.archived()
    world.pg.configure(archive_command="false")
    world.pg.reload()
    world.insert(3)
    segment = world.pg.sql("select pg_walfile_name(pg_current_wal_lsn())")
    crashed(world)
    # a disk without room for pg_wal/before-restore: what is in its way has the same effect
    wal = os.path.join(world.pg.data, "pg_wal")
    aside = workspace.write(os.path.join(wal, "before-restore"), "", 0o600)
    world.fetch("--latest", "--recover", "--delta", data=world.pg.data, code=1)
    os.unlink(aside)
    t.true(not os.path.exists(os.path.join(world.pg.data, "global/pg_control")), "it had begun")
    t.true(segment in os.listdir(wal), f"{segment} is there")
    world.fetch("--latest", "--recover", data=world.pg.data, code=2,
                words=["aborted --delta had still to put aside", "go on with --delta"])
    t.true(segment in os.listdir(wal), f"{segment} is still there")
    world.fetch("--latest", "--recover", "--delta", data=world.pg.data, code=3)
    t.true(segment in os.listdir(os.path.join(wal, "before-restore")), f"{segment} is kept")



@tap.limit(600)
def test_trap20_a_copied_data_directory_whose_links_lead_to_the_original(t):
    world = World(t, start=False)
    wal, plain = os.path.join(t.folder(), "wal"), os.path.join(world.pg.data, "pg_wal")
    workspace.run(["mv", plain, wal])
    workspace.run(["ln", "-s", wal, plain])
    world.start()
    space = workspace.folder(os.path.join(t.folder(), "space"), 0o700)
    world.pg.sql(f"create tablespace one location '{space}'")
    world.pg.sql("create table in_one tablespace one as select generate_series(1, 1000) as id")
    world.insert(1)
    world.push()
    world.archived()
    world.pg.stop()
    copy = os.path.join(t.folder(), "copy")
    workspace.run(["cp", "-a", world.pg.data, copy])
    world.pg.start()
    world.pg.sql("update in_one set id = id + 1; checkpoint")
    maps = {wal: wal + " of the copy", space: space + " of the copy"}

    def options(of, to=None):
        return ["--tablespace-map", f"{of}={to or maps[of]}"]

    def check(arguments, words):
        before = {path: os.stat(path).st_mtime_ns for top, _, names in os.walk(space)
                  for path in (os.path.join(top, name) for name in names)}
        world.fetch("--latest", "--delta", *arguments, data=copy, code=2, words=words)
        t.equal({path: os.stat(path).st_mtime_ns for path in before}, before, "the original's files")
        t.true(os.path.exists(os.path.join(copy, "global/pg_control")), "nothing was begun")

    running = [f'is in use by the server of "{world.pg.data}"', "--tablespace-map"]
    check([], running)
    check([*options(wal)], [f'"{space}"', *running])
    check([*options(space)], [f'"{wal}"', *running])
    check([*options(wal, wal), *options(space, space)], running)
    world.pg.stop()
    stopped = ["is where the server that was backed up had it", f"={space}"]
    check(options(wal), stopped)
    # whoever stands in a copy is no server of it, this program no more than a shell
    t.exits(cpam.run("cpam-base-fetch", "--latest", "--delta", "--recover", "--dry-run", world.pg.data,
                     config=world.config, cwd=copy), 0)
    world.pg.start()
    result, _ = world.fetch("--latest", "--delta", *options(wal), *options(space), data=copy)
    world.verify(copy)
    server = cluster.restored(t, copy)
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(server.sql("select count(*), min(id) from in_one"), "1000|2")
    server.stop()
    # once it has places of its own, they are used
    world.fetch("--latest", "--delta", *options(wal), *options(space), data=copy, code=3)
    t.equal(world.pg.sql("select count(*), min(id) from in_one"), "1000|2")
    # and the original's own are, in place, and where it was moved to when that is said
    world.archived()
    world.pg.stop()
    world.fetch("--latest", "--recover", "--delta", data=world.pg.data, code=3)
    moved = os.path.join(t.folder(), "moved")
    workspace.run(["mv", world.pg.data, moved])
    world.fetch("--latest", "--recover", "--delta", data=moved, code=2, words=stopped[:1])
    world.fetch("--latest", "--recover", "--delta", *options(wal, wal), *options(space, space),
                data=moved, code=3)
    world.verify(moved)



@tap.limit(600)
def test_T6_T8_T9_a_data_directory_and_a_tablespace_reached_through_links(t):
    world = World(t, start=False)
    links = {}
    for name in ("main", "space", "new main", "new space"):
        links[name] = os.path.join(t.folder(), name)
        if name == "main":
            continue
        real = workspace.folder(os.path.join(t.folder(), "disk of " + name), 0o700)
        workspace.run(["ln", "-s", real, links[name]])
    # the original's too, as /var/lib/postgresql/15/main often is one
    workspace.run(["mv", world.pg.data, links["main"]])
    workspace.run(["ln", "-s", links["main"], world.pg.data])
    world.start()
    world.pg.sql(f"create tablespace one location '{links['space']}'")
    world.pg.sql("create table in_one tablespace one as select 1 as id")
    world.insert(1)
    world.push()
    world.insert(2)
    world.archived()
    mapped = ("--tablespace-map", f"{links['space']}={links['new space']}")
    data = links["new main"]
    world.fetch("--latest", *mapped, data=data)
    world.verify(data)
    world.fetch("--latest", *mapped, "--delta", data=data)
    world.verify(data)
    # both ways to go on from an aborted restore
    for options in ((), ("--delta",)):
        os.unlink(os.path.join(data, "global/pg_control"))
        for place in (data, links["new space"]):
            workspace.write(os.path.join(place, ".cpam-restore"),
                            f"cpam-base-fetch of it\n{data}\n", 0o600)
        world.fetch("--latest", *mapped, *options, data=data)
        world.verify(data)
    server = cluster.restored(t, data)
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(server), "1 2")
    t.equal(server.sql("select id from in_one"), "1")
    t.true(os.path.islink(data) and os.path.islink(links["new space"]), "the links are still there")
    # in place, by either path
    world.pg.stop()
    for path in (world.pg.data, links["main"]):
        result = world.run("cpam-base-fetch", "--latest", "--recover", "--delta", path)
        t.true(result.code in (0, 3), result.output())
        world.verify(path)



@tap.limit(300)
def test_T6_T8_a_pg_wal_whose_link_is_relative(t):
    world = World(t, start=False)
    wal, plain = os.path.join(t.folder(), "wal"), os.path.join(world.pg.data, "pg_wal")
    workspace.run(["mv", plain, wal])
    workspace.run(["ln", "-s", "../wal", plain])
    world.start()
    world.insert(1)
    world.push()
    world.insert(2)
    world.archived()
    # a copy is told where its own is to be, as with any link
    _, copy = world.fetch("--latest", code=2, words=[f"--tablespace-map {wal}="])
    world.fetch("--latest", "--tablespace-map", f"{wal}={wal} new", data=copy)
    t.equal(os.readlink(os.path.join(copy, "pg_wal")), wal + " new")
    world.verify(copy)
    world.pg.configure(archive_command="false")
    world.pg.reload()
    world.insert(3)
    segment = world.pg.sql("select pg_walfile_name(pg_current_wal_lsn())")
    crashed(world)
    world.fetch("--latest", "--recover", "--delta", data=world.pg.data, code=3)
    t.equal(os.readlink(plain), wal)
    t.true(segment in os.listdir(os.path.join(wal, "before-restore")), f"{segment} is kept")
    world.verify(world.pg.data)


if __name__ == "__main__":
    tap.main(globals())
