#!/usr/bin/env python3
"""test_base_many_relations.py - a cluster of 100,000 relations is backed up, restored, and is the original
(wider tier: making them takes minutes)."""
import os

from harness import cluster, compare, cpam, tap

RELATIONS, AT_ONCE = 100_000, 5_000


@tap.limit(3000)
def test_B9_T2_a_hundred_thousand_relations(t):
    pg = cluster.new(t, max_locks_per_transaction=2000, max_wal_size="4GB", shared_buffers="256MB")
    config = cpam.write_config(t.folder(), cpam.settings(t.folder(), pg))
    pg.configure(**cpam.archive_settings(config), wal_compression="on")
    pg.start()
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    for first in range(0, RELATIONS, AT_ONCE):
        pg.sql(f"do $$ begin for i in {first}..{first + AT_ONCE - 1} loop "
               "execute format('create table t%s as select %s as a', i, i); end loop; end $$",
               timeout=900)
    number = int(pg.sql("select count(*) from pg_class where relkind = 'r' and oid >= 16384"))
    t.equal(number, RELATIONS)
    pg.sql("checkpoint", timeout=900)
    rows = compare.rows(pg)
    t.exits(cpam.run("cpam-base-push", "--workers", "2", config=config, timeout=1500), 0)
    data = os.path.join(t.folder(), "restored")
    result = cpam.run("cpam-base-fetch", "--target-immediate", data, config=config, timeout=1500)
    t.exits(result, 0)
    pg.stop()
    compare.same_files(t, pg.data, data)
    copy = cluster.restored(t, data)
    copy.start()
    copy.wait_sql("select pg_get_wal_replay_pause_state()", "paused")
    compare.same_rows(t, rows, copy)


if __name__ == "__main__":
    tap.main(globals())
