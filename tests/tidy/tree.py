"""tree.py - what the tidy checks share: the project's files, and C text without its comments."""
import os
import re
import subprocess
import sys

ROOT = os.environ.get("CPAM_SOURCE_ROOT") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CPAM_BUILD_ROOT") or os.path.join(ROOT, "build")

# From the bottom up; layers on one line stand side by side.  A file may include headers of its own
# line and of those before it.
LAYERS = [["base"], ["pg"], ["io"], ["compress", "crypto", "handoff"], ["object"], ["http"],
          ["credentials", "s3"], ["store", "pgconn", "worker"], ["repo"], ["cli"]]
PROGRAMS = ["archive", "restore", "operate"]


def files(*tops, endings=(".c", ".h")):
    """Paths below these folders of the project, relative to its root, sorted."""
    found = []
    for top in tops:
        for folder, inner, names in os.walk(os.path.join(ROOT, top)):
            inner[:] = [name for name in inner if not name.startswith((".", "build", "__"))]
            found += [os.path.relpath(os.path.join(folder, name), ROOT)
                      for name in names if name.endswith(endings)]
    return sorted(found)


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def code(path):
    """The text with comments and string literals blanked, so that lines and columns stay."""
    def blank(match):
        kept = match[0]
        if kept.startswith("#include"):
            return kept
        if kept[0] in "\"'":
            return kept[0] + " " * (len(kept) - 2) + kept[-1]
        return re.sub(r"[^\n]", " ", kept)

    pattern = r'#include[^\n]*|/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, blank, text(path), flags=re.S)


def line_of(body, at):
    return body.count("\n", 0, at) + 1


def run(arguments, **kwargs):
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, errors="replace",
                          check=False, **kwargs)


class Tap:
    """A plan is printed last; each check is one case with what it found as diagnostics."""

    def __init__(self):
        self.count = self.failed = 0

    def case(self, title, problems=(), notes=()):
        self.count += 1
        problems = list(problems)
        for line in [f"note: {note}" for note in notes]:
            print(f"# {line}")
        for line in problems:  # meson shows a failed TAP test's stderr, and not its stdout
            print(f"# {line}", file=sys.stderr)
        print(f"{'not ok' if problems else 'ok'} {self.count} - {title}")
        self.failed += 1 if problems else 0

    def skip(self, title, reason):
        self.count += 1
        print(f"ok {self.count} - {title} # SKIP {reason}")

    def end(self):
        print(f"1..{self.count}")
        raise SystemExit(1 if self.failed else 0)
