"""test_conflict.py - several contents of one name: what a recovery is told, and how a person ends it
with cpam-repo resolve, killed at every call too."""
import json
import os
import shutil
import subprocess

from push_world import BUILD_ROOT, World, name, programs, segment, tap, workspace


class Archive(World):
    """Three segments archived, and the data directory of a server that recovers."""

    def __init__(self, t, signal="recovery.signal", **more):
        super().__init__(t, **more)
        for number in (1, 2, 3):
            self.expect(self.push(self.segment(number)), 0)
            os.unlink(f"{self.pg_wal}/{name(1, number)}")
        self.becomes(signal)
        workspace.write(f"{self.data}/postmaster.pid", f"{os.getpid()}\n{self.data}\n1700000000\n")

    def becomes(self, signal):
        for one in ("recovery.signal", "standby.signal"):
            if os.path.exists(f"{self.data}/{one}"):
                os.unlink(f"{self.data}/{one}")
        workspace.write(f"{self.data}/{signal}", "")

    def answers(self, file_name, code, *words, wanted="pg_wal/RECOVERYXLOG"):
        """cpam-wal-fetch as the server calls it; with any answer but 0 nothing is delivered."""
        done = subprocess.run(
            self.command(file_name, wanted, program="cpam-wal-fetch"), cwd=self.data,
            env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", timeout=120, check=False,
            **workspace.as_user())
        self.expect(done, code, *words)
        self.t.equal(os.path.exists(f"{self.data}/{wanted}"), code == 0, f"{wanted} after {code}")
        if code == 0:
            os.unlink(f"{self.data}/{wanted}")


def lay_beside(w, file_name, content):
    """A second content of an archived file, beside it in the repository."""
    tool = shutil.copy(f"{BUILD_ROOT}/tests/fault/make_conflict", programs())
    workspace.write(f"{w.folder}/{file_name}", content, 0o600)
    workspace.run([tool, w.config, "primary", f"{w.folder}/{file_name}"])
    found = [key for key in w.objects() if key.startswith(w.key_of(file_name) + ".")]
    w.t.equal(len(found), 1, f"one conflict object: {found}")
    return found[0]


def test_F13_a_segment_with_two_contents_stops_recovery_and_lists_them(t):
    w = Archive(t)
    two = name(1, 2)
    w.answers(two, 0)
    beside = lay_beside(w, two, segment(1, 2, seed="other"))
    for signal, code in (("recovery.signal", 254), ("standby.signal", 1)):
        w.becomes(signal)
        w.answers(two, code, "several contents", w.key_of(two), beside, "content id")
        w.answers(two, 254, "several contents", wanted="pg_wal/copy")
        w.answers(name(1, 1), 0)
        w.answers(name(1, 3), 0)
    # a person has looked, and moved the other away
    os.rename(f"{w.root()}/{beside}", f"{w.folder}/moved")
    w.answers(two, 0)


def test_F13_a_history_with_two_contents(t):
    w = Archive(t)
    one = w.write("00000002.history", "1\t0/300000\tno recovery target specified\n")
    w.expect(w.push(one), 0)
    beside = lay_beside(w, one, "1\t0/280000\tno recovery target specified\n")
    os.unlink(f"{w.pg_wal}/{one}")
    w.answers(one, 254, "several contents", beside, wanted="pg_wal/RECOVERYHISTORY")


def test_F13_no_other_repository_decides_which_is_real(t):
    w = Archive(t, repositories=("primary", "second"))
    two = name(1, 2)
    lay_beside(w, two, segment(1, 2, seed="other"))
    w.answers(two, 254, "several contents")


class Conflict(World):
    """Segment 2 is archived as one content, and is another in pg_wal."""

    def __init__(self, t, file_name=None, archived=None, local=None, **more):
        super().__init__(t, **more)
        for one in ("operate/cpam-repo", "tests/fault/cpam-repo-twin"):
            shutil.copy(f"{BUILD_ROOT}/{one}", programs())
        self.name = file_name or name(1, 2)
        self.archived = archived or segment(1, 2, seed="archived")
        self.local = local or segment(1, 2, seed="local")
        self.write(self.name, self.archived)
        self.expect(self.push(self.name), 0)
        self.write(self.name, self.local)
        self.expect(self.push(self.name), 4, "is archived with other content")

    def repo(self, *arguments, code=0, words=(), program="cpam-repo", env=None):
        done = subprocess.run(
            self.command(*arguments, program=program), cwd="/", env=workspace.environment(env),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", timeout=120, check=False, **workspace.as_user())
        if code is not None:
            self.expect(done, code)
            self.t.holds(done.stdout + done.stderr, list(words), "what it says")
        return done

    def aside(self):
        return [key for key in self.objects() if key.startswith("quarantine/")
                and not key.endswith(".json")]

    def json(self, *arguments, code=0):
        return json.loads(self.repo(*arguments, "--json", code=code).stdout)


def test_ask7_both_sides_are_shown_and_nothing_is_changed(t):
    other = bytearray(segment(1, 2, seed="archived"))
    other[300000] ^= 1
    w = Conflict(t, local=bytes(other))
    before = w.objects()
    shown = w.repo("resolve", w.name, code=3, words=[
        "two contents claim this name", "archived: content id", "local:    content id",
        str(w.size), f"system identifier {os.path.basename(os.path.dirname(os.path.dirname(os.path.dirname(w.key_of(w.name)))))}",
        "timeline 1", "from byte 300000 on, LSN 0/2493E0", "no timeline in this archive left"])
    t.lacks(shown.stdout, ["done:", "--yes would"])
    w.repo("resolve", w.name, "--keep", "archived", code=3,
           words=["--yes would put the local file into quarantine"])
    w.repo("resolve", w.name, "--keep", "local", code=3, words=["--yes would put the archived file"])
    t.equal(w.objects(), before, "the repository")
    # a later timeline that left before the difference
    w.expect(w.push(w.write("00000002.history", "1\t0/249000\tno recovery target specified\n")), 0)
    w.repo("resolve", w.name, code=3, words=["timeline 2 left timeline 1 at 0/249000",
                                             "only past that switch"])
    found = w.json("resolve", w.name, code=3)["repositories"][0]
    t.equal((found["state"], found["first_difference"], found["only_past_switch"]),
            ("conflict", 300000, True))
    # the same content, no local file, nothing archived
    w.write(w.name, w.archived)
    w.repo("resolve", w.name, words=["there is no conflict"])
    os.unlink(f"{w.pg_wal}/{w.name}")
    w.repo("resolve", w.name, words=["there is no local file"])
    w.repo("resolve", w.segment(3), words=["nothing is archived under this name"])


def test_ask7_wrong_calls(t):
    w = Conflict(t)
    before = w.objects()
    for arguments in (["resolve"], ["resolve", "rubbish"], ["resolve", w.name, "--keep", "both"],
                      ["resolve", w.name, "--yes"], ["resolve", w.name + ".partial"],
                      ["check", "--keep", "local"], ["quarantine", "x"], ["quarantine", "--yes"],
                      ["resolve", name(1, 9), "--keep", "archived"],
                      ["resolve", w.name, "--repo", "other"]):
        w.repo(*arguments, code=2)
    w.repo("resolve", w.name, "--file", f"{w.folder}/nothing", code=1)
    t.equal(w.objects(), before, "the repository")


def test_ask7_keep_archived_lets_the_archiver_go_on(t):
    w = Conflict(t)
    w.repo("quarantine", words=["Nothing is in quarantine"])
    w.repo("resolve", w.name, "--keep", "archived", "--reason", "the old primary", "--yes",
           words=["done: put the local file into quarantine"])
    w.expect(w.push(w.name), 0, "is in quarantine", "counts as archived")
    t.equal(w.fetch(w.name), w.archived)
    w.repo("resolve", w.name, words=["resolved"])
    before = w.objects()
    w.repo("resolve", w.name, "--keep", "archived", "--yes")
    t.equal(w.objects(), before, "the same again changes nothing")
    w.repo("quarantine", words=[w.name, "came from pg_wal", "the old primary", "kept the name"])
    one = w.json("quarantine")["quarantine"][0]
    t.equal((one["name"], one["side"], one["reason"], one["recorded"], one["bytes"]),
            (w.name, "local", "the old primary", True, w.size))
    # what was not decided on stays refused
    w.write(w.name, segment(1, 2, seed="third"))
    w.expect(w.push(w.name), 4)
    # changed one's mind: the quarantined local content becomes the archived one
    w.write(w.name, w.local)
    w.repo("resolve", w.name, "--keep", "local", "--yes", words=["done:"])
    t.equal(w.fetch(w.name), w.local)


def test_ask7_keep_local_frees_the_name_for_it(t):
    w = Conflict(t)
    w.repo("resolve", w.name, "--keep", "local", "--yes",
           words=["done: put the archived file into quarantine, and archive the local one"])
    t.equal(w.fetch(w.name), w.local)
    w.expect(w.push(w.name), 0)
    t.equal(len(w.aside()), 1, "objects in quarantine")
    w.repo("quarantine", words=["was archived"])
    # the other server may push its own: it is safe
    w.write(w.name, w.archived)
    w.expect(w.push(w.name), 0)  # the spool is there by now, and a worker's warnings go to syslog
    t.equal(w.fetch(w.name), w.local)


def test_ask7_histories_and_their_segments(t):
    w = Conflict(t, "00000002.history", "1\t0/200000\tno recovery target specified\n",
                 "1\t0/280000\tno recovery target specified\n")
    one = w.segment(5, timeline=2)
    w.expect(w.push(one), 4, "the history of its timeline")
    w.repo("resolve", one, "--keep", "local", "--yes", code=1, words=["resolve \"00000002.history\" first"])
    w.repo("resolve", w.name, code=3, words=["from byte 5 on"])
    w.repo("resolve", w.name, "--keep", "local", "--yes")
    t.equal(w.fetch(w.name), w.local.encode())
    w.expect(w.push(one), 0)


def test_ask7_each_repository_is_resolved_by_itself(t):
    w = World(t, repositories=("primary", "second"))
    shutil.copy(f"{BUILD_ROOT}/operate/cpam-repo", programs())
    one = w.segment(2, seed="archived")
    w.expect(w.push(one), 0)
    os.unlink(f"{w.root('second')}/{w.key_of(one)}")  # as if it had been away
    w.segment(2, seed="local")
    command = w.command("resolve", one, "--keep", "archived", program="cpam-repo")
    done = subprocess.run([*command, "--yes"], cwd="/", env=workspace.environment(), text=True,
                          capture_output=True, check=False, timeout=120,
                          stdin=subprocess.DEVNULL, **workspace.as_user())
    w.expect(done, 3)
    t.holds(done.stdout, ['repository "primary": two contents', 'repository "second": nothing is',
                          "LOOK: the server's archiver will put the local file"])


@tap.limit(900)
def test_ask7_killed_at_every_call_loses_neither_side(t):
    for keep in ("archived", "local"):
        w = Conflict(t)
        kept = w.objects()
        call = 0
        while True:
            call += 1
            about = f"--keep {keep}, killed at call {call}"
            shutil.rmtree(w.root())
            for key, (content, _, _) in kept.items():
                os.makedirs(os.path.dirname(f"{w.root()}/{key}"), exist_ok=True)
                with open(f"{w.root()}/{key}", "wb") as file:
                    file.write(content)
            for top, _, names in os.walk(w.root()):
                workspace.give(top)
                for one in names:
                    workspace.give(f"{top}/{one}")
                    os.chmod(f"{top}/{one}", 0o400)
            done = w.repo("resolve", w.name, "--keep", keep, "--yes", code=None,
                          program="cpam-repo-twin", env={"CPAM_TWIN_KILL": str(call)})
            if done.returncode == 0:
                break
            t.equal(done.returncode, -9, about)
            sealed = kept[w.key_of(w.name)][0]
            t.true(any(content == sealed for content, _, _ in w.objects().values()),
                   f"{about}: what was archived is there, whole")
            w.repo("resolve", w.name, "--keep", keep, "--yes", words=())
            t.equal(w.fetch(w.name), w.local if keep == "local" else w.archived, about)
            w.expect(w.push(w.name), 0)
            w.write(w.name, w.archived)
            w.expect(w.push(w.name), 0)
            w.write(w.name, w.local)
        t.true(call > 50, f"{call} calls")
        shutil.rmtree(w.folder)
        os.mkdir(w.folder)
        workspace.give(w.folder)


def test_F13_planted_rubbish_stops_nobody(t):
    w = Archive(t)
    two = name(1, 2)
    for ending in ("0123456789abcdef", "0123456789abcde0"):
        workspace.write(f"{w.root()}/{w.key_of(two)}.{ending}", "rubbish" * 100, 0o600)
    shutil.copy(f"{w.root()}/{w.key_of(name(1, 1))}", f"{w.root()}/{w.key_of(two)}.0000000000000000")
    workspace.give(f"{w.root()}/{w.key_of(two)}.0000000000000000")
    w.answers(two, 0, "is passed over")


if __name__ == "__main__":
    tap.main(globals())
