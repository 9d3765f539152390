/*
 * dir_read.c - reading from a directory store, and proving that something is not in it.
 *
 * Everything is looked up below a descriptor of the root that was opened for this one operation,
 * so "not there" is said of a repository that was there.  It is said only after each directory on
 * the way has been opened anew, which makes NFS ask its server rather than its cache, and where no link
 * on the way leads to a disk that is not mounted.
 */
#include "store/dir_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/room.h"
#include "io/direct.h"
#include "io/file.h"
#include "store/dir_link.h"
#include "store/dir_list.h"

/* What an errno of a look-up means, other than ENOENT. */
static enum cpam_status
status_of(int sys)
{
    if (sys == EACCES || sys == EPERM || sys == EROFS)
        return CPAM_REFUSED;
    if (sys == ENAMETOOLONG)
        return CPAM_INVALID;
    return CPAM_UNKNOWN;
}

enum cpam_status
dir_in_time(struct store *store, const char *key, struct cpam_err *err)
{
    if (deadline_left(store->io, store->deadline) > 0)
        return CPAM_OK;
    return cpam_fail(err, CPAM_DEADLINE, 0, "the time for \"%s\" in %s is used up", key,
                     store->url);
}

static enum cpam_status
root_refused(struct dir_store *self, int sys, struct cpam_err *err)
{
    enum cpam_status status = sys == ENOENT || sys == ENOTDIR ? CPAM_REFUSED : status_of(sys);

    cpam_fail(err, status, sys, "could not open the repository's directory \"%s\"", self->root);
    if (sys == ENOENT)
        cpam_err_hint(err, "is its disk mounted? a new repository is made by \"cpam-repo create\"");
    return status;
}

enum cpam_status
dir_open_root(struct dir_store *self, int *out, struct cpam_err *err)
{
    struct io *io = self->base.io;

    do
        *out = io->ops->open(io, AT_FDCWD, self->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    while (*out < 0 && errno == EINTR);
    return *out >= 0 ? CPAM_OK : root_refused(self, errno, err);
}

static enum cpam_status
not_found(struct dir_store *self, const char *key, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_NOT_FOUND, 0, "\"%s\" is not in %s", key, self->base.url);
}

static int
open_below(struct io *io, int dir_fd, const char *path, int flags)
{
    int fd;

    do
        fd = io->ops->open(io, dir_fd, path, flags | O_CLOEXEC, 0);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Opens each directory on the way, then the object: its descriptor, or -1 with errno. */
static int
open_step_by_step(struct io *io, int root_fd, const char *key, int flags)
{
    int at = root_fd;

    for (;;)
    {
        const char *slash = strchr(key, '/');
        CPAM_AUTO(free)
        char *part = slash == NULL ? strdup(key) : strndup(key, (size_t) (slash - key));
        int fd = -1;
        int sys = ENOMEM;

        if (part != NULL)
        {
            fd = open_below(io, at, part, slash == NULL ? flags : O_RDONLY | O_DIRECTORY);
            sys = errno;
        }
        if (at != root_fd)
            io->ops->close(io, at);
        errno = sys;
        if (fd < 0 || slash == NULL)
            return fd;
        at = fd;
        key = slash + 1;
    }
}

/* Opens an object and says what it is; NOT_FOUND is proven. */
enum cpam_status
dir_open_object(struct dir_store *self, const char *key, int *out, struct stat *about,
                struct cpam_err *err)
{
    static const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    struct io *io = self->base.io;
    int root_fd;

    CPAM_TRY(dir_in_time(&self->base, key, err));
    CPAM_TRY(dir_open_root(self, &root_fd, err));
    int fd = open_below(io, root_fd, key, flags);
    if (fd < 0 && errno == ENOENT)
        fd = open_step_by_step(io, root_fd, key, flags);
    int sys = errno;
    enum cpam_status status = CPAM_OK;
    if (fd < 0 && sys == ENOENT)
        status = dir_check_links(io, root_fd, key, self->base.url, err);
    io->ops->close(io, root_fd);
    CPAM_TRY(status);
    if (fd < 0 && sys == ENOENT)
        return not_found(self, key, err);
    if (fd < 0)
        return cpam_fail(err, status_of(sys), sys, "could not open \"%s\" in %s", key,
                         self->base.url);
    if (io->ops->fstat(io, fd, about) != 0)
        status = cpam_fail(err, CPAM_UNKNOWN, errno, "could not look at \"%s\" in %s", key,
                           self->base.url);
    else if (S_ISDIR(about->st_mode))
        status = not_found(self, key, err); /* a folder is no object */
    else if (!S_ISREG(about->st_mode))
        status = cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" in %s is not a regular file", key,
                           self->base.url);
    if (status != CPAM_OK)
        io->ops->close(io, fd);
    else
        *out = fd;
    return status;
}

static void
fill_info(struct store_info *info, const struct stat *about)
{
    info->size = (uint64_t) about->st_size;
    info->modified = (int64_t) about->st_mtim.tv_sec * 1000000 + about->st_mtim.tv_nsec / 1000;
    info->version[0] = '\0';
}

enum cpam_status
dir_head(struct store *store, const char *key, struct store_info *info, struct cpam_err *err)
{
    struct stat about;
    int fd;

    CPAM_TRY(dir_open_object(dir_self(store), key, &fd, &about, err));
    store->io->ops->close(store->io, fd);
    fill_info(info, &about);
    return CPAM_OK;
}

/* Bytes of an object into a room, which begins on a page, from the page on that they begin in. */
static enum cpam_status
pump_range(struct store *store, const char *key, int fd, uint64_t at, uint64_t size,
           struct sink *to, struct cpam_err *err)
{
    CPAM_AUTO(room_give) struct cpam_buf room = {0};
    struct direct direct = {.able = size >= DIRECT_WORTH};
    uint64_t end = at + size;

    CPAM_TRY(room_take(ROOM_FRAME, &room, err));
    while (at < end)
    {
        size_t before = (size_t) (at % DIRECT_BLOCK), got = 0;
        uint64_t most = end - at + before;
        size_t want = most < room.cap ? (size_t) most : room.cap;
        size_t pages = (want + DIRECT_BLOCK - 1) / DIRECT_BLOCK * DIRECT_BLOCK;

        CPAM_TRY(dir_in_time(store, key, err));
        if (direct_read_at(store->io, fd, key, &direct, room.data, direct.able ? pages : want,
                           at - before, &got, err) != CPAM_OK)
            return cpam_fail(err, CPAM_UNKNOWN, err->sys, "could not read \"%s\" in %s", key,
                             store->url);
        if (got < want)
            return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" in %s became shorter while it was read",
                             key, store->url);
        CPAM_TRY(sink_write(to, room.data + before, want - before, err));
        at += want - before;
    }
    return CPAM_OK;
}

enum cpam_status
dir_get(struct store *store, const char *key, const char *version, const struct store_range *range,
        struct sink *to, struct store_info *info, struct cpam_err *err)
{
    struct stat about;
    int fd;

    if (version[0] != '\0')
        return cpam_fail(err, CPAM_INVALID, 0, "%s has no versions of \"%s\"", store->url, key);
    CPAM_TRY(dir_open_object(dir_self(store), key, &fd, &about, err));
    fill_info(info, &about);

    uint64_t at = range == NULL ? 0 : range->offset;
    uint64_t left = at < info->size ? info->size - at : 0;
    uint64_t size = range == NULL || range->size == 0 ? left : range->size;
    enum cpam_status status;
    if (size > left || (range != NULL && left == 0))
        status =
            cpam_fail(err, CPAM_CORRUPT, 0,
                      "\"%s\" in %s is cut short: it has %llu bytes, and those from %llu on "
                      "were asked for",
                      key, store->url, (unsigned long long) info->size, (unsigned long long) at);
    else
        status = pump_range(store, key, fd, at, size, to, err);
    store->io->ops->close(store->io, fd);
    return status;
}

enum cpam_status
dir_versions(struct store *store, const char *key, struct store_version *out, size_t cap,
             size_t *count, struct cpam_err *err)
{
    struct store_info info;
    enum cpam_status status = dir_head(store, key, &info, err);

    *count = 0;
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    if (status != CPAM_OK)
        return status;
    if (cap == 0)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "no room for the versions of \"%s\"", key);
    out[0] = (struct store_version){.size = info.size, .modified = info.modified};
    *count = 1;
    return CPAM_OK;
}

enum cpam_status
dir_list_store(struct store *store, const char *prefix, const char *after, bool delimited,
               store_list_fn fn, void *arg, struct cpam_err *err)
{
    struct dir_listing listing = {.io = store->io,
                                  .url = store->url,
                                  .prefix = prefix,
                                  .after = after,
                                  .delimited = delimited,
                                  .deadline = store->deadline,
                                  .fn = fn,
                                  .arg = arg};

    CPAM_TRY(dir_open_root(dir_self(store), &listing.root_fd, err));
    enum cpam_status status = dir_list(&listing, err);
    store->io->ops->close(store->io, listing.root_fd);
    return status;
}
