/*
 * target.h - which backup, timeline path and WAL a recovery target needs; pure, no I/O.
 *
 * The rules are repository-format.md "PITR target selection" and postgresql.md traps 10, 11, 19.
 */
#ifndef CPAM_REPO_TARGET_H
#define CPAM_REPO_TARGET_H

#include "pg/history.h"
#include "repo/backup.h"

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
    struct timeline timeline; /* .id 0: latest */
};

/* Contiguous runs of archived WAL of one timeline. */
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
    const struct wal_run *runs; /* ordered by timeline, then number */
    size_t run_count;
};

struct target_plan
{
    const struct backup_summary *backup;
    struct timeline timeline;   /* written as a number (trap 10b) */
    struct segment first, last; /* segments needed; last by what the target says, or run end */
    uint64_t segments;
    int64_t latest_reachable; /* us since 1970 UTC */
    bool unchecked_target;    /* xid or name: not proven to be there (trap 19) */
};

/* CPAM_UNREACHABLE when no backup and WAL can do it; the sentence names the earliest and latest
   moments (or LSNs) that can be reached, or the first missing segment. */
enum cpam_status target_select(const struct recovery_map *map, const struct target *target,
                               struct target_plan *out, struct cpam_err *err) CPAM_CHECK;

#endif
