/*
 * fetch_hold.h - a server that waits at the end of its recovery must not start on the old timeline.
 *
 * At that point PostgreSQL has removed its signal files already, and has not yet written the new
 * timeline (postgresql.md, trap 1).  If it is stopped, or crashes, while cpam-wal-fetch waits for
 * the archive, its next start is plain crash recovery: open read-write on the OLD timeline, under
 * WAL names that the archive may hold already.  So while the wait lasts, recovery.signal is put
 * back: the next start goes on with archive recovery, to the same end, and promotes then.  It is
 * taken away before the server is answered.
 */
#ifndef CPAM_RESTORE_FETCH_HOLD_H
#define CPAM_RESTORE_FETCH_HOLD_H

#include <stdbool.h>

#include "base/err.h"
#include "io/io.h"

struct fetch_hold
{
    struct io *io;
    const char *data; /* kept */
    bool placed;      /* by this program: somebody else's recovery.signal is left alone */
};

/* Once it is placed, does nothing.  A failure leaves the wait as it is, only less safe. */
enum cpam_status fetch_hold_place(struct fetch_hold *hold, struct cpam_err *err) CPAM_CHECK;
/* CPAM_IO: recovery.signal stays; the server would begin archive recovery again at a later start. */
enum cpam_status fetch_hold_release(struct fetch_hold *hold, struct cpam_err *err) CPAM_CHECK;

#endif
