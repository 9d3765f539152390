/*
 * tablespace_search.h - CREATE TABLESPACE records in WAL that passes by.
 *
 * Replay of one takes the directory at the path in the record for the server's own, whatever server
 * it is that replays (commands/tablespace.c, create_tablespace_directories): beside the original that is
 * the original's (postgresql.md, trap 6).
 *
 * The search is quick and finds every such record wherever it lies, without walking from one to the
 * next: by its resource manager, its length and its CRC (access/xlogrecord.h; the same from 14 to 18).  What
 * a table holds can look the same, and anybody may have put it there: a find is a reason to walk
 * (wal_walk.h), and nothing else.  Records continue behind the headers of pages; those are left out.
 */
#ifndef CPAM_PG_TABLESPACE_SEARCH_H
#define CPAM_PG_TABLESPACE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg/wal_page.h"
#include "pg/wal_walk.h"

enum
{
    TABLESPACE_PATH_MAX = 1024,           /* MAXPGPATH, with the NUL */
    TABLESPACE_RECORD_MAX = WAL_WALK_HEAD /* bytes: header, parts, oid, path; a multiple of 8 */
};

struct tablespace_created
{
    uint32_t oid;
    char path[TABLESPACE_PATH_MAX]; /* "" for one in place */
};

/* One record of `length` bytes; false: it is none of these, or is damaged. */
bool tablespace_record_parse(const uint8_t *record, size_t length, struct tablespace_created *out);

typedef void (*tablespace_found_fn)(void *arg);

/* 66 KiB: from the heap.  All of it is private. */
struct tablespace_search
{
    tablespace_found_fn found;
    void *arg;
    size_t page_size, part_size, tail_size;
    uint8_t part[WAL_PAGE_MAX]; /* of a page that is not whole yet */
    uint8_t tail[TABLESPACE_RECORD_MAX];
};

/* page_size: XLOG_BLCKSZ of what comes, or 0 where it begins with a segment's first page. */
void tablespace_search_begin(struct tablespace_search *search, size_t page_size,
                             tablespace_found_fn found, void *arg);
/* Consecutive bytes, from the beginning of a page on.  What is no WAL has nothing in it. */
void tablespace_search_add(struct tablespace_search *search, const void *data, size_t size);

#endif
