/*
 * backup_fence.h - may this backup still come to exist, and is another one being made?  (O7)
 *
 * A push may be held up for days, by a signal, a suspended machine, a dead network, between its last
 * look and its summary.  Meanwhile others may have taken it for dead and removed its packs.  So whoever
 * removes anything lays tomb/<label> first and waits longer than any push may take, and a push
 * looks for that tombstone, for its own intent and at its age right before its summary is put, and for
 * the tombstone once more behind it.  A tombstone buries a summary whichever came first: there is no
 * moment at which a pause makes a backup be listed whose packs are gone.
 */
#ifndef CPAM_REPO_BACKUP_FENCE_H
#define CPAM_REPO_BACKUP_FENCE_H

#include "repo/backup.h"

/* How long a backup may take from its intent on; what is older may be given up by others. */
#define BACKUP_TIME_MAX (INT64_C(72) * 3600 * 1000000) /* us */

/* CPAM_REFUSED: a genuine tombstone of this label is there.  One that is not genuine buries nothing. */
enum cpam_status backup_not_buried(struct repo *repo, const char *label,
                                   struct cpam_err *err) CPAM_CHECK;

/* CPAM_REFUSED: it is buried, its intent is gone, or it has taken longer than BACKUP_TIME_MAX, which
   *until is the end of (us since 1970 UTC). */
enum cpam_status backup_fence(struct repo *repo, const char *label, int64_t *until,
                              struct cpam_err *err) CPAM_CHECK;

/* Log those of the latest backups that were begun and neither finished nor given up: on another host, or
   interrupted.  Never keeps a backup from being made. */
void backup_others_tell(struct repo *repo, const char *label);

#endif
