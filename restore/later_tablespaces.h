/*
 * later_tablespaces.h - tablespaces that recovery may make in a place that is somebody else's.
 *
 * WAL that creates a tablespace is replayed with the path the original gave it.  Beside a living
 * original that is the original's own folder: recovery would write into its files.  A backup older
 * than the tablespace knows nothing of it, so a later backup is asked.
 */
#ifndef CPAM_RESTORE_LATER_TABLESPACES_H
#define CPAM_RESTORE_LATER_TABLESPACES_H

#include "repo/backup.h"
#include "restore_places.h"

/*
 * Logs a warning for each tablespace of the newest backup of the same cluster that `chosen` does
 * not have and whose path is not empty on this host, and sets *found.  Whether recovery gets as far
 * as its creation is not known, so nothing is refused.  That a later backup can't be read is no
 * failure of this restore: it is logged.
 */
enum cpam_status later_tablespaces_warn(struct repo *repo, const struct backup_list *backups,
                                        const struct backup_summary *chosen,
                                        struct restore_places *places, bool *found,
                                        struct cpam_err *err) CPAM_CHECK;

#endif
