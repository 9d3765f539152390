"""cluster.py - a throw-away PostgreSQL: made, started, asked, crashed, promoted, restored.

Every cluster lives in a workspace folder, listens on a Unix socket in it and on nothing else, and is
stopped by its own pid.  Debian's `main` cluster is never touched.  There are no fixed sleeps:
`wait_for` looks at a condition until it holds.
"""
import glob
import os
import signal
import subprocess
import time

from . import workspace

PORT = 5432  # only names the socket file: each cluster has a socket folder of its own


def bin_dir(major=15):
    """Where initdb of that major is: Debian's, or what tests/live/get-postgres brought; None if absent."""
    brought = os.environ.get("CPAM_PG_CACHE", "/var/tmp/cpam-postgres")
    for path in (f"/usr/lib/postgresql/{major}/bin", f"{brought}/{major}/bin"):
        if path and os.access(os.path.join(path, "initdb"), os.X_OK):
            return path
    return None


def client(name):
    """psql, pgbench, pg_verifybackup...: of Debian's newest, since they talk to all servers."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    if not found:
        raise RuntimeError(f"{name} is not installed (Debian package postgresql-15)")
    return found[-1]


def wait_for(condition, timeout=180, what="", every=0.05):
    """Call condition() until it returns something true, and return that; RuntimeError after timeout."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise RuntimeError(f"waited {timeout} s in vain for {what or condition}")
        time.sleep(every)


class Cluster:
    """One data directory and the server on it.

    data: its path; bins: where postgres is; folder: where sockets and the log go (short!).
    """

    def __init__(self, folder, name="pg", major=15, data=None, bins=None):
        self.name = name
        self.folder = folder
        self.bins = bins or bin_dir(major)
        if self.bins is None:
            from .tap import Skip

            raise Skip(f"PostgreSQL {major} is not installed")
        self.data = data or os.path.join(folder, name)
        self.socket = workspace.folder(os.path.join(folder, name + ".s"), 0o700)
        self.log = os.path.join(folder, name + ".log")
        self.process = None

    # -- making and configuring ------------------------------------------------------------------

    def init(self, *options, checksums=True):
        """initdb, superuser postgres, trust on the socket; wal_level replica and small by default."""
        arguments = [os.path.join(self.bins, "initdb"), "-D", self.data, "-U", "postgres", "-A",
                     "trust", "-N", "--locale=C", "-E", "UTF8"]
        if checksums:
            arguments.append("-k")
        workspace.run(arguments + list(options))
        self.configure(fsync="off", max_connections=20, shared_buffers="16MB", max_wal_senders=4,
                       wal_level="replica", log_min_messages="log", autovacuum="off")
        return self

    def configure(self, **settings):
        """Append settings to postgresql.conf (values are quoted here)."""
        lines = "".join("{} = '{}'\n".format(key, str(value).replace("'", "''"))
                        for key, value in settings.items())
        self.append("postgresql.conf", lines)
        return self

    def append(self, file, text):
        """Append text to a file of the data directory."""
        path = os.path.join(self.data, file)
        with open(path, "a", encoding="utf-8") as out:
            out.write(text)
        workspace.give(path)

    # -- starting and ending ---------------------------------------------------------------------

    def launch(self, *options):
        """Start the postmaster and do not wait for anything but its being there."""
        arguments = [os.path.join(self.bins, "postgres"), "-D", self.data, "-k", self.socket, "-p",
                     str(PORT), "-c", "listen_addresses=", "-c", "unix_socket_permissions=0777"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                arguments + list(options), cwd="/",
                env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **workspace.as_user())
        return self

    def start(self, *options, timeout=300):
        """Start, and wait until it answers a query.  RuntimeError with the log's end if it does not."""
        self.launch(*options)
        self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=300):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"{self.name} ended with {self.process.returncode} instead of starting:\n"
                    + self.log_tail())
            return self.psql("select 1", check=False).returncode == 0

        wait_for(ready, timeout, f"{self.name} to accept connections")

    def ended(self, timeout=300):
        """Wait until the postmaster has ended by itself (a FATAL in recovery); its exit status."""
        wait_for(lambda: self.process is None or self.process.poll() is not None, timeout,
                 f"{self.name} to end")
        return self.process.returncode if self.process else None

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, mode="fast", timeout=300):
        """fast: SIGINT, smart: SIGTERM, immediate: SIGQUIT, crash: SIGKILL to the postmaster."""
        if not self.running():
            self.process = None
            return
        number = {"fast": signal.SIGINT, "smart": signal.SIGTERM, "immediate": signal.SIGQUIT,
                  "crash": signal.SIGKILL}[mode]
        self.process.send_signal(number)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired as late:
            self.process.kill()
            self.process.wait(10)
            raise RuntimeError(f"{self.name} did not stop within {timeout} s:\n{self.log_tail()}") from late
        self.process = None
        if mode == "crash":
            self._wait_for_orphans(timeout)

    def _wait_for_orphans(self, timeout):
        """After kill -9 of the postmaster its children notice and leave; wait for the last one."""
        wait_for(lambda: not self.pids(), timeout, f"the children of {self.name} to leave")

    def pids(self):
        """Processes whose working directory is this data directory (PostgreSQL's and its commands')."""
        wanted, found = os.path.realpath(self.data), []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if os.readlink(f"/proc/{entry}/cwd") == wanted:
                        found.append(int(entry))
                except OSError:
                    continue
        return found

    def close(self):
        """For t.defer: whatever state it is in, it ends, and with it what it started."""
        if self.running():
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None
        for pid in self.pids() if os.path.isdir(self.data) else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def promote(self, wait=True):
        """pg_promote(); waits until it accepts writes."""
        self.sql("select pg_promote(false)")
        if wait:
            wait_for(lambda: self.sql("select pg_is_in_recovery()") == "f", 60, "the promotion")

    # -- asking ----------------------------------------------------------------------------------

    def connection(self, database="postgres"):
        """A libpq connection string for this cluster."""
        return f"host={self.socket} port={PORT} dbname={database} user=postgres"

    def psql(self, statement, check=True, database="postgres", timeout=300):
        """Run SQL (several statements allowed, each its own transaction); a CompletedProcess."""
        return workspace.run(
            [client("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
             self.connection(database)], check=check, timeout=timeout, stdin=statement)

    def sql(self, statement, database="postgres", timeout=300):
        """The result as text: rows on lines, columns by |."""
        return self.psql(statement, database=database, timeout=timeout).stdout.strip()

    def wait_sql(self, statement, wanted="t", timeout=180):
        """Until the statement's result is wanted; errors (starting up, in recovery) are waited over."""
        def holds():
            done = self.psql(statement, check=False)
            return done.returncode == 0 and done.stdout.strip() == wanted

        wait_for(holds, timeout, f"{statement} to be {wanted!r} on {self.name}")

    def pgbench(self, *options, timeout=300):
        """pgbench with these options against database postgres."""
        return workspace.run(
            [client("pgbench"), "-h", self.socket, "-p", PORT, "-U", "postgres", *options, "postgres"],
            timeout=timeout)

    def switch_wal(self):
        """Close the current segment; returns the name of the segment that was closed (also where nothing
        was written since the last switch: from 17 on the boundary itself belongs to the next one)."""
        return self.sql("select pg_walfile_name(pg_switch_wal() - 1)")

    def insert_segment(self):
        """Name of the segment being written."""
        return self.sql("select pg_walfile_name(pg_current_wal_insert_lsn())")

    def wait_archived(self, segment, timeout=180):
        """Until the archiver has reported this segment (or a later one of the timeline) done.  The last one
        it reported may be of an older timeline: a checkpoint looks for segments without a status."""
        self.wait_sql(f"select last_archived_wal >= '{segment}' or exists (select from "
                      f"pg_ls_archive_statusdir() where name = '{segment}.done') from pg_stat_archiver",
                      timeout=timeout)

    def now(self):
        """The server's clock as text with an offset, as a recovery target wants it."""
        return self.sql("select clock_timestamp()")

    def controldata(self):
        """pg_controldata as a dictionary."""
        out = workspace.run([client("pg_controldata"), "-D", self.data]).stdout
        return dict((key.strip(), value.strip()) for key, _, value in
                    (line.partition(":") for line in out.splitlines()))

    def log_text(self):
        """All the server and its commands have said."""
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def wait_log(self, words, timeout=180, count=1):
        """Until the log holds these words (at least count times)."""
        wait_for(lambda: self.log_text().count(words) >= count, timeout,
                 f"the log of {self.name} to say {words!r}")


def new(t, name="pg", major=15, init=True, **settings):
    """A cluster in the test's folder, with initdb run, configured, not yet started; closed at its end."""
    cluster = Cluster(t.folder(), name, major)
    t.defer(cluster.close)
    if init:
        cluster.init()
        if settings:
            cluster.configure(**settings)
    return cluster


def rival(t, pg):
    """A copy of a running cluster, and the name of a segment that the original archived after the two
    parted; both are stopped."""
    pg.stop()
    other = os.path.join(t.folder(), "b")
    workspace.run(["cp", "-a", pg.data, other])
    pg.start()
    pg.sql("insert into t values (4711)")
    taken = pg.switch_wal()
    pg.wait_archived(taken)
    pg.stop()
    return restored(t, other, "b"), taken


def restored(t, data, name="restored", major=15):
    """A cluster object on a data directory that something else made (cpam-base-fetch)."""
    cluster = Cluster(t.folder(), name, major, data=data)
    t.defer(cluster.close)
    return cluster
