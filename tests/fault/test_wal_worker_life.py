"""test_wal_worker_life.py - where a worker can be and where not, how it comes to be, is replaced and ends."""
import os
import shutil
import signal
import subprocess
import time

import push_world
import small_disk
import test_wal_push_deadline
from push_world import World, name, segment, tap, workspace
from worker_world import alive, has, kill, ready, the_worker, until


# -- no place for a worker ---------------------------------------------------------------------------

def test_P14_without_a_spool_it_is_done_in_the_foreground(t):
    w = World(t, worker=True)
    os.rmdir(f"{w.folder}/spool")
    w.expect(w.push(w.segment(1)), 0, "in the foreground")
    t.equal(w.workers(), [])
    # a file in its place; a folder somebody else can write to; one that can't be written
    workspace.write(f"{w.folder}/spool", "")
    w.expect(w.push(w.segment(2)), 0, "in the foreground")
    os.unlink(f"{w.folder}/spool")
    workspace.folder(f"{w.folder}/spool", 0o500)
    done = w.push(w.segment(3))
    w.expect(done, 0)
    if os.geteuid() == 0 or "in the foreground" in done.stderr:
        t.holds(done.stderr, "in the foreground")
    t.equal(w.fetch(name(1, 3)), segment(1, 3))


def test_P14_the_spool_goes_away_under_a_worker(t):
    w = World(t, worker=True)
    w.expect(w.push(w.segment(1)), 0)
    pid = the_worker(t, w)
    shutil.rmtree(f"{w.folder}/spool")
    w.expect(w.push(w.segment(2)), 0, "in the foreground")
    until("the worker's end", lambda: not alive(pid))
    workspace.folder(f"{w.folder}/spool", 0o700)
    w.expect(w.push(w.segment(3)), 0)
    t.equal(len(w.workers()), 1)


def test_P14_a_full_spool(t):
    w = World(t, worker=True)
    small_disk.fill(small_disk.mount(t, f"{w.folder}/spool"))
    for number in range(1, 4):
        w.expect(w.push(w.segment(number)), 0)
        t.equal(w.fetch(name(1, number)), segment(1, number))


def test_P14_a_spool_without_a_free_inode(t):
    w = World(t, worker=True)
    small_disk.fill_inodes(small_disk.mount(t, f"{w.folder}/spool", "size=1m,nr_inodes=8"))
    for number in range(1, 4):
        w.expect(w.push(w.segment(number)), 0, "in the foreground")
        t.equal(w.fetch(name(1, number)), segment(1, number))


def test_P14_a_spool_that_becomes_full_under_a_worker(t):
    """It goes on, or the foreground does; and so it is when the worker ends meanwhile."""
    w = World(t, worker=True)
    spool = small_disk.mount(t, f"{w.folder}/spool", "size=1m")
    w.expect(w.push(w.segment(1)), 0)
    pid = the_worker(t, w)
    small_disk.fill(spool)
    names = [w.segment(number) for number in range(2, 6)]
    ready(w, *names)
    for one in names:
        w.expect(w.push(one), 0)
    kill(pid)
    w.expect(w.push(w.segment(6)), 0)
    small_disk.make_room(spool)
    w.expect(w.push(w.segment(7)), 0)
    the_worker(t, w)
    for number in range(1, 8):
        t.equal(w.fetch(name(1, number)), segment(1, number))


def test_P14_a_spool_on_a_read_only_file_system(t):
    w = World(t, worker=True)
    spool = small_disk.mount(t, f"{w.folder}/spool")
    small_disk.read_only(spool)
    w.expect(w.push(w.segment(1)), 0, "in the foreground")
    t.equal(w.workers(), [])
    # nor with the place of an earlier worker in it
    small_disk.read_only(spool, False)
    w.expect(w.push(w.segment(2)), 0)
    push_world.workers.end(w.folder)
    small_disk.read_only(spool)
    w.expect(w.push(w.segment(3)), 0, "in the foreground")
    t.equal(w.workers(), [])
    for number in (1, 2, 3):
        t.equal(w.fetch(name(1, number)), segment(1, number))


# -- its life ----------------------------------------------------------------------------------------

def serve(t, w, *options):
    process = subprocess.Popen(
        [f"{push_world.programs()}/cpam-wal-worker", "--config", w.config, "--serve", w.data, *options],
        cwd="/", env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, **workspace.as_user())
    t.defer(process.stderr.close)
    t.defer(process.wait)
    t.defer(process.kill)
    return process


def socket_there(w):
    spool = f"{w.folder}/spool"
    return any("push.sock" in os.listdir(f"{spool}/{one}") for one in os.listdir(spool))


def test_P9_it_ends_when_there_is_nothing_to_do(t):
    w = World(t, worker=True)
    process = serve(t, w, "--foreground", "--idle", "1s")
    t.equal(process.wait(180), 0)
    t.true(not socket_there(w), "it left no socket")


def test_trap29_a_service_stays_and_is_used(t):
    w = World(t, worker=True)
    process = serve(t, w, "--foreground", "--idle", "0")
    until("the socket", lambda: socket_there(w))
    w.expect(w.push(w.segment(1)), 0)
    t.equal(w.workers(), [process.pid], "the one that was there answered")
    process.send_signal(signal.SIGTERM)
    t.equal(process.wait(180), 0)


def test_trap29_a_worker_holds_nothing_of_its_starter(t):
    w = World(t, worker=True)
    read, write = os.pipe()
    one = w.segment()
    done = subprocess.run(w.command(f"pg_wal/{one}"), cwd=w.data, env=workspace.environment(),
                          stdin=subprocess.DEVNULL, stdout=write, stderr=write, pass_fds=(write,),
                          check=False, **workspace.as_user())
    os.close(write)
    t.equal(done.returncode, 0)
    pid = the_worker(t, w)
    with os.fdopen(read, "rb") as pipe:
        pipe.read()  # comes to its end although the worker lives
    t.true(alive(pid), "the worker lives")
    t.equal(os.readlink(f"/proc/{pid}/cwd") if os.geteuid() == 0 else "/", "/")
    t.true(os.getsid(pid) != os.getsid(0), "a session of its own")


def test_trap29_it_drains_what_is_left_when_the_server_has_gone(t):
    w = World(t, worker=True)
    names = [w.segment(number) for number in range(1, 20)]
    w.expect(w.push(names[0]), 0)
    ready(w, *names)  # there is no postmaster.pid in this directory
    until("all of them", lambda: all(has(w, one) for one in names))


def test_trap7_a_server_that_did_not_ask_is_not_archived_for(t):
    """A copy that is restored in its place has .ready files, and an archive_command that refuses."""
    w = World(t, worker=True)
    process = serve(t, w, "--foreground", "--idle", "4s")
    until("the socket", lambda: socket_there(w))
    workspace.write(f"{w.data}/postmaster.pid", f"{os.getpid()}\n{w.data}\n1700000000\n")
    w.expect(w.push(w.segment(1)), 0)
    ready(w, w.segment(2))
    until("what its server has next", lambda: has(w, name(1, 2)))
    workspace.write(f"{w.data}/postmaster.pid", f"{os.getpid()}\n{w.data}\n1700000009\n")
    ready(w, w.segment(3))
    t.equal(process.wait(180), 0, "it ends although there is something to do")
    t.true(not has(w, name(1, 3)), "the other server's segment is not archived")


def test_P9_it_ends_with_its_data_directory(t):
    w = World(t, worker=True)
    w.expect(w.push(w.segment(1)), 0)
    pid = the_worker(t, w)
    os.rename(w.data, f"{w.data}.old")
    until("the worker's end", lambda: not alive(pid))


def test_P9_a_new_version_and_a_new_configuration_take_over(t):
    w = World(t, worker=True)
    w.expect(w.push(w.segment(1)), 0)
    first = the_worker(t, w)
    with open(w.config, encoding="utf-8") as file:
        text = file.read()
    workspace.write(w.config, text + "# changed\n", 0o600)
    w.expect(w.push(w.segment(2)), 0)
    until("the first one's end", lambda: not alive(first))
    second = the_worker(t, w)
    # an upgrade puts another file in the program's place
    program = f"{push_world.programs()}/cpam-wal-worker"
    shutil.copy(program, f"{program}.new")
    os.rename(f"{program}.new", program)
    w.expect(w.push(w.segment(3)), 0)
    until("the second one's end", lambda: not alive(second))
    t.true(the_worker(t, w) != second, "another one")


def test_P9_one_worker_whoever_calls(t):
    """Twenty callers at once, no worker there: one is started, and all are answered."""
    w = World(t, worker=True)
    calls = [w.start(w.segment(number)) for number in range(1, 21)]
    for call in calls:
        _, err = call.communicate(timeout=100)
        t.equal(call.returncode, 0, err)
    until("a single worker", lambda: len(w.workers()) == 1)


def test_S1_a_store_that_fails_is_left_alone_for_a_while(t):
    peer = test_wal_push_deadline.Peer(t, test_wal_push_deadline.drop)
    w = World(t, worker=True, repositories=(), wal="push: { timeout: 1s }",
              more=[test_wal_push_deadline.row(peer.port)])
    names = [w.segment(number) for number in range(1, 40)]
    ready(w, *names)
    w.expect(w.push(names[0]), 1)
    pid = the_worker(t, w)
    asked = peer.asked
    time.sleep(3)  # what is counted is what it does in this time by itself
    t.note(f"{peer.asked - asked} connections in 3 s")
    t.true(peer.asked - asked < 200, "it does not hammer")
    t.true(alive(pid), "the worker lives")


if __name__ == "__main__":
    tap.main(globals())
