/*
 * direct.h - writing and reading past the page cache (open(2), O_DIRECT).
 *
 * For what is large, written once, and read once if ever: packs, sealed WAL, the relations of a
 * restore.  Through the cache each of these bytes is copied into a page that has to be found first and
 * written back later, and pushes out what the database would have read from it.
 *
 * Not everything can pass by: memory and place must begin on a page, and the file system must be able
 * to.  What can't is written and read as any other bytes of the same file.  Nothing that was written
 * is durable before the caller's fsync.
 */
#ifndef CPAM_IO_DIRECT_H
#define CPAM_IO_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/io.h"

enum
{
    DIRECT_BLOCK = CPAM_BUF_PAGE, /* no disk wants more; what does is written through the cache */
    DIRECT_WORTH = 256 << 10,     /* bytes of an object or a file from which on it pays */
    DIRECT_LEAST = 64 << 10       /* bytes of one write: each waits for the disk by itself */
};

/* How one open file is used; {.able = true} to begin with. */
struct direct
{
    bool able; /* nothing has shown yet that it is not */
    bool on;   /* the descriptor is set to it */
};

/* size bytes at `at`, past the cache if they are many; fd is open for writing.  Errors as of file_write_at(). */
enum cpam_status direct_write_at(struct io *io, int fd, const char *path, struct direct *direct,
                                 const void *data, size_t size, uint64_t at,
                                 struct cpam_err *err) CPAM_CHECK;

/* Up to size bytes from `at`, fewer only at the end of the file.  Errors as of file_read_at(). */
enum cpam_status direct_read_at(struct io *io, int fd, const char *path, struct direct *direct,
                                void *data, size_t size, uint64_t at, size_t *got,
                                struct cpam_err *err) CPAM_CHECK;

#endif
