/*
 * backup_source.c - which kind it is to be, and what both have in common.
 */
#include "backup_source.h"

#include <string.h>

#include "base/log.h"
#include "cli/control_file.h"

#define CONNECT_TIME INT64_C(30000000) /* us */

/* Does a server run in postgresql.data? */
static bool
runs_here(const struct backup_source_spec *spec)
{
    struct postmaster_pid *found = malloc(sizeof(*found));
    struct cpam_err ignored;
    bool running = false;

    if (found != NULL && postmaster_find(spec->io, spec->settings->postgresql.data, &running, found,
                                         &ignored) != CPAM_OK)
        running = false;
    free(found);
    return running;
}

enum cpam_status
backup_source_new(const struct backup_source_spec *spec, struct backup_source **out,
                  struct cpam_err *err)
{
    const char *wanted = spec->settings->base.source;
    bool stream =
        strcmp(wanted, "stream") == 0 || (strcmp(wanted, "auto") == 0 && !runs_here(spec));
    struct backup_source *source;

    *out = NULL;
    if (stream && strcmp(wanted, "auto") == 0)
        cpam_log(LOG_INFO,
                 "no server runs in \"%s\" on this host: the backup comes over a replication "
                 "connection (base.source: auto)",
                 spec->settings->postgresql.data);
    CPAM_TRY(stream ? source_stream_new(&source, err) : source_directory_new(&source, err));
    source->spec = *spec;
    source->data = stream ? NULL : spec->settings->postgresql.data;
    *out = source;
    return CPAM_OK;
}

void
backup_source_free(struct backup_source *source)
{
    if (source == NULL)
        return;
    pgconn_free(source->conn); /* a server still in backup mode ends it now */
    cpam_buf_clear(&source->conninfo);
    server_facts_clear(&source->facts);
    free(source->pg_wal);
    source->ops->free(source);
}

bool
backup_source_standby(const struct backup_source *source)
{
    return strcmp(source->spec.settings->base.from, "standby") == 0;
}

enum cpam_status
backup_source_connect(struct backup_source *source, struct cpam_err *err)
{
    const struct settings *settings = source->spec.settings;
    const char *connection = backup_source_standby(source) ? settings->postgresql.standby_connection
                                                           : settings->postgresql.connection;

    if (connection[0] == '\0')
        connection = "dbname=postgres";
    CPAM_TRY(postmaster_conninfo(source->spec.io, settings->postgresql.data, connection,
                                 &source->conninfo, err));
    if (cpam_buf_text(&source->conninfo) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a database connection");
    return pgconn_open(source->spec.io, cpam_buf_text(&source->conninfo), "cpam-base-push",
                       deadline_after(source->spec.io, CONNECT_TIME), &source->conn, err);
}
