/*
 * recovery_map.h - what a recovery can be fed with, gathered for target_select().
 *
 * Backups come from the list of one repository (kept: must outlive this); histories and runs of WAL
 * are those of all repositories that the recovery will read from, from the segment of the oldest
 * backup's start on: where wal.push.acknowledge is content with some of them, none need have all.  One request a folder of segments, and
 * one for each run's end.
 */
#ifndef CPAM_REPO_RECOVERY_MAP_H
#define CPAM_REPO_RECOVERY_MAP_H

#include "repo/backup.h"
#include "repo/target.h"

struct recovery_archive;

/* Only what belongs to the system identifier.  repos: the first one decides where they contradict each
   other.  CPAM_UNREACHABLE if the list has no such backup. */
enum cpam_status recovery_archive_read(struct repo *const *repos, size_t repo_count, uint64_t sysid,
                                       const struct backup_list *backups,
                                       struct recovery_archive **out,
                                       struct cpam_err *err) CPAM_CHECK;
const struct recovery_map *recovery_archive_map(const struct recovery_archive *archive);
/* NULL for timeline 1 and where the archive has none. */
const struct history *recovery_archive_history(const struct recovery_archive *archive,
                                               struct timeline timeline);
void recovery_archive_free(struct recovery_archive *archive);
CPAM_SCOPED(recovery_archive_free, struct recovery_archive);

#endif
