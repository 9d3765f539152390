/*
 * pgconn.h - one session with a PostgreSQL server, behind a table so that tests can script one.
 *
 * A session that backs a database up stays open for hours: server-side timeouts are switched off
 * (statement_timeout, lock_timeout, idle_in_transaction_session_timeout, idle_session_timeout;
 * postgresql.md trap 30), TCP keepalives are on, and every query has a deadline here, at which it is
 * cancelled on the server.  One thread at a time.
 */
#ifndef CPAM_PGCONN_PGCONN_H
#define CPAM_PGCONN_PGCONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/scope.h"
#include "io/io.h"

enum
{
    PGCONN_ROWS_MAX = 10000,
    PGCONN_COLUMNS_MAX = 16,
    PGCONN_PARAMETERS_MAX = 8
};

/* A result: texts, NULL where the value is SQL's null.  One allocation; free it with pgrows_free. */
struct pgrows
{
    size_t rows, columns;
    const char **values; /* row by row */
};
void pgrows_free(struct pgrows *rows);
CPAM_SCOPED(pgrows_free, struct pgrows);

struct pgconn;
struct pgconn_ops
{
    enum cpam_status (*query)(struct pgconn *conn, const char *sql, const char *const *parameters,
                              size_t count, struct deadline deadline, struct pgrows **out,
                              struct cpam_err *err);
    int (*backend_pid)(struct pgconn *conn); /* as the connection itself was told */
    void (*free)(struct pgconn *conn);
};
struct pgconn
{
    const struct pgconn_ops *ops;
};

/*
 * conninfo as libpq takes it; passwords come from .pgpass or a service file.  Refused: a server
 * that is not there (CPAM_TRANSIENT, with what libpq says), or one that lets us wait beyond the
 * deadline (CPAM_DEADLINE).
 */
enum cpam_status pgconn_open(struct io *io, const char *conninfo, const char *application,
                             struct deadline deadline, struct pgconn **out,
                             struct cpam_err *err) CPAM_CHECK;

/*
 * One statement with its parameters ($1...; texts, NULL for null).  *out may be NULL when the rows
 * do not matter.  CPAM_DEADLINE: it was cancelled, and the session goes on; CPAM_TRANSIENT: the
 * connection is lost; CPAM_REFUSED: the server said no, with its message.
 */
enum cpam_status pgconn_query(struct pgconn *conn, const char *sql, const char *const *parameters,
                              size_t count, struct deadline deadline, struct pgrows **out,
                              struct cpam_err *err) CPAM_CHECK;

/* The same, for exactly one row of `columns` values, none of which is null. */
enum cpam_status pgconn_row(struct pgconn *conn, const char *sql, const char *const *parameters,
                            size_t count, size_t columns, struct deadline deadline,
                            struct pgrows **out, struct cpam_err *err) CPAM_CHECK;

int pgconn_backend_pid(struct pgconn *conn);
void pgconn_free(struct pgconn *conn);
CPAM_SCOPED(pgconn_free, struct pgconn);

/* Copies values into one pgrows, for implementations. */
enum cpam_status pgrows_new(size_t rows, size_t columns, const char *const *values,
                            struct pgrows **out, struct cpam_err *err) CPAM_CHECK;

#endif
