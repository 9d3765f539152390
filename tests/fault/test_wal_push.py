"""test_wal_push.py - cpam-wal-push on directory repositories: what it accepts, refuses and promises."""
import os
import re
import shutil
import subprocess

import push_world
from push_world import MIB, SYSID, World, name, segment, tap, workspace

HEX64 = re.compile(r"\b[0-9a-f]{64}\b")


def history(*entries):
    return "".join(f"{timeline}\t{lsn}\tno recovery target specified\n" for timeline, lsn in entries)


def test_P1_the_same_segment_twice_sends_no_body(t):
    w = World(t)
    one = w.segment()
    w.expect(w.push(one), 0)
    before = w.objects()
    t.true(w.key_of(one) in before, f"{w.key_of(one)} is stored")
    log = f"{w.folder}/log"
    w.expect(w.push(one, program="cpam-wal-worker-twin", env={"CPAM_TWIN_LOG": log}), 0)
    t.equal(w.objects(), before, "content, inode and time of every object")
    with open(log, "rb") as file:
        t.lacks(file.read().decode("latin-1"), ["write\t", "create\t", "link\t"], "the twin's log")
    t.equal(w.fetch(one), segment(1, 1))


def test_P1_the_same_segment_from_another_directory_and_by_an_absolute_path(t):
    w = World(t)
    one = w.segment()
    w.expect(w.push(one, path=f"{w.pg_wal}/{one}", cwd="/"), 0)
    shutil.copy(f"{w.pg_wal}/{one}", f"{w.folder}/{one}")
    workspace.give(f"{w.folder}/{one}")
    w.expect(w.push(one, path=one, cwd=w.folder), 0)
    w.expect(w.push(one, path=one, cwd=w.pg_wal), 0)
    t.equal(w.fetch(one), segment(1, 1))


def test_P2_another_content_is_refused_and_both_are_named(t):
    w = World(t)
    one = w.segment(seed="one")
    w.expect(w.push(one), 0)
    before = w.objects()
    w.segment(seed="two")
    done = w.expect(w.push(one), 4, one, "is archived with other content", "content id", str(SYSID),
                    "timeline 1", "nothing was changed")
    ids = HEX64.findall(done.stderr)
    t.equal(len(set(ids)), 2, f"different content ids in {done.stderr!r}")
    t.equal(done.stderr.count(str(SYSID)), 2, "both system identifiers")
    t.equal(len(re.findall(r"timeline 1\b", done.stderr)), 2, "both timelines")
    t.equal(w.objects(), before, "content, inode and time of every object")
    t.equal(w.fetch(one), segment(1, 1, seed="one"))


def test_P2_partial_and_backup_go_beside_what_is_there(t):
    w = World(t)
    for ending, first, second in [
            (".partial", segment(1, 1, seed=1), segment(1, 1, seed=2)),
            (".00000028.backup", *[f"START WAL LOCATION: 0/100028 (file {name(1, 1)})\n{one}\n"
                                   for one in ("one", "two")])]:
        one = w.write(name(1, 1) + ending, first)
        w.expect(w.push(one), 0)
        before = w.objects()
        w.write(one, second)
        w.expect(w.push(one), 0, "was put beside it")
        after = w.objects()
        t.equal({key: after[key] for key in before}, before, "what was there")
        fresh = sorted(set(after) - set(before))
        t.equal(len(fresh), 1, f"one object more: {fresh}")
        t.true(re.fullmatch(re.escape(w.key_of(name(1, 1)) + ending) + r"\.[0-9a-f]{16}", fresh[0]),
               f"the name of {fresh[0]}")
        w.expect(w.push(one), 0)
        t.equal(w.objects(), after, "the second one again changes nothing")


@tap.limit(900)
def test_P3_ask3_fault_4_of_two_pushers_exactly_one_wins_a_thousand_rounds(t):
    w = World(t)
    other = workspace.folder(f"{w.folder}/other", 0o700)
    shutil.copytree(w.data, other, dirs_exist_ok=True)
    for top, folders, names in os.walk(other):
        for one in folders + names:
            workspace.give(os.path.join(top, one))
    noise = [segment(1, 1, seed=seed) for seed in ("a", "b")]
    for number in range(1, 1001):
        one = name(1, number)
        head = segment(1, number)[:40]
        for folder, rest in ((w.data, noise[0]), (other, noise[1])):
            workspace.write(f"{folder}/pg_wal/{one}", head + rest[40:], 0o600)
        race = [w.start(one, cwd=folder) for folder in (w.data, other)]
        ends = [(process.communicate()[1], process.returncode) for process in race]
        codes = sorted(code for _, code in ends)
        t.equal(codes, [0, 4], f"round {number}: {ends}")
        winner = [code for _, code in ends].index(0)
        if number % 50 == 0:
            t.equal(w.fetch(one), head + noise[winner][40:], f"round {number}: the winner's content")
        for folder in (w.data, other):
            os.unlink(f"{folder}/pg_wal/{one}")
    t.equal(len([key for key in w.objects() if key.startswith("wal/")]), 1000)
    t.equal(w.stray(), [])


def test_P4_a_history_is_never_replaced(t):
    w = World(t)
    for timeline in (2, 0x0A, 0xFF):
        text = history((1, "0/2000000"))
        one = w.write(f"{timeline:08X}.history", text)
        w.expect(w.push(one), 0)
        before = w.objects()
        t.true(w.key_of(one) in before, f"{w.key_of(one)} is stored")
        w.expect(w.push(one), 0)
        w.write(one, text.replace("no recovery", "another recovery"))
        w.expect(w.push(one), 4, "is archived with other content")
        t.equal(w.objects(), before)
        t.equal(w.fetch(one), text.encode())


def test_P4_segments_of_a_timeline_somebody_else_has_are_refused(t):
    w = World(t)
    one = w.write("00000002.history", history((1, "0/200000")))
    w.expect(w.push(one), 0)
    w.write(one, history((1, "0/300000")))
    before = w.objects()
    w.expect(w.push(w.segment(5, timeline=2)), 4, "the history of its timeline",
             "is archived with other content")
    t.equal(w.objects(), before)


def test_P4_a_segment_brings_the_history_of_its_timeline(t):
    w = World(t)
    text = history((1, "0/200000"))
    w.write("00000002.history", text)
    one = w.segment(5, timeline=2)
    w.expect(w.push(one), 0, 'archived "00000002.history"')
    t.equal(w.fetch("00000002.history"), text.encode())
    os.unlink(f"{w.pg_wal}/00000002.history")
    w.expect(w.push(w.segment(6, timeline=2)), 0)
    w.expect(w.push(w.segment(6, timeline=3)), 0, "nobody can recover along timeline 3")
    w.write("00000003.history", "rubbish\n")
    w.expect(w.push(w.segment(7, timeline=3)), 5, "the history of its timeline")


REFUSED_NAMES = [
    "", "x", "000000010000000000000001.", "00000001000000000000000", "0000000100000000000000011",
    "00000001000000000000000g", "0000000100000000000000fe", "000000000000000000000001",
    "00000001000000000000000 ", " 00000001000000000000001", "000000010000000000000001.PARTIAL",
    "000000010000000000000001.partial.x", "000000010000000000000001.partia",
    "000000010000000000000001.backup", "000000010000000000000001.28.backup",
    "000000010000000000000001.0000002g.backup", "000000010000000000000001.000000280.backup",
    "000000010000000000000001.00000028.Backup", "00000002.histor", "00000002.history.x",
    "0000002.history", "000000002.history", "0000000g.history", "00000000.history", ".history",
    "00000001.history", "RECOVERYXLOG", "RECOVERYHISTORY", "000000010000000000001000",
    "archive_status", "0x000001000000000000000001", "000000010000000000000001\n",
    "0000000100000000\u00e900000001", "000000010000000000000001.partial ",
    "-00000010000000000000001", "backup_label", "000000010000000000000001.gz",
    "000000010000000000000001.zst", "000000010000000000000001%", "00000001-0000000000000001",
]


def test_P5_other_names_are_refused_before_anything_is_asked(t):
    w = World(t)
    t.true(len(REFUSED_NAMES) >= 40, "forty names")
    before = w.objects()
    trace = f"{w.folder}/trace"
    for one in REFUSED_NAMES:
        if one:
            w.write(one, segment(1, 1))
        done = w.push(one, "--", program="cpam-wal-worker-twin",
                      env={"CPAM_TWIN_COUNT": f"{w.folder}/count", "CPAM_TWIN_TRACE": trace})
        w.expect(done, 5)
        with open(trace, encoding="utf-8", errors="replace") as file:
            t.lacks(file.read(), w.root(), f"the trace for {one!r}")
    t.equal(w.objects(), before)


def test_P5_each_kind_of_file_is_accepted(t):
    w = World(t)
    w.expect(w.push(w.segment(1)), 0)
    w.expect(w.push(w.segment(4095)), 0)
    w.expect(w.push(w.segment(4096)), 0)
    w.expect(w.push(w.write(name(1, 2) + ".partial", segment(1, 2))), 0)
    w.expect(w.push(w.write("0000000A.history", history((1, "0/200000")))), 0)
    w.expect(w.push(w.write(name(1, 1) + ".00000028.backup",
                            f"START WAL LOCATION: 0/100028 (file {name(1, 1)})\n")), 0)
    t.equal(w.fetch(name(1, 4096)), segment(1, 4096))


def test_P6_another_cluster_is_refused(t):
    w = World(t)
    before = w.objects()
    one = w.segment(1, sysid=4711)
    w.expect(w.push(one), 5, "4711", str(SYSID))
    # apart from any data directory the repository's own records decide
    apart = workspace.folder(f"{w.folder}/apart/wal")
    shutil.copy(f"{w.pg_wal}/{one}", apart)
    workspace.give(f"{apart}/{one}")
    w.expect(w.push(one, path=f"{apart}/{one}", cwd="/"), 5, "4711")
    t.equal(w.objects(), before)


def test_P14_a_repository_of_another_key_is_no_fault_of_the_file(t):
    """5 says that the file is wrong, for a person to look at it; here it is the configuration."""
    w = World(t)
    one = w.segment()
    w.expect(w.push(one), 0)
    with open(f"{w.folder}/key", encoding="ascii") as file:
        kept = file.read()
    workspace.write(f"{w.folder}/key", push_world.keyfile_text(), 0o600)
    w.expect(w.push(one), 1, '"repo.json"', "which the configuration does not hold")
    # nor is what a holder of another key put under its name
    workspace.write(f"{w.folder}/key", kept, 0o600)
    key = push_world.keyfile_text()
    workspace.write(f"{w.folder}/other-key", key, 0o600)
    with open(w.config, encoding="utf-8") as file:
        text = file.read()
    both = workspace.write(f"{w.folder}/both.yaml", text.replace(
        f"keyfile: {w.folder}/key", f"keyfile: {w.folder}/other-key").replace(
        "encryption: {", f"encryption: {{ identities: [ {{ keyfile: {w.folder}/key }} ],"), 0o600)
    two = w.segment(2)
    done = subprocess.run([f"{push_world.programs()}/cpam-wal-push", "--config", both,
                           f"{w.pg_wal}/{two}"], cwd="/", env=workspace.environment(),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, check=False, **workspace.as_user())
    w.expect(done, 0)
    w.expect(w.push(two), 1, two, "which the configuration does not hold",
             "find out who can write to the store")


def test_P7_a_first_page_that_does_not_fit_is_refused(t):
    w = World(t)
    one = name(1, 3)
    good = segment(1, 3)
    before = w.objects()
    wrong = [
        (b"", "is empty"),
        (good[:20], 'is not a WAL segment: 20 bytes are too few'),
        (good[:8192], "bytes"),
        (good[:-1], "bytes"),
        (good + b"\0", "bytes"),
        (good * 2, "bytes"),
        (segment(1, 4), "recycled or renamed"),
        (segment(2, 3), "timeline"),
        (segment(1, 3, magic=0x1234), "magic"),
        (bytes(MIB), "magic"),
        (segment(1, 3, size=2 * MIB)[:MIB], "2097152"),
        (good[:36] + bytes(4) + good[40:], "block"),
        (good[:2] + bytes(2) + good[4:], "header"),
    ]
    for content, words in wrong:
        w.write(one, content)
        w.expect(w.push(one), 5, words)
    t.equal(w.objects(), before)
    w.write(one, good)
    w.expect(w.push(one), 0)


def test_P7_trap_2_the_segment_where_a_timeline_began_is_accepted(t):
    w = World(t)
    one = w.segment(3, timeline=2, header_timeline=1)
    w.expect(w.push(one), 5, "timeline 1")
    w.write("00000002.history", history((1, "0/2FFFFF")))
    w.expect(w.push(one), 5, "timeline 1")
    w.write("00000002.history", history((1, "0/3ABCD0")))
    w.expect(w.push(one), 0)
    w.expect(w.push(w.segment(4, timeline=2, header_timeline=1)), 5, "timeline 1")
    w.expect(w.push(w.segment(3, timeline=2, header_timeline=3)), 5, "timeline 3")


def flipped(w, one, kind, number, size, env=None):
    """Push while a byte of the file is flipped right before the given call; its exit status, the
    content that is stored (None if none) and what the file holds now."""
    env = {"CPAM_TWIN_FLIP": f"{w.pg_wal}/{one}:{size - 4096}:{kind}:{number}", **(env or {})}
    done = w.push(one, program="cpam-wal-worker-twin", env=env)
    with open(f"{w.pg_wal}/{one}", "rb") as file:
        now = file.read()
    stored = w.key_of(one) in w.objects()
    return done.returncode, w.fetch(one) if stored else None, now


def test_P8_the_id_is_of_the_bytes_that_were_sent(t):
    w = World(t)
    # a short read limit makes several reads of the one pass
    outcomes = set()
    for number in range(1, 14):
        one = w.segment(number)
        before = segment(1, number)
        code, stored, now = flipped(w, one, "pread", number, MIB,
                                    {"CPAM_TWIN_SHORT": str(MIB // 8)})
        outcomes.add((code == 0, now == before))
        if code != 0:  # seen: nothing is sent, and the next call finds the file as it is now
            t.true(code in range(1, 126), f"flip before read {number}: {code}")
            t.true(stored is None and now != before, f"flip before read {number}: nothing is stored")
            w.expect(w.push(one), 0)
            t.equal(w.fetch(one), now)
            continue
        t.true(stored in (before, now), f"flip before read {number}: one of both contents is stored")
        # the id that is compared here was made from the very bytes that are stored
        w.expect(w.push(one), 0 if stored == now else 4)
        w.write(one, before)
        w.expect(w.push(one), 0 if stored == before else 4)
    t.true(any(not unchanged for _, unchanged in outcomes), f"some flip happened: {outcomes}")


@tap.limit(600)
def test_P8_a_large_segment_that_changes_between_its_two_readings(t):
    # not compressed, it is too large to be held: read in vain, then for its id, then to be sealed
    size = 64 * MIB
    w = World(t, size=size, rest="compression: { wal: none }\n")
    changed = refused = 0
    for number, call in enumerate((3, 25, 60, 85, 100, 120, 140, 150), 1):
        one = w.segment(number)
        code, stored, now = flipped(w, one, "pread", call, size)
        if code == 0:
            t.true(stored is not None, "0 means stored")
            w.expect(w.push(one), 0 if stored == now else 4)
            changed += stored == now
        else:
            t.equal(code in range(1, 126), True, "a failure in 1..125")
            t.true(stored is None, "nothing is stored")
            refused += 1
        os.unlink(f"{w.pg_wal}/{one}")
        shutil.rmtree(f"{w.root()}/wal", ignore_errors=True)
        t.note(f"flip before pread {call}: {code}, {'new' if stored == now else 'old or none'}")
    t.note(f"{changed} stored what is there now")
    t.true(refused > 0, "some push saw two contents, and stored neither")


def test_unclaimed_refuses_always(t):
    w = World(t)
    one = w.segment()
    before = w.objects()
    w.expect(w.push(one, "--unclaimed"), 6, "cpam-repo claim", "nobody has claimed")
    shutil.move(w.config, f"{w.config}.away")
    w.expect(w.push(one, "--unclaimed"), 6, "cpam-repo claim")
    w.expect(w.push("no-such-name", "--unclaimed"), 6, "cpam-repo claim")
    w.expect(w.push(one), 2, "config.yaml")
    t.equal(w.objects(), before)


def test_every_required_repository_or_not_zero(t):
    w = World(t, repositories=("first", "second"))
    one = w.segment()
    w.expect(w.push(one), 0)
    for repository in ("first", "second"):
        t.true(w.key_of(one) in w.objects(repository), f"{one} in {repository}")
    # the first is away: the second is served all the same, and the answer is not 0
    two = w.segment(2)
    shutil.move(w.root("first"), w.root("first") + "-away")
    w.expect(w.push(two), 1, f'"{two}" is not archived', "first", "mounted")
    t.true(w.key_of(two) in w.objects("second"), f"{two} in second")
    shutil.move(w.root("first") + "-away", w.root("first"))
    w.expect(w.push(two), 0)
    t.true(w.key_of(two) in w.objects("first"), f"{two} in first")
    # a conflict in one of them is what a person must hear of
    shutil.rmtree(f"{w.root('first')}/wal")
    w.segment(2, seed="other")
    w.expect(w.push(two), 4, "second", "is archived with other content")


def test_repo_cannot_make_the_promise_smaller(t):
    w = World(t, repositories=("first", "second"))
    one = w.segment()
    before = w.objects("first"), w.objects("second")
    w.expect(w.push(one, "--repo", "first"), 2, "every required repository")
    w.expect(w.push(one, "--repo", "third"), 2, "third")
    t.equal((w.objects("first"), w.objects("second")), before)


def test_P14_usage_errors(t):
    w = World(t)
    one = w.segment()
    w.expect(w.push(one, "--no-such-option"), 2, "no-such-option")
    w.expect(w.push(one, "another"), 2)
    done = push_world.subprocess.run(w.command(), env=workspace.environment(), text=True,
                                     stdout=-1, stderr=-1, check=False, **workspace.as_user())
    w.expect(done, 2, "missing")
    w.expect(w.push(name(1, 9)), 1, "cpam-wal-push: error: ", "No such file")
    os.mkdir(f"{w.pg_wal}/{name(1, 8)}")
    w.expect(w.push(name(1, 8)), 5)
    os.chmod(f"{w.folder}/key", 0o644)
    w.expect(w.push(one), 2, "chmod")


if __name__ == "__main__":
    tap.main(globals())
