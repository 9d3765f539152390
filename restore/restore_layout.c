/*
 * restore_layout.c - every file at its full length, sparse, before the first byte of it comes.
 *
 * Where content is adopted (--delta), what the manifest does not name is swept away as it passes, and
 * a file that is there is cut or stretched to its length and gets its holes.  With tags, workers tell
 * which of its pages are right; without, its CRC as a whole does, here.
 */
#include "restore_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io/file.h"
#include "restore_existing.h"
#include "restore_pack.h"
#include "restore_sweep.h"
#include "restore_tree.h"

struct layout
{
    const struct restore_files *files;
    struct restore_spill *spill;
    struct restore_blocks *blocks;
    struct restore_sweep *sweeps[RESTORE_PLACES_MAX]; /* of places that are adopted */
    /* the file whose extents come */
    bool is_open, left_out, has_bytes, is_large;
    bool existed, kept; /* it was there; it is right as it is */
    bool emptied;       /* of a database that comes back empty */
    int fd;
    uint32_t place;
    uint64_t path_at;
    struct spill_file file;
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

/* Tells the sweep of the manifest's next path.  *there: it is there already. */
static enum cpam_status
sweep(struct layout *self, const struct restore_place *place, const char *path,
      enum manifest_kind kind, bool *there, struct cpam_err *err)
{
    size_t number = (size_t) (place - self->files->places->items);

    *there = *path == '\0';
    if (!place->adopted)
        return CPAM_OK;
    if (self->sweeps[number] == NULL)
        CPAM_TRY(restore_sweep_new(self->files->io, place, &self->sweeps[number], err));
    return restore_sweep_entry(self->sweeps[number], path, kind, there, err);
}

/* What is there, for reading and writing whatever its mode says; -1: its owner can't even read it. */
static int
file_open_there(struct io *io, int dir_fd, const char *path)
{
    int flags = O_NOFOLLOW | O_CLOEXEC;
    int fd = io->ops->open_beneath(io, dir_fd, path, flags | O_RDWR, 0);

    if (fd >= 0)
        return fd;
    int reader = io->ops->open_beneath(io, dir_fd, path, flags | O_RDONLY, 0);
    if (reader < 0)
        return -1;
    bool able = io->ops->fchmod(io, reader, RESTORE_FILE_MODE) == 0;
    io->ops->close(io, reader);
    return able ? io->ops->open_beneath(io, dir_fd, path, flags | O_RDWR, 0) : -1;
}

/* Open for reading and writing what is there, or make it new. */
static enum cpam_status
file_open_or_make(struct layout *self, const struct restore_place *place, struct cpam_err *err)
{
    struct io *io = self->files->io;

    if (self->existed)
        self->fd = file_open_there(io, place->fd, self->path);
    if (self->existed && self->fd < 0)
    {
        /* its name is all that is used of it */
        const char *name;
        int parent;

        self->existed = false;
        CPAM_TRY(tree_parent(io, place->fd, self->path, &parent, &name, err));
        enum cpam_status status = tree_remove(io, parent, name, err);
        io->ops->close(io, parent);
        CPAM_TRY(status);
    }
    if (!self->existed)
        self->fd = io->ops->open_beneath(io, place->fd, self->path,
                                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                         RESTORE_FILE_MODE);
    if (self->fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not make \"%s\"", self->path);
    self->is_open = true;
    return CPAM_OK;
}

/* Without tags, a file is right or wrong as a whole. */
static enum cpam_status
judge(struct layout *self, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct io *io = self->files->io;
    struct stat stat;
    uint32_t crc = 0;
    bool whole = false;

    if (!self->existed || self->blocks != NULL)
        return CPAM_OK;
    if (io->ops->fstat(io, self->fd, &stat) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", self->path);
    if ((uint64_t) stat.st_size != entry->size)
        return CPAM_OK;
    CPAM_TRY(existing_crc(io, self->fd, self->path, entry->size, &crc, &whole, err));
    self->kept = whole && crc == entry->crc;
    return CPAM_OK;
}

static enum cpam_status
file_begin(struct layout *self, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct io *io = self->files->io;
    const char *relative;
    struct restore_place *place = restore_places_of(self->files->places, entry->path, &relative);

    self->left_out = restore_leaves_out(entry->path);
    self->file = (struct spill_file){.size = entry->size, .tags = SPILL_NO_TAGS};
    if (self->blocks != NULL)
        CPAM_TRY(restore_blocks_next(self->blocks, &self->file, err));
    if (self->left_out)
        return CPAM_OK;
    const char *disk =
        place == &self->files->places->items[0] ? restore_disk_path(relative) : relative;
    if (strlen(disk) >= sizeof(self->path))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.64s...\": the path is too long", disk);
    memcpy(self->path, disk, strlen(disk) + 1);
    self->place = (uint32_t) (place - self->files->places->items);
    self->has_bytes = self->kept = false;
    self->is_large = entry->size > RESTORE_SMALL;
    CPAM_TRY(sweep(self, place, self->path, MANIFEST_FILE, &self->existed, err));
    CPAM_TRY(file_open_or_make(self, place, err));
    self->emptied = restore_databases_empties(self->files->survey->databases, entry->path);
    if (!self->emptied)
        CPAM_TRY(judge(self, entry, err));
    else if (self->existed && io->ops->ftruncate(io, self->fd, 0) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not empty \"%s\"", entry->path);
    if ((entry->size > 0 || self->existed) &&
        io->ops->ftruncate(io, self->fd, (off_t) entry->size) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not give \"%s\" its %llu bytes", entry->path,
                         (unsigned long long) entry->size);
    /* writable for us until the last passage, where restore_keep.h takes that away */
    if (io->ops->fchmod(io, self->fd, (entry->mode & 0777) | RESTORE_FILE_MODE) < 0)
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
    bool there;

    CPAM_TRY(sweep(self, place, relative, MANIFEST_DIRECTORY, &there, err));
    if (there)
        return CPAM_OK;
    CPAM_TRY(tree_parent(io, place->fd, relative, &parent, &name, err));
    enum cpam_status status = CPAM_OK;
    if (io->ops->mkdir(io, parent, name, 0700) < 0)
        status = cpam_fail(err, CPAM_IO, errno, "could not make the directory \"%s\"", entry->path);
    io->ops->close(io, parent);
    return status;
}

/* Made in the last passage; one that is there goes. */
static enum cpam_status
link_clear(struct layout *self, const struct manifest_entry *entry, struct cpam_err *err)
{
    const char *relative;
    struct restore_place *place = restore_places_of(self->files->places, entry->path, &relative);
    bool there;

    return sweep(self, place, relative, MANIFEST_LINK, &there, err);
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
    case MANIFEST_LINK: return link_clear(self, entry, err);
    case MANIFEST_TABLESPACE: return CPAM_OK;
    }
    return CPAM_OK;
}

static enum cpam_status
extent_spill(struct layout *self, uint64_t at, const struct manifest_extent *extent,
             struct cpam_err *err)
{
    if (!self->has_bytes)
        CPAM_TRY(spill_path(self->spill, self->path, &self->file, &self->path_at, err));
    self->has_bytes = true;
    struct spill_extent spilled = {.path = self->path_at,
                                   .at = at,
                                   .size = extent->size,
                                   .frame = extent->frame,
                                   .offset = extent->offset,
                                   .place = self->place,
                                   .is_large = self->is_large,
                                   .look = self->existed && self->blocks != NULL,
                                   .kept = self->kept};

    return spill_extent_add(self->spill, (size_t) extent->pack, &spilled, err);
}

static enum cpam_status
on_extents(void *arg, uint64_t at, const struct manifest_extent *extents, size_t count,
           struct cpam_err *err)
{
    struct layout *self = arg;

    for (size_t i = 0; i < count && !self->left_out && !self->emptied; at += extents[i].size, i++)
    {
        if (extents[i].pack >= 0)
            CPAM_TRY(extent_spill(self, at, &extents[i], err));
        else if (self->existed && !self->kept)
            CPAM_TRY(
                existing_zero(self->files->io, self->fd, self->path, at, extents[i].size, err));
    }
    return CPAM_OK;
}

static enum cpam_status
passage(struct layout *self, struct cpam_err *err)
{
    static const struct manifest_reader_ops ops = {.entry = on_entry, .extents = on_extents};
    const struct restore_files *files = self->files;

    CPAM_TRY(manifest_read(files->repo, files->summary, &ops, self, err));
    CPAM_TRY(file_end(self, err));
    for (size_t i = 0; i < files->places->count; i++)
    {
        bool ignored;

        /* also where nothing of the backup lies */
        CPAM_TRY(sweep(self, &files->places->items[i], "", MANIFEST_DIRECTORY, &ignored, err));
        if (self->sweeps[i] != NULL)
            CPAM_TRY(restore_sweep_finish(self->sweeps[i], err));
    }
    if (self->blocks != NULL)
        CPAM_TRY(restore_blocks_end(self->blocks, err));
    return spill_flush(self->spill, err);
}

enum cpam_status
restore_layout(const struct restore_files *files, struct restore_spill *spill,
               struct restore_blocks *blocks, struct cpam_err *err)
{
    CPAM_AUTO(free) struct layout *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    self->files = files;
    self->spill = spill;
    self->blocks = blocks;
    self->fd = -1;
    enum cpam_status status = passage(self, err);
    if (self->is_open)
        files->io->ops->close(files->io, self->fd);
    for (size_t i = 0; i < files->places->count; i++)
        restore_sweep_free(self->sweeps[i]);
    return status;
}
