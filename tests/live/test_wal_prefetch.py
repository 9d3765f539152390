#!/usr/bin/env python3
"""test_wal_prefetch.py - segments fetched ahead: what is ready, for whom, and what never is.

The front and its worker are the real programs; where a server is needed it is a real one.
"""
import glob
import os
import shutil
import signal
import subprocess

from fetch_finishing import rows, timeline, wrapper
from fetch_world import IN_ARCHIVE_RECOVERY, IN_PRODUCTION, World
from harness import cluster, cpam, proxy, tap, workspace
from test_wal_fetch_s3 import MISBEHAVIOURS, S3World

RECOVERY = ("recovery.signal", "postmaster.pid")
STANDBY = ("standby.signal", "postmaster.pid")


def ready(world):
    """Names of the segments that lie whole in the spool."""
    return sorted(os.path.basename(path)[:24]
                  for path in glob.glob(f"{world.folder}/spool/*/prefetch/*")
                  if not path.endswith(".part"))


def all_ready(world, names):
    """Wait until these are ready: the worker goes on by itself."""
    cluster.wait_for(lambda: set(names) <= set(ready(world)), 180, f"{names} to be fetched ahead")


def worker(world):
    """The one worker's pid."""
    found = list(workspace.workers(world.folder))
    world.t.equal(len(found), 1, "workers")
    return found[0]


def test_F5_P15_the_front_links_no_libcurl(t):
    """It runs once a segment: what it loads, replay waits for."""
    done = subprocess.run(["ldd", cpam.path("cpam-wal-fetch")], capture_output=True, text=True,
                          check=True)
    t.lacks(done.stdout, ["libcurl", "libcrypto", "libssl", "libpq", "libzstd", "libjansson"])
    t.holds(done.stdout, "libyaml")


def test_F5_what_is_asked_next_is_ready_before_it_is_asked(t):
    """Once warm, replay meets ready files only: a store that says nothing any more is not noticed."""
    world = S3World(t, prefetch=6, timeout="30s")
    names = world.begin(14)
    world.primary.stop()
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    world.answers(data, names[0], 0)
    world.answers(data, names[1], 0)
    all_ready(world, names[2:6])
    for number in range(2, 6):  # each one taken lets the next begin
        world.answers(data, names[number], 0)
        all_ready(world, names[number + 1:number + 5])
    ahead = [name for name in names[6:] if name in ready(world)]
    t.true(len(ahead) >= 4, f"{ahead} are ready")
    world.way.misbehave(proxy.stall)
    for name in ahead:
        world.answers(data, name, 0)
    world.answers(data, names[-1], 254)  # and behind them the store is needed
    world.way.behave()
    world.answers(data, names[-1], 0)


def test_F7_nothing_absent_is_remembered(t):
    world = World(t)
    names = world.begin(6)
    world.primary.stop()
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    standby = world.directory("s", *STANDBY, state=IN_ARCHIVE_RECOVERY)
    path = world.object(names[3])
    for where, code in ((data, 254), (standby, 1)):
        lost = world.lose(names[3])
        world.answers(where, names[2], 0)
        world.answers(where, names[3], code, "missing although later segments")
        world.answers(where, names[3], code)
        shutil.move(lost, path)
        world.answers(where, names[3], 0)
        world.answers(where, names[4], 0)
        world.answers(where, names[3], 0)  # the last good one again, as the server does


def test_F7_recovery_goes_along_three_timelines(t):
    """Each one's segments only; a standby that follows from one to the next; and nothing stale."""
    world = World(t)
    world.begin(1)
    data, follower = world.copy(world.primary, "r"), world.copy(world.primary, "f")
    world.write_segments(world.primary, 3)
    second = world.second_timeline()
    following = world.recovering(follower, "f", "standby.signal").start()
    following.wait_sql("select count(*) from t", str(rows(second)))
    world.write_segments(second, 3)
    other = world.copy(second, "c")
    world.write_segments(second, 2)
    second.stop()
    third = world.recovering(other, "c", "recovery.signal", archive_mode="on").start()
    third.wait_sql("select pg_is_in_recovery()", "f")
    world.write_segments(third, 4)
    wanted = rows(third)
    following.wait_sql("select count(*) from t", str(wanted))
    third.stop()
    pg = world.recovering(data, "r", "recovery.signal").start()
    pg.wait_sql("select pg_is_in_recovery()", "f")
    t.equal(timeline(pg), "00000004", "the timeline")
    t.equal(rows(pg), wanted, "rows")
    restored = [line.split('"')[1] for line in pg.log_text().splitlines() if "restored log file" in line]
    t.equal({name[:8] for name in restored if len(name) == 24}, {"00000001", "00000002", "00000003"},
            "timelines replayed")


def test_F8_pg_rewind_and_patroni_never_meet_the_worker(t):
    """Another name for the destination, relative or absolute: no worker, and no file of one."""
    world = World(t)
    names = world.begin(4)
    data = world.directory("p", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    wanted = f"pg_wal/{names[0]}"
    world.answers(data, names[0], 0, wanted=wanted)
    for cwd in ("/", data, world.folder):
        into = os.path.join(data, wanted)
        t.exits(cpam.run("cpam-wal-fetch", names[0], into, config=world.config, cwd=cwd), 0)
        os.unlink(into)
    world.answers(data, "00000002.history", 1, wanted="pg_wal/RECOVERYHISTORY")
    idle = world.directory("i", state=IN_PRODUCTION)
    world.answers(idle, names[0], 0)  # the server's name, but no server
    t.equal(workspace.workers(world.folder), {}, "workers")
    t.equal(os.listdir(f"{world.folder}/spool"), [], "what is in the spool")
    # a worker that runs for the server keeps its files from others
    world.answers(data, names[0], 0)
    all_ready(world, names[1:2])
    before = ready(world)
    world.answers(data, names[1], 0, wanted=f"pg_wal/{names[1]}")
    t.true(set(before) <= set(ready(world)), "nothing was taken from the spool")


def test_F9_a_spool_that_can_not_be_used_is_told_and_the_fetch_goes_on(t):
    world = World(t)
    names = world.begin(2)
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    other = workspace.folder(f"{world.folder}/open", 0o755)
    settings = cpam.settings(world.folder, world.primary)
    for spool, words in ((workspace.folder(f"{data}/pg_wal/spool"), "which is the server's"),
                         (f"{world.folder}/nowhere", "could not open the spool")):
        settings["wal"]["spool"] = spool
        config = cpam.write_config(world.folder, settings, "spool.yaml")
        world.answers(data, names[0], 0, words, config=config)
    shutil.rmtree(f"{data}/pg_wal/spool")
    # what others may enter is not trusted
    settings["wal"]["spool"] = other
    config = cpam.write_config(world.folder, settings, "spool.yaml")
    world.answers(data, names[0], 0, config=config)
    place = glob.glob(f"{other}/*")
    t.equal(len(place), 1, "places")
    workspace.end_workers(world.folder)
    os.chmod(place[0], 0o777)
    world.answers(data, names[0], 0, "others than its owner", config=config)


def test_F10_a_standby_reaches_streaming_while_the_archive_grows(t):
    world = World(t, timeout="60s")
    world.begin(1)
    data = world.copy(world.primary, "s")
    world.write_segments(world.primary, 5)
    pg = world.recovering(data, "s", "standby.signal",
                          command=wrapper(world, "tell.sh", 'echo "polled $1" >&2'),
                          primary_conninfo=world.primary.connection()).start()

    def streams():
        world.primary.sql("insert into t values (7); select pg_switch_wal()")
        return "started streaming" in pg.log_text()

    cluster.wait_for(streams, 180, "the standby to stream")
    pg.wait_sql("select count(*) from t", str(rows(world.primary)))
    before, _, after = pg.log_text().partition("started streaming WAL from primary at ")
    log, _, low = after.split()[0].partition("/")
    begins = "%08X%08X" % (int(log, 16), int(low, 16) >> 20)
    t.true(1 <= before.count(f"polled 00000001{begins}") <= 2,
           f"polls for {begins} before it streams:\n{before}")


MISBEHAVE = ("stalls", "answers_503", "resets", "trickles_the_segment", "shortens_the_segment",
             "alters_the_segment")


@tap.limit(600)
def test_F1_F3_P11_a_store_that_misbehaves_behind_the_worker(t):
    """Nothing of it is ever offered, and the answer comes in time.  Each change of the configuration
    makes another worker, which has nothing yet."""
    world = S3World(t, prefetch=6)
    names = world.begin(4)
    world.primary.stop()
    recovery = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    standby = world.directory("s", *STANDBY, state=IN_ARCHIVE_RECOVERY)
    t.defer(world.way.behave)
    for what in MISBEHAVE:
        how, word = MISBEHAVIOURS[what]
        world.way.misbehave(how, word.format(names[1]))
        world.in_time(recovery, names[1], 254)
        world.in_time(standby, names[1], 1)
        world.way.behave()
        for name in names[:3]:
            world.answers(recovery, name, 0)


HARM = {
    "is_killed": "kill -9 $w",
    "is_stopped": "kill -STOP $w",
    "is_ended": "kill $w",
    "loses_its_folder": "rm -rf {folder}/spool/*",
    "loses_its_spool": "rm -rf {folder}/spool",
    "loses_its_files": "rm -f {folder}/spool/*/prefetch/*",
    "finds_its_folder_closed": "chmod 0500 {folder}/spool/*/prefetch",
}


def _harm(what):
    def case(t):
        world = World(t, timeout="60s")
        world.begin(1)
        data = world.copy(world.primary, "r")
        names = world.write_segments(world.primary, 8)
        wanted = rows(world.primary)
        world.primary.stop()
        find = "w=$(pgrep -u $(id -u) -f -- '--serve " + data + "$')"
        lines = "\n".join(
            f'if [ "$1" = {name} ]; then {find}; {what.format(folder=world.folder)}; '
            f"echo harmed $w >&2; fi" for name in (names[2], names[5]))
        pg = world.recovering(data, "r", "recovery.signal", command=wrapper(world, "harm.sh", lines))
        pg.start(timeout=240)
        pg.wait_sql("select pg_is_in_recovery()", "f", timeout=120)
        t.equal(rows(pg), wanted, "rows")
        t.true(pg.log_text().count("harmed") >= 2, "it was harmed")
        for path in glob.glob(f"{world.folder}/spool/*/prefetch"):
            os.chmod(path, 0o700)

    return tap.limit(400)(case)


for _name, _what in HARM.items():
    globals()["test_F4_F5_recovery_goes_on_when_the_worker_" + _name] = _harm(_what)


def test_F5_the_worker_ends_and_leaves_nothing(t):
    """Ended by SIGTERM, or by itself when nobody asks; what it had is gone."""
    world = World(t)
    names = world.begin(6)
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    world.answers(data, names[0], 0)
    all_ready(world, names[1:3])
    os.kill(worker(world), signal.SIGTERM)
    cluster.wait_for(lambda: not workspace.workers(world.folder), 180, "the worker to end")
    t.equal(ready(world), [], "what is left in the spool")
    # the next question starts another one
    world.answers(data, names[1], 0)
    worker(world)
    workspace.end_workers(world.folder)
    alone = cpam.start("cpam-wal-prefetch", "--serve", data, "--foreground", "--idle", "3s",
                       config=world.config)
    t.defer(alone.kill)
    cluster.wait_for(lambda: glob.glob(f"{world.folder}/spool/*/fetch.sock"), 180, "its socket")
    world.answers(data, names[1], 0)
    t.equal(worker(world), alone.pid, "who answered")
    t.equal(alone.wait(180), 0, "how it ended by itself")
    t.equal(ready(world), [], "what is left in the spool")
    alone.stderr.close()
    alone.stdout.close()


def test_F12_trap15_each_data_directory_has_its_own_worker(t):
    """Production's clone on the same host, with the same configuration: two places, two workers."""
    world = World(t)
    names = world.begin(3)
    one = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    two = world.directory("s", *STANDBY, state=IN_ARCHIVE_RECOVERY)
    world.answers(one, names[0], 0)
    world.answers(two, names[0], 0)
    t.equal(len(workspace.workers(world.folder)), 2, "workers")
    t.equal(len(os.listdir(f"{world.folder}/spool")), 2, "places")


def test_F2_trap4_the_repository_that_is_named_is_asked_first(t):
    folder = t.folder()
    world = World(t, [{"name": "primary", "url": f"file://{folder}/repo"},
                      {"name": "dr", "url": f"file://{folder}/dr"}])
    names = world.begin(4)
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    world.lose(names[1], "repo")
    world.lose(names[2], "dr", kept="lost in dr")
    for extra in ((), ("--repo", "dr"), ("--repo", "primary")):
        for name in names:
            world.answers(data, name, 0, extra=extra)  # whoever has it delivers
    worker(world)


if __name__ == "__main__":
    tap.main(globals())
