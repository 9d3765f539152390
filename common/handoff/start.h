/*
 * start.h - the birth of a worker, and the pipe on which it says how that went.
 *
 * The worker finds CPAM_HANDOFF_PIPE=3 (the pipe's descriptor) and CPAM_HANDOFF_CONFIG (what the
 * configuration file was before the worker can have read it) in its environment; handoff_detach()
 * takes both out again.
 */
#ifndef CPAM_HANDOFF_START_H
#define CPAM_HANDOFF_START_H

#include "handoff/call.h"

#define HANDOFF_PIPE_VARIABLE   "CPAM_HANDOFF_PIPE"
#define HANDOFF_CONFIG_VARIABLE "CPAM_HANDOFF_CONFIG"

enum
{
    HANDOFF_PIPE = 3
};

/*
 * Runs `program --config config --serve data`, nobody's child, with nothing of the caller's but its
 * environment: own session, descriptors 0-2 on /dev/null, cwd /, signals as the system has them.
 * *out_pipe: non-blocking, close-on-exec, the caller's to close.
 */
enum cpam_status handoff_start(struct io *io, const struct handoff_question *question,
                               const struct handoff_stamp *config, int *out_pipe,
                               struct cpam_err *err) CPAM_CHECK;

/*
 * What the worker said.  *heard false: nothing yet.  CPAM_OK: it serves.  CPAM_EXISTS: another one
 * does.  CPAM_CANCELLED: it ended without a word.  Another failure is the worker's own.
 */
enum cpam_status handoff_start_heard(int pipe, const char *program, bool *heard,
                                     struct cpam_err *err) CPAM_CHECK;

/* Closes every descriptor from `first` on; makes system calls only. */
void handoff_close_from(int first);

/* In the worker, after handoff_detach(): what its starter saw, or false without a starter. */
bool handoff_started_with(struct handoff_stamp *out);

#endif
