/*
 * hung.c - first a descriptor of the process, then a look at what it is, then the signal: so the
 * number can't become another process in between.  Kernels before 5.3 have no such descriptor.
 */
#include "handoff/hung.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scope.h"

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
        return false;
    path[size] = '\0';
    size_t name = (size_t) size - (sizeof(replaced) - 1);
    if ((size_t) size >= sizeof(replaced) && strcmp(path + name, replaced) == 0)
        path[name] = '\0';
    return strcmp(path, real != NULL ? real : program) == 0;
}

static bool
is_ours(struct io *io, pid_t pid)
{
    char path[64];
    struct stat about;

    snprintf(path, sizeof(path), "/proc/%ld", (long) pid);
    return io->ops->stat(io, AT_FDCWD, path, 0, &about) == 0 && about.st_uid == geteuid();
}

bool
handoff_kill(struct io *io, pid_t pid, const char *program)
{
    bool killed = false;
    int fd = -1;

    if (pid <= 1 || pid == getpid())
        return false;
#ifdef SYS_pidfd_open
    fd = (int) syscall(SYS_pidfd_open, pid, 0);
#endif
    if (is_ours(io, pid) && runs(io, pid, program))
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
