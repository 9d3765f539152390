/*
 * codec_impl.h - what each codec brings to the table in codec.c.
 *
 * pack writes at most cap bytes and says 0 when they do not suffice; unpack fills exactly raw_size
 * bytes or fails with CPAM_CORRUPT.  `state` is the codec's own; unpack may get NULL.
 */
#ifndef CPAM_COMPRESS_CODEC_IMPL_H
#define CPAM_COMPRESS_CODEC_IMPL_H

#include <stdbool.h>

#include "compress/codec.h"

struct codec_impl
{
    int level_default;
    enum cpam_status (*open)(int level, void **state, struct cpam_err *err);
    void (*close)(void *state);
    enum cpam_status (*pack)(void *state, int level, const void *data, size_t size, void *out,
                             size_t cap, size_t *out_size, struct cpam_err *err);
    enum cpam_status (*unpack)(void *state, const void *data, size_t size, void *out,
                               size_t raw_size, struct cpam_err *err);
};

extern const struct codec_impl codec_lz4;
extern const struct codec_impl codec_zstd;
extern const struct codec_impl codec_zlib;

#endif
