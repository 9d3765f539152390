/*
 * gap.h - WAL that was given up on purpose, recorded in the repository before PostgreSQL is told
 * that it may forget it (requirements row P12, wal.push.queue_max).
 *
 * One record a run of segments, gap/<sysid>/<TLI>/<first segment>: clear, signed JSON like the other
 * records (repo/record.h); immutable, and never more than one segment unless they were given up
 * together.
 */
#ifndef CPAM_REPO_GAP_H
#define CPAM_REPO_GAP_H

#include "pg/segment.h"
#include "repo/repo.h"

struct gap
{
    uint64_t sysid;
    struct segment first, last; /* of one timeline, both given up */
    uint32_t segment_size;
    uint64_t backlog; /* bytes of WAL that waited when it was given up */
    int64_t created;  /* us since 1970 UTC */
};

/* Durable when it returns CPAM_OK; the same segments again are CPAM_OK. */
enum cpam_status gap_put(struct repo *repo, const struct gap *gap, struct cpam_err *err) CPAM_CHECK;

/* Gaps of one timeline in order of their first segment.  A record that is not genuine is logged and
   passed over: who can write to the store can make nothing come or go by it.  Return other than CPAM_OK from fn to stop with that status. */
typedef enum cpam_status (*gap_fn)(void *arg, const struct gap *gap, struct cpam_err *err);
enum cpam_status gap_list(struct repo *repo, uint64_t sysid, struct timeline timeline, gap_fn fn,
                          void *arg, struct cpam_err *err) CPAM_CHECK;

/* Was this segment given up?  One listing, and at most one record; out is set when it was. */
enum cpam_status gap_covers(struct repo *repo, uint64_t sysid, const struct archive_name *segment,
                            bool *covered, struct gap *out, struct cpam_err *err) CPAM_CHECK;

enum
{
    GAP_TEXT_MAX = 160
};
/* "segments A to B were given up on purpose on TIME (wal.push.queue_max)". */
void gap_format(const struct gap *gap, char out[GAP_TEXT_MAX]);

#endif
