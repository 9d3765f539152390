/*
 * backup_manifest.h - writing PostgreSQL's own backup_manifest, for pg_verifybackup.
 *
 * Format from backup/backup_manifest.c and the manual's chapter "Backup Manifest Format": version 1
 * up to PostgreSQL 16, version 2 with the system identifier from 17 on; files with CRC-32C, written
 * as the hex of its four bytes in memory order (little-endian); WAL ranges newest timeline first;
 * last a SHA-256 over everything before its own line.  Streamed: nothing is kept but the state.
 *
 * This layer knows no digest: the caller sees every byte pass and answers for the SHA-256.
 */
#ifndef CPAM_PG_BACKUP_MANIFEST_H
#define CPAM_PG_BACKUP_MANIFEST_H

#include "base/scope.h"
#include "pg/history.h"

struct backup_manifest_out
{
    enum cpam_status (*write)(void *arg, const void *data, size_t size, struct cpam_err *err);
    /* SHA-256 of all bytes written so far; called once. */
    enum cpam_status (*digest)(void *arg, uint8_t out[32], struct cpam_err *err);
    void *arg;
};

struct backup_manifest;

/* *out is copied; arg must outlive the writer.  major 14..18. */
enum cpam_status backup_manifest_new(const struct backup_manifest_out *out, unsigned major,
                                     uint64_t sysid, struct backup_manifest **manifest,
                                     struct cpam_err *err) CPAM_CHECK;
/* path is relative to the data directory (pg_tblspc/<oid>/... for a tablespace); any bytes.
   mtime: us since 1970 UTC; crc as crc32c() has it. */
enum cpam_status backup_manifest_file(struct backup_manifest *manifest, const char *path,
                                      uint64_t size, int64_t mtime, uint32_t crc,
                                      struct cpam_err *err) CPAM_CHECK;
/*
 * WAL ranges from (start on start_timeline) to (stop on history->timeline), and the end.  history
 * is that of the timeline the backup ended on; NULL where start and stop are on start_timeline.
 */
enum cpam_status backup_manifest_finish(struct backup_manifest *manifest,
                                        struct timeline start_timeline, struct lsn start,
                                        struct lsn stop, const struct history *history,
                                        struct cpam_err *err) CPAM_CHECK;
void backup_manifest_free(struct backup_manifest *manifest);
CPAM_SCOPED(backup_manifest_free, struct backup_manifest);

#endif
