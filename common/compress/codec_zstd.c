/*
 * codec_zstd.c - one zstd frame, whose window is no larger than the frame's content.
 *
 * A reader looks at the frame's header before it decompresses: another window, a dictionary, a
 * second or a skippable frame, another length are refused, so that outside bytes can't ask for
 * memory.
 */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getFrameHeader */
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "compress/codec_impl.h"

struct zstd_state
{
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
};

enum
{
    ZSTD_SMALLEST_WINDOW = 1 << 10
};

static void
zstd_close(void *state)
{
    struct zstd_state *zstd = state;

    ZSTD_freeCCtx(zstd->pack);
    ZSTD_freeDCtx(zstd->unpack);
    free(zstd);
}

static enum cpam_status
zstd_open(int level, void **state, struct cpam_err *err)
{
    struct zstd_state *zstd = calloc(1, sizeof(*zstd));

    (void) level;
    if (zstd == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for zstd");
    *state = zstd;
    return CPAM_OK;
}

static enum cpam_status
zstd_pack(void *state, int level, const void *data, size_t size, void *out, size_t cap,
          size_t *out_size, struct cpam_err *err)
{
    struct zstd_state *zstd = state;
    size_t got;

    if (zstd->pack == NULL)
        zstd->pack = ZSTD_createCCtx();
    if (zstd->pack == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for zstd");
    got = ZSTD_compressCCtx(zstd->pack, out, cap, data, size, level);
    if (!ZSTD_isError(got))
        *out_size = got;
    else if (ZSTD_getErrorCode(got) != ZSTD_error_dstSize_tooSmall)
        return cpam_fail(err, CPAM_INTERNAL, 0, "zstd could not compress: %s",
                         ZSTD_getErrorName(got));
    return CPAM_OK;
}

/* Is this one plain frame of raw_size bytes with a window that fits them? */
static enum cpam_status
zstd_check(const void *data, size_t size, size_t raw_size, struct cpam_err *err)
{
    ZSTD_frameHeader header;
    size_t window = ZSTD_SMALLEST_WINDOW;
    size_t length = ZSTD_findFrameCompressedSize(data, size);

    if (ZSTD_getFrameHeader(&header, data, size) != 0 || header.frameType != ZSTD_frame)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the zstd frame has no valid header");
    while (window < raw_size)
        window *= 2;
    if (header.windowSize > window)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the zstd frame asks for a window of %llu bytes",
                         header.windowSize);
    if (header.dictID != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the zstd frame asks for a dictionary");
    if (header.frameContentSize != ZSTD_CONTENTSIZE_UNKNOWN && header.frameContentSize != raw_size)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the zstd frame holds %llu bytes, not %zu",
                         header.frameContentSize, raw_size);
    if (ZSTD_isError(length) || length != size)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the zstd frame does not end where it should");
    return CPAM_OK;
}

static enum cpam_status
zstd_unpack(void *state, const void *data, size_t size, void *out, size_t raw_size,
            struct cpam_err *err)
{
    struct zstd_state *zstd = state;
    size_t got;

    CPAM_TRY(zstd_check(data, size, raw_size, err));
    if (zstd != NULL && zstd->unpack == NULL)
        zstd->unpack = ZSTD_createDCtx();
    got = zstd != NULL && zstd->unpack != NULL
              ? ZSTD_decompressDCtx(zstd->unpack, out, raw_size, data, size)
              : ZSTD_decompress(out, raw_size, data, size);
    if (ZSTD_isError(got))
        return cpam_fail(err, CPAM_CORRUPT, 0, "the zstd frame is damaged: %s",
                         ZSTD_getErrorName(got));
    if (got != raw_size)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the zstd frame holds %zu bytes, not %zu", got,
                         raw_size);
    return CPAM_OK;
}

const struct codec_impl codec_zstd = {1, zstd_open, zstd_close, zstd_pack, zstd_unpack};
