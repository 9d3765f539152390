/*
 * wal_item.h - a file on its way into the archive, as wal_item.c and wal_archive.c see it.
 *
 * Nobody else includes this: to the programs an item is what wal_archive.h says.
 */
#ifndef CPAM_REPO_WAL_ITEM_H
#define CPAM_REPO_WAL_ITEM_H

#include "repo/wal_archive.h"

enum
{
    WAL_ITEM_CHUNK = 1 << 20 /* bytes read at once */
};

struct wal_item
{
    struct io *io;
    char *path;
    struct archive_name name;
    uint64_t sysid;
    struct wal_page page; /* of segments and .partial; zeros for the others */
    uint64_t size;
    struct timespec written;            /* when it was last written to, as it was opened */
    struct cpam_buf data;               /* the content of a history or .backup */
    uint8_t head[WAL_LONG_HEADER_SIZE]; /* of segments and .partial: what was checked */
    int fd;                             /* of them; -1 when the content is in memory */
};

/* <dirname(path)>/<timeline>.history, where PostgreSQL keeps those it knows. */
enum cpam_status wal_item_history(const struct wal_item *item, struct timeline timeline,
                                  struct history **out, struct cpam_err *err) CPAM_CHECK;

/*
 * Hands the whole content to fn, in order, in chunks of WAL_ITEM_CHUNK bytes and a shorter last one.
 * It fails where a file is no longer what was checked when it was opened: of another size, with
 * another beginning, or written to since.  A caller that needs the same bytes twice checks that they
 * are all the same: clocks of file systems are coarse.  May be called by several threads at a time.
 */
typedef enum cpam_status (*wal_item_fn)(void *arg, const void *data, size_t size,
                                        struct cpam_err *err);
enum cpam_status wal_item_each(struct wal_item *item, wal_item_fn fn, void *arg,
                               struct cpam_err *err) CPAM_CHECK;

#endif
