#!/usr/bin/env python3
"""report.py - adds up what meson's test logs say, TAP case by TAP case.

usage: report.py LOG.json...

What a failed test said comes first, so that a log of continuous integration tells why.  The last
line is "N passed, N failed" (", N skipped" when there are any).  The exit status is not 0
when a test failed or none ran.  With CI in the environment a skipped test counts as failed, unless
it belongs to a wider tier (suite "wide") and says what is missing: in the default tier everything
must really run.
"""
import json
import os
import re
import sys

CASE = re.compile(r"^(not )?ok\b\s*(\d*)\s*-?\s*(.*?)(?:\s+#\s*(SKIP|TODO)\b\s*(.*))?$", re.I)
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*SKIP\b\s*(.*))?$", re.I)
MESON_GOOD = ("OK", "EXPECTEDFAIL")
TAIL = 60  # lines of each stream of a test that failed


class Totals:
    def __init__(self, strict):
        self.strict = strict
        self.passed = self.failed = self.skipped = 0
        self.remarks = []
        self.evidence = []

    def skip(self, name, reason, wide):
        if self.strict and not (wide and reason):
            self.fail(name, f"skipped ({reason or 'no reason given'}), and CI runs everything")
            return
        self.skipped += 1
        self.remarks.append(f"skipped: {name}: {reason or 'no reason given'}")

    def fail(self, name, reason):
        self.failed += 1
        self.remarks.append(f"FAILED: {name}: {reason}" if reason else f"FAILED: {name}")


def diagnostics(lines):
    """The cases that failed, each with the lines "# ..." around it."""
    told = []
    for at, line in enumerate(lines):
        if not (case := CASE.match(line)) or not case[1]:
            continue
        first = last = at
        while at - first < TAIL and first > 0 and lines[first - 1].startswith("#"):
            first -= 1
        while last - at < TAIL and last + 1 < len(lines) and lines[last + 1].startswith("#"):
            last += 1
        told += lines[first:last + 1]
    return told


def evidence(test):
    """What a failed test said: its diagnostics, and the end of both its streams."""
    out, err = ((test.get(stream) or "").splitlines() for stream in ("stdout", "stderr"))
    told = [f"==== {test['name']}: {test['result']}"]
    for what, lines in (("failed", diagnostics(out)), ("stdout", out[-TAIL:]), ("stderr", err[-TAIL:])):
        if lines:
            told += [f"---- {what}", *("    " + line for line in lines)]
    return told


def add_tap(totals, name, lines, wide):
    """Counts TAP cases.  Returns (cases seen, cases planned or None, cases failed)."""
    seen = failed = 0
    planned = None
    for line in lines:
        plan = PLAN.match(line)
        if plan:
            planned = int(plan[1])
            if planned == 0:
                totals.skip(name, plan[2], wide)
            continue
        case = CASE.match(line)
        if not case:
            continue
        seen += 1
        title = f"{name}: {case[3]}"
        if case[1]:
            failed += 1
            totals.fail(title, "")
        elif case[4] and case[4].upper() == "SKIP":
            totals.skip(title, case[5], wide)
        else:
            totals.passed += 1
    return seen, planned, failed


def add_test(totals, test):
    name, result = test["name"], test["result"]
    lines = (test.get("stdout") or "").splitlines()
    wide = "wide" in re.split(r"[:+, ]+", name.split(" / ")[0])
    if any(PLAN.match(line) for line in lines) or any(CASE.match(line) for line in lines):
        seen, planned, failed = add_tap(totals, name, lines, wide)
        if planned != 0 and seen != planned:
            totals.fail(name, f"{seen} cases seen, {planned} planned ({result})")
        elif result not in MESON_GOOD + ("SKIP",) and failed == 0:
            totals.fail(name, f"meson says {result}")
    elif result in MESON_GOOD:
        totals.passed += 1
    elif result == "SKIP":
        reason = (lines or (test.get("stderr") or "").splitlines() or [""])[-1]
        totals.skip(name, reason, wide)
    else:
        totals.fail(name, result)


def main(paths):
    totals = Totals(strict=os.environ.get("CI", "") not in ("", "false", "0"))
    for path in paths:
        count = 0
        try:
            with open(path, encoding="utf-8") as log:
                for line in log:
                    test = json.loads(line)
                    before = totals.failed
                    add_test(totals, test)
                    if totals.failed > before:
                        totals.evidence += evidence(test)
                    count += 1
        except OSError as error:
            totals.fail(path, f"no log: {error.strerror}")
            continue
        if count == 0:
            totals.fail(path, "the log names no test")
    for remark in totals.evidence + totals.remarks:
        print(remark)
    skipped = f", {totals.skipped} skipped" if totals.skipped else ""
    print(f"{totals.passed} passed, {totals.failed} failed{skipped}", flush=True)
    return 0 if totals.passed > 0 and totals.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
