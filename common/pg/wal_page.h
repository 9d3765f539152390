/*
 * wal_page.h - what pages of WAL say of themselves, and a segment's first one held against its name.
 *
 * access/xlog_internal.h: XLogLongPageHeaderData (40 bytes).  Magic numbers of 14 to 18.
 */
#ifndef CPAM_PG_WAL_PAGE_H
#define CPAM_PG_WAL_PAGE_H

#include "pg/history.h"
#include "pg/segment.h"

enum
{
    WAL_LONG_HEADER_SIZE = 40,
    WAL_PAGE_MAX = 64 << 10 /* bytes: the largest XLOG_BLCKSZ */
};

/* What any page begins with. */
struct wal_page_start
{
    bool written;       /* else it is zeros */
    size_t header;      /* bytes */
    struct lsn address; /* xlp_pageaddr */
    uint32_t remainder; /* bytes of a record that began before; 0: none did */
};

/* page: a whole one, or at least its first WAL_LONG_HEADER_SIZE bytes. */
struct wal_page_start wal_page_start(const uint8_t *page);

/* XLOG_BLCKSZ by the first page of a segment, of which there are `size` bytes; what it usually is, where
   that says nothing sensible. */
size_t wal_page_size(const void *first, size_t size);

struct wal_page
{
    unsigned major;           /* of PostgreSQL, from the magic */
    struct timeline timeline; /* xlp_tli: in a fork segment the parent's, before the switch */
    struct lsn address;       /* xlp_pageaddr */
    uint64_t sysid;
    uint32_t segment_size;
    uint16_t info;
};

/* CPAM_INVALID: too short, unknown magic (both are named), no long header, odd sizes. */
enum cpam_status wal_page_parse(const void *data, size_t size, struct wal_page *out,
                                struct cpam_err *err) CPAM_CHECK;

/*
 * Does this first page belong into the segment (or .partial) of this name, of this cluster, in a
 * file of file_size bytes?  The header's timeline may be older than the name's only if `history`
 * (of the name's timeline; NULL if not known) makes it an ancestor whose switch point lies in this
 * very segment (postgresql.md, trap 2).  sysid 0: any.
 *
 * CPAM_INVALID with a sentence for each misfit, CPAM_FOREIGN for another system identifier;
 * *needs_history is set when only a missing history stands in the way.
 */
enum cpam_status wal_page_check(const struct wal_page *page, const struct archive_name *name,
                                uint64_t file_size, uint64_t sysid, const struct history *history,
                                bool *needs_history, struct cpam_err *err) CPAM_CHECK;

#endif
