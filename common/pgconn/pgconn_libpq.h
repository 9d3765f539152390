/*
 * pgconn_libpq.h - what pgconn_libpq*.c share: a session through libpq.
 */
#ifndef CPAM_PGCONN_PGCONN_LIBPQ_H
#define CPAM_PGCONN_PGCONN_LIBPQ_H

#include "base/buf.h"
#include "pgconn/pgconn.h"

/* libpq's PGconn and PGresult: this header is read where libpq's own is not. */
struct pg_conn;
struct pg_result;

struct pgconn_libpq
{
    struct pgconn base;
    struct io *io;
    struct pg_conn *pg;
    char command[64]; /* the beginning of the replication command that runs */
    char *message;    /* of a COPY; libpq's to free */
};

/* CPAM_DEADLINE when nothing came in time. */
enum cpam_status libpq_wait(struct pgconn_libpq *self, short events, struct deadline deadline,
                            struct cpam_err *err) CPAM_CHECK;
/* CPAM_TRANSIENT, with what libpq says. */
enum cpam_status libpq_lost(const struct pgconn_libpq *self, const char *what,
                            struct cpam_err *err) CPAM_CHECK;
/* *out NULL: the statement is through. */
enum cpam_status libpq_next_result(struct pgconn_libpq *self, struct deadline deadline,
                                   struct pg_result **out, struct cpam_err *err) CPAM_CHECK;
/* Rows, or what the server refused. */
enum cpam_status libpq_take_result(const struct pg_result *result, const char *sql,
                                   struct pgrows **out, struct cpam_err *err) CPAM_CHECK;

/* Replication commands: pgconn.h. */
enum cpam_status libpq_send(struct pgconn *conn, const char *command, struct cpam_err *err);
enum cpam_status libpq_next(struct pgconn *conn, struct deadline deadline, enum pgconn_answer *kind,
                            struct pgrows **rows, struct cpam_err *err);
enum cpam_status libpq_copy_read(struct pgconn *conn, struct deadline deadline,
                                 const uint8_t **data, size_t *size, struct cpam_err *err);
bool libpq_is_local(struct pgconn *conn);

#endif
