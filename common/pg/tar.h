/*
 * tar.h - the archives of BASE_BACKUP, read as they come and believed only as far as they are exact.
 *
 * PostgreSQL writes plain ustar (src/port/tar.c, tarCreateHeader): names of at most 99 bytes, without
 * prefix, pax or GNU extensions (a longer name is an error on the server); directories with a slash at
 * the end and sometimes "./" in front; numbers in octal digits and a blank, larger ones in base 256;
 * content padded with zeros to 512 bytes.  From 15 on two blocks of zeros end an archive; before, it
 * ends with its last entry.  Anything else is CPAM_CORRUPT, with the entry it was found behind.
 */
#ifndef CPAM_PG_TAR_H
#define CPAM_PG_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/scope.h"

enum
{
    TAR_BLOCK = 512,
    TAR_NAME_MAX = 100, /* of a path or a link's target, with its NUL */
    TAR_SIZE_BITS = 62  /* no file has more bytes than that many bits hold */
};

enum tar_kind
{
    TAR_FILE,
    TAR_DIRECTORY,
    TAR_LINK
};

struct tar_entry
{
    enum tar_kind kind;
    char path[TAR_NAME_MAX]; /* relative; no empty, "." or ".." part, no slash at the end */
    char target[TAR_NAME_MAX];
    uint32_t mode; /* permissions only */
    uint64_t size; /* of a file */
    int64_t mtime; /* s since 1970 UTC */
};

/* One header.  *zeros: it is a block of zeros, which is no header. */
enum cpam_status tar_header_parse(const uint8_t block[TAR_BLOCK], bool *zeros,
                                  struct tar_entry *out, struct cpam_err *err) CPAM_CHECK;

/* What comes: an entry; if it is a file all of its content, in order, in pieces of any size; its end. */
struct tar_events
{
    enum cpam_status (*entry)(void *arg, const struct tar_entry *entry, struct cpam_err *err);
    enum cpam_status (*content)(void *arg, const uint8_t *data, size_t size, struct cpam_err *err);
    enum cpam_status (*file_end)(void *arg, struct cpam_err *err);
};

struct tar_reader;
enum cpam_status tar_reader_new(const struct tar_events *events, void *arg, struct tar_reader **out,
                                struct cpam_err *err) CPAM_CHECK;
/* The next bytes of the archive, in pieces of any size. */
enum cpam_status tar_reader_write(struct tar_reader *reader, const uint8_t *data, size_t size,
                                  struct cpam_err *err) CPAM_CHECK;
/* There are no more.  terminated: two blocks of zeros must have come; otherwise they may. */
enum cpam_status tar_reader_end(struct tar_reader *reader, bool terminated,
                                struct cpam_err *err) CPAM_CHECK;
void tar_reader_free(struct tar_reader *reader);
CPAM_SCOPED(tar_reader_free, struct tar_reader);

#endif
