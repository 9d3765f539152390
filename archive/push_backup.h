/*
 * push_backup.h - one full backup into one repository, from the first check to the summary.
 */
#ifndef CPAM_ARCHIVE_PUSH_BACKUP_H
#define CPAM_ARCHIVE_PUSH_BACKUP_H

#include <signal.h>

#include "cli/settings.h"
#include "repo/backup.h"

struct push_request
{
    struct io *io;
    const struct settings *settings;
    struct repo *repo;
    unsigned workers;
    int64_t archive_wait; /* us */
    bool fast;            /* an immediate checkpoint */
    const volatile sig_atomic_t *stopped;
};

/*
 * CPAM_OK: the backup exists, and *summary tells of it.  After anything else there is none: what
 * was put has no summary, and the next push takes another label.
 */
enum cpam_status push_backup(const struct push_request *request, struct backup_summary *summary,
                             struct cpam_err *err) CPAM_CHECK;

#endif
