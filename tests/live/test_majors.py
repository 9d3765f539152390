#!/usr/bin/env python3
"""test_majors.py - the same on every supported major of PostgreSQL: 14 to 18 (wider tier)."""
import json
import os

from harness import cluster, cpam, tap

MAJORS = (14, 15, 16, 17, 18)


def _starts(major):
    def case(t):
        server = cluster.new(t, major=major).start()
        t.equal(server.sql("show server_version_num")[:2], str(major))
        server.stop()

    return case


def _comes_back(major):
    def case(t):
        server = cluster.new(t, major=major)
        config = cpam.write_config(t.folder(), cpam.settings(t.folder(), server))
        server.configure(**cpam.archive_settings(config)).start()
        t.exits(cpam.run("cpam-repo", "create", config=config), 0)
        server.sql("create table x as select generate_series(1, 1000) as a")
        t.exits(cpam.run("cpam-base-push", config=config), 0)
        server.sql("update x set a = -a where a > 990")
        server.sql("create table y as select generate_series(1, 500) as a")
        pushed = t.exits(cpam.run("cpam-base-push", "--json", config=config), 0)
        t.equal(json.loads(pushed.out)["backups"][0]["kind"], "incremental")
        server.wait_archived(server.switch_wal())
        data = os.path.join(t.folder(), "restored")
        result = cpam.run("cpam-base-fetch", "--latest", data, config=config)
        t.true(result.code in (0, 3), result.output())
        copy = cluster.restored(t, data, major=major)
        copy.start()
        copy.wait_sql("select not pg_is_in_recovery()")
        t.equal(copy.sql("select count(*), sum(a) from x"), server.sql("select count(*), sum(a) from x"))
        t.equal(copy.sql("select count(*) from y"), "500")

    return case


for _major in MAJORS:
    globals()[f"test_postgresql_{_major}_starts"] = _starts(_major)
    globals()[f"test_B1_B3_backups_of_{_major}_come_back"] = _comes_back(_major)


if __name__ == "__main__":
    tap.main(globals())
