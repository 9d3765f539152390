/*
 * push_direct.h - one file made durable in as many repositories as it has to be, here and now.
 *
 * This is `wal.push.mode: direct`, and what is done where there is no worker to ask.
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
 * CPAM_OK when it is durable in as many required repositories as wal.push.acknowledge asks for, and
 * waits in the backlog of each other repository (of an optional one: unless that failed, which is
 * logged).  All are tried, whatever becomes of the others; of several failures the one that needs a
 * person most is returned and the others are logged.  A repository that has taken it also gets
 * some of its backlog.
 *
 * Also CPAM_OK when it was given up under wal.push.queue_max (push_gap.h).
 */
enum cpam_status push_direct(struct push_request *request, struct cpam_err *err) CPAM_CHECK;

#endif
