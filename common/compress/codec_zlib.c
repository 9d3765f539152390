/*
 * codec_zlib.c - zlib format (RFC 1950): one stream a frame, ended and checked.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "compress/codec_impl.h"

struct zlib_state
{
    z_stream pack, unpack;
    bool packs, unpacks; /* initialised */
};

static void
zlib_close(void *state)
{
    struct zlib_state *zlib = state;

    if (zlib->packs)
        deflateEnd(&zlib->pack);
    if (zlib->unpacks)
        inflateEnd(&zlib->unpack);
    free(zlib);
}

static enum cpam_status
zlib_open(int level, void **state, struct cpam_err *err)
{
    struct zlib_state *zlib = calloc(1, sizeof(*zlib));

    (void) level;
    if (zlib == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for zlib");
    *state = zlib;
    return CPAM_OK;
}

static enum cpam_status
zlib_pack(void *state, int level, const void *data, size_t size, void *out, size_t cap,
          size_t *out_size, struct cpam_err *err)
{
    struct zlib_state *zlib = state;
    int got = zlib->packs ? deflateReset(&zlib->pack) : deflateInit(&zlib->pack, level);

    if (got != Z_OK)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for zlib");
    zlib->packs = true;
    zlib->pack.next_in = (z_const Bytef *) (uintptr_t) data;
    zlib->pack.avail_in = (uInt) size;
    zlib->pack.next_out = out;
    zlib->pack.avail_out = (uInt) cap;
    got = deflate(&zlib->pack, Z_FINISH);
    if (got == Z_STREAM_END)
        *out_size = cap - zlib->pack.avail_out;
    else if (got != Z_OK && got != Z_BUF_ERROR)
        return cpam_fail(err, CPAM_INTERNAL, 0, "zlib could not compress: %d", got);
    return CPAM_OK;
}

static enum cpam_status
zlib_inflate(z_stream *stream, const void *data, size_t size, void *out, size_t raw_size,
             struct cpam_err *err)
{
    int got;

    stream->next_in = (z_const Bytef *) (uintptr_t) data;
    stream->avail_in = (uInt) size;
    stream->next_out = out;
    stream->avail_out = (uInt) raw_size;
    got = inflate(stream, Z_FINISH);
    if (got != Z_STREAM_END)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the zlib stream is damaged, cut short, or larger than %zu bytes (%s)",
                         raw_size, stream->msg != NULL ? stream->msg : "no end");
    if (stream->avail_out != 0 || stream->avail_in != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the zlib stream holds %zu bytes, not %zu, and %u bytes stand behind it",
                         raw_size - stream->avail_out, raw_size, stream->avail_in);
    return CPAM_OK;
}

static enum cpam_status
zlib_unpack(void *state, const void *data, size_t size, void *out, size_t raw_size,
            struct cpam_err *err)
{
    struct zlib_state *zlib = state;
    z_stream own = {0};
    z_stream *stream = zlib != NULL ? &zlib->unpack : &own;
    int got = zlib != NULL && zlib->unpacks ? inflateReset(stream) : inflateInit(stream);
    enum cpam_status status;

    if (got != Z_OK)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for zlib");
    if (zlib != NULL)
        zlib->unpacks = true;
    status = zlib_inflate(stream, data, size, out, raw_size, err);
    if (zlib == NULL)
        inflateEnd(stream);
    return status;
}

const struct codec_impl codec_zlib = {1, zlib_open, zlib_close, zlib_pack, zlib_unpack};
