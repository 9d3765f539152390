"""base.py - base backup and restore of a running server, beside pgbackrest, into a folder and S3.

The cluster is pgbench's tables and one of hashes and JSON, with page checksums.  Both contenders have
two workers, the same codec at level 1, encryption, and write, verify and fsync whatever they do by
themselves.  One is measured at a time, and the server archives to that one only.
"""
import glob
import json
import os
import resource
import shutil
import subprocess
import threading
import time

from harness import cluster, cpam, workspace

import measure
import stores

WORKERS = 2
SAMPLE = 0.02  # s between two looks at memory
GIB = 1 << 30


class Family:
    """The resident memory of a process and of all that came from it, at its greatest."""

    def __init__(self, pid):
        self.pid, self.greatest, self.ended = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    @staticmethod
    def children(pid):
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                return [int(each) for each in file.read().split()]
        except OSError:
            return []

    @staticmethod
    def resident(pid):
        try:
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * resource.getpagesize()
        except (OSError, IndexError):
            return 0

    def watch(self):
        while not self.ended.wait(SAMPLE):
            pids, total = [self.pid], 0
            while pids:
                pid = pids.pop()
                total += self.resident(pid)
                pids += self.children(pid)
            self.greatest = max(self.greatest, total)

    def end(self):
        self.ended.set()
        self.thread.join()
        return self.greatest


def run(script, record=None):
    """One shell command as PostgreSQL's user: a measure.Run.  record: where perf writes what it sees."""
    line, user = ["sh", "-euc", script], workspace.as_user()
    if record:
        line = ["perf", "record", "-q", "-g", "-F", "999", "-o", record, "--", "setpriv",
                "--reuid=postgres", "--regid=postgres", "--init-groups", *line]
        user = {}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(line, cwd="/", env=workspace.environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **user)
    family = Family(process.pid)
    out = process.communicate()[0]
    wall, resident = time.monotonic() - start, family.end()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        raise RuntimeError(f"{script} ended with {process.returncode}:\n{out}")
    taken = measure.Run([wall], wall, after.ru_utime - before.ru_utime,
                        after.ru_stime - before.ru_stime, resident)
    taken.out = out
    return taken


class Cpam:
    name = "CPAM"

    def __init__(self, folder, server):
        self.folder, self.server = folder, server

    def fresh(self, store, codec):
        """An empty repository, and the server archives there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        workspace.folder(self.folder, 0o700)
        store.fresh(self.folder)
        config = cpam.settings(self.folder, self.server, store.cpam(self.folder),
                               compression={"wal": "lz4", "base": codec, "level": 1},
                               base={"workers": WORKERS})
        self.config = cpam.write_config(self.folder, config)
        done = cpam.run("cpam-repo", "create", config=self.config)
        if done.code != 0:
            raise RuntimeError(done.output())

    def push_command(self):
        return f"{cpam.path('cpam-wal-push')} --config {self.config} %p"

    def backup_command(self):
        return f"exec {cpam.path('cpam-base-push')} --config {self.config}"

    def restore_command(self, to):
        return f"exec {cpam.path('cpam-base-fetch')} --config {self.config} --latest {to}"


class Pgbackrest:
    name = "pgbackrest"

    def __init__(self, folder, server):
        self.folder, self.server = folder, server

    def fresh(self, store, codec):
        shutil.rmtree(self.folder, ignore_errors=True)
        workspace.folder(self.folder, 0o700)
        store.fresh(self.folder)
        rows = {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": "benchmark-only-benchmark",
                "repo1-bundle": "y", "compress-type": {"zstd": "zst"}.get(codec, codec),
                "compress-level": 1, "process-max": WORKERS, "start-fast": "y",
                "log-path": self.folder, "lock-path": self.folder, "spool-path": self.folder,
                "log-level-console": "error", "log-level-file": "off", **store.pgbackrest(self.folder)}
        self.config = workspace.write(
            os.path.join(self.folder, "pgbackrest.conf"),
            "[global]\n" + "".join(f"{name}={value}\n" for name, value in rows.items())
            + f"[bench]\npg1-path={self.server.data}\npg1-socket-path={self.server.socket}\n"
            f"pg1-port={cluster.PORT}\npg1-user=postgres\n", 0o600)
        workspace.run(["sh", "-c", self.command("stanza-create")])

    def command(self, rest):
        return f"pgbackrest --config={self.config} --stanza=bench {rest}"

    def push_command(self):
        return self.command("archive-push %p")

    def backup_command(self):
        return "exec " + self.command("--type=full backup")

    def restore_command(self, to):
        return "exec " + self.command(f"--pg1-path={to} restore")


def fill(server, gib):
    """Three fifths pgbench, the rest hashes and JSON, which compress worse."""
    server.pgbench("-i", "-q", "-s", str(max(1, int(gib * 1024 * 0.6 / 15))), timeout=3600)
    rows = int(gib * 1024 * 0.4 * 2600)
    server.sql("create table documents as select g as id, encode(sha256(g::text::bytea), 'hex') as hash, "
               "jsonb_build_object('id', g, 'name', md5(g::text), 'amount', random() * 1000, "
               "'tags', jsonb_build_array(g % 7, g % 11, 'tag' || g % 100), 'text', "
               "repeat('a sentence that comes again and again ', (random() * 5)::int)) as body "
               f"from generate_series(1, {rows}) g", timeout=3600)
    server.sql("vacuum freeze")
    server.sql("checkpoint")


def make_server(t, gib):
    server = cluster.new(t, archive_mode="on", archive_command="true", fsync="off",
                         shared_buffers="256MB", max_wal_size="8GB")
    server.start()
    fill(server, gib)
    return server


def relations(server):
    return [path for path in glob.glob(server.data + "/base/*/*") if os.path.getsize(path) > 0]


def told(out):
    """The line of a restore that tells how much was fetched."""
    return next((line.strip() for line in out.splitlines() if "fetched" in line), "not told")


class Bench:
    def __init__(self, t, options):
        self.t, self.rounds = t, options.rounds
        self.server = make_server(t, options.gib)
        self.files = relations(self.server)
        self.gib = sum(map(os.path.getsize, self.files)) / GIB
        self.contenders = [kind(f"{t.folder()}/{kind.name}", self.server) for kind in (Cpam, Pgbackrest)]
        self.folder, self.s3 = stores.Folder(), stores.S3(t, options.s3)
        self.restored = os.path.join(t.folder(), "restored")

    def backup(self, one, store, codec, json=False, **how):
        one.fresh(store, codec)
        self.server.configure(archive_command=one.push_command() + " # pgbackrest")
        self.server.reload()
        self.server.sql("checkpoint")
        segment = self.server.sql("select pg_walfile_name(pg_switch_wal())")
        cluster.wait_for(lambda: self.server.sql(
            f"select last_archived_wal >= '{segment}' from pg_stat_archiver") == "t",
            what=f"{segment} to be archived by {one.name}")
        return run(one.backup_command() + (" --json" if json else ""), **how)

    def restore(self, one, keep=False, **how):
        shutil.rmtree(self.restored, ignore_errors=True)
        workspace.folder(self.restored, 0o700)
        taken = run(one.restore_command(self.restored), **how)
        if not keep:
            shutil.rmtree(self.restored)
        return taken

    def pair(self, store, codec):
        """Sums of backups and restores, by name; contenders in turns, the first round dropped."""
        restores = {}

        def job(one):
            pushed = self.backup(one, store, codec)
            restores.setdefault(one.name, []).append(self.restore(one))
            return pushed

        backups = measure.alternate(self.rounds, self.contenders, job)
        drop = 0 if self.rounds == 1 else 1
        return backups, {name: measure.Sum(runs[drop:]) for name, runs in restores.items()}

    def show(self, codecs):
        print(f"A cluster of {self.gib:.2f} GiB in {len(self.files)} files of relations.\n")
        print("| | MiB/s | CPU s/GiB | of that in the kernel | memory MiB | times the peer | "
              "CPU to the limit |\n|---|---|---|---|---|---|---|")
        for codec in codecs:
            limits = [each / self.gib for each in measure.limit(codec, self.files)]
            for store in (self.folder, self.s3):
                for what, sums, least in zip(("backup", "restore"), self.pair(store, codec), limits):
                    for name, each in sums.items():
                        print(f"| {what}, {codec}, {store.name}: {name} | "
                              f"{1024 * self.gib / each.wall:.0f} | {each.cpu / self.gib:.2f} | "
                              f"{each.system / self.gib:.2f} | {each.resident / 2**20:.0f} | "
                              f"{sums['pgbackrest'].wall / each.wall:.2f} | "
                              f"{each.cpu / self.gib / least:.2f} |", flush=True)
            print(f"| the limit, {codec}: compression and encryption alone | | {limits[0]:.2f} there, "
                  f"{limits[1]:.2f} back | | | | |", flush=True)
        print()

    def change(self, per_cent):
        """A row is deleted in so many of 100 pages of each table, spread over it: that page changes, and
        no other."""
        for table, column in ("pgbench_accounts", "aid"), ("documents", "id"):
            rows = self.server.sql("select greatest(1, (reltuples / relpages)::int) from pg_class "
                                   f"where relname = '{table}'")
            self.server.sql(f"delete from {table} where {column} % ({rows} * 100 / {per_cent}) = 1")
        self.server.sql("checkpoint")

    def show_changed(self, codec, per_cent=1):
        """What an incremental backup of a few pages costs beside the full one before it, and a restore
        over a directory that has all but them."""
        one, old = self.contenders[0], self.restored
        full = self.backup(one, self.folder, codec, json=True)
        whole = self.restore(one, keep=True)
        self.change(per_cent)
        part = run(one.backup_command() + " --mode incremental --json")
        sent = [json.loads(each.out[each.out.index("{"):])["backups"][0]["stored_bytes"]
                for each in (full, part)]
        delta = run(f"{one.restore_command(old)} --delta")
        shutil.rmtree(old)
        print(f"| {per_cent} % of pages changed, {codec}, directory | s | CPU s | bytes |\n|---|---|---|---|")
        print(f"| full backup | {full.wall:.2f} | {full.cpu:.2f} | {sent[0] / 1e6:.1f} MB sent |")
        print(f"| incremental backup | {part.wall:.2f} | {part.cpu:.2f} | {sent[1] / 1e6:.1f} MB sent, "
              f"{100 * sent[1] / sent[0]:.1f} % |")
        print(f"| restore into an empty directory | {whole.wall:.2f} | {whole.cpu:.2f} | all |")
        print(f"| restore with --delta | {delta.wall:.2f} | {delta.cpu:.2f} | {told(delta.out)} |\n",
              flush=True)

    def show_profile(self, codec, folder):
        """perf's records of a backup and a restore, for perf report."""
        one = self.contenders[0]
        for what, job in (("backup", lambda **how: self.backup(one, self.folder, codec, **how)),
                          ("restore", lambda **how: self.restore(one, **how))):
            taken = job(record=os.path.join(folder, f"base-{what}.perf"))
            print(f"{what}: {taken.cpu / self.gib:.2f} s/GiB, {taken.system / self.gib:.2f} in the kernel, "
                  f"{1024 * self.gib / taken.wall:.0f} MiB/s", flush=True)
