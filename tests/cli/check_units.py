#!/usr/bin/python3
"""The systemd units as they are built: systemd reads them without a complaint, and the program takes
the line it is started with.  Speaks TAP; arguments: the units.  CPAM_PROGRAMS: where programs are."""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

count = failed = 0


def report(ok, name, detail=""):
    global count, failed
    count += 1
    failed += not ok
    print("%sok %d - %s%s" % ("" if ok else "not ", count, name,
                              "" if ok or not detail else " # " + detail.replace("\n", " | ")))


def program(name):
    return next((path for folder in os.environ["CPAM_PROGRAMS"].split(":")
                 if os.access(path := os.path.join(folder, name), os.X_OK)), None)


def sections(text):
    """Section -> list of (key, value); ValueError where a line is neither."""
    found, current = {}, None
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if re.fullmatch(r"\[\w+\]", line):
            current = found.setdefault(line[1:-1], [])
        elif re.fullmatch(r"[A-Z]\w+=.*", line) and current is not None:
            current.append(tuple(line.split("=", 1)))
        else:
            raise ValueError(line)
    return found


def check_unit(path):
    unit = os.path.basename(path)
    name = unit.split("@")[0]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        found = sections(text)
        service = dict(found["Service"])
        report(list(found) == ["Unit", "Service", "Install"], unit + " has its sections")
    except (ValueError, KeyError) as error:
        report(False, unit + " has its sections", str(error))
        return
    report(service.get("User") == "postgres" and service.get("ProtectSystem") == "strict" and
           "/spool/cpam" in service.get("ReadWritePaths", ""), unit + " keeps its program in bounds")
    words = shlex.split(service["ExecStart"])
    built = program(name)
    report(os.path.basename(words[0]) == name and words[-2:] == ["--serve", "%f"] and
           words[-5:-2] == ["--foreground", "--idle", "0"], unit + " starts " + name)

    with tempfile.TemporaryDirectory(prefix="cpam-units-") as folder:
        # as typed, but for the folders: every option is known, and the directory is what is wrong
        config = os.path.join(folder, "backup-config.yaml")
        with open(config, "w", encoding="utf-8") as out:
            out.write("cluster: demo\npostgresql: { data: /nonexistent }\nencryption: none\n"
                      "repositories: [ { name: primary, url: file:///nonexistent } ]\n")
        line = [built] + [config if word.endswith("/backup-config.yaml") else
                          word.replace("%f", "/nonexistent") for word in words[1:]]
        got = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        report(got.returncode in (1, 2) and "option" not in got.stderr and
               "/nonexistent" in got.stderr and "data directory" in got.stderr,
               name + " takes the unit's line", got.stderr)
        got = subprocess.run(line[:-1], capture_output=True, text=True, timeout=60, check=False)
        report("option" in got.stderr, name + " would say what it does not take", got.stderr)

        if shutil.which("systemd-analyze") is None:
            print("# systemd-analyze is not here: the unit's keys are not checked")
            return
        instance = os.path.join(folder, unit.replace("@", "@var-lib-postgresql-15-main"))
        with open(instance, "w", encoding="utf-8") as out:
            out.write(text.replace(words[0], built))
        got = subprocess.run(["systemd-analyze", "verify", "--man=no", instance],
                             capture_output=True, text=True, timeout=60, check=False)
        said = [line for line in got.stderr.splitlines() if name in line]
        report(got.returncode == 0 and not said, unit + " is understood by systemd", got.stderr)


for each in sys.argv[1:]:
    check_unit(each)
print("1..%d" % count)
sys.exit(failed != 0)
