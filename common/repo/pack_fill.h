/*
 * pack_fill.h - the content of files, cut into frames that small files share.
 *
 * One pack_fill belongs to one thread.  Content comes in parts (a file, or a range of a large one);
 * when all bytes of a part have found their frame, `done` is told where they are.  That may be some
 * parts later, or at pack_fill_finish().
 */
#ifndef CPAM_REPO_PACK_FILL_H
#define CPAM_REPO_PACK_FILL_H

#include "repo/pack.h"

enum
{
    PACK_FILL_STEP = 8192,     /* bytes: pages of files are not cut by a frame's end */
    PACK_FILL_PIECES = 1 << 16 /* of files in one pack; a restore holds 130 bytes for each */
};

struct pack_part
{
    uint64_t id;
    uint64_t size; /* bytes */
    uint32_t crc;  /* CRC-32C of them */
    const struct manifest_extent *extents;
    size_t extent_count;
    const void *note; /* what pack_fill_end() was given */
    size_t note_size;
};
typedef enum cpam_status (*pack_part_fn)(void *arg, const struct pack_part *part,
                                         struct cpam_err *err);

struct pack_fill;
/* repos: see pack_writer_new(). */
enum cpam_status pack_fill_new(struct repo *const *repos, struct pack_set *set, pack_part_fn done,
                               void *arg, struct pack_fill **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status pack_fill_begin(struct pack_fill *fill, uint64_t id,
                                 struct cpam_err *err) CPAM_CHECK;
/*
 * Room for content: read up to *room bytes (PACK_FILL_STEP..PACK_FRAME_SIZE, a multiple of
 * PACK_FILL_STEP) to *at, then say how many came with pack_fill_take(), which counts them and, where
 * they are all zeros, keeps a hole instead.
 */
enum cpam_status pack_fill_room(struct pack_fill *fill, uint8_t **at, size_t *room,
                                struct cpam_err *err) CPAM_CHECK;
enum cpam_status pack_fill_take(struct pack_fill *fill, size_t size,
                                struct cpam_err *err) CPAM_CHECK;
/* The same from memory, which may be the room that was given, at *at or behind it. */
enum cpam_status pack_fill_append(struct pack_fill *fill, const void *data, size_t size,
                                  struct cpam_err *err) CPAM_CHECK;
/*
 * Content that lies in a pack already, or in a hole: `data` is extent->size bytes, which are counted and
 * not kept.  goes_on: what came before it in this part was known as well, and ends in the pack where
 * this begins.
 */
enum cpam_status pack_fill_known(struct pack_fill *fill, const void *data,
                                 const struct manifest_extent *extent, bool goes_on,
                                 struct cpam_err *err) CPAM_CHECK;
/* note (may be NULL) is copied, and told with the part. */
enum cpam_status pack_fill_end(struct pack_fill *fill, const void *note, size_t note_size,
                               struct cpam_err *err) CPAM_CHECK;
/* Puts everything that is left. */
enum cpam_status pack_fill_finish(struct pack_fill *fill, struct cpam_err *err) CPAM_CHECK;
void pack_fill_free(struct pack_fill *fill);
CPAM_SCOPED(pack_fill_free, struct pack_fill);

#endif
