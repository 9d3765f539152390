/*
 * restore_keep_wal.h - WAL that --delta finds in the target and that the archive may not have.
 *
 * A server that crashed leaves commits in pg_wal that were never archived.  They are not a restore's
 * to throw away: what is not marked as archived is moved into pg_wal/before-restore, which PostgreSQL,
 * pg_verifybackup and base backups pass over, until a person removes it.
 */
#ifndef CPAM_RESTORE_RESTORE_KEEP_WAL_H
#define CPAM_RESTORE_RESTORE_KEEP_WAL_H

#include "restore_places.h"

#define RESTORE_KEPT_WAL "before-restore"

/* Files of WAL and timeline histories without a ".done"; segments that were only made ready for reuse
   are not meant.  *kept: how many there are now. */
enum cpam_status restore_keep_wal(struct restore_places *places, size_t *kept,
                                  struct cpam_err *err) CPAM_CHECK;

#endif
