/*
 * target.h - which backup, timeline path and WAL a recovery target needs; pure, no I/O.
 *
 * The path of a timeline is its history: each ancestor up to its switch point, then itself.  A
 * backup can be used if it lies on the path, ended before the path left its timeline, ended before
 * the target, and has all of its own WAL; the newest such one is taken, by LSN, never by a clock.
 * From its start the WAL must be without a hole up to the target.
 *
 * Of a segment in which a timeline forked, either copy will do as far as it goes: the descendant's
 * begins with the ancestor's content.
 *
 * "Latest" is the highest timeline, as PostgreSQL has it.  Where another one has WAL behind the fork in
 * which the target may lie as well, the plan says so.
 *
 * What can't be told without reading WAL records (whether a restore point or transaction is there,
 * whether a commit after the wanted moment exists) is marked as unchecked, never guessed.  A restore
 * point's place is not known, so the OLDEST backup with WAL to the end is taken for it unless
 * --backup says otherwise.  The latest moment that can be reached is the creation time of the last
 * segment without a hole before it (no commit in it is later), the earliest is the stop time of the
 * oldest usable backup.
 */
#ifndef CPAM_REPO_TARGET_H
#define CPAM_REPO_TARGET_H

#include "pg/history.h"
#include "repo/backup.h"
#include "repo/gap.h"

enum target_kind
{
    TARGET_LATEST,
    TARGET_BACKUP, /* --backup L alone: the end of that backup, recovery_target = 'immediate' */
    TARGET_IMMEDIATE,
    TARGET_TIME,
    TARGET_LSN,
    TARGET_XID,
    TARGET_NAME
};

struct target
{
    enum target_kind kind;
    int64_t time; /* us since 1970 UTC */
    struct lsn lsn;
    uint64_t xid;
    const char *name;
    const char *backup; /* --backup: only this one, or NULL */
    bool exclusive;
    struct timeline timeline; /* .id 0: latest; for TARGET_BACKUP and _IMMEDIATE: the backup's */
    bool accept_end;          /* TARGET_LATEST: stop in front of a hole instead of refusing */
};

/* Contiguous runs of archived WAL of one timeline.  Where a timeline forked off, one run ends in
   front of the fork's segment and the next begins with it, so that last_created tells of the path. */
struct wal_run
{
    struct timeline timeline;
    uint64_t first, last; /* segment numbers */
    int64_t last_created; /* creation time in the header of segment `last`; us since 1970 UTC */
};

/* What the archive holds, gathered by repo/recovery_map. */
struct recovery_map
{
    uint64_t sysid;
    uint32_t segment_size;
    const struct backup_summary *backups;
    size_t backup_count;
    struct history *const *histories; /* of every timeline but 1 that has one */
    size_t history_count;
    /* The highest timeline whose history is there and not genuine; .id 0: none.  It may be the
       newest one, and may be planted: nobody is sent to another timeline without saying so. */
    struct timeline doubtful;
    const struct wal_run *runs; /* ordered by timeline, then number */
    size_t run_count;
    const struct gap
        *gaps; /* WAL that was given up on purpose; what is there all the same is there */
    size_t gap_count;
};

struct target_plan
{
    const struct backup_summary *backup;
    struct timeline timeline;   /* written as a number (trap 10b) */
    struct segment first, last; /* segments needed; last by what the target says, or run end */
    uint64_t segments;
    int64_t latest_reachable; /* us since 1970 UTC */
    bool unchecked_target;    /* xid or name: not proven to be there (trap 19) */
    bool hole; /* a segment is missing though later ones are there, or were, and were given up */
    const struct gap *gap;  /* the record of that hole, if it was made on purpose; or NULL */
    bool overrun;           /* an ancestor has one of its number: recovery must be kept off it */
    struct segment missing; /* the first that is not there behind `last` */
    /* A timeline with WAL off this path that may hold the target: .id 0 if none does. */
    struct timeline rival;
    int64_t rival_created; /* of its last segment, us since 1970 UTC */
    /* On CPAM_UNREACHABLE: a timeline on which the target could be reached; .id 0: none, or one was asked
       for.  Nothing else of a plan is filled in then. */
    struct timeline elsewhere;
};

/* CPAM_UNREACHABLE when no backup and WAL can do it; the sentence names the earliest and latest
   moments (or LSNs) that can be reached, or the first missing segment. */
enum cpam_status target_select(const struct recovery_map *map, const struct target *target,
                               struct target_plan *out, struct cpam_err *err) CPAM_CHECK;

#endif
