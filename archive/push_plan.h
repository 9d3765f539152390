/*
 * push_plan.h - what a backup is going to hold, and where its bytes went, on disk beside it.
 *
 * The walk's entries are noted in order; files are cut into parts, numbered through, so that the
 * workers can share large ones.  What a worker tells of a part is noted in any order.  In memory
 * stay 8 bytes a part.
 */
#ifndef CPAM_ARCHIVE_PUSH_PLAN_H
#define CPAM_ARCHIVE_PUSH_PLAN_H

#include "repo/pack_fill.h"
#include "source_files.h"

enum
{
    PLAN_PART_SIZE = 16 << 20, /* bytes of a file one job reads */
    PLAN_TABLESPACES_MAX = 4096
};

struct plan_entry
{
    struct source_entry source;
    uint64_t first_part, part_count; /* of a file; an empty one has a part too */
};

struct plan;
enum cpam_status plan_new(struct io *io, const char *state, struct plan **out,
                          struct cpam_err *err) CPAM_CHECK;
void plan_free(struct plan *plan);
CPAM_SCOPED(plan_free, struct plan);

/* In the manifest's order.  *first_part (may be NULL) is the number of the file's first part. */
enum cpam_status plan_add(struct plan *plan, const struct source_entry *entry, uint64_t *first_part,
                          struct cpam_err *err) CPAM_CHECK;
/* A file that was cut into parts while it came: first_part to first_part + part_count - 1 are from
   plan_extra_part(), and each but the last is full. */
enum cpam_status plan_add_read(struct plan *plan, const struct source_entry *entry,
                               uint64_t first_part, uint64_t part_count,
                               struct cpam_err *err) CPAM_CHECK;
/* Bytes of a full part: PLAN_PART_SIZE, or what was set before the first one was noted. */
void plan_set_part_size(struct plan *plan, uint64_t size);
uint64_t plan_part_size(const struct plan *plan);
/* A part that belongs to no noted entry yet (backup_label, made at the end; a file that comes). */
enum cpam_status plan_extra_part(struct plan *plan, uint64_t *part,
                                 struct cpam_err *err) CPAM_CHECK;
uint64_t plan_bytes(const struct plan *plan);

/* The noted entries, in order; texts are valid during the call. */
typedef enum cpam_status (*plan_fn)(void *arg, const struct plan_entry *entry,
                                    struct cpam_err *err);
enum cpam_status plan_each(struct plan *plan, plan_fn fn, void *arg,
                           struct cpam_err *err) CPAM_CHECK;

/* Where a part's bytes went (a pack_part_fn; arg is the plan); from any thread. */
enum cpam_status plan_part_done(void *arg, const struct pack_part *part,
                                struct cpam_err *err) CPAM_CHECK;
/* The same with the tags of its pages (repo/blocks.h). */
enum cpam_status plan_part_tagged(struct plan *plan, const struct pack_part *part,
                                  const uint8_t *tags, size_t tag_count,
                                  struct cpam_err *err) CPAM_CHECK;
/* A file that was gone when it should have been read. */
enum cpam_status plan_part_vanished(struct plan *plan, uint64_t part,
                                    struct cpam_err *err) CPAM_CHECK;

/*
 * The parts of one file put together.  A part that came short (the file was cut while it was read)
 * ends the file; a first part that vanished means there is no file.  The caller clears *out, also
 * after a failure.
 */
struct plan_content
{
    bool vanished;
    uint64_t size;
    uint32_t crc;
    struct manifest_extent *extents;
    size_t extent_count;
};
void plan_content_clear(struct plan_content *content);

enum cpam_status plan_content(struct plan *plan, uint64_t first_part, uint64_t part_count,
                              struct plan_content *out, struct cpam_err *err) CPAM_CHECK;

/* The tags of the same file's pages, those of a part at a time: of a large one they are many. */
typedef enum cpam_status (*plan_tags_fn)(void *arg, const uint8_t *tags, uint64_t tag_count,
                                         struct cpam_err *err);
enum cpam_status plan_tags(struct plan *plan, uint64_t first_part, uint64_t part_count,
                           plan_tags_fn fn, void *arg, struct cpam_err *err) CPAM_CHECK;

#endif
