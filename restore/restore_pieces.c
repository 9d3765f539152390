/*
 * restore_pieces.c - pieces by extent and by place, and the runs of frames that hold them.
 */
#include "restore_pieces.h"

#include <stdlib.h>
#include <string.h>

static enum cpam_status
no_memory(const struct restore_pieces *pieces, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the %zu pieces of a pack",
                     pieces->count);
}

enum cpam_status
restore_pieces_begin(struct restore_pieces *pieces, const struct manifest_pack *pack,
                     struct cpam_err *err)
{
    *pieces = (struct restore_pieces){.pack = pack};
    pieces->before = calloc((size_t) pack->frame_count + 1, sizeof(*pieces->before));
    pieces->frames = calloc((size_t) pack->frame_count + 1, sizeof(*pieces->frames));
    if (pieces->before == NULL || pieces->frames == NULL)
        return no_memory(pieces, err);
    for (uint32_t i = 0; i < pack->frame_count; i++)
        pieces->before[i + 1] = pieces->before[i] + pack->rlen[i];
    return CPAM_OK;
}

void
restore_pieces_clear(struct restore_pieces *pieces)
{
    free(pieces->before);
    free(pieces->items);
    free(pieces->order);
    free(pieces->frames);
    *pieces = (struct restore_pieces){0};
}

enum cpam_status
restore_pieces_from(const struct restore_pieces *pieces, const struct spill_extent *extent,
                    uint64_t *out, struct cpam_err *err)
{
    uint32_t count = pieces->pack->frame_count;

    if (extent->frame >= count ||
        extent->size > pieces->before[count] - pieces->before[extent->frame] ||
        extent->offset > pieces->before[count] - pieces->before[extent->frame] - extent->size)
        return cpam_fail(err, CPAM_CORRUPT, 0, "an extent lies behind the end of its pack");
    *out = pieces->before[extent->frame] + extent->offset;
    return CPAM_OK;
}

enum cpam_status
restore_pieces_add(struct restore_pieces *pieces, const struct restore_piece *piece,
                   struct cpam_err *err)
{
    struct restore_piece *last = pieces->count == 0 ? NULL : &pieces->items[pieces->count - 1];

    if (last != NULL && piece->wanted && last->wanted && last->extent == piece->extent &&
        last->from + last->size == piece->from)
    {
        last->size += piece->size;
        return CPAM_OK;
    }
    if (pieces->items == NULL || pieces->count == pieces->cap)
    {
        size_t cap = pieces->cap == 0 ? 64 : pieces->cap * 2;
        void *grown = realloc(pieces->items, cap * sizeof(*pieces->items));

        if (grown == NULL)
            return no_memory(pieces, err);
        pieces->items = grown;
        pieces->cap = cap;
    }
    pieces->items[pieces->count++] = *piece;
    return CPAM_OK;
}

static int
by_place(const void *a, const void *b, void *arg)
{
    const struct restore_piece *items = arg;
    size_t left = *(const size_t *) a;
    size_t right = *(const size_t *) b;

    if (items[left].from != items[right].from)
        return items[left].from < items[right].from ? -1 : 1;
    return left < right ? -1 : left > right;
}

/* The frame this byte of the plaintext lies in. */
static uint32_t
frame_of(const struct restore_pieces *pieces, uint64_t at)
{
    uint32_t low = 0, high = pieces->pack->frame_count - 1;

    while (low < high)
    {
        uint32_t middle = low + (high - low + 1) / 2;

        if (pieces->before[middle] <= at)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

enum cpam_status
restore_pieces_end(struct restore_pieces *pieces, struct cpam_err *err)
{
    pieces->order = calloc(pieces->count + 1, sizeof(*pieces->order));
    if (pieces->order == NULL)
        return no_memory(pieces, err);
    for (size_t i = 0; i < pieces->count; i++)
    {
        const struct restore_piece *piece = &pieces->items[i];

        if (!piece->wanted)
            continue;
        pieces->order[pieces->wanted++] = i;
        for (uint32_t frame = frame_of(pieces, piece->from);
             frame < pieces->pack->frame_count && pieces->before[frame] < piece->from + piece->size;
             frame++)
            pieces->frames[frame] = true;
    }
    qsort_r(pieces->order, pieces->wanted, sizeof(*pieces->order), by_place, pieces->items);
    return CPAM_OK;
}

static struct object_frames
frames_of(const struct restore_pieces *pieces)
{
    const struct manifest_pack *pack = pieces->pack;

    return (struct object_frames){pack->clen, pack->rlen, pack->frame_count, pack->body_offset};
}

bool
restore_pieces_run(const struct restore_pieces *pieces, uint32_t at, uint32_t *first,
                   uint32_t *last, uint64_t *stored)
{
    const struct object_frames frames = frames_of(pieces);
    uint64_t gap = 0;

    while (at < frames.count && !pieces->frames[at])
        at++;
    *first = *last = at;
    *stored = 0;
    for (; at < frames.count; at++)
    {
        uint64_t size = object_frame_stored(&frames, at);

        gap += size;
        if (pieces->frames[at])
        {
            *stored += gap;
            *last = at;
            gap = 0;
        }
        else if (gap >= RESTORE_GAP)
            break;
    }
    return *first < frames.count;
}

bool
restore_pieces_whole(const struct restore_pieces *pieces, uint64_t *stored)
{
    uint32_t first, last = 0;
    uint64_t run;

    *stored = 0;
    for (uint32_t at = 0; restore_pieces_run(pieces, at, &first, &last, &run); at = last + 1)
        *stored += run;
    return *stored > pieces->pack->size / 100 * RESTORE_WHOLE_PERCENT;
}
