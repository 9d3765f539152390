/*
 * segment.h - LSNs, timelines, WAL segments, and the names of files in the archive.
 *
 * Names as in PostgreSQL's access/xlog_internal.h: segment %08X%08X%08X (upper-case hex only);
 * <8 hex>.history; <segment>.<8 hex offset>.backup; <segment>.partial.  The low part of a segment
 * name runs 0..(4 GiB / segment size - 1).  Timeline 0 does not exist.
 */
#ifndef CPAM_PG_SEGMENT_H
#define CPAM_PG_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct lsn
{
    uint64_t at; /* bytes since the beginning of WAL; 0: invalid */
};

struct timeline
{
    uint32_t id; /* 1.. */
};

/* One segment of one timeline. */
struct segment
{
    struct timeline timeline;
    uint64_t number; /* LSN / segment size */
};

enum
{
    SEGMENT_SIZE_MIN = 1 << 20, /* bytes; a power of two */
    SEGMENT_SIZE_MAX = 1 << 30,
    SEGMENT_NAME_MAX = 25, /* 24 hex and the NUL */
    ARCHIVE_NAME_MAX = 48, /* the longest name the archive knows, with its NUL */
    LSN_TEXT_MAX = 18
};

bool segment_size_valid(uint64_t size);

/* "16/B374D848": two hex numbers of up to 8 digits. */
enum cpam_status lsn_parse(const char *text, struct lsn *out, struct cpam_err *err) CPAM_CHECK;
void lsn_format(struct lsn lsn, char out[LSN_TEXT_MAX]);

/* segment_size 0: the low part is not checked against a size (and number is then computed as for
   16 MiB; use segment_parse_parts where the size is not known yet). */
enum cpam_status segment_parse(const char *name, uint32_t segment_size, struct segment *out,
                               struct cpam_err *err) CPAM_CHECK;
void segment_format(struct segment segment, uint32_t segment_size, char out[SEGMENT_NAME_MAX]);
struct segment segment_of(struct timeline timeline, struct lsn lsn, uint32_t segment_size);
/* The segment that holds the byte BEFORE lsn (PostgreSQL's XLByteToPrevSeg). */
struct segment segment_before(struct timeline timeline, struct lsn lsn, uint32_t segment_size);
struct lsn segment_start(struct segment segment, uint32_t segment_size);
struct segment segment_next(struct segment segment);

enum archive_name_kind
{
    ARCHIVE_SEGMENT,
    ARCHIVE_HISTORY,
    ARCHIVE_BACKUP_HISTORY,
    ARCHIVE_PARTIAL
};

/* A name as archive_command and restore_command pass it. */
struct archive_name
{
    enum archive_name_kind kind;
    struct timeline timeline;
    uint32_t log, low;           /* second and third part of a segment's name; 0 for a history */
    uint32_t offset;             /* ARCHIVE_BACKUP_HISTORY only */
    char text[ARCHIVE_NAME_MAX]; /* as given */
};

/* CPAM_INVALID for anything else ("is not a name of PostgreSQL's WAL archive"). */
enum cpam_status archive_name_parse(const char *name, struct archive_name *out,
                                    struct cpam_err *err) CPAM_CHECK;
/* Below 0, 0, above 0: as the server archives them, histories first, then by name. */
int archive_name_order(const struct archive_name *a, const struct archive_name *b);
/* The segment such a name speaks of; CPAM_INVALID if low does not fit segment_size. */
enum cpam_status archive_name_segment(const struct archive_name *name, uint32_t segment_size,
                                      struct segment *out, struct cpam_err *err) CPAM_CHECK;

#endif
