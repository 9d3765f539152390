#!/usr/bin/env python3
"""test_secrets.py - no key ever shows: not in arguments, logs, the repository, the restored directory.

The whole journey is run with a key this test knows; while it runs, a thread looks at the command line
and the environment of every process of the machine, and afterwards at every byte of every file.
"""
import base64
import glob
import os
import resource
import signal
import threading

from harness import cluster, cpam, tap


def forms(text):
    """The ways in which the key could be written somewhere: as it is, raw, hex, base64."""
    word = next(line for line in text.split() if line.startswith("cpam1key"))
    coded = word[len("cpam1key"):].upper()
    raw = base64.b32decode(coded + "=" * (-len(coded) % 8))[1:33]
    return [word.encode(), raw, raw.hex().encode(), raw.hex().upper().encode(),
            base64.b64encode(raw).rstrip(b"=")]


def holders(folder, wanted, left_out=()):
    """Files below folder that hold one of the forms."""
    found = []
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if path in left_out or os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                data = file.read()
            found += [path] if any(form in data for form in wanted) else []
    return found


class Watch(threading.Thread):
    """Looks at all processes again and again until told to end."""

    def __init__(self, wanted):
        super().__init__(daemon=True)
        self.wanted, self.over = wanted, threading.Event()
        self.seen, self.programs = [], set()

    def run(self):
        while not self.over.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                for name in ("cmdline", "environ"):
                    try:
                        with open(f"/proc/{pid}/{name}", "rb") as file:
                            data = file.read()
                    except OSError:
                        continue
                    if name == "cmdline":
                        self.programs.add(os.path.basename(data.split(b"\0")[0]).decode(errors="replace"))
                    if any(form in data for form in self.wanted):
                        self.seen.append(f"{name} of {data[:80]!r}")
            self.over.wait(0.005)

    def end(self):
        self.over.set()
        self.join()


@tap.limit(600)
def test_E8_a_key_is_in_no_argument_log_or_file(t):
    folder = t.folder()
    server = cluster.new(t)
    config = cpam.write_config(folder, cpam.settings(folder, server))
    created = t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    key = os.path.join(folder, "key")
    with open(key, encoding="utf-8") as file:
        wanted = forms(file.read())
    t.true(wanted[0].decode() in created.out, "the paper copy is printed once")
    t.equal(os.stat(key).st_mode & 0o777, 0o600, "mode of the key")

    watch = Watch(wanted)
    watch.start()
    t.defer(watch.end)
    results = []
    server.configure(**cpam.archive_settings(config)).start()
    server.sql("create table t as select generate_series(1, 20000) as a")
    results.append(t.exits(cpam.run("cpam-base-push", "--log-level", "debug", config=config), 0))
    server.wait_archived(server.switch_wal())
    results.append(cpam.run("cpam-info", "--json", config=config))
    restored = os.path.join(folder, "restored")
    results.append(t.exits(cpam.run("cpam-base-fetch", "--latest", "--log-level", "debug", restored,
                                    config=config), 0))
    server.stop()
    copy = cluster.restored(t, restored).start()
    copy.wait_sql("select count(*) from t", "20000")
    copy.stop()
    watch.end()

    t.true({"cpam-base-push", "cpam-base-fetch"} <= watch.programs, "the programs were seen running")
    t.equal(watch.seen, [], "processes that show the key")
    for result in results:
        t.lacks(result.out + result.err, wanted[0].decode(), f"output of {result.name}")
    t.equal(holders(folder, wanted, left_out=[key]), [], "files that hold the key")


def test_E8_a_key_others_can_read_is_refused(t):
    folder = t.folder()
    config = cpam.write_config(folder, cpam.settings(folder, cluster.new(t)))
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    os.chmod(os.path.join(folder, "key"), 0o644)
    done = cpam.run("cpam-info", config=config)
    push = cpam.run("cpam-base-push", config=config)
    t.true(push.code in (1, 2), f"cpam-base-push refuses ({push.code})")
    t.holds(push.err, os.path.join(folder, "key"), "the refusal")
    t.lacks(done.out + done.err + push.err, "cpam1key", "what is said")


def test_E8_no_core_is_dumped(t):
    """A crash in the middle of a backup leaves no image of the memory behind."""
    folder = t.folder()
    server = cluster.new(t, archive_mode="on", archive_command="false")
    config = cpam.write_config(folder, cpam.settings(folder, server))
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    server.start()
    # whatever it inherits, it allows no core; where the hard limit is 0 already there is nothing to see
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    ask = resource.RLIM_INFINITY if os.geteuid() == 0 else hard
    resource.setrlimit(resource.RLIMIT_CORE, (ask, ask))
    # it waits for WAL that is never archived
    process = cpam.start("cpam-base-push", config=config, cwd=folder)
    t.defer(process.kill)
    cluster.wait_for(lambda: "Max core file size        0 " in limits(process.pid), 180,
                     "the limit on core files")
    cluster.wait_for(lambda: glob.glob(os.path.join(folder, "repo", "demo", "intent", "*")), 180,
                     "the backup to begin")
    process.send_signal(signal.SIGSEGV)
    process.wait(180)
    t.equal(process.returncode, -signal.SIGSEGV, "how it ended")
    cores = [name for name in os.listdir(folder) if name.startswith("core")]
    t.equal(cores, [], "core files")


def limits(pid):
    try:
        with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    tap.main(globals())
