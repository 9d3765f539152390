/*
 * control.c - global/pg_control of PostgreSQL 14 to 18.
 *
 * Offsets up to data_checksum_version are the same in all of them on 64-bit machines; PostgreSQL 18
 * put default_char_signedness behind it, which moved the CRC (postgresql.md has the measurements).
 */
#include "pg/control.h"

#include "base/bytes.h"
#include "pg/crc32c.h"

enum /* offsets in ControlFileData */
{
    AT_SYSID = 0,
    AT_VERSION = 8,
    AT_CATALOG = 12,
    AT_STATE = 16,
    AT_CHECKPOINT = 32,
    AT_REDO = 40,
    AT_TIMELINE = 48,
    AT_MIN_RECOVERY = 136,
    AT_MIN_RECOVERY_TIMELINE = 144,
    AT_BACKUP_START = 152,
    AT_BACKUP_END = 160,
    AT_WAL_LEVEL = 172,
    AT_MAX_CONNECTIONS = 180,
    AT_MAX_WORKERS = 184,
    AT_MAX_SENDERS = 188,
    AT_MAX_PREPARED = 192,
    AT_MAX_LOCKS = 196,
    AT_BLOCK_SIZE = 216,
    AT_RELATION_SEGMENT = 220,
    AT_WAL_BLOCK_SIZE = 224,
    AT_SEGMENT_SIZE = 228,
    AT_CHECKSUMS = 252
};

/* Newest first: the first row whose version is equal and whose catalog is not newer is the one. */
static const struct control_layout
{
    uint32_t version, catalog, crc_at;
    unsigned major;
} layouts[] = {
    {1800, 202506291, 292, 18}, {1700, 202406281, 288, 17}, {1300, 202307071, 288, 16},
    {1300, 202209061, 288, 15}, {1300, 202107181, 288, 14},
};

static const struct control_layout *
layout_of(uint32_t version, uint32_t catalog)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
        if (layouts[i].version == version && catalog >= layouts[i].catalog)
            return &layouts[i];
    return NULL;
}

static void
fields_read(const uint8_t *at, struct control *out)
{
    out->state = (enum control_state) le32_get(at + AT_STATE);
    out->checkpoint.at = le64_get(at + AT_CHECKPOINT);
    out->redo.at = le64_get(at + AT_REDO);
    out->timeline.id = le32_get(at + AT_TIMELINE);
    out->min_recovery_point.at = le64_get(at + AT_MIN_RECOVERY);
    out->min_recovery_timeline.id = le32_get(at + AT_MIN_RECOVERY_TIMELINE);
    out->backup_start.at = le64_get(at + AT_BACKUP_START);
    out->backup_end.at = le64_get(at + AT_BACKUP_END);
    out->wal_level = le32_get(at + AT_WAL_LEVEL);
    out->max_connections = le32_get(at + AT_MAX_CONNECTIONS);
    out->max_worker_processes = le32_get(at + AT_MAX_WORKERS);
    out->max_wal_senders = le32_get(at + AT_MAX_SENDERS);
    out->max_prepared_xacts = le32_get(at + AT_MAX_PREPARED);
    out->max_locks_per_xact = le32_get(at + AT_MAX_LOCKS);
    out->block_size = le32_get(at + AT_BLOCK_SIZE);
    out->relation_segment_blocks = le32_get(at + AT_RELATION_SEGMENT);
    out->wal_block_size = le32_get(at + AT_WAL_BLOCK_SIZE);
    out->segment_size = le32_get(at + AT_SEGMENT_SIZE);
    out->data_checksum_version = le32_get(at + AT_CHECKSUMS);
}

enum cpam_status
control_parse(const void *data, size_t size, struct control *out, struct cpam_err *err)
{
    const uint8_t *at = data;

    if (size != CONTROL_FILE_SIZE)
        return cpam_fail(err, CPAM_INVALID, 0, "pg_control has %zu bytes instead of %d", size,
                         CONTROL_FILE_SIZE);
    *out = (struct control){
        .sysid = le64_get(at + AT_SYSID),
        .version = le32_get(at + AT_VERSION),
        .catalog_version = le32_get(at + AT_CATALOG),
    };
    const struct control_layout *layout = layout_of(out->version, out->catalog_version);
    if (layout == NULL)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "pg_control is of no PostgreSQL from 14 to 18: its version is %u, its "
                         "catalog version %u",
                         out->version, out->catalog_version);
    out->major = layout->major;
    uint32_t found = crc32c(0, at, layout->crc_at);
    uint32_t stored = le32_get(at + layout->crc_at);
    if (found != stored)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "pg_control is damaged or was read while it was written: its CRC is %08X, "
                         "its content gives %08X",
                         stored, found);
    fields_read(at, out);
    if (!segment_size_valid(out->segment_size))
        return cpam_fail(err, CPAM_INVALID, 0,
                         "pg_control names a WAL segment size of %u bytes, which is none",
                         out->segment_size);
    return CPAM_OK;
}

const char *
control_state_name(enum control_state state)
{
    static const char *const names[] = {
        [CONTROL_STARTUP] = "starting up",
        [CONTROL_SHUTDOWNED] = "shut down",
        [CONTROL_SHUTDOWNED_IN_RECOVERY] = "shut down in recovery",
        [CONTROL_SHUTDOWNING] = "shutting down",
        [CONTROL_IN_CRASH_RECOVERY] = "in crash recovery",
        [CONTROL_IN_ARCHIVE_RECOVERY] = "in archive recovery",
        [CONTROL_IN_PRODUCTION] = "in production",
    };

    if ((unsigned) state >= sizeof(names) / sizeof(names[0]))
        return "unknown";
    return names[state];
}
