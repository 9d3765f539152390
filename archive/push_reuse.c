/*
 * push_reuse.c - runs of blocks that are sent, runs of blocks that are known.
 */
#include "push_reuse.h"

#include <stdlib.h>
#include <string.h>

/* A walk over a known part's extents, and over the frames of the one it is in; only forward. */
struct cursor
{
    uint32_t extent;
    uint64_t begin; /* of the extent, in the part */
    bool walking;
    uint32_t frame;
    uint64_t
        frame_begin; /* of the frame's plaintext, relative to that of the extent's first frame */
};

/* Where a block is. */
struct place
{
    uint32_t extent;
    int64_t pack;
    uint32_t frame, offset;
    bool thin;
    uint32_t last_frame; /* that it reaches into */
};

/* One of the files that tell where blocks are, and what it tells of the part at hand. */
struct origin
{
    struct push_known *known; /* or NULL */
    bool is_parent;
    struct cpam_buf text;
    bool has_part;
    struct known_part part;
    struct cursor cursor;
};

struct push_reuse
{
    struct push_reuse_spec spec;
    struct block_tagger *tags;
    uint64_t file;
    uint32_t number;
    struct cpam_buf note;
    struct origin origins[2]; /* the earlier attempt comes first: it is what the parent was not */
    uint64_t at;              /* in the part */
    uint32_t tag_count;
    const struct origin
        *last; /* of the block before, which lay in this extent; NULL: was not known */
    uint32_t last_extent;
    uint64_t bytes;
};

enum cpam_status
push_reuse_new(const struct push_reuse_spec *spec, struct push_reuse **out, struct cpam_err *err)
{
    CPAM_AUTO(push_reuse_free) struct push_reuse *reuse = calloc(1, sizeof(*reuse));

    *out = NULL;
    if (reuse == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to compare blocks");
    reuse->spec = *spec;
    reuse->origins[0].known = spec->before;
    reuse->origins[1].known = spec->known;
    reuse->origins[1].is_parent = true;
    CPAM_TRY(block_tagger_new(spec->key, &reuse->tags, err));
    *out = CPAM_STEAL(reuse);
    return CPAM_OK;
}

void
push_reuse_free(struct push_reuse *reuse)
{
    if (reuse == NULL)
        return;
    block_tagger_free(reuse->tags);
    cpam_buf_clear(&reuse->note);
    cpam_buf_clear(&reuse->origins[0].text);
    cpam_buf_clear(&reuse->origins[1].text);
    free(reuse);
}

static enum cpam_status
origin_begin(struct origin *origin, const char *path, uint64_t file, uint32_t number,
             struct cpam_err *err)
{
    origin->has_part = false;
    memset(&origin->cursor, 0, sizeof(origin->cursor));
    if (origin->known == NULL)
        return CPAM_OK;
    enum cpam_status status =
        push_known_part(origin->known, path, file, number, &origin->text, &origin->part, err);

    origin->has_part = status == CPAM_OK;
    return status == CPAM_NOT_FOUND ? CPAM_OK : status;
}

enum cpam_status
push_reuse_begin(struct push_reuse *reuse, const char *path, uint32_t number, struct cpam_err *err)
{
    struct push_part fixed = {.number = number, .path_size = (uint32_t) strlen(path) + 1};

    CPAM_TRY(push_file_number(path, &reuse->file, err));
    reuse->number = number;
    reuse->at = 0;
    reuse->tag_count = 0;
    reuse->last = NULL;
    reuse->note.size = 0;
    CPAM_TRY(cpam_buf_append(&reuse->note, &fixed, sizeof(fixed), PUSH_RECORD_MAX, err));
    CPAM_TRY(cpam_buf_append(&reuse->note, path, fixed.path_size, PUSH_RECORD_MAX, err));
    for (int i = 0; i < 2; i++)
        CPAM_TRY(origin_begin(&reuse->origins[i], path, reuse->file, number, err));
    return CPAM_OK;
}

/* Moves to the frame in which `delta` of the extent lies, and to where in it. */
static bool
walk_to(const struct origin *origin, struct cursor *cursor, uint64_t delta, uint32_t *in_frame,
        bool *thin)
{
    const struct manifest_extent *extent = &origin->part.extents[cursor->extent];
    uint64_t wanted = extent->offset + delta;

    if (!cursor->walking)
    {
        cursor->walking = true;
        cursor->frame = extent->frame;
        cursor->frame_begin = 0;
    }
    for (;;)
    {
        uint32_t size = push_known_frame(origin->known, extent->pack, cursor->frame, thin);

        if (size == 0)
            return false;
        if (wanted - cursor->frame_begin < size)
        {
            *in_frame = (uint32_t) (wanted - cursor->frame_begin);
            return true;
        }
        cursor->frame_begin += size;
        cursor->frame++;
    }
}

/* Where the block of `size` bytes at `at` was put; false: in no single extent, in a frame of which there
   is hardly anything left, or in a pack that is not there. */
static bool
locate(const struct push_reuse *reuse, struct origin *origin, size_t size, struct place *out)
{
    struct cursor *cursor = &origin->cursor;
    const struct manifest_extent *extents = origin->part.extents;
    struct cursor end;
    uint32_t ignored;
    bool thin;

    while (cursor->extent < origin->part.extent_count &&
           reuse->at >= cursor->begin + extents[cursor->extent].size)
    {
        cursor->begin += extents[cursor->extent++].size;
        cursor->walking = false;
    }
    if (cursor->extent == origin->part.extent_count)
        return false;
    const struct manifest_extent *extent = &extents[cursor->extent];
    uint64_t delta = reuse->at - cursor->begin;

    *out = (struct place){.extent = cursor->extent, .pack = extent->pack};
    if (size > extent->size - delta)
        return false;
    if (extent->pack < 0)
        return true;
    /* of an earlier attempt only its own packs: the parent's are known from the parent */
    if (!origin->is_parent &&
        (PUSH_PACK_ORDINAL(extent->pack) != 0 ||
         !push_known_adopt(origin->known, extent->pack, reuse->spec.ask, reuse->spec.arg)))
        return false;
    if (!walk_to(origin, cursor, delta, &out->offset, &out->thin))
        return false;
    out->frame = cursor->frame;
    end = *cursor;
    if (!walk_to(origin, &end, delta + size - 1, &ignored, &thin))
        return false;
    out->last_frame = end.frame;
    return !out->thin || !origin->is_parent;
}

static bool
is_known(const struct push_reuse *reuse, struct origin *origin, const uint8_t tag[BLOCK_TAG_SIZE],
         size_t size, struct place *place)
{
    uint32_t block = (uint32_t) (reuse->at / BLOCK_PAGE);

    if (!origin->has_part || block >= origin->part.tag_count)
        return false;
    uint64_t left = origin->part.size - reuse->at;

    return size == (left < BLOCK_PAGE ? left : BLOCK_PAGE) &&
           memcmp(tag, origin->part.tags + (size_t) block * BLOCK_TAG_SIZE, BLOCK_TAG_SIZE) == 0 &&
           locate(reuse, origin, size, place);
}

/* The first origin that knows the block; NULL: none. */
static struct origin *
who_knows(struct push_reuse *reuse, const uint8_t tag[BLOCK_TAG_SIZE], size_t size,
          struct place *place)
{
    for (int i = 0; i < 2; i++)
        if (is_known(reuse, &reuse->origins[i], tag, size, place))
            return &reuse->origins[i];
    return NULL;
}

static enum cpam_status
take_known(struct push_reuse *reuse, const struct origin *origin, struct pack_fill *fill,
           const void *data, size_t size, const struct place *place, struct cpam_err *err)
{
    struct manifest_extent extent = {
        .size = size, .pack = -1, .frame = place->frame, .offset = place->offset};
    bool goes_on = reuse->last == origin && reuse->last_extent == place->extent;

    if (place->pack >= 0)
    {
        extent.pack = place->pack + (origin->is_parent ? PUSH_PARENT_SHIFT : 0);
        push_known_use(origin->known, place->pack, place->last_frame);
    }
    reuse->last = origin;
    reuse->last_extent = place->extent;
    reuse->bytes += size;
    return pack_fill_known(fill, data, &extent, goes_on, err);
}

enum cpam_status
push_reuse_feed(struct push_reuse *reuse, struct pack_fill *fill, const void *data, size_t size,
                struct cpam_err *err)
{
    const uint32_t first = reuse->number * (reuse->spec.part_size / BLOCK_PAGE);
    const uint8_t *bytes = data;
    size_t sent = 0; /* what is before it has been given away */

    for (size_t at = 0; at < size;)
    {
        size_t block = size - at < BLOCK_PAGE ? size - at : BLOCK_PAGE;
        uint8_t tag[BLOCK_TAG_SIZE];
        struct place place;

        CPAM_TRY(block_tag(reuse->tags, reuse->file, first + (uint32_t) (reuse->at / BLOCK_PAGE),
                           bytes + at, block, tag, err));
        CPAM_TRY(cpam_buf_append(&reuse->note, tag, sizeof(tag), PUSH_RECORD_MAX, err));
        reuse->tag_count++;
        const struct origin *origin = who_knows(reuse, tag, block, &place);
        if (origin != NULL)
        {
            CPAM_TRY(pack_fill_append(fill, bytes + sent, at - sent, err));
            CPAM_TRY(take_known(reuse, origin, fill, bytes + at, block, &place, err));
            sent = at + block;
        }
        else
            reuse->last = NULL;
        at += block;
        reuse->at += block;
    }
    return pack_fill_append(fill, bytes + sent, size - sent, err);
}

const void *
push_reuse_note(struct push_reuse *reuse, size_t *size)
{
    struct push_part fixed;

    memcpy(&fixed, reuse->note.data, sizeof(fixed));
    fixed.tag_count = reuse->tag_count;
    memcpy(reuse->note.data, &fixed, sizeof(fixed));
    *size = reuse->note.size;
    return reuse->note.data;
}

const uint8_t *
push_note_tags(const void *note, size_t size, size_t *count)
{
    struct push_part fixed;

    *count = 0;
    if (size < sizeof(fixed))
        return NULL;
    memcpy(&fixed, note, sizeof(fixed));
    *count = fixed.tag_count;
    return (const uint8_t *) note + sizeof(fixed) + fixed.path_size;
}

uint64_t
push_reuse_bytes(const struct push_reuse *reuse)
{
    return reuse->bytes;
}
