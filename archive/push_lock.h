/*
 * push_lock.h - one base backup of a cluster at a time on this host (O7).
 *
 * The lock is flock(2)'s on <state>/base-push-<system identifier>.lock: it goes with the process, however
 * that ends, and the file stays.  Another host's push is another matter: backup_fence.h.
 */
#ifndef CPAM_ARCHIVE_PUSH_LOCK_H
#define CPAM_ARCHIVE_PUSH_LOCK_H

#include "base/err.h"
#include "base/scope.h"
#include "io/io.h"

struct push_lock;

/* CPAM_REFUSED: another process holds it, and is named.  CPAM_IO: the state directory can't be used. */
enum cpam_status push_lock_take(struct io *io, const char *state, uint64_t sysid,
                                struct push_lock **out, struct cpam_err *err) CPAM_CHECK;
void push_lock_free(struct push_lock *lock);
CPAM_SCOPED(push_lock_free, struct push_lock);

#endif
