/*
 * push_direct.h - one file made durable in every required repository, here and now.
 *
 * This is `wal.push.mode: direct`, and what is done until there is a worker to ask.  Each
 * repository has a thread of its own, so that one that hangs takes no time from the others.
 */
#ifndef CPAM_ARCHIVE_PUSH_DIRECT_H
#define CPAM_ARCHIVE_PUSH_DIRECT_H

#include "cli/settings.h"
#include "push_item.h"

struct push_request
{
    struct io *io;
    const struct settings *settings;
    const struct push_item *item;
    struct deadline deadline; /* for everything; the answer comes at most 0.5 s behind it */

    /* Set on return: threads were still at work when the time was up.  They use settings and item,
       which must then stay until the process ends. */
    bool abandoned;
};

/*
 * CPAM_OK when it is durable in every repository with `required: true`.  All of them are tried,
 * whatever becomes of the others; of several failures the one that needs a person most is returned
 * and the others are logged.  CPAM_USAGE when no repository is required.
 */
enum cpam_status push_direct(struct push_request *request, struct cpam_err *err) CPAM_CHECK;

#endif
