"""attack.py - a filled repository to be attacked: made once, copied for each attack.

`Scene(keys)` has a PostgreSQL that archives into a directory repository through the real programs,
with keys "keyfile" (the simple default) or "x25519" (a public key, a writer key, trusted writers; the
private key is elsewhere).  `scene.copy(t)` is a Copy: the repository in a folder of the test, with
configurations for those who read it, and the hands of somebody who can write to the store.
"""
import atexit
import glob
import os
import shutil

from . import cluster, cpam, tap, workspace


class Scene:
    def __init__(self, keys="keyfile", segments=3, backups=0):
        self.test = tap.Test("scene")
        atexit.register(self.test.finish)
        self.folder = self.test.folder()
        self.keys = keys
        self.pg = cluster.new(self.test, init=False)
        self.pg.init("--wal-segsize=1")
        self.settings = self.encrypted(cpam.settings(self.folder, self.pg))
        self.config = cpam.write_config(self.folder, self.settings)
        self.must("cpam-repo", "create", config=self.config)
        self.pg.configure(**cpam.archive_settings(self.config))
        self.pg.start()
        self.sysid = self.pg.controldata()["Database system identifier"]
        self.pg.sql("create table t as select g, md5(g::text) from generate_series(1, 2000) g")
        self.segments = []
        self.labels = []
        for number in range(max(segments, backups)):
            if number < backups:
                self.backup()
            self.pg.sql("insert into t select g, 'more' from generate_series(1, 100) g")
            self.segments.append(self.pg.switch_wal())
            self.pg.wait_archived(self.segments[-1])

    def must(self, *arguments, **more):
        result = cpam.run(*arguments, **more)
        if result.code != 0:
            raise RuntimeError(f"{result.line} ended with {result.code}\n{result.output()}")
        return result

    def key(self, kind, name=None):
        """A key file of the scene and its public half."""
        path = os.path.join(self.folder, name or kind)
        verb = ("public", path) if os.path.exists(path) else ("generate", kind, path)
        return path, self.must("cpam-keys", *verb).out.strip()

    def encrypted(self, settings):
        """The settings with the scene's keys, as the database host has them."""
        if self.keys == "x25519":
            private, public = self.key("x25519")
            writer, trusted = self.key("writer")
            settings["encryption"] = {"recipients": [{"x25519": public}], "writer_key": writer,
                                      "trusted_writers": [trusted]}
            self.reading = {"recipients": [{"x25519": public}], "identities": [{"x25519": private}],
                            "trusted_writers": [trusted]}
        else:
            settings["encryption"] = {"recipients": [{"keyfile": self.key("keyfile")[0]}]}
            self.reading = settings["encryption"]
        return settings

    def backup(self):
        """One more base backup; its label."""
        before = set(self.summaries())
        self.must("cpam-base-push", config=self.config)
        self.labels.append((set(self.summaries()) - before).pop())

    def summaries(self):
        found = glob.glob(os.path.join(self.folder, "repo/demo/backup/*/summary.json"))
        return [path.split("/")[-2] for path in found]

    def copy(self, t):
        return Copy(self, t)


class Copy:
    def __init__(self, scene, t):
        self.scene, self.t = scene, t
        number = len(os.listdir(t.folder()))
        self.folder = workspace.folder(os.path.join(t.folder(), f"copy{number}"))
        self.root = os.path.join(self.folder, "repo/demo")
        workspace.run(["cp", "-a", os.path.join(scene.folder, "repo"), self.folder])
        self.config = self.configure(scene.reading)

    def configure(self, encryption, name="reader.yaml", cluster_name="demo"):
        """A configuration with these keys for the copy; its path."""
        settings = cpam.settings(self.folder, self.scene.pg)
        settings["encryption"] = encryption
        settings["cluster"] = cluster_name
        return cpam.write_config(self.folder, settings, name)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def segment(self, number=0):
        name = self.scene.segments[number]
        return self.path("wal", self.scene.sysid, name[:8], name[8:16], name)

    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def replace(self, path, content):
        """What put-if-absent keeps everybody else from: other bytes under a name that is taken."""
        if os.path.exists(path):
            os.unlink(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        workspace.write(path, content, 0o400)

    def change(self, path, at, flip=0x01):
        content = bytearray(self.read(path))
        content[at] ^= flip
        self.replace(path, bytes(content))

    def remove(self, *parts):
        path = self.path(*parts)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def fetch(self, number=0, config=None):
        """cpam-wal-fetch of one of the scene's segments, called as a person does."""
        self.wanted = os.path.join(self.folder, "fetched")
        return cpam.run("cpam-wal-fetch", self.scene.segments[number], self.wanted,
                        config=config or self.config)

    def refused(self, words, number=0, config=None, code=254):
        """The fetch ends with this code and these words, and leaves nothing behind."""
        self.t.exits(self.fetch(number, config), code, words)
        left = [name for name in os.listdir(self.folder) if "fetched" in name or ".cpam" in name]
        self.t.equal(left, [], "left behind by a refused fetch")

    def good(self, number=0, config=None):
        self.t.exits(self.fetch(number, config), 0)
        os.unlink(self.wanted)
