/*
 * stream_server.c - questions to both connections of a streamed backup.
 */
#include "stream_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define QUERY_TIME INT64_C(60000000) /* us */

enum
{
    BLOCK_SIZE = 8192
};

static enum cpam_status
parse_u32(const char *text, uint32_t *out, struct cpam_err *err)
{
    uint64_t value;

    CPAM_TRY(text_parse_u64(text, UINT32_MAX, &value, err));
    *out = (uint32_t) value;
    return CPAM_OK;
}

static enum cpam_status
read_control(struct io *io, struct pgconn *conn, struct control *out, struct cpam_err *err)
{
    static const char sql[] =
        "SELECT s.system_identifier, s.pg_control_version, s.catalog_version_no, "
        "i.database_block_size, i.blocks_per_segment, i.wal_block_size, i.bytes_per_wal_segment, "
        "i.data_page_checksum_version FROM pg_control_system() s, pg_control_init() i";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;
    uint32_t *const numbers[] = {&out->version,
                                 &out->catalog_version,
                                 &out->block_size,
                                 &out->relation_segment_blocks,
                                 &out->wal_block_size,
                                 &out->segment_size,
                                 &out->data_checksum_version};

    CPAM_TRY(pgconn_row(conn, sql, NULL, 0, 8, deadline_after(io, QUERY_TIME), &row, err));
    CPAM_TRY(text_parse_u64(row->values[0], UINT64_MAX, &out->sysid, err));
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        CPAM_TRY(parse_u32(row->values[i + 1], numbers[i], err));
    if (out->block_size != BLOCK_SIZE || out->wal_block_size != BLOCK_SIZE)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the server's blocks have %" PRIu32 " bytes, and only %d are supported",
                         out->block_size, BLOCK_SIZE);
    return CPAM_OK;
}

enum cpam_status
stream_server_check(struct io *io, struct pgconn *conn, bool standby, struct server_facts *facts,
                    struct control *control, struct cpam_err *err)
{
    static const char sql[] = "SELECT pg_is_in_recovery(), current_setting('archive_mode')";
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;

    *facts = (struct server_facts){.standby = standby};
    *control = (struct control){0};
    CPAM_TRY(server_check_pooler(io, conn, err));
    CPAM_TRY(pgconn_row(conn, sql, NULL, 0, 2, deadline_after(io, QUERY_TIME), &row, err));
    CPAM_TRY(server_check_role(standby, row->values[0], err));
    if (!standby)
        CPAM_TRY(server_check_archiving(row->values[1], err));
    CPAM_TRY(read_control(io, conn, control, err));
    CPAM_TRY(server_read_settings(io, conn, facts, err));
    facts->sysid = control->sysid;
    control->major = facts->version_num / 10000;
    return CPAM_OK;
}

enum cpam_status
stream_server_in_place(struct io *io, struct pgconn *conn, const struct server_facts *facts,
                       bool *found, struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *row = NULL;

    *found = false;
    if (facts->version_num / 10000 != 15)
        return CPAM_OK;
    CPAM_TRY(pgconn_row(conn,
                        "SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', "
                        "'pg_global') AND pg_tablespace_location(oid) NOT LIKE '/%'",
                        NULL, 0, 1, deadline_after(io, QUERY_TIME), &row, err));
    *found = strcmp(row->values[0], "0") != 0;
    return CPAM_OK;
}

enum cpam_status
stream_server_row(struct io *io, struct pgconn *replication, const char *command, size_t columns,
                  struct pgrows **out, struct cpam_err *err)
{
    struct deadline deadline = deadline_after(io, QUERY_TIME);
    CPAM_AUTO(pgrows_free) struct pgrows *found = NULL;
    enum pgconn_answer kind;

    *out = NULL;
    CPAM_TRY(pgconn_send(replication, command, err));
    for (;;)
    {
        CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;

        CPAM_TRY(pgconn_next(replication, deadline, &kind, &rows, err));
        if (kind == PGCONN_DONE)
            break;
        if (kind == PGCONN_ROWS && found == NULL)
            found = CPAM_STEAL(rows);
    }
    if (found == NULL || found->rows != 1 || found->columns < columns)
        return cpam_fail(err, CPAM_INVALID, 0, "the server answered \"%s\" with something else",
                         command);
    *out = CPAM_STEAL(found);
    return CPAM_OK;
}

enum cpam_status
stream_server_same(struct io *io, struct pgconn *conn, struct pgconn *replication, uint64_t sysid,
                   struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *system = NULL;
    CPAM_AUTO(pgrows_free) struct pgrows *found = NULL;
    char pid[16];
    const char *parameters[] = {pid};
    uint64_t theirs = 0;

    CPAM_TRY(stream_server_row(io, replication, "IDENTIFY_SYSTEM", 3, &system, err));
    if (system->values[0] != NULL)
        CPAM_TRY(text_parse_u64(system->values[0], UINT64_MAX, &theirs, err));
    snprintf(pid, sizeof(pid), "%d", pgconn_backend_pid(replication));
    CPAM_TRY(pgconn_row(conn,
                        "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::int AND "
                        "coalesce(backend_type, 'walsender') = 'walsender'",
                        parameters, 1, 1, deadline_after(io, QUERY_TIME), &found, err));
    if (theirs == sysid && strcmp(found->values[0], "1") == 0)
        return CPAM_OK;
    cpam_fail(err, CPAM_FOREIGN, 0,
              "the replication connection leads to another server (system identifier %" PRIu64
              ", process %s) than the session (system identifier %" PRIu64 ")",
              theirs, pid, sysid);
    cpam_err_hint(err, "name one server, and no pooler, in postgresql.connection, or in "
                       "postgresql.standby_connection with base.from: standby");
    return CPAM_FOREIGN;
}
