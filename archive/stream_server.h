/*
 * stream_server.h - is it one and the same server at the end of both connections of a streamed backup?
 *
 * One is an ordinary session, which tells what the backup needs to know; the other is for replication.
 * A pooler, a list of hosts or a name with two addresses may lead them to different servers, which have
 * the same system identifier when one is the other's standby (postgresql.md, trap 5).
 */
#ifndef CPAM_ARCHIVE_STREAM_SERVER_H
#define CPAM_ARCHIVE_STREAM_SERVER_H

#include "push_session.h"

/*
 * Of the session: version, role, archiving, and what pg_control would say: sysid, major, versions,
 * sizes, checksums.  Refused as by server_check().
 */
enum cpam_status stream_server_check(struct io *io, struct pgconn *conn, bool standby,
                                     struct server_facts *facts, struct control *control,
                                     struct cpam_err *err) CPAM_CHECK;

/* CPAM_FOREIGN unless IDENTIFY_SYSTEM of the replication connection fits, and the session's server has
   the process at its end. */
enum cpam_status stream_server_same(struct io *io, struct pgconn *conn, struct pgconn *replication,
                                    uint64_t sysid, struct cpam_err *err) CPAM_CHECK;

/*
 * Has the server in-place tablespaces that BASE_BACKUP leaves out when it makes a tablespace_map?  15
 * does so; without a map it sends them as directories, and links for the others, which then may point
 * no farther than 99 bytes.  14 knows none, and from 16 on they are archives like any other.
 */
enum cpam_status stream_server_in_place(struct io *io, struct pgconn *conn,
                                        const struct server_facts *facts, bool *found,
                                        struct cpam_err *err) CPAM_CHECK;

/* All answers of a replication command that come before its end must be one of rows. */
enum cpam_status stream_server_row(struct io *io, struct pgconn *replication, const char *command,
                                   size_t columns, struct pgrows **out,
                                   struct cpam_err *err) CPAM_CHECK;

#endif
