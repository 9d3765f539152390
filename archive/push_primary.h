/*
 * push_primary.h - the primary of a standby that was backed up, asked to close its WAL segment.
 *
 * The end of a backup from a standby switches no segment, and on an idle primary the last one that is
 * needed would not be archived for as long as archive_timeout says, if ever (postgresql.md, trap 22).
 */
#ifndef CPAM_ARCHIVE_PUSH_PRIMARY_H
#define CPAM_ARCHIVE_PUSH_PRIMARY_H

#include "pgconn/pgconn.h"
#include "push_wal.h"

/*
 * A session with the primary at `connection`.  CPAM_REFUSED: that server is in recovery; CPAM_FOREIGN:
 * it has another system identifier; or why there is none.
 */
enum cpam_status primary_open(struct io *io, const char *connection, uint64_t sysid,
                              struct pgconn **out, struct cpam_err *err) CPAM_CHECK;

/* Unless it writes a later one already: pg_switch_wal(), so that the last segment needed is archived. */
enum cpam_status primary_close_segment(struct io *io, struct pgconn *conn,
                                       const struct push_wal *wal, struct cpam_err *err) CPAM_CHECK;

#endif
