/*
 * wal_walk.h - the records of WAL, one after the other, from segments that are read whole.
 *
 * A segment begins in the middle of a record more often than not: what is left of it is told by the
 * page's header and skipped, unless the segment before was walked too.  A record that was overwritten
 * after a crash is left, and the page that follows says where the next one begins.  Where nothing was
 * written any more, or what a recycled segment held before, the segment is over.
 * access/xlog_internal.h, access/xlogrecord.h; the same from 14 to 18.
 */
#ifndef CPAM_PG_WAL_WALK_H
#define CPAM_PG_WAL_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg/segment.h"

enum
{
    WAL_WALK_HEAD = 1104 /* bytes of a record that are kept */
};

/* head: the first bytes of a record of `length`, up to WAL_WALK_HEAD of them.  Its CRC was not looked
   at. */
typedef void (*wal_record_fn)(void *arg, struct lsn at, const uint8_t *head, size_t length);

/* All of it is private. */
struct wal_walk
{
    wal_record_fn fn;
    void *arg;
    size_t page_size;
    struct lsn next; /* of the next page; at 0: any */
    bool synced, ended;
    size_t length, left; /* of the record at hand: all, and what has not come yet */
    struct lsn at;
    uint8_t head[WAL_WALK_HEAD];
};

/* page_size: XLOG_BLCKSZ. */
void wal_walk_begin(struct wal_walk *walk, size_t page_size, wal_record_fn fn, void *arg);
/* A segment begins, the one that follows what was walked before, if anything was. */
void wal_walk_segment(struct wal_walk *walk, struct lsn start);
/* Its next page, of page_size bytes. */
void wal_walk_page(struct wal_walk *walk, const uint8_t *page);

#endif
