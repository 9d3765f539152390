/*
 * hung.c - first a descriptor of the process, then a look at what it is, then the signal: so the
 * number can't become another process in between (before Linux 5.3 there is no such descriptor).
 *
 * That it holds the lock is what makes it the worker; its program is looked at all the same, for a
 * signal that can't be taken back.  A worker that keeps keys in memory hides /proc/PID/exe from its
 * own user (prctl(2), PR_SET_DUMPABLE): then its command line must do.
 */
#include "handoff/hung.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "handoff/socket.h"

pid_t
handoff_lock_holder(const struct handoff_place *place, struct io *io, enum handoff_role role)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char name[HANDOFF_FILE_MAX];

    handoff_file_name(role, "lock", name);
    int fd = io->ops->open(io, handoff_place_fd(place), name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return 0;
    bool held = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    io->ops->close(io, fd);
    return held && lock.l_pid > 0 ? lock.l_pid : 0;
}

static bool
started_as(struct io *io, pid_t pid, const char *program)
{
    char path[64], line[PATH_MAX];

    snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long) pid);
    int fd = io->ops->open(io, AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    ssize_t size = io->ops->read(io, fd, line, sizeof(line) - 1);
    io->ops->close(io, fd);
    if (size <= 0)
        return false;
    line[size] = '\0';
    return strcmp(line, program) == 0;
}

static bool
runs(struct io *io, pid_t pid, const char *program)
{
    static const char replaced[] = " (deleted)";
    CPAM_AUTO(free) char *real = realpath(program, NULL);
    char link[64], path[PATH_MAX + sizeof(replaced)];
    struct stat running, wanted;

    snprintf(link, sizeof(link), "/proc/%ld/exe", (long) pid);
    if (io->ops->stat(io, AT_FDCWD, link, 0, &running) == 0 &&
        io->ops->stat(io, AT_FDCWD, program, 0, &wanted) == 0 && running.st_dev == wanted.st_dev &&
        running.st_ino == wanted.st_ino)
        return true;
    ssize_t size = io->ops->readlink(io, AT_FDCWD, link, path, sizeof(path) - 1);
    if (size < 0)
        return (errno == EACCES || errno == EPERM) && started_as(io, pid, program);
    path[size] = '\0';
    size_t name = (size_t) size - (sizeof(replaced) - 1);
    if ((size_t) size >= sizeof(replaced) && strcmp(path + name, replaced) == 0)
        path[name] = '\0';
    return strcmp(path, real != NULL ? real : program) == 0;
}

/* What hides itself belongs to root in /proc, and only root could kill somebody else's. */
static bool
is_ours(struct io *io, pid_t pid)
{
    char path[64];
    struct stat about;

    snprintf(path, sizeof(path), "/proc/%ld", (long) pid);
    return io->ops->stat(io, AT_FDCWD, path, 0, &about) == 0 &&
           (about.st_uid == geteuid() || about.st_uid == 0);
}

bool
handoff_kill(const struct handoff_place *place, struct io *io, enum handoff_role role, pid_t pid,
             const char *program)
{
    bool killed = false;
    int fd = -1;

    if (pid <= 1 || pid == getpid())
        return false;
#ifdef SYS_pidfd_open
    fd = (int) syscall(SYS_pidfd_open, pid, 0);
#endif
    if (handoff_lock_holder(place, io, role) == pid && is_ours(io, pid) && runs(io, pid, program))
    {
#ifdef SYS_pidfd_send_signal
        if (fd >= 0)
            killed = syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
#endif
        if (fd < 0)
            killed = kill(pid, SIGKILL) == 0;
    }
    if (fd >= 0)
        io->ops->close(io, fd);
    return killed;
}
