#!/usr/bin/env python3
"""test_archive_module_majors.py - the archive module built for 16, 17 and 18 with their own headers,
and loaded into their servers (wider tier)."""
import atexit
import os
import shutil
import tempfile

from harness import cluster, cpam, tap, workspace

MAJORS = (16, 17, 18)
BUILT = tempfile.mkdtemp(prefix="cpam-modules-")
atexit.register(shutil.rmtree, BUILT, ignore_errors=True)
os.environ["CPAM_MODULE_CACHE"] = BUILT


def build(t, major):
    """As archive/meson.build does, which finds one server on this machine; what is linked in is its."""
    headers = os.path.join(os.environ.get("CPAM_PG_CACHE", "/var/tmp/cpam-postgres"), "headers",
                           str(major))
    if not os.path.exists(os.path.join(headers, "fmgr.h")):
        raise tap.Skip(f"no server headers of {major} (tests/live/get-server-headers)")
    source = os.path.join(cpam.SOURCE_ROOT, "archive")
    workspace.run(
        ["cc", "-std=c17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror",
         "-Wno-unused-parameter", "-D_GNU_SOURCE", "-isystem", headers,
         "-I" + os.path.join(cpam.SOURCE_ROOT, "common"), "-I" + source,
         '-DCPAM_MODULE_CONFIG="/nonexistent"', '-DCPAM_MODULE_BINDIR="/nonexistent"',
         os.path.join(source, "cpam_archive.c"),
         os.path.join(cpam.BUILD_ROOT, "archive", "libmodule_push_parts.a"),
         os.path.join(cpam.BUILD_ROOT, "libcpam.a"), "-Wl,-Bsymbolic", "-Wl,-z,now",
         "-Wl,--version-script=" + os.path.join(source, "cpam_archive.map"), "-lyaml",
         "-o", os.path.join(BUILT, f"cpam_archive-{major}.so")], cwd=BUILT, root=True)


def _journey(major):
    @tap.limit(300)
    def case(t):
        build(t, major)
        pg = cluster.new(t, major=major, init=False)
        pg.init("--wal-segsize=1")
        settings = cpam.settings(t.folder(), pg)
        settings["wal"]["push"] = {"mode": "worker"}  # it ends with its spool, the test's folder
        config = cpam.write_config(t.folder(), settings)
        t.exits(cpam.run("cpam-repo", "create", config=config), 0)
        pg.configure(**cpam.module_settings(config, major), log_min_messages="warning")
        pg.start()
        pg.sql("create table t (a int)")
        t.exits(cpam.run("cpam-base-push", config=config), 0)
        for _ in range(3):
            pg.sql("insert into t select generate_series(1, 100)")
            last = pg.switch_wal()
        pg.wait_archived(last)
        t.equal(pg.sql("select failed_count from pg_stat_archiver"), "0")

        # a failure is told and does not end the archiver
        archiver = pg.sql("select pid from pg_stat_activity where backend_type = 'archiver'")
        repo = os.path.join(t.folder(), "repo")
        os.rename(repo, repo + ".away")
        pg.sql("insert into t values (1)")
        waiting = pg.switch_wal()
        pg.wait_sql("select failed_count > 0 from pg_stat_archiver")
        t.holds(pg.log_text(), ["LOG:  cpam_archive: ", "HINT:  "])
        os.rename(repo + ".away", repo)
        pg.sql("insert into t values (1)")
        pg.switch_wal()
        pg.wait_archived(waiting, timeout=120)
        t.equal(pg.sql("select pid from pg_stat_activity where backend_type = 'archiver'"), archiver,
                "the archiver's pid")

        # what is not configured says why, from 17 on in the server's own message
        pg.configure(**{"cpam_archive.bindir": "/nonexistent"})
        pg.reload()
        pg.sql("insert into t values (1)")
        pg.switch_wal()
        pg.wait_log("archiving is not configured")
        t.holds(pg.log_text(), "cpam_archive: \"/nonexistent/cpam-wal-worker\" can't be run")
        if major >= 17:
            t.holds(pg.log_text(), "DETAIL:  \"/nonexistent/cpam-wal-worker\" can't be run")
        pg.configure(**{"cpam_archive.bindir": cpam.programs()})
        pg.stop()

        copy = os.path.join(t.folder(), "copy")
        t.exits(cpam.run("cpam-base-fetch", "--latest", copy, config=config), 0)
        restored = cluster.restored(t, copy, "copy", major)
        restored.start()
        restored.wait_sql("select not pg_is_in_recovery()")
        t.equal(restored.sql("select count(*) >= 301 from t"), "t")
        t.equal(restored.sql("show archive_library"), "")

    return case


for _major in MAJORS:
    globals()[f"test_P15_archive_module_on_postgresql_{_major}"] = _journey(_major)


if __name__ == "__main__":
    tap.main(globals())
