"""test_several_repositories.py - a server that goes on archiving while a repository is away, and a restore
from that repository alone when it has come back."""
import os

from harness import cluster, cpam, tap
from restore_world import World


def rows_of(t):
    def row(name, required):
        return {"name": name, "url": f"file://{t.folder()}/{name}", "required": required}
    return [row("primary", True), row("second", True), row("extra", False)]


def backlog(t, name):
    found = []
    for _, _, names in os.walk(f"{t.folder()}/state/backlog/demo/{name}"):
        found += names
    return sorted(found)


def away(t, name):
    os.rename(f"{t.folder()}/{name}", f"{t.folder()}/{name}.away")


def back(t, name):
    os.rename(f"{t.folder()}/{name}.away", f"{t.folder()}/{name}")


@tap.limit(900)
def test_P13_the_others_stay_current_and_the_dead_one_catches_up(t):
    w = World(t, repositories=rows_of(t),
              wal={"spool": f"{t.folder()}/spool",
                   "push": {"mode": "direct", "timeout": "30s", "acknowledge": "any"}})
    for name in ("primary", "second", "extra"):
        t.exits(w.run("cpam-base-push", "--repo", name), 0)
    w.insert(1)
    w.archived()
    t.equal((backlog(t, "second"), backlog(t, "extra")), ([], []))

    away(t, "second")
    away(t, "extra")
    for number in range(2, 8):
        w.insert(number)
        w.archived()
    kept = backlog(t, "second")
    t.true(len(kept) >= 6, f"{kept} wait for it")
    w.pg.stop()
    w.pg.start()
    t.true(set(kept) <= set(backlog(t, "second")), "over a restart as well")

    back(t, "second")
    w.insert(8)
    w.archived()
    w.expect("1 2 3 4 5 6 7 8", "--repo", "primary", "--latest")
    # the required one is well again, and the other is told of
    got = t.exits(w.run("cpam-repo", "check"), 3)
    t.holds(got.out, ["protected: segment", 'repository "extra" is behind: ', " wait for it"])

    back(t, "extra")

    def drained():
        w.archived()
        return not backlog(t, "second") and not backlog(t, "extra")

    cluster.wait_for(drained, 300, "the backlogs to be empty")
    t.exits(w.run("cpam-repo", "check"), 0)
    for name in ("second", "extra"):
        others = [other for other in ("primary", "second", "extra") if other != name]
        for other in others:
            away(t, other)
        w.expect("1 2 3 4 5 6 7 8", "--repo", name, "--latest")
        for other in others:
            back(t, other)


if __name__ == "__main__":
    tap.main(globals())
