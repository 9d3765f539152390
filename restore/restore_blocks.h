/*
 * restore_blocks.h - the tags of a backup's pages, on disk while a restore looks at what is there.
 *
 * The blocks object is authenticated as a whole before a tag of it is believed.  It follows the
 * manifest: whoever passes through the manifest asks for one file after the other.  Tags may then be
 * read by several threads at once.
 */
#ifndef CPAM_RESTORE_RESTORE_BLOCKS_H
#define CPAM_RESTORE_RESTORE_BLOCKS_H

#include "repo/blocks.h"
#include "restore_spill.h"

struct restore_blocks;
/* In a file without a name in `dir`.  CPAM_NOT_FOUND: the backup has none. */
enum cpam_status restore_blocks_new(struct io *io, const char *dir, struct repo *repo,
                                    const struct backup_summary *summary,
                                    struct restore_blocks **out, struct cpam_err *err) CPAM_CHECK;
void restore_blocks_free(struct restore_blocks *blocks);
CPAM_SCOPED(restore_blocks_free, struct restore_blocks);

/* The next file of the manifest: fills tags and number of *file, whose size is given. */
enum cpam_status restore_blocks_next(struct restore_blocks *blocks, struct spill_file *file,
                                     struct cpam_err *err) CPAM_CHECK;
/* All files have passed: were those all tags? */
enum cpam_status restore_blocks_end(const struct restore_blocks *blocks,
                                    struct cpam_err *err) CPAM_CHECK;

const uint8_t *restore_blocks_key(const struct restore_blocks *blocks);
/* The tags of `count` pages from `page` on. */
enum cpam_status restore_blocks_tags(const struct restore_blocks *blocks,
                                     const struct spill_file *file, uint64_t page, size_t count,
                                     uint8_t *out, struct cpam_err *err) CPAM_CHECK;

#endif
