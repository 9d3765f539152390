#!/usr/bin/env python3
"""test_base_sources_majors.py - streamed backups, and backups from standbys, of 14 to 18 (wider tier)."""
import os

from harness import cluster, cpam, tap, workspace
from standby_world import CONTENT, StandbyWorld, fill

MAJORS = (14, 15, 16, 17, 18)


def _comes_back(major):
    """From the primary by stream; of that backup a standby; from it out of its directory and by stream."""
    def case(t):
        world = StandbyWorld(t, major, standby=False)
        pg, away = world.pg, os.path.join(world.folder, "away")
        place = workspace.folder(os.path.join(world.folder, "space"), 0o700)
        pg.sql(f"create tablespace space location '{place}'")
        pg.sql("create table s tablespace space as select generate_series(1, 5000) as a")
        if major >= 15:
            pg.configure(allow_in_place_tablespaces="on").reload()
            pg.sql("set allow_in_place_tablespaces = on; create tablespace inplace location ''")
            pg.sql("create table p tablespace inplace as select generate_series(1, 5000) as a")
        fill(pg)
        streamed = world.write({"from": "primary", "source": "stream"}, "stream.yaml", data=away)
        t.exits(world.push(config=streamed), 0)

        def restored(name, lies):
            copy = world.restore(name, "--latest", "--tablespace-map", f"{lies}={place}.{name}")
            t.equal(copy.sql(CONTENT), pg.sql(CONTENT), name)
            t.equal(copy.sql("select count(*) from s"), "5000", name)
            if major >= 15:
                t.equal(copy.sql("select count(*) from p"), "5000", name)
            copy.stop()

        restored("one", place)
        data = os.path.join(world.folder, "standby")
        result = cpam.run("cpam-base-fetch", "--standby", "--tablespace-map",
                          f"{place}={place}.standby", data, config=world.archive)
        t.true(result.code in (0, 3), result.output())
        world.standby = cluster.restored(t, data, "standby", major)
        world.standby.configure(primary_conninfo=pg.connection())
        world.standby.start()
        pg.sql("insert into x select a, md5(a::text) from generate_series(20001, 21000) a")
        world.caught_up()
        for number, (name, base, where) in enumerate((
                ("two", {"source": "files"}, {}), ("three", {"source": "stream"}, {"data": away}))):
            config = world.write(base, name + ".yaml", **where)
            t.exits(world.push(config=config), 0)
            t.equal(len(world.summaries()), 2 + number)
            restored(name, place + ".standby")

    return case


for _major in MAJORS:
    globals()[f"test_B1_B5_every_source_of_{_major}_comes_back"] = _comes_back(_major)


if __name__ == "__main__":
    tap.main(globals())
