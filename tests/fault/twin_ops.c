/*
 * twin_ops.c - the twin's table: each call asks twin_gate(), then does the real thing, and tells
 * the log what changed.
 */
#include "twin_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A real result, unless the reply is to get lost. */
static int
reply(bool fail, int result, int sys)
{
    if (!fail)
        return result;
    errno = sys;
    return -1;
}

static size_t
at_once(const struct io_twin *twin, size_t size)
{
    return twin->plan.short_bytes != 0 && size > twin->plan.short_bytes ? twin->plan.short_bytes
                                                                        : size;
}

typedef int (*open_fn)(struct io *io, int dir_fd, const char *path, int flags, mode_t mode);

static int
open_by(struct io_twin *twin, const char *kind, open_fn how, int dir_fd, const char *path,
        int flags, mode_t mode)
{
    char *whole = twin_absolute(dir_fd, path);
    int fd = -1;

    if (!twin_gate(twin, kind, whole, ""))
    {
        struct stat about;
        bool there =
            twin->real->ops->stat(twin->real, dir_fd, path, AT_SYMLINK_NOFOLLOW, &about) == 0;

        fd = how(twin->real, dir_fd, path, flags, mode);
        int sys = errno;
        if (fd >= 0)
            twin_opened(twin, fd, whole);
        if (fd >= 0 && twin->log != NULL && (flags & O_CREAT) != 0 && !there)
            twin_log_created(twin->log, fd, whole);
        if (fd >= 0 && twin->log != NULL && (flags & O_TRUNC) != 0 && there)
            twin_log_truncate(twin->log, fd, 0);
        errno = sys;
    }
    int sys = errno;
    free(whole);
    errno = sys;
    return fd;
}

static int
twin_open(struct io *io, int dir_fd, const char *path, int flags, mode_t mode)
{
    struct io_twin *twin = twin_enter(io);
    int fd = open_by(twin, "open", twin->real->ops->open, dir_fd, path, flags, mode);

    twin_leave(twin);
    return fd;
}

static int
twin_open_beneath(struct io *io, int dir_fd, const char *path, int flags, mode_t mode)
{
    struct io_twin *twin = twin_enter(io);
    int fd =
        open_by(twin, "open_beneath", twin->real->ops->open_beneath, dir_fd, path, flags, mode);

    twin_leave(twin);
    return fd;
}

static ssize_t
twin_read(struct io *io, int fd, void *data, size_t size)
{
    struct io_twin *twin = twin_enter(io);
    ssize_t got = -1;

    if (!twin_gate(twin, "read", twin_path_of(twin, fd), ""))
        got = twin->real->ops->read(twin->real, fd, data, at_once(twin, size));
    twin_leave(twin);
    return got;
}

static ssize_t
twin_pread(struct io *io, int fd, void *data, size_t size, off_t at)
{
    struct io_twin *twin = twin_enter(io);
    ssize_t got = -1;

    if (!twin_gate(twin, "pread", twin_path_of(twin, fd), ""))
        got = twin->real->ops->pread(twin->real, fd, data, at_once(twin, size), at);
    twin_leave(twin);
    return got;
}

static ssize_t
twin_write(struct io *io, int fd, const void *data, size_t size)
{
    struct io_twin *twin = twin_enter(io);
    off_t at = twin->log == NULL ? 0 : lseek(fd, 0, SEEK_CUR);
    ssize_t put = -1;

    if (!twin_gate(twin, "write", twin_path_of(twin, fd), ""))
        put = twin->real->ops->write(twin->real, fd, data, at_once(twin, size));
    if (put > 0 && twin->log != NULL && at >= 0)
        twin_log_write(twin->log, fd, (uint64_t) at, data, (size_t) put);
    twin_leave(twin);
    return put;
}

static ssize_t
twin_pwrite(struct io *io, int fd, const void *data, size_t size, off_t at)
{
    struct io_twin *twin = twin_enter(io);
    ssize_t put = -1;

    if (!twin_gate(twin, "pwrite", twin_path_of(twin, fd), ""))
        put = twin->real->ops->pwrite(twin->real, fd, data, at_once(twin, size), at);
    if (put > 0 && twin->log != NULL)
        twin_log_write(twin->log, fd, (uint64_t) at, data, (size_t) put);
    twin_leave(twin);
    return put;
}

static int
twin_fsync(struct io *io, int fd)
{
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "fsync", twin_path_of(twin, fd), ""))
        result = twin->real->ops->fsync(twin->real, fd);
    if (result == 0 && twin->log != NULL)
        twin_log_fsync(twin->log, fd);
    twin_leave(twin);
    return result;
}

/* A close that fails has closed all the same. */
static int
twin_close(struct io *io, int fd)
{
    struct io_twin *twin = twin_enter(io);
    bool fail = twin_gate(twin, "close", twin_path_of(twin, fd), "");
    int sys = errno;

    if (fd >= 0 && fd < TWIN_FDS_MAX)
    {
        free(twin->paths[fd]);
        twin->paths[fd] = NULL;
    }
    int result = twin->real->ops->close(twin->real, fd);
    if (result == 0)
        twin->open_fds--;
    result = reply(fail, result, sys);
    twin_leave(twin);
    return result;
}

static int
twin_ftruncate(struct io *io, int fd, off_t size)
{
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "ftruncate", twin_path_of(twin, fd), ""))
        result = twin->real->ops->ftruncate(twin->real, fd, size);
    if (result == 0 && twin->log != NULL)
        twin_log_truncate(twin->log, fd, (uint64_t) size);
    twin_leave(twin);
    return result;
}

static int
twin_stat(struct io *io, int dir_fd, const char *path, int flags, struct stat *out)
{
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "stat", path, ""))
        result = twin->real->ops->stat(twin->real, dir_fd, path, flags, out);
    twin_leave(twin);
    return result;
}

typedef int (*pair_fn)(struct io *io, int dir_fd, const char *from, const char *to);

static int
pair(struct io *io, const char *kind, int which, int dir_fd, const char *from, const char *to)
{
    struct io_twin *twin = twin_enter(io);
    const pair_fn calls[] = {twin->real->ops->link, twin->real->ops->rename,
                             twin->real->ops->rename_new};
    char *source = twin_absolute(dir_fd, from);
    char *target = twin_absolute(dir_fd, to);
    bool fail = twin_gate(twin, kind, source, target);
    int sys = errno;
    int result = -1;

    if (!fail || twin->plan.fail_after)
    {
        result = calls[which](twin->real, dir_fd, from, to);
        int real = errno;
        if (result == 0 && twin->log != NULL)
            (which == 0 ? twin_log_link : twin_log_rename)(twin->log, source, target);
        errno = real;
    }
    result = reply(fail, result, fail ? sys : errno);
    sys = errno;
    free(source);
    free(target);
    errno = sys;
    twin_leave(twin);
    return result;
}

static int
twin_link(struct io *io, int dir_fd, const char *from, const char *to)
{
    return pair(io, "link", 0, dir_fd, from, to);
}

static int
twin_rename(struct io *io, int dir_fd, const char *from, const char *to)
{
    return pair(io, "rename", 1, dir_fd, from, to);
}

static int
twin_rename_new(struct io *io, int dir_fd, const char *from, const char *to)
{
    return pair(io, "rename_new", 2, dir_fd, from, to);
}

static int
twin_unlink(struct io *io, int dir_fd, const char *path, int flags)
{
    struct io_twin *twin = twin_enter(io);
    char *whole = twin_absolute(dir_fd, path);
    int result = -1;

    if (!twin_gate(twin, "unlink", whole, ""))
        result = twin->real->ops->unlink(twin->real, dir_fd, path, flags);
    int sys = errno;
    if (result == 0 && twin->log != NULL)
        twin_log_unlink(twin->log, whole);
    free(whole);
    errno = sys;
    twin_leave(twin);
    return result;
}

static int
twin_mkdir(struct io *io, int dir_fd, const char *path, mode_t mode)
{
    struct io_twin *twin = twin_enter(io);
    char *whole = twin_absolute(dir_fd, path);
    int result = -1;

    if (!twin_gate(twin, "mkdir", whole, ""))
        result = twin->real->ops->mkdir(twin->real, dir_fd, path, mode);
    int sys = errno;
    if (result == 0 && twin->log != NULL)
        twin_log_mkdir(twin->log, whole);
    free(whole);
    errno = sys;
    twin_leave(twin);
    return result;
}

static int
twin_symlink(struct io *io, const char *to, int dir_fd, const char *path)
{
    struct io_twin *twin = twin_enter(io);
    char *whole = twin_absolute(dir_fd, path);
    int result = -1;

    if (!twin_gate(twin, "symlink", whole, to))
        result = twin->real->ops->symlink(twin->real, to, dir_fd, path);
    int sys = errno;
    if (result == 0 && twin->log != NULL)
        twin_log_symlink(twin->log, to, whole);
    free(whole);
    errno = sys;
    twin_leave(twin);
    return result;
}

static ssize_t
twin_readlink(struct io *io, int dir_fd, const char *path, char *out, size_t size)
{
    struct io_twin *twin = twin_enter(io);
    ssize_t result = -1;

    if (!twin_gate(twin, "readlink", path, ""))
        result = twin->real->ops->readlink(twin->real, dir_fd, path, out, size);
    twin_leave(twin);
    return result;
}

static DIR *
twin_opendir(struct io *io, int dir_fd, const char *path)
{
    struct io_twin *twin = twin_enter(io);
    DIR *dir = NULL;

    if (!twin_gate(twin, "opendir", path, ""))
        dir = twin->real->ops->opendir(twin->real, dir_fd, path);
    if (dir != NULL)
        twin->open_fds++;
    twin_leave(twin);
    return dir;
}

static struct dirent *
twin_readdir(struct io *io, DIR *dir)
{
    struct io_twin *twin = twin_enter(io);
    struct dirent *entry = NULL;

    if (!twin_gate(twin, "readdir", "", ""))
        entry = twin->real->ops->readdir(twin->real, dir);
    twin_leave(twin);
    return entry;
}

static int
twin_closedir(struct io *io, DIR *dir)
{
    struct io_twin *twin = twin_enter(io);
    bool fail = twin_gate(twin, "closedir", "", "");
    int sys = errno;
    int result = twin->real->ops->closedir(twin->real, dir);

    twin->open_fds--;
    result = reply(fail, result, sys);
    twin_leave(twin);
    return result;
}

static int
twin_random(struct io *io, void *out, size_t size)
{
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "random", "", ""))
        result = twin->real->ops->random(twin->real, out, size);
    twin_leave(twin);
    return result;
}

static int64_t
twin_now(struct io *io)
{
    struct io_twin *twin = twin_enter(io);
    int64_t now = twin->plan.real_clock ? twin->real->ops->now(twin->real)
                                        : INT64_C(1767225600000000) + twin->clock;

    twin_leave(twin);
    return now;
}

static int64_t
twin_monotonic(struct io *io)
{
    struct io_twin *twin = twin_enter(io);
    int64_t now = twin->plan.real_clock ? twin->real->ops->monotonic(twin->real) : twin->clock;

    twin_leave(twin);
    return now;
}

static void
twin_sleep(struct io *io, int64_t us)
{
    struct io_twin *twin = twin_enter(io);

    twin->slept += us;
    twin->clock += us;
    bool real = twin->plan.real_clock;
    twin_leave(twin);
    if (real)
        twin->real->ops->sleep(twin->real, us);
}

static int
twin_fallocate(struct io *io, int fd, off_t at, off_t size)
{
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "fallocate", twin_path_of(twin, fd), ""))
        result = twin->real->ops->fallocate(twin->real, fd, at, size);
    struct stat about;
    int sys = errno;
    if (result == 0 && twin->log != NULL && fstat(fd, &about) == 0)
        twin_log_truncate(twin->log, fd, (uint64_t) about.st_size); /* it may have grown */
    errno = sys;
    twin_leave(twin);
    return result;
}

static int
twin_punch(struct io *io, int fd, off_t at, off_t size)
{
    static const uint8_t zeros[65536];
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "punch", twin_path_of(twin, fd), ""))
        result = twin->real->ops->punch(twin->real, fd, at, size);
    for (off_t done = 0; result == 0 && twin->log != NULL && done < size;)
    {
        size_t part = size - done < (off_t) sizeof(zeros) ? (size_t) (size - done) : sizeof(zeros);

        twin_log_write(twin->log, fd, (uint64_t) (at + done), zeros, part);
        done += (off_t) part;
    }
    twin_leave(twin);
    return result;
}

static int
twin_direct(struct io *io, int fd, bool on)
{
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "direct", twin_path_of(twin, fd), on ? "on" : "off"))
        result = twin->real->ops->direct(twin->real, fd, on);
    twin_leave(twin);
    return result;
}

static int
twin_fchmod(struct io *io, int fd, mode_t mode)
{
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "fchmod", twin_path_of(twin, fd), ""))
        result = twin->real->ops->fchmod(twin->real, fd, mode);
    twin_leave(twin);
    return result;
}

static int
twin_fchown(struct io *io, int fd, uid_t uid, gid_t gid)
{
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "fchown", twin_path_of(twin, fd), ""))
        result = twin->real->ops->fchown(twin->real, fd, uid, gid);
    twin_leave(twin);
    return result;
}

static int
twin_fstat(struct io *io, int fd, struct stat *out)
{
    struct io_twin *twin = twin_enter(io);
    int result = -1;

    if (!twin_gate(twin, "fstat", twin_path_of(twin, fd), ""))
        result = twin->real->ops->fstat(twin->real, fd, out);
    twin_leave(twin);
    return result;
}

const struct io_ops twin_ops = {
    .open = twin_open,
    .open_beneath = twin_open_beneath,
    .read = twin_read,
    .pread = twin_pread,
    .write = twin_write,
    .pwrite = twin_pwrite,
    .fsync = twin_fsync,
    .close = twin_close,
    .ftruncate = twin_ftruncate,
    .fallocate = twin_fallocate,
    .punch = twin_punch,
    .direct = twin_direct,
    .fchmod = twin_fchmod,
    .fchown = twin_fchown,
    .fstat = twin_fstat,
    .stat = twin_stat,
    .link = twin_link,
    .rename = twin_rename,
    .rename_new = twin_rename_new,
    .unlink = twin_unlink,
    .mkdir = twin_mkdir,
    .symlink = twin_symlink,
    .readlink = twin_readlink,
    .opendir = twin_opendir,
    .readdir = twin_readdir,
    .closedir = twin_closedir,
    .now = twin_now,
    .monotonic = twin_monotonic,
    .sleep = twin_sleep,
    .random = twin_random,
};
