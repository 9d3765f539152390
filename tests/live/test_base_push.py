#!/usr/bin/env python3
"""test_base_push.py - full backups of a running server: whole, bounded, and nothing when they fail."""
import glob
import json
import os
import random
import signal
import subprocess
import time

from harness import cluster, cpam, rgw, tap, workspace

MIB = 1 << 20


class World:
    """A cluster that archives into a directory repository, ready to be backed up."""

    def __init__(self, t, archive=True, start=True, **more):
        self.folder = t.folder()
        self.pg = cluster.new(t)
        self.settings = cpam.settings(self.folder, self.pg, **more)
        self.config = cpam.write_config(self.folder, self.settings)
        if archive:
            self.pg.configure(**cpam.archive_settings(self.config))
        if start:
            self.pg.start()
        t.exits(cpam.run("cpam-repo", "create", config=self.config), 0)

    def repo(self, *parts):
        return os.path.join(self.folder, "repo", "demo", *parts)

    def push(self, *arguments, **more):
        return cpam.run("cpam-base-push", *arguments, config=self.config, **more)

    def summaries(self):
        return sorted(glob.glob(self.repo("backup", "*", "summary.json")))

    def objects(self):
        return [os.path.join(top, name) for top, _, names in os.walk(self.repo("backup"))
                for name in names]


def backup_of(result):
    return json.loads(result.out)["backups"][0]


def test_B1_B2_a_backup_is_whole_and_bundled(t):
    world = World(t)
    world.pg.pgbench("-i", "-s", "5", "-q")
    before = set(os.listdir(os.path.join(world.folder, "state")))
    result = world.push("--json")
    t.exits(result, 0)
    backup = backup_of(result)
    size = sum(os.path.getsize(path) for path in world.objects())
    # B2: small files share packs; the constant is summary, manifest and a pack a worker
    packs = [path for path in world.objects() if "/pack/" in path]
    t.true(len(packs) <= size // (32 * MIB) + 3, f"{len(packs)} packs for {size} bytes")
    t.true(len(world.objects()) <= size // (32 * MIB) + 5, f"{len(world.objects())} objects")
    t.equal(backup["packs"], len(packs))
    t.equal(backup["kind"], "full")
    t.true(backup["files"] > 900, f"{backup['files']} files")
    # B1: nothing of the data was staged on the way
    # nothing but what was committed last, by which a summary that is taken away is missed, and the
    # state an incremental backup begins with
    kept = set(os.listdir(os.path.join(world.folder, "state"))) - before - {"running"}
    kept = {name for name in kept if not name.endswith(".lock")}
    t.equal(sorted(name.split("-")[0] for name in kept), ["base", "committed"])
    # trap: nothing was written into the data directory
    t.true(not os.path.exists(os.path.join(world.pg.data, "backup_label")), "no backup_label here")
    # every segment is there
    t.true(glob.glob(world.repo("wal", "*", "*", "*", backup["wal_last"])), "the last segment")


def restore(t, world, name="restored", *arguments):
    """The newest backup, restored beside the original and started."""
    data = os.path.join(world.folder, name)
    result = cpam.run("cpam-base-fetch", *(arguments or ("--latest",)), data, config=world.config)
    t.true(result.code in (0, 3), result.line + "\n" + result.output())
    return data, result


BALANCED = ("select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from "
            "pgbench_history) and (select sum(tbalance) from pgbench_tellers) = (select "
            "sum(bbalance) from pgbench_branches) and (select sum(abalance) from pgbench_accounts)"
            " = (select sum(bbalance) from pgbench_branches)")


def test_B12_backup_under_load_comes_back_consistent(t):
    world = World(t)
    world.pg.pgbench("-i", "-s", "3", "-q")
    load = start_load(t, world.pg)
    cluster.wait_for(lambda: int(world.pg.sql("select count(*) from pgbench_history")) > 50, 180,
                     "pgbench to write")
    t.exits(world.push("--workers", "2"), 0)
    load.send_signal(signal.SIGINT)
    load.wait(180)
    world.pg.wait_archived(world.pg.switch_wal())
    rows = world.pg.sql("select count(*) from pgbench_history")
    data, _ = restore(t, world)
    verified = workspace.run([os.path.join(world.pg.bins, "pg_verifybackup"), "-n", data],
                             check=False)
    t.equal(verified.returncode, 0, verified.stdout + verified.stderr)
    copy = cluster.restored(t, data)
    copy.start()
    copy.wait_sql("select not pg_is_in_recovery()")
    t.equal(copy.sql("select count(*) from pgbench_history"), rows)
    t.equal(copy.sql(BALANCED), "t", "the sums of pgbench")


def start_load(t, pg):
    load = subprocess.Popen(
        [cluster.client("pgbench"), "-n", "-c", "4", "-T", "600", "-h", pg.socket, "-p",
         str(cluster.PORT), "-U", "postgres", "postgres"],
        env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, **workspace.as_user())
    t.defer(lambda: load.poll() is None and load.kill())
    return load


def test_B11_tablespaces_and_a_linked_pg_wal(t):
    folder = t.folder()
    wal = os.path.join(folder, "elsewhere")
    pg = cluster.new(t, init=False)
    pg.init("-X", wal)
    pg.configure(allow_in_place_tablespaces="on")
    world = World.__new__(World)
    world.folder, world.pg = folder, pg
    world.settings = cpam.settings(folder, pg)
    world.config = cpam.write_config(folder, world.settings)
    pg.configure(**cpam.archive_settings(world.config))
    pg.start()
    t.exits(cpam.run("cpam-repo", "create", config=world.config), 0)
    maps = []
    for name in ("one", "two", "three"):
        place = workspace.folder(os.path.join(folder, "space " + name), 0o700)
        pg.sql(f"create tablespace {name} location '{place}'")
        pg.sql(f"create table in_{name} tablespace {name} as select generate_series(1,5000) as a")
        maps += ["--tablespace-map", f"{place}={place}.restored"]
    pg.sql("set allow_in_place_tablespaces = on; create tablespace inplace location ''")
    pg.sql("create table in_place tablespace inplace as select generate_series(1,5000) as a")
    pg.sql("create unlogged table gone as select 1 as a")
    # of another cluster, in the same place: not ours to back up
    os.mkdir(os.path.join(folder, "space one", "PG_14_202107181"))
    t.exits(world.push(), 0)
    world.pg.wait_archived(world.pg.switch_wal())
    data, result = restore(t, world, "restored", "--latest", *maps,
                           "--tablespace-map", f"{wal}={wal}.restored")
    copy = cluster.restored(t, data)
    copy.start()
    copy.wait_sql("select not pg_is_in_recovery()")
    for name in ("in_one", "in_two", "in_three", "in_place"):
        t.equal(copy.sql(f"select count(*) from {name}"), "5000", name)
    t.equal(copy.sql("select count(*) from gone"), "0", "an unlogged table comes back empty")
    t.true(not os.path.exists(os.path.join(folder, "space one.restored", "PG_14_202107181")),
           "another cluster's folder is not restored")


def test_B7_no_backup_without_its_wal(t):
    world = World(t)
    world.pg.sql("alter system set archive_command = 'false'")
    world.pg.reload()
    result = t.exits(world.push("--archive-wait", "2s"), 1,
                     ["no backup", "is not in the repository"])
    t.holds(result.err, "pg_stat_archiver")
    t.equal(world.summaries(), [])
    t.equal(world.pg.sql("select count(*) from pg_stat_activity where application_name = "
                         "'cpam-base-push'"), "0")
    # archiving works again: the next run does too
    world.pg.sql("alter system reset archive_command")
    world.pg.reload()
    t.exits(world.push(), 0)
    t.equal(len(world.summaries()), 1)


def test_B7_no_backup_with_archiving_off(t):
    world = World(t, archive=False)
    t.exits(world.push(), 1, "archive_mode is off")
    t.equal(world.summaries(), [])


def test_B7_trap30_the_session_outlives_every_timeout(t):
    world = World(t)
    world.pg.pgbench("-i", "-s", "20", "-q")
    for name in ("statement_timeout", "idle_session_timeout", "lock_timeout",
                 "idle_in_transaction_session_timeout"):
        world.pg.sql(f"alter system set {name} = '50ms'")
    world.pg.sql("select pg_reload_conf()")
    cluster.wait_for(lambda: world.pg.psql("select pg_sleep(1)", check=False).returncode != 0,
                     what="the server ends statements after 50 ms")
    started = time.monotonic()
    result = world.push("--json")
    t.exits(result, 0)
    # otherwise nothing was shown: the session was open for longer than each of them
    t.true(time.monotonic() - started > 0.05, "the backup took longer than the timeouts")
    t.equal(len(world.summaries()), 1)


def test_P6_a_cluster_that_is_not_registered_is_refused(t):
    world = World(t)
    other = cluster.new(t, "other")
    settings = dict(world.settings, postgresql={"data": other.data,
                                                "connection": other.connection()})
    config = cpam.write_config(world.folder, settings, "other.yaml")
    other.configure(**cpam.archive_settings(config))
    other.start()
    t.exits(cpam.run("cpam-base-push", config=config), 1, "is not registered in repository")
    t.equal(world.summaries(), [])


def test_trap5_another_server_is_refused(t):
    world = World(t)
    other = cluster.new(t, "other")
    other.configure(**cpam.archive_settings(world.config))
    other.start()
    settings = dict(world.settings, postgresql={"data": world.pg.data,
                                                "connection": other.connection()})
    config = cpam.write_config(world.folder, settings, "wrong.yaml")
    t.exits(cpam.run("cpam-base-push", config=config), 1,
            ["is not the one that runs in", "data directory"])
    # the directory of a server that is down, with a connection that works
    world.pg.stop()
    t.exits(cpam.run("cpam-base-push", config=world.config), 1, "could not connect")
    t.equal(world.summaries(), [])


def test_trap5_a_standby_with_the_same_identifier_is_refused(t):
    world = World(t)
    data = os.path.join(world.folder, "standby")
    workspace.run([cluster.client("pg_basebackup"), "-D", data, "-h", world.pg.socket, "-p",
                   str(cluster.PORT), "-U", "postgres", "-R", "-X", "stream", "-c", "fast"])
    standby = cluster.restored(t, data, "standby")
    standby.start()
    for connection, words in ((world.pg.connection(), "is not the one that runs in"),
                              (standby.connection(), "is a standby")):
        settings = dict(world.settings, postgresql={"data": data, "connection": connection})
        config = cpam.write_config(world.folder, settings, "standby.yaml")
        t.exits(cpam.run("cpam-base-push", config=config), 1, words)
    t.equal(world.summaries(), [])


def test_links_that_hide_data_are_refused(t):
    world = World(t)
    base = os.path.join(world.pg.data, "base")
    hidden = os.path.join(world.folder, "hidden")
    workspace.folder(hidden)
    os.symlink(hidden, os.path.join(base, "99999"))
    t.exits(world.push(), 1, "is a link to a directory")
    os.unlink(os.path.join(base, "99999"))
    os.mkfifo(os.path.join(world.pg.data, "pipe"))
    result = t.exits(world.push(), 0)
    t.holds(result.err, "is no file, directory or link")


def test_trap30_the_session_that_holds_backup_mode_is_lost(t):
    """Whoever ends it, the server has left backup mode with it: files were read, and there is no backup."""
    world = World(t)
    for ends in ("select pg_terminate_backend(pid) from pg_stat_activity where application_name = "
                 "'cpam-base-push'", None):
        process = cpam.start("cpam-base-push", "--max-rate", "4MiB", config=world.config)
        t.defer(lambda process=process: process.poll() is None and process.kill())
        cluster.wait_for(lambda: glob.glob(world.repo("intent", "*")) and world.pg.sql(
            "select count(*) from pg_stat_activity where application_name = 'cpam-base-push' and "
            "query ilike '%backup_start%' and state = 'idle'") == "1" or process.poll() is not None, 120,
            "the backup to begin")
        if ends:
            t.equal(world.pg.sql(ends), "t")
        else:
            world.pg.stop("immediate")
        _, err = process.communicate(timeout=300)
        t.equal(process.returncode, 1, err)
        t.holds(err, ["the connection to the database server is lost"])
        t.equal(world.summaries(), [])
    world.pg.start()
    t.exits(world.push(), 0)
    t.equal(len(world.summaries()), 1)


def killed_push(world, delay, number=signal.SIGKILL):
    """A push that gets a signal after so long; its exit status."""
    process = cpam.start("cpam-base-push", config=world.config)
    try:
        process.wait(delay)
    except Exception:
        process.send_signal(number)
    process.communicate(timeout=300)
    return process.returncode


@tap.limit(600)
def test_B8_killed_pushes_leave_no_backup(t):
    world = World(t)
    world.pg.pgbench("-i", "-s", "5", "-q")
    begin = time.monotonic()
    t.exits(world.push(), 0)
    took = time.monotonic() - begin
    listed = world.summaries()
    killed = 0
    for i in range(100):
        begin = time.monotonic()
        code = killed_push(world, took * (i % 10 + 0.5) / 11)
        if code == 0:  # it was faster this time
            took = min(took, time.monotonic() - begin)
            listed = world.summaries()
            continue
        t.equal(code, -signal.SIGKILL)
        made = sorted(set(world.summaries()) - set(listed))
        if made:  # the kill came behind its summary: it is a backup, and whole
            t.equal(len(made), 1, "backups after a kill")
            restored = os.path.join(world.folder, f"restored{i}")
            result = cpam.run("cpam-base-fetch", "--backup", made[0].split("/")[-2], restored,
                              config=world.config)
            t.true(result.code in (0, 3), result.output())
            listed = world.summaries()
            continue
        killed += 1
        if killed >= 5 and i >= 9:
            break
    t.true(killed >= 5, f"{killed} pushes were killed before their end")
    t.exits(world.push(), 0)
    t.true(len(world.summaries()) > len(listed), "the next run makes a backup")
    listing = json.loads(t.exits(cpam.run("cpam-info", "--json", config=world.config), 0).out)
    t.note(json.dumps(listing)[:300])


def test_B8_a_signal_ends_it_cleanly(t):
    world = World(t)
    world.pg.sql("alter system set archive_command = 'false'")
    world.pg.reload()
    process = cpam.start("cpam-base-push", config=world.config)
    cluster.wait_for(lambda: world.pg.sql(
        "select count(*) from pg_stat_activity where application_name = 'cpam-base-push' and "
        "query like '%pg_current_snapshot%'") == "1", 60, "the end of backup mode")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=180)
    t.equal(process.returncode, 1, err)
    t.holds(err, "the backup was stopped")
    t.equal(world.summaries(), [])


@tap.limit(900)
def test_B8_killed_at_twenty_calls(t):
    twin = os.path.join(cpam.BUILD_ROOT, "tests", "fault", "cpam-base-push-twin")
    if not os.path.exists(twin):
        raise tap.Skip("cpam-base-push-twin is not built")
    world = World(t)
    program = os.path.join(world.folder, "twin")
    workspace.run(["cp", twin, program], root=True)
    count = os.path.join(world.folder, "count")
    run = lambda env: workspace.run([program, "--config", world.config], check=False, env=env)
    done = run({"CPAM_TWIN_COUNT": count})
    t.equal(done.returncode, 0, done.stderr)
    calls = int(open(count, encoding="utf-8").read().split()[1])
    listed = world.summaries()
    # the last calls matter most: number, summary, clean-up
    points = sorted({calls * i // 12 for i in range(1, 12)} | {calls - i for i in range(0, 60, 6)})
    later = 0
    for point in points:
        done = run({"CPAM_TWIN_KILL": str(point)})
        if done.returncode == 0:
            later += 1
            listed = world.summaries()
            continue
        t.equal(done.returncode, -signal.SIGKILL, done.stderr)
        now = world.summaries()
        # behind the summary's link the backup exists, and may be listed
        t.true(now == listed or point > calls - 40, f"call {point} of {calls}: {now}")
        listed = now
        info = cpam.run("cpam-info", config=world.config)
        t.true(info.code in (0, 3), info.output())
    t.true(later < 8, f"{later} of {len(points)} runs were over before")
    t.exits(world.push(), 0)
    t.exits(cpam.run("cpam-base-fetch", "--latest", os.path.join(world.folder, "back"),
                     config=world.config), 0)


def test_O7_one_push_at_a_time_on_a_host(t):
    world = World(t)
    first = cpam.start("cpam-base-push", config=world.config)
    t.defer(lambda: first.poll() is None and first.kill())
    cluster.wait_for(lambda: glob.glob(world.repo("intent", "*")) or first.poll() is not None, 60,
                     "the first push to begin")
    first.send_signal(signal.SIGSTOP)
    t.exits(world.push(), 1, f"another cpam-base-push, process {first.pid} is backing this cluster up")
    first.send_signal(signal.SIGCONT)
    _, err = first.communicate(timeout=180)
    t.equal(first.returncode, 0, err)
    # however it ends, nothing keeps the next one back
    second = cpam.start("cpam-base-push", config=world.config)
    cluster.wait_for(lambda: len(os.listdir(world.repo("intent"))) > 1 or second.poll() is not None,
                     60, "the second push to begin")
    second.send_signal(signal.SIGKILL)
    second.communicate(timeout=60)
    before = len(world.summaries())
    t.exits(world.push(), 0)
    t.true(len(world.summaries()) > before, "one more backup")


def other_host(world, number):
    """The same configuration with a state directory of its own: as if on another host."""
    state = workspace.folder(os.path.join(world.folder, f"state{number}"), 0o700)
    return cpam.write_config(world.folder, dict(world.settings, state=state), f"host{number}.yaml")


def test_O7_pushes_of_several_hosts_do_not_harm_each_other(t):
    world = World(t)
    world.pg.pgbench("-i", "-s", "2", "-q")
    first = cpam.start("cpam-base-push", config=world.config)
    t.defer(lambda: first.poll() is None and first.kill())
    cluster.wait_for(lambda: glob.glob(world.repo("backup", "*", "pack", "*")) or
                     first.poll() is not None, 60, "the first push to send")
    first.send_signal(signal.SIGSTOP)
    # another host begins and ends meanwhile, and says that there is one
    result = t.exits(cpam.run("cpam-base-push", config=other_host(world, 2)), 0)
    if first.poll() is None and len(world.summaries()) == 1:
        t.holds(result.err, ["has not ended", "another host makes it, or it was interrupted"])
    first.send_signal(signal.SIGCONT)
    more = [cpam.start("cpam-base-push", config=other_host(world, number)) for number in (3, 4)]
    for process in [first, *more]:
        _, err = process.communicate(timeout=180)
        t.equal(process.returncode, 0, err)
    t.equal(len(world.summaries()), 4)
    t.equal(len(os.listdir(world.repo("seq"))), 4)
    for path in world.summaries():
        label = path.split("/")[-2]
        data = os.path.join(world.folder, label)
        t.exits(cpam.run("cpam-base-fetch", "--backup", label, data, config=world.config), 0)
        workspace.run([os.path.join(world.pg.bins, "pg_verifybackup"), "-n", data])
        workspace.run(["rm", "-rf", data])


def test_two_required_repositories_both_get_it(t):
    folder = t.folder()
    world = World(t, repositories=[
        {"name": "primary", "url": "file://" + os.path.join(folder, "repo")},
        {"name": "second", "url": "file://" + os.path.join(folder, "repo2")}])
    out = t.exits(world.push("--json"), 0).out
    t.equal([one["repository"] for one in json.loads(out)["backups"]], ["primary", "second"])
    # one of them is gone: the other gets its backup all the same, and the exit status says so
    workspace.run(["mv", os.path.join(folder, "repo2"), os.path.join(folder, "away")])
    before = len(world.summaries())
    t.exits(world.push(), 1, "second")
    t.equal(len(world.summaries()), before + 1)


def peak(path):
    """The peak of the resident memory of a process that runs, in KiB; 0 once it is gone."""
    try:
        with open(path, encoding="ascii") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def peak_of_push(t, world):
    process = cpam.start("cpam-base-push", "--workers", "2", config=world.config)
    most = 0
    while process.poll() is None:
        most = max(most, peak(f"/proc/{process.pid}/status"))
        time.sleep(0.01)
    _, err = process.communicate()
    t.equal(process.returncode, 0, err)
    return most


@tap.limit(900)
def test_B9_memory_does_not_grow_with_the_database(t):
    world = World(t)
    base = world.pg.sql("select oid from pg_database where datname = 'postgres'")
    big = os.path.join(world.pg.data, "base", base, "filler")  # no relation: its pages have no checksums

    def fill(mib, name):
        """Pages that do not compress, then a hole to the full size."""
        with open(name, "wb") as out:
            for _ in range(min(mib, 200)):
                out.write(random.randbytes(MIB))
            out.truncate(mib * MIB)
        workspace.give(name)

    fill(200, big)
    small = peak_of_push(t, world)
    for i in range(1, 4):
        fill(1024, f"{big}.{i}")
    large = peak_of_push(t, world)
    t.note(f"peak {small} KiB with 200 MiB, {large} KiB with 3.2 GiB")
    t.true(large < 128 * 1024, f"{large} KiB")
    t.true(large < small * 1.1 + 4096, f"{small} KiB and {large} KiB")


@tap.limit(600)
def test_S3_backup_in_a_versioned_bucket_survives_markers_and_newer_versions(t):
    server = rgw.shared()
    server.client.make_bucket("base", True)
    secret = workspace.write(os.path.join(t.folder(), "secret"), server.secret_key, 0o600)
    world = World(t, repositories=[server.repository("base", secret_file=secret)])
    world.pg.pgbench("-i", "-s", "3", "-q")
    backup = backup_of(t.exits(world.push("--json"), 0))
    world.pg.wait_archived(world.pg.switch_wal())
    # fault 5: a plain PUT and a plain DELETE lay something on top, and hide nothing
    key = f"cpam/demo/backup/{backup['label']}/summary.json"
    server.client.check("PUT", f"/base/{key}", body=b"{}")
    server.client.delete("base", f"cpam/demo/backup/{backup['label']}/manifest")
    server.client.delete("base", "cpam/demo/repo.json")
    data, _ = restore(t, world, "restored", "--backup", backup["label"], "--latest")
    copy = cluster.restored(t, data)
    copy.start()
    copy.wait_sql("select not pg_is_in_recovery()")
    t.equal(copy.sql("select count(*) from pgbench_accounts"), "300000")


if __name__ == "__main__":
    tap.main(globals())
