#!/usr/bin/env python3
"""test_config_files_majors.py - includes of pg_hba.conf and pg_ident.conf, from PostgreSQL 16 on (wider
tier)."""
from harness import tap
from test_config_files import NAMES, World, comes_back


def _includes(major):
    def case(t):
        world = World(t, major)
        world.append("pg_hba.conf", "include more_hba\ninclude_if_exists none\ninclude_dir hba.d\n")
        world.append("pg_ident.conf", "include more_ident\n")
        world.write("more_hba", "local all @users trust\n")
        world.write("users", "postgres\n")
        world.write("more_ident", "# no map\n")
        world.write_folder("hba.d")
        world.write("hba.d/x.conf", "local all all reject\n")
        world.start()
        comes_back(t, world, [*NAMES, "conf.d/10.conf", "more.conf", "dbs", "more_hba", "users",
                              "more_ident", "hba.d/x.conf"])

    return case


for _major in (16, 17, 18):
    globals()[f"test_B13_includes_of_pg_hba_on_{_major}"] = _includes(_major)


if __name__ == "__main__":
    tap.main(globals())
