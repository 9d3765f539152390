/*
 * tablespace_search.c - the pages of WAL without their headers, and records in them.
 */
#include "pg/tablespace_search.h"

#include <string.h>

#include "base/bytes.h"
#include "pg/crc32c.h"

enum
{
    /* access/xlogrecord.h */
    RECORD_HEADER = 24,
    RECORD_KIND_AT = 16, /* info, resource manager, two bytes of nothing */
    RECORD_CRC_AT = 20,
    ALIGNMENT = 8,
    PART_DATA_SHORT = 255,
    PART_DATA_LONG = 254,
    PART_ORIGIN = 253,
    PART_TOPLEVEL_XID = 252,
    /* access/rmgrlist.h, commands/tablespace.h: RM_TBLSPC_ID 5, XLOG_TBLSPC_CREATE 0x00; the low half
       of info is for the reader of records */
    KIND_CREATE = 5 << 8
};

#define KIND_MASK UINT32_C(0xFFFFFFF0)

void
tablespace_search_begin(struct tablespace_search *search, size_t page_size,
                        tablespace_found_fn found, void *arg)
{
    search->part_size = search->tail_size = 0;
    search->page_size = page_size;
    search->found = found;
    search->arg = arg;
}

/* The main data behind the headers of its parts; NULL: it has none, or has blocks too. */
static const uint8_t *
main_data(const uint8_t *at, const uint8_t *end, size_t *size)
{
    while (at < end)
    {
        size_t left = (size_t) (end - at);

        switch (*at)
        {
        case PART_DATA_SHORT:
            *size = left < 2 ? SIZE_MAX : at[1];
            at += 2;
            return *size == left - 2 ? at : NULL;
        case PART_DATA_LONG:
            *size = left < 5 ? SIZE_MAX : le32_get(at + 1);
            at += 5;
            return left >= 5 && *size == left - 5 ? at : NULL;
        case PART_ORIGIN: at += left < 3 ? left : 3; break;
        case PART_TOPLEVEL_XID: at += left < 5 ? left : 5; break;
        default: return NULL;
        }
    }
    return NULL;
}

/* A record of the kind at `at`, whole within `left` bytes; its length, or 0. */
static size_t
record_at(const uint8_t *at, size_t left)
{
    size_t length;

    if (left < RECORD_HEADER || (le32_get(at + RECORD_KIND_AT) & KIND_MASK) != KIND_CREATE)
        return 0;
    length = le32_get(at);
    if (length <= RECORD_HEADER || length > TABLESPACE_RECORD_MAX || length > left)
        return 0;
    uint32_t crc = crc32c(0, at + RECORD_HEADER, length - RECORD_HEADER);
    return crc32c(crc, at, RECORD_CRC_AT) == le32_get(at + RECORD_CRC_AT) ? length : 0;
}

bool
tablespace_record_parse(const uint8_t *record, size_t length, struct tablespace_created *out)
{
    const uint8_t *data;
    size_t size = 0;

    if (record_at(record, length) != length)
        return false;
    data = main_data(record + RECORD_HEADER, record + length, &size);
    if (data == NULL || size <= 4 || size - 4 > TABLESPACE_PATH_MAX || data[size - 1] != '\0')
        return false;
    out->oid = le32_get(data);
    memcpy(out->path, data + 4, size - 4);
    return true;
}

/* Four numbers that a CPU compares at once; of two words of a record's alignment, first and third. */
typedef uint32_t quad __attribute__((vector_size(16)));

/* Can any of these words be the one that says the kind?  All of WAL goes through here. */
static bool
any_kind(const uint8_t *at, size_t words)
{
    static const quad mask = {KIND_MASK, 0, KIND_MASK, 0};
    static const quad kind = {KIND_CREATE, 1, KIND_CREATE, 1}; /* what is masked out is never 1 */
    quad hits = {0}, pair;
    uint32_t last;

    for (size_t i = 0; i + 1 < words; i += 2)
    {
        memcpy(&pair, at + i * ALIGNMENT, sizeof(pair));
        hits |= (quad) ((pair & mask) == kind);
    }
    memcpy(&last, at + (words - 1) * ALIGNMENT, sizeof(last));
    return (hits[0] | hits[2]) != 0 || (last & KIND_MASK) == KIND_CREATE;
}

/* Records that lie in these bytes whole. */
static void
search_bytes(struct tablespace_search *search, const uint8_t *data, size_t size)
{
    size_t words = size < RECORD_HEADER ? 0 : (size - RECORD_HEADER) / ALIGNMENT + 1;

    if (words == 0 || !any_kind(data + RECORD_KIND_AT, words))
        return;
    for (size_t i = 0; i < words; i++)
    {
        const uint8_t *at = data + i * ALIGNMENT;
        size_t length = record_at(at, size - i * ALIGNMENT);

        if (length > 0)
            search->found(search->arg);
    }
}

/* Records that begin in the tail and end in these bytes. */
static void
search_across(struct tablespace_search *search, const uint8_t *data, size_t size)
{
    uint8_t both[2 * TABLESPACE_RECORD_MAX];
    size_t head = size < TABLESPACE_RECORD_MAX ? size : TABLESPACE_RECORD_MAX;
    size_t whole = search->tail_size + head;

    memcpy(both, search->tail, search->tail_size);
    memcpy(both + search->tail_size, data, head);
    if (search->tail_size == 0 || whole < RECORD_HEADER ||
        !any_kind(both + RECORD_KIND_AT, (whole - RECORD_HEADER) / ALIGNMENT + 1))
        return;
    for (size_t at = 0; at < search->tail_size; at += ALIGNMENT)
    {
        size_t length = record_at(both + at, whole - at);

        if (at + length > search->tail_size) /* one that ends before was found before */
            search->found(search->arg);
    }
}

static void
keep_tail(struct tablespace_search *search, const uint8_t *data, size_t size)
{
    if (size >= TABLESPACE_RECORD_MAX)
    {
        memcpy(search->tail, data + size - TABLESPACE_RECORD_MAX, TABLESPACE_RECORD_MAX);
        search->tail_size = TABLESPACE_RECORD_MAX;
        return;
    }
    size_t most = TABLESPACE_RECORD_MAX - size;
    size_t stays = search->tail_size < most ? search->tail_size : most;

    memmove(search->tail, search->tail + search->tail_size - stays, stays);
    memcpy(search->tail + stays, data, size);
    search->tail_size = stays + size;
}

static void
search_page(struct tablespace_search *search, const uint8_t *page)
{
    size_t header = wal_page_start(page).header;
    const uint8_t *data = page + header;
    size_t size = search->page_size - header;

    search_across(search, data, size);
    search_bytes(search, data, size);
    keep_tail(search, data, size);
}

void
tablespace_search_add(struct tablespace_search *search, const void *data, size_t size)
{
    const uint8_t *at = data;

    while (size > 0)
    {
        size_t wanted = search->page_size != 0 ? search->page_size : WAL_LONG_HEADER_SIZE;
        size_t some;

        if (search->part_size == 0 && search->page_size != 0 && size >= wanted)
        {
            search_page(search, at);
            at += wanted;
            size -= wanted;
            continue;
        }
        some = wanted - search->part_size;
        some = some < size ? some : size;
        memcpy(search->part + search->part_size, at, some);
        search->part_size += some;
        at += some;
        size -= some;
        if (search->page_size == 0 && search->part_size == WAL_LONG_HEADER_SIZE)
            search->page_size = wal_page_size(search->part, search->part_size);
        else if (search->part_size == search->page_size)
        {
            search_page(search, search->part);
            search->part_size = 0;
        }
    }
}
