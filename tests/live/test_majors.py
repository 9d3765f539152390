#!/usr/bin/env python3
"""test_majors.py - the same on every supported major of PostgreSQL: 14 to 18 (wider tier)."""
from harness import cluster, tap

MAJORS = (14, 15, 16, 17, 18)


def _starts(major):
    def case(t):
        server = cluster.new(t, major=major).start()
        t.equal(server.sql("show server_version_num")[:2], str(major))
        server.stop()

    return case


for _major in MAJORS:
    globals()[f"test_postgresql_{_major}_starts"] = _starts(_major)


if __name__ == "__main__":
    tap.main(globals())
