/*
 * restore_keep_wal.c - one rename a file; a copy where pg_wal moves to another file system.
 */
#include "restore_keep_wal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "pg/wal_page.h"

enum
{
    SAME_NAME_MAX = 1000,
    LONG_PATH = RESTORE_PATH_MAX + 400
};

struct keeping
{
    struct io *io;
    char from[RESTORE_PATH_MAX + 16]; /* the directory that is looked at */
    char to[RESTORE_PATH_MAX + 64];   /* pg_wal/before-restore as it will be; "" only counts */
    int fd;                           /* of `from` */
    size_t found;
};

/* The place that is linked, or the data directory. */
static const struct restore_place *
wal_place(const struct restore_places *places)
{
    for (size_t i = 1; i < places->count; i++)
        if (strcmp(places->items[i].prefix, "pg_wal") == 0)
            return &places->items[i];
    return &places->items[0];
}

/* Is this a segment of its name?  One that waits for reuse has the header of its former life. */
static bool
is_used(const struct keeping *self, const char *name, const struct archive_name *parsed)
{
    uint8_t head[WAL_LONG_HEADER_SIZE];
    struct wal_page page;
    struct cpam_err ignored;
    bool needs_history = false;
    size_t got = 0;
    struct stat stat;
    int fd =
        self->io->ops->open_beneath(self->io, self->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);

    if (fd < 0)
        return true; /* not known: kept */
    bool known = self->io->ops->fstat(self->io, fd, &stat) == 0 &&
                 file_read_at(self->io, fd, name, head, sizeof(head), 0, &got, &ignored) == CPAM_OK;
    self->io->ops->close(self->io, fd);
    if (!known)
        return true;
    return wal_page_parse(head, got, &page, &ignored) == CPAM_OK &&
           (wal_page_check(&page, parsed, (uint64_t) stat.st_size, 0, NULL, &needs_history,
                           &ignored) == CPAM_OK ||
            needs_history);
}

static bool
is_wanted(const struct keeping *self, const char *name)
{
    char done[300];
    struct archive_name parsed;
    struct cpam_err ignored;
    struct stat stat;

    if (archive_name_parse(name, &parsed, &ignored) != CPAM_OK ||
        self->io->ops->stat(self->io, self->fd, name, AT_SYMLINK_NOFOLLOW, &stat) < 0 ||
        !S_ISREG(stat.st_mode))
        return false;
    snprintf(done, sizeof(done), "archive_status/%.200s.done", name);
    if (self->io->ops->stat(self->io, self->fd, done, AT_SYMLINK_NOFOLLOW, &stat) == 0)
        return false;
    if (parsed.kind == ARCHIVE_SEGMENT || parsed.kind == ARCHIVE_PARTIAL)
        return is_used(self, name, &parsed);
    return parsed.kind == ARCHIVE_HISTORY;
}

/* A file of another file system: the copy is durable before the original goes. */
static enum cpam_status
copy(struct io *io, const char *from, const char *to, struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *sink = NULL;
    int fd;

    CPAM_TRY(sink_file_new_push(&sink, io, to, 0600, err));
    CPAM_TRY(file_open(io, from, O_RDONLY | O_NOFOLLOW, 0, &fd, err));
    enum cpam_status status = pump_fd(io, fd, from, sink, err);
    io->ops->close(io, fd);
    CPAM_TRY(status);
    CPAM_TRY(sink_finish(sink, err));
    return file_unlink(io, from, err);
}

static enum cpam_status
move_to(struct io *io, const char *from, const char *to, struct cpam_err *err)
{
    if (io->ops->rename_new(io, AT_FDCWD, from, to) == 0)
        return CPAM_OK;
    if (errno == EXDEV)
        return copy(io, from, to, err);
    return cpam_fail(err, errno == EEXIST ? CPAM_EXISTS : CPAM_IO, errno,
                     "could not move \"%s\" to \"%s\"", from, to);
}

static enum cpam_status
move(struct keeping *self, const char *name, struct cpam_err *err)
{
    char from[LONG_PATH], to[LONG_PATH];
    enum cpam_status status = CPAM_EXISTS;

    snprintf(from, sizeof(from), "%s/%.200s", self->from, name);
    snprintf(to, sizeof(to), "%s/%.200s", self->to, name);
    for (int i = 2; i <= SAME_NAME_MAX && status == CPAM_EXISTS; i++)
    {
        status = move_to(self->io, from, to, err);
        if (status == CPAM_EXISTS)
            snprintf(to, sizeof(to), "%s/%.200s.%d", self->to, name, i);
    }
    return status;
}

static enum cpam_status
each(struct keeping *self, DIR *dir, struct cpam_err *err)
{
    for (;;)
    {
        errno = 0;
        const struct dirent *entry = self->io->ops->readdir(self->io, dir);

        if (entry == NULL)
            break;
        if (!is_wanted(self, entry->d_name))
            continue;
        if (self->to[0] != '\0')
        {
            CPAM_TRY(file_make_dirs(self->io, self->to, 0700, err));
            CPAM_TRY(move(self, entry->d_name, err));
        }
        self->found++;
    }
    if (errno != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", self->from);
    return CPAM_OK;
}

/* Of the place's path in it, if that is a directory that is there. */
static enum cpam_status
from_directory(struct keeping *self, const struct restore_place *place, const char *path,
               struct cpam_err *err)
{
    struct io *io = self->io;

    snprintf(self->from, sizeof(self->from), "%s/%s", place->path, path);
    self->fd = io->ops->open_beneath(io, place->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    /* a link is removed, and what it leads to is left alone */
    if (self->fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR))
        return CPAM_OK;
    if (self->fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open the directory \"%s\"", self->from);
    size_t before = self->found;
    DIR *dir = io->ops->opendir(io, self->fd, ".");
    enum cpam_status status =
        dir == NULL
            ? cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", self->from)
            : each(self, dir, err);

    if (dir != NULL)
        io->ops->closedir(io, dir);
    if (status == CPAM_OK && self->found > before && self->to[0] != '\0')
        status = file_sync(io, self->fd, self->from, err);
    io->ops->close(io, self->fd);
    return status;
}

/* pg_wal as the backup had it, and what the data directory really has by that name. */
static enum cpam_status
from_both(struct restore_places *places, struct keeping *self, struct cpam_err *err)
{
    const struct restore_place *data = &places->items[0];
    const struct restore_place *linked = wal_place(places);

    if (linked != data && linked->fd >= 0 && (linked->adopted || linked->ours))
        CPAM_TRY(from_directory(self, linked, ".", err));
    return data->fd >= 0 && (data->adopted || data->ours)
               ? from_directory(self, data, "pg_wal", err)
               : CPAM_OK;
}

/* What lies there now, of earlier runs too: until a person has looked at it. */
static enum cpam_status
count_kept(struct io *io, const char *path, size_t *count, struct cpam_err *err)
{
    DIR *dir = io->ops->opendir(io, AT_FDCWD, path);
    const struct dirent *entry;

    *count = 0;
    if (dir == NULL)
        return errno == ENOENT
                   ? CPAM_OK
                   : cpam_fail(err, CPAM_IO, errno, "could not read the directory \"%s\"", path);
    for (errno = 0; (entry = io->ops->readdir(io, dir)) != NULL; errno = 0)
        *count += entry->d_name[0] != '.';
    int reason = errno;
    io->ops->closedir(io, dir);
    return reason == 0
               ? CPAM_OK
               : cpam_fail(err, CPAM_IO, reason, "could not read the directory \"%s\"", path);
}

enum cpam_status
restore_keep_wal(struct restore_places *places, size_t *kept, struct cpam_err *err)
{
    const struct restore_place *to = wal_place(places);
    struct keeping self = {.io = places->io, .fd = -1};

    snprintf(self.to, sizeof(self.to), "%s/%s" RESTORE_KEPT_WAL, to->path,
             to == &places->items[0] ? "pg_wal/" : "");
    *kept = 0;
    CPAM_TRY(from_both(places, &self, err));
    if (self.found > 0)
        CPAM_TRY(file_sync_dir(self.io, self.to, err));
    return count_kept(self.io, self.to, kept, err);
}

enum cpam_status
restore_keep_wal_look(struct restore_places *places, size_t *found, struct cpam_err *err)
{
    struct keeping self = {.io = places->io, .fd = -1};
    enum cpam_status status = from_both(places, &self, err);

    *found = self.found;
    return status;
}
