/*
 * file.c - files through the door: one call, its sentence, and what has to be repeated by hand.
 *
 * EINTR is tried again everywhere but in fsync and close: there an error of any kind is final, as
 * the kernel may have dropped the pages it could not write.
 */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static enum cpam_status
refused(int sys, const char *what, const char *path, struct cpam_err *err)
{
    enum cpam_status status = CPAM_IO;

    if (sys == ENOENT)
        status = CPAM_NOT_FOUND;
    else if (sys == EEXIST)
        status = CPAM_EXISTS;
    return cpam_fail(err, status, sys, "could not %s \"%s\"", what, path);
}

enum cpam_status
file_open(struct io *io, const char *path, int flags, mode_t mode, int *out_fd,
          struct cpam_err *err)
{
    do
        *out_fd = io->ops->open(io, AT_FDCWD, path, flags | O_CLOEXEC, mode);
    while (*out_fd < 0 && errno == EINTR);
    if (*out_fd >= 0)
        return CPAM_OK;
    *out_fd = -1;
    return refused(errno, (flags & O_CREAT) != 0 ? "create" : "open", path, err);
}

enum cpam_status
file_close(struct io *io, int fd, const char *path, struct cpam_err *err)
{
    if (io->ops->close(io, fd) != 0)
        return refused(errno, "close", path, err);
    return CPAM_OK;
}

/* A short write is continued; at < 0 writes where the descriptor stands. */
static enum cpam_status
write_all(struct io *io, int fd, const char *path, const void *data, size_t size, off_t at,
          struct cpam_err *err)
{
    const uint8_t *from = data;

    while (size > 0)
    {
        ssize_t put =
            at < 0 ? io->ops->write(io, fd, from, size) : io->ops->pwrite(io, fd, from, size, at);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return refused(put < 0 ? errno : ENOSPC, "write", path, err);
        from += put;
        size -= (size_t) put;
        if (at >= 0)
            at += put;
    }
    return CPAM_OK;
}

enum cpam_status
file_write(struct io *io, int fd, const char *path, const void *data, size_t size,
           struct cpam_err *err)
{
    return write_all(io, fd, path, data, size, -1, err);
}

enum cpam_status
file_write_at(struct io *io, int fd, const char *path, const void *data, size_t size, uint64_t at,
              struct cpam_err *err)
{
    if (at > (uint64_t) INT64_MAX - size)
        return cpam_fail(err, CPAM_INVALID, 0, "could not write \"%s\": too far into the file",
                         path);
    return write_all(io, fd, path, data, size, (off_t) at, err);
}

static enum cpam_status
read_all(struct io *io, int fd, const char *path, void *data, size_t size, off_t at, size_t *got,
         struct cpam_err *err)
{
    uint8_t *to = data;

    *got = 0;
    while (*got < size)
    {
        ssize_t n = at < 0 ? io->ops->read(io, fd, to + *got, size - *got)
                           : io->ops->pread(io, fd, to + *got, size - *got, at + (off_t) *got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refused(errno, "read", path, err);
        if (n == 0)
            break;
        *got += (size_t) n;
    }
    return CPAM_OK;
}

enum cpam_status
file_read(struct io *io, int fd, const char *path, void *data, size_t size, size_t *got,
          struct cpam_err *err)
{
    return read_all(io, fd, path, data, size, -1, got, err);
}

enum cpam_status
file_read_at(struct io *io, int fd, const char *path, void *data, size_t size, uint64_t at,
             size_t *got, struct cpam_err *err)
{
    if (at > (uint64_t) INT64_MAX - size)
        return cpam_fail(err, CPAM_INVALID, 0, "could not read \"%s\": too far into the file",
                         path);
    return read_all(io, fd, path, data, size, (off_t) at, got, err);
}

enum cpam_status
file_zero_at(struct io *io, int fd, const char *path, uint64_t size, uint64_t at,
             struct cpam_err *err)
{
    static const uint8_t zeros[65536];

    if (size == 0 || io->ops->punch(io, fd, (off_t) at, (off_t) size) == 0)
        return CPAM_OK;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return cpam_fail(err, CPAM_IO, errno, "could not make a hole in \"%s\"", path);
    while (size > 0)
    {
        size_t part = size < sizeof(zeros) ? (size_t) size : sizeof(zeros);

        CPAM_TRY(file_write_at(io, fd, path, zeros, part, at, err));
        at += part;
        size -= part;
    }
    return CPAM_OK;
}

enum cpam_status
file_sync(struct io *io, int fd, const char *path, struct cpam_err *err)
{
    if (io->ops->fsync(io, fd) != 0)
        return refused(errno, "flush to disk", path, err);
    return CPAM_OK;
}

enum cpam_status
file_sync_dir(struct io *io, const char *dir, struct cpam_err *err)
{
    int fd;

    CPAM_TRY(file_open(io, dir, O_RDONLY | O_DIRECTORY, 0, &fd, err));
    enum cpam_status status = file_sync(io, fd, dir, err);
    if (io->ops->close(io, fd) != 0 && status == CPAM_OK)
        return refused(errno, "close", dir, err);
    return status;
}

enum cpam_status
file_sync_parent(struct io *io, const char *path, struct cpam_err *err)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return file_sync_dir(io, ".", err);
    if (slash == path)
        return file_sync_dir(io, "/", err);

    CPAM_AUTO(free) char *dir = strndup(path, (size_t) (slash - path));
    if (dir == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    return file_sync_dir(io, dir, err);
}

enum cpam_status
file_unlink(struct io *io, const char *path, struct cpam_err *err)
{
    if (io->ops->unlink(io, AT_FDCWD, path, 0) != 0)
        return refused(errno, "remove", path, err);
    return CPAM_OK;
}

enum cpam_status
file_rename(struct io *io, const char *from, const char *to, struct cpam_err *err)
{
    if (io->ops->rename(io, AT_FDCWD, from, to) == 0)
        return CPAM_OK;

    int sys = errno;
    enum cpam_status status = sys == ENOENT ? CPAM_NOT_FOUND : CPAM_IO;

    return cpam_fail(err, status, sys, "could not rename \"%s\" to \"%s\"", from, to);
}

enum cpam_status
file_stat(struct io *io, const char *path, struct stat *out, struct cpam_err *err)
{
    if (io->ops->stat(io, AT_FDCWD, path, 0, out) != 0)
        return refused(errno, "look at", path, err);
    return CPAM_OK;
}

bool
file_exists(struct io *io, const char *path)
{
    struct stat ignored;

    return io->ops->stat(io, AT_FDCWD, path, 0, &ignored) == 0;
}

enum cpam_status
file_read_all(struct io *io, const char *path, size_t limit, struct cpam_buf *out,
              struct cpam_err *err)
{
    enum
    {
        FIRST = 16 << 10,
        STEP = 1 << 20
    };
    enum cpam_status status;
    int fd;

    out->size = 0;
    CPAM_TRY(file_open(io, path, O_RDONLY, 0, &fd, err));
    for (size_t step = FIRST;; step = STEP)
    {
        size_t got = 0;
        /* One byte more than the limit, so that "too long" is seen. */
        size_t want = step <= limit - out->size ? step : limit - out->size + 1;

        status = cpam_buf_reserve(out, want, limit + 1, err);
        if (status == CPAM_OK)
            status = file_read(io, fd, path, out->data + out->size, want, &got, err);
        if (status != CPAM_OK)
            break;
        out->size += got;
        if (out->size > limit)
        {
            status = cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is larger than the allowed %zu bytes",
                               path, limit);
            break;
        }
        if (got < want)
            break;
    }
    io->ops->close(io, fd); /* only read: nothing can be lost */
    return status;
}

enum cpam_status
pump_fd(struct io *io, int fd, const char *path, struct sink *chain, struct cpam_err *err)
{
    enum
    {
        PUMP_SIZE = 1 << 20
    };
    CPAM_AUTO(free) uint8_t *data = malloc(PUMP_SIZE);
    size_t got;

    if (data == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to read \"%s\"", path);
    do
    {
        CPAM_TRY(file_read(io, fd, path, data, PUMP_SIZE, &got, err));
        CPAM_TRY(sink_write(chain, data, got, err));
    } while (got == PUMP_SIZE);
    return CPAM_OK;
}

static enum cpam_status
make_dir(struct io *io, const char *dir, mode_t mode, struct cpam_err *err)
{
    struct stat about;

    if (io->ops->mkdir(io, AT_FDCWD, dir, mode) == 0)
        return CPAM_OK;
    if (errno != EEXIST)
        return refused(errno, "make the directory", dir, err);
    if (io->ops->stat(io, AT_FDCWD, dir, 0, &about) != 0)
        return refused(errno, "look at", dir, err);
    if (!S_ISDIR(about.st_mode))
        return cpam_fail(err, CPAM_IO, ENOTDIR, "could not make the directory \"%s\"", dir);
    return CPAM_OK;
}

enum cpam_status
file_make_dirs(struct io *io, const char *dir, mode_t mode, struct cpam_err *err)
{
    CPAM_AUTO(free) char *path = strdup(dir);
    struct stat about;

    if (path == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';

    /* Up to the deepest that is there, then down again: mkdir is not tried on directories above,
       which may be of others and answer EACCES or EROFS rather than EEXIST. */
    size_t end = strlen(path);
    size_t depth = end;
    while (depth > 0)
    {
        char kept = path[depth];

        path[depth] = '\0';
        bool there = io->ops->stat(io, AT_FDCWD, path, 0, &about) == 0;
        int sys = errno;
        path[depth] = kept;
        if (there)
            break;
        if (sys != ENOENT)
            return refused(sys, "look at", path, err);
        while (depth > 0 && path[depth - 1] != '/')
            depth--;
        while (depth > 1 && path[depth - 1] == '/')
            depth--;
        if (depth == 1 && path[0] == '/')
            break;
    }
    while (depth < end)
    {
        while (path[depth] == '/')
            depth++;
        depth += strcspn(path + depth, "/");
        char kept = path[depth];
        path[depth] = '\0';
        CPAM_TRY(make_dir(io, path, mode, err));
        /* Also if another process made it just now: it may not have got to its own fsync. */
        CPAM_TRY(file_sync_parent(io, path, err));
        path[depth] = kept;
    }
    return CPAM_OK;
}
