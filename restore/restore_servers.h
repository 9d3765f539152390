/*
 * restore_servers.h - is a directory a running server's, whatever path leads to it?
 *
 * The working directory of PostgreSQL's processes is the data directory, which /proc tells of every process
 * of the same user in this process-id namespace; its links are followed from there.  What runs on another
 * host, or outside of this container, is not seen.
 */
#ifndef CPAM_RESTORE_RESTORE_SERVERS_H
#define CPAM_RESTORE_RESTORE_SERVERS_H

#include "restore_places.h"

/* CPAM_USAGE: a server of another data directory than `data` has this place as a tablespace or as pg_wal. */
enum cpam_status restore_servers_check(struct io *io, const char *data,
                                       const struct restore_place *place,
                                       struct cpam_err *err) CPAM_CHECK;

#endif
