/*
 * blocks.h - a tag of every page of a backup, so that what is on a disk can be told from what it
 * should be without fetching it (docs/format.md, section 10.1; format-1.md 2.1, 2.7).
 *
 * Tags are AES-256-GMAC under a key that is in the object itself, which is sealed: to forge a page
 * that passes for another one takes the key.  They say what need not be fetched; that a restored file
 * is right is said by the CRC of its whole content besides.
 *
 * The object's content is the key, then for each file of the manifest, in its order, a number and one
 * tag for each 8 KiB of content, the last of which may be of fewer bytes.
 */
#ifndef CPAM_REPO_BLOCKS_H
#define CPAM_REPO_BLOCKS_H

#include "repo/backup.h"

enum
{
    BLOCK_KEY_SIZE = 32,
    BLOCK_TAG_SIZE = 16,
    BLOCK_NUMBER_SIZE = 8,
    BLOCK_PAGE = 8192 /* bytes of content a tag is of */
};

/* Pages of a file of this size. */
static inline uint64_t
block_count(uint64_t size)
{
    return size / BLOCK_PAGE + (size % BLOCK_PAGE != 0);
}

/* One thread at a time. */
struct block_tagger;
enum cpam_status block_tagger_new(const uint8_t key[BLOCK_KEY_SIZE], struct block_tagger **out,
                                  struct cpam_err *err) CPAM_CHECK;
/* size 1..BLOCK_PAGE bytes, page `page` of the file with this number.  Of one key no number and page
   may be used for two contents that both are made known. */
enum cpam_status block_tag(struct block_tagger *tagger, uint64_t number, uint32_t page,
                           const void *data, size_t size, uint8_t out[BLOCK_TAG_SIZE],
                           struct cpam_err *err) CPAM_CHECK;
void block_tagger_free(struct block_tagger *tagger);
CPAM_SCOPED(block_tagger_free, struct block_tagger);

/* Pushes into backup/<label>/blocks; to be stored before the manifest is. */
struct blocks_writer;
enum cpam_status blocks_writer_new(struct repo *repo, const struct backup_summary *summary,
                                   const uint8_t key[BLOCK_KEY_SIZE], struct blocks_writer **out,
                                   struct cpam_err *err) CPAM_CHECK;
/* The next file; then its tags, any number of them at a time. */
enum cpam_status blocks_writer_file(struct blocks_writer *writer, uint64_t number,
                                    struct cpam_err *err) CPAM_CHECK;
enum cpam_status blocks_writer_tags(struct blocks_writer *writer, const void *tags, size_t size,
                                    struct cpam_err *err) CPAM_CHECK;
/* Stored: fills has_blocks and blocks_h, _d, _size of *summary. */
enum cpam_status blocks_writer_finish(struct blocks_writer *writer, struct backup_summary *summary,
                                      struct cpam_err *err) CPAM_CHECK;
void blocks_writer_free(struct blocks_writer *writer);
CPAM_SCOPED(blocks_writer_free, struct blocks_writer);

/* Its content, authenticated, into `to` (neither finished nor freed).  CPAM_NOT_FOUND: the backup has
   none. */
enum cpam_status blocks_read(struct repo *repo, const struct backup_summary *summary,
                             struct sink *to, struct cpam_err *err) CPAM_CHECK;

#endif
