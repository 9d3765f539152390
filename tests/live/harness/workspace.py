"""workspace.py - temporary folders for the user PostgreSQL runs as, and running things as him.

PostgreSQL refuses to run as root.  When the tests run as root, everything that touches a data
directory runs as user `postgres`; otherwise as whoever started the tests.  Folders are made directly
below /tmp with short names, since a Unix socket's path holds 107 bytes only.
"""
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

ROOT_FOLDER = "/tmp"


def user():
    """The passwd entry of the user PostgreSQL runs as."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def make(below=ROOT_FOLDER):
    """A new folder, 0755, of that user; `remove` it afterwards."""
    path = tempfile.mkdtemp(prefix="cpam-", dir=below)
    os.chmod(path, 0o755)
    give(path)
    return path


def workers(path):
    """{pid: command line} of the workers (--serve DATADIR) whose data directory or configuration is in
    this folder."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                line = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "--serve" in line and os.path.basename(line[0]).startswith("cpam-wal-") and any(
                part == path or part.startswith(path + "/") for part in line[1:]):
            found[int(entry)] = line
    return found


def end_workers(path, timeout=30):
    """End the workers that programs run in this folder have started, and wait until they have."""
    end = time.monotonic() + timeout
    number = signal.SIGTERM
    while True:
        left = workers(path)
        for pid in left:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        if not left:
            return
        number = signal.SIGKILL if time.monotonic() > end else signal.SIGTERM
        time.sleep(0.05)


def remove(path):
    """Remove the folder unless CPAM_KEEP is set (then it is told, to be looked at)."""
    end_workers(path)
    if os.environ.get("CPAM_KEEP"):
        print(f"# kept: {path}", flush=True)
        return
    for top, folders, _ in os.walk(path):
        for name in folders:
            inner = os.path.join(top, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
    shutil.rmtree(path)


def give(path):
    """Hand a file or folder (not what is in it) to the user PostgreSQL runs as."""
    if os.geteuid() == 0:
        owner = user()
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)


def folder(path, mode=0o755):
    """Make a folder of that user; returns path."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    give(path)
    return path


def write(path, text, mode=0o644):
    """Write a file of that user (text or bytes); returns path."""
    data = text.encode() if isinstance(text, str) else text
    with open(path, "wb") as out:
        out.write(data)
    os.chmod(path, mode)
    give(path)
    return path


# What the children get of our environment: nothing that could hold a secret or bend a test.
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_PRELOAD")


def environment(extra=None):
    """A small environment for children: no proxies, no credentials, no PG*, no CPAM_*."""
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    env.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    env.setdefault("LC_ALL", "C.UTF-8")
    env["HOME"] = "/nonexistent"
    env["USER"] = user().pw_name
    env.update(extra or {})
    return env


def as_user():
    """Keyword arguments that make subprocess run a child as that user."""
    if os.geteuid() != 0:
        return {}
    owner = user()
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def run(arguments, cwd="/", env=None, check=True, timeout=120, root=False, stdin=None):
    """Run to the end as that user (or as ourselves with root=True): a CompletedProcess with text."""
    done = subprocess.run(
        [str(argument) for argument in arguments], cwd=cwd, env=environment(env), input=stdin or "",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        timeout=timeout, check=False, **({} if root else as_user()))
    if check and done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(map(str, arguments))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done
