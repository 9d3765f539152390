/*
 * push_known.h - which blocks of an earlier backup are where: the file push_journal.h tells of, read.
 *
 * Everything in it is proven by the file's MACs when it is opened; a file that is damaged anywhere is
 * refused whole.  In memory stay 8 bytes a part and 4 a frame; tags and extents are read file by
 * file.  Once open it is used by several threads.
 */
#ifndef CPAM_ARCHIVE_PUSH_KNOWN_H
#define CPAM_ARCHIVE_PUSH_KNOWN_H

#include "push_record.h"

struct push_known;
/* cut: what a push left that was interrupted; what is not whole of it is not known.  Otherwise
   CPAM_CORRUPT: it is damaged, cut short, or made by another version.  CPAM_NOT_FOUND. */
enum cpam_status push_known_open(struct io *io, const char *path, bool cut, struct push_known **out,
                                 struct cpam_err *err) CPAM_CHECK;
void push_known_free(struct push_known *known);
CPAM_SCOPED(push_known_free, struct push_known);

const struct push_head *push_known_head(const struct push_known *known);
const struct push_commit *push_known_commit(const struct push_known *known);
/* Bytes that are whole, and the highest number of an attempt. */
uint64_t push_known_size(const struct push_known *known);
uint32_t push_known_attempt(const struct push_known *known);
/* Ordinal 0 is the backup's own label; "" beyond the last one. */
const char *push_known_label(const struct push_known *known, uint32_t ordinal);
uint32_t push_known_labels(const struct push_known *known);
/* The place of a repository among a pack's copies; -1: it had no part in that backup. */
int push_known_repo(const struct push_known *known, const uint8_t uuid[16]);

/* A part of a file as it was; what it points to is in `text`. */
struct known_part
{
    uint64_t size;
    const struct manifest_extent *extents; /* with ids of packs (push_record.h), or -1 */
    uint32_t extent_count, tag_count;
    const uint8_t *tags;
};
/* CPAM_NOT_FOUND: nothing is known of it. */
enum cpam_status push_known_part(struct push_known *known, const char *path, uint64_t file,
                                 uint32_t number, struct cpam_buf *text, struct known_part *out,
                                 struct cpam_err *err) CPAM_CHECK;

/* Plaintext bytes of a frame; 0: there is none.  *thin: less than a quarter of it is in use, so that it
   should be left behind (format-1.md fault 23). */
uint32_t push_known_frame(const struct push_known *known, int64_t pack, uint32_t frame, bool *thin);

/* May a pack of an earlier attempt be used: is it in every repository?  ask is called once, or by several
   threads at once; its copies are as push_known_used() tells them. */
struct known_pack_use;
typedef bool (*push_known_ask)(void *arg, const struct known_pack_use *use);
bool push_known_adopt(struct push_known *known, int64_t pack, push_known_ask ask, void *arg);

/* The new backup uses the pack up to and with this frame. */
void push_known_use(struct push_known *known, int64_t pack, uint32_t frame);
/* All packs in use, by id; frames end with the last that is used.  copies: head.repos of them. */
struct known_pack_use
{
    int64_t id;
    const struct manifest_pack *pack; /* index, h, d, size, body_offset are not filled */
    const struct pack_copy *copies;
};
typedef enum cpam_status (*push_known_fn)(void *arg, const struct known_pack_use *use,
                                          struct cpam_err *err);
enum cpam_status push_known_used(struct push_known *known, push_known_fn fn, void *arg,
                                 struct cpam_err *err) CPAM_CHECK;
/* All of them, in use or not; their frames are not told. */
enum cpam_status push_known_all(const struct push_known *known, push_known_fn fn, void *arg,
                                struct cpam_err *err) CPAM_CHECK;
/* How many packs in use have a lower id; for those in use. */
uint32_t push_known_rank(const struct push_known *known, int64_t pack);

#endif
