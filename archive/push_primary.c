/*
 * push_primary.c - two questions to a primary, and one wish.
 */
#include "push_primary.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

#define ANSWER_TIME INT64_C(30000000) /* us */

enum cpam_status
primary_open(struct io *io, const char *connection, uint64_t sysid, struct pgconn **out,
             struct cpam_err *err)
{
    CPAM_AUTO(pgconn_free) struct pgconn *conn = NULL;
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
    struct deadline deadline = deadline_after(io, ANSWER_TIME);
    uint64_t theirs;

    *out = NULL;
    CPAM_TRY(pgconn_open(io, connection, "cpam-base-push", deadline, &conn, err));
    CPAM_TRY(pgconn_row(conn,
                        "SELECT pg_is_in_recovery(), (SELECT system_identifier FROM "
                        "pg_control_system())",
                        NULL, 0, 2, deadline, &row, err));
    if (strcmp(row->values[0], "f") != 0)
        return cpam_fail(err, CPAM_REFUSED, 0,
                         "the server at postgresql.connection is a standby too");
    CPAM_TRY(text_parse_u64(row->values[1], UINT64_MAX, &theirs, err));
    if (theirs != sysid)
        return cpam_fail(err, CPAM_FOREIGN, 0,
                         "the server at postgresql.connection has system identifier %" PRIu64
                         ", and the standby %" PRIu64,
                         theirs, sysid);
    *out = CPAM_STEAL(conn);
    return CPAM_OK;
}

enum cpam_status
primary_close_segment(struct io *io, struct pgconn *conn, const struct push_wal *wal,
                      struct cpam_err *err)
{
    struct deadline deadline = deadline_after(io, ANSWER_TIME);
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
    CPAM_AUTO(pgrows_free) struct pgrows *switched = NULL;
    struct segment first, last, now;
    char name[SEGMENT_NAME_MAX];
    struct lsn insert;

    push_wal_range(wal, &first, &last);
    CPAM_TRY(pgconn_row(conn, "SELECT pg_current_wal_insert_lsn()::text", NULL, 0, 1, deadline,
                        &row, err));
    CPAM_TRY(lsn_parse(row->values[0], &insert, err));
    now = segment_of(wal->timeline, insert, wal->segment_size);
    if (now.number > last.number)
        return CPAM_OK;
    CPAM_TRY(
        pgconn_row(conn, "SELECT pg_switch_wal()::text", NULL, 0, 1, deadline, &switched, err));
    segment_format(last, wal->segment_size, name);
    cpam_log(LOG_INFO, "the primary was asked to close segment \"%s\"", name);
    return CPAM_OK;
}
