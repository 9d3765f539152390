"""wal.py - the WAL path: push and fetch, one command at a time, as the server calls them.

Neither contender sees a running server: it is called in a data directory with a control file, a
postmaster.pid and, to fetch, recovery.signal, which is what both programs look at.
"""
import os
import shutil

from fetch_world import IN_ARCHIVE_RECOVERY, control_in_state
from harness import cpam, workspace

import measure
import stages
import stores

CODEC = "lz4"
WORKERS = 2
NEARBY = 15  # ms between a request to an S3 of the same region and its answer, as it is found there


class Data:
    """What a server's data directory looks like from archive_command and restore_command."""

    def __init__(self, folder, server, segments=()):
        self.data = workspace.folder(folder, 0o700)
        for part in ("global", "pg_wal", "pg_wal/archive_status", "fetched"):
            workspace.folder(os.path.join(self.data, part), 0o700)
        with open(os.path.join(server.data, "global/pg_control"), "rb") as file:
            control = bytearray(file.read())
        if not segments:
            control = control_in_state(control, IN_ARCHIVE_RECOVERY)
            workspace.write(os.path.join(self.data, "recovery.signal"), "", 0o600)
        workspace.write(os.path.join(self.data, "global/pg_control"), bytes(control), 0o600)
        workspace.write(os.path.join(self.data, "PG_VERSION"), "15\n", 0o600)
        workspace.write(os.path.join(self.data, "postmaster.pid"),
                        f"{os.getpid()}\n{self.data}\n1700000000\n5432\n", 0o600)
        for path in segments:
            with open(path, "rb") as file:
                workspace.write(os.path.join(self.data, "pg_wal", os.path.basename(path)), file.read(),
                                0o600)
        self.connection = server.connection

    def clean(self):
        for part in ("pg_wal/archive_status", "fetched"):
            for name in os.listdir(os.path.join(self.data, part)):
                os.unlink(os.path.join(self.data, part, name))


class Cpam:
    name = "CPAM"

    def __init__(self, folder, pushing, fetching):
        self.folder, self.pushing, self.fetching = folder, pushing, fetching

    def fresh(self, store):
        shutil.rmtree(self.folder, ignore_errors=True)
        workspace.folder(self.folder, 0o700)
        store.fresh(self.folder)
        self.configs = {}
        for data in (self.pushing, self.fetching):
            config = cpam.settings(self.folder, data, store.cpam(self.folder),
                                   compression={"wal": CODEC, "base": "zstd", "level": 1})
            config["wal"]["push"] = {"workers": WORKERS, "mode": "worker"}
            config["wal"]["fetch"] = {"workers": WORKERS}
            self.configs[data] = cpam.write_config(self.folder, config,
                                                   os.path.basename(data.data) + ".yaml")
        done = cpam.run("cpam-repo", "create", config=self.configs[self.pushing])
        if done.code != 0:
            raise RuntimeError(done.output())

    def push_command(self):
        return f"exec {cpam.path('cpam-wal-push')} --config {self.configs[self.pushing]} %p"

    def fetch_command(self):
        return f"exec {cpam.path('cpam-wal-fetch')} --config {self.configs[self.fetching]} %f %p"


class Pgbackrest:
    name = "pgbackrest"

    def __init__(self, folder, pushing, fetching):
        self.folder, self.pushing, self.fetching = folder, pushing, fetching

    def fresh(self, store):
        shutil.rmtree(self.folder, ignore_errors=True)
        workspace.folder(self.folder, 0o700)
        store.fresh(self.folder)
        self.configs = {}
        for data in (self.pushing, self.fetching):
            rows = {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": "benchmark-only-benchmark",
                    "repo1-bundle": "y", "compress-type": CODEC, "compress-level": 1,
                    "process-max": WORKERS, "archive-async": "y", "log-path": self.folder,
                    "lock-path": self.folder, "spool-path": self.folder, "archive-timeout": 600,
                    "log-level-console": "error", "log-level-file": "off",
                    **store.pgbackrest(self.folder)}
            self.configs[data] = workspace.write(
                os.path.join(self.folder, os.path.basename(data.data) + ".conf"),
                "[global]\n" + "".join(f"{name}={value}\n" for name, value in rows.items())
                + f"[bench]\npg1-path={data.data}\n", 0o600)
        workspace.run(["sh", "-c", self.command(self.pushing, "--no-online stanza-create")])

    def command(self, data, rest):
        return f"pgbackrest --config={self.configs[data]} --stanza=bench {rest}"

    def push_command(self):
        return "exec " + self.command(self.pushing, "archive-push %p")

    def fetch_command(self):
        return "exec " + self.command(self.fetching, "archive-get %f %p")


class Bench:
    def __init__(self, t, server, segments, rounds, s3):
        self.segments, self.rounds = segments, rounds
        self.names = [os.path.basename(path) for path in segments]
        self.pushing = Data(t.folder() + "/pushing", server, segments)
        self.fetching = Data(t.folder() + "/fetching", server)
        self.contenders = [kind(f"{t.folder()}/{kind.name}", self.pushing, self.fetching)
                           for kind in (Cpam, Pgbackrest)]
        self.folder, self.s3 = stores.Folder(), stores.S3(t, s3)
        self.folder_of_records = t.folder()

    # -- one run -----------------------------------------------------------------------------------

    def push(self, one, **how):
        self.pushing.clean()
        return measure.call("push", self.pushing.data, one.push_command(), self.names, **how)

    def fetch(self, one, **how):
        self.fetching.clean()
        run = measure.call("fetch", self.fetching.data, one.fetch_command(), self.names, **how)
        originals = {os.path.basename(path): path for path in self.segments}
        for name in os.listdir(self.fetching.data + "/fetched"):
            with open(f"{self.fetching.data}/fetched/{name}", "rb") as got, \
                    open(originals[name], "rb") as wanted:
                if got.read() != wanted.read():
                    raise RuntimeError(f"{one.name} brought another {name}")
        self.fetching.clean()
        return run

    # -- tables ------------------------------------------------------------------------------------

    def beside_the_peer(self, store):
        with store:
            return self.alternate(store)

    def alternate(self, store):
        fetches = {}

        def push(one):
            one.fresh(store)
            pushed = self.push(one)
            fetches.setdefault(one.name, []).append(self.fetch(one))
            return pushed

        pushes = measure.alternate(self.rounds, self.contenders, push)
        drop = 0 if self.rounds == 1 else 1
        return pushes, {name: measure.Sum(runs[drop:]) for name, runs in fetches.items()}

    def show_beside_the_peer(self):
        there, back = (1000 * each / len(self.segments) for each in measure.limit(CODEC, self.segments))
        print("| | segments/s | CPU ms a segment | of that in the kernel | p50 ms | p99 ms | "
              "memory MiB | times the peer | CPU to the limit |\n|---|---|---|---|---|---|---|---|---|")
        for store in (self.folder, self.s3, stores.Far(self.s3, NEARBY)):
            for what, sums, least in zip(("push", "fetch"), self.beside_the_peer(store), (there, back)):
                for name, each in sums.items():
                    print(f"| {what}, {store.name}: {name} | {each.rate():.1f} | {each.cpu_ms():.1f} | "
                          f"{1000 * each.system / each.count:.1f} | {each.part(.5):.1f} | "
                          f"{each.part(.99):.1f} | {each.resident / 2**20:.0f} | "
                          f"{each.rate() / sums['pgbackrest'].rate():.2f} | "
                          f"{each.cpu_ms() / least:.2f} |", flush=True)
        print(f"\nWriting a segment into a file takes {measure.writing(self.pushing.data):.1f} ms of processor "
              "time here, which a fetch cannot save.", flush=True)
        print(f"\nThe limit, compression and encryption alone: {there:.1f} ms a segment pushed, "
              f"{back:.1f} ms fetched.\n", flush=True)

    def show_ahead(self):
        """Pushes that were done before the server asked for them."""
        one = self.contenders[0]
        names, self.names = self.names, self.names[:60]
        print("| a push done ahead | p50 ms | p99 ms |\n|---|---|---|")
        for store in (self.folder, self.s3):
            runs = []
            for _ in range(self.rounds):
                one.fresh(store)
                run = self.push(one, replay=1)
                run.calls = run.calls[1:]
                runs.append(run)
            each = measure.Sum(runs)
            print(f"| {store.name} | {each.part(.5):.1f} | {each.part(.99):.1f} |", flush=True)
        print()
        self.names = names

    def show_far(self, bandwidth, replay):
        one = self.contenders[0]
        one.fresh(self.s3)
        with stores.Far(self.s3, 0):
            one.fresh(self.s3)
            self.push(one)
            one.fresh(self.s3)
            near = self.push(one)
        able = len(near.calls) / near.wall
        print("| a store far away | requests a segment | segments/s drained | what is allowed | of it | waits of a replay of "
              f"{replay} ms: p50 ms | p99 ms |\n|---|---|---|---|---|---|---|")
        for limit in (0, bandwidth):
            far = stores.Far(self.s3, 40, limit)
            with far:
                one.fresh(self.s3)
                run = self.push(one)
                size = self.s3.stored() / len(self.names)
                rate = len(run.calls) / run.wall
                asked = len(self.s3.requests()) / len(self.names)
                allowed = min(able, limit / size) if limit else able
                warm = self.fetch(one, warm=8, replay=replay)
            waits = measure.Sum([warm])
            print(f"| {far.name} | {asked:.1f} | {rate:.1f} | {allowed:.1f} | {100 * rate / allowed:.0f} % | "
                  f"{waits.part(.5):.1f} | {waits.part(.99):.1f} |", flush=True)
        print(f"\nA segment is {size / 1e6:.2f} MB in the store. What is allowed: the rate without a round "
              "trip, or the bandwidth.\n", flush=True)

    def show_profile(self):
        """Where the time goes: a run to warm up, and one that perf looks at."""
        one, columns = self.contenders[0], {}
        for store in (self.folder, self.s3):
            for what, run in (("push", self.push), ("fetch", self.fetch)):
                if what == "push":
                    one.fresh(store)
                    run(one)
                    one.fresh(store)
                else:
                    run(one)
                record = f"{self.folder_of_records}/{what}"
                seen = run(one, record=record)
                columns[f"{what}, {store.name}"] = (1000 * seen.cpu / len(seen.calls),
                                                    stages.stages(record))
        stages.show(columns)
