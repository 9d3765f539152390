/*
 * pgconn_libpq_copy.c - replication commands, and the COPYs they answer with.
 */
#include "pgconn/pgconn_libpq.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <libpq-fe.h>

static const char lost[] = "the connection to the database server is lost";

enum cpam_status
libpq_send(struct pgconn *conn, const char *command, struct cpam_err *err)
{
    struct pgconn_libpq *self = (struct pgconn_libpq *) conn;

    snprintf(self->command, sizeof(self->command), "%.60s", command);
    return PQsendQuery(self->pg, command) == 1 ? CPAM_OK : libpq_lost(self, lost, err);
}

enum cpam_status
libpq_next(struct pgconn *conn, struct deadline deadline, enum pgconn_answer *kind,
           struct pgrows **rows, struct cpam_err *err)
{
    struct pgconn_libpq *self = (struct pgconn_libpq *) conn;
    enum cpam_status status = CPAM_OK;
    PGresult *result;

    CPAM_TRY(libpq_next_result(self, deadline, &result, err));
    *kind = PGCONN_DONE;
    if (result == NULL)
        return CPAM_OK;
    switch (PQresultStatus(result))
    {
    case PGRES_COPY_OUT: *kind = PGCONN_COPY; break;
    case PGRES_COMMAND_OK: *kind = PGCONN_COMMAND; break;
    case PGRES_TUPLES_OK:
        *kind = PGCONN_ROWS;
        status = libpq_take_result(result, self->command, rows, err);
        break;
    default:
        status = PQstatus(self->pg) == CONNECTION_BAD
                     ? libpq_lost(self, lost, err)
                     : libpq_take_result(result, self->command, rows, err);
    }
    PQclear(result);
    return status;
}

enum cpam_status
libpq_copy_read(struct pgconn *conn, struct deadline deadline, const uint8_t **data, size_t *size,
                struct cpam_err *err)
{
    struct pgconn_libpq *self = (struct pgconn_libpq *) conn;
    int got;

    PQfreemem(self->message);
    self->message = NULL;
    for (;;)
    {
        got = PQgetCopyData(self->pg, &self->message, 1);
        if (got != 0)
            break;
        CPAM_TRY(libpq_wait(self, POLLIN, deadline, err));
        if (PQconsumeInput(self->pg) == 0)
            return libpq_lost(self, lost, err);
    }
    if (got < -1)
        return libpq_lost(self, lost, err);
    if (got > 0)
    {
        *data = (const uint8_t *) self->message;
        *size = (size_t) got;
    }
    return CPAM_OK; /* -1: over, and what the server thinks of it comes with the next result */
}

bool
libpq_is_local(struct pgconn *conn)
{
    const struct pgconn_libpq *self = (const struct pgconn_libpq *) conn;
    const char *host = PQhost(self->pg), *address = PQhostaddr(self->pg);

    if (host == NULL || host[0] == '\0' || host[0] == '/' || host[0] == '@')
        return true;
    return address != NULL && (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0);
}
