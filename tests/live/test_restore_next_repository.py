#!/usr/bin/env python3
"""test_restore_next_repository.py - a repository that is away, damaged, or a black hole: the restore is
made from the next one that has the same backup, or refused with the switch that helps (D3, trap 4)."""
import os
import shutil
import socket
import threading

from harness import cluster, cpam, tap, workspace
from restore_world import World


def rows_of(t, required=("primary", "second"), optional=("dr",)):
    return [{"name": name, "url": f"file://{t.folder()}/{name}", "required": name in required}
            for name in (*required, *optional)]


def objects(t, repository, part):
    """Paths of objects of a repository whose path has this part, the largest first."""
    found = [os.path.join(top, name) for top, _, names in os.walk(f"{t.folder()}/{repository}")
             for name in names if part in f"{top}/{name}"]
    return sorted(found, key=os.path.getsize, reverse=True)


def flip(path, at):
    """One bit of an object, which is read-only, as a disk would do it."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 4]))


def filled(t, **settings):
    world = World(t, repositories=rows_of(t), **settings)
    world.pg.sql("create table big as select g, md5(g::text) as a from generate_series(1, 60000) g")
    world.insert(1)
    world.push()
    world.insert(2)
    world.archived()
    return world


def settings_of(data):
    with open(f"{data}/postgresql.auto.conf", encoding="utf-8") as file:
        return file.read()


def opens(t, data, rows):
    server = cluster.restored(t, data, os.path.basename(data))
    server.start()
    server.wait_sql("select not pg_is_in_recovery()")
    t.equal(server.sql("select string_agg(id::text, ' ' order by id) from t"), rows)
    t.equal(server.sql("select count(*) from big"), "60000")
    server.close()


@tap.limit(600)
def test_D3_trap4_the_first_repository_is_away_before_and_during_a_restore(t):
    world = filled(t)
    os.rename(f"{t.folder()}/primary", f"{t.folder()}/away")
    result, data = world.fetch("--latest", code=3)
    t.holds(result.err, ['repository "primary": ', 'made from the next repository, "second"'])
    t.holds(result.out, ['of repository "second"'])
    # recovery must not wait for the one that is away
    t.holds(settings_of(data), ["--repo second"])
    world.verify(data)
    opens(t, data, "1 2")
    # the only ones that may say where the archive ends are away: one switch helps
    os.rename(f"{t.folder()}/second", f"{t.folder()}/away2")
    result, data = world.fetch("--latest", code=1)
    t.true(not os.path.exists(data), "nothing was written")
    os.rename(f"{t.folder()}/away", f"{t.folder()}/primary")
    os.rename(f"{t.folder()}/away2", f"{t.folder()}/second")
    result, data = world.fetch("--latest")
    t.lacks(settings_of(data), ["--repo"])


@tap.limit(600)
def test_E1_D3_a_bit_flipped_in_what_a_restore_leans_on_less(t):
    world = filled(t)
    # without a genuine record of the cluster nothing is proven absent, and recovery would not open
    path = objects(t, "primary", "/cluster/")[0]
    shutil.copy2(path, f"{t.folder()}/good")
    flip(path, os.path.getsize(path) // 2)
    _, data = world.fetch("--latest", code=3, words=["cluster/", 'made from the next repository, "second"'])
    t.holds(settings_of(data), ["--repo second"])
    opens(t, data, "1 2")
    _, data = world.fetch("--latest", "--repo", "primary", code=3,
                          words=["cluster/", "will stop at the archive's end and not open"])
    server = cluster.restored(t, data, "stops")
    server.launch()
    t.true(server.ended(120) != 0, "it must not open")
    os.chmod(path, 0o600)
    shutil.copy2(f"{t.folder()}/good", path)
    # numbers, reservations and tags are for the next backup, not for a restore
    for part in ("/seq/", "/intent", "/blocks"):
        path = objects(t, "primary", part)[0]
        flip(path, os.path.getsize(path) // 2)
    _, data = world.fetch("--latest", "--repo", "primary")
    world.verify(data)
    opens(t, data, "1 2")


@tap.limit(600)
def test_T1_T2_a_timeline_that_only_the_second_repository_has(t):
    """One acknowledgement was enough, and the first repository was away when another server took over:
    the latest is what any of them has, and nobody has drained what waits for the first."""
    world = filled(t, wal={"spool": workspace.folder(f"{t.folder()}/spool", 0o700),
                           "push": {"mode": "direct", "timeout": "60s", "acknowledge": "any"}})
    os.rename(f"{t.folder()}/primary", f"{t.folder()}/away")
    world.pg.stop()
    workspace.write(f"{world.pg.data}/standby.signal", "")
    world.pg.start()
    world.pg.promote()
    world.insert(3)
    world.archived()
    world.pg.stop("immediate")
    os.rename(f"{t.folder()}/away", f"{t.folder()}/primary")
    t.true(not objects(t, "primary", "/00000002"), "timeline 2 is not in the first repository")
    result, data = world.fetch("--latest")
    t.holds(result.out, ['of repository "primary"', "timeline       2"])
    opens(t, data, "1 2 3")
    # while the second is away, what it has besides can't be known: said, and told by the exit status
    os.rename(f"{t.folder()}/second", f"{t.folder()}/away")
    result, _ = world.fetch("--latest", "--dry-run", code=3)
    t.holds(result.err, ['whether repository "second" has WAL that the others lack'])


KINDS = [  # part of the path, where in it, what the restore says and does
    ("/pack/", 0.5, ['pack "backup/', 'going on with repository "second"']),
    ("/pack/", 0.0, ['pack "backup/', 'going on with repository "second"']),
    ("/manifest", 0.5, ["/manifest", 'made from the next repository, "second"']),
    ("/summary.json", 0.5, ["summary.json"]),
    ("repo.json", 0.3, ["repo.json", 'made from the next repository, "second"']),
]


@tap.limit(900)
def test_E1_D3_a_bit_flipped_in_each_kind_of_object(t):
    world = filled(t)
    for part, where, words in KINDS:
        for path in objects(t, "primary", part)[:1]:
            t.note(path)
            shutil.copy2(path, f"{t.folder()}/good")
            flip(path, int((os.path.getsize(path) - 1) * where))
            result, data = world.fetch("--latest", code=3, words=words)
            world.verify(data)
            opens(t, data, "1 2")
            shutil.rmtree(data)
            # named alone, it is refused, and nothing can start
            result, data = world.fetch("--latest", "--repo", "primary", code=1)
            t.holds(result.err, [words[0]])
            t.true(not os.path.exists(f"{data}/global/pg_control"), "it must not start")
            os.chmod(path, 0o600)
            shutil.copy2(f"{t.folder()}/good", path)
    _, data = world.fetch("--latest")
    opens(t, data, "1 2")


@tap.limit(600)
def test_E1_damaged_in_every_repository_it_is_refused(t):
    world = filled(t)
    for name in ("primary", "second"):
        pack = objects(t, name, "/pack/")[0]
        flip(pack, os.path.getsize(pack) // 2)
    result, data = world.fetch("--latest", code=1)
    t.holds(result.err, ['going on with repository "second"', 'pack "backup/'])
    t.true(not os.path.exists(f"{data}/global/pg_control"), "it must not start")


class BlackHole:
    """Takes connections and never answers."""

    def __init__(self, t):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.held = []
        threading.Thread(target=self.take, daemon=True).start()
        t.defer(self.socket.close)

    def take(self):
        while True:
            try:
                self.held.append(self.socket.accept())
            except OSError:
                return


@tap.limit(900)
def test_D3_primary_region_gone_one_switch_restores_and_recovers_from_dr(t):
    world = filled(t)
    t.exits(world.run("cpam-base-push", "--repo", "dr"), 0)
    world.insert(3)
    world.archived()
    cluster.wait_for(lambda: not any(names for _, _, names in os.walk(
        f"{t.folder()}/state/backlog/demo/dr")), 120, "dr to have it all")
    world.pg.stop("immediate")
    hole = BlackHole(t)
    away = {"region": "nowhere", "credentials": "static",
            "endpoint": f"http://127.0.0.1:{hole.port}", "access_key_id": "x",
            "secret_access_key": "x"}
    rows = [{**row, **away, "url": f"s3://{row['name']}/prefix"} if row["required"] else row
            for row in rows_of(t)]
    cpam.write_config(t.folder(), cpam.settings(t.folder(), world.pg, repositories=rows))
    result, data = world.fetch("--latest", "--repo", "dr")
    t.equal(len(hole.held), 0, "the restore asked only the one that was named")
    t.holds(settings_of(data), ["--repo dr"])
    world.verify(data)
    opens(t, data, "1 2 3")
    t.note(f"{len(hole.held)} connections to the ones that do not answer")


if __name__ == "__main__":
    workspace.user()
    tap.main(globals())
