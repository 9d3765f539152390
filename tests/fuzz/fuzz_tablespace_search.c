/*
 * fuzz_tablespace_search.c - CREATE TABLESPACE in bytes that may be WAL, whole and in pieces.
 */
#include "fuzz.h"

#include "pg/tablespace_search.h"

static void
on_found(void *arg)
{
    (*(size_t *) arg)++;
}

static void
on_record(void *arg, struct lsn at, const uint8_t *head, size_t length)
{
    struct tablespace_created created;

    (void) arg, (void) at;
    if (tablespace_record_parse(head, length, &created))
        MUST(memchr(created.path, '\0', sizeof(created.path)) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tablespace_search search;
    static struct wal_walk walk;
    size_t whole = 0, pieces = 0, page = wal_page_size(data, size);
    size_t piece = size > 0 ? data[0] + (size_t) 1 : 1;

    tablespace_search_begin(&search, 0, on_found, &whole);
    tablespace_search_add(&search, data, size);
    tablespace_search_begin(&search, 0, on_found, &pieces);
    for (size_t at = 0; at < size; at += piece)
        tablespace_search_add(&search, data + at, size - at < piece ? size - at : piece);
    MUST(whole == pieces);
    wal_walk_begin(&walk, page, on_record, NULL);
    for (size_t at = 0; size - at >= page; at += page)
    {
        wal_walk_page(&walk, data + at);
        if (at % (4 * page) == 0)
            wal_walk_segment(&walk, (struct lsn){0});
    }
    return 0;
}
