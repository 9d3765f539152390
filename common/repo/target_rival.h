/*
 * target_rival.h - a timeline beside the path that the person may have meant, for target.c.
 *
 * PostgreSQL's "latest" is the highest number, not the one that lived on: whoever asks for a moment, an
 * LSN, a transaction or a restore point may mean one of a timeline that was left behind.
 */
#ifndef CPAM_REPO_TARGET_RIVAL_H
#define CPAM_REPO_TARGET_RIVAL_H

#include "repo/target_chain.h"

/*
 * Fills plan->rival with the timeline whose WAL past the fork from the path could hold the target; of
 * several, the one with the latest WAL.  For the end of the archive, one whose WAL is later than the
 * plan's latest_reachable; for a backup's own state, none.  A backup in front of the fork that ended
 * behind the target proves that it was not meant; so does a fork that a recovery to a later moment made.
 */
void target_rival_note(const struct recovery_map *map, const struct target *target,
                       const struct wal_path *path, struct target_plan *plan);

#endif
