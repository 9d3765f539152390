/*
 * io.h - the one door to the outside: files, clock, sleep, random.
 *
 * Production passes io_posix().  Tests pass a twin that fails the Nth call, counts open
 * descriptors, records the order of calls, and holds a clock of its own (tests/fault/).  Nothing
 * else in the suite calls open(2), time(2), nanosleep(2) or getrandom(2).
 *
 * The calls are thin: they return what the system call returns (-1 with errno), so that the twin
 * can stand in for each of them.  Sentences are made one step up, in file.h.
 *
 * An io may be used by several threads at once.
 */
#ifndef CPAM_IO_IO_H
#define CPAM_IO_IO_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct io;

struct io_ops
{
    /* dir_fd as in openat(2): AT_FDCWD or a directory descriptor */
    int (*open)(struct io *io, int dir_fd, const char *path, int flags, mode_t mode);
    /* openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS: never leaves dir_fd */
    int (*open_beneath)(struct io *io, int dir_fd, const char *path, int flags, mode_t mode);
    ssize_t (*read)(struct io *io, int fd, void *data, size_t size);
    ssize_t (*pread)(struct io *io, int fd, void *data, size_t size, off_t at);
    ssize_t (*write)(struct io *io, int fd, const void *data, size_t size);
    ssize_t (*pwrite)(struct io *io, int fd, const void *data, size_t size, off_t at);
    int (*fsync)(struct io *io, int fd);
    int (*close)(struct io *io, int fd);
    int (*ftruncate)(struct io *io, int fd, off_t size);
    int (*fallocate)(struct io *io, int fd, off_t at, off_t size);
    /* fallocate(2) with FALLOC_FL_PUNCH_HOLE: zeros that take no room; the length stays */
    int (*punch)(struct io *io, int fd, off_t at, off_t size);
    /* fcntl(2), F_SETFL with or without O_DIRECT; EINVAL where the file system has none */
    int (*direct)(struct io *io, int fd, bool on);
    int (*fchmod)(struct io *io, int fd, mode_t mode);
    int (*fchown)(struct io *io, int fd, uid_t uid, gid_t gid);
    int (*fstat)(struct io *io, int fd, struct stat *out);
    int (*stat)(struct io *io, int dir_fd, const char *path, int flags, struct stat *out);
    int (*link)(struct io *io, int dir_fd, const char *from, const char *to);
    int (*rename)(struct io *io, int dir_fd, const char *from, const char *to);
    /* renameat2(2) with RENAME_NOREPLACE */
    int (*rename_new)(struct io *io, int dir_fd, const char *from, const char *to);
    int (*unlink)(struct io *io, int dir_fd, const char *path, int flags);
    int (*mkdir)(struct io *io, int dir_fd, const char *path, mode_t mode);
    int (*symlink)(struct io *io, const char *to, int dir_fd, const char *path);
    ssize_t (*readlink)(struct io *io, int dir_fd, const char *path, char *out, size_t size);
    DIR *(*opendir)(struct io *io, int dir_fd, const char *path);
    struct dirent *(*readdir)(struct io *io, DIR *dir); /* errno 0 at the end */
    int (*closedir)(struct io *io, DIR *dir);
    int64_t (*now)(struct io *io);                        /* wall clock, us since 1970 UTC */
    int64_t (*monotonic)(struct io *io);                  /* us since some start; never goes back */
    void (*sleep)(struct io *io, int64_t us);             /* may wake early on a signal */
    int (*random)(struct io *io, void *out, size_t size); /* 0, or -1 with errno */
};

struct io
{
    const struct io_ops *ops;
};

/* The real thing.  Never freed. */
struct io *io_posix(void);

/* A moment on the monotonic clock after which an operation gives up.  `at` 0: never. */
struct deadline
{
    int64_t at; /* us on io's monotonic clock */
};

/* us from now; us <= 0 makes a deadline that has passed already. */
struct deadline deadline_after(struct io *io, int64_t us);

/* Microseconds left: 0 when it has passed, INT64_MAX when there is none. */
int64_t deadline_left(struct io *io, struct deadline deadline);

/* The earlier, and the later, of the two. */
struct deadline deadline_sooner(struct deadline a, struct deadline b);
struct deadline deadline_later(struct deadline a, struct deadline b);

#endif
