/*
 * target_chain.h - how far archived WAL goes along a path of timelines, for target.c.
 *
 * Of a segment in which a timeline forked, the descendant's copy is wanted (it begins with the
 * ancestor's content); the ancestor's own will do for a limit in front of the switch point.
 */
#ifndef CPAM_REPO_TARGET_CHAIN_H
#define CPAM_REPO_TARGET_CHAIN_H

#include "repo/target.h"

/* The timelines from the oldest ancestor to the target timeline. */
struct wal_path
{
    const struct history *history; /* NULL: a timeline without ancestors */
    struct timeline timeline;
};

/* The first byte behind the timeline's part of the path; false if it is not on the path. */
bool wal_path_end(const struct wal_path *path, struct timeline timeline, uint64_t *out);

/* The first byte that two paths do not share: 0 if they have no timeline in common. */
uint64_t wal_path_fork(const struct wal_path *path, const struct wal_path *other);

/* How far the WAL goes from a start, along a path. */
struct wal_chain
{
    bool complete;  /* all up to the limit is there */
    uint64_t count; /* segments */
    struct segment first, last;
    int64_t created; /* of `last`, us since 1970 UTC; 0 if not known */
    struct segment missing;
    bool hole; /* a later segment of the path is there, or `overrun`, or `gap` */
    const struct gap
        *gap; /* the missing one was given up on purpose: so was what follows; or NULL */
    /* An ancestor has a segment of the missing one's number.  Recovery would take it instead, and
       go on with what the ancestor wrote behind the fork, which is not of this path: shown on
       PostgreSQL 15, which looks through all timelines from that of its last segment on. */
    bool overrun;
};

/* From the segment of `start` to the one of byte `limit` (UINT64_MAX: as far as it goes). */
void wal_chain_walk(const struct recovery_map *map, const struct wal_path *path, struct lsn start,
                    uint64_t limit, struct wal_chain *out);

#endif
