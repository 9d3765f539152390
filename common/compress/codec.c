/*
 * codec.c - the table of codecs, and the limits that hold for all of them.
 */
#include "compress/codec.h"

#include <stdlib.h>
#include <string.h>

#include "compress/codec_impl.h"

enum
{
    CODEC_FRAME_MAX = 16 << 20 /* bytes; the largest frame of the format */
};

/* Placed by their number in the format; NULL: bytes as they are. */
static const struct codec_impl *const codecs[] = {
    [CODEC_NONE] = NULL,
    [CODEC_LZ4] = &codec_lz4,
    [CODEC_ZSTD] = &codec_zstd,
    [CODEC_GZIP] = &codec_zlib,
};

enum
{
    CODEC_COUNT = sizeof(codecs) / sizeof(codecs[0])
};

struct codec_work
{
    enum codec_id id;
    int level;
    void *states[CODEC_COUNT]; /* that of id from the start, others once they are unpacked */
};

enum cpam_status
codec_work_new(enum codec_id id, int level, struct codec_work **out, struct cpam_err *err)
{
    CPAM_AUTO(codec_work_free) struct codec_work *work = NULL;
    const struct codec_impl *impl;
    int min, max;

    if ((unsigned) id >= CODEC_COUNT)
        return cpam_fail(err, CPAM_USAGE, 0, "compression method %u is not known", (unsigned) id);
    impl = codecs[id];
    codec_levels(id, &min, &max);
    if (impl != NULL && level != 0 && (level < min || level > max))
        return cpam_fail(err, CPAM_USAGE, 0, "compression level %d of %s is not within %d to %d",
                         level, codec_name(id), min, max);
    work = calloc(1, sizeof(*work));
    if (work == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for compression");
    work->id = id;
    work->level = level == 0 && impl != NULL ? impl->level_default : level;
    if (impl != NULL)
        CPAM_TRY(impl->open(work->level, &work->states[id], err));
    *out = CPAM_STEAL(work);
    return CPAM_OK;
}

void
codec_work_free(struct codec_work *work)
{
    if (work == NULL)
        return;
    for (unsigned id = 0; id < CODEC_COUNT; id++)
    {
        if (work->states[id] != NULL && codecs[id] != NULL)
            codecs[id]->close(work->states[id]);
    }
    free(work);
}

enum cpam_status
codec_pack(struct codec_work *work, const void *data, size_t size, void *out, size_t cap,
           size_t *out_size, struct cpam_err *err)
{
    const struct codec_impl *impl = codecs[work->id];

    *out_size = 0;
    if (size == 0 || size > CODEC_FRAME_MAX)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a frame of %zu bytes can't be compressed", size);
    if (impl == NULL || size == 1)
        return CPAM_OK;
    if (cap > size - 1)
        cap = size - 1;
    return impl->pack(work->states[work->id], work->level, data, size, out, cap, out_size, err);
}

enum cpam_status
codec_unpack(struct codec_work *work, unsigned codec, const void *data, size_t size, void *out,
             size_t raw_size, struct cpam_err *err)
{
    if (codec >= CODEC_COUNT)
        return cpam_fail(err, CPAM_CORRUPT, 0, "compression method %u is not known", codec);
    if (raw_size == 0 || raw_size > CODEC_FRAME_MAX || size == 0 || size > raw_size)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "a frame of %zu bytes that should become %zu is not possible", size,
                         raw_size);
    if (codec == CODEC_NONE)
    {
        if (size != raw_size)
            return cpam_fail(err, CPAM_CORRUPT, 0, "an uncompressed frame has %zu bytes, not %zu",
                             size, raw_size);
        memmove(out, data, size);
        return CPAM_OK;
    }
    if (work != NULL && work->states[codec] == NULL)
        CPAM_TRY(codecs[codec]->open(codecs[codec]->level_default, &work->states[codec], err));
    return codecs[codec]->unpack(work == NULL ? NULL : work->states[codec], data, size, out,
                                 raw_size, err);
}
