"""churn.py - clients that write all the time, and in every way that changes files: tables that grow, are
truncated, rewritten, dropped and made anew, move between tablespaces; unlogged and temporary ones;
databases and tablespaces that come and go.

    churn = Churn(t, pg, clients=3)     # begins, and has gone round at least once
    ...
    churn.stop()                        # raises if a statement failed that should not have
"""
import threading

# One round of client {k}; tables of its own, so that only the server's files are contended.
ROUND = """
create table if not exists grows_{k} (id bigserial primary key, filler text);
insert into grows_{k} (filler) select md5(g::text) from generate_series(1, 400) g;
update grows_{k} set filler = filler || 'x' where id % 7 = {r} % 7;
delete from grows_{k} where id % 11 = {r} % 11;
drop table if exists again_{k};
create table again_{k} as select g as a, repeat(md5(g::text), 8) as b from generate_series(1, 300) g;
create index on again_{k} (a);
create table if not exists emptied_{k} (a int, b text);
truncate emptied_{k};
insert into emptied_{k} select g, 'round {r}' from generate_series(1, 50 * (1 + {r} % 5)) g;
create unlogged table if not exists unlogged_{k} (a int primary key);
insert into unlogged_{k} select coalesce(max(a), 0) + 1 from unlogged_{k};
create temporary table passing (a int);
insert into passing select generate_series(1, 2000);
{more}
"""
EVERY = [  # one of them a round
    "vacuum full grows_{k};",
    "reindex table grows_{k};",
    "cluster grows_{k} using grows_{k}_pkey;",
    "vacuum (freeze) grows_{k};",
    "alter table again_{k} alter column a type bigint;",
    "delete from grows_{k} where id < (select max(id) - 100 from grows_{k}); vacuum grows_{k};",
    "checkpoint;",
]
# of the first client alone: what all databases share
SHARED = [
    "create database passing_by;",
    "drop database if exists passing_by;",
    "set allow_in_place_tablespaces = on; create tablespace spare location '';",
    "alter table again_{k} set tablespace spare;",
    "drop table again_{k}; drop tablespace spare;",
]


class Churn:
    """spaces: also tablespaces in place, which 15 is the first to know."""

    def __init__(self, t, pg, clients=3, spaces=True):
        self.pg, self.spaces = pg, spaces
        self.rounds, self.failures = [0] * clients, []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._write, args=(k,), daemon=True)
                        for k in range(clients)]
        t.defer(self._end)
        for thread in self.threads:
            thread.start()
        self.wait(1)

    def _write(self, k):
        shared = SHARED if self.spaces else SHARED[:2]
        while not self.ended.is_set():
            r = self.rounds[k]
            more = EVERY[r % len(EVERY)] + ("\n" + shared[r % len(shared)] if k == 0 else "")
            done = self.pg.psql(ROUND.format(k=k, r=r, more=more.format(k=k)), check=False)
            if done.returncode != 0:
                self.failures.append(done.stderr)
                return
            self.rounds[k] += 1

    def wait(self, more=1):
        """Until every client has gone round so many times more."""
        from .cluster import wait_for

        wanted = [number + more for number in self.rounds]
        wait_for(lambda: self.failures or all(now >= then for now, then in zip(self.rounds, wanted)),
                 180, "the writing clients to go round")
        self._look()

    def _look(self):
        if self.failures:
            raise AssertionError("a writing client failed: " + self.failures[0])

    def _end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(180)

    def stop(self):
        """All statements are through; the number of rounds that were gone."""
        self._end()
        self._look()
        return sum(self.rounds)
