"""cpam.py - the built programs, as a live test runs them.

The programs are copied out of the build folder once per test program, since the user PostgreSQL runs
as can often not enter the folder of whoever built them (a home is 0700).  CPAM_BUILD_ROOT says where
they were built; meson sets it.
"""
import os
import shlex
import shutil
import subprocess
import time

from . import workspace

SOURCE_ROOT = os.environ.get("CPAM_SOURCE_ROOT") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD_ROOT = os.environ.get("CPAM_BUILD_ROOT") or os.path.join(SOURCE_ROOT, "build")

_programs = None


def programs():
    """The folder with copies of all built programs; made once, removed at the end of the process."""
    global _programs
    if _programs is None:
        import atexit

        _programs = workspace.make()
        atexit.register(shutil.rmtree, _programs, ignore_errors=True)
        for part in ("archive", "restore", "operate"):
            source = os.path.join(BUILD_ROOT, part)
            for name in sorted(os.listdir(source) if os.path.isdir(source) else []):
                path = os.path.join(source, name)
                if name.startswith("cpam-") and os.path.isfile(path) and os.access(path, os.X_OK):
                    shutil.copy(path, os.path.join(_programs, name))
    return _programs


def path(name):
    """Where a program is, to be written into a configuration; RuntimeError if it was not built."""
    found = os.path.join(programs(), name)
    if not os.access(found, os.X_OK):
        raise RuntimeError(f"{name} is not built in {BUILD_ROOT}")
    return found


def sample(name, **replaced):
    """The text of a file of pgconf-samples/ with what is another here put in: the programs' folder, and
    the values a sample can only guess (config=, data=, repo=, key=).  RuntimeError if it has none."""
    guessed = {"config": "/etc/cpam/backup-config.yaml", "data": "/var/lib/postgresql/15/main",
               "repo": "/var/backups/cpam", "key": "/etc/cpam/key"}
    with open(os.path.join(SOURCE_ROOT, "pgconf-samples", name), encoding="utf-8") as file:
        text = file.read().replace("/usr/bin/cpam-", programs() + "/cpam-")
    for what, value in replaced.items():
        if guessed[what] not in text:
            raise RuntimeError(f"{name} does not name {guessed[what]}")
        text = text.replace(guessed[what], str(value))
    return text


class Result:
    """How a program ended and what it said."""

    def __init__(self, arguments, code, out, err, seconds):
        self.name = os.path.basename(arguments[0])
        self.line = shlex.join(arguments)
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def output(self):
        return f"--- stdout\n{self.out}--- stderr\n{self.err}---"


def arguments_of(name, arguments, config):
    line = [path(name)]
    if config:
        line += ["--config", config]
    return line + [str(argument) for argument in arguments]


def run(name, *arguments, config=None, cwd="/", env=None, timeout=300, root=False, stdin=None):
    """Run a program to its end as PostgreSQL's user (root=True: as ourselves); a Result, never raises
    on a bad exit status: the test looks at it (t.exits)."""
    line = arguments_of(name, arguments, config)
    start = time.monotonic()
    done = workspace.run(line, cwd=cwd, env=env, check=False, timeout=timeout, root=root, stdin=stdin)
    return Result(line, done.returncode, done.stdout, done.stderr, time.monotonic() - start)


def start(name, *arguments, config=None, cwd="/", env=None, root=False):
    """Start a program and return its Popen (own session, output through pipes); end it yourself."""
    return subprocess.Popen(
        arguments_of(name, arguments, config), cwd=cwd, env=workspace.environment(env),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace", start_new_session=True, **({} if root else workspace.as_user()))


def yaml(value, indent=0):
    """Just enough of YAML for configurations: dictionaries, lists, texts, numbers, booleans."""
    pad = "  " * indent
    if isinstance(value, dict):
        return "".join(
            f"{pad}{key}:\n{yaml(inner, indent + 1)}" if isinstance(inner, (dict, list)) and inner
            else f"{pad}{key}: {yaml(inner).strip()}\n" for key, inner in value.items()) or "{}\n"
    if isinstance(value, list):
        return "".join(f"{pad}-\n{yaml(inner, indent + 1)}" if isinstance(inner, dict)
                       else f"{pad}- {yaml(inner).strip()}\n" for inner in value) or "[]\n"
    if isinstance(value, bool):
        return "true\n" if value else "false\n"
    if isinstance(value, (int, float)):
        return f"{value}\n"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"\n'


def settings(folder, cluster, repositories=None, **more):
    """The smallest useful configuration as a dictionary, to be changed by the test and written.

    One directory repository `primary` in folder/repo, keyfile folder/key, state and spool in folder.
    `cluster` is a harness.cluster.Cluster (or None: a data directory that does not exist).
    """
    data = cluster.data if cluster else os.path.join(folder, "nodata")
    config = {
        "cluster": "demo",
        "state": workspace.folder(os.path.join(folder, "state"), 0o700),
        "postgresql": {"data": data},
        "repositories": repositories or [
            {"name": "primary", "url": "file://" + os.path.join(folder, "repo")}],
        "encryption": {"recipients": [{"keyfile": os.path.join(folder, "key")}]},
        "wal": {"spool": workspace.folder(os.path.join(folder, "spool"), 0o700),
                "push": {"mode": "direct"}},
    }
    if cluster:
        config["postgresql"]["connection"] = cluster.connection()
    config.update(more)
    return config


def write_config(folder, config, name="backup-config.yaml", mode=0o640):
    """Write a configuration (dictionary or text) for PostgreSQL's user; returns its path."""
    text = config if isinstance(config, str) else yaml(config)
    return workspace.write(os.path.join(folder, name), text, mode)


def archive_settings(config, program="cpam-wal-push", extra=""):
    """The settings that turn archiving on, for Cluster.configure(**...)."""
    command = f"exec {path(program)} --config {config} {extra}".rstrip() + " %p"
    return {"archive_mode": "on", "archive_command": command, "archive_timeout": 300}


def archive_module(major=15):
    """The folder with cpam_archive.so for this major, or None where it was not built."""
    brought = os.environ.get("CPAM_MODULE_CACHE", "")
    for source in (os.path.join(BUILD_ROOT, "archive", f"cpam_archive-{major}.so"),
                   os.path.join(brought, f"cpam_archive-{major}.so")):
        if os.path.isfile(source):
            folder = workspace.folder(os.path.join(programs(), f"module{major}"))
            shutil.copy(source, os.path.join(folder, "cpam_archive.so"))
            return folder
    return None


def module_settings(config, major=15):
    """As archive_settings, through the archive module."""
    folder = archive_module(major)
    if folder is None:
        from .tap import Skip

        raise Skip(f"cpam_archive.so is not built for PostgreSQL {major}")
    return {"archive_mode": "on", "archive_library": "cpam_archive", "archive_timeout": 300,
            "dynamic_library_path": f"{folder}:$libdir", "cpam_archive.config": config,
            "cpam_archive.bindir": programs()}


def restore_command(config, extra=""):
    """A restore_command as base-fetch would write it."""
    return f"exec {path('cpam-wal-fetch')} --config {config} {extra}".rstrip() + " %f %p"
