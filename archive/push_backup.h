/*
 * push_backup.h - one backup, from the first check to the summaries: the data directory is read
 * once, whatever the number of repositories it goes into.
 */
#ifndef CPAM_ARCHIVE_PUSH_BACKUP_H
#define CPAM_ARCHIVE_PUSH_BACKUP_H

#include <signal.h>

#include "cli/settings.h"
#include "push_targets.h"

struct push_request
{
    struct io *io;
    const struct settings *settings;
    struct push_targets targets;
    unsigned workers;
    int64_t archive_wait; /* us */
    struct pace *read;    /* a limit of reading the data directory; or NULL */
    const char *mode;     /* auto, full or incremental */
    bool fast;            /* an immediate checkpoint */
    const volatile sig_atomic_t *stopped;
    bool *attention; /* set when a backup that is good needs a person all the same */
};

/*
 * Each target comes out with its backup (stored), or with a status other than CPAM_OK and its reason.
 * A target without a backup has no summary.  What was put there counts for nothing, unless the next push
 * goes on with it (push_resume.h).  One that fails by itself does not keep the others from their backup; what
 * fails for all (the server, the data directory) is the reason of each that has not failed before.
 */
void push_backup(const struct push_request *request);

#endif
