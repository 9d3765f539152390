/*
 * restore_keep_wal.c - one rename a file, within the directory it lies in.
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
    SAME_NAME_MAX = 1000
};

struct keeping
{
    struct io *io;
    int fd; /* of pg_wal */
    size_t kept;
};

/* pg_wal where it is a directory that is there to be written into; *fd -1 if it is not. */
static enum cpam_status
wal_open(struct restore_places *places, int *fd, struct cpam_err *err)
{
    const struct restore_place *at = &places->items[0];
    const char *path = "pg_wal";

    for (size_t i = 1; i < places->count; i++)
        if (strcmp(places->items[i].prefix, "pg_wal") == 0)
        {
            at = &places->items[i];
            path = ".";
        }
    *fd = -1;
    if (!at->adopted)
        return CPAM_OK;
    *fd = places->io->ops->open_beneath(places->io, at->fd, path,
                                        O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    /* a link is removed, and what it leads to is left alone */
    if (*fd < 0 && errno != ENOENT && errno != ELOOP && errno != ENOTDIR)
        return cpam_fail(err, CPAM_IO, errno, "could not open the directory \"%s/%s\"", at->path,
                         path);
    return CPAM_OK;
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

static enum cpam_status
move(struct keeping *self, const char *name, struct cpam_err *err)
{
    struct io *io = self->io;
    char to[300];

    if (io->ops->mkdir(io, self->fd, RESTORE_KEPT_WAL, 0700) < 0 && errno != EEXIST)
        return cpam_fail(err, CPAM_IO, errno, "could not make pg_wal/" RESTORE_KEPT_WAL);
    snprintf(to, sizeof(to), RESTORE_KEPT_WAL "/%.200s", name);
    for (int i = 2; io->ops->rename_new(io, self->fd, name, to) < 0; i++)
    {
        if (errno != EEXIST || i > SAME_NAME_MAX)
            return cpam_fail(err, CPAM_IO, errno, "could not move pg_wal/%s into \"%s\"", name, to);
        snprintf(to, sizeof(to), RESTORE_KEPT_WAL "/%.200s.%d", name, i);
    }
    self->kept++;
    return CPAM_OK;
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
        if (is_wanted(self, entry->d_name))
            CPAM_TRY(move(self, entry->d_name, err));
    }
    if (errno != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not read pg_wal");
    return CPAM_OK;
}

static enum cpam_status
sync_kept(const struct keeping *self, struct cpam_err *err)
{
    struct io *io = self->io;
    int fd = io->ops->open_beneath(io, self->fd, RESTORE_KEPT_WAL,
                                   O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

    if (fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open pg_wal/" RESTORE_KEPT_WAL);
    enum cpam_status status = file_sync(io, fd, "pg_wal/" RESTORE_KEPT_WAL, err);
    io->ops->close(io, fd);
    return status == CPAM_OK ? file_sync(io, self->fd, "pg_wal", err) : status;
}

enum cpam_status
restore_keep_wal(struct restore_places *places, size_t *kept, struct cpam_err *err)
{
    struct keeping self = {.io = places->io, .fd = -1};

    *kept = 0;
    CPAM_TRY(wal_open(places, &self.fd, err));
    if (self.fd < 0)
        return CPAM_OK;
    DIR *dir = self.io->ops->opendir(self.io, self.fd, ".");
    enum cpam_status status = dir == NULL ? cpam_fail(err, CPAM_IO, errno, "could not read pg_wal")
                                          : each(&self, dir, err);

    if (dir != NULL)
        self.io->ops->closedir(self.io, dir);
    if (status == CPAM_OK && self.kept > 0)
        status = sync_kept(&self, err);
    self.io->ops->close(self.io, self.fd);
    *kept = self.kept;
    return status;
}
