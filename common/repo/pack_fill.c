/*
 * pack_fill.c - parts into frames; which frame holds which bytes of which part.
 *
 * The frame at hand collects pieces of parts until it is full; only when it has gone into a pack is
 * it known where its pieces are.  A hole is a piece without bytes, so that order is kept.
 */
#include "repo/pack_fill.h"

#include <string.h>

#include "pg/crc32c.h"

enum
{
    PIECES_MAX = 1024,   /* of one frame */
    HOLE_MIN = 64 << 10, /* bytes of zeros that are worth an extent of their own */
    PART_EXTENTS_MAX = 1 << 20,
    NOTES_MAX = 512 << 10 /* bytes of notes that wait for a frame to be full */
};

struct part
{
    uint64_t id, size;
    uint32_t crc;
    bool ended;
    size_t pending; /* pieces whose place is not known yet */
    struct manifest_extent *extents;
    size_t count, cap;
    /* where the last extent ends: only at the end of a frame can the next frame go on with it */
    uint32_t end_frame;
    bool at_frame_end;
    struct codec_trial trial;
    void *note;
    size_t note_size;
};

struct piece
{
    struct part *part;
    uint64_t size;
    uint32_t offset;
    enum
    {
        PIECE_BYTES,
        PIECE_HOLE,
        PIECE_KNOWN
    } kind;
    struct manifest_extent known;
};

struct pack_fill
{
    struct pack_writer *writer;
    pack_part_fn done;
    void *arg;
    uint8_t *frame; /* PACK_FRAME_SIZE bytes */
    size_t used;
    struct piece pieces[PIECES_MAX];
    size_t piece_count;
    size_t in_pack;    /* pieces in the pack that is being written */
    size_t notes;      /* bytes of parts that have ended and are not told */
    struct part *part; /* the one that is being written, or NULL */
};

static void
part_free(struct part *part)
{
    if (part == NULL)
        return;
    free(part->extents);
    free(part->note);
    free(part);
}

enum cpam_status
pack_fill_new(struct repo *const *repos, struct pack_set *set, pack_part_fn done, void *arg,
              struct pack_fill **out, struct cpam_err *err)
{
    CPAM_AUTO(pack_fill_free) struct pack_fill *fill = calloc(1, sizeof(*fill));

    *out = NULL;
    if (fill == NULL || (fill->frame = malloc(PACK_FRAME_SIZE)) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a frame");
    fill->done = done;
    fill->arg = arg;
    CPAM_TRY(pack_writer_new(repos, set, &fill->writer, err));
    *out = CPAM_STEAL(fill);
    return CPAM_OK;
}

static enum cpam_status
add_extent(struct part *part, const struct manifest_extent *extent, struct cpam_err *err)
{
    if (part->extents == NULL || part->count == part->cap)
    {
        size_t cap = part->cap == 0 ? 4 : part->cap * 2;
        void *grown =
            cap > PART_EXTENTS_MAX ? NULL : realloc(part->extents, cap * sizeof(*part->extents));

        if (grown == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the extents of a file");
        part->extents = grown;
        part->cap = cap;
    }
    part->extents[part->count++] = *extent;
    return CPAM_OK;
}

/* What has its place in no frame that is being filled. */
static enum cpam_status
place_known(struct part *part, const struct manifest_extent *extent, struct cpam_err *err)
{
    struct manifest_extent *last = part->count == 0 ? NULL : &part->extents[part->count - 1];

    part->at_frame_end = false;
    if (extent->pack != -1 || last == NULL || last->pack != -1)
        return add_extent(part, extent, err);
    last->size += extent->size;
    return CPAM_OK;
}

/* Adds a piece to its part; `frame_size` is how much its frame holds. */
static enum cpam_status
place_piece(const struct piece *piece, const struct pack_place *place, size_t frame_size,
            struct cpam_err *err)
{
    struct part *part = piece->part;
    struct manifest_extent *last = part->count == 0 ? NULL : &part->extents[part->count - 1];
    struct manifest_extent extent = {.size = piece->size, .pack = -1};

    part->pending--;
    if (piece->kind != PIECE_BYTES)
        return place_known(part, piece->kind == PIECE_KNOWN ? &piece->known : &extent, err);
    bool goes_on = last != NULL && part->at_frame_end && last->pack == (int64_t) place->pack &&
                   place->frame == part->end_frame + 1 && piece->offset == 0;

    part->end_frame = place->frame;
    part->at_frame_end = piece->offset + piece->size == frame_size;
    if (goes_on)
    {
        last->size += piece->size;
        return CPAM_OK;
    }
    extent.pack = place->pack;
    extent.frame = place->frame;
    extent.offset = piece->offset;
    return add_extent(part, &extent, err);
}

static enum cpam_status
tell(struct pack_fill *fill, struct part *part, struct cpam_err *err)
{
    struct pack_part result = {part->id,    part->size, part->crc,      part->extents,
                               part->count, part->note, part->note_size};
    enum cpam_status status = fill->done(fill->arg, &result, err);

    part_free(part);
    return status;
}

/* The file whose frame this is, if it is of one alone. */
static struct codec_trial *
trial_of(struct pack_fill *fill)
{
    struct part *part = fill->piece_count == 0 ? NULL : fill->pieces[0].part;

    for (size_t i = 1; i < fill->piece_count; i++)
        if (fill->pieces[i].part != part)
            return NULL;
    return part == NULL ? NULL : &part->trial;
}

static size_t
pieces_of_frame(const struct pack_fill *fill)
{
    size_t count = 0;

    for (size_t i = 0; i < fill->piece_count; i++)
        count += fill->pieces[i].kind == PIECE_BYTES;
    return count;
}

/* Where the frame goes: into the next pack when this one has as many pieces as a restore should hold. */
static enum cpam_status
put_frame(struct pack_fill *fill, struct pack_place *place, struct cpam_err *err)
{
    size_t pieces = pieces_of_frame(fill);

    if (fill->used == 0)
        return CPAM_OK;
    if (fill->in_pack + pieces > PACK_FILL_PIECES)
    {
        CPAM_TRY(pack_writer_finish(fill->writer, err));
        fill->in_pack = 0;
    }
    pack_writer_of_file(fill->writer, trial_of(fill));
    CPAM_TRY(pack_writer_frame(fill->writer, fill->frame, fill->used, place, err));
    if (place->frame == 0)
        fill->in_pack = 0; /* the one before was full */
    fill->in_pack += pieces;
    return CPAM_OK;
}

/* The frame goes into a pack, and its pieces get their place. */
static enum cpam_status
flush(struct pack_fill *fill, struct cpam_err *err)
{
    struct pack_place place = {0};
    size_t frame_size = fill->used;
    enum cpam_status status = put_frame(fill, &place, err);

    fill->used = 0;
    for (size_t i = 0; i < fill->piece_count; i++)
    {
        struct part *part = fill->pieces[i].part;

        if (status == CPAM_OK)
            status = place_piece(&fill->pieces[i], &place, frame_size, err);
        else
            part->pending--;
        if (part->ended && part->pending == 0)
        {
            if (status == CPAM_OK)
                status = tell(fill, part, err);
            else
                part_free(part);
        }
    }
    fill->piece_count = 0;
    fill->notes = 0;
    return status;
}

enum cpam_status
pack_fill_begin(struct pack_fill *fill, uint64_t id, struct cpam_err *err)
{
    fill->part = calloc(1, sizeof(*fill->part));
    if (fill->part == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a file");
    fill->part->id = id;
    return CPAM_OK;
}

enum cpam_status
pack_fill_room(struct pack_fill *fill, uint8_t **at, size_t *room, struct cpam_err *err)
{
    if (PACK_FRAME_SIZE - fill->used < PACK_FILL_STEP || fill->piece_count == PIECES_MAX)
        CPAM_TRY(flush(fill, err));
    *at = fill->frame + fill->used;
    *room = (PACK_FRAME_SIZE - fill->used) / PACK_FILL_STEP * PACK_FILL_STEP;
    return CPAM_OK;
}

static bool
all_zeros(const uint8_t *data, size_t size)
{
    return size >= HOLE_MIN && data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

enum cpam_status
pack_fill_take(struct pack_fill *fill, size_t size, struct cpam_err *err)
{
    struct part *part = fill->part;
    uint8_t *data = fill->frame + fill->used;
    struct piece *piece = &fill->pieces[fill->piece_count];
    struct piece *last = fill->piece_count == 0 ? NULL : piece - 1;
    bool is_hole = all_zeros(data, size);

    (void) err;
    if (size == 0)
        return CPAM_OK;
    part->crc = crc32c(part->crc, data, size);
    part->size += size;
    if (last != NULL && last->part == part && last->kind == (is_hole ? PIECE_HOLE : PIECE_BYTES))
        last->size += size;
    else
    {
        *piece = (struct piece){.part = part,
                                .size = size,
                                .offset = (uint32_t) fill->used,
                                .kind = is_hole ? PIECE_HOLE : PIECE_BYTES};
        fill->piece_count++;
        part->pending++;
    }
    if (!is_hole)
        fill->used += size;
    return CPAM_OK;
}

enum cpam_status
pack_fill_append(struct pack_fill *fill, const void *data, size_t size, struct cpam_err *err)
{
    const uint8_t *bytes = data;

    while (size > 0)
    {
        uint8_t *at;
        size_t room;

        CPAM_TRY(pack_fill_room(fill, &at, &room, err));
        if (room > size)
            room = size;
        if (at != bytes)
            memmove(at, bytes, room);
        CPAM_TRY(pack_fill_take(fill, room, err));
        bytes += room;
        size -= room;
    }
    return CPAM_OK;
}

enum cpam_status
pack_fill_known(struct pack_fill *fill, const void *data, const struct manifest_extent *extent,
                bool goes_on, struct cpam_err *err)
{
    struct part *part = fill->part;

    part->crc = crc32c(part->crc, data, (size_t) extent->size);
    part->size += extent->size;
    if (part->pending == 0)
    {
        if (!goes_on)
            return place_known(part, extent, err);
        part->extents[part->count - 1].size += extent->size;
        return CPAM_OK;
    }
    if (goes_on)
    {
        fill->pieces[fill->piece_count - 1].known.size += extent->size;
        return CPAM_OK;
    }
    if (fill->piece_count == PIECES_MAX)
        CPAM_TRY(flush(fill, err));
    fill->pieces[fill->piece_count++] =
        (struct piece){.part = part, .kind = PIECE_KNOWN, .known = *extent};
    part->pending++;
    return CPAM_OK;
}

enum cpam_status
pack_fill_end(struct pack_fill *fill, const void *note, size_t note_size, struct cpam_err *err)
{
    struct part *part = fill->part;

    if (note != NULL && (part->note = malloc(note_size)) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a file's note");
    if (note != NULL)
        memcpy(part->note, note, note_size);
    part->note_size = note == NULL ? 0 : note_size;
    fill->part = NULL;
    part->ended = true;
    if (part->pending == 0)
        return tell(fill, part, err);
    /* where nearly all is known, or a hole, a frame is not full for long */
    fill->notes += part->note_size;
    return fill->notes > NOTES_MAX ? flush(fill, err) : CPAM_OK;
}

enum cpam_status
pack_fill_finish(struct pack_fill *fill, struct cpam_err *err)
{
    CPAM_TRY(flush(fill, err));
    return pack_writer_finish(fill->writer, err);
}

void
pack_fill_free(struct pack_fill *fill)
{
    if (fill == NULL)
        return;
    for (size_t i = 0; i < fill->piece_count; i++)
    {
        struct part *part = fill->pieces[i].part;

        if (--part->pending == 0 && part != fill->part)
            part_free(part);
    }
    part_free(fill->part);
    pack_writer_free(fill->writer);
    free(fill->frame);
    free(fill);
}
