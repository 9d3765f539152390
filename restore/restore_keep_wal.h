/*
 * restore_keep_wal.h - WAL that --delta finds in the target and that the archive may not have.
 *
 * A server that crashed leaves commits in pg_wal that were never archived.  They are not a restore's
 * to throw away: what is not marked as archived is moved into pg_wal/before-restore, which PostgreSQL,
 * pg_verifybackup and base backups pass over, until a person removes it.  pg_wal may have been a link when
 * it was backed up and be a directory now: that is looked at as well, and its WAL goes where pg_wal will be.
 */
#ifndef CPAM_RESTORE_RESTORE_KEEP_WAL_H
#define CPAM_RESTORE_RESTORE_KEEP_WAL_H

#include "restore_places.h"

#define RESTORE_KEPT_WAL "before-restore"

/* Files of WAL and timeline histories without a ".done"; segments that were only made ready for reuse
   are not meant.  *kept: how many there are now. */
enum cpam_status restore_keep_wal(struct restore_places *places, size_t *kept,
                                  struct cpam_err *err) CPAM_CHECK;
/* How many there would be: what an aborted --delta left that never came to putting them aside. */
enum cpam_status restore_keep_wal_look(struct restore_places *places, size_t *found,
                                       struct cpam_err *err) CPAM_CHECK;

#endif
