/*
 * pgconn.c - what is the same for every session: rows, and asking for exactly one.
 */
#include "pgconn/pgconn.h"

#include <string.h>

enum cpam_status
pgrows_new(size_t rows, size_t columns, const char *const *values, struct pgrows **out,
           struct cpam_err *err)
{
    size_t cells = rows * columns;
    size_t size = sizeof(struct pgrows) + cells * sizeof(char *);
    struct pgrows *made;
    char *text;

    *out = NULL;
    for (size_t i = 0; i < cells; i++)
        size += values[i] == NULL ? 0 : strlen(values[i]) + 1;
    made = malloc(size);
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a query's result");
    made->rows = rows;
    made->columns = columns;
    made->values = (const char **) (made + 1);
    text = (char *) (made->values + cells);
    for (size_t i = 0; i < cells; i++)
    {
        if (values[i] == NULL)
        {
            made->values[i] = NULL;
            continue;
        }
        size_t length = strlen(values[i]) + 1;

        memcpy(text, values[i], length);
        made->values[i] = text;
        text += length;
    }
    *out = made;
    return CPAM_OK;
}

void
pgrows_free(struct pgrows *rows)
{
    free(rows);
}

enum cpam_status
pgconn_query(struct pgconn *conn, const char *sql, const char *const *parameters, size_t count,
             struct deadline deadline, struct pgrows **out, struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;

    if (out != NULL)
        *out = NULL;
    if (count > PGCONN_PARAMETERS_MAX)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a query with %zu parameters", count);
    CPAM_TRY(conn->ops->query(conn, sql, parameters, count, deadline, &rows, err));
    if (out != NULL)
        *out = CPAM_STEAL(rows);
    return CPAM_OK;
}

enum cpam_status
pgconn_query_bytes(struct pgconn *conn, const char *sql, struct deadline deadline,
                   struct pgrows **out, struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;
    struct cpam_err later;

    *out = NULL;
    CPAM_TRY(pgconn_query(conn, "SET client_encoding = 'SQL_ASCII'", NULL, 0, deadline, NULL, err));
    enum cpam_status status = pgconn_query(conn, sql, NULL, 0, deadline, &rows, err);
    enum cpam_status back =
        pgconn_query(conn, "SET client_encoding = 'UTF8'", NULL, 0, deadline, NULL, &later);
    if (status == CPAM_OK && back != CPAM_OK)
    {
        *err = later;
        return back;
    }
    *out = CPAM_STEAL(rows);
    return status;
}

static enum cpam_status
check_row(const struct pgrows *rows, const char *sql, size_t columns, struct cpam_err *err)
{
    if (rows->rows != 1 || rows->columns != columns)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the server answered \"%s\" with %zu rows of %zu "
                         "columns, not one of %zu",
                         sql, rows->rows, rows->columns, columns);
    for (size_t i = 0; i < columns; i++)
        if (rows->values[i] == NULL)
            return cpam_fail(err, CPAM_INVALID, 0, "the server answered \"%s\" with a null", sql);
    return CPAM_OK;
}

enum cpam_status
pgconn_row(struct pgconn *conn, const char *sql, const char *const *parameters, size_t count,
           size_t columns, struct deadline deadline, struct pgrows **out, struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;

    *out = NULL;
    CPAM_TRY(pgconn_query(conn, sql, parameters, count, deadline, &rows, err));
    CPAM_TRY(check_row(rows, sql, columns, err));
    *out = CPAM_STEAL(rows);
    return CPAM_OK;
}

enum cpam_status
pgconn_row_bytes(struct pgconn *conn, const char *sql, size_t columns, struct deadline deadline,
                 struct pgrows **out, struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;

    *out = NULL;
    CPAM_TRY(pgconn_query_bytes(conn, sql, deadline, &rows, err));
    CPAM_TRY(check_row(rows, sql, columns, err));
    *out = CPAM_STEAL(rows);
    return CPAM_OK;
}

enum cpam_status
pgconn_send(struct pgconn *conn, const char *command, struct cpam_err *err)
{
    return conn->ops->send(conn, command, err);
}

enum cpam_status
pgconn_next(struct pgconn *conn, struct deadline deadline, enum pgconn_answer *kind,
            struct pgrows **rows, struct cpam_err *err)
{
    *rows = NULL;
    return conn->ops->next(conn, deadline, kind, rows, err);
}

enum cpam_status
pgconn_copy_read(struct pgconn *conn, struct deadline deadline, const uint8_t **data, size_t *size,
                 struct cpam_err *err)
{
    *data = NULL;
    *size = 0;
    return conn->ops->copy_read(conn, deadline, data, size, err);
}

bool
pgconn_is_local(struct pgconn *conn)
{
    return conn->ops->is_local(conn);
}

int
pgconn_backend_pid(struct pgconn *conn)
{
    return conn->ops->backend_pid(conn);
}

void
pgconn_free(struct pgconn *conn)
{
    if (conn != NULL)
        conn->ops->free(conn);
}
