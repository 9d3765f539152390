#!/usr/bin/env python3
"""coverage.py - says how much of the library the tests run, and whether that is enough.

usage: coverage.py SUMMARY      (gcovr's --json-summary)

Lists the modules below the threshold, and leaves a record for report.py beside meson's own logs, so
that a library that is covered too little is a failed test like any other.
"""
import json
import os
import sys

THRESHOLD = 90.0  # per cent of lines, over the library as a whole
TOLD = 90.0  # a module below this is named


def main(path):
    with open(path, encoding="utf-8") as file:
        summary = json.load(file)
    below = [(row["line_percent"], row["filename"]) for row in summary["files"]
             if row["line_percent"] < TOLD and row["line_total"] >= 10]
    for percent, name in sorted(below):
        print(f"{percent:5.1f} %  {name}")
    total = summary["line_percent"]
    enough = total >= THRESHOLD
    print(f"{total:5.1f} %  of {summary['line_total']} lines of the library (wanted: {THRESHOLD:.0f} %)")
    logs = os.path.join(os.path.dirname(path), "meson-logs")
    os.makedirs(logs, exist_ok=True)
    title = f"at least {THRESHOLD:.0f} % of the library's lines are run ({total:.1f} %)"
    with open(os.path.join(logs, "threshold.json"), "w", encoding="utf-8") as out:
        json.dump({"name": "cpam:wide / coverage", "result": "OK" if enough else "FAIL",
                   "stdout": f"1..1\n{'ok' if enough else 'not ok'} 1 - {title}\n", "stderr": ""}, out)
        out.write("\n")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
