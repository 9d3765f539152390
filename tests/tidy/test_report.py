#!/usr/bin/env python3
"""test_report.py - the adding up of test logs tells the truth, failures and skips first."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "live"))
from harness import tap  # noqa: E402

GOOD = {"name": "cpam:unit / base/err", "result": "OK", "stdout": "ok 1 - a\nok 2 - b\n1..2\n"}
SHELL = {"name": "cpam:tidy / layers", "result": "OK", "stdout": "fine"}


def report(*logs, ci=False):
    """Exit status, last line, all lines of report.py over these logs (lists of records)."""
    environment = {k: v for k, v in os.environ.items() if k != "CI"}
    if ci:
        environment["CI"] = "true"
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, log in enumerate(logs):
            paths.append(os.path.join(folder, f"{number}.json"))
            if log is not None:
                with open(paths[-1], "w", encoding="utf-8") as out:
                    out.writelines(json.dumps(record) + "\n" for record in log)
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, "tests", "report.py"), *paths],
            env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return done.returncode, lines[-1], lines


def record(result="OK", stdout="", name="cpam:unit / x", stderr=""):
    return {"name": name, "result": result, "stdout": stdout, "stderr": stderr}


# name of the row, logs, CI, wanted exit status, wanted last line
ROWS = [
    ("tap_cases_and_plain_tests_add_up", [[GOOD, SHELL]], False, 0, "3 passed, 0 failed"),
    ("several_builds_add_up", [[GOOD], [GOOD, SHELL]], False, 0, "5 passed, 0 failed"),
    ("one_bad_case_fails", [[GOOD, record("FAIL", "1..2\nok 1 - a\nnot ok 2 - b\n")]], False, 1,
     "3 passed, 1 failed"),
    ("cut_short_fails", [[record("ERROR", "1..3\nok 1 - a\n")]], False, 1, "1 passed, 1 failed"),
    ("no_plan_fails", [[record("ERROR", "ok 1 - a\n")]], False, 1, "1 passed, 1 failed"),
    ("timeout_after_good_cases_fails", [[record("TIMEOUT", "1..1\nok 1 - a\n")]], False, 1,
     "1 passed, 1 failed"),
    ("plain_failure_fails", [[record("FAIL", "x")]], False, 1, "0 passed, 1 failed"),
    ("crash_fails", [[record("FAIL", "1..2\nok 1 - a\nok 2 - b\n")]], False, 1, "2 passed, 1 failed"),
    ("nothing_ran_fails", [[]], False, 1, "0 passed, 1 failed"),
    ("missing_log_fails", [[GOOD], None], False, 1, "2 passed, 1 failed"),
    ("skip_is_counted", [[GOOD, record("OK", "1..1\nok 1 - a # SKIP no server\n")]], False, 0,
     "2 passed, 0 failed, 1 skipped"),
    ("all_skipped_is_no_success", [[record("SKIP", "1..0 # SKIP no server\n")]], False, 1,
     "0 passed, 0 failed, 1 skipped"),
    ("ci_refuses_a_skip", [[GOOD, record("OK", "1..1\nok 1 - a # SKIP no server\n")]], True, 1,
     "2 passed, 1 failed"),
    ("ci_allows_a_named_skip_of_the_wide_tier",
     [[GOOD, record("OK", "1..1\nok 1 - a # SKIP no mounts\n", "cpam:wide / chroot")]], True, 0,
     "2 passed, 0 failed, 1 skipped"),
    ("ci_refuses_a_nameless_skip_of_the_wide_tier",
     [[GOOD, record("OK", "1..1\nok 1 - a # SKIP\n", "cpam:wide / chroot")]], True, 1,
     "2 passed, 1 failed"),
]


def _make(row):
    def case(t):
        _, logs, ci, code, last = row
        got_code, got_last, lines = report(*logs, ci=ci)
        t.note("\n".join(lines))
        t.equal((got_code, got_last), (code, last))

    return case


for _row in ROWS:
    globals()[f"test_{_row[0]}"] = _make(_row)


def test_a_failure_is_named(t):
    _, _, lines = report([record("FAIL", "1..1\nnot ok 1 - P7_short\n")])
    t.holds("\n".join(lines), "FAILED: cpam:unit / x: P7_short")


def test_what_a_failed_test_said_comes_before_the_summary(t):
    out = "1..3\nok 1 - a\n# it was 3\nnot ok 2 - P7_short\n# wanted 4\nok 3 - c\n"
    out += "".join(f"# later {number}\n" for number in range(100))
    err = "".join(f"said {number}\n" for number in range(100)) + "x.c:12: assertion\n"
    _, last, lines = report([GOOD, record("FAIL", out, stderr=err)])
    t.equal(last, "4 passed, 1 failed")
    begin = lines.index("==== cpam:unit / x: FAIL")
    told = lines[begin:lines.index("FAILED: cpam:unit / x: P7_short")]
    t.equal(told[1:5], ["---- failed", "    # it was 3", "    not ok 2 - P7_short", "    # wanted 4"])
    t.holds("\n".join(told), ["said 99", "x.c:12: assertion", "later 99"])
    t.lacks("\n".join(told), ["said 10\n", "later 10\n"])
    t.true(len(told) == 5 + 2 * 61, f"{len(told)} lines")


def test_what_passed_is_not_told(t):
    _, _, lines = report([record("OK", "1..1\n# chatter\nok 1 - a\n", stderr="noise")])
    t.equal(lines, ["1 passed, 0 failed"])


if __name__ == "__main__":
    tap.main(globals())
