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
    WAL_ITEM_MEMORY_MAX = 64 << 20, /* bytes read into memory; larger files stay on their fd */
    WAL_ITEM_CHUNK = 1 << 20        /* bytes read at once from a larger file */
};

struct wal_item
{
    struct io *io;
    char *path;
    struct archive_name name;
    uint64_t sysid;
    struct wal_page page; /* of segments and .partial; zeros for the others */
    uint64_t size;
    struct cpam_buf data; /* the content, or empty when it is read from fd */
    int fd;               /* -1 when the content is in memory */
};

/*
 * Hands the whole content to fn, in order, in chunks.  From memory it is always the same; a larger
 * file may have changed since, so a caller that needs the same bytes twice checks that they are.
 */
typedef enum cpam_status (*wal_item_fn)(void *arg, const void *data, size_t size,
                                        struct cpam_err *err);
enum cpam_status wal_item_each(struct wal_item *item, wal_item_fn fn, void *arg,
                               struct cpam_err *err) CPAM_CHECK;

#endif
