/*
 * restore_existing.c - reading what is there; what can't be read counts as wrong.
 */
#include "restore_existing.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "io/file.h"
#include "pg/crc32c.h"

enum
{
    PIECE = 256 * 1024 /* bytes read at once */
};

enum cpam_status
existing_crc(struct io *io, int fd, const char *path, uint64_t size, uint32_t *crc, bool *whole,
             struct cpam_err *err)
{
    CPAM_AUTO(free) uint8_t *data = malloc(PIECE);
    struct cpam_err why;
    size_t got = 0;

    *crc = 0;
    *whole = false;
    if (data == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to read a file");
    for (uint64_t at = 0; at < size; at += got)
    {
        size_t part = size - at < PIECE ? (size_t) (size - at) : (size_t) PIECE;

        if (file_read_at(io, fd, path, data, part, at, &got, &why) != CPAM_OK || got != part)
            return CPAM_OK;
        *crc = crc32c(*crc, data, got);
    }
    *whole = true;
    return CPAM_OK;
}

static bool
is_zero(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

enum cpam_status
existing_zero(struct io *io, int fd, const char *path, uint64_t at, uint64_t size,
              struct cpam_err *err)
{
    CPAM_AUTO(free) uint8_t *data = malloc(PIECE);
    struct cpam_err why;

    if (data == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to read a file");
    while (size > 0)
    {
        size_t part = size < PIECE ? (size_t) size : (size_t) PIECE;
        size_t got = 0;

        if (file_read_at(io, fd, path, data, part, at, &got, &why) != CPAM_OK || got != part ||
            !is_zero(data, part))
            CPAM_TRY(file_zero_at(io, fd, path, part, at, err));
        at += part;
        size -= part;
    }
    return CPAM_OK;
}
