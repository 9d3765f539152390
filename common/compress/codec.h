/*
 * codec.h - compression of one frame: bytes in, bytes out, no state between frames.
 *
 * The format's frames stand alone (format-1.md 2.2), so a codec is a pair of functions over
 * buffers.  A codec_work holds the library's working memory for one thread.
 */
#ifndef CPAM_COMPRESS_CODEC_H
#define CPAM_COMPRESS_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/scope.h"

enum codec_id /* the numbers of the format; never change one */
{
    CODEC_NONE = 0,
    CODEC_LZ4 = 1,
    CODEC_ZSTD = 2,
    CODEC_GZIP = 3 /* zlib format (RFC 1950), named gzip in the configuration */
};

/* By configuration name: none, lz4, zstd, gzip.  CPAM_USAGE with the known names otherwise. */
enum cpam_status codec_by_name(const char *name, enum codec_id *out,
                               struct cpam_err *err) CPAM_CHECK;
const char *codec_name(enum codec_id id);

/* Levels each codec takes; level 0 means the codec's fast default. */
void codec_levels(enum codec_id id, int *min, int *max);

struct codec_work;
enum cpam_status codec_work_new(enum codec_id id, int level, struct codec_work **out,
                                struct cpam_err *err) CPAM_CHECK;
void codec_work_free(struct codec_work *work);
CPAM_SCOPED(codec_work_free, struct codec_work);

/*
 * Compress size (1..16 MiB) bytes into out (cap bytes).  *out_size is 0 when the result would not
 * be smaller than size: the frame is then stored with codec none.
 */
enum cpam_status codec_pack(struct codec_work *work, const void *data, size_t size, void *out,
                            size_t cap, size_t *out_size, struct cpam_err *err) CPAM_CHECK;

/*
 * Decompress into exactly raw_size bytes: shorter, longer, bytes behind the end, or a zstd window
 * larger than raw_size's frame limit are CPAM_CORRUPT.  Any codec of the format, whatever the
 * work was made for (work may be NULL).
 */
enum cpam_status codec_unpack(struct codec_work *work, unsigned codec, const void *data,
                              size_t size, void *out, size_t raw_size,
                              struct cpam_err *err) CPAM_CHECK;

#endif
