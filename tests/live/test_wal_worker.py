"""test_wal_worker.py - a real server that archives through cpam-wal-worker: everything arrives, whatever is
done to the worker meanwhile, and comes back as it was."""
import json
import os
import shutil
import signal

from harness import cluster, cpam, tap, workers, workspace


def begin(t, **more):
    """A primary with 1 MiB segments that archives through a worker."""
    pg = cluster.new(t, "a", init=False)
    pg.init("--wal-segsize=1")
    pg.configure(wal_keep_size="0", max_wal_size="64MB", min_wal_size="4MB", **more)
    settings = cpam.settings(t.folder(), pg)
    settings["wal"]["push"] = {"mode": "worker"}
    config = cpam.write_config(t.folder(), settings)
    t.defer(workers.end, t.folder())
    done = cpam.run("cpam-repo", "create", config=config)
    t.equal(done.code, 0, "cpam-repo create " + done.output())
    pg.configure(**cpam.archive_settings(config))
    pg.start()
    pg.sql("create table t (a int, b text)")
    return pg, config


def write_segments(pg, count):
    """The names of `count` closed segments; each has something in it."""
    names = []
    for _ in range(count):
        pg.sql("insert into t select a, md5(a::text) from generate_series(1, 300) a")
        names.append(pg.switch_wal())
    return names


def restored(t, config, name):
    target = os.path.join(t.folder(), name)
    done = cpam.run("cpam-base-fetch", "--latest", target, config=config)
    t.true(done.code in (0, 3), "cpam-base-fetch " + done.output())
    pg = cluster.restored(t, target, name)
    pg.configure(archive_mode="off")
    pg.start()
    pg.wait_sql("select not pg_is_in_recovery()")
    return pg


@tap.limit(600)
def test_P9_P10_everything_arrives_and_comes_back(t):
    pg, config = begin(t)
    t.exits(cpam.run("cpam-base-push", config=config), 0)
    names = write_segments(pg, 20)
    first = workers.pids(t.folder())
    t.equal(len(first), 1, "workers")
    for _ in range(6):
        for pid in workers.pids(t.folder()):
            os.kill(pid, signal.SIGKILL)
        names += write_segments(pg, 4)
    pg.wait_archived(names[-1], timeout=200)
    t.true(workers.pids(t.folder()) != first, "another worker took over")
    wanted = pg.sql("select count(*), sum(a), max(b) from t")
    pg.sql("insert into t values (0, 'end')")
    pg.wait_archived(pg.switch_wal(), timeout=100)
    back = restored(t, config, "b")
    t.equal(back.sql("select count(*), sum(a), max(b) from t where b <> 'end'"), wanted, "the table")
    for name in names:
        target = os.path.join(t.folder(), "one")
        t.exits(cpam.run("cpam-wal-fetch", name, target, config=config), 0)
        os.unlink(target)
    t.lacks(pg.log_text(), ["archiver process", "terminated by signal"], "the server's log")


def test_O6_check_looks_at_the_spool_and_its_worker(t):
    """WAL is archived all the same, in the foreground: protected, and somebody should look."""
    pg, config = begin(t)
    t.exits(cpam.run("cpam-base-push", config=config), 0)

    def check(code, *words):
        got = t.exits(cpam.run("cpam-repo", "check", config=config), code)
        t.holds(got.out, ["protected: segment ", *words])
        return got.out

    t.lacks(check(0), ["spool"])
    report = json.loads(t.exits(cpam.run("cpam-repo", "check", "--json", config=config), 0).out)
    t.equal(report["spool"], {"worker": True, "problem": None})
    spool = os.path.join(t.folder(), "spool")
    place, = [os.path.join(spool, one) for one in os.listdir(spool) if one.startswith("demo-")]
    workers.end(t.folder())
    os.chmod(place, 0o755)  # others could answer in the worker's name
    check(3, "the spool is of no use", "others than its owner may enter it", "chmod 0700")
    os.chmod(place, 0o700)
    check(0)  # the next push has started one
    workers.end(t.folder())
    shutil.rmtree(spool)
    check(3, "could not open the spool", "make the folder that wal.spool names")
    os.symlink(pg.data + "/pg_wal", spool)
    check(3, "which is the server's")
    os.unlink(spool)
    os.mkdir(spool, 0o700)
    shutil.chown(spool, *[os.stat(pg.data).st_uid, os.stat(pg.data).st_gid])
    with open(config, encoding="utf-8") as file:  # the server pushes by another configuration than is checked
        text = file.read()
    t.true("worker" in text, "the mode")
    direct = workspace.write(os.path.join(t.folder(), "direct.yaml"), text.replace("worker", "direct"), 0o640)
    pg.configure(**cpam.archive_settings(direct))
    pg.reload()
    out = check(3, "no cpam-wal-worker serves")
    t.holds(out, ["archived in the foreground"])
    report = json.loads(t.exits(cpam.run("cpam-repo", "check", "--json", config=config), 3).out)
    t.equal((report["protected"], report["spool"]["worker"]), (True, False))


@tap.limit(600)
def test_P9_a_backlog_is_drained_ahead(t):
    """The repository is away while the server writes; when it is back, the worker is done with all of it
    long before the server has asked for each."""
    pg, config = begin(t)
    pg.wait_archived(write_segments(pg, 1)[0])
    repo = os.path.join(t.folder(), "repo")
    os.rename(repo, repo + ".away")
    names = write_segments(pg, 40)
    pg.wait_sql("select failed_count > 0 from pg_stat_archiver")
    os.rename(repo + ".away", repo)

    def there():
        found = set()
        for _, _, files in os.walk(os.path.join(repo, "demo", "wal")):
            found.update(files)
        return set(names) <= found

    cluster.wait_for(there, 120, "all segments in the repository")
    write_segments(pg, 1)
    pg.wait_archived(names[-1], timeout=150)
    t.equal(len(workers.pids(t.folder())), 1, "workers")


@tap.limit(300)
def test_trap29_the_last_cycle_of_a_server_that_stops(t):
    """What is written until the shutdown is archived, and the worker does not keep the server from
    ending, nor its log open."""
    pg, config = begin(t)
    write_segments(pg, 5)
    pg.sql("insert into t values (1, 'last')")
    last = pg.insert_segment()
    pg.stop()
    target = os.path.join(t.folder(), "last")
    t.exits(cpam.run("cpam-wal-fetch", last, target, config=config), 0)
    t.true(os.path.exists(target), "the last segment")
    pg.start()
    pg.wait_archived(write_segments(pg, 2)[-1])
    t.equal(len(workers.pids(t.folder())), 1, "one worker, before and after")


if __name__ == "__main__":
    tap.main(globals())
