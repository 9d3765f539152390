#!/usr/bin/python3
"""What "ninja install" puts where, looked at in a DESTDIR.  Speaks TAP; arguments: the programs'
names."""
import grp
import json
import os
import pwd
import re
import stat
import subprocess
import sys
import tempfile

BUILD = os.environ["CPAM_BUILD_ROOT"]
count = 0
failed = 0


def report(ok, name, detail=""):
    global count, failed
    count += 1
    failed += not ok
    print("%sok %d - %s%s" % ("" if ok else "not ", count, name,
                              "" if ok or not detail else " # " + detail.replace("\n", " ")))


def user_postgres():
    try:
        return pwd.getpwnam("postgres").pw_uid, grp.getgrnam("postgres").gr_gid
    except KeyError:
        return None


def check_folder(root, path, owner, mode):
    try:
        found = os.stat(root + path)
    except OSError as error:
        report(False, path, str(error))
        return
    ok = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == mode
    ids = user_postgres()
    if os.geteuid() == 0 and ids is not None:
        uid, gid = ids
        ok = ok and found.st_gid == gid and found.st_uid == (0 if owner == "root" else uid)
    report(ok, "%s is a folder of %s, mode %o" % (path, owner, mode),
           "mode %o, %d:%d" % (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid))


def prefix():
    """/usr, unless this build directory was set up otherwise."""
    with open(BUILD + "/meson-info/intro-buildoptions.json") as source:
        return next(option["value"] for option in json.load(source) if option["name"] == "prefix")


def install(root):
    return subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"],
                          env={**os.environ, "DESTDIR": root}, capture_output=True, text=True)


def check_module(root, built):
    """cpam_archive.so lies where its server looks, brings no library the server must not get from us,
    and shows it three symbols."""
    major = re.search(r"-(\d+)\.so$", built)[1]
    path = "%s/usr/lib/postgresql/%s/lib/cpam_archive.so" % (root, major)
    report(os.path.isfile(path), "archive module for PostgreSQL " + major)
    needed = subprocess.run(["ldd", built], capture_output=True, text=True).stdout
    found = [name for name in ("libcurl", "libcrypto", "libssl", "libpq", "libzstd", "liblz4")
             if name in needed]
    report("libc.so" in needed and not found, "P15 what the archive module needs", " ".join(found))
    shown = subprocess.run(["nm", "-D", "--defined-only", built], capture_output=True, text=True)
    names = sorted(line.split()[-1] for line in shown.stdout.splitlines())
    report(names == ["Pg_magic_func", "_PG_archive_module_init", "_PG_init"],
           "P15 what the archive module shows the server", " ".join(names))


def main():
    with tempfile.TemporaryDirectory(prefix="cpam-install-") as root:
        os.chmod(root, 0o755)
        got = install(root)
        usr = root + prefix()
        report(got.returncode == 0, "meson install", got.stdout + got.stderr)
        for name in sys.argv[1:]:
            path = usr + "/bin/" + name
            report(os.access(path, os.X_OK), "program " + name)
            report(os.path.isfile(usr + "/share/man/man1/" + name + ".1"),
                   "manual page of " + name)
        report(os.path.isfile(usr + "/share/man/man7/cpam_archive.7"), "manual page of cpam_archive")
        report(os.path.isfile(usr + "/share/man/man5/backup-config.yaml.5"),
               "manual page of backup-config.yaml")
        for built in os.environ["CPAM_MODULES"].split():
            check_module(root, built)
        samples = usr + "/share/doc/cpam/examples/"
        for name in ("backup-config.yaml", "backup-config-minimal.yaml", "archive.conf",
                     "archive-library.conf", "recovery.conf"):
            report(os.path.isfile(samples + name), "sample " + name)
        for name in sorted({"cpam-wal-worker", "cpam-wal-prefetch"} & set(sys.argv[1:])):
            report(os.path.isfile("%s/lib/systemd/system/%s@.service" % (usr, name)),
                   "unit of " + name)
        check_folder(root, "/etc/cpam", "root", 0o750)
        check_folder(root, "/var/lib/cpam/state", "postgres", 0o750)
        check_folder(root, "/var/spool/cpam", "postgres", 0o750)
        extra = [name for name in os.listdir(usr + "/bin") if name not in sys.argv[1:]]
        report(not extra, "nothing else is among the programs", " ".join(extra))
        os.chmod(root + "/etc/cpam", 0o700)
        with open(root + "/etc/cpam/backup-config.yaml", "w") as out:
            out.write("mine\n")
        got = install(root)
        with open(root + "/etc/cpam/backup-config.yaml") as source:
            report(got.returncode == 0 and source.read() == "mine\n" and
                   stat.S_IMODE(os.stat(root + "/etc/cpam").st_mode) == 0o700,
                   "a second installation leaves a configuration as it is", got.stderr)
    print("1..%d" % count)
    return failed != 0


sys.exit(main())
