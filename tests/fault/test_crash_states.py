"""test_crash_states.py - the model of a power cut finds planted faults: without that, a test that
finds none would mean nothing."""
import os

import crash_states
import push_world
from push_world import tap


def log_of(t, *lines):
    path = os.path.join(t.folder(), "log")
    with open(path, "wb") as file:
        file.write(b"".join(line if isinstance(line, bytes) else line.encode() + b"\n"
                            for line in lines))
    return path


WRITE = b"write\t2\t0\t4\nbody\n"
RIGHT = ["seen\t1\t/r", "create\t1\t.tmp\t2", WRITE, "fsync\t2", "link\t1\tname\t2",
         "unlink\t1\t.tmp", "fsync\t1"]


def worst(t, lines):
    """What is wrong at the end ("lost", "half") or before it ("half early"), as a set."""
    found = set()
    for point, total, _, files in crash_states.states({"/r": None}, log_of(t, *lines)):
        content = files.get("/r/name")
        if content not in (None, b"body"):
            found.add("half" if point == total else "half early")
        if point == total and content is None:
            found.add("lost")
    return found


def test_T10_the_right_order_leaves_nothing_to_chance(t):
    t.equal(worst(t, RIGHT), set())


def test_T10_an_fsync_of_the_directory_left_out_is_found(t):
    t.equal(worst(t, RIGHT[:-1]), {"lost"})


def test_T10_an_fsync_of_the_file_left_out_is_found(t):
    t.equal(worst(t, [line for line in RIGHT if line != "fsync\t2"]), {"half", "half early"})


def test_T10_an_fsync_after_the_link_is_found(t):
    t.equal(worst(t, [*RIGHT[:3], "link\t1\tname\t2", "fsync\t2", "unlink\t1\t.tmp", "fsync\t1"]),
            {"half early"})


def test_T10_a_directory_whose_own_entry_is_not_synced_is_found(t):
    lines = ["seen\t1\t/r", "mkdir\t1\td\t3", "create\t3\tname\t2", WRITE, "fsync\t2", "fsync\t3"]
    lost = [files for point, total, _, files in
            crash_states.states({"/r": None}, log_of(t, *lines))
            if point == total and files.get("/r/d/name") != b"body"]
    t.true(lost, "a state without the file")
    kept = [files for point, total, _, files in
            crash_states.states({"/r": None}, log_of(t, *lines, "fsync\t1"))
            if point == total and files.get("/r/d/name") != b"body"]
    t.equal(kept, [])


def test_T10_a_rename_over_an_old_file_keeps_one_of_them(t):
    lines = ["seen\t1\t/r", "create\t1\t.tmp\t2", WRITE, "fsync\t2", "rename\t1\t.tmp\t1\tname\t2",
             "fsync\t1"]
    found = {files.get("/r/name") for _, _, _, files in
             crash_states.states({"/r": None, "/r/name": b"old"}, log_of(t, *lines))}
    t.equal(found, {b"old", b"body"})


if __name__ == "__main__":
    tap.main(globals())
