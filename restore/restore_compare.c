/*
 * restore_compare.c - pages read from the target and held against their tags.
 */
#include "restore_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/room.h"
#include "io/direct.h"
#include "io/file.h"
#include "pg/crc32c.h"

enum
{
    PAGES = ROOM_FRAME / BLOCK_PAGE /* looked at in one read */
};

struct restore_compare
{
    struct io *io;
    const struct restore_places *places;
    struct restore_spill *spill;
    const struct restore_blocks *blocks;
    struct block_tagger *tagger;
    bool is_open;
    int fd;
    uint64_t open_path;
    char path[MANIFEST_PATH_MAX];
    struct spill_file file;
    struct direct direct;
    struct cpam_buf data; /* a room of PAGES */
    uint8_t tags[PAGES * BLOCK_TAG_SIZE];
};

/* The pages that are being looked at, and the extent they are looked at for. */
struct stretch
{
    const struct spill_extent *extent;
    size_t number;
    uint64_t from; /* of the extent, in the pack */
    struct restore_pieces *pieces;
    uint64_t page;
    size_t count, got; /* pages; bytes that could be read of them */
};

enum cpam_status
restore_compare_new(struct io *io, const struct restore_places *places, struct restore_spill *spill,
                    const struct restore_blocks *blocks, struct restore_compare **out,
                    struct cpam_err *err)
{
    CPAM_AUTO(restore_compare_free) struct restore_compare *self = calloc(1, sizeof(*self));

    *out = NULL;
    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a worker");
    self->io = io;
    self->places = places;
    self->spill = spill;
    self->blocks = blocks;
    CPAM_TRY(room_take(ROOM_FRAME, &self->data, err));
    CPAM_TRY(block_tagger_new(restore_blocks_key(blocks), &self->tagger, err));
    *out = CPAM_STEAL(self);
    return CPAM_OK;
}

enum cpam_status
restore_compare_end(struct restore_compare *self, struct cpam_err *err)
{
    if (!self->is_open)
        return CPAM_OK;
    self->is_open = false;
    return file_close(self->io, self->fd, self->path, err);
}

void
restore_compare_free(struct restore_compare *self)
{
    if (self == NULL)
        return;
    if (self->is_open)
        self->io->ops->close(self->io, self->fd);
    block_tagger_free(self->tagger);
    room_give(&self->data);
    free(self);
}

static enum cpam_status
file_want(struct restore_compare *self, const struct spill_extent *extent, struct cpam_err *err)
{
    if (self->is_open && self->open_path == extent->path)
        return CPAM_OK;
    CPAM_TRY(restore_compare_end(self, err));
    CPAM_TRY(spill_path_get(self->spill, extent->path, self->path, &self->file, err));
    self->fd = self->io->ops->open_beneath(self->io, self->places->items[extent->place].fd,
                                           self->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (self->fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open \"%s\"", self->path);
    self->open_path = extent->path;
    self->direct = (struct direct){.able = self->file.size >= DIRECT_WORTH};
    self->is_open = true;
    return CPAM_OK;
}

static enum cpam_status
is_right(struct restore_compare *self, const struct stretch *stretch, size_t i, bool *right,
         struct cpam_err *err)
{
    uint64_t page = stretch->page + i;
    uint64_t left = self->file.size - page * BLOCK_PAGE;
    size_t size = left < BLOCK_PAGE ? (size_t) left : (size_t) BLOCK_PAGE;
    uint8_t tag[BLOCK_TAG_SIZE];

    *right = false;
    if (i * BLOCK_PAGE + size > stretch->got)
        return CPAM_OK; /* it could not be read */
    CPAM_TRY(block_tag(self->tagger, self->file.number, (uint32_t) page,
                       self->data.data + i * BLOCK_PAGE, size, tag, err));
    *right = memcmp(tag, self->tags + i * BLOCK_TAG_SIZE, BLOCK_TAG_SIZE) == 0;
    return CPAM_OK;
}

/* What of page i belongs to the extent: kept, or wanted. */
static enum cpam_status
page_add(struct restore_compare *self, const struct stretch *stretch, size_t i, bool right,
         struct cpam_err *err)
{
    const struct spill_extent *extent = stretch->extent;
    uint64_t begin = (stretch->page + i) * BLOCK_PAGE;
    uint64_t end = begin + BLOCK_PAGE;

    if (begin < extent->at)
        begin = extent->at;
    if (end > extent->at + extent->size)
        end = extent->at + extent->size;
    struct restore_piece piece = {.from = stretch->from + (begin - extent->at),
                                  .at = begin,
                                  .size = end - begin,
                                  .extent = stretch->number,
                                  .wanted = !right};
    if (right)
        piece.crc = crc32c(0, self->data.data + (begin - stretch->page * BLOCK_PAGE),
                           (size_t) (end - begin));
    return restore_pieces_add(stretch->pieces, &piece, err);
}

static enum cpam_status
stretch_compare(struct restore_compare *self, struct stretch *stretch, struct cpam_err *err)
{
    struct cpam_err why;

    CPAM_TRY(restore_blocks_tags(self->blocks, &self->file, stretch->page, stretch->count,
                                 self->tags, err));
    /* a disk that can't read a block may well take a new one: it is fetched */
    if (direct_read_at(self->io, self->fd, self->path, &self->direct, self->data.data,
                       stretch->count * BLOCK_PAGE, stretch->page * BLOCK_PAGE, &stretch->got,
                       &why) != CPAM_OK)
        stretch->got = 0;
    for (size_t i = 0; i < stretch->count; i++)
    {
        bool right;

        CPAM_TRY(is_right(self, stretch, i, &right, err));
        CPAM_TRY(page_add(self, stretch, i, right, err));
    }
    return CPAM_OK;
}

enum cpam_status
restore_compare_extent(struct restore_compare *self, const struct spill_extent *extent,
                       size_t number, struct restore_pieces *pieces, struct cpam_err *err)
{
    struct stretch stretch = {.extent = extent, .number = number, .pieces = pieces};
    uint64_t end = block_count(extent->at + extent->size);

    CPAM_TRY(restore_pieces_from(pieces, extent, &stretch.from, err));
    CPAM_TRY(file_want(self, extent, err));
    if (end > block_count(self->file.size))
        return cpam_fail(err, CPAM_CORRUPT, 0, "an extent lies behind the end of its file");
    for (stretch.page = extent->at / BLOCK_PAGE; stretch.page < end; stretch.page += stretch.count)
    {
        stretch.count = end - stretch.page < PAGES ? (size_t) (end - stretch.page) : (size_t) PAGES;
        CPAM_TRY(stretch_compare(self, &stretch, err));
    }
    return CPAM_OK;
}
