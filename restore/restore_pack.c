/*
 * restore_pack.c - a sink that takes a pack's plaintext in order and scatters it over files.
 */
#include "restore_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io/file.h"
#include "pg/crc32c.h"
#include "repo/object_read.h"

/* An extent, and where it begins in the pack's plaintext. */
struct piece
{
    uint64_t from;
    size_t number; /* of the extent */
};

struct scatter
{
    struct sink base;
    const struct restore_pack_job *job;
    struct spill_extent *extents;
    struct piece *pieces; /* by `from` */
    size_t count;
    size_t low;  /* pieces before it are done */
    uint64_t at; /* plaintext seen so far */
    int fd;      /* of the file written last */
    uint64_t open_path;
    bool is_open, is_large;
    char path[MANIFEST_PATH_MAX];
};

const char *
restore_disk_path(const char *path)
{
    return strcmp(path, RESTORE_CONTROL) == 0 ? RESTORE_CONTROL_WAIT : path;
}

static enum cpam_status
file_done(struct scatter *self, struct cpam_err *err)
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
file_want(struct scatter *self, const struct spill_extent *extent, struct cpam_err *err)
{
    struct io *io = self->job->io;

    if (self->is_open && self->open_path == extent->path)
        return CPAM_OK;
    CPAM_TRY(file_done(self, err));
    CPAM_TRY(spill_path_get(self->job->spill, extent->path, self->path, err));
    self->fd = io->ops->open_beneath(io, self->job->places->items[extent->place].fd, self->path,
                                     O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (self->fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open \"%s\"", self->path);
    self->open_path = extent->path;
    self->is_large = extent->is_large != 0;
    self->is_open = true;
    return CPAM_OK;
}

static enum cpam_status
scatter_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct scatter *self = (struct scatter *) sink;
    const uint8_t *bytes = data;
    uint64_t end = self->at + size;

    for (size_t i = self->low; i < self->count && self->pieces[i].from < end; i++)
    {
        struct spill_extent *extent = &self->extents[self->pieces[i].number];
        uint64_t from = self->pieces[i].from;
        uint64_t to = from + extent->size;

        if (to <= self->at)
            continue;
        uint64_t begin = from > self->at ? from : self->at;
        uint64_t stop = to < end ? to : end;
        const uint8_t *part = bytes + (begin - self->at);
        size_t part_size = (size_t) (stop - begin);

        CPAM_TRY(file_want(self, extent, err));
        CPAM_TRY(file_write_at(self->job->io, self->fd, self->path, part, part_size,
                               extent->at + (begin - from), err));
        extent->crc = crc32c(extent->crc, part, part_size);
        extent->written = stop == to;
        if (self->job->wrote != NULL)
            self->job->wrote(self->job->arg, part_size);
    }
    self->at = end;
    while (self->low < self->count &&
           self->pieces[self->low].from + self->extents[self->pieces[self->low].number].size <= end)
        self->low++;
    return CPAM_OK;
}

static const struct sink_ops scatter_ops = {.write = scatter_write};

static int
piece_compare(const void *a, const void *b)
{
    const struct piece *left = a;
    const struct piece *right = b;

    if (left->from != right->from)
        return left->from < right->from ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* Where each extent begins in the plaintext: the frames before it, and its offset in its own. */
static enum cpam_status
pieces_make(const struct manifest_pack *pack, const struct spill_extent *extents, size_t count,
            struct piece **out, struct cpam_err *err)
{
    CPAM_AUTO(free) uint64_t *before = calloc(pack->frame_count + 1, sizeof(*before));
    CPAM_AUTO(free) struct piece *pieces = calloc(count + 1, sizeof(*pieces));

    if (before == NULL || pieces == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a pack's %zu extents", count);
    for (uint32_t i = 0; i < pack->frame_count; i++)
        before[i + 1] = before[i] + pack->rlen[i];
    for (size_t i = 0; i < count; i++)
    {
        if (extents[i].frame >= pack->frame_count)
            return cpam_fail(err, CPAM_CORRUPT, 0, "an extent lies behind the end of its pack");
        pieces[i] = (struct piece){before[extents[i].frame] + extents[i].offset, i};
    }
    qsort(pieces, count, sizeof(*pieces), piece_compare);
    *out = CPAM_STEAL(pieces);
    return CPAM_OK;
}

static enum cpam_status
pack_pump(const struct restore_pack_job *job, const struct manifest_pack *pack,
          struct scatter *scatter, struct cpam_err *err)
{
    struct object_want want = {
        .kind = OBJECT_PACK, .sysid = job->sysid, .name = pack->key, .h = pack->h, .d = pack->d};
    size_t held = pack->size <= RESTORE_HELD_MAX ? (size_t) pack->size : 0;

    CPAM_TRY(object_read(job->repo, &want, held, &scatter->base, NULL, err));
    for (size_t i = 0; i < scatter->count; i++)
        if (!scatter->extents[i].written)
            return cpam_fail(err, CPAM_CORRUPT, 0, "it ends before the bytes the manifest names");
    return file_done(scatter, err);
}

enum cpam_status
restore_pack(const struct restore_pack_job *job, size_t index, struct cpam_err *err)
{
    struct manifest_pack pack = {0};
    CPAM_AUTO(free) struct spill_extent *extents = NULL;
    CPAM_AUTO(free) struct piece *pieces = NULL;
    struct scatter scatter = {.base.ops = &scatter_ops, .job = job};

    CPAM_TRY(spill_extents_get(job->spill, index, &extents, &scatter.count, err));
    if (scatter.count == 0)
        return CPAM_OK;
    CPAM_TRY(spill_pack_get(job->spill, index, &pack, err));
    enum cpam_status status = pieces_make(&pack, extents, scatter.count, &pieces, err);
    if (status == CPAM_OK)
    {
        scatter.extents = extents;
        scatter.pieces = pieces;
        status = pack_pump(job, &pack, &scatter, err);
    }
    if (scatter.is_open)
        job->io->ops->close(job->io, scatter.fd);
    spill_pack_clear(&pack);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "pack \"%s\"", pack.key);
        return status;
    }
    return spill_extents_put(job->spill, index, extents, scatter.count, err);
}
