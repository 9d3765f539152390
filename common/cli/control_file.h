/*
 * control_file.h - what a data directory is: its pg_control, and the server that runs on it.
 */
#ifndef CPAM_CLI_CONTROL_FILE_H
#define CPAM_CLI_CONTROL_FILE_H

#include "base/buf.h"
#include "io/io.h"
#include "pg/control.h"
#include "pg/postmaster_pid.h"

/*
 * <data_dir>/global/pg_control, read until its CRC holds (the server writes it without a lock that
 * a reader could take: postgresql.md, trap 21).  CPAM_USAGE where there is no such directory or
 * file: the path is not a data directory.
 */
enum cpam_status control_file_read(struct io *io, const char *data_dir, struct control *out,
                                   struct cpam_err *err) CPAM_CHECK;

/*
 * The postmaster of this very directory: *running is false when there is none.  postmaster.pid may
 * be left over, and its number may be another process by now; a postmaster's working directory is
 * its data directory, so that is looked at.
 */
enum cpam_status postmaster_find(struct io *io, const char *data_dir, bool *running,
                                 struct postmaster_pid *out, struct cpam_err *err) CPAM_CHECK;

/*
 * What to connect with: conninfo, and before it the socket folder and port of the postmaster of this
 * very directory where neither conninfo nor the environment names a host, a port or a service.  A
 * second cluster on a Debian host listens on 5433, and nobody should have to say so twice.
 */
enum cpam_status postmaster_conninfo(struct io *io, const char *data_dir, const char *conninfo,
                                     struct cpam_buf *out, struct cpam_err *err) CPAM_CHECK;

#endif
