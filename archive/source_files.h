/*
 * source_files.h - what of a data directory belongs into a backup, in the manifest's order.
 *
 * Directories are kept even where their content is not (a server does not start without them),
 * tablespaces are directories below pg_tblspc with the place they lie at, a linked pg_wal is a
 * directory (postgresql.md trap 17).  What vanishes while we look was dropped; replay knows.
 */
#ifndef CPAM_ARCHIVE_SOURCE_FILES_H
#define CPAM_ARCHIVE_SOURCE_FILES_H

#include "repo/manifest.h"

struct source_entry
{
    enum manifest_kind kind; /* MANIFEST_DIRECTORY, _LINK, _FILE */
    const char *path;        /* relative to the data directory */
    const char *target;      /* of a link; of a directory that is a link there (tablespace, pg_wal),
                                where it lies; or NULL */
    uint32_t mode;
    uint64_t size; /* when it was looked at */
    int64_t mtime; /* us since 1970 UTC */
};
typedef enum cpam_status (*source_fn)(void *arg, const struct source_entry *entry,
                                      struct cpam_err *err);

struct source
{
    struct io *io;
    const char *data;        /* the data directory */
    const char *version_dir; /* "PG_15_202209061": what of a tablespace is this server's */
    source_fn fn;
    void *arg;
};

/*
 * Calls fn for every entry, parents first, in strictly ascending order (manifest_path_compare).
 * Sockets, pipes, devices and links that PostgreSQL does not know are told as warnings and left
 * out; a link to a directory anywhere but in pg_tblspc and pg_wal is CPAM_INVALID, since what lies
 * behind it may be data.
 */
enum cpam_status source_walk(const struct source *source, struct cpam_err *err) CPAM_CHECK;

#endif
