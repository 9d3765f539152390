#!/usr/bin/env python3
"""test_wal_workers_majors.py - both WAL workers with 14, 16, 17 and 18 (15 is in test_wal_workers)."""
import worker_journeys
from harness import tap

for _major in (14, 16, 17, 18):
    globals().update(worker_journeys.tests_of(_major))

if __name__ == "__main__":
    tap.main(globals())
