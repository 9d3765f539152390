"""tap.py - runs the functions named test_* of a module and reports each as a TAP case.

A test file ends with

    if __name__ == "__main__":
        tap.main(globals())

Each test function takes no argument, or one: a Test, which gives it a clean-up list (`t.defer`), a
temporary folder (`t.folder()`), diagnostics (`t.note`) and assertions that say what they saw.  An
exception is a failure; `raise Skip("what is missing")` is a skip.  What was deferred runs in reverse
order, also after a failure.  A test that takes longer than its limit (900 s, on a slow and busy machine;
the decorator `@limit(1200)` gives it more) fails by itself and the next one runs.

    TEST=name1,name2 python3 tests/live/test_x.py     runs only those whose name holds one of these
"""
import inspect
import os
import re
import signal
import sys
import traceback

LIMIT = 900


class Skip(Exception):
    """This test cannot run here; the text names what is missing."""


class Expired(Exception):
    """The test took longer than its limit."""


def limit(seconds):
    """Decorator: how long the test may take."""

    def mark(function):
        function.limit = seconds
        return function

    return mark


class Test:
    def __init__(self, name):
        self.name = name
        self._deferred = []
        self._folder = None

    def defer(self, function, *args, **kwargs):
        """Call function(*args, **kwargs) when the test is over; the last deferred is called first."""
        self._deferred.append((function, args, kwargs))

    def folder(self):
        """The test's own temporary folder, owned by the user PostgreSQL runs as."""
        if self._folder is None:
            from . import workspace

            self._folder = workspace.make()
            self._deferred.insert(0, (workspace.remove, (self._folder,), {}))
        return self._folder

    def note(self, text):
        """A diagnostic line; never a secret."""
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    # Assertions: each says what it wanted and what it got.
    def true(self, value, what):
        if not value:
            raise AssertionError(f"{what}: not so ({value!r})")

    def equal(self, got, wanted, what=""):
        if got != wanted:
            raise AssertionError(f"{what + ': ' if what else ''}got {got!r}, wanted {wanted!r}")

    def holds(self, text, words, what="text"):
        """Every one of words (a string or several) is in text."""
        for word in [words] if isinstance(words, str) else words:
            if word not in text:
                raise AssertionError(f"{what} does not say {word!r}; it says:\n{text}")

    def lacks(self, text, words, what="text"):
        for word in [words] if isinstance(words, str) else words:
            if word in text:
                raise AssertionError(f"{what} says {word!r}, and must not:\n{text}")

    def exits(self, result, code, words=()):
        """A harness.cpam.Result ended with this exit status and says these words on stderr."""
        if result.code != code:
            raise AssertionError(f"{result.line}\nended with {result.code}, wanted {code}\n{result.output()}")
        self.holds(result.err, words, f"stderr of {result.name}")
        return result

    def finish(self):
        """Runs what was deferred; a failing clean-up does not hide the others."""
        problems = []
        for function, args, kwargs in reversed(self._deferred):
            try:
                function(*args, **kwargs)
            except Exception:  # a clean-up: told, and the rest still runs
                problems.append(traceback.format_exc())
        self._deferred = []
        return problems


def _expire(signum, frame):
    raise Expired()


def _run_one(name, function):
    """Returns (ok, skip reason or None, diagnostics)."""
    test = Test(name)
    seconds = max(getattr(function, "limit", 0), LIMIT)
    diagnostics, skipped, good = [], None, True
    signal.signal(signal.SIGALRM, _expire)
    signal.alarm(seconds)
    try:
        function(test) if inspect.signature(function).parameters else function()
    except Skip as reason:
        skipped = str(reason)
    except Expired:
        good = False
        diagnostics.append(f"took longer than {seconds} s\n{traceback.format_exc()}")
    except Exception:
        good = False
        diagnostics.append(traceback.format_exc())
    signal.alarm(300)
    try:
        problems = test.finish()
    except Expired:
        problems = ["clean-up took longer than 300 s"]
    signal.alarm(0)
    for problem in problems:
        good = False
        diagnostics.append("clean-up: " + problem)
    return good, skipped, diagnostics


def run(names):
    """Runs all test_* functions of a module's globals(); the number of failures."""
    wanted = [word for word in os.environ.get("TEST", "").split(",") if word]
    tests = [
        (name, value)
        for name, value in names.items()
        if name.startswith("test_") and inspect.isfunction(value)
    ]
    tests = [pair for pair in tests if not wanted or any(word in pair[0] for word in wanted)]
    print(f"1..{len(tests)}", flush=True)
    failures = 0
    for number, (name, function) in enumerate(tests, 1):
        good, skipped, diagnostics = _run_one(name, function)
        title = re.sub(r"^test_", "", name)
        for text in diagnostics:  # meson shows a failed TAP test's stderr, and not its stdout
            for line in [f"{title}:", *text.rstrip().splitlines()]:
                print(f"# {line}", file=sys.stderr, flush=True)
        if skipped is not None and good:
            print(f"ok {number} - {title} # SKIP {skipped}", flush=True)
        else:
            print(f"{'ok' if good else 'not ok'} {number} - {title}", flush=True)
            failures += 0 if good else 1
    return failures


def main(names):
    sys.exit(1 if run(names) else 0)
