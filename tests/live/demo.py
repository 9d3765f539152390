#!/usr/bin/env python3
"""demo.py - the whole journey in one run, told in plain words: `./cpam demo [--s3] [--keep]`.

A throw-away PostgreSQL is set up with the samples of pgconf-samples/, archived, backed up, changed,
destroyed, and brought back to a moment before an accident.  The end is proven by the rows, and by a
digest over all of them taken at that moment.  Everything lives in one folder below /tmp, which is
removed; no other PostgreSQL of this machine is touched.
"""
import argparse
import os
import shlex
import shutil
import sys
import textwrap

from harness import cluster, cpam, tap, workspace

DIGEST = "select count(*) || ' rows, md5 ' || md5(string_agg(o::text, '|' order by id)) from orders o"


class Failed(Exception):
    """The demonstration does not show what it promised."""


class Narrator:
    """Says what comes, shows the command, runs it, shows what it said."""

    def __init__(self, shortened):
        self.step = 0
        self.shortened = shortened  # long path -> name shown for it

    def tell(self, title, text=""):
        self.step += 1
        print(f"\n{self.step}. {title}", flush=True)
        for paragraph in text.split("\n\n") if text else []:
            print(textwrap.fill(" ".join(paragraph.split()), 96, initial_indent="   ",
                                subsequent_indent="   ", break_on_hyphens=False), flush=True)

    def short(self, text):
        for path, name in self.shortened.items():
            text = text.replace(path, name)
        return text

    def command(self, line):
        print(f"   $ {self.short(line)}", flush=True)

    def said(self, text):
        for line in text.rstrip().splitlines():
            print(f"     {self.short(line)}", flush=True)

    def run(self, name, *arguments, config, good=(0,)):
        """Run one of the programs; what it says is shown, a bad exit status ends the demonstration."""
        self.command(shlex.join([name, "--config", config, *map(str, arguments)]))
        result = cpam.run(name, *arguments, config=config)
        self.said(result.out)
        self.said(result.err)
        if result.code not in good:
            raise Failed(f"{name} ended with {result.code}")
        return result

    def sql(self, server, statement):
        print(f"   =# {statement};", flush=True)
        out = server.sql(statement)
        self.said(out)
        return out


def directory_config(folder, data):
    """The minimal sample with this folder's paths."""
    return cpam.sample("backup-config-minimal.yaml", data=data, repo=folder + "/repository",
                       key=folder + "/key")


def s3_config(t, folder, data):
    """The same with a bucket on a local radosgw, over TLS with a CA made for this run."""
    from harness import rgw

    server = rgw.start(t)
    server.client.make_bucket("demo")
    secret = workspace.write(folder + "/s3-secret", server.secret_key + "\n", 0o600)
    ca = workspace.write(folder + "/ca.pem", open(server.ca, encoding="ascii").read())
    repository = server.repository("demo", secret_file=secret, ca_file=ca)
    text = cpam.sample("backup-config-minimal.yaml", data=data, key=folder + "/key")
    line = next(line for line in text.splitlines() if line.startswith("repositories:"))
    return text.replace(line, "repositories:\n" + cpam.yaml([repository], 1).rstrip())


def prepare(t, narrator, folder, s3):
    server = cluster.Cluster(folder, "server")
    t.defer(server.close)
    narrator.tell(
        "A database, and five lines of configuration",
        "A fresh PostgreSQL 15, made with initdb in a folder of its own. The configuration is "
        "pgconf-samples/backup-config-minimal.yaml with this folder's paths put in"
        + (" and a bucket of a local S3 server (Ceph's radosgw, TLS) as the repository." if s3
           else "; the repository is a directory."))
    narrator.command(f"initdb -D {server.data} -k")
    server.init()
    text = s3_config(t, folder, server.data) if s3 else directory_config(folder, server.data)
    # What belongs to a throw-away server and not into the sample: its socket, and folders for what
    # an installed system keeps below /var.
    text = text.replace(f"{{ data: {server.data} }}",
                        f"{{ data: {server.data}, connection: \"{server.connection()}\" }}")
    text += f"state: {workspace.folder(folder + '/state', 0o700)}\n"
    text += f"wal: {{ spool: {workspace.folder(folder + '/spool', 0o700)} }}\n"
    config = cpam.write_config(folder, text)
    narrator.said(text)
    return server, config


def archive(narrator, server, config):
    narrator.tell("The repository and its key",
                  "cpam-repo create makes both, and prints the key for the paper copy. Whoever loses "
                  "the key loses the backups.")
    narrator.run("cpam-repo", "create", config=config)

    narrator.tell("PostgreSQL starts archiving",
                  "pgconf-samples/archive.conf goes into its configuration: every WAL segment is handed "
                  "to cpam-wal-push, which says yes only when it is durable in the repository.")
    server.append("postgresql.conf", cpam.sample("archive.conf", config=config))
    narrator.command("pg_ctl start")
    server.start()

    narrator.tell("Data, and a base backup", "A thousand orders; then a backup of the running server.")
    narrator.sql(server, "create table orders (id int primary key, placed timestamptz, item text)")
    narrator.sql(server, "insert into orders select n, now(), 'item ' || n from "
                         "generate_series(1, 1000) n")
    narrator.run("cpam-base-push", config=config)

    narrator.tell("Is this database protected?", "cpam-repo check forces a segment through, and answers in a line.")
    narrator.run("cpam-repo", "check", config=config)


def accident(narrator, server):
    narrator.tell("Life goes on after the backup",
                  "Five hundred more orders. They are in no backup, only in the WAL. This is the moment "
                  "we shall want back.")
    narrator.sql(server, "insert into orders select n, now(), 'item ' || n from "
                         "generate_series(1001, 1500) n")
    digest = narrator.sql(server, DIGEST)
    moment = narrator.sql(server, "select clock_timestamp()")

    narrator.tell("The accident", "Somebody forgets a WHERE, and nobody notices for a while.")
    narrator.sql(server, "update orders set item = 'oops'")
    narrator.sql(server, "delete from orders where id > 10")
    segment = server.switch_wal()
    server.wait_archived(segment)

    narrator.tell("And then the machine dies", "kill -9, and the data directory is gone for good.")
    narrator.command(f"kill -9 postgres; rm -rf {server.data}")
    server.stop("crash")
    shutil.rmtree(server.data)
    return digest, moment


def recover(t, narrator, folder, config, digest, moment):
    data = folder + "/recovered"
    narrator.tell("What would a restore do?",
                  "--dry-run decides everything and writes nothing: which backup, which WAL, and whether "
                  "the moment can be reached at all.")
    narrator.run("cpam-base-fetch", "--pitr", moment, "--dry-run", data, config=config)
    narrator.tell("The restore", "The same without --dry-run; PostgreSQL then replays WAL up to the moment, "
                                 "calling cpam-wal-fetch for each segment.")
    narrator.run("cpam-base-fetch", "--pitr", moment, "--target-action", "promote", data, config=config)
    narrator.command(f"pg_ctl start -D {data}")
    server = cluster.restored(t, data, "recovered")
    server.start()
    server.wait_sql("select pg_is_in_recovery()", "f")

    narrator.tell("The proof", "All 1500 orders as they were at that moment, the ones that were in no backup "
                               "among them, and nothing of the accident.")
    found = narrator.sql(server, DIGEST)
    if found != digest:
        raise Failed(f"the rows are not those of {moment}: {found}, wanted {digest}")
    narrator.run("cpam-info", config=config, good=(0, 3))

    narrator.tell("The copy becomes the database",
                  "A restored copy does not archive into the repository it came from before somebody says "
                  "that it is the database now.")
    narrator.run("cpam-repo", "claim", data, config=config)
    server.wait_archived(server.switch_wal())
    narrator.said("archiving goes on")
    server.stop()


def main():
    parser = argparse.ArgumentParser(prog="./cpam demo", description=__doc__.splitlines()[0])
    parser.add_argument("--s3", action="store_true", help="on a local S3 server instead of a directory")
    parser.add_argument("--keep", action="store_true", help="leave the folder to be looked at")
    options = parser.parse_args()
    if options.keep:
        os.environ["CPAM_KEEP"] = "1"
    t = tap.Test("demo")
    problems = []
    try:
        folder = t.folder()
        narrator = Narrator({cpam.programs() + "/": "", folder: "DIR"})
        print(f"CPAM, the main job end to end. DIR is {folder}, thrown away at the end.", flush=True)
        server, config = prepare(t, narrator, folder, options.s3)
        archive(narrator, server, config)
        digest, moment = accident(narrator, server)
        recover(t, narrator, folder, config, digest, moment)
        code = 0
    except (Failed, RuntimeError) as error:
        print(f"\nThe demonstration failed: {error}", file=sys.stderr)
        code = 1
    finally:
        problems = t.finish()
    for problem in problems:
        print(problem, file=sys.stderr)
    if code == 0 and not problems:
        print("\nProven: the database is back as it was at the chosen moment, row for row.")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
