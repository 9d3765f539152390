#!/usr/bin/env python3
"""test_repo.py - cpam-repo create, check and claim, and cpam-info, with a real server."""
import json
import os
import re
import stat

from harness import cluster, cpam, tap, workspace


def key_of(folder):
    with open(os.path.join(folder, "key"), encoding="utf-8") as file:
        return re.search(r"cpam1key[a-z2-7]+", file.read()).group(0)


def prepared(t, start=True, push=None, **more):
    """A server that archives into a repository that "create" made; (server, config).  push: wal.push."""
    pg = cluster.new(t)
    settings = cpam.settings(t.folder(), pg, **more)
    settings["wal"]["push"].update(push or {})
    config = cpam.write_config(t.folder(), settings)
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    pg.configure(**cpam.archive_settings(config))
    return (pg.start() if start else pg), config


def test_create_makes_key_and_repository_once(t):
    pg = cluster.new(t)
    config = cpam.write_config(t.folder(), cpam.settings(t.folder(), pg))
    first = t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    key = os.path.join(t.folder(), "key")
    t.equal(stat.S_IMODE(os.stat(key).st_mode), 0o600, "mode of the keyfile")
    secret = key_of(t.folder())
    uuid = re.search(r": ([0-9a-f-]{36})\n", first.out).group(1)
    t.holds(first.out, [secret, "Made repository \"primary\"", "on paper",
                        f"    repository \"primary\": {uuid}\n",
                        pg.controldata()["Database system identifier"],
                        f"archive_command = 'cpam-wal-push --config {config} %p'",
                        f'"cpam-base-push --config {config}"'])
    t.equal(first.err, "", "stderr")

    again = t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    t.holds(again.out, ["Found repository \"primary\"", uuid])
    t.lacks(again.out, [secret, "on paper"])
    t.equal(key_of(t.folder()), secret, "the key after the second run")


def test_S8_no_new_key_beside_an_existing_repository(t):
    pg = cluster.new(t)
    config = cpam.write_config(t.folder(), cpam.settings(t.folder(), pg))
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    os.unlink(os.path.join(t.folder(), "key"))
    t.exits(cpam.run("cpam-repo", "create", config=config), 2,
            ["is missing, and a repository exists", "cpam1key"])
    t.true(not os.path.exists(os.path.join(t.folder(), "key")), "no new key")
    os.unlink(os.path.join(t.folder(), "repo", "demo", "repo.json"))
    workspace.folder(os.path.join(t.folder(), "repo", "demo", "wal"))
    workspace.folder(os.path.join(t.folder(), "repo", "demo", "wal", "1"))
    workspace.write(os.path.join(t.folder(), "repo", "demo", "wal", "1", "x"), "x")
    t.exits(cpam.run("cpam-repo", "create", config=config), 1, ["a damaged repository"])
    t.true(not os.path.exists(os.path.join(t.folder(), "key")), "no new key")


def test_create_needs_a_data_directory(t):
    config = cpam.write_config(t.folder(), cpam.settings(t.folder(), None))
    t.exits(cpam.run("cpam-repo", "create", config=config), 2, ["is not a data directory"])
    t.true(not os.path.exists(os.path.join(t.folder(), "key")), "no key for nothing")


def test_root_acts_as_the_owner_of_the_data_directory(t):
    if os.geteuid() != 0:
        raise tap.Skip("only root can become somebody else")
    pg = cluster.new(t)
    etc = os.path.join(t.folder(), "etc")
    os.mkdir(etc)  # as Debian has it: root:postgres 0750, so that postgres can't write there
    os.chown(etc, 0, workspace.user().pw_gid)
    os.chmod(etc, 0o750)
    below_root = os.path.join(t.folder(), "root")
    os.mkdir(below_root)
    settings = cpam.settings(
        t.folder(), pg, encryption={"recipients": [{"keyfile": os.path.join(etc, "key")}]},
        repositories=[{"name": "primary", "url": f"file://{below_root}/cpam"}])
    config = cpam.write_config(t.folder(), settings)
    t.exits(cpam.run("cpam-repo", "create", config=config), 1, ["could not make the keyfile"])
    t.exits(cpam.run("cpam-repo", "create", config=config, root=True), 0)
    for path in (os.path.join(etc, "key"), f"{below_root}/cpam", f"{below_root}/cpam/demo/repo.json"):
        t.equal(os.stat(path).st_uid, workspace.user().pw_uid, "owner of " + path)
    t.exits(cpam.run("cpam-info", config=config, root=True), 3)
    os.chown(os.path.join(etc, "key"), 0, 0)  # a key its user can't read is named
    t.exits(cpam.run("cpam-info", config=config, root=True), 1, [os.path.join(etc, "key")])


def test_O6_check_has_a_segment_archived_and_opened(t):
    pg, config = prepared(t)
    got = t.exits(cpam.run("cpam-repo", "check", config=config), 3)
    t.holds(got.out, ["not protected: WAL is archived", "no backup", "cpam-base-push"])
    t.equal(got.out.count("\n"), 1, "lines of the verdict")
    t.true(int(pg.sql("select archived_count from pg_stat_archiver")) > 0, "a segment was archived")
    got = json.loads(cpam.run("cpam-repo", "check", "--json", config=config).out)
    t.equal((got["schema"], got["protected"]), (1, False))


def test_O6_check_says_protected_after_a_backup(t):
    pg, config = prepared(t)
    t.exits(cpam.run("cpam-base-push", config=config), 0)
    got = t.exits(cpam.run("cpam-repo", "check", config=config), 0)
    t.holds(got.out, ["protected: segment ", " and opens; newest backup cpam_backup_"])
    t.equal(got.out.count("\n"), 1, "lines of the verdict")
    info = t.exits(cpam.run("cpam-info", config=config), 0)
    t.holds(info.out, ["cpam_backup_", "is there", "Can be restored: every moment from "])
    t.lacks(info.out, "LOOK")
    report = json.loads(t.exits(cpam.run("cpam-info", "--json", config=config), 0).out)
    t.equal(report["schema"], 1)
    backup, = report["repositories"][0]["backups"]
    t.equal(backup["wal_missing"], None)
    t.equal(backup["system_identifier"], pg.controldata()["Database system identifier"])

    wal = os.path.join(t.folder(), "repo", "demo", "wal")
    first = backup["wal_first"]
    lost = [os.path.join(top, name) for top, _, names in os.walk(wal) for name in names
            if name == first]
    t.equal(len(lost), 1, "objects of the backup's first segment")
    os.unlink(lost[0])
    info = t.exits(cpam.run("cpam-info", config=config), 3)
    t.holds(info.out, [f"LOOK: backup {backup['label']} can't be restored: segment {first} is not there",
                       "INCOMPLETE"])


def test_O6_check_names_what_is_missing(t):
    pg, config = prepared(t, start=False, push={"timeout": "5m"})
    t.exits(cpam.run("cpam-repo", "check", config=config), 1, ["no server runs on", "start it"])
    pg.configure(archive_mode="off")
    pg.start()
    t.exits(cpam.run("cpam-repo", "check", config=config), 1,
            ["not protected: archive_mode is off", "set archive_mode = on and restart"])
    pg.stop()
    pg.configure(archive_mode="on", archive_command="")
    pg.start()
    t.exits(cpam.run("cpam-repo", "check", config=config), 1,
            ["not protected: archive_command is empty",
             f"set archive_command = 'cpam-wal-push --config {config} %p'"])
    pg.configure(archive_command="/bin/true")
    pg.reload()
    pg.wait_sql("select current_setting('archive_command') = '/bin/true'")
    t.exits(cpam.run("cpam-repo", "check", config=config), 1,
            ['the server archives with "/bin/true"', "cpam-wal-push"])
    lost = "/usr/lcoal/bin/cpam-wal-push"
    pg.configure(archive_command=f"exec {lost} %p")
    pg.reload()
    pg.wait_sql(f"select current_setting('archive_command') like '%{lost}%'")
    t.exits(cpam.run("cpam-repo", "check", config=config), 1,
            [f'archive_command calls "{lost}", which is not there', "correct the path"])
    # three failures in a row: the archiver rests, and nobody should wait for it
    wrong = cpam.path("cpam-wal-push") + " --config /etc/no-such.yaml %p"
    pg.configure(archive_command=wrong)
    pg.reload()
    pg.wait_sql("select current_setting('archive_command') like '%no-such%'")
    t.exits(cpam.run("cpam-repo", "check", config=config, timeout=240), 1,
            ["not protected: segment", "the archiver has failed", "the server's log says why"])


def test_O6_check_tells_two_servers_apart(t):
    pg, config = prepared(t)
    other = cluster.new(t, "other").start()
    settings = cpam.settings(t.folder(), pg)
    settings["postgresql"]["connection"] = other.connection()
    wrong = cpam.write_config(t.folder(), settings, "wrong.yaml")
    t.exits(cpam.run("cpam-repo", "check", config=wrong), 1,
            ["the server that answers has system identifier", "speak of two servers"])
    settings = cpam.settings(t.folder(), other)
    stranger = cpam.write_config(t.folder(), settings, "stranger.yaml")
    t.exits(cpam.run("cpam-repo", "check", config=stranger), 1,
            ["it does not know this database", "cpam-repo create"])
    pg.stop()  # a copy has the same system identifier
    twin = cluster.Cluster(t.folder(), "twin")
    t.defer(twin.close)
    workspace.run(["cp", "-a", pg.data, twin.data])
    pg.start()
    twin.start()
    settings = cpam.settings(t.folder(), pg)
    settings["postgresql"]["connection"] = twin.connection()
    twins = cpam.write_config(t.folder(), settings, "twins.yaml")
    t.exits(cpam.run("cpam-repo", "check", config=twins), 1,
            ["is not the one that runs on", "leads to another server of the same cluster"])


def test_O6_check_says_why_a_segment_does_not_come(t):
    pg = cluster.new(t)
    settings = cpam.settings(t.folder(), pg)
    settings["wal"]["push"]["timeout"] = "5s"
    config = cpam.write_config(t.folder(), settings)
    t.exits(cpam.run("cpam-repo", "create", config=config), 0)
    pg.configure(archive_mode="on", archive_command="cpam-wal-push-that-is-not-there %p")
    pg.start()
    t.exits(cpam.run("cpam-repo", "check", config=config), 1,
            ["not protected: segment ", "did not reach repository \"primary\"", "the archiver has failed"])


def test_T11_claim_takes_out_the_refusing_command_alone(t):
    pg, config = prepared(t, start=False)
    auto = os.path.join(pg.data, "postgresql.auto.conf")
    before = ("# Do not edit this file manually!\nwork_mem = '5MB'\n"
              f"archive_command = 'exec {cpam.path('cpam-wal-push')} --config {config} %p'\n")
    workspace.write(auto, before + "archive_command = 'cpam-wal-push --unclaimed %p'\n"
                    "archive_library = ''\n", 0o600)
    pg.start()
    t.equal(pg.sql("show archive_command"), "cpam-wal-push --unclaimed %p")
    t.exits(cpam.run("cpam-repo", "check", config=config), 1,
            ["restored copy that nobody has claimed", "cpam-repo claim " + pg.data])
    got = t.exits(cpam.run("cpam-repo", "claim", pg.data), 0)
    t.holds(got.out, ["Claimed", "was told to read its configuration again"])
    with open(auto, encoding="utf-8") as file:
        t.equal(file.read(), before, "postgresql.auto.conf")
    t.equal(stat.S_IMODE(os.stat(auto).st_mode), 0o600, "its mode")
    pg.wait_sql("select current_setting('archive_command') like '%--config%'")
    pg.wait_archived(pg.switch_wal())
    got = t.exits(cpam.run("cpam-repo", "claim", pg.data), 0)
    t.holds(got.out, "Nothing to claim")
    pg.stop()
    workspace.write(auto, before + "archive_command = 'cpam-wal-push --unclaimed %p'\n", 0o600)
    t.holds(t.exits(cpam.run("cpam-repo", "claim", pg.data), 0).out, "No server runs on it")
    t.exits(cpam.run("cpam-repo", "claim", t.folder()), 2, ["is not a data directory"])


def test_E8_the_key_is_in_no_log_and_no_argument(t):
    pg, config = prepared(t)
    pg.wait_archived(pg.switch_wal())
    secret = key_of(t.folder())
    said = [cpam.run(*call, config=config) for call in (
        ("cpam-repo", "check"), ("cpam-repo", "--log-level", "debug", "check"), ("cpam-info",),
        ("cpam-info", "--json", "--log-level", "debug"))]
    for got in said:
        t.lacks(got.out + got.err + got.line, [secret, secret[8:40]], got.name)
    pg.stop()
    t.lacks(pg.log_text(), [secret, secret[8:40]], "the server's log")
    for top, _, names in os.walk(os.path.join(t.folder(), "repo")):
        for name in names:
            with open(os.path.join(top, name), "rb") as file:
                t.true(secret.encode() not in file.read(), name + " holds no key")


if __name__ == "__main__":
    tap.main(globals())
