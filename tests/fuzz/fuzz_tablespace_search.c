/*
 * fuzz_tablespace_search.c - CREATE TABLESPACE in bytes that may be WAL, whole and in pieces.
 */
#include "fuzz.h"

#include "pg/tablespace_search.h"

static void
on_found(void *arg, const struct tablespace_created *created)
{
    size_t *count = arg;

    MUST(memchr(created->path, '\0', sizeof(created->path)) != NULL);
    (*count)++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tablespace_search search;
    size_t whole = 0, pieces = 0;
    size_t piece = size > 0 ? data[0] + (size_t) 1 : 1;

    tablespace_search_begin(&search, 0, on_found, &whole);
    tablespace_search_add(&search, data, size);
    tablespace_search_begin(&search, 0, on_found, &pieces);
    for (size_t at = 0; at < size; at += piece)
        tablespace_search_add(&search, data + at, size - at < piece ? size - at : piece);
    MUST(whole == pieces);
    return 0;
}
