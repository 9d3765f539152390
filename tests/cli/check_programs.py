#!/usr/bin/python3
"""Every program, by the same rules: help, version, wrong options, wrong configuration, manual page,
exit status, and that its memory is closed to others.  Speaks TAP; arguments: the programs."""
import os
import re
import subprocess
import sys
import tempfile
import time

VERSION = os.environ["CPAM_VERSION"]
MANUALS = os.environ["CPAM_MANUALS"]
# arguments with which a program gets as far as its configuration; None: it needs none
CALLS = {
    "cpam-wal-push": ["000000010000000000000001"],
    "cpam-wal-worker": ["--push", "000000010000000000000001"],
    "cpam-wal-fetch": ["000000010000000000000001", "pg_wal/x"],
    "cpam-wal-prefetch": ["--once", "000000010000000000000001", "pg_wal/x"],
    "cpam-base-push": [],
    "cpam-base-fetch": ["--latest", "/nonexistent/target"],
    "cpam-info": [],
    "cpam-repo": ["create"],
    "cpam-keys": None,
}
# product.md: a fetch that can't tell, here for want of a configuration, must not end recovery;
# called by hand (%p is no name the server uses) it is told apart all the same
CODES = {
    "cpam-wal-push": {0, 1, 2, 4, 5, 6},
    "cpam-wal-worker": {0, 1, 2, 4, 5, 6},
    "cpam-wal-fetch": {0, 1, 254},
    "cpam-wal-prefetch": {0, 1, 254},
}
COMMON = {0, 1, 2, 3}

count = 0
failed = 0


def report(ok, name, detail=""):
    global count, failed
    count += 1
    failed += not ok
    print("%sok %d - %s" % ("" if ok else "not ", count, name))
    if not ok:
        for line in detail.splitlines():
            print("# " + line)
    sys.stdout.flush()


def run(program, *args, **more):
    return subprocess.run([program, *args], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **more)


def check(name, condition, result):
    report(condition, name, "" if condition else
           "status %s\nstdout: %s\nstderr: %s" % (result.returncode, result.stdout[:3000],
                                                  result.stderr[:3000]))


def check_help(program, base):
    got = run(program, "--help")
    check(base + ": --help is on stdout and ends 0",
          got.returncode == 0 and got.stderr == "" and got.stdout.startswith("Usage: " + base), got)
    long_lines = [line for line in got.stdout.splitlines() if len(line) > 80]
    report(not long_lines, base + ": --help has lines of at most 80 columns",
           "\n".join(long_lines))
    short = run(program, "-h")
    check(base + ": -h is the same", short.returncode == 0 and short.stdout == got.stdout, short)
    listed = {int(code) for code in re.findall(r"^ {2,4}(\d+)  ", got.stdout.split(
        "Exit status:")[-1], re.M)}
    wanted = CODES.get(base, COMMON)
    report(listed == wanted, base + ": P14 exit status as the contract lists them",
           "listed %s, wanted %s" % (sorted(listed), sorted(wanted)))
    return got.stdout


def check_version(program, base):
    got = run(program, "--version")
    check(base + ": --version", got.returncode == 0 and
          got.stdout == "%s %s\n" % (base, VERSION) and got.stderr == "", got)
    with open("/dev/full", "w") as full:
        got = subprocess.run([program, "--version"], stdout=full, stderr=subprocess.PIPE, text=True)
    report(got.returncode not in (0,) and "stdout" in got.stderr,
           base + ": a full disk under stdout is no success", got.stderr)


def usage_code(base):
    return 254 if base in ("cpam-wal-fetch", "cpam-wal-prefetch") else 2


def check_refusals(program, base):
    got = run(program, "--helpp")
    check(base + ": unknown option is refused with the nearest one",
          got.returncode == usage_code(base) and got.stdout == "" and
          'unknown option "--helpp"; did you mean "--help"?' in got.stderr, got)
    got = run(program, "--log-level", "loud")
    check(base + ": wrong choice is refused with the choices", got.returncode == usage_code(base) and
          "error|warning|info|debug" in got.stderr, got)
    got = run(program, "--config")
    check(base + ": option without its value is refused", got.returncode == usage_code(base) and
          "option --config needs a value" in got.stderr, got)
    got = run(program, *(["x"] * 70))
    check(base + ": too many arguments are refused", got.returncode == usage_code(base) and
          got.stderr.startswith(base + ": error: "), got)


def check_config(program, base, folder):
    call = CALLS[base]
    missing = os.path.join(folder, "missing.yaml")
    got = run(program, "--config", missing, *call)
    check(base + ": a missing configuration is named", got.returncode == usage_code(base) and
          missing in got.stderr and got.stderr.count("error: ") == 1, got)
    wrong = os.path.join(folder, "wrong.yaml")
    with open(wrong, "w") as out:
        out.write("cluster: demo\nretension: { wal: 1d }\n")
    got = run(program, "--config=" + wrong, *call)
    check(base + ": a wrong key has file, line, key and the nearest one",
          got.returncode == usage_code(base) and
          wrong + ':2: unknown key "retension"; did you mean "retention"?' in got.stderr, got)
    got = run(program, *call, env={**os.environ, "CPAM_CONFIG": wrong})
    check(base + ": $CPAM_CONFIG is read", got.returncode == usage_code(base) and
          wrong + ":2: " in got.stderr, got)
    good = os.path.join(folder, "good.yaml")
    with open(good, "w") as out:
        out.write("cluster: demo\npostgresql: { data: %s/pg }\n"
                  "repositories: [ { name: primary, url: \"file://%s/repo\" } ]\n"
                  "encryption: none\n" % (folder, folder))
    got = run(program, "--config", good, "--repo", "primry", *call)
    check(base + ": an unknown repository is refused with the known ones",
          got.returncode == usage_code(base) and '"primry"' in got.stderr and
          '"primary"' in got.stderr, got)


def check_memory(program, base, folder):
    """E8: while a program waits for its configuration (a fifo), its memory is closed and no core
    file can be written.  A process that is not dumpable belongs to root in /proc."""
    fifo = os.path.join(folder, "fifo.yaml")
    os.mkfifo(fifo)
    user = {"user": "nobody"} if os.geteuid() == 0 else {}
    os.chmod(fifo, 0o666)
    process = subprocess.Popen([program, "--config", fifo, *CALLS[base]], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
    try:
        deadline = time.monotonic() + 30
        owner = None
        limits = ""
        while time.monotonic() < deadline and process.poll() is None:
            owner = os.stat("/proc/%d/environ" % process.pid).st_uid
            with open("/proc/%d/limits" % process.pid) as source:
                limits = re.search(r"Max core file size +(\d+)", source.read()) or ""
            if owner == 0 and limits and limits.group(1) == "0":
                break
            time.sleep(0.01)
        report(owner == 0 and limits and limits.group(1) == "0",
               base + ": E8 no core file, and no debugger of the same user",
               "owner in /proc %s, limit %s" % (owner, limits))
    finally:
        process.kill()
        process.wait()
        os.unlink(fifo)


def check_manual(base, help_text):
    path = os.path.join(MANUALS, base + ".1")
    try:
        with open(path) as source:
            page = source.read().replace("\\-", "-")
    except OSError as error:
        report(False, base + ": manual page", str(error))
        return
    missing = [word for word in re.findall(r"(--[a-z-]+)", help_text) if word not in page]
    missing += ["status " + code for code in re.findall(r"^ {2,4}(\d+)  ", help_text.split(
        "Exit status:")[-1], re.M) if "\\fB%s\\fR" % code not in page]
    report(not missing, base + ": manual page has every option and exit status", " ".join(missing))
    got = subprocess.run(["man", "--warnings=w", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path],
                         capture_output=True, text=True,
                         env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""}) \
        if os.path.exists("/usr/bin/man") else None
    if got is None:
        report(True, base + ": manual page is good roff # SKIP no man here")
    else:
        report(got.returncode == 0 and got.stderr.strip() == "",
               base + ": manual page is good roff", got.stderr)


def main():
    with tempfile.TemporaryDirectory(prefix="cpam-cli-") as folder:
        os.chmod(folder, 0o755)
        for program in sys.argv[1:]:
            base = os.path.basename(program)
            help_text = check_help(program, base)
            check_version(program, base)
            check_refusals(program, base)
            check_manual(base, help_text)
            if CALLS.get(base, []) is not None:
                check_config(program, base, folder)
                check_memory(program, base, folder)
    print("1..%d" % count)
    return failed != 0


sys.exit(main())
