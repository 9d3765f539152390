/*
 * pgconn_libpq.c - a session through libpq, waited for with poll(2) so that a deadline holds.
 */
#include "pgconn/pgconn_libpq.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/log.h"
#include "base/text.h"

enum
{
    CANCEL_TIME = 5 * 1000000 /* us for the server to confirm that a statement is cancelled */
};

enum
{
    OPTIONS_MAX = 16 << 10
};

/*
 * libpq's messages have several lines; a sentence of ours has one.  What the server says while texts are
 * not converted, or before it knows that we speak UTF-8, is in an encoding of its own choice: of that the
 * ASCII is kept.
 */
static void
one_line(const char *message, char *out, size_t cap)
{
    bool is_ours = text_is_utf8(message, strlen(message));
    size_t at = 0;

    for (; *message != '\0' && at + 2 < cap; message++)
    {
        bool is_break = *message == '\n' || *message == '\r' || *message == '\t';

        if (is_break && (at == 0 || out[at - 1] == ' '))
            continue;
        out[at++] = is_break ? ' ' : !is_ours && (*message & 0x80) != 0 ? '?' : *message;
    }
    while (at > 0 && out[at - 1] == ' ')
        at--;
    out[at] = '\0';
}

enum cpam_status
libpq_wait(struct pgconn_libpq *self, short events, struct deadline deadline, struct cpam_err *err)
{
    struct pollfd wait = {.fd = PQsocket(self->pg), .events = events};
    int64_t left = deadline_left(self->io, deadline);
    int64_t ms = left == INT64_MAX || left / 1000 > 3600000 ? 3600000 : left / 1000 + 1;
    int ready;

    if (left == 0)
        return cpam_fail(err, CPAM_DEADLINE, 0, "the database server did not answer in time");
    ready = poll(&wait, 1, (int) ms);
    if (ready < 0 && errno != EINTR)
        return cpam_fail(err, CPAM_IO, errno, "could not wait for the database server");
    return CPAM_OK;
}

static void
notice(void *arg, const char *message)
{
    char text[512];

    (void) arg;
    one_line(message, text, sizeof(text));
    cpam_log(LOG_DEBUG, "database server: %s", text);
}

enum cpam_status
libpq_lost(const struct pgconn_libpq *self, const char *what, struct cpam_err *err)
{
    char text[1024];

    one_line(PQerrorMessage(self->pg), text, sizeof(text));
    return cpam_fail(err, CPAM_TRANSIENT, 0, "%s: %s", what, text);
}

static enum cpam_status
not_reached(const struct pgconn_libpq *self, struct cpam_err *err)
{
    enum cpam_status status = libpq_lost(self, "could not connect to the database server", err);

    cpam_err_hint(err, "is it started, and does postgresql.connection lead to it? (Debian: "
                       "pg_lsclusters shows servers and ports)");
    return status;
}

static void
cancel(struct pgconn_libpq *self)
{
    PGcancel *handle = PQgetCancel(self->pg);
    char ignored[256];

    if (handle != NULL)
        PQcancel(handle, ignored, sizeof(ignored));
    PQfreeCancel(handle);
}

static enum cpam_status
copy_rows(const PGresult *result, struct pgrows **out, struct cpam_err *err)
{
    size_t rows = (size_t) PQntuples(result), columns = (size_t) PQnfields(result);

    if (rows > PGCONN_ROWS_MAX || columns > PGCONN_COLUMNS_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "the server answered with %zu rows of %zu columns",
                         rows, columns);
    CPAM_AUTO(free) const char **values = calloc(rows * columns + 1, sizeof(*values));
    if (values == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a query's result");
    for (size_t i = 0; i < rows * columns; i++)
    {
        int row = (int) (i / columns), column = (int) (i % columns);

        values[i] = PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
    }
    return pgrows_new(rows, columns, values, out, err);
}

/* The server's last word before it hangs up: it ends all sessions, or this one. */
static bool
is_farewell(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

    return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

enum cpam_status
libpq_take_result(const PGresult *result, const char *sql, struct pgrows **out,
                  struct cpam_err *err)
{
    ExecStatusType status = PQresultStatus(result);
    char text[1024];

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return copy_rows(result, out, err);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

    one_line(primary == NULL ? PQresultErrorMessage(result) : primary, text, sizeof(text));
    if (is_farewell(result))
        return cpam_fail(err, CPAM_TRANSIENT, 0,
                         "the connection to the database server is lost: %s", text);
    cpam_fail(err, CPAM_REFUSED, 0, "the database server refused \"%.60s\": %s", sql, text);
    if (hint != NULL)
        cpam_err_hint(err, "%s", hint);
    return CPAM_REFUSED;
}

enum cpam_status
libpq_next_result(struct pgconn_libpq *self, struct deadline deadline, PGresult **out,
                  struct cpam_err *err)
{
    *out = NULL;
    while (PQisBusy(self->pg))
    {
        CPAM_TRY(libpq_wait(self, POLLIN, deadline, err));
        if (PQconsumeInput(self->pg) == 0)
            return libpq_lost(self, "the connection to the database server is lost", err);
    }
    *out = PQgetResult(self->pg);
    return CPAM_OK;
}

/* Everything that is still to come, so that the next query starts clean. */
static enum cpam_status
drain(struct pgconn_libpq *self, struct deadline deadline, struct cpam_err *err)
{
    PGresult *result;

    do
    {
        CPAM_TRY(libpq_next_result(self, deadline, &result, err));
        PQclear(result);
    } while (result != NULL);
    return CPAM_OK;
}

/* The statement is no longer waited for; the session is good for another one once the server says so. */
static void
give_up(struct pgconn_libpq *self)
{
    struct cpam_err ignored;

    cancel(self);
    if (drain(self, deadline_after(self->io, CANCEL_TIME), &ignored) != CPAM_OK)
        cpam_log(LOG_DEBUG, "after a cancelled statement: %s", ignored.text);
}

static enum cpam_status
libpq_query(struct pgconn *conn, const char *sql, const char *const *parameters, size_t count,
            struct deadline deadline, struct pgrows **out, struct cpam_err *err)
{
    struct pgconn_libpq *self = (struct pgconn_libpq *) conn;
    enum cpam_status status, drained;
    struct cpam_err later;
    PGresult *result;

    if (PQsendQueryParams(self->pg, sql, (int) count, NULL, parameters, NULL, NULL, 0) == 0)
        return libpq_lost(self, "the connection to the database server is lost", err);
    status = libpq_next_result(self, deadline, &result, err);
    if (status == CPAM_DEADLINE || status == CPAM_IO)
    {
        give_up(self);
        return status;
    }
    if (status == CPAM_OK && (result == NULL || (PQresultStatus(result) == PGRES_FATAL_ERROR &&
                                                 PQstatus(self->pg) == CONNECTION_BAD)))
        status = libpq_lost(self, "the connection to the database server is lost", err);
    else if (status == CPAM_OK)
        status = libpq_take_result(result, sql, out, err);
    PQclear(result);
    /* a statement that commits may hang behind its result */
    drained = drain(self, deadline, &later);
    if (drained == CPAM_DEADLINE || drained == CPAM_IO)
        give_up(self);
    if (status == CPAM_OK && drained != CPAM_OK)
    {
        *err = later;
        status = drained;
    }
    return status;
}

static int
libpq_backend_pid(struct pgconn *conn)
{
    return PQbackendPID(((struct pgconn_libpq *) conn)->pg);
}

static void
libpq_free(struct pgconn *conn)
{
    struct pgconn_libpq *self = (struct pgconn_libpq *) conn;

    PQfreemem(self->message);
    PQfinish(self->pg);
    free(self);
}

static enum cpam_status
connect_by(struct pgconn_libpq *self, struct deadline deadline, struct cpam_err *err)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;

    if (PQstatus(self->pg) == CONNECTION_BAD)
        return not_reached(self, err);
    while (state != PGRES_POLLING_OK)
    {
        CPAM_TRY(
            libpq_wait(self, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, err));
        state = PQconnectPoll(self->pg);
        if (state == PGRES_POLLING_FAILED)
            return not_reached(self, err);
    }
    return CPAM_OK;
}

static enum cpam_status
switch_timeouts_off(struct pgconn *conn, struct deadline deadline, struct cpam_err *err)
{
    static const char *const statements[] = {
        "SET statement_timeout = 0",
        "SET lock_timeout = 0",
        "SET idle_in_transaction_session_timeout = 0",
        "SET idle_session_timeout = 0", /* PostgreSQL 14 and later: all that are supported */
        "SET client_encoding = 'UTF8'",
        "SET datestyle = 'ISO'",
        "SET search_path = pg_catalog",
    };

    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        CPAM_TRY(pgconn_query(conn, statements[i], NULL, 0, deadline, NULL, err));
    return CPAM_OK;
}

/* A session that is still to be told what it is for. */
static enum cpam_status
connect_to(struct io *io, const char *const *names, const char *const *values,
           struct deadline deadline, struct pgconn **out, struct cpam_err *err)
{
    static const struct pgconn_ops ops = {.query = libpq_query,
                                          .backend_pid = libpq_backend_pid,
                                          .free = libpq_free,
                                          .send = libpq_send,
                                          .next = libpq_next,
                                          .copy_read = libpq_copy_read,
                                          .is_local = libpq_is_local};
    struct pgconn_libpq *self = calloc(1, sizeof(*self));

    *out = NULL;
    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a database connection");
    self->base.ops = &ops;
    self->io = io;
    self->pg = PQconnectStartParams(names, values, 1);
    CPAM_AUTO(pgconn_free) struct pgconn *conn = &self->base;
    if (self->pg == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a database connection");
    CPAM_TRY(connect_by(self, deadline, err));
    PQsetNoticeProcessor(self->pg, notice, NULL);
    *out = CPAM_STEAL(conn);
    return CPAM_OK;
}

enum cpam_status
pgconn_open(struct io *io, const char *conninfo, const char *application, struct deadline deadline,
            struct pgconn **out, struct cpam_err *err)
{
    /* what the user wrote in conninfo comes later, and wins */
    const char *const names[] = {
        "fallback_application_name", "keepalives_idle", "keepalives_interval",
        "keepalives_count",          "dbname",          NULL};
    const char *const values[] = {application, "60", "10", "6", conninfo, NULL};
    CPAM_AUTO(pgconn_free) struct pgconn *conn = NULL;

    *out = NULL;
    CPAM_TRY(connect_to(io, names, values, deadline, &conn, err));
    CPAM_TRY(switch_timeouts_off(conn, deadline, err));
    *out = CPAM_STEAL(conn);
    return CPAM_OK;
}

/* The options of conninfo or of the environment, and behind them ours, which win. */
static enum cpam_status
replication_options(const char *conninfo, struct cpam_buf *out, struct cpam_err *err)
{
    PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
    const char *theirs = getenv("PGOPTIONS");

    for (PQconninfoOption *at = parsed; at != NULL && at->keyword != NULL; at++)
        if (strcmp(at->keyword, "options") == 0 && at->val != NULL)
            theirs = at->val;
    enum cpam_status status =
        cpam_buf_printf(out, OPTIONS_MAX, err,
                        "%s -c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 "
                        "-c idle_in_transaction_session_timeout=0",
                        theirs == NULL ? "" : theirs);
    PQconninfoFree(parsed);
    return status;
}

enum cpam_status
pgconn_open_replication(struct io *io, const char *conninfo, const char *application,
                        struct deadline deadline, struct pgconn **out, struct cpam_err *err)
{
    const char *const names[] = {
        "fallback_application_name", "keepalives_idle", "keepalives_interval",
        "keepalives_count",          "dbname",          "options",
        "client_encoding",           "replication",     NULL};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf options = {0};

    *out = NULL;
    CPAM_TRY(replication_options(conninfo, &options, err));
    const char *text = cpam_buf_text(&options);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a database connection");
    const char *const values[] = {application, "60",        "10",   "6", conninfo,
                                  text,        "SQL_ASCII", "true", NULL};
    return connect_to(io, names, values, deadline, out, err);
}
