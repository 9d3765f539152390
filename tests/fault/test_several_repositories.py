"""test_several_repositories.py - cpam-wal-push with several repositories, some of them dead: who decides
(wal.push.acknowledge, required), what waits on disk for the others, and what power cuts leave of it.
"""
import os
import shutil
import socket
import stat

import crash_states
from push_world import BUILD_ROOT, SYSID, World, name, programs, segment, tap, workers, workspace
from harness import cluster  # push_world says where it is

TWIN = "cpam-wal-worker-twin"
THREE = ("one", "two", "three")


class Several(World):
    """Repositories in folders; `optional` ones are not required, `push` is below wal.push."""

    def __init__(self, t, required=THREE, optional=(), push="acknowledge: all", **more):
        push = push if "timeout" in push else f"timeout: 20s, {push}"
        push = f"push: {{ {push} }}"
        super().__init__(t, repositories=(*required, *optional), wal=push, **more)
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        for one in optional:
            row = f"{{ name: {one}, url: file://{self.urls[one]}, required: "
            text = text.replace(row + "true", row + "false")
        workspace.write(self.config, text, 0o600)

    def kill(self, one):
        os.rename(self.urls[one], self.urls[one] + ".away")

    def revive(self, one):
        os.rename(self.urls[one] + ".away", self.urls[one])

    def backlog(self, one):
        folder = f"{self.folder}/state/backlog/test/{one}/{SYSID}"
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def has(self, one, file_name):
        return self.key_of(file_name) in self.objects(one)


def holds(w, one, numbers):
    """This repository alone delivers these segments, as they were written."""
    away = [other for other in w.urls if other != one and os.path.isdir(w.urls[other])]
    for other in away:
        w.kill(other)
    for number in numbers:
        w.t.true(w.fetch(name(1, number)) == segment(1, number), f"{one} delivers segment {number}")
    for other in away:
        w.revive(other)


def test_P13_all_waits_for_every_required_repository(t):
    w = Several(t)
    w.kill("two")
    done = w.push(w.segment(1))
    t.true(1 <= done.returncode <= 125, f"{done.returncode}: {done.stderr}")
    t.true(w.has("one", name(1, 1)) and w.has("three", name(1, 1)), "the others have it")
    t.equal(w.backlog("two"), [], "PostgreSQL keeps it, and nobody else has to")
    w.revive("two")
    w.expect(w.push(name(1, 1)), 0)
    t.true(w.has("two", name(1, 1)), "and so has this one now")


def check_any(t, **more):
    """One required repository dead under acknowledge any, over many calls; then it returns."""
    w = Several(t, push="acknowledge: any", **more)
    w.expect(w.push(w.segment(1)), 0)
    w.kill("two")
    for number in range(2, 13):
        done = w.push(w.segment(number))
        w.expect(done, 0)
        t.holds(done.stderr, 'for repository "two"')
        t.true(w.has("one", name(1, number)) and w.has("three", name(1, number)), "current")
        os.unlink(f"{w.pg_wal}/{name(1, number)}")
    t.equal(w.backlog("two"), [name(1, number) for number in range(2, 13)])
    t.equal(w.backlog("one") + w.backlog("three"), [])
    w.revive("two")
    w.expect(w.push(w.segment(13)), 0)
    t.true(w.has("two", name(1, 13)), "it is asked again")
    # a bounded number with each push, the oldest first
    left = w.backlog("two")
    t.true(0 < len(left) < 11, f"some of it: {left}")
    t.equal(left, [name(1, number) for number in range(13 - len(left), 13)])
    w.expect(w.push(w.segment(14)), 0)
    while w.backlog("two"):
        w.expect(w.push(name(1, 14)), 0)
    for number in range(1, 15):
        t.true(w.has("two", name(1, number)), f"segment {number} is in it")
    return w


@tap.limit(300)
def test_P13_any_keeps_a_backlog_for_the_dead_one(t):
    w = check_any(t)
    holds(w, "two", range(1, 15))


@tap.limit(300)
def test_P13_a_worker_keeps_and_drains_over_its_restarts(t):
    w = Several(t, required=("one", "two"), optional=("extra",), push="acknowledge: any", worker=True)
    w.kill("two")
    w.kill("extra")
    for number in range(1, 8):
        w.expect(w.push(w.segment(number)), 0)
        t.true(w.has("one", name(1, number)), "current")
        for one in ("two", "extra"):
            t.equal(w.backlog(one), [name(1, past) for past in range(1, number + 1)])
        os.unlink(f"{w.pg_wal}/{name(1, number)}")
        if number % 3 == 0:
            workers.end(w.folder)
    w.revive("two")
    w.revive("extra")
    cluster.wait_for(lambda: (w.push(w.segment(8)).returncode, w.backlog("two"), w.backlog("extra"))
                     == (0, [], []), 120, "both repositories to get what was kept")
    holds(w, "two", range(1, 9))
    holds(w, "extra", range(1, 9))


@tap.limit(300)
def test_P13_a_host_that_can_open_nothing_keeps_and_drains_too(t):
    folder = t.folder()
    keys = {}
    workspace.folder(folder, 0o700)
    shutil.copy(os.path.join(BUILD_ROOT, "operate/cpam-keys"), programs())
    for kind in ("x25519", "writer"):
        done = workspace.run([f"{programs()}/cpam-keys", "generate", kind, f"{folder}/{kind}"])
        keys[kind] = [word for word in done.stdout.split() if word.startswith("cpam1")][0]
    check_any(t, encryption=f"{{ recipients: [ {{ x25519: {keys['x25519']} }} ], writer_key: "
                            f"{folder}/writer, trusted_writers: [ {keys['writer']} ] }}")


def test_P13_two_of_three(t):
    w = Several(t, push="acknowledge: 2")
    w.kill("one")
    w.expect(w.push(w.segment(1)), 0)
    t.equal(w.backlog("one"), [name(1, 1)])
    w.kill("three")
    done = w.push(w.segment(2))
    t.true(1 <= done.returncode <= 125, f"{done.returncode}: {done.stderr}")
    t.true(w.has("two", name(1, 2)), "what could be done was done")
    w.revive("one")
    w.expect(w.push(name(1, 2)), 0)
    t.equal((w.backlog("one"), w.backlog("three")), ([], [name(1, 2)]))
    holds(w, "one", [1, 2])


def test_P13_an_optional_repository_never_decides(t):
    w = Several(t, required=("one",), optional=("extra",))
    w.expect(w.push(w.segment(1)), 0)
    t.true(w.has("extra", name(1, 1)), "it is pushed to as well")
    w.kill("extra")
    w.expect(w.push(w.segment(2)), 0)
    t.equal(w.backlog("extra"), [name(1, 2)])
    w.revive("extra")
    w.expect(w.push(w.segment(3)), 0)
    holds(w, "extra", [1, 2, 3])
    # nor does a conflict in it, which is told
    shutil.rmtree(f"{w.root('one')}/wal")
    done = w.push(w.segment(3, seed=9))
    w.expect(done, 0, "is archived with other content")
    t.equal(w.backlog("extra"), [name(1, 3)], "a person has to look at it")


def test_P13_an_optional_repository_that_hangs_takes_no_time(t):
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"
    row = (f"{{ name: silent, url: s3://bucket, required: false, endpoint: \"{url}\", "
           "credentials: static, access_key_id: A, secret_access_key: B }")
    with silent:
        w = Several(t, required=("one",), push="acknowledge: all, backlog_max: 1GiB", more=(row,))
        done = w.push(w.segment(1))
        w.expect(done, 0)
        t.equal(w.backlog("silent"), [name(1, 1)])
        t.holds(done.stderr, "it did not answer in time")


def test_P13_a_conflict_in_a_required_repository_fails_whoever_else_has_it(t):
    w = Several(t, push="acknowledge: any")
    w.kill("one")
    w.kill("two")
    w.expect(w.push(w.segment(1, seed=9)), 0)
    w.revive("one")
    w.revive("two")
    shutil.rmtree(f"{w.folder}/state/backlog")
    w.segment(1)
    done = w.push(name(1, 1))
    t.true(1 <= done.returncode <= 125, f"{done.returncode}: {done.stderr}")
    t.holds(done.stderr, "is archived with other content")
    t.equal(w.backlog("three"), [])


def test_P13_no_promise_without_a_backlog(t):
    w = Several(t, required=("one", "two"), optional=("extra",), push="acknowledge: any")
    workspace.write(f"{w.folder}/state", "not a folder")
    w.kill("extra")
    w.expect(w.push(w.segment(1)), 0)  # an optional one never decides
    w.kill("two")
    done = w.push(w.segment(2))
    t.true(1 <= done.returncode <= 125, done.stderr)
    t.holds(done.stderr, "can't be kept for repository")
    os.unlink(f"{w.folder}/state")
    w.expect(w.push(name(1, 2)), 0)
    t.equal(w.backlog("two"), [name(1, 2)])
    mode = stat.S_IMODE(os.stat(f"{w.folder}/state/backlog").st_mode)
    t.equal(mode, 0o700)


@tap.limit(600)
def test_P10_P13_power_cut_at_each_point_of_keeping(t):
    w = Several(t, required=("one", "two"), push="acknowledge: any")
    w.kill("two")
    w.expect(w.push(w.segment(1)), 0)  # the folders are there
    state = f"{w.folder}/state"
    base = crash_states.snapshot(state)
    log = f"{w.folder}/log"
    one = w.segment(2)
    w.expect(w.push(one, program=TWIN, env={"CPAM_TWIN_LOG": log}), 0)
    entry = f"{state}/backlog/test/two/{SYSID}/{one}"
    seen = set()
    for point, total, what, files in crash_states.states(base, log):
        found = files.get(entry)
        t.true(found in (None, segment(1, 2)), f"cut after {point} of {total}, {what}: half an entry")
        t.true(point < total or found is not None, f"answered 0, then the power was cut ({what}): lost")
        seen.add(found is not None)
    t.equal(seen, {False, True}, "states with and without the entry")


@tap.limit(600)
def test_P13_each_call_failing_promises_nothing_that_is_not_there(t):
    w = Several(t, required=("one", "two"), push="acknowledge: any")
    w.kill("two")
    count = f"{w.folder}/count"
    w.expect(w.push(w.segment(1), program=TWIN, env={"CPAM_TWIN_COUNT": count}), 0)
    with open(count, encoding="ascii") as file:
        calls = int(file.read().split()[1])
    good = 0
    for call in range(1, calls + 1, 2):
        shutil.rmtree(f"{w.root('one')}/wal", ignore_errors=True)
        shutil.rmtree(f"{w.folder}/state", ignore_errors=True)
        done = w.push(name(1, 1), program=TWIN, env={"CPAM_TWIN_FAIL": f"{call}:28"})
        t.true(0 <= done.returncode <= 125, f"call {call}: {done.returncode}")
        if done.returncode == 0:
            good += 1
            t.true(w.has("one", name(1, 1)), f"call {call}: 0 means stored")
            t.equal(w.backlog("two"), [name(1, 1)], f"call {call}: and kept for the other")
    t.true(0 < good < calls, f"{good} calls do no harm")


def behind(t, number=2):
    """"late" is asked first and misses one segment, which waits in its backlog; "current" has all."""
    w = Several(t, required=("late", "current"), optional=("extra",), push="acknowledge: any")
    w.expect(w.push(w.segment(1)), 0)
    w.kill("late")
    w.expect(w.push(w.segment(number)), 0)
    w.revive("late")
    return w


def test_F2_what_one_required_repository_misses_comes_from_another(t):
    w = behind(t)
    t.true(not w.has("late", name(1, 2)) and w.has("current", name(1, 2)), "as it should be here")
    t.true(w.fetch(name(1, 2)) == segment(1, 2), "what waits at the end")
    hold = f"{w.folder}/hold"
    os.rename(f"{w.folder}/state", hold)  # segment 3 drains nothing: a hole in "late"
    w.expect(w.push(w.segment(3)), 0)
    t.true(w.has("late", name(1, 3)) and not w.has("late", name(1, 2)), "a hole in it")
    t.true(w.fetch(name(1, 2)) == segment(1, 2), "what waits in the middle")


def test_F2_ask2_missing_in_the_only_one_that_answers_is_unknown(t):
    w = behind(t)
    w.kill("extra")  # it is not of the read set
    for away in ("current", "late"):
        w.kill(away)
        if away == "current":
            t.equal(w.fetch(name(1, 2), code=254), None)
        t.equal(w.fetch(name(1, 3), code=254), None)
        t.equal(w.fetch("00000002.history", code=254), None)
        w.revive(away)
    t.equal(w.fetch(name(1, 3), code=1), None)
    t.equal(w.fetch("00000002.history", code=1), None)


def test_F2_a_hole_in_one_and_the_end_in_the_other_is_no_end(t):
    w = behind(t, number=3)
    os.rename(f"{w.folder}/state", f"{w.folder}/hold")
    w.kill("current")
    w.expect(w.push(w.segment(5)), 0)
    w.revive("current")
    # "late" has 1 and 5, "current" 1 and 3
    t.equal(w.fetch(name(1, 4), code=254), None)
    t.true(w.fetch(name(1, 3)) == segment(1, 3) and w.fetch(name(1, 5)) == segment(1, 5), "delivered")
    t.equal(w.fetch(name(1, 6), code=1), None)


SLOW = {"CPAM_TWIN_STALL": "100:fsync:/wal/"}  # a repository too slow for a segment, not for a record


def queue(w, count):
    workspace.folder(f"{w.pg_wal}/archive_status", 0o700)
    for number in range(1, count + 1):
        workspace.write(f"{w.pg_wal}/archive_status/{name(1, number)}.ready", "")
    workspace.write(f"{w.pg_wal}/archive_status/00000002.history.ready", "")


def gaps(w):
    return [key for key in w.objects("one") if key.startswith("gap/") and "/.cpam-" not in key]


def gap_key(number):
    return f"gap/{SYSID}/00000001/{name(1, number)}"


@tap.limit(300)
def test_P12_ask8_a_gap_is_recorded_before_a_segment_is_given_up(t):
    w = Several(t, required=("one", "two"), push="timeout: 8s, queue_max: 3MiB")
    w.segment(1)
    queue(w, 3)
    done = w.push(name(1, 1), program=TWIN, env=SLOW)
    t.true(1 <= done.returncode <= 125, f"3 MiB wait, as they may: {done.stderr}")
    t.true(gap_key(1) not in w.objects("one"), "nothing is recorded")
    queue(w, 4)
    w.expect(w.push(name(1, 1), program=TWIN, env=SLOW), 0, "IS GIVEN UP", "4 MiB of WAL wait")
    for one in ("one", "two"):
        t.true(gap_key(1) in w.objects(one), f"{one} has the record")
        t.true(not w.has(one, name(1, 1)), f"{one} does not have the segment")
    t.equal(w.backlog("one") + w.backlog("two"), [])
    # whoever wants it is told, though nothing later is in the archive
    t.equal(w.fetch(name(1, 1), code=254), None)
    t.equal(w.fetch(name(1, 2), code=1), None)
    # a later push works, and the file counts
    w.expect(w.push(name(1, 1)), 0)
    holds(w, "one", [1])


@tap.limit(300)
def test_P12_nothing_is_given_up_without_a_record_or_the_setting(t):
    w = Several(t, required=("one",), push="timeout: 8s, queue_max: 3MiB")
    queue(w, 9)
    w.segment(1)
    w.kill("one")
    done = w.push(name(1, 1))
    t.true(1 <= done.returncode <= 125, f"no record could be stored: {done.stderr}")
    w.revive("one")
    done = w.push(name(1, 1), program=TWIN, env={"CPAM_TWIN_STALL": "100:fsync:/.cpam-"})
    t.true(1 <= done.returncode <= 125, f"too slow for a record too: {done.stderr}")
    w.write("00000002.history", "1\t0/580000\tno recovery target specified\n")
    done = w.push("00000002.history", program=TWIN, env=SLOW)
    t.true(1 <= done.returncode <= 125, f"a history is never given up: {done.stderr}")
    t.equal(gaps(w), [])


@tap.limit(300)
def test_P12_a_worker_that_could_not_hands_over_to_who_may(t):
    w = Several(t, required=("one",), push="timeout: 10s, queue_max: 3MiB", worker=True)
    w.segment(1)
    queue(w, 3)
    wal = workspace.write(f"{w.root('one')}/wal", "")  # no segment can be stored, and a record can
    done = w.push(name(1, 1))
    t.true(1 <= done.returncode <= 125, f"as much waits as may: {done.stderr}")
    t.equal(gaps(w), [])
    queue(w, 4)
    w.expect(w.push(name(1, 1)), 0, "IS GIVEN UP")
    t.equal(gaps(w), [gap_key(1)])
    os.unlink(wal)
    w.expect(w.push(name(1, 1)), 0)
    holds(w, "one", [1])


@tap.limit(300)
def test_P12_ask8_by_default_nothing_is_given_up(t):
    default = Several(t, required=("one",), push="timeout: 5s")
    queue(default, 9)
    default.segment(1)
    done = default.push(name(1, 1), program=TWIN, env=SLOW)
    t.true(1 <= done.returncode <= 125, f"by default nothing is: {done.stderr}")
    t.equal(gaps(default), [])


@tap.limit(300)
def test_P12_what_is_wrong_is_not_given_up(t):
    w = Several(t, required=("one",), push="timeout: 20s, queue_max: 1MiB")
    queue(w, 9)
    w.expect(w.push(w.segment(1, seed=9)), 0)
    done = w.push(w.segment(1))
    t.true(1 <= done.returncode <= 125, done.stderr)
    t.holds(done.stderr, "is archived with other content")
    t.equal(gaps(w), [])


@tap.limit(300)
def test_P12_one_record_is_enough_where_one_repository_is(t):
    w = Several(t, required=("one", "two"), push="timeout: 8s, queue_max: 1MiB, acknowledge: any")
    queue(w, 9)
    w.segment(1)
    w.kill("two")
    done = w.push(name(1, 1), program=TWIN, env=SLOW)
    t.true(1 <= done.returncode <= 125, f"a repository that is not there is no slow one: {done.stderr}")


if __name__ == "__main__":
    tap.main(globals())
