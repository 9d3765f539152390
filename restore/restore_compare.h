/*
 * restore_compare.h - which bytes of an extent are on disk already, page by page, by their tags.
 *
 * Only the content decides, never a time or a length.  Pages are compared while other workers may
 * write to the same file: what is read half written matches no tag, and is fetched.
 */
#ifndef CPAM_RESTORE_RESTORE_COMPARE_H
#define CPAM_RESTORE_RESTORE_COMPARE_H

#include "restore_blocks.h"
#include "restore_pieces.h"
#include "restore_places.h"

struct restore_compare; /* one thread's */
enum cpam_status restore_compare_new(struct io *io, const struct restore_places *places,
                                     struct restore_spill *spill,
                                     const struct restore_blocks *blocks,
                                     struct restore_compare **out, struct cpam_err *err) CPAM_CHECK;
/* Adds the pieces of this extent, which is number `number` of its pack. */
enum cpam_status restore_compare_extent(struct restore_compare *compare,
                                        const struct spill_extent *extent, size_t number,
                                        struct restore_pieces *pieces,
                                        struct cpam_err *err) CPAM_CHECK;
/* The extents that follow are of another pack. */
enum cpam_status restore_compare_end(struct restore_compare *compare,
                                     struct cpam_err *err) CPAM_CHECK;
void restore_compare_free(struct restore_compare *compare);
CPAM_SCOPED(restore_compare_free, struct restore_compare);

#endif
