/*
 * push_wal.h - waiting until the WAL that makes a backup consistent is in its repositories.
 */
#ifndef CPAM_ARCHIVE_PUSH_WAL_H
#define CPAM_ARCHIVE_PUSH_WAL_H

#include <signal.h>

#include "repo/pack.h"
#include "repo/wal_archive.h"

struct push_wal
{
    uint64_t sysid;
    struct timeline timeline;
    struct lsn start, stop;
    uint32_t segment_size;
    int64_t patience;                     /* us to wait in all, for all repositories together */
    const volatile sig_atomic_t *stopped; /* not 0: give up */
};

/* First and last segment needed: the one start lies in, and the one before stop ends in. */
void push_wal_range(const struct push_wal *wal, struct segment *first, struct segment *last);

/*
 * Tells fn of each repository (repos has PACK_REPOS_MAX; NULL: not asked for) exactly once.
 * CPAM_OK, as soon as the header of every segment, and of the timeline's history if it has one, was
 * authenticated there (requirements row B7), whatever the others still lack.  CPAM_DEADLINE names
 * what is missing; other failures are the repository's, or CPAM_CANCELLED.
 */
typedef void (*push_wal_fn)(void *arg, size_t number, enum cpam_status status,
                            struct cpam_err *err);
void push_wal_wait(struct io *io, struct repo *const *repos, const struct push_wal *wal,
                   push_wal_fn fn, void *arg);

#endif
