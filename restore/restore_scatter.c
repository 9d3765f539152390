/*
 * restore_scatter.c - one file open at a time; pieces are taken by their place in the pack.
 */
#include "restore_scatter.h"

#include <errno.h>
#include <fcntl.h>

#include "io/file.h"
#include "pg/crc32c.h"

static enum cpam_status
file_done(struct restore_scatter *self, struct cpam_err *err)
{
    struct io *io = self->job->io;

    if (!self->is_open)
        return CPAM_OK;
    self->is_open = false;
    enum cpam_status status = self->is_large ? file_sync(io, self->fd, self->path, err) : CPAM_OK;
    if (status != CPAM_OK)
    {
        io->ops->close(io, self->fd);
        return status;
    }
    return file_close(io, self->fd, self->path, err);
}

static enum cpam_status
file_want(struct restore_scatter *self, const struct spill_extent *extent, struct cpam_err *err)
{
    struct io *io = self->job->io;

    if (self->is_open && self->open_path == extent->path)
        return CPAM_OK;
    CPAM_TRY(file_done(self, err));
    CPAM_TRY(spill_path_get(self->job->spill, extent->path, self->path, &self->file, err));
    self->fd = io->ops->open_beneath(io, self->job->places->items[extent->place].fd, self->path,
                                     O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (self->fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open \"%s\"", self->path);
    self->open_path = extent->path;
    self->is_large = extent->is_large != 0;
    self->is_open = true;
    self->direct = (struct direct){.able = self->is_large};
    return CPAM_OK;
}

/* What of the piece lies in the bytes from self->at to end. */
static enum cpam_status
piece_write(struct restore_scatter *self, struct restore_piece *piece, const uint8_t *bytes,
            uint64_t end, struct cpam_err *err)
{
    uint64_t to = piece->from + piece->size;
    uint64_t begin = piece->from > self->at ? piece->from : self->at;
    uint64_t stop = to < end ? to : end;

    if (to <= self->at)
        return CPAM_OK;
    const uint8_t *part = bytes + (begin - self->at);
    size_t size = (size_t) (stop - begin);

    CPAM_TRY(file_want(self, &self->extents[piece->extent], err));
    CPAM_TRY(direct_write_at(self->job->io, self->fd, self->path, &self->direct, part, size,
                             piece->at + (begin - piece->from), err));
    piece->crc = crc32c(piece->crc, part, size);
    piece->written = stop == to;
    if (self->job->wrote != NULL)
        self->job->wrote(self->job->arg, size);
    return CPAM_OK;
}

enum cpam_status
restore_scatter_write(struct restore_scatter *self, uint64_t at, const void *data, size_t size,
                      struct cpam_err *err)
{
    struct restore_pieces *pieces = self->pieces;
    uint64_t end = at + size;

    self->at = at;
    for (size_t i = self->low; i < pieces->wanted; i++)
    {
        struct restore_piece *piece = &pieces->items[pieces->order[i]];

        if (piece->from >= end)
            break;
        CPAM_TRY(piece_write(self, piece, data, end, err));
    }
    self->at = end;
    while (self->low < pieces->wanted)
    {
        const struct restore_piece *piece = &pieces->items[pieces->order[self->low]];

        if (piece->from + piece->size > end)
            break;
        self->low++;
    }
    return CPAM_OK;
}

static enum cpam_status
whole_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct restore_scatter *self = (struct restore_scatter *) sink;

    return restore_scatter_write(self, self->at, data, size, err);
}

void
restore_scatter_begin(struct restore_scatter *self, const struct restore_pack_job *job,
                      const struct spill_extent *extents, struct restore_pieces *pieces)
{
    static const struct sink_ops ops = {.write = whole_write};

    *self = (struct restore_scatter){
        .base.ops = &ops, .job = job, .extents = extents, .pieces = pieces, .fd = -1};
}

enum cpam_status
restore_scatter_end(struct restore_scatter *self, struct cpam_err *err)
{
    for (size_t i = 0; i < self->pieces->wanted; i++)
        if (!self->pieces->items[self->pieces->order[i]].written)
            return cpam_fail(err, CPAM_CORRUPT, 0, "it ends before the bytes the manifest names");
    return file_done(self, err);
}

void
restore_scatter_clear(struct restore_scatter *self)
{
    if (self->is_open)
        self->job->io->ops->close(self->job->io, self->fd);
    self->is_open = false;
}
