/*
 * dir_write.c - writing to a directory store.
 *
 * Every directory on the way is made and its entry fsynced in its parent, once for each directory
 * and opened store, whoever made it: another process that made it may have died before its own
 * fsync.  The object then appears whole or not at all (io/sink_file.c).
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

/* A failure of io/file while something was written: what it means for a store. */
static enum cpam_status
write_failed(struct store *store, const char *key, struct cpam_err *err)
{
    if (err->status == CPAM_NOT_FOUND || err->sys == EACCES || err->sys == EPERM ||
        err->sys == EROFS)
        err->status = CPAM_REFUSED;
    else if (err->sys == ESTALE || err->sys == ETIMEDOUT)
        err->status = CPAM_TRANSIENT;
    if (err->sys == ENOSPC || err->sys == EDQUOT)
        cpam_err_hint(err, "make room in %s", store->url);
    if (err->status != CPAM_EXISTS)
        cpam_err_prefix(err, "could not store \"%s\"", key);
    return err->status;
}

static bool
is_known(const struct dir_store *self, const char *dir)
{
    for (size_t i = 0; i < DIR_KNOWN_MAX; i++)
        if (self->known[i] != NULL && strcmp(self->known[i], dir) == 0)
            return true;
    return false;
}

/* The oldest is forgotten when there is no room: it is only made sure of again. */
static void
remember(struct dir_store *self, const char *dir)
{
    char *copy = strdup(dir);

    if (copy == NULL)
        return;
    free(self->known[self->known_next]);
    self->known[self->known_next] = copy;
    self->known_next = (self->known_next + 1) % DIR_KNOWN_MAX;
}

/* Makes the directories of path, which lies below the root, and their entries durable. */
static enum cpam_status
ready_dirs(struct dir_store *self, char *path, struct cpam_err *err)
{
    struct io *io = self->base.io;

    for (char *at = path + strlen(self->root) + 1; (at = strchr(at, '/')) != NULL; at++)
    {
        enum cpam_status status = CPAM_OK;

        *at = '\0';
        if (!is_known(self, path))
        {
            if (io->ops->mkdir(io, AT_FDCWD, path, DIR_MODE) != 0 && errno != EEXIST)
                status = cpam_fail(err, errno == ENOENT ? CPAM_NOT_FOUND : CPAM_IO, errno,
                                   "could not make the directory \"%s\"", path);
            if (status == CPAM_OK)
                status = file_sync_parent(io, path, err);
            if (status == CPAM_OK)
                remember(self, path);
        }
        *at = '/';
        CPAM_TRY(status);
    }
    return CPAM_OK;
}

void
dir_forget_all(struct dir_store *self)
{
    for (size_t i = 0; i < DIR_KNOWN_MAX; i++)
        free(CPAM_STEAL(self->known[i]));
}

/* Bytes of an object on their way, at the rate that is allowed. */
static enum cpam_status
write_some(struct store *store, const char *key, struct sink *to, const void *data, size_t size,
           struct cpam_err *err)
{
    const uint8_t *at = data;

    while (size > 0)
    {
        size_t some = store->send != NULL && size > PACE_TAKE_MAX ? PACE_TAKE_MAX : size;

        pace_take(store->send, some);
        CPAM_TRY(dir_in_time(store, key, err));
        if (sink_write(to, at, some, err) != CPAM_OK)
            return write_failed(store, key, err);
        at += some;
        size -= some;
    }
    return CPAM_OK;
}

/* A sink that publishes key when finished. */
static enum cpam_status
begin_object(struct dir_store *self, const char *key, struct sink **out, struct cpam_err *err)
{
    CPAM_AUTO(free) char *path = NULL;
    int root_fd;

    CPAM_TRY(dir_in_time(&self->base, key, err));
    if (asprintf(&path, "%s/%s", self->root, key) < 0)
    {
        path = NULL;
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    }
    /* The root is never made here: an unmounted disk must not turn into a second repository. */
    CPAM_TRY(dir_open_root(self, &root_fd, err));
    self->base.io->ops->close(self->base.io, root_fd);
    for (int again = 0; again < 2; again++)
    {
        if (ready_dirs(self, path, err) == CPAM_OK &&
            sink_file_new_push(out, self->base.io, path, DIR_OBJECT_MODE, err) == CPAM_OK)
            return CPAM_OK;
        /* A directory known from before may have been removed since by somebody: once more. */
        dir_forget_all(self);
        if (err->status != CPAM_NOT_FOUND)
            break;
    }
    return write_failed(&self->base, key, err);
}

static enum cpam_status
end_object(struct store *store, const char *key, struct sink *chain, struct cpam_err *err)
{
    CPAM_TRY(dir_in_time(store, key, err));
    if (sink_finish(chain, err) == CPAM_OK)
        return CPAM_OK;
    if (err->status == CPAM_EXISTS)
        return cpam_fail(err, CPAM_EXISTS, 0, "\"%s\" is in %s already", key, store->url);
    return write_failed(store, key, err);
}

enum cpam_status
dir_put_new(struct store *store, const char *key, const void *data, size_t size,
            enum store_class class, struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;

    (void) class;
    CPAM_TRY(begin_object(dir_self(store), key, &chain, err));
    if (size >= DIRECT_WORTH)
        sink_file_direct(chain);
    CPAM_TRY(write_some(store, key, chain, data, size, err));
    return end_object(store, key, chain, err);
}

enum cpam_status
dir_put_new_fd(struct store *store, const char *key, int fd, uint64_t size, enum store_class class,
               struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    CPAM_AUTO(room_give) struct cpam_buf room = {0};
    uint64_t at = 0;
    size_t got;

    (void) class;
    CPAM_TRY(room_take(ROOM_FRAME, &room, err));
    CPAM_TRY(begin_object(dir_self(store), key, &chain, err));
    if (size >= DIRECT_WORTH)
        sink_file_direct(chain);
    while (at < size)
    {
        size_t want = size - at < room.cap ? (size_t) (size - at) : room.cap;

        CPAM_TRY(file_read_at(store->io, fd, key, room.data, want, at, &got, err));
        if (got < want)
            return cpam_fail(err, CPAM_INVALID, 0,
                             "the body of \"%s\" ended after %llu of %llu bytes", key,
                             (unsigned long long) (at + got), (unsigned long long) size);
        CPAM_TRY(write_some(store, key, chain, room.data, got, err));
        at += got;
    }
    return end_object(store, key, chain, err);
}

/* put_stream: the file's sink behind one that speaks as a store. */
struct sink_object
{
    struct sink base;
    struct store *store;
    struct sink *file;
    char *key;
};

static enum cpam_status
object_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct sink_object *self = (struct sink_object *) sink;

    return write_some(self->store, self->key, self->file, data, size, err);
}

static enum cpam_status
object_finish(struct sink *sink, struct cpam_err *err)
{
    struct sink_object *self = (struct sink_object *) sink;

    return end_object(self->store, self->key, self->file, err);
}

static void
object_free(struct sink *sink)
{
    struct sink_object *self = (struct sink_object *) sink;

    sink_free(self->file);
    free(self->key);
    free(self);
}

enum cpam_status
dir_put_stream(struct store *store, const char *key, enum store_class class, struct sink **out,
               struct cpam_err *err)
{
    static const struct sink_ops ops = {object_write, object_finish, object_free};
    struct sink_object *self = calloc(1, sizeof(*self));

    (void) class;
    if (self == NULL || (self->key = strdup(key)) == NULL)
    {
        free(self);
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to store \"%s\"", key);
    }
    self->base.ops = &ops;
    self->store = store;
    enum cpam_status status = begin_object(dir_self(store), key, &self->file, err);
    if (status == CPAM_OK)
        *out = &self->base;
    else
        object_free(&self->base);
    return status;
}

enum cpam_status
dir_settle(struct store *store, const char *key, struct cpam_err *err)
{
    struct dir_store *self = dir_self(store);
    CPAM_AUTO(free) char *path = NULL;
    struct stat about;
    int fd;

    CPAM_TRY(dir_open_object(self, key, &fd, &about, err));
    if (asprintf(&path, "%s/%s", self->root, key) < 0)
    {
        path = NULL;
        store->io->ops->close(store->io, fd);
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    }
    /* The content too: a copy that was put here by other means may not be on the disk yet. */
    enum cpam_status status = file_sync(store->io, fd, path, err);
    store->io->ops->close(store->io, fd);
    if (status == CPAM_OK)
        status = ready_dirs(self, path, err);
    if (status == CPAM_OK)
        status = file_sync_parent(store->io, path, err);
    return status == CPAM_OK ? CPAM_OK : write_failed(store, key, err);
}

enum cpam_status
dir_remove(struct store *store, const char *key, struct cpam_err *err)
{
    struct dir_store *self = dir_self(store);
    CPAM_AUTO(free) char *path = NULL;
    struct stat about;
    int fd;

    /* First what reading proves: that the root is there, and whether the object is. */
    enum cpam_status status = dir_open_object(self, key, &fd, &about, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    CPAM_TRY(status);
    store->io->ops->close(store->io, fd);
    if (asprintf(&path, "%s/%s", self->root, key) < 0)
    {
        path = NULL;
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    }
    status = file_unlink(store->io, path, err);
    if (status == CPAM_NOT_FOUND)
        status = CPAM_OK;
    if (status == CPAM_OK)
        status = file_sync_parent(store->io, path, err);
    if (status != CPAM_OK && (err->sys == EACCES || err->sys == EPERM || err->sys == EROFS))
        err->status = status = CPAM_REFUSED;
    return status;
}
