/*
 * worker_serve.h - the push worker of one data directory: questions in, answers as each file becomes
 * durable, and what will be asked for next done ahead.
 */
#ifndef CPAM_ARCHIVE_WORKER_SERVE_H
#define CPAM_ARCHIVE_WORKER_SERVE_H

#include "cli/settings.h"
#include "handoff/server.h"

struct worker_request
{
    struct io *io;
    const struct settings *settings;
    struct handoff_config config; /* that settings were read from */
    const char *data;             /* absolute */
    int64_t idle;                 /* us without anything to do, until it ends; 0: never */

    /* Set on return: threads were still at work, and use all of the above. */
    bool abandoned;
};

/* Serves until it is idle, told to end, replaced, or its data directory is gone.  CPAM_EXISTS: there
   is a worker already. */
enum cpam_status worker_serve(struct worker_request *request, struct cpam_err *err) CPAM_CHECK;

#endif
