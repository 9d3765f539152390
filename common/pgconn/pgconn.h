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

/* What comes next of the answers to a replication command. */
enum pgconn_answer
{
    PGCONN_ROWS,
    PGCONN_COPY,    /* to be read with pgconn_copy_read() until it is over */
    PGCONN_COMMAND, /* a part of it is through */
    PGCONN_DONE     /* all of it: the session is free for another one */
};

struct pgconn;
struct pgconn_ops
{
    enum cpam_status (*query)(struct pgconn *conn, const char *sql, const char *const *parameters,
                              size_t count, struct deadline deadline, struct pgrows **out,
                              struct cpam_err *err);
    int (*backend_pid)(struct pgconn *conn); /* as the connection itself was told */
    void (*free)(struct pgconn *conn);
    /* of replication sessions only */
    enum cpam_status (*send)(struct pgconn *conn, const char *command, struct cpam_err *err);
    enum cpam_status (*next)(struct pgconn *conn, struct deadline deadline,
                             enum pgconn_answer *kind, struct pgrows **rows, struct cpam_err *err);
    enum cpam_status (*copy_read)(struct pgconn *conn, struct deadline deadline,
                                  const uint8_t **data, size_t *size, struct cpam_err *err);
    bool (*is_local)(struct pgconn *conn);
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

/*
 * The same, with texts as the server holds them: a path is bytes, in the encoding of its file system and
 * not in that of a database, and each byte of it counts.  So nothing is converted for this statement
 * (client_encoding SQL_ASCII); all other statements have texts in UTF-8.
 */
enum cpam_status pgconn_query_bytes(struct pgconn *conn, const char *sql, struct deadline deadline,
                                    struct pgrows **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status pgconn_row_bytes(struct pgconn *conn, const char *sql, size_t columns,
                                  struct deadline deadline, struct pgrows **out,
                                  struct cpam_err *err) CPAM_CHECK;

/*
 * The same server for replication: pg_hba.conf has to let the user in for "replication", and the user
 * needs that privilege.  It takes replication commands and nothing else, so the timeouts are switched
 * off as it is opened (options of conninfo, or else of the environment, stay in force beside them).  Its
 * texts are those of the server, byte for byte.
 */
enum cpam_status pgconn_open_replication(struct io *io, const char *conninfo,
                                         const char *application, struct deadline deadline,
                                         struct pgconn **out, struct cpam_err *err) CPAM_CHECK;
/* Sends a replication command.  Its answers are taken until PGCONN_DONE or a failure. */
enum cpam_status pgconn_send(struct pgconn *conn, const char *command,
                             struct cpam_err *err) CPAM_CHECK;
/* *rows: with PGCONN_ROWS, the caller's; otherwise NULL.  CPAM_DEADLINE: not yet, ask again; other
   failures as pgconn_query()'s. */
enum cpam_status pgconn_next(struct pgconn *conn, struct deadline deadline,
                             enum pgconn_answer *kind, struct pgrows **rows,
                             struct cpam_err *err) CPAM_CHECK;
/* The next message of a COPY, valid until the next call; *data NULL: it is over.  Failures as above. */
enum cpam_status pgconn_copy_read(struct pgconn *conn, struct deadline deadline,
                                  const uint8_t **data, size_t *size,
                                  struct cpam_err *err) CPAM_CHECK;
/* Does the connection stay on this host? */
bool pgconn_is_local(struct pgconn *conn);

int pgconn_backend_pid(struct pgconn *conn);
void pgconn_free(struct pgconn *conn);
CPAM_SCOPED(pgconn_free, struct pgconn);

/* Copies values into one pgrows, for implementations. */
enum cpam_status pgrows_new(size_t rows, size_t columns, const char *const *values,
                            struct pgrows **out, struct cpam_err *err) CPAM_CHECK;

#endif
