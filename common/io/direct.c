/*
 * direct.c - the part of a write or a read that can pass the page cache by, and the rest.
 */
#include "io/direct.h"

#include <errno.h>

#include "io/file.h"

static bool
on_a_page(uint64_t number)
{
    return number % DIRECT_BLOCK == 0;
}

static bool
can_pass_by(const struct direct *direct, const void *data, size_t size, uint64_t at)
{
    return direct->able && size > 0 && on_a_page(size) && on_a_page((uintptr_t) data) &&
           on_a_page(at) && at <= (uint64_t) INT64_MAX - size;
}

/* What it wants of place and memory is more, or it can't at all. */
static bool
is_unable(int sys)
{
    return sys == EINVAL || sys == EOPNOTSUPP || sys == ENOSYS;
}

/* A descriptor that can't be set is one that nothing passes by. */
static void
turn_on(struct io *io, int fd, struct direct *direct)
{
    if (!direct->on)
        direct->on = direct->able = io->ops->direct(io, fd, true) == 0;
}

static enum cpam_status
turn_off(struct io *io, int fd, const char *path, struct direct *direct, struct cpam_err *err)
{
    if (direct->on && io->ops->direct(io, fd, false) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not turn to the page cache for \"%s\"", path);
    direct->on = false;
    return CPAM_OK;
}

/* Whole blocks.  *done: bytes that are written; what is left is for the caller, in the other way. */
static enum cpam_status
write_blocks(struct io *io, int fd, const char *path, struct direct *direct, const uint8_t *data,
             size_t size, uint64_t at, size_t *done, struct cpam_err *err)
{
    turn_on(io, fd, direct);
    while (direct->on && *done < size && on_a_page(*done))
    {
        ssize_t put = io->ops->pwrite(io, fd, data + *done, size - *done, (off_t) (at + *done));

        if (put > 0)
            *done += (size_t) put;
        else if (put == 0 || is_unable(errno))
            break;
        else if (errno != EINTR)
            return cpam_fail(err, CPAM_IO, errno, "could not write \"%s\"", path);
    }
    direct->able = *done == size;
    return CPAM_OK;
}

enum cpam_status
direct_write_at(struct io *io, int fd, const char *path, struct direct *direct, const void *data,
                size_t size, uint64_t at, struct cpam_err *err)
{
    size_t whole = size - size % DIRECT_BLOCK, done = 0;

    if (whole >= DIRECT_LEAST && can_pass_by(direct, data, whole, at))
        CPAM_TRY(write_blocks(io, fd, path, direct, data, whole, at, &done, err));
    if (done == size)
        return CPAM_OK;
    CPAM_TRY(turn_off(io, fd, path, direct, err));
    return file_write_at(io, fd, path, (const uint8_t *) data + done, size - done, at + done, err);
}

/* As far as it goes by.  What is left is read in the other way, which knows whether that is the end of
   the file or a failure, and of what. */
static void
read_blocks(struct io *io, int fd, struct direct *direct, uint8_t *data, size_t size, uint64_t at,
            size_t *got)
{
    turn_on(io, fd, direct);
    while (direct->on && *got < size && on_a_page(*got))
    {
        ssize_t n = io->ops->pread(io, fd, data + *got, size - *got, (off_t) (at + *got));

        if (n > 0)
            *got += (size_t) n;
        else if (n == 0 || errno != EINTR)
            break;
    }
}

enum cpam_status
direct_read_at(struct io *io, int fd, const char *path, struct direct *direct, void *data,
               size_t size, uint64_t at, size_t *got, struct cpam_err *err)
{
    size_t rest = 0;

    *got = 0;
    if (can_pass_by(direct, data, size, at))
        read_blocks(io, fd, direct, data, size, at, got);
    if (*got == size)
        return CPAM_OK;
    CPAM_TRY(turn_off(io, fd, path, direct, err));
    CPAM_TRY(
        file_read_at(io, fd, path, (uint8_t *) data + *got, size - *got, at + *got, &rest, err));
    if (rest > 0)
        direct->able = false; /* there was more than it had brought */
    *got += rest;
    return CPAM_OK;
}
