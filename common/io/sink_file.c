/*
 * sink_file.c - a file that appears whole or not at all.
 *
 * ".cpam-<random>" beside the final name -> write -> fchmod -> fsync -> close -> publish -> fsync
 * of the directory, each step checked; the final mode is set before the fsync, so that the same
 * call makes it durable.  Publishing is rename(2) where an older file may be replaced, and link(2)
 * where the name must be new.
 *
 * Of names that must be new (format-1.md 2.9):
 * - The answer to link may be wrong over NFS: a lost reply makes the client repeat the call, and
 *   the repetition meets its own file.  So after any failure, EEXIST included, the temporary is
 *   opened again (which makes NFS ask its server) and if it has two names, it happened.
 * - "It is there already" is an answer somebody will acknowledge.  Whoever linked it may not have
 *   got to its fsync of the directory yet, so EEXIST is answered after an fsync of one's own.
 * - File systems without hard links (CIFS, some FUSE) have renameat2(RENAME_NOREPLACE), or can't
 *   be used.
 */
#include "io/direct.h"
#include "io/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define TEMP_PREFIX ".cpam-"

enum
{
    TEMP_RANDOM = 16,
    TEMP_PREFIX_SIZE = sizeof(TEMP_PREFIX) - 1,
    TEMP_NAME_MAX = TEMP_PREFIX_SIZE + 2 * TEMP_RANDOM + 1 /* hex, NUL */
};

struct sink_file
{
    struct sink base;
    struct io *io;
    char *path;
    char *temp; /* NULL once there is nothing to unlink */
    int fd;     /* -1 once closed */
    mode_t mode;
    bool must_be_new;
    bool is_direct; /* sink_file_direct() was called */
    struct direct direct;
    uint64_t at; /* bytes written, where it is */
};

static enum cpam_status
file_sink_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct sink_file *self = (struct sink_file *) sink;

    if (!self->is_direct)
        return file_write(self->io, self->fd, self->path, data, size, err);
    CPAM_TRY(
        direct_write_at(self->io, self->fd, self->path, &self->direct, data, size, self->at, err));
    self->at += size;
    return CPAM_OK;
}

void
sink_file_direct(struct sink *chain)
{
    struct sink_file *self = (struct sink_file *) chain;

    self->is_direct = self->direct.able = true;
}

/* Removes the temporary name, as far as that is possible; a stray one is swept later. */
static void
drop_temp(struct sink_file *self)
{
    if (self->temp == NULL)
        return;
    if (self->io->ops->unlink(self->io, AT_FDCWD, self->temp, 0) != 0 && errno != ENOENT)
        (void) self->io->ops->unlink(self->io, AT_FDCWD, self->temp, 0);
    free(CPAM_STEAL(self->temp));
}

static bool
has_two_names(struct sink_file *self)
{
    struct stat about;
    int fd = self->io->ops->open(self->io, AT_FDCWD, self->temp, O_RDONLY | O_CLOEXEC, 0);

    if (fd < 0)
        return false;
    bool two = self->io->ops->fstat(self->io, fd, &about) == 0 && about.st_nlink == 2;
    self->io->ops->close(self->io, fd);
    return two;
}

static bool
no_hard_links(int sys)
{
    return sys == EPERM || sys == EOPNOTSUPP || sys == ENOSYS || sys == EMLINK;
}

static enum cpam_status
taken(struct sink_file *self, struct cpam_err *err)
{
    CPAM_TRY(file_sync_parent(self->io, self->path, err));
    return cpam_fail(err, CPAM_EXISTS, 0, "\"%s\" is there already", self->path);
}

static enum cpam_status
publish_new(struct sink_file *self, struct cpam_err *err)
{
    const struct io_ops *ops = self->io->ops;
    bool moved = false;

    if (ops->link(self->io, AT_FDCWD, self->temp, self->path) != 0)
    {
        int sys = errno;

        if (!has_two_names(self))
        {
            if (no_hard_links(sys))
            {
                moved = ops->rename_new(self->io, AT_FDCWD, self->temp, self->path) == 0;
                sys = errno;
            }
            if (!moved && sys == EEXIST)
                return taken(self, err);
            if (!moved && sys == EINVAL)
            {
                cpam_fail(err, CPAM_IO, 0,
                          "could not publish \"%s\": this file system has neither hard links nor "
                          "a rename that refuses to replace",
                          self->path);
                cpam_err_hint(err, "put the repository on a file system that has hard links");
                return CPAM_IO;
            }
            if (!moved)
                return cpam_fail(err, CPAM_IO, sys, "could not publish \"%s\"", self->path);
        }
    }
    if (moved)
        free(CPAM_STEAL(self->temp));
    /* The object has its name: a temporary name that stays is litter, not a failure. */
    drop_temp(self);
    return file_sync_parent(self->io, self->path, err);
}

static enum cpam_status
file_sink_finish(struct sink *sink, struct cpam_err *err)
{
    struct sink_file *self = (struct sink_file *) sink;
    int fd = self->fd;

    if (self->io->ops->fchmod(self->io, fd, self->mode) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not set the mode of \"%s\"", self->path);
    CPAM_TRY(file_sync(self->io, fd, self->path, err));
    self->fd = -1;
    CPAM_TRY(file_close(self->io, fd, self->path, err));
    if (self->must_be_new)
        return publish_new(self, err);
    CPAM_TRY(file_rename(self->io, self->temp, self->path, err));
    free(CPAM_STEAL(self->temp));
    return file_sync_parent(self->io, self->path, err);
}

static void
file_sink_free(struct sink *sink)
{
    struct sink_file *self = (struct sink_file *) sink;

    if (self->fd >= 0)
        self->io->ops->close(self->io, self->fd);
    drop_temp(self);
    free(self->path);
    free(self);
}

bool
file_is_temporary(const char *name)
{
    return strncmp(name, TEMP_PREFIX, TEMP_PREFIX_SIZE) == 0 && strlen(name) == TEMP_NAME_MAX - 1 &&
           strspn(name + TEMP_PREFIX_SIZE, "0123456789abcdef") == 2 * TEMP_RANDOM;
}

/* ".cpam-<random>" in the directory of path. */
static enum cpam_status
temp_name(struct io *io, const char *path, char **out, struct cpam_err *err)
{
    static const char hex[] = "0123456789abcdef";
    const char *slash = strrchr(path, '/');
    size_t dir = slash == NULL ? 0 : (size_t) (slash - path) + 1;
    uint8_t random[TEMP_RANDOM];

    if (io->ops->random(io, random, sizeof(random)) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not get random bytes for a temporary name");
    char *temp = malloc(dir + TEMP_NAME_MAX);
    if (temp == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    memcpy(temp, path, dir);
    memcpy(temp + dir, TEMP_PREFIX, TEMP_PREFIX_SIZE);
    char *at = temp + dir + TEMP_PREFIX_SIZE;
    for (size_t i = 0; i < sizeof(random); i++)
    {
        *at++ = hex[random[i] >> 4];
        *at++ = hex[random[i] & 15];
    }
    *at = '\0';
    *out = temp;
    return CPAM_OK;
}

static enum cpam_status
push(struct sink **chain, struct io *io, const char *path, mode_t mode, bool must_be_new,
     struct cpam_err *err)
{
    static const struct sink_ops ops = {file_sink_write, file_sink_finish, file_sink_free};
    assert(*chain == NULL); /* it hands nothing on: it can only be the end of a chain */
    struct sink_file *self = calloc(1, sizeof(*self));

    if (self == NULL || (self->path = strdup(path)) == NULL)
    {
        free(self);
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to write \"%s\"", path);
    }
    self->base.ops = &ops;
    self->io = io;
    self->fd = -1;
    self->mode = mode;
    self->must_be_new = must_be_new;

    char *temp = NULL;
    enum cpam_status status = temp_name(io, path, &temp, err);
    if (status == CPAM_OK)
        status = file_open(io, temp, O_WRONLY | O_CREAT | O_EXCL, 0600, &self->fd, err);
    if (status != CPAM_OK)
    {
        free(temp);
        file_sink_free(&self->base);
        return status;
    }
    self->temp = temp;
    *chain = &self->base;
    return CPAM_OK;
}

enum cpam_status
sink_file_push(struct sink **chain, struct io *io, const char *path, mode_t mode,
               struct cpam_err *err)
{
    return push(chain, io, path, mode, false, err);
}

enum cpam_status
sink_file_new_push(struct sink **chain, struct io *io, const char *path, mode_t mode,
                   struct cpam_err *err)
{
    return push(chain, io, path, mode, true, err);
}

enum cpam_status
file_write_all(struct io *io, const char *path, mode_t mode, const void *data, size_t size,
               struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;

    CPAM_TRY(sink_file_push(&chain, io, path, mode, err));
    CPAM_TRY(sink_write(chain, data, size, err));
    return sink_finish(chain, err);
}

enum cpam_status
file_write_new(struct io *io, const char *path, mode_t mode, const void *data, size_t size,
               struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;

    CPAM_TRY(sink_file_new_push(&chain, io, path, mode, err));
    CPAM_TRY(sink_write(chain, data, size, err));
    return sink_finish(chain, err);
}
