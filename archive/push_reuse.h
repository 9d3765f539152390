/*
 * push_reuse.h - content on its way into packs: tagged, and what is in a pack already left there.
 *
 * One thread's.  A block is known when the same block of the same file had this very tag when it was
 * put into a pack before; everything else is sent.
 */
#ifndef CPAM_ARCHIVE_PUSH_REUSE_H
#define CPAM_ARCHIVE_PUSH_REUSE_H

#include "push_known.h"
#include "repo/pack_fill.h"

struct push_reuse_spec
{
    const uint8_t *key;        /* BLOCK_KEY_SIZE bytes, of the epoch */
    uint32_t part_size;        /* bytes of a file's part, but of its last one */
    struct push_known *known;  /* of the parent; NULL: a full backup */
    struct push_known *before; /* of an earlier attempt at this backup; or NULL */
    push_known_ask ask;        /* is a pack of that attempt there?  (push_known_adopt()) */
    void *arg;
};

struct push_reuse;
enum cpam_status push_reuse_new(const struct push_reuse_spec *spec, struct push_reuse **out,
                                struct cpam_err *err) CPAM_CHECK;
void push_reuse_free(struct push_reuse *reuse);
CPAM_SCOPED(push_reuse_free, struct push_reuse);

/* What follows is this part of this file, whose pack_fill_begin() has been. */
enum cpam_status push_reuse_begin(struct push_reuse *reuse, const char *path, uint32_t number,
                                  struct cpam_err *err) CPAM_CHECK;
/* The next bytes; whole blocks, but for the last call.  data may be pack_fill_room()'s. */
enum cpam_status push_reuse_feed(struct push_reuse *reuse, struct pack_fill *fill, const void *data,
                                 size_t size, struct cpam_err *err) CPAM_CHECK;
/* For pack_fill_end(): what push_journal_part() needs. */
const void *push_reuse_note(struct push_reuse *reuse, size_t *size);
/* The tags in such a note; NULL: it is none. */
const uint8_t *push_note_tags(const void *note, size_t size, size_t *count);
/* Bytes that were left where they are, so far. */
uint64_t push_reuse_bytes(const struct push_reuse *reuse);

#endif
