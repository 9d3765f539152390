/*
 * restore_pieces.h - which bytes of a pack go where, and which of its frames that takes.
 *
 * A piece is an extent, or a part of one: bytes that lie together in the pack and in their file.  Of
 * an extent all pieces are listed, in order, so that their CRCs make up the extent's, whether they
 * are to be fetched or are on disk already.
 */
#ifndef CPAM_RESTORE_RESTORE_PIECES_H
#define CPAM_RESTORE_RESTORE_PIECES_H

#include "repo/object_ranges.h"
#include "restore_spill.h"

enum
{
    /* a request costs as much as this many bytes: a smaller gap is fetched along */
    RESTORE_GAP = 1 << 20,
    /* from this part of a pack on, all of it is fetched in one request */
    RESTORE_WHOLE_PERCENT = 30
};

struct restore_piece
{
    uint64_t from; /* in the pack's plaintext */
    uint64_t at;   /* in its file */
    uint64_t size;
    size_t extent;   /* number of its extent */
    uint32_t crc;    /* of its bytes, once written */
    uint32_t wanted; /* 1: to be fetched; 0: on disk already, `crc` is known */
    uint32_t written;
};

struct restore_pieces
{
    const struct manifest_pack *pack; /* borrowed */
    uint64_t *before;                 /* plaintext before each frame, and after the last one */
    struct restore_piece *items;      /* in the order of their extents */
    size_t count, cap;
    size_t *order; /* the wanted ones, by where they are in the pack */
    size_t wanted;
    bool *frames; /* that hold something wanted */
};

enum cpam_status restore_pieces_begin(struct restore_pieces *pieces,
                                      const struct manifest_pack *pack,
                                      struct cpam_err *err) CPAM_CHECK;
/* Goes on where the last piece ended, if it can. */
enum cpam_status restore_pieces_add(struct restore_pieces *pieces,
                                    const struct restore_piece *piece,
                                    struct cpam_err *err) CPAM_CHECK;
/* All were added: order and frames are filled. */
enum cpam_status restore_pieces_end(struct restore_pieces *pieces, struct cpam_err *err) CPAM_CHECK;
void restore_pieces_clear(struct restore_pieces *pieces);

/* Where an extent begins in the pack's plaintext. */
enum cpam_status restore_pieces_from(const struct restore_pieces *pieces,
                                     const struct spill_extent *extent, uint64_t *out,
                                     struct cpam_err *err) CPAM_CHECK;

/* From `at` on, the next run of frames to be asked for at once; false: there is none.  *stored is its
   bytes in the object. */
bool restore_pieces_run(const struct restore_pieces *pieces, uint32_t at, uint32_t *first,
                        uint32_t *last, uint64_t *stored);
/* Is so much of it wanted that the whole is asked for?  *stored: the bytes of all runs. */
bool restore_pieces_whole(const struct restore_pieces *pieces, uint64_t *stored);

static inline void
restore_pieces_clear_scoped_(struct restore_pieces *pieces)
{
    restore_pieces_clear(pieces);
}

#endif
