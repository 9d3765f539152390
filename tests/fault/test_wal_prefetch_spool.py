"""test_wal_prefetch_spool.py - the spool is full, read-only or gone, from the start or in the middle of a
recovery: each segment is delivered, absent is 1 and unknown is 254, as if there had never been a worker."""
import glob
import os
import shutil

from test_wal_prefetch import Archive  # before push_world, which knows tests/live, where another one is
import small_disk
from push_world import name, tap, workspace

from harness import cluster

LAST = 8  # of the archived segments


def spooled(w):
    return glob.glob(f"{w.folder}/spool/*/prefetch/*")


def all_are_right(w, about):
    """Each answer in archive recovery, and on a standby; nothing of it is remembered."""
    for number in range(1, LAST + 1):
        w.expect(w.ask(number), 0)
        w.t.true(w.whole_or_absent(number, about), f"{name(1, number)} is delivered: {about}")
    hole = f"{w.root()}/{w.key_of(name(1, 5))}"
    for signal, unknown in (("standby.signal", 1), ("recovery.signal", 254)):
        for other in ("standby.signal", "recovery.signal"):
            if os.path.exists(f"{w.data}/{other}"):
                os.unlink(f"{w.data}/{other}")
        workspace.write(f"{w.data}/{signal}", "")
        w.expect(w.ask(LAST + 1), 1)
        os.rename(hole, f"{w.folder}/hole")
        w.expect(w.ask(5), unknown, "missing although later segments")
        os.rename(f"{w.folder}/hole", hole)
        shutil.move(w.root(), f"{w.root()}.away")
        w.expect(w.ask(5), unknown)
        shutil.move(f"{w.root()}.away", w.root())
        w.expect(w.ask(5), 0)
        w.t.true(w.whole_or_absent(5, about), f"delivered: {about}")


def fetched_ahead(w):
    """A worker is there, and has something ready."""
    w.expect(w.ask(1), 0)
    w.whole_or_absent(1, "no fault")
    cluster.wait_for(lambda: spooled(w), 180, "a segment to be fetched ahead")


def _full(options, fill):
    @tap.limit(600)
    def case(t):
        w = Archive(t, "")
        fill(small_disk.mount(t, f"{w.folder}/spool", options))
        all_are_right(w, f"a full spool ({options})")
        t.equal(spooled(w), [], "what was fetched ahead")
    return case


test_F1_F9_a_spool_that_is_full = _full("size=64k", small_disk.fill)
test_F1_F9_a_spool_without_a_free_inode = _full("size=64m,nr_inodes=16", small_disk.fill_inodes)


@tap.limit(600)
def test_F1_F9_a_spool_that_becomes_full_and_is_emptied(t):
    w = Archive(t, "")
    spool = small_disk.mount(t, f"{w.folder}/spool", "size=64m")
    fetched_ahead(w)
    small_disk.fill(spool)
    all_are_right(w, "a spool that became full")
    small_disk.make_room(spool)
    fetched_ahead(w)
    all_are_right(w, "a spool that has room again")
    # and in the middle: each time before what is asked for next can be written
    for number in range(1, LAST + 1):
        workspace.end_workers(w.folder)
        small_disk.make_room(spool)
        w.expect(w.ask(1), 0)
        w.whole_or_absent(1, "no fault")
        small_disk.fill(spool)
        w.expect(w.ask(number), 0)
        t.true(w.whole_or_absent(number, "a spool that becomes full"), f"{number} is delivered")


@tap.limit(600)
def test_F1_F9_a_spool_that_is_read_only(t):
    w = Archive(t, "")
    spool = small_disk.mount(t, f"{w.folder}/spool", "size=64m")
    small_disk.read_only(spool)
    all_are_right(w, "a spool that is read-only")
    t.equal(workspace.workers(w.folder), {}, "workers")
    small_disk.read_only(spool, False)
    fetched_ahead(w)
    workspace.end_workers(w.folder)
    t.true(os.listdir(spool), "a place is there from before")
    small_disk.read_only(spool)
    all_are_right(w, "a spool that became read-only")
    t.equal(workspace.workers(w.folder), {}, "workers")


def is_gone(path):
    """Deletes what is there; a worker that goes on may have made something new meanwhile."""
    if not os.path.isdir(path):
        os.unlink(path)
        return True
    shutil.rmtree(path, ignore_errors=True)
    return not os.path.exists(path)


@tap.limit(600)
def test_F1_F9_a_spool_that_is_deleted(t):
    w = Archive(t, "")
    spool = f"{w.folder}/spool"
    for what in (spool, f"{spool}/*", f"{spool}/*/prefetch", f"{spool}/*/fetch.sock", f"{spool}/*/prefetch/*"):
        fetched_ahead(w)
        gone = glob.glob(what)
        t.true(gone, f"{what} is there")
        for path in gone:
            cluster.wait_for(lambda path=path: is_gone(path), 60, f"{path} to be deleted")
        all_are_right(w, f"{what} was deleted")
        workspace.end_workers(w.folder)
        workspace.folder(spool, 0o700)
    fetched_ahead(w)


if __name__ == "__main__":
    tap.main(globals())
