#!/usr/bin/env python3
"""test_running.py - cpam-info in another terminal shows a backup and a restore that are under way."""
import glob
import json
import os
import signal
import time

from harness import cluster, cpam, tap, workspace
from restore_world import World


def running(t, world):
    result = cpam.run("cpam-info", "--json", config=world.config)
    t.true(result.code in (0, 3), result.output())
    return json.loads(result.out)["running"]


def files(world):
    return glob.glob(os.path.join(os.path.dirname(world.config), "state", "running", "*"))


@tap.limit(600)
def test_O8_a_running_backup_is_seen(t):
    world = World(t)
    world.pg.sql("alter system set archive_command = 'false'")
    world.pg.reload()
    process = cpam.start("cpam-base-push", config=world.config)
    cluster.wait_for(lambda: [job for job in running(t, world)
                              if job["done_bytes"] > 0.9 * job["total_bytes"] > 0],
                     60, "nearly all files of the backup")
    jobs = running(t, world)
    t.equal(len(jobs), 1)
    t.equal(jobs[0]["program"], "cpam-base-push")
    t.equal(jobs[0]["process"], process.pid)
    text = cpam.run("cpam-info", config=world.config).out
    t.holds(text, f"Running: cpam-base-push (process {process.pid})")
    t.holds(text, jobs[0]["name"])
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=180)
    t.equal(len(files(world)), 1)
    t.equal(running(t, world), [], "a killed one runs no longer")
    world.pg.sql("alter system reset archive_command")
    world.pg.reload()
    world.push()
    t.equal(files(world), [])


def stopped_restore(world, data):
    """A restore that was stopped among its files, or None: it was faster."""
    process = cpam.start("cpam-base-fetch", "--latest", data, config=world.config)
    while process.poll() is None:
        if files(world):
            process.send_signal(signal.SIGSTOP)
            if files(world):
                return process
            process.send_signal(signal.SIGCONT)
        time.sleep(0.001)
    process.communicate()
    return None


@tap.limit(600)
def test_O8_a_running_restore_is_seen(t):
    world = World(t)
    world.insert(1)
    world.push()
    world.archived()
    data = os.path.join(t.folder(), "back")
    for _ in range(20):
        process = stopped_restore(world, data)
        if process is not None:
            break
        workspace.run(["rm", "-rf", data])
    t.true(process is not None, "a restore was stopped among its files")
    try:
        jobs = running(t, world)
        t.equal([(job["program"], job["process"]) for job in jobs],
                [("cpam-base-fetch", process.pid)])
        t.holds(jobs[0]["where"], data)
        t.holds(cpam.run("cpam-info", config=world.config).out,
                f"Running: cpam-base-fetch (process {process.pid})")
    finally:
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=180)
    t.true(process.returncode in (0, 3), err)
    t.equal(files(world), [])


if __name__ == "__main__":
    tap.main(globals())
