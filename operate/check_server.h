/*
 * check_server.h - the server of a data directory: is it that one, does it archive, and its next
 * segment.
 */
#ifndef CPAM_OPERATE_CHECK_SERVER_H
#define CPAM_OPERATE_CHECK_SERVER_H

#include "pg/control.h"
#include "pgconn/pgconn.h"

struct checked_server
{
    struct io *io;
    const char *data, *conninfo;
    const char *config;            /* of this program, as archive_command would name it */
    const struct control *control; /* of the data directory */
    struct pgconn *conn;           /* made by check_server_open(); the caller frees it */
};

/* CPAM_REFUSED with the next step in the hint: no server, in recovery, not archiving with this
   suite.  CPAM_FOREIGN: the connection leads to another server. */
enum cpam_status check_server_open(struct checked_server *server, struct cpam_err *err) CPAM_CHECK;

/* Has the server close its current segment, and names it. */
enum cpam_status check_server_switch(struct checked_server *server, char segment[SEGMENT_NAME_MAX],
                                     struct cpam_err *err) CPAM_CHECK;

/* One row of `columns` values. */
enum cpam_status check_server_ask(const struct checked_server *server, const char *sql,
                                  size_t columns, struct pgrows **out,
                                  struct cpam_err *err) CPAM_CHECK;

#endif
