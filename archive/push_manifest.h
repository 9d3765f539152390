/*
 * push_manifest.h - the manifest of a backup out of its plan, its parts and its packs.
 */
#ifndef CPAM_ARCHIVE_PUSH_MANIFEST_H
#define CPAM_ARCHIVE_PUSH_MANIFEST_H

#include "push_base.h"
#include "push_plan.h"

/* A file that is not in the data directory: backup_label, tablespace_map. */
struct push_extra
{
    const char *path;
    uint64_t part; /* plan_extra_part */
    int64_t mtime;
};

struct push_manifest
{
    struct plan *plan;
    struct pack_set *packs;
    const struct push_extra *extras; /* in the order of their paths */
    size_t extra_count;
    const struct manifest_setting *settings;
    size_t setting_count;
    struct push_base *base; /* concluded; NULL: a full backup without tags of its pages */
};

/* Stores backup/<label>/blocks and backup/<label>/manifest in repo, which is the one of this number in from->packs, and fills
   the summary's sums and manifest members. */
enum cpam_status push_manifest_put(struct repo *repo, size_t number,
                                   const struct push_manifest *from, struct backup_summary *summary,
                                   struct cpam_err *err) CPAM_CHECK;

#endif
