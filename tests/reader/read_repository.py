#!/usr/bin/python3
"""read_repository.py - reads a CPAM repository with nothing but docs/format.md, a key and Python.

    read_repository.py DIRECTORY KEY-FILE [cpam1wpub...] wal SYSID [16-HEX/]NAME   > file
    read_repository.py DIRECTORY KEY-FILE [cpam1wpub...] file LABEL PATH   > file

DIRECTORY is <url>/<cluster>; the key file has a keyfile's key, or an X25519 private key with which
only objects of the writers named are believed.  All is verified before a byte is written.
"""
import base64, hashlib, hmac, json, os, re, struct, sys, uuid, zlib  # noqa: E401
import lz4.block, zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DECODERS = [lambda t, n: t, lambda t, n: lz4.block.decompress(t, uncompressed_size=n), lambda t, n:
            zstandard.ZstdDecompressor().decompress(t, max_output_size=n), lambda t, n: zlib.decompress(t)]

def sha(data):
    return hashlib.sha256(data).digest()
def hkdf(key, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)
def need(truth, what):
    if not truth:
        sys.exit("refused: " + what)

def key_text(text):  # -> the key; section 3.1
    prefix = text.strip().lower()[:9 if text[5] == "w" else 8]
    raw = base64.b32decode(text[len(prefix):].strip().upper() + "====")
    need(sha(prefix.encode() + raw[:-4])[:4] == raw[-4:], "a mistyped key")
    return raw[1:-4]

class Repository:
    def __init__(self, root, key_file, writers):
        line = [x.split()[-1] for x in open(key_file) if x.strip() and x[0] != "#"][0]
        self.root, self.shared, self.key = root, line.startswith("cpam1key"), key_text(line)
        own = x25519.X25519PrivateKey.from_private_bytes(self.key)
        public = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        if self.shared:
            self.type, x = 5, hkdf(self.key, b"", b"CPAM/1 keyfile id")
            self.kek = lambda shown: hkdf(self.key, shown, b"CPAM/1 keyfile")
        else:
            self.type, x, point = 1, public, x25519.X25519PublicKey.from_public_bytes
            self.kek = lambda shown: hkdf(own.exchange(point(shown)), shown + public, b"CPAM/1 x25519")
        self.id = sha(bytes([self.type]) + x)[:8]
        self.writers = {sha(b"\x01" + key_text(w))[:8]: key_text(w) for w in writers}
        self.uuid = uuid.UUID(json.loads(self.get("repo.json"))["repo"]).bytes
        self.record("repo.json")

    def get(self, name):
        return open(os.path.join(self.root, name), "rb").read()

    def prove(self, algorithm, writer, label, message, proof):  # section 3.4
        if algorithm == 1:
            need(writer in self.writers, "writer %s is not trusted" % writer.hex())
            return ed25519.Ed25519PublicKey.from_public_bytes(self.writers[writer]).verify(proof, message)
        need(algorithm == 3 and self.shared and not self.writers and writer == self.id, "not ours")
        made = hmac.new(hkdf(self.key, b"", label + self.uuid), message, "sha256").digest()
        need(hmac.compare_digest(made, proof[:32]) and not any(proof[32:]), "a signature does not hold")

    def record(self, name):  # section 7
        text = self.get(name)
        body, end = text[:text.rindex(b',"alg":"')], text[text.rindex(b',"alg":"'):]
        alg, writer, proof = (json.loads(b"{" + end[1:])[k] for k in ("alg", "writer", "sig"))
        need(end.decode() == ',"alg":"%s","writer":"%s","sig":"%s"}\n' % (alg, writer, proof), "form of " + name)
        self.prove({"ed25519": 1, "hmac": 3}[alg], bytes.fromhex(writer), b"CPAM/1 json key",
                   b"CPAM/1 json\0" + self.uuid + name.encode() + b"\0" + body, bytes.fromhex(proof))
        record = json.loads(body + b"}")
        return need((record["format"], record["repo"]) == (1, str(uuid.UUID(bytes=self.uuid))), name) or record

    def session_key(self, stanzas, commitment):  # section 5
        while stanzas:
            kind, _, length, who = struct.unpack(">BBH8s", stanzas[:12])
            body, stanzas = stanzas[12:12 + length], stanzas[12 + length:]
            if (kind, who) == (self.type, self.id):
                place = b"CPAM/1 wrap\0" + bytes([kind]) + self.uuid + commitment
                key = AESGCM(self.kek(body[:32])).decrypt(bytes(12), body[32:80], place)
                return need(hkdf(key, b"", b"CPAM/1 commit\0" + self.uuid) == commitment, "commitment") or key
        sys.exit("refused: not sealed for this key")

    def read(self, name, kind, sysid, want_h=None, want_d=None):  # section 4 -> contents of the frames
        data, head = self.get(name), self.get(name)[:320]
        (magic, kind_, flags, zero, log2, size, repo, cluster, _, salt, commitment, hashed, _, stanza_sum, writer, _,
         length, algorithm, zeros) = struct.unpack(">9sBHBBH16sQQ32s32s32s32s32s8s16sQB15s", head[:256])
        need((magic, flags, zero, zeros) == (b"CPAMOBJ1\1", 0x301, 0, bytes(15)), "form of " + name)
        need(want_h in (None, sha(head).hex()), "header digest of " + name)
        own = sha(re.sub("^quarantine/[0-9a-f]{16}/", "", name).encode())
        need((repo, cluster, hashed, kind_) == (self.uuid, sysid, own, kind), "identity of " + name)
        self.prove(algorithm, writer, b"CPAM/1 object proof key", b"CPAM/1 header\0" + head[:256], head[256:])
        at = start = 320 + size
        need(sha(data[320:at]) == stanza_sum, "stanzas of " + name)
        aead = AESGCM(hkdf(self.session_key(data[320:at], commitment), salt, b"CPAM/1 object\0" + head[:256]))
        frames, lengths, final = [], b"", 0
        while not final:
            clen, rlen, codec, final, zero = struct.unpack(">IIBBH", data[at:at + 12])
            need(zero == 0 and final < 2 and 0 < clen <= rlen <= 1 << log2, "a frame of " + name)
            nonce = bytes(7) + struct.pack(">IB", len(frames), final)
            text = DECODERS[codec](aead.decrypt(nonce, data[at + 12:at + 28 + clen], data[at:at + 12]), rlen)
            at += 28 + clen
            need(len(text) == rlen and (final or kind == 7 or not frames or len(frames[-1]) == 1 << log2), name)
            frames += [] if final else [text]
            lengths += b"" if final else struct.pack(">II", clen, rlen)
        total = sum(map(len, frames))
        sums = struct.pack(">QII", total, len(frames), 0)
        need(text[:16] == sums and length in (total, 2**64 - 1), "sums of " + name)
        need(kind == 1 or text[16:] == (lengths if kind == 7 else b""), "final frame of " + name)
        d = sha(data[start:at])
        need(want_d in (None, d.hex()) and len(data) == at + 64, "end of " + name)
        self.prove(algorithm, writer, b"CPAM/1 object proof key", b"CPAM/1 tail\0" + sha(head) + d, data[at:])
        return frames

    def file(self, label, wanted):  # sections 7 and 10
        summary = self.record("backup/%s/summary.json" % label)
        sysid, place = int(summary["sysid"]), summary["manifest"]
        text = self.read("backup/%s/manifest" % label, 5, sysid, place["h"], place["d"])
        *lines, last_line = b"".join(text).splitlines(keepends=True)
        items, end = [json.loads(line) for line in lines], json.loads(last_line)
        need((end["t"], end["lines"]) == ("end", len(lines)), "end of the manifest")
        need(all(summary[k] == v for k, v in end["summary"].items() if k != "cluster") and
             end["sha256"] == sha(b"".join(lines)).hex(), "manifest of " + label)
        packs, files, last = [item for item in items if item["t"] == "p"], {}, []
        for item in items:
            if item["t"] == "x":
                files[b"/".join(last)]["e"] += item["e"]
            elif item["t"] in ("d", "l", "f"):
                parts = (os.fsencode(item["n"]) if "n" in item else base64.b64decode(item["nb"])).split(b"/")
                need(parts > last and not {b"", b".", b".."} & set(parts), "order of paths")
                files[b"/".join(parts)], last = item, parts
        plain = [f for f in files.values() if f["t"] == "f"]
        need((len(plain), sum(f["s"] for f in plain), len(packs)) == (end["files"], end["bytes"], end["packs"]), "sums")
        need(all(len(f["e"]) == f["ne"] and sum(e[0] for e in f["e"]) == f["s"] for f in plain) and
             [p["i"] for p in packs] == list(range(len(packs))), "extents or packs")
        content, found = b"", files[os.fsencode(wanted)]
        for size, pack, frame, offset in found["e"]:
            frames = pack >= 0 and self.read(packs[pack]["k"], 7, sysid, packs[pack]["h"], packs[pack]["d"])
            content += b"".join(frames[frame:])[offset:offset + size] if frames else bytes(size)
        return need(len(content) == found["s"], "size of " + wanted) or content

    def wal(self, sysid, name):
        kind = {"history": 2, "backup": 3, "partial": 4}[name.rsplit(".", 1)[1]] if "." in name else 1
        aside, name = name.rpartition("/")[::2]
        path = sysid + "/" + (name if kind == 2 else "%s/%s/%s" % (name[:8], name[8:16], name))
        return b"".join(self.read((aside and "quarantine/%s/" % aside) + "wal/" + path, kind, int(sysid)))

if __name__ == "__main__":
    root, key_file, *writers, what, at, name = sys.argv[1:]
    sys.stdout.buffer.write(getattr(Repository(root, key_file, writers), what)(at, name))  # wal or file
