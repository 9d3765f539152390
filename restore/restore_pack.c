/*
 * restore_pack.c - what of a pack is wanted, whole or in runs of frames.
 */
#include "restore_pack.h"

#include <string.h>

#include "pg/crc32c.h"
#include "repo/object_read.h"
#include "restore_compare.h"
#include "restore_scatter.h"

const char *
restore_disk_path(const char *path)
{
    return strcmp(path, RESTORE_CONTROL) == 0 ? RESTORE_CONTROL_WAIT : path;
}

struct frame_target
{
    struct restore_scatter *scatter;
};

static enum cpam_status
on_frame(void *arg, uint32_t frame, const void *data, size_t size, struct cpam_err *err)
{
    struct restore_scatter *scatter = ((struct frame_target *) arg)->scatter;

    return restore_scatter_write(scatter, scatter->pieces->before[frame], data, size, err);
}

static enum cpam_status
fetch_runs(const struct restore_pack_job *job, const struct object_want *want,
           struct restore_scatter *scatter, struct cpam_err *err)
{
    const struct restore_pieces *pieces = scatter->pieces;
    const struct manifest_pack *pack = pieces->pack;
    const struct object_frames frames = {pack->clen, pack->rlen, pack->frame_count,
                                         pack->body_offset};
    CPAM_AUTO(object_ranges_free) struct object_ranges *ranges = NULL;
    struct frame_target target = {scatter};
    uint32_t first, last = 0;
    uint64_t stored;

    CPAM_TRY(object_ranges_open(job->repo, want, &frames, &ranges, err));
    atomic_fetch_add(&job->tally->fetched, pack->body_offset);
    for (uint32_t at = 0; restore_pieces_run(pieces, at, &first, &last, &stored); at = last + 1)
    {
        CPAM_TRY(object_ranges_get(ranges, first, last, pieces->frames, on_frame, &target, err));
        atomic_fetch_add(&job->tally->fetched, stored);
    }
    return CPAM_OK;
}

static enum cpam_status
fetch_whole(const struct restore_pack_job *job, const struct object_want *want,
            struct restore_scatter *scatter, struct cpam_err *err)
{
    /* frame by frame as it comes: each is authenticated by itself, and the pack at its end */
    CPAM_TRY(object_pass(job->repo, want, 0, &scatter->base, NULL, err));
    atomic_fetch_add(&job->tally->fetched, scatter->pieces->pack->size);
    return CPAM_OK;
}

static enum cpam_status
fetch(const struct restore_pack_job *job, const struct spill_extent *extents,
      struct restore_pieces *pieces, struct cpam_err *err)
{
    const struct manifest_pack *pack = pieces->pack;
    struct object_want want = {
        .kind = OBJECT_PACK, .sysid = job->sysid, .name = pack->key, .h = pack->h, .d = pack->d};
    struct restore_scatter scatter;
    uint64_t stored;

    if (pieces->wanted == 0)
        return CPAM_OK;
    restore_scatter_begin(&scatter, job, extents, pieces);
    enum cpam_status status = restore_pieces_whole(pieces, &stored)
                                  ? fetch_whole(job, &want, &scatter, err)
                                  : fetch_runs(job, &want, &scatter, err);
    if (status == CPAM_OK)
        status = restore_scatter_end(&scatter, err);
    restore_scatter_clear(&scatter);
    return status;
}

/* A piece for all of the extent: wanted, or right because its whole file is. */
static enum cpam_status
add_whole(struct restore_pieces *pieces, const struct spill_extent *extent, size_t number,
          struct cpam_err *err)
{
    struct restore_piece piece = {
        .at = extent->at, .size = extent->size, .extent = number, .wanted = !extent->kept};

    CPAM_TRY(restore_pieces_from(pieces, extent, &piece.from, err));
    return restore_pieces_add(pieces, &piece, err);
}

static enum cpam_status
find_wanted(const struct restore_pack_job *job, struct restore_pieces *pieces,
            const struct spill_extent *extents, size_t count, struct cpam_err *err)
{
    for (size_t i = 0; i < count; i++)
        CPAM_TRY(extents[i].look ? restore_compare_extent(job->compare, &extents[i], i, pieces, err)
                                 : add_whole(pieces, &extents[i], i, err));
    if (job->compare != NULL)
        CPAM_TRY(restore_compare_end(job->compare, err));
    return restore_pieces_end(pieces, err);
}

/* Each extent's CRC is that of its pieces, in order. */
static void
sum_up(const struct restore_pack_job *job, const struct restore_pieces *pieces,
       struct spill_extent *extents)
{
    for (size_t i = 0; i < pieces->count; i++)
    {
        const struct restore_piece *piece = &pieces->items[i];
        struct spill_extent *extent = &extents[piece->extent];

        extent->crc = crc32c_combine(extent->crc, piece->crc, piece->size);
        extent->written = 1;
        if (!piece->wanted)
        {
            atomic_fetch_add(&job->tally->kept, piece->size);
            if (job->wrote != NULL)
                job->wrote(job->arg, piece->size);
        }
    }
}

static enum cpam_status
pack_restore(const struct restore_pack_job *job, const struct manifest_pack *pack,
             struct spill_extent *extents, size_t count, struct cpam_err *err)
{
    __attribute__((cleanup(restore_pieces_clear_scoped_))) struct restore_pieces pieces = {0};

    CPAM_TRY(restore_pieces_begin(&pieces, pack, err));
    CPAM_TRY(find_wanted(job, &pieces, extents, count, err));
    CPAM_TRY(fetch(job, extents, &pieces, err));
    sum_up(job, &pieces, extents);
    return CPAM_OK;
}

enum cpam_status
restore_pack(const struct restore_pack_job *job, size_t index, struct cpam_err *err)
{
    struct manifest_pack pack = {0};
    CPAM_AUTO(free) struct spill_extent *extents = NULL;
    size_t count = 0;

    CPAM_TRY(spill_extents_get(job->spill, index, &extents, &count, err));
    if (count == 0)
        return CPAM_OK;
    CPAM_TRY(spill_pack_get(job->spill, index, &pack, err));
    enum cpam_status status = pack_restore(job, &pack, extents, count, err);
    spill_pack_clear(&pack);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "pack \"%s\"", pack.key);
        return status;
    }
    return spill_extents_put(job->spill, index, extents, count, err);
}
