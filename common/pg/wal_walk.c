/*
 * wal_walk.c - from record to record, over the headers of pages.
 */
#include "pg/wal_walk.h"

#include <string.h>

#include "base/bytes.h"
#include "pg/wal_page.h"

enum
{
    RECORD_HEADER = 24,
    ALIGNMENT = 8
};

void
wal_walk_begin(struct wal_walk *walk, size_t page_size, wal_record_fn fn, void *arg)
{
    *walk = (struct wal_walk){.fn = fn, .arg = arg, .page_size = page_size};
}

void
wal_walk_segment(struct wal_walk *walk, struct lsn start)
{
    walk->next = start;
    if (walk->ended)
        walk->synced = false;
    walk->ended = false;
}

static size_t
aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Where the first record begins that is to be read from this page; false: none does. */
static bool
find_beginning(struct wal_walk *walk, size_t remainder, size_t size, size_t *at)
{
    *at = 0;
    if (walk->synced && remainder == walk->left)
        return true;
    walk->synced = false;
    walk->left = 0;
    if (remainder >= size)
        return false;
    *at = aligned(remainder);
    walk->synced = true;
    return true;
}

/* The record at hand goes on, or ends. */
static size_t
take(struct wal_walk *walk, const uint8_t *data, size_t size)
{
    size_t some = walk->left < size ? walk->left : size;
    size_t have = walk->length - walk->left;

    if (have < sizeof(walk->head))
    {
        size_t room = sizeof(walk->head) - have;

        memcpy(walk->head + have, data, some < room ? some : room);
    }
    walk->left -= some;
    if (walk->left == 0)
        walk->fn(walk->arg, walk->at, walk->head, walk->length);
    return some;
}

void
wal_walk_page(struct wal_walk *walk, const uint8_t *page)
{
    struct wal_page_start start = wal_page_start(page);
    const uint8_t *data = page + start.header;
    size_t size = walk->page_size - start.header, at;

    if (!start.written || (walk->next.at != 0 && walk->next.at != start.address.at))
        walk->ended = true; /* nothing was written here, or something else, before */
    if (walk->next.at != 0)
        walk->next.at += walk->page_size;
    if (walk->ended || !find_beginning(walk, start.remainder, size, &at))
        return;
    while (at < size)
    {
        if (walk->left == 0)
        {
            walk->length = walk->left = le32_get(data + at);
            walk->at.at = start.address.at + start.header + at;
            if (walk->length < RECORD_HEADER)
            {
                walk->left = 0;
                walk->ended = true;
                return;
            }
        }
        at += take(walk, data + at, size - at);
        if (walk->left == 0)
            at = aligned(at);
    }
}
