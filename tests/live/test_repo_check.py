#!/usr/bin/env python3
"""test_repo_check.py - cpam-repo check is not content with a segment in the repository: the server's own
archiver has to get through, and the newest backup has to reach what was archived last."""
import json
import os

from harness import cluster, cpam, tap, workspace


def begin(t, archive=cpam.archive_settings, **push):
    """A server with a backup, whose worker has archived a segment; (server, config)."""
    pg = cluster.new(t, init=False).init("--wal-segsize=1")
    settings = cpam.settings(t.folder(), pg)
    settings["wal"]["push"].update(push)
    config = cpam.write_config(t.folder(), settings)
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    pg.configure(**archive(config))
    pg.start()
    t.exits(cpam.run("cpam-base-push", config=config), 0)
    return pg, config


def waits_for_archiver(pg):
    for name in os.listdir(os.path.join(pg.data, "pg_wal", "archive_status")):
        if name.endswith(".ready"):
            return name.removesuffix(".ready")
    return None


def check(t, config, code, *arguments):
    return t.exits(cpam.run("cpam-repo", "check", *arguments, config=config, timeout=240), code)


def reload(pg, **settings):
    pg.configure(**settings)
    pg.reload()
    for name, value in settings.items():
        pg.wait_sql(f"select current_setting('{name}') = '{value}'")


def test_O6_a_worker_that_is_ahead_of_a_broken_archiver_protects_nobody(t):
    pg, config = begin(t, timeout="5s")
    check(t, config, 0)
    hold = os.path.join(t.folder(), "hold")
    workspace.write(hold, "")
    t.defer(lambda: os.path.exists(hold) and os.unlink(hold))
    program = cpam.path("cpam-wal-push")
    stuck = f"while test -e {hold}; do sleep .1; done; {program} --config /etc/no-such.yaml %p"
    reload(pg, archive_command=stuck)
    checking = cpam.start("cpam-repo", "check", config=config)
    waiting = cluster.wait_for(lambda: waits_for_archiver(pg), what="a segment that waits")
    t.exits(cpam.run("cpam-wal-push", f"pg_wal/{waiting}", config=config, cwd=pg.data), 0)
    out, err = checking.communicate(timeout=240)
    t.equal(checking.returncode, 1, "exit status")
    t.holds(err, [f"not protected: segment {waiting} is in the repository, but not by",
                      "the archiver has failed 0 times", "that wait for it: 0000000",
                      f"archive_command is {stuck}", "the server's log says why"])
    t.equal(out, "", "the verdict")
    os.unlink(hold)
    pg.wait_sql("select failed_count > 0 from pg_stat_archiver")
    reload(pg, archive_command=cpam.archive_settings(config)["archive_command"])
    check(t, config, 0)


def test_O6_a_file_the_archiver_cannot_get_past_is_named(t):
    pg, config = begin(t)
    stuck = "00000009.history"
    for path in (f"pg_wal/{stuck}", f"pg_wal/archive_status/{stuck}.ready"):
        with open(os.path.join(pg.data, path), "w", encoding="ascii") as file:
            file.write("no timeline begins so\n")
        workspace.give(os.path.join(pg.data, path))
    pg.switch_wal()
    pg.wait_sql(f"select last_failed_wal = '{stuck}' from pg_stat_archiver")
    got = check(t, config, 1)
    t.holds(got.err, ["not protected: ", f"last with {stuck}", f"that wait for it: {stuck}"])


def test_O6_a_module_without_its_configuration_is_told_at_once(t):
    pg, config = begin(t, archive=cpam.module_settings)
    check(t, config, 0)
    reload(pg, **{"cpam_archive.config": "/etc/no-such.yaml"})
    got = check(t, config, 1)
    t.holds(got.err, ['not protected: cpam_archive.config is "/etc/no-such.yaml", which is not there'])


def test_O6_a_hole_behind_the_newest_backup_protects_nobody(t):
    pg, config = begin(t)
    pg.sql("create table t (id int)")
    lost = ""
    for number in range(3):  # the last one is behind it
        previous, lost = lost, pg.sql(f"insert into t values ({number}) returning pg_walfile_name("
                                      "pg_current_wal_insert_lsn())")
        pg.wait_archived(pg.switch_wal())
    lost = previous
    check(t, config, 0)
    wal = os.path.join(t.folder(), "repo", "demo", "wal")
    found = [os.path.join(top, name) for top, _, names in os.walk(wal) for name in names
             if name == lost]
    os.unlink(found[0])
    got = check(t, config, 3)
    t.holds(got.out, ["not protected: repository \"primary\" can't bring the database to the present",
                      f"WAL segment {lost} is not in the archive", "cpam-base-push"])
    t.equal(json.loads(check(t, config, 3, "--json").out)["protected"], False)
    t.exits(cpam.run("cpam-base-push", config=config), 0)
    check(t, config, 0)


def test_O6_a_later_segment_that_is_there_before_the_next_is_no_hole(t):
    """As look-ahead has it: what was asked for is there, the next is on its way, one behind it came first."""
    pg, config = begin(t, mode="direct")
    hold = workspace.folder(os.path.join(t.folder(), "hold"))
    push = cpam.archive_settings(config)["archive_command"].removeprefix("exec ")
    reload(pg, archive_command=f"while test -e {hold}/all -o -e {hold}/%f; do sleep .1; done; {push}")
    workspace.write(f"{hold}/all", "")
    t.defer(lambda: workspace.run(["rm", "-rf", hold]))
    checking = cpam.start("cpam-repo", "check", config=config)
    asked = cluster.wait_for(lambda: waits_for_archiver(pg), what="the segment that is asked for")
    pg.sql("select pg_logical_emit_message(true, 'a', 'b')")
    following = pg.switch_wal()
    pg.sql("select pg_logical_emit_message(true, 'a', 'b')")
    later = pg.switch_wal()
    t.true(asked < following < later, f"{asked}, {following}, {later}")
    workspace.write(f"{hold}/{following}", "")
    t.exits(cpam.run("cpam-wal-push", f"pg_wal/{later}", config=config, cwd=pg.data), 0)
    os.unlink(f"{hold}/all")
    out, err = checking.communicate(timeout=240)
    t.equal(checking.returncode, 0, err)
    t.holds(out, [f"protected: segment {asked}"])


def test_O6_E5_a_host_without_a_key_is_protected_on_a_later_timeline_too(t):
    public = {}
    for kind in ("x25519", "writer"):
        out = t.exits(cpam.run("cpam-keys", "generate", kind, os.path.join(t.folder(), kind)), 0).out
        public[kind] = next(word for word in out.split() if word.startswith(("cpam1pub", "cpam1wpub")))
    pg = cluster.new(t, init=False).init("--wal-segsize=1")
    config = cpam.write_config(t.folder(), cpam.settings(t.folder(), pg, encryption={
        "recipients": [{"x25519": public["x25519"]}], "writer_key": f"{t.folder()}/writer",
        "trusted_writers": [public["writer"]]}))
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    pg.configure(**cpam.archive_settings(config))
    pg.start()
    t.exits(cpam.run("cpam-base-push", config=config), 0)
    pg.stop()
    workspace.write(os.path.join(pg.data, "recovery.signal"), "", 0o600)
    pg.configure(restore_command="false").start()
    pg.wait_sql("select not pg_is_in_recovery()")
    got = check(t, config, 0)
    t.holds(got.out, ["protected: segment 00000002", "this host has no key to open it"])


if __name__ == "__main__":
    tap.main(globals())
