"""test_wal_worker.py - cpam-wal-push over cpam-wal-worker: what the front promises when a worker does the
work, and what becomes of it when the worker is killed or stopped."""
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import test_wal_push  # before push_world, which knows tests/live, where another one is
import push_world
import test_wal_push_deadline
from push_world import SYSID, World, control, name, segment, tap, workspace
from worker_world import alive, has, kill, ready, the_worker, until

TIMEOUT = 3


# -- all that the foreground promises, by a worker ---------------------------------------------------

SAME = ["P1_the_same_segment_from_another_directory_and_by_an_absolute_path",
        "P2_another_content_is_refused_and_both_are_named", "P4_a_history_is_never_replaced",
        "P4_segments_of_a_timeline_somebody_else_has_are_refused", "P5_each_kind_of_file_is_accepted",
        "P6_another_cluster_is_refused"]


def by_a_worker(function):
    def test(t):
        World.worker = True
        t.defer(setattr, World, "worker", False)
        function(t)
    return test


for _name in SAME:
    globals()[f"test_{_name}_by_a_worker"] = by_a_worker(getattr(test_wal_push, f"test_{_name}"))
for _name in ("silent", "drip", "reset", "stalled_tls", "503", "200_with_an_error"):
    globals()[f"test_P11_{_name}_by_a_worker"] = by_a_worker(test_wal_push_deadline.case(_name))


# -- the front ---------------------------------------------------------------------------------------

def test_P15_the_front_is_small(t):
    program = f"{push_world.programs()}/cpam-wal-push"
    listed = workspace.run(["ldd", program]).stdout
    t.holds(listed, "libyaml")
    t.lacks(listed, ["libcurl", "libcrypto", "libssl", "libpq", "libzstd", "liblz4"], "ldd")
    w = World(t, worker=True)
    one = w.segment()
    w.expect(w.push(one), 0)
    script = ("import resource, subprocess, sys\n"
              "code = subprocess.run(sys.argv[1:]).returncode\n"
              "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n")
    done = subprocess.run(["python3", "-c", script, *w.command(f"pg_wal/{one}")], cwd=w.data, text=True,
                          env=workspace.environment(), stdout=subprocess.PIPE, check=True,
                          **workspace.as_user())
    code, used = (int(word) for word in done.stdout.split())
    t.note(f"{used} KiB")
    t.equal(code, 0)
    if "LD_PRELOAD" not in os.environ and "ASAN_OPTIONS" not in os.environ:
        t.true(used < 16 << 10, f"{used} KiB resident")


def test_P5_an_unknown_name_starts_no_worker(t):
    w = World(t, worker=True)
    for one in ("RECOVERYXLOG", "000000010000000000000001.gz", "0000000100000000000000fe"):
        w.write(one, segment(1, 1))
        w.expect(w.push(one), 5, "is not a name of PostgreSQL's WAL archive")
    t.equal(w.workers(), [])
    t.equal(os.listdir(f"{w.folder}/spool"), [])


def test_P14_an_unclaimed_copy_starts_no_worker(t):
    w = World(t, worker=True)
    w.expect(w.push(w.segment(), "--unclaimed"), 6)
    t.equal(w.workers(), [])


def test_P14_a_worker_that_can_not_start_says_why(t):
    w = World(t, worker=True)
    os.unlink(f"{w.folder}/key")
    done = w.push(w.segment())
    t.true(1 <= done.returncode <= 125, f"exit status {done.returncode}")
    t.holds(done.stderr, f"{w.folder}/key")


# -- looking ahead -----------------------------------------------------------------------------------

def test_P9_ask10_what_will_be_asked_for_is_done_before(t):
    w = World(t, worker=True)
    names = [w.segment(number) for number in range(1, 41)]
    ready(w, *names)
    w.expect(w.push(names[0]), 0)
    until("all of them", lambda: all(has(w, one) for one in names))
    before = w.objects()
    shutil.move(w.root(), f"{w.root()}.away")
    for one in names:
        w.expect(w.push(one), 0)  # from the worker's memory: there is no repository to ask
    shutil.move(f"{w.root()}.away", w.root())
    t.equal(w.objects(), before)
    t.equal(w.fetch(names[39]), segment(1, 40))


def test_P9_no_further_than_told(t):
    w = World(t, worker=True, wal="push: { ahead: 0 }")
    names = [w.segment(number) for number in range(1, 6)]
    ready(w, *names)
    for one in names:
        w.expect(w.push(one), 0)
        t.equal([other for other in names if has(w, other)], names[:names.index(one) + 1])


def test_P9_the_asked_for_file_is_first(t):
    """One repository that takes its time: what was asked for last overtakes what was only expected."""
    order = []
    gate = threading.Event()

    def behave(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        order.append(data.split(b" ")[1].decode().rpartition("/")[2].partition("?")[0])
        gate.wait(30)
        connection.close()

    peer = test_wal_push_deadline.Peer(t, behave)
    w = World(t, worker=True, repositories=(), wal=f"push: {{ timeout: {TIMEOUT}s, workers: 1 }}",
              more=[test_wal_push_deadline.row(peer.port)])
    t.defer(gate.set)
    ready(w, *[w.segment(number) for number in range(1, 30)])
    done = w.push(name(1, 25))
    t.equal(done.returncode, 1)
    t.true(len(order) > 0, "the store was asked")


def test_P4_ask6_the_history_is_there_before_its_segments(t):
    w = World(t, worker=True)
    text = test_wal_push.history((1, "0/200000"))
    w.write("00000002.history", text)
    names = [w.segment(number, timeline=2) for number in range(5, 15)]
    ready(w, *names)
    w.expect(w.push(names[0]), 0)
    t.true(has(w, "00000002.history"), "the history")
    until("all of them", lambda: all(has(w, one) for one in names))
    history = os.stat(f"{w.root()}/{w.key_of('00000002.history')}")
    for one in names:
        t.true(os.stat(f"{w.root()}/{w.key_of(one)}").st_mtime_ns >= history.st_mtime_ns, one)
    # another history under that number, in the same worker's life: its segments are refused
    w.write("00000002.history", test_wal_push.history((1, "0/300000")))
    w.expect(w.push(w.segment(20, timeline=2)), 4, "the history of its timeline")


def test_P2_a_conflict_is_told_each_time_and_stops_nothing_else(t):
    w = World(t, worker=True)
    w.expect(w.push(w.segment(1, seed="one")), 0)
    the_first = the_worker(t, w)
    kill(the_first)
    w.segment(1, seed="two")
    others = [w.segment(number) for number in range(2, 8)]
    ready(w, name(1, 1), *others)
    for _ in range(3):
        w.expect(w.push(name(1, 1)), 4, "is archived with other content", "nothing was changed")
    until("the others", lambda: all(has(w, one) for one in others))
    os.unlink(f"{w.pg_wal}/{name(1, 1)}")
    w.segment(1, seed="one")
    w.expect(w.push(name(1, 1)), 0)


# -- killed, stopped, replaced -----------------------------------------------------------------------

def test_trap9_what_a_worker_warns_of_is_in_the_servers_log(t):
    """The server's log is what archive_command writes: a worker's own is the system's, where nobody looks."""
    w = World(t, worker=True)
    one = w.write(name(1, 1) + ".partial", segment(1, 1, seed=1))
    done = w.expect(w.push(one), 0)
    t.equal(done.stderr, "", "nothing to warn of")
    w.write(one, segment(1, 1, seed=2))
    w.expect(w.push(one), 0, "warning: ", "is archived with other content", "was put beside it")
    the_worker(t, w)
    t.equal(w.push(w.segment(2)).stderr, "", "what is said of one is not said of the next")


def test_P10_an_acknowledgement_is_of_these_very_bytes(t):
    w = World(t, worker=True)
    one = w.segment(1, seed="one")
    w.expect(w.push(one), 0)
    pid = the_worker(t, w)
    w.expect(w.push(one), 0)
    # written again in place, with the same size: another ctime
    w.segment(1, seed="two")
    w.expect(w.push(one), 4, "is archived with other content")
    # a file of the same name with the same bytes, but another one: compared, and good
    other = workspace.write(f"{w.folder}/other", segment(1, 1, seed="one"), 0o600)
    os.rename(other, f"{w.pg_wal}/{one}")
    w.expect(w.push(one), 0)
    t.equal(w.workers(), [pid], "it was one worker")


def test_P10_an_acknowledgement_is_of_this_repository_only_while_it_lives(t):
    """What a worker remembers ends with it: the next one asks the store, and pushes what is lost."""
    w = World(t, worker=True)
    one = w.segment()
    w.expect(w.push(one), 0)
    kill(the_worker(t, w))
    os.unlink(f"{w.root()}/{w.key_of(one)}")
    w.expect(w.push(one), 0)
    t.true(has(w, one), "pushed again")


def test_trap15_another_cluster_in_the_same_place_has_another_worker(t):
    w = World(t, worker=True)
    one = w.segment()
    w.expect(w.push(one), 0)
    first = the_worker(t, w)
    workspace.write(f"{w.data}/global/pg_control", control(sysid=4711), 0o600)
    w.expect(w.push(one), 5, str(SYSID), "4711")
    until("the first worker's end", lambda: not alive(first))


def test_trap15_two_data_directories_never_share(t):
    w = World(t, worker=True)
    other = workspace.folder(f"{w.folder}/other", 0o700)
    shutil.copytree(w.data, other, dirs_exist_ok=True)
    for top, folders, names in os.walk(other):
        for inner in folders + names:
            workspace.give(os.path.join(top, inner))
    one = w.segment(1, seed="production")
    ready(w, one, w.segment(2, seed="production"))
    workspace.write(f"{other}/pg_wal/{one}", segment(1, 1, seed="clone"), 0o600)
    w.expect(w.push(one), 0)
    w.expect(w.push(one, cwd=other), 4, "is archived with other content")
    t.equal(len(w.workers()), 2, "workers")
    t.equal(len(os.listdir(f"{w.folder}/spool")), 2, "folders in the spool")
    until("the second", lambda: has(w, name(1, 2)))
    t.equal(w.fetch(name(1, 2)), segment(1, 2, seed="production"))


def make_anew(w):
    shutil.rmtree(w.root())
    workspace.folder(w.root(), 0o700)
    workspace.run([f"{push_world.programs()}/make_repo", w.config, "primary", SYSID, 15, w.size])


def push_until_one_comes_back(w, first):
    """For a moment a repository is taken to be the one it was."""
    numbers = iter(range(first, 4096))

    def comes_back():
        one = w.segment(next(numbers))
        w.expect(w.push(one), 0)
        return workspace.run([f"{push_world.programs()}/cpam-wal-fetch", "--config", w.config, one,
                              f"{w.folder}/back"], check=False).returncode == 0

    until("a segment that comes back", comes_back)


def test_P6_P10_what_the_repository_of_before_had_is_not_acknowledged(t):
    w = World(t, worker=True)
    names = [w.segment(number) for number in range(1, 6)]
    ready(w, *names)
    w.expect(w.push(names[0]), 0)
    pid = the_worker(t, w)
    until("all of them", lambda: all(has(w, one) for one in names))
    make_anew(w)
    push_until_one_comes_back(w, 6)
    for one in names[1:]:
        w.expect(w.push(one), 0)
        t.true(has(w, one), f"{one} was acknowledged, and is there")
    t.equal(w.workers(), [pid], "who answered")


def test_P6_a_repository_that_was_made_anew_is_noticed(t):
    """What is sealed for the one before it could never be read again."""
    w = World(t, worker=True)
    w.expect(w.push(w.segment(1)), 0)
    make_anew(w)
    push_until_one_comes_back(w, 2)


def test_P13_an_optional_repository_never_decides(t):
    """Neither does its backlog, where there is no place for one."""
    w = World(t, worker=True, more=["{ name: dr, url: file:///nonexistent/dr, required: false }"])
    workspace.folder(f"{w.folder}/state", 0o700)
    workspace.write(f"{w.folder}/state/backlog", "")
    w.expect(w.push(w.segment(1)), 0)
    t.equal(w.fetch(name(1, 1)), segment(1, 1))


@tap.limit(600)
def test_P10_killed_at_any_time_nothing_acknowledged_is_lost(t):
    w = World(t, worker=True)
    chance = random.Random(7)
    number, killed, acknowledged = 0, 0, []
    until_time = time.monotonic() + 300
    while (killed < 40 or number < 60) and time.monotonic() < until_time and number < 2000:
        number += 1
        one = w.segment(number)
        ready(w, one, w.segment(number + 1), w.segment(number + 2))
        process = w.start(one)
        time.sleep(chance.uniform(0, 0.06))  # not a wait: the moment of the kill
        for pid in w.workers():
            if chance.random() < 0.7:
                os.kill(pid, signal.SIGKILL)
                killed += 1
        out, err = process.communicate(timeout=100)
        if process.returncode == 0:
            acknowledged.append(number)
        else:
            t.true(1 <= process.returncode <= 125, f"exit status {process.returncode}: {err}")
            w.expect(w.push(one), 0)
            acknowledged.append(number)
        os.unlink(f"{w.pg_wal}/archive_status/{one}.ready")
    t.note(f"{killed} kills, {number} segments")
    t.true(killed >= 20, "it was killed often enough")
    for one in acknowledged:
        t.true(has(w, name(1, one)), f"segment {one}")
    for one in acknowledged[::10]:
        t.equal(w.fetch(name(1, one)), segment(1, one))


def test_P11_a_stopped_worker_is_replaced(t):
    w = World(t, worker=True, wal="push: { timeout: 60s }")
    w.expect(w.push(w.segment(1)), 0)
    pid = the_worker(t, w)
    os.kill(pid, signal.SIGSTOP)
    w.expect(w.push(w.segment(2)), 0)
    until("the stopped one's end", lambda: not alive(pid))
    t.true(the_worker(t, w) != pid, "another one")


def test_P11_a_stopped_worker_and_little_time(t):
    w = World(t, worker=True, wal="push: { timeout: 2s }")
    w.expect(w.push(w.segment(1)), 0)
    os.kill(the_worker(t, w), signal.SIGSTOP)
    start = time.monotonic()
    done = w.push(w.segment(2))
    took = time.monotonic() - start
    t.true(took < 15, f"an answer after {took:.1f} s")
    w.expect(done, 1, "is not archived", "wal.push.timeout")


def test_P11_it_goes_on_in_the_background(t):
    """A store that answers after the caller has given up: the next call finds it done."""
    w = World(t, worker=True, wal="push: { timeout: 2s }")
    one = w.segment()
    path = f"{w.root()}/repo.json"
    with open(path, "rb") as file:
        identity = file.read()
    os.unlink(path)
    os.mkfifo(path)
    workspace.give(path)
    w.expect(w.push(one), 1, "is not archived")
    os.unlink(path)
    workspace.write(path, identity, 0o600)
    w.expect(w.push(one), 0)


if __name__ == "__main__":
    tap.main(globals())
