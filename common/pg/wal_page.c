/*
 * wal_page.c - the first page of a WAL segment, held against the segment's name.
 *
 * This is what keeps a recycled, cut or foreign file from being archived under a name that
 * recovery would believe.
 */
#include "pg/wal_page.h"

#include "base/bytes.h"

enum /* offsets in XLogLongPageHeaderData; the short part is 24 bytes with its padding */
{
    AT_MAGIC = 0,
    AT_INFO = 2,
    AT_TIMELINE = 4,
    AT_ADDRESS = 8,
    AT_REMAINDER = 16,
    AT_SYSID = 24,
    AT_SEGMENT_SIZE = 32,
    AT_BLOCK_SIZE = 36
};

enum
{
    XLP_FIRST_IS_CONTRECORD = 0x0001,
    XLP_LONG_HEADER = 0x0002,
    SHORT_HEADER_SIZE = 24,
    BLOCK_SIZE_MIN = 1024,
    BLOCK_SIZE_USUAL = 8192
};

static const struct
{
    uint16_t magic;
    uint8_t major;
} magics[] = {
    {0xD10D, 14}, {0xD110, 15}, {0xD113, 16}, {0xD116, 17}, {0xD118, 18},
};

static unsigned
major_of(uint16_t magic)
{
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
        if (magics[i].magic == magic)
            return magics[i].major;
    return 0;
}

static bool
is_block_size(uint32_t size)
{
    return size >= BLOCK_SIZE_MIN && size <= WAL_PAGE_MAX && (size & (size - 1)) == 0;
}

struct wal_page_start
wal_page_start(const uint8_t *page)
{
    uint16_t info = le16_get(page + AT_INFO);

    return (struct wal_page_start){
        .written = le16_get(page + AT_MAGIC) != 0,
        .header = (info & XLP_LONG_HEADER) != 0 ? WAL_LONG_HEADER_SIZE : SHORT_HEADER_SIZE,
        .address.at = le64_get(page + AT_ADDRESS),
        .remainder = (info & XLP_FIRST_IS_CONTRECORD) != 0 ? le32_get(page + AT_REMAINDER) : 0,
    };
}

size_t
wal_page_size(const void *first, size_t size)
{
    const uint8_t *page = first;
    uint32_t told = size < WAL_LONG_HEADER_SIZE || (le16_get(page + AT_INFO) & XLP_LONG_HEADER) == 0
                        ? 0
                        : le32_get(page + AT_BLOCK_SIZE);

    return is_block_size(told) ? told : BLOCK_SIZE_USUAL;
}

enum cpam_status
wal_page_parse(const void *data, size_t size, struct wal_page *out, struct cpam_err *err)
{
    const uint8_t *at = data;

    if (size < WAL_LONG_HEADER_SIZE)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "is not a WAL segment: %zu bytes are too few for its page header", size);

    uint16_t magic = le16_get(at + AT_MAGIC);
    uint32_t block_size = le32_get(at + AT_BLOCK_SIZE);
    *out = (struct wal_page){
        .major = major_of(magic),
        .info = le16_get(at + AT_INFO),
        .timeline.id = le32_get(at + AT_TIMELINE),
        .address.at = le64_get(at + AT_ADDRESS),
        .sysid = le64_get(at + AT_SYSID),
        .segment_size = le32_get(at + AT_SEGMENT_SIZE),
    };
    if (out->major == 0)
        return cpam_fail(
            err, CPAM_INVALID, 0,
            "is not a WAL segment of a known PostgreSQL: its page magic is %04X, known "
            "are %04X (PostgreSQL 14) to %04X (PostgreSQL 18)",
            magic, magics[0].magic, magics[sizeof(magics) / sizeof(magics[0]) - 1].magic);
    if ((out->info & XLP_LONG_HEADER) == 0)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "does not start with the first page of a WAL segment: no long header");
    if (!segment_size_valid(out->segment_size))
        return cpam_fail(err, CPAM_INVALID, 0,
                         "its page header names a segment size of %u bytes, which is none",
                         out->segment_size);
    if (!is_block_size(block_size))
        return cpam_fail(err, CPAM_INVALID, 0,
                         "its page header names a WAL block size of %u bytes, which is none",
                         block_size);
    if (out->timeline.id == 0)
        return cpam_fail(err, CPAM_INVALID, 0, "its page header has timeline 0");
    return CPAM_OK;
}

/* The header's timeline is older than the name's: true only of the segment of a fork. */
static enum cpam_status
check_fork(const struct wal_page *page, const struct archive_name *name,
           const struct history *history, bool *needs_history, struct cpam_err *err)
{
    struct lsn fork;
    uint64_t end = page->address.at + page->segment_size;
    char text[LSN_TEXT_MAX];

    if (history == NULL || history->timeline.id != name->timeline.id)
    {
        *needs_history = true;
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\": its first page is of timeline %u, and the history of timeline %u "
                         "that could explain it is not known",
                         name->text, page->timeline.id, name->timeline.id);
    }
    if (!history_switch_point(history, page->timeline, &fork))
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\": its first page is of timeline %u, which is no ancestor of "
                         "timeline %u",
                         name->text, page->timeline.id, name->timeline.id);
    /* At a switch on a segment's edge nothing is copied from the parent: so strictly inside. */
    if (fork.at <= page->address.at || fork.at >= end)
    {
        lsn_format(fork, text);
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\": its first page is of timeline %u, but that timeline was left at "
                         "%s, which is not in this segment",
                         name->text, page->timeline.id, text);
    }
    return CPAM_OK;
}

enum cpam_status
wal_page_check(const struct wal_page *page, const struct archive_name *name, uint64_t file_size,
               uint64_t sysid, const struct history *history, bool *needs_history,
               struct cpam_err *err)
{
    struct segment segment;

    *needs_history = false;
    if (name->kind != ARCHIVE_SEGMENT && name->kind != ARCHIVE_PARTIAL)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is not the name of a WAL segment",
                         name->text);
    if (sysid != 0 && page->sysid != sysid)
        return cpam_fail(err, CPAM_FOREIGN, 0,
                         "\"%s\" is WAL of the system identifier %llu, not of %llu", name->text,
                         (unsigned long long) page->sysid, (unsigned long long) sysid);
    if (file_size != page->segment_size)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\" is %llu bytes long, but its page header says %u", name->text,
                         (unsigned long long) file_size, page->segment_size);
    CPAM_TRY(archive_name_segment(name, page->segment_size, &segment, err));

    struct lsn start = segment_start(segment, page->segment_size);
    if (start.at != page->address.at)
    {
        char found[LSN_TEXT_MAX];
        char wanted[LSN_TEXT_MAX];

        lsn_format(page->address, found);
        lsn_format(start, wanted);
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\": its first page is of %s, but the name says %s (a recycled or "
                         "renamed segment)",
                         name->text, found, wanted);
    }
    if (page->timeline.id > name->timeline.id)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\": its first page is of timeline %u, later than the name's",
                         name->text, page->timeline.id);
    if (page->timeline.id < name->timeline.id)
        return check_fork(page, name, history, needs_history, err);
    return CPAM_OK;
}
