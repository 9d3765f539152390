/*
 * object_ranges.h - some frames of a sealed object, by ranged requests.
 *
 * Which frames there are and how long they are is the authentic manifest's word; the header's hash H
 * is held against it before the first frame is opened, each frame's tag is checked before a byte of
 * it is used, and a final frame is never data.  The digest d can't be told from a part.
 */
#ifndef CPAM_REPO_OBJECT_RANGES_H
#define CPAM_REPO_OBJECT_RANGES_H

#include "repo/repo.h"

struct object_frames
{
    const uint32_t *clen, *rlen; /* count each */
    uint32_t count;
    uint32_t body_offset; /* where frame 0 starts */
};

/* The plaintext of one frame, whole; valid during the call. */
typedef enum cpam_status (*object_frame_fn)(void *arg, uint32_t frame, const void *data,
                                            size_t size, struct cpam_err *err);

struct object_ranges;
/* One request (and a listing where the store has versions).  want->h must be given; *want and *frames
   are kept. */
enum cpam_status object_ranges_open(struct repo *repo, const struct object_want *want,
                                    const struct object_frames *frames, struct object_ranges **out,
                                    struct cpam_err *err) CPAM_CHECK;
/* Frames first..last in one request; those of `wanted` (indexed by frame) are opened and passed on,
   in order. */
enum cpam_status object_ranges_get(struct object_ranges *ranges, uint32_t first, uint32_t last,
                                   const bool *wanted, object_frame_fn fn, void *arg,
                                   struct cpam_err *err) CPAM_CHECK;
void object_ranges_free(struct object_ranges *ranges);
CPAM_SCOPED(object_ranges_free, struct object_ranges);

/* Bytes of a frame in the object. */
static inline uint64_t
object_frame_stored(const struct object_frames *frames, uint32_t frame)
{
    return (uint64_t) OBJECT_FRAME_HEADER_SIZE + frames->clen[frame] + OBJECT_TAG_SIZE;
}

#endif
