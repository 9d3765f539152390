/*
 * page_report.c - asks the server how far WAL goes and what the damaged files are called.
 */
#include "page_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

enum
{
    TOLD_MAX = 100,     /* pages that get a line of the log each */
    DATABASES_MAX = 16, /* that are asked for names */
    CONNINFO_MAX = 8192
};

#define ANSWER_TIME INT64_C(30000000) /* us */

/* Sessions that were opened to ask for names. */
struct names
{
    const struct page_report *report;
    struct
    {
        char oid[16];
        struct pgconn *conn; /* NULL: it can't be asked */
    } databases[DATABASES_MAX];
    size_t count;
};

static void
names_clear_scoped_(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        pgconn_free(names->databases[i].conn);
}

/* Tablespace, database ("0": shared) and relfilenode out of the path of a relation's file. */
struct place
{
    char tablespace[16], database[16], node[16];
};

static bool
digits_until(const char *text, const char *ends, char out[16])
{
    size_t size = strspn(text, "0123456789");

    if (size == 0 || size > 10 || (text[size] != '\0' && strchr(ends, text[size]) == NULL))
        return false;
    memcpy(out, text, size);
    out[size] = '\0';
    return true;
}

static bool
place_of(const char *path, struct place *out)
{
    const char *file = strrchr(path, '/') + 1;
    const char *above = file - 1;

    if (!digits_until(file, "_.", out->node))
        return false;
    snprintf(out->tablespace, sizeof(out->tablespace), "0");
    if (strncmp(path, "global/", 7) == 0)
    {
        snprintf(out->tablespace, sizeof(out->tablespace), "1664"); /* pg_global */
        snprintf(out->database, sizeof(out->database), "0");
        return true;
    }
    while (above > path && above[-1] != '/')
        above--;
    if (!digits_until(above, "/", out->database))
        return false;
    return strncmp(path, "pg_tblspc/", 10) != 0 || digits_until(path + 10, "/", out->tablespace);
}

/* A session in another database of this server; NULL when there is none. */
static struct pgconn *
connect_to(const struct page_report *report, const char *oid)
{
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf conninfo = {0};
    const char *parameters[] = {oid};
    struct pgconn *conn = NULL;
    struct cpam_err ignored;

    if (strstr(report->conninfo, "://") != NULL)
        return NULL;
    /* quoted as libpq wants a value: in single quotes, those and backslashes behind a backslash */
    if (pgconn_row(report->conn,
                   "SELECT regexp_replace(datname, '([''\\\\])', '\\\\\\1', 'g') FROM pg_database "
                   "WHERE oid = $1::oid AND datallowconn",
                   parameters, 1, 1, deadline_after(report->io, ANSWER_TIME), &row,
                   &ignored) != CPAM_OK ||
        cpam_buf_printf(&conninfo, CONNINFO_MAX, &ignored, "%s dbname='%s'", report->conninfo,
                        row->values[0]) != CPAM_OK ||
        cpam_buf_text(&conninfo) == NULL ||
        pgconn_open(report->io, cpam_buf_text(&conninfo), "cpam-base-push",
                    deadline_after(report->io, ANSWER_TIME), &conn, &ignored) != CPAM_OK)
        return NULL;
    return conn;
}

static struct pgconn *
session_for(struct names *names, const char *oid)
{
    const struct page_report *report = names->report;
    CPAM_AUTO(pgrows_free) struct pgrows *own = NULL;
    struct cpam_err ignored;

    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->databases[i].oid, oid) == 0)
            return names->databases[i].conn;
    if (pgconn_row(report->conn,
                   "SELECT oid::text FROM pg_database WHERE datname = current_database()", NULL, 0,
                   1, deadline_after(report->io, ANSWER_TIME), &own, &ignored) != CPAM_OK)
        return NULL;
    if (strcmp(oid, "0") == 0 || strcmp(own->values[0], oid) == 0)
        return report->conn;
    if (names->count == DATABASES_MAX)
        return NULL;
    snprintf(names->databases[names->count].oid, sizeof(names->databases[0].oid), "%s", oid);
    return names->databases[names->count++].conn = connect_to(report, oid);
}

/* "relation public.accounts of database app", or "" when nobody can tell. */
static void
name_of(struct names *names, const char *path, char *out, size_t cap)
{
    static const char sql[] =
        "SELECT format('relation %s of database %I', "
        "pg_filenode_relation($1::oid, $2::oid)::regclass, current_database()) "
        "WHERE pg_filenode_relation($1::oid, $2::oid) IS NOT NULL";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
    struct cpam_err ignored;
    struct place place;

    out[0] = '\0';
    if (!place_of(path, &place))
        return;
    struct pgconn *conn = session_for(names, place.database);
    const char *parameters[] = {place.tablespace, place.node};

    if (conn != NULL &&
        pgconn_row(conn, sql, parameters, 2, 1, deadline_after(names->report->io, ANSWER_TIME),
                   &row, &ignored) == CPAM_OK)
        snprintf(out, cap, " (%s)", row->values[0]);
}

static void
note_in(struct backup_summary *summary, const struct page_damage *damage)
{
    size_t size = strlen(summary->damaged_first);
    char one[256];
    int length = snprintf(one, sizeof(one), "%s%s block %" PRIu32, size > 0 ? ", " : "",
                          damage->path, damage->block);

    if (length > 0 && (size_t) length < sizeof(one) &&
        size + (size_t) length < sizeof(summary->damaged_first))
        memcpy(summary->damaged_first + size, one, (size_t) length + 1);
}

/* One page out of a file of the server's data directory (a page_again_fn). */
static enum cpam_status
read_again(void *arg, const char *path, uint64_t offset, uint8_t page[PAGE_SIZE], bool *gone,
           struct cpam_err *err)
{
    static const char sql[] =
        "SELECT encode(pg_read_binary_file($1, $2::bigint, $3::bigint, true), 'hex')";
    const struct page_report *report = arg;
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
    char at[32], size[32];
    const char *parameters[] = {path, at, size};

    snprintf(at, sizeof(at), "%" PRIu64, offset);
    snprintf(size, sizeof(size), "%d", PAGE_SIZE);
    CPAM_TRY(pgconn_query(report->conn, sql, parameters, 3, deadline_after(report->io, ANSWER_TIME),
                          &row, err));
    const char *text = row->rows == 1 && row->columns == 1 ? row->values[0] : NULL;

    *gone = text == NULL || strlen(text) < (size_t) 2 * PAGE_SIZE;
    return *gone ? CPAM_OK : text_unhex(text, page, PAGE_SIZE, false, err);
}

static void
look_again(const struct page_report *report, struct page_findings *findings, uint64_t *damaged)
{
    struct page_report asked = *report;
    struct cpam_err err;

    if (page_findings_look_again(findings, read_again, &asked, damaged, &err) != CPAM_OK)
        cpam_log(LOG_INFO,
                 "bad pages of a stream can't be looked at again (%s): some may have been seen "
                 "while they were written; a user with pg_read_server_files is told",
                 err.text);
}

enum cpam_status
page_report(const struct page_report *report, struct page_findings *findings,
            struct backup_summary *summary, struct cpam_err *err)
{
    __attribute__((cleanup(names_clear_scoped_))) struct names names = {.report = report};
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
    struct lsn end;

    if (page_findings_count(findings) == 0)
        return CPAM_OK;
    CPAM_TRY(pgconn_row(report->conn,
                        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "
                        "ELSE pg_current_wal_insert_lsn() END::text",
                        NULL, 0, 1, deadline_after(report->io, ANSWER_TIME), &row, err));
    CPAM_TRY(lsn_parse(row->values[0], &end, err));
    page_findings_conclude(findings, end, &summary->damaged_pages);
    if (report->streamed)
        look_again(report, findings, &summary->damaged_pages);
    for (size_t i = 0; i < page_findings_count(findings); i++)
    {
        const struct page_damage *damage = page_findings_at(findings, i);
        char name[256], lsn[LSN_TEXT_MAX];

        if (!damage->free_space_map)
            note_in(summary, damage);
        if (i >= TOLD_MAX)
            continue;
        name_of(&names, damage->path, name, sizeof(name));
        lsn_format(damage->lsn, lsn);
        cpam_log(LOG_WARNING,
                 damage->free_space_map
                     ? "\"%s\"%s: the checksum of block %" PRIu32
                       " (LSN %s) does not fit; it is a free space map, which heals itself"
                     : "\"%s\"%s: the checksum of block %" PRIu32
                       " (LSN %s) does not fit: the page is damaged on disk, and so it is in the "
                       "backup",
                 damage->path, name, damage->block, lsn);
    }
    if (summary->damaged_pages == 0 || !report->fail)
        return CPAM_OK;
    cpam_fail(err, CPAM_CORRUPT, 0, "%" PRIu64 " %s of the database %s damaged on disk: %s",
              summary->damaged_pages, summary->damaged_pages == 1 ? "page" : "pages",
              summary->damaged_pages == 1 ? "is" : "are", summary->damaged_first);
    cpam_err_hint(err,
                  "base.checksums is \"fail\", so there is no backup; earlier backups may hold "
                  "these pages whole.  With \"warn\" they are backed up as they are");
    return CPAM_CORRUPT;
}
