/*
 * place.c - the folder in the spool: opened without following links, and only if it is ours alone.
 *
 * Everything in it is reached through its descriptor, so that nobody who may rename a folder above
 * can make a front talk to somebody else's socket.
 */
#include "handoff/place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/control_load.h"

struct handoff_place
{
    struct io *io;
    int fd;
    char *path;
};

const char *
handoff_role_name(enum handoff_role role)
{
    return role == HANDOFF_PUSH ? "push" : "fetch";
}

const char *
handoff_place_path(const struct handoff_place *place)
{
    return place->path;
}

int
handoff_place_fd(const struct handoff_place *place)
{
    return place->fd;
}

void
handoff_place_free(struct handoff_place *place)
{
    if (place == NULL)
        return;
    if (place->fd >= 0)
        place->io->ops->close(place->io, place->fd);
    free(place->path);
    free(place);
}

enum cpam_status
handoff_key_of(struct io *io, const char *data, const char *cluster, struct handoff_key *out,
               struct cpam_err *err)
{
    struct control control;
    struct stat about;

    CPAM_TRY(control_load(io, data, NULL, &control, err));
    if (io->ops->stat(io, AT_FDCWD, data, 0, &about) != 0)
        return cpam_fail(err, errno == ENOENT ? CPAM_NOT_FOUND : CPAM_IO, errno,
                         "could not look at the data directory \"%s\"", data);
    *out = (struct handoff_key){cluster, control.sysid, about.st_dev, about.st_ino};
    return CPAM_OK;
}

/* The status says whether anybody can do something about it other than root. */
static enum cpam_status
could_not(const char *what, const char *path, int sys, struct cpam_err *err)
{
    enum cpam_status status = CPAM_IO;

    if (sys == ENOENT)
        status = CPAM_NOT_FOUND;
    else if (sys == EACCES || sys == EPERM || sys == ELOOP || sys == ENOTDIR)
        status = CPAM_REFUSED;
    return cpam_fail(err, status, sys, "could not %s \"%s\"", what, path);
}

/*
 * PostgreSQL recycles and counts what lies in pg_wal, and base backups leave it out.  A folder is
 * one by its name, or by the archive_status in it, wherever a link may have put it.
 */
static enum cpam_status
refuse_pg_wal(struct io *io, int fd, const char *spool, struct cpam_err *err)
{
    char link[64], real[PATH_MAX], status[PATH_MAX + 32];
    struct stat about;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = io->ops->readlink(io, AT_FDCWD, link, real, sizeof(real) - 1);
    if (size < 0)
        return could_not("find the real path of", spool, errno, err);
    real[size] = '\0';
    for (char *slash = real + size; slash != NULL; slash = strrchr(real, '/'))
    {
        *slash = '\0';
        const char *base = strrchr(real, '/');
        snprintf(status, sizeof(status), "%s/archive_status", real);
        if (base != NULL && (strcmp(base, "/pg_wal") == 0 || strcmp(base, "/pg_xlog") == 0 ||
                             io->ops->stat(io, AT_FDCWD, status, 0, &about) == 0))
        {
            cpam_fail(err, CPAM_REFUSED, 0,
                      "the spool \"%s\" lies in \"%s\", which is the server's", spool, real);
            cpam_err_hint(err, "set wal.spool to a folder outside of the data directory, such as "
                               "/var/spool/cpam");
            return CPAM_REFUSED;
        }
    }
    return CPAM_OK;
}

/* A user who may write here could answer in the worker's name. */
static enum cpam_status
refuse_others(struct io *io, const struct handoff_place *place, struct cpam_err *err)
{
    struct stat about;

    if (io->ops->fstat(io, place->fd, &about) != 0)
        return could_not("look at", place->path, errno, err);
    if (about.st_uid != geteuid())
    {
        cpam_fail(err, CPAM_REFUSED, 0, "\"%s\" belongs to user %u, and this runs as user %u",
                  place->path, (unsigned) about.st_uid, (unsigned) geteuid());
        cpam_err_hint(err, "it holds nothing that is not in the archive: remove it");
        return CPAM_REFUSED;
    }
    if ((about.st_mode & 077) != 0)
    {
        cpam_fail(err, CPAM_REFUSED, 0, "\"%s\" has mode %04o: others than its owner may enter it",
                  place->path, (unsigned) (about.st_mode & 07777));
        cpam_err_hint(err, "chmod 0700 \"%s\", or remove it", place->path);
        return CPAM_REFUSED;
    }
    return CPAM_OK;
}

static enum cpam_status
open_below(struct io *io, int spool_fd, const char *name, bool create, struct handoff_place *place,
           struct cpam_err *err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

    place->fd = io->ops->open(io, spool_fd, name, flags, 0);
    if (place->fd < 0 && errno == ENOENT && create)
    {
        if (io->ops->mkdir(io, spool_fd, name, 0700) != 0 && errno != EEXIST)
            return could_not("make", place->path, errno, err);
        place->fd = io->ops->open(io, spool_fd, name, flags, 0);
    }
    if (place->fd < 0)
        return could_not("open the worker's folder", place->path, errno, err);
    return refuse_others(io, place, err);
}

enum cpam_status
handoff_place_open(struct io *io, const char *spool, const struct handoff_key *key, bool create,
                   struct handoff_place **out, struct cpam_err *err)
{
    CPAM_AUTO(handoff_place_free) struct handoff_place *place = calloc(1, sizeof(*place));
    char name[NAME_MAX + 1];

    *out = NULL;
    if (place == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the spool's path");
    place->io = io;
    place->fd = -1;
    int size = snprintf(name, sizeof(name), "%s-%" PRIu64 "-%ju-%ju", key->cluster, key->sysid,
                        (uintmax_t) key->device, (uintmax_t) key->inode);
    if (size < 0 || (size_t) size >= sizeof(name) || strchr(name, '/') != NULL)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" can't be the name of a cluster",
                         key->cluster);
    if (asprintf(&place->path, "%s/%s", spool, name) < 0)
    {
        place->path = NULL;
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the spool's path");
    }
    int spool_fd = io->ops->open(io, AT_FDCWD, spool, O_PATH | O_DIRECTORY, 0);
    if (spool_fd < 0)
    {
        enum cpam_status status = could_not("open the spool", spool, errno, err);
        cpam_err_hint(err,
                      "make the folder that wal.spool names, and give it to the server's user");
        return status;
    }
    enum cpam_status status = refuse_pg_wal(io, spool_fd, spool, err);
    if (status == CPAM_OK)
        status = open_below(io, spool_fd, name, create, place, err);
    io->ops->close(io, spool_fd);
    CPAM_TRY(status);
    *out = CPAM_STEAL(place);
    return CPAM_OK;
}
