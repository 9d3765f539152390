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
    const struct control *control; /* of the data directory */
    struct pgconn *conn;           /* made by check_server_open(); the caller frees it */
};

/* CPAM_REFUSED with the next step in the hint: no server, in recovery, not archiving with this
   suite.  CPAM_FOREIGN: the connection leads to another server. */
enum cpam_status check_server_open(struct checked_server *server, struct cpam_err *err) CPAM_CHECK;

/* Has the server close its current segment, and names it. */
enum cpam_status check_server_switch(struct checked_server *server, char segment[SEGMENT_NAME_MAX],
                                     struct cpam_err *err) CPAM_CHECK;

/* How often the archiver has failed since the statistics began. */
enum cpam_status check_server_failures(struct checked_server *server, uint64_t *count,
                                       struct cpam_err *err) CPAM_CHECK;

/* Puts what the archiver says of its failures into the hint of err. */
void check_server_archiver(struct checked_server *server, struct cpam_err *err);

#endif
