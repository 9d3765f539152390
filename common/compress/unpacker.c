/*
 * unpacker.c - zstd, lz4 and gzip streams behind one table.
 */
#include "compress/unpacker.h"

#include <limits.h>
#include <lz4frame.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum
{
    ROOM = 128 << 10,
    WINDOW_LOG_MAX = 27, /* zstd's own limit of a decoder: 128 MiB */
    GZIP_WINDOW = 15 + 16
};

/* One step: takes *used of size bytes, makes *made of ROOM; *ended with the last of the stream. */
struct unpacker_kind
{
    const char *name;
    enum cpam_status (*open)(void **state, struct cpam_err *err);
    /* false: what came is no such stream */
    bool (*step)(void *state, const uint8_t *data, size_t size, size_t *used, uint8_t *out,
                 size_t *made, bool *ended);
    void (*close)(void *state);
};

struct unpacker
{
    const struct unpacker_kind *kind;
    void *state;
    unpacker_fn fn;
    void *arg;
    bool ended;
    uint8_t out[ROOM];
};

static enum cpam_status
no_memory(struct cpam_err *err)
{
    return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to unpack a stream");
}

static enum cpam_status
zstd_open(void **state, struct cpam_err *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();

    *state = stream;
    if (stream == NULL ||
        ZSTD_isError(ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return no_memory(err);
    return CPAM_OK;
}

static bool
zstd_step(void *state, const uint8_t *data, size_t size, size_t *used, uint8_t *out, size_t *made,
          bool *ended)
{
    ZSTD_inBuffer in = {data, size, 0};
    ZSTD_outBuffer to = {out, ROOM, 0};
    size_t left = ZSTD_decompressStream(state, &to, &in);

    *used = in.pos;
    *made = to.pos;
    *ended = left == 0;
    return !ZSTD_isError(left);
}

static void
zstd_close(void *state)
{
    ZSTD_freeDStream(state);
}

static enum cpam_status
lz4_open(void **state, struct cpam_err *err)
{
    LZ4F_dctx *context = NULL;

    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return no_memory(err);
    *state = context;
    return CPAM_OK;
}

static bool
lz4_step(void *state, const uint8_t *data, size_t size, size_t *used, uint8_t *out, size_t *made,
         bool *ended)
{
    size_t left;

    *used = size;
    *made = ROOM;
    left = LZ4F_decompress(state, out, made, data, used, NULL);
    *ended = left == 0;
    return !LZ4F_isError(left);
}

static void
lz4_close(void *state)
{
    LZ4F_freeDecompressionContext(state);
}

static enum cpam_status
gzip_open(void **state, struct cpam_err *err)
{
    z_stream *stream = calloc(1, sizeof(*stream));

    *state = stream;
    if (stream == NULL || inflateInit2(stream, GZIP_WINDOW) != Z_OK)
        return no_memory(err);
    return CPAM_OK;
}

static bool
gzip_step(void *state, const uint8_t *data, size_t size, size_t *used, uint8_t *out, size_t *made,
          bool *ended)
{
    z_stream *stream = state;
    uInt take = size > UINT_MAX ? UINT_MAX : (uInt) size;

    stream->next_in = (z_const Bytef *) (uintptr_t) data;
    stream->avail_in = take;
    stream->next_out = out;
    stream->avail_out = ROOM;
    int done = inflate(stream, Z_NO_FLUSH);

    *used = take - stream->avail_in;
    *made = ROOM - stream->avail_out;
    *ended = done == Z_STREAM_END;
    return done == Z_OK || done == Z_STREAM_END || done == Z_BUF_ERROR;
}

static void
gzip_close(void *state)
{
    if (state != NULL)
        inflateEnd(state);
    free(state);
}

static const struct unpacker_kind kinds[] = {
    [CODEC_LZ4] = {"lz4", lz4_open, lz4_step, lz4_close},
    [CODEC_ZSTD] = {"zstd", zstd_open, zstd_step, zstd_close},
    [CODEC_GZIP] = {"gzip", gzip_open, gzip_step, gzip_close},
};

enum cpam_status
unpacker_new(enum codec_id codec, unpacker_fn fn, void *arg, struct unpacker **out,
             struct cpam_err *err)
{
    CPAM_AUTO(unpacker_free) struct unpacker *unpacker = calloc(1, sizeof(*unpacker));

    *out = NULL;
    if (unpacker == NULL)
        return no_memory(err);
    unpacker->kind = &kinds[codec];
    unpacker->fn = fn;
    unpacker->arg = arg;
    CPAM_TRY(unpacker->kind->open(&unpacker->state, err));
    *out = CPAM_STEAL(unpacker);
    return CPAM_OK;
}

enum cpam_status
unpacker_write(struct unpacker *unpacker, const uint8_t *data, size_t size, struct cpam_err *err)
{
    bool full = false; /* there may be more to come of what was taken already */

    while (size > 0 || full)
    {
        size_t used = 0, made = 0;

        if (unpacker->ended)
            return cpam_fail(err, CPAM_CORRUPT, 0,
                             "there are bytes behind the end of the %s stream",
                             unpacker->kind->name);
        if (!unpacker->kind->step(unpacker->state, data, size, &used, unpacker->out, &made,
                                  &unpacker->ended))
            return cpam_fail(err, CPAM_CORRUPT, 0, "the %s stream is damaged",
                             unpacker->kind->name);
        if (made > 0)
            CPAM_TRY(unpacker->fn(unpacker->arg, unpacker->out, made, err));
        data += used;
        size -= used;
        full = made == ROOM && !unpacker->ended;
        if (used == 0 && made == 0 && size > 0)
            return cpam_fail(err, CPAM_CORRUPT, 0, "the %s stream does not go on",
                             unpacker->kind->name);
    }
    return CPAM_OK;
}

enum cpam_status
unpacker_end(struct unpacker *unpacker, struct cpam_err *err)
{
    if (!unpacker->ended)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the %s stream is cut short", unpacker->kind->name);
    return CPAM_OK;
}

void
unpacker_free(struct unpacker *unpacker)
{
    if (unpacker == NULL)
        return;
    unpacker->kind->close(unpacker->state);
    free(unpacker);
}
