"""fetch_world.py - what the tests of cpam-wal-fetch share: an archive with timelines and holes.

A World is a primary that archives 1 MiB segments with cpam-wal-push into directory repositories, and
copies of it that are recovered.  Base copies are made by the backup functions and cp, so that these
tests need nothing but the two WAL programs and cpam-repo, and run on every major.  push="worker": it
archives through cpam-wal-worker, one for each data directory.
"""
import glob
import os
import shutil
import stat

from harness import cluster, cpam, workspace


class World:
    def __init__(self, t, repositories=None, major=15, push="direct", **wal_fetch):
        self.t, self.major, self.push = t, major, push
        self.folder = t.folder()
        self.primary = cluster.new(t, "a", major, init=False)
        self.primary.init("--wal-segsize=1")
        self.primary.configure(wal_keep_size="0", max_wal_size="16MB", min_wal_size="2MB")
        self.config = self.write_config("backup-config.yaml", self.primary, repositories, wal_fetch)
        done = cpam.run("cpam-repo", "create", config=self.config)
        t.equal(done.code, 0, "cpam-repo create " + done.output())
        self.primary.configure(**cpam.archive_settings(self.config))

    def write_config(self, name, pg, repositories=None, wal_fetch=None):
        """A configuration; wal_fetch: keys of wal.fetch."""
        settings = cpam.settings(self.folder, pg, repositories)
        settings["wal"]["push"] = {"mode": self.push}
        settings["wal"]["fetch"] = dict({"timeout": "10s"}, **(wal_fetch or {}))
        return cpam.write_config(self.folder, settings, name)

    # -- the archive -------------------------------------------------------------------------------

    def repository(self, name="repo"):
        return os.path.join(self.folder, name)

    def away(self, name="repo"):
        """The repository's folder is gone, as an unmounted disk is."""
        os.rename(self.repository(name), self.repository(name) + ".away")

    def back(self, name="repo"):
        os.rename(self.repository(name) + ".away", self.repository(name))

    def object(self, name, repo="repo"):
        """The path of an archived file in a directory repository."""
        found = glob.glob(f"{self.repository(repo)}/**/{name}", recursive=True)
        self.t.equal(len(found), 1, f"objects called {name}")
        return found[0]

    def lose(self, name, repo="repo", kept="lost"):
        """Take an archived file away; returns where it lies now."""
        path, kept = self.object(name, repo), os.path.join(self.folder, kept + "." + name)
        shutil.move(path, kept)
        return kept

    def segment_file(self, name, into):
        """The plain content of an archived file, by cpam-wal-fetch as a person calls it."""
        done = cpam.run("cpam-wal-fetch", name, into, config=self.config)
        self.t.equal(done.code, 0, f"fetching {name}: {done.output()}")
        return into

    # -- servers -----------------------------------------------------------------------------------

    def write_segments(self, pg, count, rows=1):
        """Each segment gets rows of its own; returns the segments' names, all archived."""
        names = []
        for _ in range(count):
            pg.sql(f"insert into t select coalesce(max(a), 0) + g from t, generate_series(1, {rows}) g"
                   " group by g")
            names.append(pg.switch_wal())
        pg.wait_archived(names[-1])
        return names

    def begin(self, segments=3):
        """The primary with a table t, archiving; returns the names of full segments."""
        self.primary.start()
        self.primary.sql("create table t (a int); insert into t values (0)")
        return self.write_segments(self.primary, segments)

    def copy(self, source, name):
        """A base copy of a running server, not started."""
        data = os.path.join(self.folder, name)
        if self.major >= 15:
            begin, end = "pg_backup_start('copy', true)", "pg_backup_stop(false)"
        else:
            begin, end = "pg_start_backup('copy', true, false)", "pg_stop_backup(false, false)"
        label = source.sql(f"select {begin} is null;\n\\! cp -a {source.data} {data}\n"
                           f"select labelfile from {end};")
        for left in glob.glob(data + "/pg_wal/0*") + glob.glob(data + "/*.signal"):
            os.unlink(left)
        for left in glob.glob(data + "/pg_wal/archive_status/*") + glob.glob(data + "/postmaster.*"):
            os.unlink(left)
        workspace.write(os.path.join(data, "backup_label"), label.partition("\n")[2].strip() + "\n")
        return data

    def recovering(self, data, name, signal, config=None, extra="", command=None, **settings):
        """A server on data that will recover by cpam-wal-fetch; not started."""
        pg = cluster.restored(self.t, data, name, self.major)
        settings.setdefault("archive_mode", "off")
        settings.setdefault("hot_standby", "on")
        settings.setdefault("wal_retrieve_retry_interval", "200ms")
        pg.configure(restore_command=command or cpam.restore_command(config or self.config, extra),
                     **settings)
        pg.append(signal, "")
        return pg

    def second_timeline(self):
        """Recovers a copy of the primary to the end, which makes timeline 2; it archives."""
        data = self.copy(self.primary, "b")
        self.primary.stop()
        pg = self.recovering(data, "b", "recovery.signal", archive_mode="on")
        pg.start()
        pg.wait_sql("select pg_is_in_recovery()", "f")
        return pg

    # -- a data directory without a server ----------------------------------------------------------

    def directory(self, name, *files, state=None):
        """Like a data directory of this cluster: pg_control, pg_wal, and empty files by name."""
        data = workspace.folder(os.path.join(self.folder, name), 0o700)
        workspace.folder(os.path.join(data, "global"))
        workspace.folder(os.path.join(data, "pg_wal"))
        with open(os.path.join(self.primary.data, "global/pg_control"), "rb") as file:
            control = bytearray(file.read())
        if state is not None:
            control = control_in_state(control, state)
        workspace.write(os.path.join(data, "global/pg_control"), bytes(control))
        for file in files:
            text = f"{os.getpid()}\n{data}\n1700000000\n5432\n" if file == "postmaster.pid" else ""
            workspace.write(os.path.join(data, file), text)
        return data

    def fetch(self, data, name, wanted="pg_wal/RECOVERYXLOG", config=None, extra=(), timeout=60):
        """cpam-wal-fetch as a server calls it, in the data directory."""
        return cpam.run("cpam-wal-fetch", *extra, name, wanted, config=config or self.config,
                        cwd=data, timeout=timeout)

    def answers(self, data, name, code, words=(), wanted="pg_wal/RECOVERYXLOG", **how):
        """The exit status and the words; and with any but 0 there is nothing at the destination."""
        done = self.fetch(data, name, wanted, **how)
        self.t.exits(done, code, words)
        path = os.path.join(data, wanted)
        self.t.equal(os.path.exists(path), code == 0, f"whether there is a {wanted}")
        self.t.equal([left for left in os.listdir(os.path.dirname(path)) if left.startswith(".cpam-")],
                     [], "temporary files left behind")
        if code == 0:
            self.t.equal(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0, "permissions for others")
            os.unlink(path)
        return done


def crc32c(data):
    """CRC-32C, bit by bit: slow, and independent of the programs."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def control_in_state(control, state):
    """pg_control (of 14 to 17) with another DBState and its CRC put right."""
    control[16:20] = state.to_bytes(4, "little")
    control[288:292] = crc32c(bytes(control[:288])).to_bytes(4, "little")
    return control


SHUT_DOWN, SHUT_DOWN_IN_RECOVERY, IN_ARCHIVE_RECOVERY, IN_PRODUCTION = 1, 2, 5, 6


def control_state(data):
    """DBState in pg_control, the same place in 14 to 18."""
    with open(os.path.join(data, "global/pg_control"), "rb") as file:
        return int.from_bytes(file.read()[16:20], "little")
