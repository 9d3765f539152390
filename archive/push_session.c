/*
 * push_session.c - asking the server, and believing it only as far as the directory agrees.
 */
#include "push_session.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "io/control_load.h"
#include "io/file.h"
#include "pg/postmaster_pid.h"

#define QUERY_TIME  INT64_C(60000000)    /* us for a query that only looks */
#define START_TIME  INT64_C(14400000000) /* a spread checkpoint may take its time: 4 h */
#define START_SLACK INT64_C(120)         /* s between the two start times a server notes */

void
server_facts_clear(struct server_facts *facts)
{
    pgrows_free(facts->settings);
    pgrows_free(facts->databases);
    facts->settings = facts->databases = NULL;
}

static struct deadline
soon(struct io *io)
{
    return deadline_after(io, QUERY_TIME);
}

/* A pooler hands out server sessions as it likes: a backup would begin in one and end in another. */
enum cpam_status
server_check_pooler(struct io *io, struct pgconn *conn, struct cpam_err *err)
{
    for (int i = 0; i < 3; i++)
    {
        CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
        uint64_t pid;

        CPAM_TRY(pgconn_row(conn, "SELECT pg_backend_pid()", NULL, 0, 1, soon(io), &row, err));
        CPAM_TRY(text_parse_u64(row->values[0], UINT32_MAX, &pid, err));
        if (pid == (uint64_t) pgconn_backend_pid(conn))
            continue;
        cpam_fail(err, CPAM_USAGE, 0,
                  "postgresql.connection leads to a connection pooler (it named process %d, the "
                  "server answers as %" PRIu64 "): a backup needs one session from start to end",
                  pgconn_backend_pid(conn), pid);
        cpam_err_hint(err, "connect to the server itself, best through its Unix socket");
        return CPAM_USAGE;
    }
    return CPAM_OK;
}

static enum cpam_status
wrong_server(struct cpam_err *err, const char *data, const char *fmt, const char *theirs,
             const char *ours)
{
    char what[600];

    snprintf(what, sizeof(what), "%.100s: %.200s there, %.200s here", fmt, theirs, ours);
    cpam_fail(err, CPAM_FOREIGN, 0,
              "the server at postgresql.connection is not the one that runs in \"%s\" (%s)", data,
              what);
    cpam_err_hint(err, "a backup must be taken from the server whose files are copied: correct "
                       "postgresql.connection or postgresql.data");
    return CPAM_FOREIGN;
}

static enum cpam_status
same_directory(struct io *io, const char *theirs, const char *ours, bool *same,
               struct cpam_err *err)
{
    struct stat left, right;

    *same = false;
    CPAM_TRY(file_stat(io, ours, &right, err));
    if (io->ops->stat(io, AT_FDCWD, theirs, 0, &left) == 0)
        *same = left.st_dev == right.st_dev && left.st_ino == right.st_ino;
    return CPAM_OK;
}

static enum cpam_status
check_postmaster(struct io *io, const char *data, const char *const *values, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(free) struct postmaster_pid *here = malloc(sizeof(*here));
    char ours[32];
    uint64_t port, start;
    enum cpam_status status;

    if (here == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for postmaster.pid");
    CPAM_TRY(cpam_buf_printf(&path, 1 << 16, err, "%s/postmaster.pid", data));
    status = file_read_all(io, cpam_buf_text(&path), POSTMASTER_PID_MAX, &text, err);
    if (status == CPAM_NOT_FOUND)
        return wrong_server(err, data, "postmaster.pid", "a running server", "none");
    if (status != CPAM_OK)
        return status;
    CPAM_TRY(postmaster_pid_parse((const char *) text.data, text.size, here, err));
    CPAM_TRY(text_parse_u64(values[1], 65535, &port, err));
    CPAM_TRY(text_parse_u64(values[3], INT64_MAX, &start, err));
    snprintf(ours, sizeof(ours), "%u", here->port);
    if (here->port != 0 && here->port != port)
        return wrong_server(err, data, "port", values[1], ours);
    snprintf(ours, sizeof(ours), "%" PRId64, here->start_time);
    /* the file's moment is a little earlier: the server noted it before it cleaned up */
    if ((int64_t) start < here->start_time - 2 || (int64_t) start > here->start_time + START_SLACK)
        return wrong_server(err, data, "start time (seconds since 1970)", values[3], ours);
    return CPAM_OK;
}

static enum cpam_status
check_control(struct io *io, const char *data, const char *theirs, struct server_facts *out,
              struct cpam_err *err)
{
    enum control_state wanted = out->standby ? CONTROL_IN_ARCHIVE_RECOVERY : CONTROL_IN_PRODUCTION;
    uint8_t bytes[CONTROL_FILE_SIZE];
    struct control control;
    char ours[32];

    CPAM_TRY(control_load(io, data, bytes, &control, err));
    CPAM_TRY(text_parse_u64(theirs, UINT64_MAX, &out->sysid, err));
    snprintf(ours, sizeof(ours), "%" PRIu64, control.sysid);
    if (out->sysid != control.sysid)
        return wrong_server(err, data, "system identifier", theirs, ours);
    if (control.state != wanted)
        return wrong_server(err, data, "state", control_state_name(wanted),
                            control_state_name(control.state));
    return CPAM_OK;
}

enum cpam_status
server_check_role(bool standby, const char *recovery, struct cpam_err *err)
{
    if (standby == (strcmp(recovery, "t") == 0))
        return CPAM_OK;
    if (standby)
    {
        cpam_fail(err, CPAM_REFUSED, 0,
                  "the server is no standby, and base.from is \"standby\": was it promoted?");
        cpam_err_hint(err, "base.from: primary takes the backup from it");
        return CPAM_REFUSED;
    }
    cpam_fail(err, CPAM_REFUSED, 0, "the server is a standby, and base.from is \"primary\"");
    cpam_err_hint(err, "run cpam-base-push on the primary's host, or set base.from: standby");
    return CPAM_REFUSED;
}

enum cpam_status
server_check_archiving(const char *archive_mode, struct cpam_err *err)
{
    if (strcmp(archive_mode, "off") != 0)
        return CPAM_OK;
    cpam_fail(err, CPAM_REFUSED, 0,
              "archive_mode is off: the WAL that makes a backup consistent would never come");
    cpam_err_hint(err, "set archive_mode = on and archive_command = 'cpam-wal-push %%p', and "
                       "restart the server");
    return CPAM_REFUSED;
}

static enum cpam_status
check_identity(struct io *io, struct pgconn *conn, const char *data, struct server_facts *out,
               struct cpam_err *err)
{
    static const char sql[] =
        "SELECT current_setting('data_directory'), current_setting('port'), pg_is_in_recovery(), "
        "floor(extract(epoch FROM pg_postmaster_start_time()))::bigint, "
        "(SELECT system_identifier FROM pg_control_system()), current_setting('archive_mode')";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
    bool same;

    CPAM_TRY(pgconn_row_bytes(conn, sql, 6, soon(io), &row, err));
    CPAM_TRY(same_directory(io, row->values[0], data, &same, err));
    if (!same)
        return wrong_server(err, data, "data directory", row->values[0], data);
    CPAM_TRY(check_postmaster(io, data, row->values, err));
    CPAM_TRY(server_check_role(out->standby, row->values[2], err));
    CPAM_TRY(check_control(io, data, row->values[4], out, err));
    /* the WAL of a standby is archived by its primary */
    return out->standby ? CPAM_OK : server_check_archiving(row->values[5], err);
}

/*
 * So that one database can be restored by its name (cpam-base-fetch --database).  A name that the
 * database we are in can't turn into UTF-8 is no reason to have no backup.
 */
static enum cpam_status
read_databases(struct io *io, struct pgconn *conn, struct server_facts *out, struct cpam_err *err)
{
    static const char sql[] =
        "SELECT 'databases', names FROM (SELECT string_agg(oid::text || ' ' || datname, E'\\n' "
        "ORDER BY oid) AS names FROM pg_database WHERE strpos(datname, E'\\n') = 0) AS d "
        "WHERE octet_length(names) < 131072";
    enum cpam_status status = pgconn_query(conn, sql, NULL, 0, soon(io), &out->databases, err);

    if (status != CPAM_REFUSED)
        return status;
    cpam_log(LOG_WARNING, "the databases' names are not in the backup: %s", err->text);
    return CPAM_OK;
}

/* Trap 18: what a restore needs to know of a server whose configuration lies elsewhere. */
enum cpam_status
server_read_settings(struct io *io, struct pgconn *conn, struct server_facts *out,
                     struct cpam_err *err)
{
    static const char sql[] =
        "SELECT name, coalesce(setting, '') FROM pg_settings WHERE name IN ('server_version', "
        "'server_version_num', 'data_directory', 'config_file', 'hba_file', 'ident_file', "
        "'external_pid_file', 'shared_preload_libraries', 'max_connections', "
        "'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', "
        "'max_locks_per_transaction', 'wal_level', 'hot_standby', 'archive_mode', "
        "'archive_timeout', 'full_page_writes', 'wal_log_hints', 'data_checksums', "
        "'wal_segment_size', 'block_size', 'unix_socket_directories', 'port', 'ssl', 'TimeZone', "
        "'lc_messages', 'log_timezone', 'log_directory', 'default_tablespace') ORDER BY 1";
    uint64_t number = 0;

    CPAM_TRY(pgconn_query_bytes(conn, sql, soon(io), &out->settings, err));
    for (size_t i = 0; i < out->settings->rows; i++)
    {
        const char *name = out->settings->values[2 * i], *value = out->settings->values[2 * i + 1];

        if (strcmp(name, "server_version") == 0)
            out->version = value;
        if (strcmp(name, "server_version_num") == 0)
            CPAM_TRY(text_parse_u64(value, 999999, &number, err));
    }
    out->version_num = (unsigned) number;
    if (out->version == NULL || out->version_num < 140000 || out->settings->columns != 2)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the server's version is %u, and 14 is the first one "
                         "that is supported",
                         out->version_num / 10000);
    return read_databases(io, conn, out, err);
}

enum cpam_status
server_check(struct io *io, struct pgconn *conn, const char *data, bool standby,
             struct server_facts *out, struct cpam_err *err)
{
    *out = (struct server_facts){.standby = standby};
    CPAM_TRY(server_check_pooler(io, conn, err));
    CPAM_TRY(check_identity(io, conn, data, out, err));
    enum cpam_status status = server_read_settings(io, conn, out, err);
    if (status != CPAM_OK)
        server_facts_clear(out);
    return status;
}

static enum cpam_status
parse_moment(const char *text, int64_t *out, struct cpam_err *err)
{
    uint64_t us;

    CPAM_TRY(text_parse_u64(text, INT64_MAX, &us, err));
    *out = (int64_t) us;
    return CPAM_OK;
}

enum cpam_status
server_time(struct io *io, struct pgconn *conn, int64_t *out, struct cpam_err *err)
{
    static const char now[] = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)"
                              "::bigint";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;

    CPAM_TRY(pgconn_row(conn, now, NULL, 0, 1, soon(io), &row, err));
    return parse_moment(row->values[0], out, err);
}

enum cpam_status
backup_start(struct io *io, struct pgconn *conn, const struct server_facts *facts,
             const char *label, bool fast, struct backup_start *out, struct cpam_err *err)
{
    const char *parameters[] = {label, fast ? "true" : "false"};
    const char *sql = facts->version_num >= 150000 ? "SELECT pg_backup_start($1, $2::boolean)"
                                                   : "SELECT pg_start_backup($1, $2::boolean, "
                                                     "false)";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;

    CPAM_TRY(server_time(io, conn, &out->time, err));
    CPAM_TRY(pgconn_row(conn, sql, parameters, 2, 1, deadline_after(io, START_TIME), &row, err));
    return lsn_parse(row->values[0], &out->lsn, err);
}

enum cpam_status
backup_start_check(struct io *io, const char *data, const struct backup_start *start,
                   struct cpam_err *err)
{
    uint8_t bytes[CONTROL_FILE_SIZE];
    struct control control;
    char theirs[LSN_TEXT_MAX], ours[LSN_TEXT_MAX];

    CPAM_TRY(control_load(io, data, bytes, &control, err));
    if (control.redo.at >= start->lsn.at)
        return CPAM_OK;
    lsn_format(start->lsn, theirs);
    lsn_format(control.redo, ours);
    return wrong_server(err, data, "last checkpoint begins at", theirs, ours);
}

static enum cpam_status
read_snapshot(struct io *io, struct pgconn *conn, struct backup_stop *out, struct cpam_err *err)
{
    static const char sql[] = "SELECT CASE WHEN pg_is_in_recovery() THEN '' "
                              "ELSE pg_current_snapshot()::text END, "
                              "floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;

    CPAM_TRY(pgconn_row(conn, sql, NULL, 0, 2, soon(io), &row, err));
    /* with very many open transactions it does not fit; then xids are not checked early */
    if (strlen(row->values[0]) < sizeof(out->snapshot))
        memcpy(out->snapshot, row->values[0], strlen(row->values[0]) + 1);
    return parse_moment(row->values[1], &out->time, err);
}

enum cpam_status
backup_stop_moment(struct io *io, struct pgconn *conn, struct backup_stop *out,
                   struct cpam_err *err)
{
    CPAM_TRY(read_snapshot(io, conn, out, err));
    return backup_label_parse((const char *) out->label_text.data, out->label_text.size,
                              &out->label, err);
}

enum cpam_status
backup_stop(struct io *io, struct pgconn *conn, const struct server_facts *facts,
            struct backup_stop *out, struct cpam_err *err)
{
    const char *sql = facts->version_num >= 150000
                          ? "SELECT lsn, labelfile, coalesce(spcmapfile, '') "
                            "FROM pg_backup_stop(false)"
                          : "SELECT lsn, labelfile, coalesce(spcmapfile, '') "
                            "FROM pg_stop_backup(false, false)";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;

    CPAM_TRY(pgconn_row_bytes(conn, sql, 3, soon(io), &row, err));
    CPAM_TRY(lsn_parse(row->values[0], &out->lsn, err));
    CPAM_TRY(cpam_buf_append(&out->label_text, row->values[1], strlen(row->values[1]),
                             BACKUP_TEXT_MAX, err));
    CPAM_TRY(cpam_buf_append(&out->map_text, row->values[2], strlen(row->values[2]),
                             BACKUP_TEXT_MAX, err));
    return backup_stop_moment(io, conn, out, err);
}

enum cpam_status
standby_check(struct io *io, struct pgconn *conn, struct timeline timeline, struct cpam_err *err)
{
    /* no page is written before pg_control says how far replay has to go for it, and on which timeline */
    static const char sql[] = "SELECT pg_is_in_recovery(), (pg_control_checkpoint()).timeline_id, "
                              "min_recovery_end_timeline FROM pg_control_recovery()";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;

    CPAM_TRY(pgconn_row(conn, sql, NULL, 0, 3, soon(io), &row, err));
    if (strcmp(row->values[0], "t") != 0)
    {
        cpam_fail(err, CPAM_REFUSED, 0, "the standby was promoted during the backup");
        cpam_err_hint(err, "there is no backup; begin another one, with base.from: primary if this "
                           "server is to stay the primary");
        return CPAM_REFUSED;
    }
    for (size_t i = 1; i <= 2; i++)
    {
        uint64_t now;

        CPAM_TRY(text_parse_u64(row->values[i], UINT32_MAX, &now, err));
        if (now == timeline.id || (i == 2 && now == 0))
            continue;
        cpam_fail(err, CPAM_REFUSED, 0,
                  "the standby went over from timeline %" PRIu32 " to %" PRIu64
                  " during the backup",
                  timeline.id, now);
        cpam_err_hint(err, "there is no backup; begin another one");
        return CPAM_REFUSED;
    }
    return CPAM_OK;
}

void
archiver_state(struct io *io, struct pgconn *conn, char *out, size_t cap)
{
    static const char sql[] =
        "SELECT archived_count, coalesce(last_archived_wal, 'none'), failed_count, "
        "coalesce(last_failed_wal, 'none') FROM pg_stat_archiver";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
    struct cpam_err ignored;

    out[0] = '\0';
    if (pgconn_row(conn, sql, NULL, 0, 4, soon(io), &row, &ignored) != CPAM_OK)
        return;
    snprintf(out, cap, "the server archived %s files (last: %s) and failed %s times (last: %s)",
             row->values[0], row->values[1], row->values[2], row->values[3]);
}
