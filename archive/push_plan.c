/*
 * push_plan.c - notes of entries and parts.
 */
#include "push_plan.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "pg/crc32c.h"
#include "repo/blocks.h"
#include "repo/spill.h"

#define PART_MISSING  UINT64_MAX
#define PART_VANISHED (UINT64_MAX - 1)

struct plan
{
    struct spill *entries, *parts;
    uint64_t bytes, part_count, part_size;
    pthread_mutex_t lock; /* of parts_at */
    uint64_t *parts_at;
    size_t cap;
};

/* The fixed part of a note; texts follow. */
struct entry_note
{
    struct plan_entry entry;
    uint32_t path_size, target_size; /* with their NUL; 0: none */
};

struct part_note
{
    uint64_t size;
    uint32_t crc;
    uint64_t extent_count, tag_count; /* which follow */
};

enum cpam_status
plan_new(struct io *io, const char *state, struct plan **out, struct cpam_err *err)
{
    CPAM_AUTO(plan_free) struct plan *plan = calloc(1, sizeof(*plan));

    *out = NULL;
    if (plan == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a plan");
    plan->part_size = PLAN_PART_SIZE;
    pthread_mutex_init(&plan->lock, NULL);
    CPAM_TRY(spill_new(io, state, &plan->entries, err));
    CPAM_TRY(spill_new(io, state, &plan->parts, err));
    *out = CPAM_STEAL(plan);
    return CPAM_OK;
}

void
plan_free(struct plan *plan)
{
    if (plan == NULL)
        return;
    spill_free(plan->entries);
    spill_free(plan->parts);
    pthread_mutex_destroy(&plan->lock);
    free(plan->parts_at);
    free(plan);
}

static enum cpam_status
add_parts(struct plan *plan, uint64_t count, uint64_t *first, struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;

    pthread_mutex_lock(&plan->lock);
    if (plan->part_count + count > plan->cap)
    {
        size_t cap = plan->part_count + count + plan->cap / 4 + 1024;
        uint64_t *grown;

        grown = realloc(plan->parts_at, cap * sizeof(*grown));
        if (grown == NULL)
            status = cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a plan");
        else
        {
            for (size_t i = plan->cap; i < cap; i++)
                grown[i] = PART_MISSING;
            plan->parts_at = grown;
            plan->cap = cap;
        }
    }
    if (status == CPAM_OK)
    {
        *first = plan->part_count;
        plan->part_count += count;
    }
    pthread_mutex_unlock(&plan->lock);
    return status;
}

enum cpam_status
plan_extra_part(struct plan *plan, uint64_t *part, struct cpam_err *err)
{
    return add_parts(plan, 1, part, err);
}

void
plan_set_part_size(struct plan *plan, uint64_t size)
{
    plan->part_size = size;
}

uint64_t
plan_part_size(const struct plan *plan)
{
    return plan->part_size;
}

enum cpam_status
plan_add_read(struct plan *plan, const struct source_entry *entry, uint64_t first_part,
              uint64_t part_count, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf note = {0};
    struct entry_note fixed = {.entry = {*entry, first_part, part_count}};
    uint64_t at;

    fixed.path_size = (uint32_t) strlen(entry->path) + 1;
    fixed.target_size = entry->target == NULL ? 0 : (uint32_t) strlen(entry->target) + 1;
    CPAM_TRY(cpam_buf_append(&note, &fixed, sizeof(fixed), SPILL_NOTE_MAX, err));
    CPAM_TRY(cpam_buf_append(&note, entry->path, fixed.path_size, SPILL_NOTE_MAX, err));
    if (fixed.target_size > 0)
        CPAM_TRY(cpam_buf_append(&note, entry->target, fixed.target_size, SPILL_NOTE_MAX, err));
    return spill_add(plan->entries, note.data, note.size, &at, err);
}

enum cpam_status
plan_add(struct plan *plan, const struct source_entry *entry, uint64_t *first_part,
         struct cpam_err *err)
{
    uint64_t first = 0, count = 0;

    if (entry->kind == MANIFEST_FILE)
    {
        count = entry->size == 0 ? 1 : (entry->size + plan->part_size - 1) / plan->part_size;
        CPAM_TRY(add_parts(plan, count, &first, err));
        plan->bytes += entry->size;
    }
    if (first_part != NULL)
        *first_part = first;
    return plan_add_read(plan, entry, first, count, err);
}

uint64_t
plan_bytes(const struct plan *plan)
{
    return plan->bytes;
}

enum cpam_status
plan_each(struct plan *plan, plan_fn fn, void *arg, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf note = {0};
    uint64_t end = spill_size(plan->entries);

    for (uint64_t at = 0; at < end;)
    {
        struct entry_note fixed;

        CPAM_TRY(spill_get(plan->entries, at, &note, &at, err));
        memcpy(&fixed, note.data, sizeof(fixed));
        fixed.entry.source.path = (const char *) note.data + sizeof(fixed);
        fixed.entry.source.target =
            fixed.target_size == 0 ? NULL : fixed.entry.source.path + fixed.path_size;
        CPAM_TRY(fn(arg, &fixed.entry, err));
    }
    return CPAM_OK;
}

static void
note_at(struct plan *plan, uint64_t part, uint64_t at)
{
    pthread_mutex_lock(&plan->lock);
    plan->parts_at[part] = at;
    pthread_mutex_unlock(&plan->lock);
}

enum cpam_status
plan_part_done(void *arg, const struct pack_part *part, struct cpam_err *err)
{
    return plan_part_tagged(arg, part, NULL, 0, err);
}

enum cpam_status
plan_part_tagged(struct plan *plan, const struct pack_part *part, const uint8_t *tags,
                 size_t tag_count, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf note = {0};
    struct part_note fixed = {part->size, part->crc, part->extent_count, tag_count};
    uint64_t at;

    CPAM_TRY(cpam_buf_append(&note, &fixed, sizeof(fixed), SPILL_NOTE_MAX, err));
    if (part->extent_count > 0)
        CPAM_TRY(cpam_buf_append(&note, part->extents, part->extent_count * sizeof(*part->extents),
                                 SPILL_NOTE_MAX, err));
    if (tag_count > 0)
        CPAM_TRY(cpam_buf_append(&note, tags, tag_count * BLOCK_TAG_SIZE, SPILL_NOTE_MAX, err));
    CPAM_TRY(spill_add(plan->parts, note.data, note.size, &at, err));
    note_at(plan, part->id, at);
    return CPAM_OK;
}

enum cpam_status
plan_part_vanished(struct plan *plan, uint64_t part, struct cpam_err *err)
{
    (void) err;
    note_at(plan, part, PART_VANISHED);
    return CPAM_OK;
}

/* Parts of one file up to the one that came short: the file was cut there while it was read, and
   replay does the same.  A vanished first part means there is no file. */
struct parts
{
    struct plan *plan;
    uint64_t first, at, end;
    bool vanished;
    struct cpam_buf note;
    struct part_note fixed; /* of the part at hand */
};

static struct parts
parts_of(struct plan *plan, uint64_t first_part, uint64_t part_count)
{
    return (struct parts){
        .plan = plan, .first = first_part, .at = first_part, .end = first_part + part_count};
}

static void
parts_clear_scoped_(struct parts *parts)
{
    cpam_buf_clear(&parts->note);
}

#define PARTS_SCOPED __attribute__((cleanup(parts_clear_scoped_)))

/* The next part into parts->fixed and note; *more is false: there is none. */
static enum cpam_status
parts_next(struct parts *parts, bool *more, struct cpam_err *err)
{
    uint64_t i = parts->at++;

    *more = false;
    if (i >= parts->end)
        return CPAM_OK;
    uint64_t at = parts->plan->parts_at[i];
    if (at == PART_VANISHED)
    {
        parts->vanished = i == parts->first;
        return CPAM_OK;
    }
    if (at == PART_MISSING)
        return cpam_fail(err, CPAM_INTERNAL, 0, "part %" PRIu64 " was never read", i);
    CPAM_TRY(spill_get(parts->plan->parts, at, &parts->note, NULL, err));
    memcpy(&parts->fixed, parts->note.data, sizeof(parts->fixed));
    if (parts->fixed.size < parts->plan->part_size)
        parts->end = i;
    *more = true;
    return CPAM_OK;
}

static const uint8_t *
parts_extents(const struct parts *parts)
{
    return parts->note.data + sizeof(parts->fixed);
}

static enum cpam_status
append_extents(struct plan_content *out, const struct parts *parts, struct cpam_err *err)
{
    size_t count = (size_t) parts->fixed.extent_count;
    struct manifest_extent *grown;

    if (count == 0)
        return CPAM_OK;
    grown = realloc(out->extents, (out->extent_count + count) * sizeof(*grown));
    if (grown == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the extents of a file");
    memcpy(grown + out->extent_count, parts_extents(parts), count * sizeof(*grown));
    out->extents = grown;
    out->extent_count += count;
    return CPAM_OK;
}

void
plan_content_clear(struct plan_content *content)
{
    free(content->extents);
}

enum cpam_status
plan_content(struct plan *plan, uint64_t first_part, uint64_t part_count, struct plan_content *out,
             struct cpam_err *err)
{
    PARTS_SCOPED struct parts parts = parts_of(plan, first_part, part_count);
    bool more;

    memset(out, 0, sizeof(*out));
    for (;;)
    {
        CPAM_TRY(parts_next(&parts, &more, err));
        if (!more)
            break;
        CPAM_TRY(append_extents(out, &parts, err));
        /* the CRC of nothing is 0, to which combining makes no difference */
        out->crc = crc32c_combine(out->crc, parts.fixed.crc, parts.fixed.size);
        out->size += parts.fixed.size;
    }
    out->vanished = parts.vanished;
    return CPAM_OK;
}

enum cpam_status
plan_tags(struct plan *plan, uint64_t first_part, uint64_t part_count, plan_tags_fn fn, void *arg,
          struct cpam_err *err)
{
    PARTS_SCOPED struct parts parts = parts_of(plan, first_part, part_count);
    bool more;

    for (;;)
    {
        CPAM_TRY(parts_next(&parts, &more, err));
        if (!more)
            return CPAM_OK;
        const uint8_t *tags =
            parts_extents(&parts) + parts.fixed.extent_count * sizeof(struct manifest_extent);
        CPAM_TRY(fn(arg, tags, parts.fixed.tag_count, err));
    }
}
