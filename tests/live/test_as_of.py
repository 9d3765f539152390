#!/usr/bin/env python3
"""test_as_of.py - a bucket that keeps versions, read as it was before everything in it was deleted."""
import datetime
import os

from harness import rgw, tap, workspace
from restore_world import World


def moment():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def in_bucket(t, name, versioned=True):
    server = rgw.shared()
    server.client.make_bucket(name, versioned)
    secret = workspace.write(os.path.join(t.folder(), "secret"), server.secret_key + "\n", 0o600)
    return server, World(t, repositories=[server.repository(name, secret_file=secret)])


@tap.limit(900)
def test_T13_all_objects_deleted_and_some_overwritten_and_the_restore_works(t):
    server, world = in_bucket(t, "ransom")
    world.insert(1)
    label = world.push().split()[1]
    world.insert(2)
    world.archived()
    then = moment()
    # the archive goes on, with another backup
    world.insert(3)
    world.archived()
    later = world.push().split()[1]
    world.pg.stop()
    keys = server.client.keys("ransom")
    t.true(len(keys) > 10, "there is something to delete")
    for number, key in enumerate(keys):
        if number % 3 == 0:
            server.client.put("ransom", key, b"pay")
        if number % 3 != 1:
            server.client.delete("ransom", key)
        else:
            server.client.put("ransom", key, b"")
            server.client.delete("ransom", key)
    t.equal(server.client.keys("ransom"), [], "nothing is left to see")

    world.fetch("--latest", code=1)
    result = t.exits(world.run("cpam-info", "--as-of", then), 0)
    t.holds(result.out, [label])
    t.true(later not in result.out, "the younger backup was not there yet")

    server_then = world.restore("--latest", "--as-of", then)
    t.equal(world.rows(server_then), "1 2")
    # recovery asked the past too
    t.holds(server_then.sql("show restore_command"), [f"--as-of {then}", "--repo primary"])
    world.drop(server_then)
    world.expect("1", "--backup", label, "--target-action", "promote", "--as-of", then)
    # before the first backup there is none
    world.fetch("--latest", "--as-of", "2020-01-01T00:00:00Z", code=1)


@tap.limit(300)
def test_T13_what_has_no_past_is_refused(t):
    _, world = in_bucket(t, "forgetful", versioned=False)
    world.push()
    then = moment()
    world.fetch("--latest", "--as-of", then, code=1,
                words=["--as-of needs a bucket that keeps versions", "is gone"])
    world.fetch("--standby", "--as-of", then, code=2, words=["--standby goes on replaying"])
    for wrong in ("2999-01-01T00:00:00Z", "yesterday", "2026-01-01 00:00"):
        world.fetch("--latest", "--as-of", wrong, code=2, words=["--as-of"])


@tap.limit(120)
def test_T13_a_directory_has_no_past(t):
    directory, then = World(t, start=False), moment()
    directory.fetch("--latest", "--as-of", then, code=1,
                    words=["--as-of needs a bucket that keeps versions", "the directory"])
    t.exits(directory.run("cpam-info", "--as-of", then), 1, ["--as-of needs a bucket"])
    t.exits(directory.run("cpam-base-push", "--as-of", then), 2)


if __name__ == "__main__":
    tap.main(globals())
