"""compare.py - is a restored cluster the original: row by row of two servers, block by block of two
data directories of which no server writes.

    same_rows(t, original, copy)          both run and nobody writes; the copy has ended its recovery
    same_files(t, pg.data, restored)      the original cleanly stopped, the restored one not yet started

Both name what differs.  same_rows leaves out what a restore may not bring: temporary and unlogged
tables (empty_unlogged says that the latter came back, and empty).  same_files has its own list of what
may differ, written from PostgreSQL's manual and not from CPAM's code.
"""
import os
import re
import stat

BLOCK = 8192
SHOWN = 10  # differences a failing test tells

# One query for each table, run by psql's \gexec.  The sum does not depend on the order of the rows.
TABLES = r"""
select format('select %L || ''|'' || count(*) || ''|'' || coalesce(sum(hashtextextended("its row"::text,'
              ' 0)::numeric), 0) from only %s "its row"', c.oid::regclass, c.oid::regclass)
from pg_class c where c.relkind in ('r', 'm') and c.relpersistence = 'p' and (c.oid >= 16384 or c.relname in
    ('pg_largeobject', 'pg_authid', 'pg_database', 'pg_tablespace', 'pg_auth_members', 'pg_db_role_setting'))
order by c.oid \gexec
"""
SEQUENCES = r"""
select format('select %L || ''|'' || last_value from %s', oid::regclass, oid::regclass)
from pg_class where relkind = 'S' and relpersistence = 'p' order by oid \gexec
"""
UNLOGGED = r"""
select format('select %L || ''|'' || count(*) from only %s', oid::regclass, oid::regclass)
from pg_class where relkind = 'r' and relpersistence = 'u' order by oid \gexec
"""


def databases(pg):
    """The databases one can connect to."""
    return pg.sql("select datname from pg_database where datallowconn order by datname").splitlines()


def _lines(pg, query, database):
    """{name: rest of the line} of a query that answers name|..."""
    text = pg.sql(query, database=database, timeout=600)
    return dict(line.split("|", 1) for line in text.splitlines())


def rows(pg):
    """{database: {table: "rows|hash of the rows"}} of every permanent table, large objects, and what the
    databases share (roles, tablespaces...)."""
    return {name: _lines(pg, TABLES, name) for name in databases(pg)}


def sequences(pg):
    return {name: _lines(pg, SEQUENCES, name) for name in databases(pg)}


def row_differences(wanted, got):
    """What differs between two answers of rows(), as sentences."""
    found = [f"database {name} is only in the {'original' if name in wanted else 'copy'}"
             for name in sorted(set(wanted) ^ set(got))]
    for name in sorted(set(wanted) & set(got)):
        for table in sorted(set(wanted[name]) | set(got[name])):
            one, other = wanted[name].get(table), got[name].get(table)
            if one != other:
                found.append(f"{name}: {table} is {other or 'not there'} and should be {one or 'gone'}")
    return found


def same_rows(t, original, copy):
    """Every row of the original is in the copy, and no other; no sequence of the copy lies behind (it may be
    ahead: WAL holds sequences 32 numbers in advance).  original: a Cluster, or what rows() said of it."""
    wanted = original if isinstance(original, dict) else rows(original)
    got = rows(copy)
    found = row_differences(wanted, got)
    t.true(any(int(one.split("|")[0]) for tables in wanted.values() for one in tables.values()),
           "there are rows to compare")
    if not isinstance(original, dict):
        there = sequences(copy)
        found += [f"{name}: sequence {one} is {there[name].get(one)} and should be at least {value}"
                  for name, values in sequences(original).items() for one, value in values.items()
                  if int(there.get(name, {}).get(one, -1)) < int(value)]
    _none(t, found, "row")


def empty_unlogged(t, original, copy):
    """The unlogged tables of the original are in the copy, and empty; their number."""
    number = 0
    for name in databases(original):
        wanted, got = _lines(original, UNLOGGED, name), _lines(copy, UNLOGGED, name)
        t.equal(got, {table: "0" for table in wanted}, f"unlogged tables of {name}")
        number += len(wanted)
    return number


def _none(t, found, what):
    if found:
        raise AssertionError(f"{len(found)} {what} differences:\n" + "\n".join(found[:SHOWN]))


# -- files ---------------------------------------------------------------------------------------------

# what belongs to a run of the server, or is remade at its start
OWN = re.compile(r"""(?x)
    ^(backup_label|tablespace_map|backup_manifest)(\.old)?$ | ^postmaster\.(pid|opts)$
    | ^(recovery|standby)\.signal$ | ^postgresql\.auto\.conf$ | ^current_logfiles$ | ^log(/|$)
    | ^(pg_wal|pg_dynshmem|pg_notify|pg_replslot|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)/
    | ^pg_stat/                          # written when the server stops
    | ^global/pg_control$                # and so is this
    | (^|/)pg_internal\.init(\.\d+)?$ | (^|/)pgsql_tmp
    | (^|/)t\d+_\d+(_fsm|_vm)?(\.\d+)?$  # temporary tables
""")
FORK = re.compile(r"^(.*/\d+)(_fsm|_vm)?(\.\d+)?$")
CATALOGUE = re.compile(r"^pg_tblspc/\d+/(?!PG_)")


def entries(data):
    """{path: lstat} of what a data directory holds, through the links of its tablespaces and of pg_wal, without
    what OWN names and without the files of unlogged tables (their _init forks stay)."""
    found = {}

    def walk(path):
        for name in sorted(os.listdir(os.path.join(data, path))):
            inner = os.path.join(path, name)
            if OWN.search(inner) or CATALOGUE.search(inner):
                continue
            found[inner] = os.lstat(os.path.join(data, inner))
            linked = stat.S_ISLNK(found[inner].st_mode) and (
                inner == "pg_wal" or inner.startswith("pg_tblspc/"))
            if stat.S_ISDIR(found[inner].st_mode) or linked:
                walk(inner)

    walk("")
    unlogged = {path[:-5] for path in found if path.endswith("_init")}
    return {path: one for path, one in found.items()
            if not ((match := FORK.match(path)) and match.group(1) in unlogged)}


def _kind(one):
    return stat.filemode(one.st_mode)


def differing_blocks(one, other):
    """Numbers of the blocks of 8 KiB in which two files differ; of the shorter one the missing ones too."""
    found, number = [], 0
    with open(one, "rb") as first, open(other, "rb") as second:
        while True:
            left, right = first.read(BLOCK), second.read(BLOCK)
            if not left and not right:
                return found
            if left != right:
                found.append(number)
            number += 1


def file_differences(original, restored, ignore=None):
    """What differs between two data directories that no server writes, as sentences; ignore: a regular
    expression of paths that may."""
    here, there = entries(original), entries(restored)
    skip = re.compile(ignore) if ignore else None
    found = []
    for path in sorted(set(here) | set(there)):
        if skip and skip.search(path):
            continue
        if path not in here or path not in there:
            found.append(f"{path} is only in the {'original' if path in here else 'restored one'}")
        elif _kind(here[path]) != _kind(there[path]):
            found.append(f"{path} is {_kind(there[path])} and should be {_kind(here[path])}")
        elif stat.S_ISREG(here[path].st_mode):
            blocks = differing_blocks(os.path.join(original, path), os.path.join(restored, path))
            if blocks:
                found.append(f"{path} differs in {len(blocks)} blocks of "
                             f"{-(-here[path].st_size // BLOCK)}: {blocks[:SHOWN]}")
    return found


def same_files(t, original, restored, ignore=None):
    """Every directory, link and file is in both, with the same mode and the same bytes."""
    t.true(any(path.startswith("base/") for path in entries(original)), "there are files to compare")
    _none(t, file_differences(original, restored, ignore), "file")
