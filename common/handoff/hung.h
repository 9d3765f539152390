/*
 * hung.h - ends a worker that does not answer, and nobody else.
 */
#ifndef CPAM_HANDOFF_HUNG_H
#define CPAM_HANDOFF_HUNG_H

#include <stdbool.h>
#include <sys/types.h>

#include "io/io.h"

/*
 * Kills pid (SIGKILL: it may be stopped) if it runs `program`, the file of that path or one that was
 * replaced at that path, as this user.  False, with nothing done: it is something else, or gone.
 */
bool handoff_kill(struct io *io, pid_t pid, const char *program);

#endif
