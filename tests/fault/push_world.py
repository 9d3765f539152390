"""push_world.py - a data directory that no server runs in, segments that look right, repositories,
and cpam-wal-push on them: as it is released, or its foreground push with the twin in it
(program="cpam-wal-worker-twin").
"""
import base64
import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys

SOURCE_ROOT = os.environ.get("CPAM_SOURCE_ROOT") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD_ROOT = os.environ.get("CPAM_BUILD_ROOT") or os.path.join(SOURCE_ROOT, "build")
sys.path.insert(0, os.path.join(SOURCE_ROOT, "tests", "live"))

from harness import tap, workers, workspace  # noqa: E402

MIB = 1 << 20
SYSID = 7301234567890123456
_bin = None


def crc32c(data):
    """The Castagnoli CRC of pg_control; small data only."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def control(sysid=SYSID, segment_size=MIB, timeline=1, state=6):
    """global/pg_control of PostgreSQL 15 (catalog/pg_control.h); state 6: in production, 5: in archive
    recovery."""
    data = bytearray(288)
    struct.pack_into("<QIII", data, 0, sysid, 1300, 202209061, state)
    struct.pack_into("<QQ", data, 32, 0x1000028, 0x1000028)
    struct.pack_into("<I", data, 48, timeline)
    struct.pack_into("<IIII", data, 216, 8192, 131072, 8192, segment_size)
    return (bytes(data) + struct.pack("<I", crc32c(data))).ljust(8192, b"\0")


def segment(timeline, number, size=MIB, sysid=SYSID, seed=0, header_timeline=None, magic=0xD110):
    """A segment whose first page has a right long header; the rest is noise that depends on seed."""
    head = struct.pack("<HHIQI4xQII", magic, 2, header_timeline or timeline, number * size, 0, sysid,
                       size, 8192)
    noise = random.Random(f"{timeline}/{number}/{seed}").randbytes(4096)
    return (head + noise).ljust(size // 2, b"\0") + noise * (size // 2 // len(noise))


def name(timeline, number, size=MIB):
    per_log = (1 << 32) // size
    return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"


def keyfile_text():
    packed = b"\5" + os.urandom(32)
    check = hashlib.sha256(b"cpam1key" + packed).digest()[:4]
    return "cpam1key" + base64.b32encode(packed + check).decode().lower().rstrip("=") + "\n"


def programs():
    """Copies of what is built, where PostgreSQL's user can run them."""
    global _bin
    if _bin is None:
        import atexit

        _bin = workspace.make()
        atexit.register(shutil.rmtree, _bin, ignore_errors=True)
        for path in ("archive/cpam-wal-push", "archive/cpam-wal-worker", "restore/cpam-wal-fetch",
                     "restore/cpam-wal-prefetch", "tests/fault/cpam-wal-worker-twin",
                     "tests/fault/cpam-wal-fetch-twin", "tests/fault/cpam-wal-prefetch-twin",
                     "tests/fault/make_repo"):
            shutil.copy(os.path.join(BUILD_ROOT, path), _bin)
    return _bin


class World:
    worker = False  # what a World is made with that does not say

    def __init__(self, t, repositories=("primary",), size=MIB, encryption=None, wal="", more=(),
                 rest="", worker=None):
        """more: rows of `repositories` that are no directories, as YAML; nothing is made there.
        rest: further sections of the configuration.
        worker: with a spool, so that a worker does it; without one all is done in the foreground."""
        self.t, self.size = t, size
        self.folder = t.folder()
        if World.worker if worker is None else worker:
            workspace.folder(f"{self.folder}/spool", 0o700)
        t.defer(workers.end, self.folder)
        self.data = workspace.folder(f"{self.folder}/data", 0o700)
        self.pg_wal = workspace.folder(f"{self.data}/pg_wal", 0o700)
        workspace.folder(f"{self.data}/global", 0o700)
        workspace.write(f"{self.data}/global/pg_control", control(segment_size=size), 0o600)
        workspace.write(f"{self.folder}/key", keyfile_text(), 0o600)
        self.urls = {one: f"{self.folder}/repo-{one}" for one in repositories}
        rows = "".join(f"  - {{ name: {one}, url: file://{url}, required: true }}\n"
                       for one, url in self.urls.items())
        rows += "".join(f"  - {row}\n" for row in more)
        encryption = encryption or f"{{ recipients: [ {{ keyfile: {self.folder}/key }} ] }}"
        self.config = workspace.write(
            f"{self.folder}/config.yaml",
            f"cluster: test\nstate: {self.folder}/state\npostgresql: {{ data: {self.data} }}\n"
            f"repositories:\n{rows}encryption: {encryption}\nwal: {{ spool: {self.folder}/spool"
            f"{', ' + wal if wal else ''} }}\n{rest}", 0o600)
        for one, url in self.urls.items():
            workspace.folder(f"{url}/test", 0o700)
            workspace.run([f"{programs()}/make_repo", self.config, one, SYSID, 15, size])

    def root(self, repository="primary"):
        return f"{self.urls[repository]}/test"

    def write(self, file_name, content):
        """Put a file into pg_wal; returns its name."""
        workspace.write(f"{self.pg_wal}/{file_name}", content, 0o600)
        return file_name

    def segment(self, number=1, timeline=1, **kwargs):
        file_name = name(timeline, number, self.size)
        return self.write(file_name, segment(timeline, number, self.size, **kwargs))

    def command(self, *arguments, program="cpam-wal-push"):
        line = [f"{programs()}/{program}", "--config", self.config]
        if program != "cpam-wal-worker-twin":
            return [*line, *arguments]
        return [*line, *[one for one in arguments[:-1] if one != "--"], "--push", arguments[-1]]

    def workers(self):
        return workers.pids(self.folder)

    def push(self, file_name, *options, program="cpam-wal-push", env=None, cwd=None, path=None):
        """As archive_command calls it: in the data directory, with pg_wal/NAME."""
        return subprocess.run(
            self.command(*options, path or f"pg_wal/{file_name}", program=program),
            cwd=cwd or self.data, env=workspace.environment(env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            timeout=120, check=False, **workspace.as_user())

    def start(self, file_name, *options, program="cpam-wal-push", env=None, cwd=None):
        return subprocess.Popen(
            self.command(*options, f"pg_wal/{file_name}", program=program), cwd=cwd or self.data,
            env=workspace.environment(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", **workspace.as_user())

    def fetch(self, file_name, code=0):
        """What cpam-wal-fetch delivers to a person, or None."""
        target = f"{self.folder}/fetched"
        done = subprocess.run(
            [f"{programs()}/cpam-wal-fetch", "--config", self.config, file_name, target], cwd="/",
            env=workspace.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=120, check=False, **workspace.as_user())
        self.expect(done, code)
        if not os.path.exists(target):
            return None
        with open(target, "rb") as file:
            content = file.read()
        os.unlink(target)
        return content

    def expect(self, result, code, *words):
        if result.returncode != code:
            raise AssertionError(f"{result.args} ended with {result.returncode}, wanted {code}:\n"
                                 f"{result.stdout}{result.stderr}")
        self.t.holds(result.stderr, list(words), "stderr")
        return result

    def objects(self, repository="primary"):
        """{key: (bytes, inode, mtime in ns)} of everything but temporaries."""
        found = {}
        root = self.root(repository)
        for top, _, names in os.walk(root):
            for one in names:
                path = os.path.join(top, one)
                with open(path, "rb") as file:
                    about = os.stat(path)
                    found[os.path.relpath(path, root)] = (file.read(), about.st_ino,
                                                          about.st_mtime_ns)
        return found

    def stray(self, repository="primary"):
        return [key for key in self.objects(repository) if ".cpam-" in key]

    def key_of(self, file_name, sysid=SYSID):
        if file_name.endswith(".history"):
            return f"wal/{sysid}/{file_name}"
        return f"wal/{sysid}/{file_name[:8]}/{file_name[8:16]}/{file_name}"
