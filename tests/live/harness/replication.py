"""replication.py - a replication connection as PostgreSQL 17 and later serve it to pg_basebackup: a manifest
goes up, an incremental backup comes down, and is joined with the full one it stands on.

The client programs of 17 are not in Debian 12, nor in the builds tests/live/get-postgres brings; the
protocol is short.  Unix socket, trust, superuser postgres.
"""
import io
import os
import shutil
import socket
import struct
import tarfile

from . import workspace

BLOCK = 8192
INCREMENTAL = "INCREMENTAL."
MAGIC = 0xD3AE1F0D


class Refused(RuntimeError):
    """The server answered with an error."""


class Connection:
    def __init__(self, t, pg, port=5432):
        self.socket = socket.socket(socket.AF_UNIX)
        t.defer(self.socket.close)
        self.socket.settimeout(180)
        self.socket.connect(os.path.join(pg.socket, f".s.PGSQL.{port}"))
        body = struct.pack("!I", 196608) + b"user\0postgres\0replication\0true\0\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self._until(b"Z")

    def _take(self, size):
        parts = []
        while size:
            part = self.socket.recv(min(size, 1 << 20))
            if not part:
                raise Refused("the server closed the connection")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _message(self):
        kind, size = struct.unpack("!cI", self._take(5))
        body = self._take(size - 4)
        if kind == b"E":
            fields = dict((field[:1], field[1:].decode(errors="replace"))
                          for field in body.split(b"\0") if field)
            raise Refused(": ".join(fields.get(key, "") for key in (b"M", b"D")))
        return kind, body

    def _until(self, last):
        """Over all messages up to one of this kind."""
        while True:
            if self._message()[0] == last:
                return

    def _send(self, kind, body=b""):
        self.socket.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def upload_manifest(self, text):
        self._send(b"Q", b"UPLOAD_MANIFEST\0")
        self._until(b"G")
        for at in range(0, len(text), 65536):
            self._send(b"d", text[at:at + 65536])
        self._send(b"c")
        self._until(b"Z")

    def base_backup(self, options):
        """{archive's name: its tar} and the manifest that came with it."""
        self._send(b"Q", f"BASE_BACKUP ({options})\0".encode())
        archives, manifest, into = {}, b"", None
        while True:
            kind, body = self._message()
            if kind == b"Z":
                return archives, manifest
            if kind != b"d":
                continue
            if body[:1] == b"n":
                into = body[1:].split(b"\0")[0].decode()
                archives[into] = []
            elif body[:1] == b"m":
                into = None
            elif body[:1] == b"d" and into is None:
                manifest += body[1:]
            elif body[:1] == b"d":
                archives[into].append(body[1:])


def unpack(chunks, folder):
    """A tar of base_backup() into a new folder of PostgreSQL's user."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        tar.extractall(folder)
    for top, names, files in os.walk(folder):
        for name in names + files:
            workspace.give(os.path.join(top, name))
    os.chmod(folder, 0o700)
    workspace.give(folder)


def _blocks(path, full):
    """One file of an incremental backup and the same of the full one, joined as pg_combinebackup does."""
    with open(path, "rb") as file:
        data = file.read()
    magic, count, truncated = struct.unpack_from("<III", data)
    if magic != MAGIC:
        raise RuntimeError(f"{path} is no incremental file")
    numbers = struct.unpack_from(f"<{count}I", data, 12)
    start = 12 + 4 * count
    start = -(-start // BLOCK) * BLOCK if count else start
    with open(full, "rb") as file:
        old = file.read()
    out = bytearray(old[:truncated * BLOCK])
    out += bytes(max([truncated, *(number + 1 for number in numbers)]) * BLOCK - len(out))
    for i, number in enumerate(numbers):
        out[number * BLOCK:(number + 1) * BLOCK] = data[start + i * BLOCK:start + (i + 1) * BLOCK]
    return bytes(out), count


def combine(full, incremental, out):
    """pg_combinebackup of two; (files joined, blocks taken from the incremental one)."""
    files = blocks = 0
    shutil.copytree(incremental, out, symlinks=True)
    for top, _, names in os.walk(out):
        for name in names:
            path = os.path.join(top, name)
            if not name.startswith(INCREMENTAL):
                continue
            whole = os.path.join(top, name[len(INCREMENTAL):])
            content, count = _blocks(path, os.path.join(full, os.path.relpath(whole, out)))
            workspace.write(whole, content, 0o600)
            os.unlink(path)
            files, blocks = files + 1, blocks + count
    label = os.path.join(out, "backup_label")
    with open(label, encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("INCREMENTAL FROM")]
    workspace.write(label, "".join(lines), 0o600)
    os.unlink(os.path.join(out, "backup_manifest")) if os.path.exists(
        os.path.join(out, "backup_manifest")) else None
    for top, names, found in os.walk(out):
        for name in names + found:
            workspace.give(os.path.join(top, name))
    os.chmod(out, 0o700)
    workspace.give(out)
    return files, blocks
