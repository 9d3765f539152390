/*
 * codec_lz4.c - LZ4 blocks: level 1 and 2 the fast compressor, 3 to 12 the high one.
 */
#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>

#include "compress/codec_impl.h"

enum
{
    LZ4_HIGH_FROM = 3 /* LZ4HC_CLEVEL_MIN of lz4 1.9.4 */
};

static enum cpam_status
lz4_open(int level, void **state, struct cpam_err *err)
{
    int size = level >= LZ4_HIGH_FROM ? LZ4_sizeofStateHC() : LZ4_sizeofState();

    *state = malloc((size_t) size);
    if (*state == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for lz4");
    return CPAM_OK;
}

static void
lz4_close(void *state)
{
    free(state);
}

static enum cpam_status
lz4_pack(void *state, int level, const void *data, size_t size, void *out, size_t cap,
         size_t *out_size, struct cpam_err *err)
{
    int got;

    (void) err;
    if (level >= LZ4_HIGH_FROM)
        got = LZ4_compress_HC_extStateHC(state, data, out, (int) size, (int) cap, level);
    else
        got = LZ4_compress_fast_extState(state, data, out, (int) size, (int) cap, 1);
    *out_size = got > 0 ? (size_t) got : 0;
    return CPAM_OK;
}

static enum cpam_status
lz4_unpack(void *state, const void *data, size_t size, void *out, size_t raw_size,
           struct cpam_err *err)
{
    int got = LZ4_decompress_safe(data, out, (int) size, (int) raw_size);

    (void) state;
    if (got < 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the lz4 block is damaged or larger than %zu bytes",
                         raw_size);
    if ((size_t) got != raw_size)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the lz4 block holds %d bytes, not %zu", got,
                         raw_size);
    return CPAM_OK;
}

const struct codec_impl codec_lz4 = {1, lz4_open, lz4_close, lz4_pack, lz4_unpack};
