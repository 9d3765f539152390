#!/usr/bin/env python3
"""test_timelines.py - promotions: a timeline's history is in the archive before its segments count,
and what is asked about timelines is answered truthfully."""
import os

from fetch_world import IN_ARCHIVE_RECOVERY, World
from harness import cluster, cpam, tap, workspace

RECOVERY = ("recovery.signal", "postmaster.pid")
STANDBY = ("standby.signal", "postmaster.pid")
HISTORY = "pg_wal/RECOVERYHISTORY"


def promoted(world, source, name):
    """A copy of source, recovered to the end of the archive: the next timeline, archiving."""
    data = world.copy(source, name)
    source.stop()
    pg = world.recovering(data, name, "recovery.signal", archive_mode="on")
    pg.start()
    pg.wait_sql("select pg_is_in_recovery()", "f")
    return pg


def test_ask5_P4_trap2_three_timelines_with_two_promotions(t):
    world = World(t)
    world.begin(2)
    second = promoted(world, world.primary, "b")
    world.write_segments(second, 2)  # nobody claimed anything: it is the same cluster
    third = promoted(world, second, "c")
    last = world.write_segments(third, 2)[-1]
    t.equal(last[:8], "00000003", "the timeline")
    wanted = third.sql("select count(*) from t")
    for number in (2, 3):
        world.object(f"{number:08X}.history")

    # history probes, as a server asks them
    data = world.directory("r", *RECOVERY, state=IN_ARCHIVE_RECOVERY)
    for number, code in ((1, 1), (2, 0), (3, 0), (4, 1), (255, 1)):
        world.answers(data, f"{number:08X}.history", code, wanted=HISTORY)

    # the whole chain is followed by a server that knows nothing but the first timeline
    fresh = promoted(world, third, "d")
    t.equal(fresh.sql("select count(*) from t"), wanted)
    t.equal(fresh.controldata()["Latest checkpoint's TimeLineID"], "4")
    world.write_segments(fresh, 1)
    world.answers(data, "00000004.history", 0, wanted=HISTORY)


def test_ask6_trap25_a_lost_history_comes_again_or_is_told(t):
    world = World(t)
    world.begin(2)
    second = promoted(world, world.primary, "b")
    world.write_segments(second, 1)
    config = world.write_config("b.yaml", second)
    check = ["cpam-repo", "check"]
    t.holds(cpam.run(*check, config=config).out, ["no backup of this database yet"])

    # a segment brings the history of its timeline, if the server still has it
    world.lose("00000002.history")
    world.write_segments(second, 1)
    world.object("00000002.history")

    world.lose("00000002.history", kept="lost2")
    os.unlink(os.path.join(second.data, "pg_wal", "00000002.history"))
    world.write_segments(second, 1)
    second.wait_log("without it nobody can recover along timeline 2")
    done = t.exits(cpam.run(*check, config=config), 3)
    t.holds(done.out, ["not protected", "has WAL of timeline 2 and no \"00000002.history\""])
    for signals, code in ((RECOVERY, 254), (STANDBY, 1)):
        data = world.directory(f"r{code}", *signals, state=IN_ARCHIVE_RECOVERY)
        world.answers(data, "00000002.history", code, "other files speak of timeline 2",
                      wanted=HISTORY)


def test_trap25_P4_a_timeline_that_another_server_took_too(t):
    world = World(t)
    world.begin(2)
    second = world.second_timeline()
    world.write_segments(second, 1)
    second.stop()
    before = world.object("00000002.history")
    with open(before, "rb") as file:
        stored = file.read()

    # the archive was out of its reach when it chose its timeline
    data = os.path.join(world.folder, "e")
    workspace.run(["cp", "-a", world.primary.data, data])
    reuses = world.recovering(data, "e", "recovery.signal", archive_mode="on", command="false")
    reuses.start()
    reuses.wait_sql("select pg_is_in_recovery()", "f")
    t.equal(reuses.sql("select timeline_id from pg_control_checkpoint()") in ("1", "2"), True)
    reuses.sql("insert into t values (-1)")
    segment = reuses.switch_wal()
    t.equal(segment[:8], "00000002", "the timeline it took")
    reuses.wait_log("00000002.history\" is archived with other content")
    t.exits(cpam.run("cpam-wal-push", f"pg_wal/{segment}", config=world.config, cwd=data), 4,
            ["the history of its timeline", "is archived with other content"])
    with open(before, "rb") as file:
        t.true(file.read() == stored, "the archived history is what it was")
    config = world.write_config("e.yaml", reuses)
    done = t.exits(cpam.run("cpam-repo", "resolve", "00000002.history", config=config), 3)
    t.holds(done.out, ["two contents claim this name"])


if __name__ == "__main__":
    tap.main(globals())
