"""test_module_crash.py - the power is cut behind each segment that a real server has archived through the
module: what the server took for archived is there, whole."""
import os
import subprocess

import crash_states
from push_world import tap, workspace  # puts tests/live on the path

from harness import cluster, cpam, workers
import test_wal_worker_crash as crash


@tap.limit(900)
def test_P10_P15_power_cut_after_the_module_acknowledged(t):
    pg = cluster.new(t, "a", init=False)
    pg.init("--wal-segsize=1")
    settings = cpam.settings(t.folder(), pg)
    settings["wal"]["push"] = {"mode": "worker"}
    config = cpam.write_config(t.folder(), settings)
    t.defer(workers.end, t.folder())
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    pg.configure(**{**cpam.module_settings(config), "cpam_archive.bindir": crash.programs()})
    log = f"{t.folder()}/log"
    process = subprocess.Popen(
        [f"{crash.programs()}/cpam-wal-worker", "--config", config, "--serve", pg.data, "--foreground",
         "--idle", "0"], cwd="/", env=workspace.environment(crash.twin(LOG=log)),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        **workspace.as_user())
    t.defer(process.wait)
    t.defer(process.kill)
    root = f"{t.folder()}/repo"
    base = crash_states.snapshot(root)
    pg.start()
    pg.sql("create table t (a int)")
    acknowledged = {}
    for number in range(4):
        pg.sql(f"insert into t values ({number})")
        one = pg.switch_wal()
        cluster.wait_for(
            lambda one=one: os.path.exists(f"{pg.data}/pg_wal/archive_status/{one}.done"), 180, one)
        at = os.path.getsize(log)
        found = [os.path.join(top, one) for top, _, names in os.walk(root) if one in names]
        t.equal(len(found), 1, f"objects called {one}")
        acknowledged[found[0]] = at
    t.equal(workers.pids(t.folder()), [process.pid], "who archived")
    pg.stop()
    process.terminate()
    t.equal(process.wait(180), 0)
    t.true(not any(path in base for path in acknowledged), "nothing was there before")
    checked = crash.every_state(None, [root], log, acknowledged)
    t.note(f"{checked} times something acknowledged had to be there")
    t.true(checked > 20, "states behind an acknowledgement")


if __name__ == "__main__":
    tap.main(globals())
