/*
 * unpacker.h - a compressed stream of somebody else's, taken apart as it comes.
 *
 * PostgreSQL 15 and later can compress the archives of BASE_BACKUP: one zstd or lz4 frame, or one gzip
 * member, each (unlike our own frames, which codec.h packs and unpacks whole).  Too short and too long
 * are CPAM_CORRUPT.
 */
#ifndef CPAM_COMPRESS_UNPACKER_H
#define CPAM_COMPRESS_UNPACKER_H

#include "compress/codec.h"

/* Where the bytes go; called with pieces of at most 128 KiB. */
typedef enum cpam_status (*unpacker_fn)(void *arg, const uint8_t *data, size_t size,
                                        struct cpam_err *err);

struct unpacker;
/* codec: any but CODEC_NONE; CODEC_GZIP is RFC 1952 here. */
enum cpam_status unpacker_new(enum codec_id codec, unpacker_fn fn, void *arg, struct unpacker **out,
                              struct cpam_err *err) CPAM_CHECK;
enum cpam_status unpacker_write(struct unpacker *unpacker, const uint8_t *data, size_t size,
                                struct cpam_err *err) CPAM_CHECK;
/* All has come: the stream's own end must have, too. */
enum cpam_status unpacker_end(struct unpacker *unpacker, struct cpam_err *err) CPAM_CHECK;
void unpacker_free(struct unpacker *unpacker);
CPAM_SCOPED(unpacker_free, struct unpacker);

#endif
