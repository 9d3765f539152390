/*
 * restore_layout.c - every file at its full length, sparse, before the first byte of it comes.
 */
#include "restore_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io/file.h"
#include "restore_pack.h"
#include "restore_tree.h"

struct layout
{
    const struct restore_files *files;
    struct restore_spill *spill;
    /* the file whose extents come */
    bool is_open, left_out, has_bytes, is_large;
    int fd;
    uint32_t place;
    uint64_t path_at;
    char path[MANIFEST_PATH_MAX];
};

static enum cpam_status
file_end(struct layout *self, struct cpam_err *err)
{
    struct io *io = self->files->io;

    if (!self->is_open)
        return CPAM_OK;
    self->is_open = false;
    return file_close(io, self->fd, self->path, err);
}

static enum cpam_status
file_begin(struct layout *self, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct io *io = self->files->io;
    const char *relative;
    struct restore_place *place = restore_places_of(self->files->places, entry->path, &relative);

    self->left_out = restore_leaves_out(entry->path);
    if (self->left_out)
        return CPAM_OK;
    const char *disk =
        place == &self->files->places->items[0] ? restore_disk_path(relative) : relative;
    if (strlen(disk) >= sizeof(self->path))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.64s...\": the path is too long", disk);
    memcpy(self->path, disk, strlen(disk) + 1);
    self->place = (uint32_t) (place - self->files->places->items);
    self->has_bytes = false;
    self->is_large = entry->size > RESTORE_SMALL;
    self->fd = io->ops->open_beneath(io, place->fd, disk,
                                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (self->fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not make \"%s\"", entry->path);
    self->is_open = true;
    if (entry->size > 0 && io->ops->ftruncate(io, self->fd, (off_t) entry->size) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not give \"%s\" its %llu bytes", entry->path,
                         (unsigned long long) entry->size);
    if (io->ops->fchmod(io, self->fd, entry->mode & 0777) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not set the mode of \"%s\"", entry->path);
    return CPAM_OK;
}

/* Writable for us until the last passage sets its own mode. */
static enum cpam_status
directory_make(struct layout *self, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct io *io = self->files->io;
    const char *relative;
    struct restore_place *place = restore_places_of(self->files->places, entry->path, &relative);
    const char *name;
    int parent;

    if (*relative == '\0')
        return CPAM_OK;
    CPAM_TRY(tree_parent(io, place->fd, relative, &parent, &name, err));
    enum cpam_status status = CPAM_OK;
    if (io->ops->mkdir(io, parent, name, 0700) < 0)
        status = cpam_fail(err, CPAM_IO, errno, "could not make the directory \"%s\"", entry->path);
    io->ops->close(io, parent);
    return status;
}

static enum cpam_status
on_entry(void *arg, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct layout *self = arg;

    CPAM_TRY(file_end(self, err));
    switch (entry->kind)
    {
    case MANIFEST_PACK: return spill_pack(self->spill, entry->pack, err);
    case MANIFEST_DIRECTORY: return directory_make(self, entry, err);
    case MANIFEST_FILE: return file_begin(self, entry, err);
    case MANIFEST_TABLESPACE:
    case MANIFEST_LINK: return CPAM_OK;
    }
    return CPAM_OK;
}

static enum cpam_status
on_extents(void *arg, uint64_t at, const struct manifest_extent *extents, size_t count,
           struct cpam_err *err)
{
    struct layout *self = arg;

    for (size_t i = 0; i < count && !self->left_out; at += extents[i].size, i++)
    {
        if (extents[i].pack < 0)
            continue;
        if (!self->has_bytes)
            CPAM_TRY(spill_path(self->spill, self->path, &self->path_at, err));
        self->has_bytes = true;
        struct spill_extent extent = {.path = self->path_at,
                                      .at = at,
                                      .size = extents[i].size,
                                      .frame = extents[i].frame,
                                      .offset = extents[i].offset,
                                      .place = self->place,
                                      .is_large = self->is_large};
        CPAM_TRY(spill_extent_add(self->spill, (size_t) extents[i].pack, &extent, err));
    }
    return CPAM_OK;
}

enum cpam_status
restore_layout(const struct restore_files *files, struct restore_spill *spill, struct cpam_err *err)
{
    static const struct manifest_reader_ops ops = {.entry = on_entry, .extents = on_extents};
    struct layout self = {.files = files, .spill = spill, .fd = -1};

    enum cpam_status status = manifest_read(files->repo, files->summary, &ops, &self, err);
    if (status != CPAM_OK)
    {
        if (self.is_open)
            files->io->ops->close(files->io, self.fd);
        return status;
    }
    CPAM_TRY(file_end(&self, err));
    return spill_flush(spill, err);
}
