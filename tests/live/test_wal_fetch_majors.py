#!/usr/bin/env python3
"""test_wal_fetch_majors.py - the end of recovery on 14, 16, 17 and 18 (15 is in test_wal_fetch_recovery)."""
import fetch_finishing
from harness import tap

for _major in (14, 16, 17, 18):
    globals().update(fetch_finishing.tests_of(_major))

if __name__ == "__main__":
    tap.main(globals())
