/*
 * hung.h - who serves a place, and the end of one that does not answer.
 */
#ifndef CPAM_HANDOFF_HUNG_H
#define CPAM_HANDOFF_HUNG_H

#include "handoff/place.h"

/* The process that holds the worker's lock, by the kernel's word; 0: nobody, or it can't be told. */
pid_t handoff_lock_holder(const struct handoff_place *place, struct io *io, enum handoff_role role);

/*
 * Kills pid (SIGKILL: it may be stopped) if it holds the lock of the place and runs `program`: the
 * file at that path, or one that was replaced there.  False, with nothing done: it does not.
 */
bool handoff_kill(const struct handoff_place *place, struct io *io, enum handoff_role role,
                  pid_t pid, const char *program);

#endif
