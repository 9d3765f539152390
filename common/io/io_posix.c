/*
 * io_posix.c - the real door: one system call a function, nothing added.
 *
 * The exceptions are random (getrandom may return less than asked for) and open_beneath, which
 * walks the path by itself where the kernel has no openat2(2) (before 5.6, or behind an old seccomp
 * filter that answers ENOSYS).
 */
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int
posix_open(struct io *io, int dir_fd, const char *path, int flags, mode_t mode)
{
    (void) io;
    return openat(dir_fd, path, flags | O_CLOEXEC, mode);
}

/* Component by component with O_NOFOLLOW: what RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS promise. */
static int
walk_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
    int at = dir_fd;

    if (path[0] == '/' || path[0] == '\0')
    {
        errno = path[0] == '/' ? EXDEV : ENOENT;
        return -1;
    }
    for (;;)
    {
        char part[256];
        size_t len = strcspn(path, "/");

        if (len >= sizeof(part))
            errno = ENAMETOOLONG;
        else if (len == 2 && path[0] == '.' && path[1] == '.')
            errno = EXDEV;
        else
        {
            bool last = path[len + strspn(path + len, "/")] == '\0';

            memcpy(part, path, len);
            part[len] = '\0';
            int fd = last ? openat(at, part, flags | O_CLOEXEC | O_NOFOLLOW, mode)
                          : openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            int sys = errno;
            if (at != dir_fd)
                close(at);
            errno = sys;
            if (fd < 0 || last)
                return fd;
            at = fd;
            path += len + strspn(path + len, "/");
            continue;
        }
        int sys = errno;
        if (at != dir_fd)
            close(at);
        errno = sys;
        return -1;
    }
}

static int
posix_open_beneath(struct io *io, int dir_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t) (unsigned) flags | O_CLOEXEC,
        .mode = (flags & O_CREAT) != 0 ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };

    (void) io;
    long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
    if (fd < 0 && errno == ENOSYS)
        return walk_beneath(dir_fd, path, flags, mode);
    return (int) fd;
}

static ssize_t
posix_read(struct io *io, int fd, void *data, size_t size)
{
    (void) io;
    return read(fd, data, size);
}

static ssize_t
posix_pread(struct io *io, int fd, void *data, size_t size, off_t at)
{
    (void) io;
    return pread(fd, data, size, at);
}

static ssize_t
posix_write(struct io *io, int fd, const void *data, size_t size)
{
    (void) io;
    return write(fd, data, size);
}

static ssize_t
posix_pwrite(struct io *io, int fd, const void *data, size_t size, off_t at)
{
    (void) io;
    return pwrite(fd, data, size, at);
}

static int
posix_fsync(struct io *io, int fd)
{
    (void) io;
    return fsync(fd);
}

static int
posix_close(struct io *io, int fd)
{
    (void) io;
    return close(fd);
}

static int
posix_ftruncate(struct io *io, int fd, off_t size)
{
    (void) io;
    return ftruncate(fd, size);
}

static int
posix_fallocate_(struct io *io, int fd, off_t at, off_t size)
{
    (void) io;
    return fallocate(fd, 0, at, size);
}

static int
posix_punch(struct io *io, int fd, off_t at, off_t size)
{
    (void) io;
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, size);
}

static int
posix_direct(struct io *io, int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    (void) io;
    if (flags < 0)
        return -1;
    return fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

static int
posix_fchmod(struct io *io, int fd, mode_t mode)
{
    (void) io;
    return fchmod(fd, mode);
}

static int
posix_fchown(struct io *io, int fd, uid_t uid, gid_t gid)
{
    (void) io;
    return fchown(fd, uid, gid);
}

static int
posix_fstat(struct io *io, int fd, struct stat *out)
{
    (void) io;
    return fstat(fd, out);
}

static int
posix_stat(struct io *io, int dir_fd, const char *path, int flags, struct stat *out)
{
    (void) io;
    return fstatat(dir_fd, path, out, flags);
}

static int
posix_link(struct io *io, int dir_fd, const char *from, const char *to)
{
    (void) io;
    return linkat(dir_fd, from, dir_fd, to, 0);
}

static int
posix_rename(struct io *io, int dir_fd, const char *from, const char *to)
{
    (void) io;
    return renameat(dir_fd, from, dir_fd, to);
}

static int
posix_rename_new(struct io *io, int dir_fd, const char *from, const char *to)
{
    (void) io;
    return renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE);
}

static int
posix_unlink(struct io *io, int dir_fd, const char *path, int flags)
{
    (void) io;
    return unlinkat(dir_fd, path, flags);
}

static int
posix_mkdir(struct io *io, int dir_fd, const char *path, mode_t mode)
{
    (void) io;
    return mkdirat(dir_fd, path, mode);
}

static int
posix_symlink(struct io *io, const char *to, int dir_fd, const char *path)
{
    (void) io;
    return symlinkat(to, dir_fd, path);
}

static ssize_t
posix_readlink(struct io *io, int dir_fd, const char *path, char *out, size_t size)
{
    (void) io;
    return readlinkat(dir_fd, path, out, size);
}

static DIR *
posix_opendir(struct io *io, int dir_fd, const char *path)
{
    (void) io;
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    DIR *dir = fdopendir(fd);
    if (dir == NULL)
    {
        int sys = errno;

        close(fd);
        errno = sys;
    }
    return dir;
}

static struct dirent *
posix_readdir(struct io *io, DIR *dir)
{
    (void) io;
    errno = 0;
    return readdir(dir);
}

static int
posix_closedir(struct io *io, DIR *dir)
{
    (void) io;
    return closedir(dir);
}

static int64_t
clock_us(clockid_t id)
{
    struct timespec now = {0};

    clock_gettime(id, &now); /* can't fail for these two clocks */
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t
posix_now(struct io *io)
{
    (void) io;
    return clock_us(CLOCK_REALTIME);
}

static int64_t
posix_monotonic(struct io *io)
{
    (void) io;
    return clock_us(CLOCK_MONOTONIC);
}

static void
posix_sleep(struct io *io, int64_t us)
{
    (void) io;
    if (us <= 0)
        return;
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = (us % 1000000) * 1000};

    nanosleep(&time, NULL);
}

static int
posix_random(struct io *io, void *out, size_t size)
{
    uint8_t *at = out;

    (void) io;
    while (size > 0)
    {
        ssize_t got = getrandom(at, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        at += got;
        size -= (size_t) got;
    }
    return 0;
}

static const struct io_ops posix_ops = {
    .open = posix_open,
    .open_beneath = posix_open_beneath,
    .read = posix_read,
    .pread = posix_pread,
    .write = posix_write,
    .pwrite = posix_pwrite,
    .fsync = posix_fsync,
    .close = posix_close,
    .ftruncate = posix_ftruncate,
    .fallocate = posix_fallocate_,
    .punch = posix_punch,
    .direct = posix_direct,
    .fchmod = posix_fchmod,
    .fchown = posix_fchown,
    .fstat = posix_fstat,
    .stat = posix_stat,
    .link = posix_link,
    .rename = posix_rename,
    .rename_new = posix_rename_new,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .symlink = posix_symlink,
    .readlink = posix_readlink,
    .opendir = posix_opendir,
    .readdir = posix_readdir,
    .closedir = posix_closedir,
    .now = posix_now,
    .monotonic = posix_monotonic,
    .sleep = posix_sleep,
    .random = posix_random,
};

struct io *
io_posix(void)
{
    static struct io posix = {&posix_ops};

    return &posix;
}
