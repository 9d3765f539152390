/*
 * push_wal.h - waiting until the WAL that makes a backup consistent is in the repository.
 */
#ifndef CPAM_ARCHIVE_PUSH_WAL_H
#define CPAM_ARCHIVE_PUSH_WAL_H

#include <signal.h>

#include "repo/wal_archive.h"

struct push_wal
{
    uint64_t sysid;
    struct timeline timeline;
    struct lsn start, stop;
    uint32_t segment_size;
    int64_t patience;                     /* us to wait in all */
    const volatile sig_atomic_t *stopped; /* not 0: give up */
};

/* First and last segment needed: the one start lies in, and the one before stop ends in. */
void push_wal_range(const struct push_wal *wal, struct segment *first, struct segment *last);

/*
 * Returns CPAM_OK once the header of every segment, and of the timeline's history if it has one, was
 * authenticated in the repository (requirements row B7).  CPAM_DEADLINE names what is missing.
 */
enum cpam_status push_wal_wait(struct repo *repo, const struct push_wal *wal,
                               struct cpam_err *err) CPAM_CHECK;

#endif
