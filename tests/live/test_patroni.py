#!/usr/bin/env python3
"""test_patroni.py - the commands of pgconf-samples/patroni.yml, called as Patroni calls them (X1): a
replica that is made, made anew over what is there, and a cluster out of the repository alone."""
import os
import re
import shlex

from harness import cluster, cpam, tap, workspace
from restore_world import World


def method(name, data):
    """The settings of one method of the sample."""
    text = cpam.sample("patroni.yml", data=data)
    block = re.search(rf"^  {name}:\n((?:    .*\n)+)", text, re.M)[1]
    pairs = [line.strip().split(": ", 1) for line in block.splitlines() if "#" not in line]
    return {key: value == "true" if value in ("true", "false") else value for key, value in pairs}


def call(world, name, data):
    """As patroni/postgresql/bootstrap.py does it: the command split, and parameters unless no_params."""
    settings = method(name, data)
    line = shlex.split(settings.pop("command"))
    if not settings.pop("no_params", False):
        settings.update(scope="demo", role="replica", datadir=data, connstring="host=x")
    for own in ("no_leader", "no_master", "keep_data", "keep_existing_recovery_conf"):
        settings.pop(own, None)
    line += [f"--{key}={value}" for key, value in settings.items()]
    return workspace.run(line, env={"CPAM_CONFIG": world.config}, check=False, timeout=300)


@tap.limit(600)
def test_X1_replica_made_and_made_anew_and_a_cluster_bootstrapped(t):
    world = World(t)
    world.pg.sql("create table big as select g, md5(g::text) as a from generate_series(1, 60000) g")
    world.insert(1)
    world.push()
    world.insert(2)
    world.archived()
    data = os.path.join(t.folder(), "replica")
    done = call(world, "cpam", data)
    t.equal(done.returncode, 0, done.stderr)
    replica = cluster.restored(t, data, "replica")
    replica.configure(primary_conninfo=world.pg.connection())
    replica.start()
    replica.wait_sql("select count(*) = 2 from t")
    world.insert(3)
    replica.wait_sql("select count(*) = 3 from t")  # it streams
    t.equal(replica.sql("select pg_is_in_recovery()"), "t")
    # made anew over what is there, damaged
    path = replica.sql("select pg_relation_filepath('big')")
    replica.stop()
    with open(os.path.join(data, path), "r+b") as file:
        file.seek(8192 * 20)
        file.write(os.urandom(8192))
    done = call(world, "cpam", data)
    t.equal(done.returncode, 0, done.stderr)
    t.holds(done.stdout, ["fetched", "were right already"])
    replica = cluster.restored(t, data, "again")
    replica.start()
    replica.wait_sql("select count(*) >= 2 from t")
    t.equal(replica.sql("select count(a), count(distinct a) from big"), "60000|60000")
    replica.stop()
    # no leader any more: a cluster out of the repository, which archives
    world.archived()
    world.pg.stop("immediate")
    fresh = os.path.join(t.folder(), "fresh")
    done = call(world, "cpam_latest", fresh)
    t.equal(done.returncode, 0, done.stderr)
    leader = cluster.restored(t, fresh, "leader")
    leader.start()
    leader.wait_sql("select not pg_is_in_recovery()")
    t.equal(world.rows(leader), "1 2 3")
    leader.wait_archived(leader.switch_wal())


if __name__ == "__main__":
    tap.main(globals())
