#!/usr/bin/env python3
"""test_wal_fetch.py - cpam-wal-fetch by itself: each answer in each state, and what is never delivered.

The data directories here have no server: the signs (signal files, postmaster.pid, pg_control) are
made by hand, so that every state can be asked in.  test_wal_fetch_recovery.py has the real servers.
"""
import os
import shutil
import signal

from fetch_world import IN_ARCHIVE_RECOVERY, IN_PRODUCTION, World
from harness import cluster, cpam, tap, workspace

RECOVERY = ("recovery.signal", "postmaster.pid")
STANDBY = ("standby.signal", "postmaster.pid")


def next_name(name, by=1):
    """The segment `by` after this one, with 1 MiB segments (4096 to a log file)."""
    number = int(name[8:16], 16) * 4096 + int(name[16:], 16) + by
    return name[:8] + "%08X%08X" % (number // 4096, number % 4096)


def test_F1_each_answer_in_each_state(t):
    """Delivered, absent, a hole, a silent store: 0, 1, 254 or 1, by who asks."""
    world = World(t)
    names = world.begin(5)
    world.primary.stop()
    last = sorted(n for n in os.listdir(os.path.dirname(world.object(names[-1]))) if len(n) == 24)[-1]
    absent = next_name(last)
    states = {
        "recovery": world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY),
        "standby": world.directory("s", *STANDBY, state=IN_ARCHIVE_RECOVERY),
        "both signals": world.directory("b", *STANDBY, "recovery.signal", state=IN_ARCHIVE_RECOVERY),
        "person": world.directory("p", state=IN_PRODUCTION),
    }
    unknown = {"recovery": 254, "standby": 1, "both signals": 1, "person": 254}
    for state, data in states.items():
        world.answers(data, names[1], 0)
        world.answers(data, absent, 1)
        world.answers(data, "00000001.history", 1, wanted="pg_wal/RECOVERYHISTORY")
        world.answers(data, "00000002.history", 1, wanted="pg_wal/RECOVERYHISTORY")
    lost = world.lose(names[2])
    for state, data in states.items():
        world.answers(data, names[2], unknown[state], "missing although later segments")
    shutil.move(lost, os.path.join(os.path.dirname(world.object(names[1])), names[2]))
    world.away()
    for state, data in states.items():
        for name in (names[1], absent, "00000002.history"):
            world.answers(data, name, unknown[state], 'repository "primary"')
        world.answers(data, "00000001.history", 1)  # nobody is asked
    world.back()


def test_F1_the_end_of_a_timeline_that_another_goes_on_from_is_a_hole(t):
    """The old primary died with its last segments, the new one had them by streaming and branched off
    behind them: whoever replays towards it must not take their absence for the end."""
    world = World(t)
    names = world.begin(2)
    world.primary.stop()
    last = sorted(n for n in os.listdir(os.path.dirname(world.object(names[-1]))) if len(n) == 24)[-1]
    lost, branch = next_name(last), next_name(last, 2)
    recovery = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    standby = world.directory("s", *STANDBY, state=IN_ARCHIVE_RECOVERY)
    for name in (lost, branch):
        world.answers(recovery, name, 1)
    switch = f"{int(branch[8:16], 16):X}/{(int(branch[16:], 16) << 20) + 0x28:X}"
    history = workspace.write(os.path.join(world.primary.data, "pg_wal/00000002.history"),
                              f"1\t{switch}\tno recovery target specified\n", 0o600)
    t.exits(cpam.run("cpam-wal-push", history, config=world.config), 0)
    world.answers(recovery, lost, 254, ["timeline 2 branched off in a later segment", "pg_wal"])
    world.answers(recovery, branch, 1)  # timeline 2 has a copy of what it holds
    world.answers(standby, lost, 1)  # it can be streamed


def test_F1_a_repository_that_is_not_there_yet_is_no_absence(t):
    """An empty folder (a disk that is not mounted) has no file of the archive either."""
    world = World(t)
    names = world.begin(2)
    world.away()
    workspace.folder(world.repository())
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    world.answers(data, names[0], 254)
    world.answers(data, "00000002.history", 254)


def test_F1_a_wrong_option_or_configuration_never_ends_recovery(t):
    """1..125 would: so 254 in recovery, 1 on a standby, and waiting at the end of recovery."""
    world = World(t)
    names = world.begin(2)
    recovery = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    standby = world.directory("s", *STANDBY, state=IN_ARCHIVE_RECOVERY)
    broken = cpam.write_config(world.folder, "cluster: [\n", "broken.yaml")
    for data, code in ((recovery, 254), (standby, 1)):
        world.answers(data, names[0], code, config=broken)
        world.answers(data, names[0], code, config="/nonexistent/config.yaml")
        world.answers(data, names[0], code, extra=("--no-such-option",))
        world.answers(data, names[0], code, extra=("--repo", "nobody"))
        world.answers(data, names[0], 0)


def test_F1_on_error_overrides_the_choice(t):
    world = World(t)
    names = world.begin(2)
    standby = world.directory("s", *STANDBY, state=IN_ARCHIVE_RECOVERY)
    stop = world.write_config("stop.yaml", world.primary, wal_fetch={"on_error": "stop"})
    retry = world.write_config("retry.yaml", world.primary, wal_fetch={"on_error": "retry"})
    person = world.directory("p", state=IN_PRODUCTION)
    world.away()
    world.answers(standby, names[0], 254, config=stop)
    world.answers(person, names[0], 254, wanted="pg_wal/" + names[0], config=retry)
    waiting = cpam.start("cpam-wal-fetch", names[0], "pg_wal/RECOVERYXLOG", config=retry, cwd=standby)
    line = waiting.stderr.readline()
    t.holds(line, "could not be told (waiting", "the first line while it waits")
    world.back()
    t.equal(waiting.wait(180), 0, "the answer once the store is back")
    waiting.stderr.close()
    waiting.stdout.close()


def test_F2_trap4_one_repository_of_the_read_set_silent(t):
    folder = t.folder()

    def repositories(dr_required):
        return [{"name": "primary", "url": f"file://{folder}/repo"},
                {"name": "dr", "url": f"file://{folder}/dr", "required": dr_required}]

    world = World(t, repositories(True))
    names = world.begin(3)
    both, optional = world.config, world.write_config("opt.yaml", world.primary, repositories(False))
    absent = next_name(names[-1], 20)
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    world.answers(data, absent, 1, config=both)
    for silent, heard in (("repo", "dr"), ("dr", "repo")):
        world.away(silent)
        world.answers(data, absent, 254, config=both)
        world.answers(data, "00000002.history", 254, config=both)
        world.answers(data, names[0], 0, config=both)  # the other one delivers
        world.back(silent)
    # only what is required can make an absence unknown
    world.away("dr")
    world.answers(data, absent, 1, config=optional)
    world.answers(data, names[0], 0, config=optional)
    world.answers(data, absent, 254, config=optional, extra=("--repo", "dr"))
    world.back("dr")
    world.away("repo")
    world.answers(data, absent, 254, config=optional)
    world.answers(data, names[0], 0, config=optional)  # dr delivers
    world.answers(data, absent, 1, config=optional, extra=("--repo", "dr"))
    world.answers(data, names[0], 0, config=optional, extra=("--repo", "dr"))
    world.back("repo")
    # a later segment in any of them makes a hole; another's copy fills it
    world.lose(names[1], "repo")
    world.answers(data, names[1], 0, config=both)
    world.lose(names[1], "dr", kept="lost in dr")
    world.answers(data, names[1], 254, "missing although later segments", config=both)


def flips(size, every):
    """Bits to flip: all of the header, every nth behind it."""
    return list(range(320 * 8)) + list(range(320 * 8, size * 8, every))


@tap.limit(900)
def test_F3_no_flipped_bit_is_ever_delivered(t):
    world = World(t)
    names = world.begin(3)
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    path = world.object(names[1])
    with open(path, "rb") as file:
        good = file.read()
    os.chmod(path, 0o600)
    every = max(1, (len(good) - 320) * 8 // 1500)
    codes = {}
    for bit in flips(len(good), every):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with open(path, "r+b") as file:
            file.write(bad)
        done = world.fetch(data, names[1])
        codes.setdefault(done.code, []).append(bit)
        if done.code != 254 or os.listdir(os.path.join(data, "pg_wal")):
            break
    t.equal({code: len(bits) for code, bits in codes.items()},
            {254: len(flips(len(good), every))}, "answers for flipped bits")
    t.equal(os.listdir(os.path.join(data, "pg_wal")), [], "what was left in pg_wal")
    with open(path, "r+b") as file:
        file.write(good)
    world.answers(data, names[1], 0)


def test_F3_cut_swapped_and_foreign_objects_are_refused(t):
    world = World(t)
    names = world.begin(4)
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    path, other = world.object(names[1]), world.object(names[2])
    with open(path, "rb") as file:
        good = file.read()
    os.chmod(path, 0o600)
    lengths = sorted(set([0, 1, 319, 320, 321, len(good) // 2, len(good) - 65, len(good) - 64,
                          len(good) - 1] + list(range(1, len(good), max(1, len(good) // 40)))))
    for length in lengths:
        with open(path, "wb") as file:
            file.write(good[:length])
        world.answers(data, names[1], 254)
    with open(path, "wb") as file:
        file.write(good + b"\0")
    world.answers(data, names[1], 254)
    shutil.copy(other, path)
    world.answers(data, names[1], 254)
    with open(path, "wb") as file:
        file.write(good)
    world.answers(data, names[1], 0)


def test_F12_another_clusters_archive_is_not_an_empty_one(t):
    """pg_control here is of a cluster the repository never heard of: 254, not "absent"."""
    world = World(t)
    names = world.begin(2)
    other = cluster.new(t, "other", init=False)
    other.init("--wal-segsize=1")
    data = world.directory("r", *RECOVERY)
    shutil.copy(os.path.join(other.data, "global/pg_control"), os.path.join(data, "global/pg_control"))
    workspace.give(os.path.join(data, "global/pg_control"))
    world.answers(data, names[0], 254, "knows no cluster with system identifier")
    world.answers(data, "00000002.history", 254, "knows no cluster with system identifier")


def test_F11_a_partial_is_served_by_its_own_name_only(t):
    world = World(t)
    names = world.begin(2)
    pg = world.primary
    pg.sql("insert into t values (99)")
    current = pg.insert_segment()
    pg.stop("immediate")
    partial = os.path.join(world.folder, current + ".partial")
    shutil.copy(os.path.join(pg.data, "pg_wal", current), partial)
    workspace.give(partial)
    t.exits(cpam.run("cpam-wal-push", partial, config=world.config), 0)
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    world.answers(data, current, 1)
    world.answers(data, current + ".partial", 0, wanted="pg_wal/" + current + ".partial")
    world.answers(data, names[0], 0)


def test_F6_a_segment_size_that_does_not_fit_is_refused(t):
    """pg_control of the same cluster, but with another segment size than the archived file has."""
    from fetch_world import crc32c

    world = World(t)
    names = world.begin(2)
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    path = os.path.join(data, "global/pg_control")
    with open(path, "rb") as file:
        control = bytearray(file.read())
    control[228:232] = (16 << 20).to_bytes(4, "little")
    control[288:292] = crc32c(bytes(control[:288])).to_bytes(4, "little")
    workspace.write(path, bytes(control))
    world.answers(data, names[0], 254, "segments have 16777216")


def test_trap3_a_proven_hole_is_1_when_pg_wal_has_the_segment(t):
    world = World(t)
    names = world.begin(4)
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    local = os.path.join(data, "pg_wal", names[1])
    world.segment_file(names[1], os.path.join(world.folder, "good"))
    world.segment_file(names[2], os.path.join(world.folder, "other"))
    lost = world.lose(names[1])
    world.answers(data, names[1], 254, "missing although later segments")
    shutil.copy(os.path.join(world.folder, "good"), local)
    workspace.give(local)
    world.answers(data, names[1], 1, "own copy")
    # not when it could not be told: the archive's comes first
    world.away()
    world.answers(data, names[1], 254)
    world.back()
    # nor with a copy that is none: a recycled segment, a short one
    shutil.copy(os.path.join(world.folder, "other"), local)
    world.answers(data, names[1], 254)
    shutil.copy(os.path.join(world.folder, "good"), local)
    os.truncate(local, 1 << 19)
    world.answers(data, names[1], 254)
    t.true(os.path.exists(lost), "the test's own copy")


def test_trap25_a_lost_history_is_not_an_absent_one(t):
    world = World(t)
    world.begin(2)
    second = world.second_timeline()
    second.sql("insert into t values (5)")
    second.wait_archived(second.switch_wal())
    second.stop()
    recovery = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    standby = world.directory("st", *STANDBY, state=IN_ARCHIVE_RECOVERY)
    history = {"wanted": "pg_wal/RECOVERYHISTORY"}
    world.answers(recovery, "00000002.history", 0, **history)
    world.answers(recovery, "00000003.history", 1, **history)
    kept = world.lose("00000002.history")
    world.answers(recovery, "00000002.history", 254, "other files speak of timeline 2", **history)
    world.answers(standby, "00000002.history", 1, "other files speak of timeline 2", **history)
    # a copy in pg_wal is what the server then uses
    workspace.write(os.path.join(recovery, "pg_wal/00000002.history"), "1\t0/500000\treason\n")
    world.answers(recovery, "00000002.history", 1, "own copy", **history)
    t.true(os.path.exists(kept), "the test's own copy")


def test_F8_relative_and_absolute_destinations(t):
    """pg_rewind and Patroni: any name, any working directory; root or not."""
    world = World(t)
    names = world.begin(2)
    data = world.directory("p", state=IN_PRODUCTION)
    world.answers(data, names[0], 0, wanted="pg_wal/" + names[0])
    for cwd in ("/", data, os.path.join(data, "pg_wal")):
        wanted = os.path.join(data, "pg_wal", names[0])
        t.exits(cpam.run("cpam-wal-fetch", names[0], wanted, config=world.config, cwd=cwd), 0)
        t.equal(os.stat(wanted).st_size, 1 << 20)
        os.unlink(wanted)
    # no database anywhere near: the repository's only cluster is meant
    lonely = world.write_config("lonely.yaml", None)
    into = os.path.join(world.folder, "somewhere")
    t.exits(cpam.run("cpam-wal-fetch", names[0], into, config=lonely), 0)
    t.equal(os.stat(into).st_size, 1 << 20)
    t.exits(cpam.run("cpam-wal-fetch", next_name(names[1], 30), into + "2", config=lonely), 1)
    t.exits(cpam.run("cpam-wal-fetch", "../../etc/passwd", into + "2", config=lonely), 254, "name")
    t.true(not os.path.exists(into + "2"), "nothing was delivered")


def test_trap1_finishing_waits_and_never_answers_254(t):
    world = World(t)
    world.begin(2)
    second = world.second_timeline()
    second.sql("insert into t values (5)")
    second.wait_archived(second.switch_wal())
    second.stop()
    data = world.directory("f", "postmaster.pid", state=IN_ARCHIVE_RECOVERY)
    held = os.path.join(data, "recovery.signal")
    history = ("00000002.history", "pg_wal/RECOVERYHISTORY")
    broken = cpam.write_config(world.folder, "cluster: [\n", "broken.yaml")
    world.away()
    for config, extra in ((world.config, ()), (broken, ()), (world.config, ("--no-such-option",))):
        waiting = cpam.start("cpam-wal-fetch", *extra, *history, config=config, cwd=data)
        t.defer(waiting.kill)
        said = ""
        while "waiting" not in said:
            line = waiting.stderr.readline()
            t.true(line, f"it waits (it ended; it said {said})")
            said += line
        t.true(os.path.exists(held), "recovery.signal is held while it waits")
        t.equal(waiting.poll(), None, "whether it has answered")
        # the copy a person puts there is the answer
        workspace.write(os.path.join(data, "pg_wal/00000002.history"), "1\t0/500000\treason\n")
        t.equal(waiting.wait(180), 1, "the answer")
        t.true(not os.path.exists(held), "recovery.signal is taken away before the answer")
        os.unlink(os.path.join(data, "pg_wal/00000002.history"))
        waiting.stderr.close()
        waiting.stdout.close()
    # the store comes back
    waiting = cpam.start("cpam-wal-fetch", *history, config=world.config, cwd=data)
    t.defer(waiting.kill)
    t.holds(waiting.stderr.readline(), "waiting", "what it says at once")
    world.back()
    t.equal(waiting.wait(180), 0, "the answer")
    t.true(not os.path.exists(held), "recovery.signal is gone")
    os.unlink(os.path.join(data, "pg_wal/RECOVERYHISTORY"))
    # a stop of the server ends it by the signal, and leaves recovery.signal for the next start
    world.away()
    waiting = cpam.start("cpam-wal-fetch", *history, config=world.config, cwd=data)
    t.holds(waiting.stderr.readline(), "waiting", "what it says at once")
    waiting.send_signal(signal.SIGTERM)
    t.equal(waiting.wait(180), -signal.SIGTERM, "how it ended")
    t.true(os.path.exists(held), "recovery.signal stays")
    os.unlink(held)
    world.back()


if __name__ == "__main__":
    tap.main(globals())
