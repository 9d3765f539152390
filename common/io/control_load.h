/*
 * control_load.h - global/pg_control of a data directory, read until it is whole.
 */
#ifndef CPAM_IO_CONTROL_LOAD_H
#define CPAM_IO_CONTROL_LOAD_H

#include "io/io.h"
#include "pg/control.h"

/*
 * The server writes the file without a lock that a reader could take (postgresql.md, trap 21): it is
 * read again, with 20 ms between, until its CRC holds, 25 times at most.
 * bytes, if not NULL: all that was read; a file that is shorter than it has to be is CPAM_INVALID then.
 * CPAM_NOT_FOUND: data_dir is no data directory (it or the file is not there; ENOENT or ENOTDIR in
 * err->sys).
 */
enum cpam_status control_load(struct io *io, const char *data_dir, uint8_t bytes[CONTROL_FILE_SIZE],
                              struct control *out, struct cpam_err *err) CPAM_CHECK;

#endif
