/*
 * wal_folder.h - what one listing of a folder of the archive (4 GiB of WAL) told, kept for a while.
 *
 * Who pushes or fetches many segments asks once for 256 of them what would cost a request for each.
 * What is kept may be out of date: it is good for guesses, and for what only a person brings about.
 */
#ifndef CPAM_REPO_WAL_FOLDER_H
#define CPAM_REPO_WAL_FOLDER_H

#include "repo/wal_archive.h"

enum
{
    WAL_FOLDER_SEGMENTS = 4096, /* of 1 MiB, the smallest */
    WAL_FOLDERS = 2             /* kept: work goes on across the end of one */
};

struct wal_folder
{
    struct timeline timeline; /* 0: nothing is known */
    uint32_t log;
    int64_t listed;                           /* us, monotonic */
    bool conflicts;                           /* something lies beside a segment (F13) */
    uint8_t present[WAL_FOLDER_SEGMENTS / 8]; /* whole segments, by the low part of their names */
};

struct wal_folders
{
    struct wal_folder items[WAL_FOLDERS];
};

/* List the folder of this segment. */
enum cpam_status wal_folder_list(struct repo *repo, uint64_t sysid, const struct archive_name *name,
                                 struct wal_folder *out, struct cpam_err *err) CPAM_CHECK;
bool wal_folder_has(const struct wal_folder *folder, const struct archive_name *name);

/* The folder of this segment if it was listed at `since` (us, monotonic) or later; NULL otherwise. */
const struct wal_folder *wal_folders_find(const struct wal_folders *folders,
                                          const struct archive_name *name, int64_t since);
/* In place of an older listing of it, or of the oldest. */
void wal_folders_keep(struct wal_folders *folders, const struct wal_folder *folder);

#endif
