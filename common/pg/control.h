/*
 * control.h - global/pg_control of PostgreSQL 14 to 18 (catalog/pg_control.h).
 */
#ifndef CPAM_PG_CONTROL_H
#define CPAM_PG_CONTROL_H

#include "pg/segment.h"

enum
{
    CONTROL_FILE_SIZE = 8192
};

enum control_state /* DBState */
{
    CONTROL_STARTUP = 0,
    CONTROL_SHUTDOWNED = 1,
    CONTROL_SHUTDOWNED_IN_RECOVERY = 2,
    CONTROL_SHUTDOWNING = 3,
    CONTROL_IN_CRASH_RECOVERY = 4,
    CONTROL_IN_ARCHIVE_RECOVERY = 5,
    CONTROL_IN_PRODUCTION = 6
};

struct control
{
    uint64_t sysid;
    uint32_t version; /* pg_control_version */
    uint32_t catalog_version;
    unsigned major; /* 14..18; by catalog version range where versions share a number */
    enum control_state state;
    struct lsn checkpoint, redo;
    struct timeline timeline; /* of the last checkpoint */
    struct lsn min_recovery_point;
    struct timeline min_recovery_timeline;
    struct lsn backup_start, backup_end;
    uint32_t wal_level, max_connections, max_worker_processes, max_wal_senders, max_prepared_xacts,
        max_locks_per_xact;
    uint32_t block_size, relation_segment_blocks, wal_block_size, segment_size;
    uint32_t data_checksum_version; /* 0: off */
};

/* Checks size, version and CRC.  CPAM_CORRUPT if the CRC does not hold (a torn read: read again),
   CPAM_INVALID for a version that is not known. */
enum cpam_status control_parse(const void *data, size_t size, struct control *out,
                               struct cpam_err *err) CPAM_CHECK;

const char *control_state_name(enum control_state state);

#endif
