/*
 * restore_servers.c - processes, their data directories, and the links in those.
 */
#include "restore_servers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct search
{
    struct io *io;
    const struct restore_place *place;
    struct stat data, wanted; /* the target, and the place */
    struct stat last;         /* the directory of the process before: a server has many processes */
};

static bool
is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Somebody else's process, or one that has ended since. */
static bool
is_passed_over(int reason)
{
    return reason == ENOENT || reason == ENOTDIR || reason == EACCES || reason == EPERM ||
           reason == ESRCH || reason == ELOOP;
}

static enum cpam_status
look(const struct search *self, const char *path, struct stat *out, bool *there,
     struct cpam_err *err)
{
    *there = self->io->ops->stat(self->io, AT_FDCWD, path, 0, out) == 0;
    return *there || is_passed_over(errno)
               ? CPAM_OK
               : cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", path);
}

static enum cpam_status
in_use(const struct search *self, const char *pid, struct cpam_err *err)
{
    char link[64], data[RESTORE_PATH_MAX] = "?";

    snprintf(link, sizeof(link), "/proc/%.15s/cwd", pid);
    ssize_t size = self->io->ops->readlink(self->io, AT_FDCWD, link, data, sizeof(data) - 1);
    if (size > 0)
        data[size] = '\0';
    cpam_fail(err, CPAM_USAGE, 0,
              "\"%s\", where %s is to be restored, is in use by the server of \"%s\" (process %s)",
              self->place->path, self->place->prefix, data, pid);
    cpam_err_hint(err,
                  "a copy's links lead to the original's directories; give this one a place of its "
                  "own: --tablespace-map %s=/some/empty/directory",
                  self->place->original);
    return CPAM_USAGE;
}

/* One name of a server's data directory; `inner` may be a link. */
static enum cpam_status
check_name(const struct search *self, const char *pid, const char *inner, struct cpam_err *err)
{
    char path[400];
    struct stat found;
    bool there;

    snprintf(path, sizeof(path), "/proc/%.15s/cwd/%.300s", pid, inner);
    CPAM_TRY(look(self, path, &found, &there, err));
    return there && is_same(&found, &self->wanted) ? in_use(self, pid, err) : CPAM_OK;
}

static enum cpam_status
check_tablespaces(const struct search *self, const char *pid, struct cpam_err *err)
{
    char path[64], inner[300];
    enum cpam_status status = CPAM_OK;
    const struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%.15s/cwd/pg_tblspc", pid);
    DIR *dir = self->io->ops->opendir(self->io, AT_FDCWD, path);
    if (dir == NULL)
        return is_passed_over(errno)
                   ? CPAM_OK
                   : cpam_fail(err, CPAM_IO, errno, "could not read \"%s\"", path);
    for (errno = 0; status == CPAM_OK && (entry = self->io->ops->readdir(self->io, dir)) != NULL;
         errno = 0)
    {
        snprintf(inner, sizeof(inner), "pg_tblspc/%.255s", entry->d_name);
        if (entry->d_name[0] != '.')
            status = check_name(self, pid, inner, err);
    }
    if (status == CPAM_OK && errno != 0 && !is_passed_over(errno))
        status = cpam_fail(err, CPAM_IO, errno, "could not read \"%s\"", path);
    self->io->ops->closedir(self->io, dir);
    return status;
}

/* A program of PostgreSQL?  A shell, or this very program, may stand in a copy that somebody has put aside.
   postmaster.pid does not tell: in a container it has a number of that container's. */
static bool
is_postgres(const struct search *self, const char *pid)
{
    char link[64], program[RESTORE_PATH_MAX];

    snprintf(link, sizeof(link), "/proc/%.15s/exe", pid);
    ssize_t size = self->io->ops->readlink(self->io, AT_FDCWD, link, program, sizeof(program) - 1);
    program[size < 0 ? 0 : size] = '\0';
    const char *name = strrchr(program, '/');
    return name != NULL && (strstr(name, "postgres") != NULL || strstr(name, "postmaster") != NULL);
}

/* One whose directory can't be looked at, on a disk that is gone, is no hindrance. */
static enum cpam_status
check_process(struct search *self, const char *pid, struct cpam_err *err)
{
    char cwd[64];
    struct stat own;

    snprintf(cwd, sizeof(cwd), "/proc/%.15s/cwd", pid);
    if (!is_postgres(self, pid) || self->io->ops->stat(self->io, AT_FDCWD, cwd, 0, &own) != 0 ||
        is_same(&own, &self->last) || is_same(&own, &self->data))
        return CPAM_OK;
    self->last = own;
    CPAM_TRY(check_name(self, pid, "pg_wal", err));
    return check_tablespaces(self, pid, err);
}

enum cpam_status
restore_servers_check(struct io *io, const char *data, const struct restore_place *place,
                      struct cpam_err *err)
{
    struct search self = {.io = io, .place = place};
    enum cpam_status status = CPAM_OK;
    const struct dirent *entry;

    if (io->ops->stat(io, AT_FDCWD, data, 0, &self.data) < 0 ||
        io->ops->stat(io, AT_FDCWD, place->path, 0, &self.wanted) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\" or \"%s\"", data,
                         place->path);
    DIR *dir = io->ops->opendir(io, AT_FDCWD, "/proc");
    if (dir == NULL)
        return cpam_fail(err, CPAM_IO, errno,
                         "could not read /proc, to find servers that use \"%s\"", place->path);
    for (errno = 0; status == CPAM_OK && (entry = io->ops->readdir(io, dir)) != NULL; errno = 0)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            status = check_process(&self, entry->d_name, err);
    if (status == CPAM_OK && errno != 0)
        status = cpam_fail(err, CPAM_IO, errno, "could not read /proc");
    io->ops->closedir(io, dir);
    return status;
}
