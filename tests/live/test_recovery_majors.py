#!/usr/bin/env python3
"""test_recovery_majors.py - archive, back up, destroy, recover on every supported major (wider tier)."""
import os
import shutil

from harness import cluster, cpam, tap

MAJORS = (14, 15, 16, 17, 18)


def _journey(major):
    @tap.limit(300)
    def case(t):
        pg = cluster.new(t, major=major, init=False)
        pg.init("--wal-segsize=1")
        config = cpam.write_config(t.folder(), cpam.settings(t.folder(), pg))
        pg.configure(**cpam.archive_settings(config))
        pg.start()
        t.exits(cpam.run("cpam-repo", "create", config=config), 0)
        pg.sql("create table t (id int)")
        pg.sql("insert into t values (1)")
        t.exits(cpam.run("cpam-base-push", config=config), 0)
        pg.sql("insert into t values (2)")
        pg.sql("select pg_create_restore_point('two')")
        pg.sql("insert into t values (3)")
        pg.wait_archived(pg.switch_wal())
        pg.stop("crash")
        shutil.rmtree(pg.data)
        rows = "select string_agg(id::text, ' ' order by id) from t"
        for number, (target, expected) in enumerate(((("--latest",), "1 2 3"),
                                                     (("--target-name", "two"), "1 2"))):
            data = os.path.join(t.folder(), f"copy{number}")
            t.exits(cpam.run("cpam-base-fetch", *target, data, config=config), 0)
            copy = cluster.restored(t, data, f"copy{number}", major)
            copy.start()
            if number == 0:
                copy.wait_sql("select not pg_is_in_recovery()")
                # a copy does not archive, and its settings are known to this major
                t.holds(copy.sql("show archive_command"), "--unclaimed")
            else:
                copy.wait_sql("select pg_get_wal_replay_pause_state()", "paused")
            t.equal(copy.sql(rows), expected)
            copy.stop("immediate")
        # in place: it is the original again, on timeline 2
        t.exits(cpam.run("cpam-base-fetch", "--latest", "--recover", pg.data, config=config), 0)
        pg.start()
        pg.wait_sql("select not pg_is_in_recovery()")
        pg.sql("insert into t values (4)")
        pg.wait_archived(pg.switch_wal())
        t.equal(pg.sql("select timeline_id from pg_control_checkpoint()"), "2")
        t.exits(cpam.run("cpam-base-push", config=config), 0)

    return case


for _major in MAJORS:
    globals()[f"test_T5_X3_recovery_on_postgresql_{_major}"] = _journey(_major)


if __name__ == "__main__":
    tap.main(globals())
