#!/usr/bin/env python3
"""test_object_lock.py - what is pushed into a bucket with Object Lock is locked, whatever its size (S6)."""
import datetime
import json
import os
import random

from harness import cluster, cpam, rgw, tap, workspace
from test_store import drive, peer

DAYS = 35


def make_bucket(name):
    rgw.shared().client.check("PUT", f"/{name}", headers={"x-amz-bucket-object-lock-enabled": "true"})
    return name


def locked_until(bucket, key):
    """When the lock of an object ends; None: it has none."""
    headers, _ = rgw.shared().client.check("HEAD", f"/{bucket}/{key}")
    headers = {name.lower(): value for name, value in headers.items()}
    until = headers.get("x-amz-object-lock-retain-until-date")
    if until is None or headers.get("x-amz-object-lock-mode") != "COMPLIANCE":
        return None
    return datetime.datetime.fromisoformat(until.replace("Z", "+00:00"))


def in_days(number):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=number)


def test_S6_an_object_in_parts_is_locked_by_a_store_that_drops_the_header(t):
    """A manifest of more than 16 MiB goes in parts; radosgw takes no lock at their beginning."""
    name = make_bucket("parts-locked")
    path, _ = peer.file(t, "body", 40_000_000)
    peer.expect(t, drive(name, "--lock=COMPLIANCE", f"--lock-for={DAYS * 86_400_000}", "stream",
                         "large", path), "ok")
    until = locked_until(name, "large")
    t.true(until is not None and in_days(DAYS - 1) < until < in_days(DAYS + 1), f"locked until {until}")


@tap.limit(600)
def test_S6_every_object_of_a_backup_is_locked(t):
    server = rgw.shared()
    client = server.client
    make_bucket("locked")
    secret = workspace.write(os.path.join(t.folder(), "secret"), server.secret_key, 0o600)
    pg = cluster.new(t)
    repository = server.repository("locked", secret_file=secret,
                                   object_lock={"mode": "COMPLIANCE", "days": DAYS})
    config = cpam.write_config(t.folder(), cpam.settings(t.folder(), pg, [repository]))
    pg.configure(**cpam.archive_settings(config)).start()
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    # more than a part of a pack, and nothing that compresses
    workspace.write(os.path.join(pg.data, "filler"), random.randbytes(40 << 20), 0o600)
    t.exits(cpam.run("cpam-base-push", config=config), 0)
    keys = [key for key in client.keys("locked") if "/probe/" not in key]
    t.true(any("/pack/" in key for key in keys) and any("/wal/" in key for key in keys), "what there is")
    ends = {key: locked_until("locked", key) for key in keys}
    t.equal([key for key, until in ends.items() if until is None or until < in_days(DAYS - 1)], [],
            "objects that are not locked")
    # packs are used by incremental backups until the next full one (base.full_every: 7d), and a week
    t.equal([key for key, until in ends.items() if "/pack/" in key and until < in_days(DAYS + 13)], [],
            "packs locked too shortly for those that will use them")
    # nobody can delete a version of a pack before its time
    pack = next(key for key in keys if "/pack/" in key)
    headers, _ = client.check("HEAD", f"/locked/{pack}")
    version = next(value for name, value in headers.items() if name.lower() == "x-amz-version-id")
    status, _, _ = client.request("DELETE", f"/locked/{pack}", [("versionId", version)])
    t.equal(status, 403, "deleting a locked pack")
    # the next one uses these packs; where it is to be kept longer than they are locked, it does not
    def push(days, *arguments):
        longer = server.repository("locked", secret_file=secret,
                                   object_lock={"mode": "COMPLIANCE", "days": days})
        config = cpam.write_config(t.folder(), cpam.settings(t.folder(), pg, [longer]), f"{days}.yaml")
        return cpam.run("cpam-base-push", "--json", *arguments, config=config)

    def kind_of(result):
        return json.loads(t.exits(result, 0).out)["backups"][0]["kind"]

    t.equal(kind_of(push(DAYS)), "incremental")
    t.exits(push(DAYS + 12, "--mode", "incremental"), 1, ["/pack/", "is locked until"])
    t.equal(kind_of(push(DAYS + 12)), "full")
    t.equal(kind_of(push(DAYS + 12)), "incremental")
    # where the configuration knows of full backups only, nothing may lean on their packs
    settings = cpam.settings(t.folder(), pg, [repository])
    config = cpam.write_config(t.folder(), {**settings, "base": {"mode": "full"}}, "full.yaml")
    for mode in ("incremental", "auto"):
        t.exits(cpam.run("cpam-base-push", "--mode", mode, config=config), 2,
                ["object_lock", 'set base.mode to "auto"'])


if __name__ == "__main__":
    tap.main(globals())
