/*
 * fetch_delivery.h - a file of the archive appears at its destination whole or not at all.
 *
 * It is written to ".cpam-<16 hex>" in the destination's directory, on the same file system, and
 * renamed.  The temporary file is made with the first byte, so that a file that is not in the
 * archive costs nothing, and is gone after every failure; after SIGKILL it stays and is swept
 * later (fetch_delivery_sweep).
 *
 * Durability: a file for the server (RECOVERYXLOG, RECOVERYHISTORY) is not fsynced.  The server
 * fsyncs it itself before it gives it a name that outlives recovery (KeepFileRestoredFromArchive,
 * durable_rename), removes what it finds under that name before each call, and asks again after a
 * crash.  A file for anybody else is fsynced, and so is its directory.
 */
#ifndef CPAM_RESTORE_FETCH_DELIVERY_H
#define CPAM_RESTORE_FETCH_DELIVERY_H

#include "fetch_situation.h"
#include "io/sink.h"

struct fetch_delivery;

/* situation is kept and must outlive the delivery. */
enum cpam_status fetch_delivery_new(struct io *io, const struct fetch_situation *situation,
                                    struct fetch_delivery **out, struct cpam_err *err) CPAM_CHECK;
/* Without publish: nothing is left. */
void fetch_delivery_free(struct fetch_delivery *delivery);
CPAM_SCOPED(fetch_delivery_free, struct fetch_delivery);

/* Where the content goes; owned by the delivery.  Its failures are CPAM_IO, never CPAM_NOT_FOUND:
   a missing directory here must not read as a file missing in the archive. */
struct sink *fetch_delivery_sink(struct fetch_delivery *delivery);
/* Where it lies until it is published. */
const char *fetch_delivery_path(const struct fetch_delivery *delivery);
/* Bytes taken since the last restart. */
uint64_t fetch_delivery_size(const struct fetch_delivery *delivery);
/* Throw away what came, for another source. */
void fetch_delivery_restart(struct fetch_delivery *delivery);

/*
 * The content is whole and verified: close it, look once more whether the server that asked is the
 * one that runs (CPAM_CANCELLED if not, trap 14), and rename.
 */
enum cpam_status fetch_delivery_publish(struct fetch_delivery *delivery,
                                        struct cpam_err *err) CPAM_CHECK;

/* Remove temporary files of fetches that were killed, older than a day, beside the destination. */
void fetch_delivery_sweep(struct io *io, const struct fetch_situation *situation);

/*
 * SIGTERM, SIGINT, SIGHUP and SIGQUIT remove the temporary file and end the program by the signal
 * itself: PostgreSQL takes only that for a clean stop.  SIGALRM, armed by fetch_delivery_limit(),
 * removes it and exits with `code`: the last resort where a call does not come back (a hung network
 * file system); us 0 disarms.
 */
void fetch_delivery_guard(void);
void fetch_delivery_limit(int64_t us, int code);

#endif
