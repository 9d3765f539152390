/*
 * pack_set.c - the packs of a backup: their numbers, what is in them, and who still gets them.
 */
#include "repo/pack.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "repo/layout.h"
#include "repo/spill.h"

struct pack_set
{
    struct pack_set_spec spec;
    char label[BACKUP_LABEL_MAX];
    struct spill *notes;
    pthread_mutex_t lock; /* of all below */
    uint32_t opened;
    uint64_t *notes_at; /* of each pack, by index: 8 bytes a pack are all that stays in memory */
    size_t cap;
    struct
    {
        uint64_t stored;
        bool dropped;
        struct cpam_err reason; /* when dropped */
    } repos[PACK_REPOS_MAX];
};

/* A note: this, a pack_copy for each repository, and the two lists of lengths. */
struct pack_note
{
    uint32_t index, frame_count;
    char key[sizeof(((struct manifest_pack *) NULL)->key)];
};

enum cpam_status
pack_set_new(struct io *io, const struct pack_set_spec *spec, struct pack_set **out,
             struct cpam_err *err)
{
    CPAM_AUTO(pack_set_free) struct pack_set *set = calloc(1, sizeof(*set));

    *out = NULL;
    if (set == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the packs of a backup");
    pthread_mutex_init(&set->lock, NULL);
    set->spec = *spec;
    if (spec->pack_size < PACK_SIZE_MIN || spec->pack_size > PACK_SIZE_MAX)
        return cpam_fail(err, CPAM_USAGE, 0, "base.pack_size is %" PRIu64 ", not %d to %d bytes",
                         spec->pack_size, PACK_SIZE_MIN, PACK_SIZE_MAX);
    if (spec->repos == 0 || spec->repos > PACK_REPOS_MAX)
        return cpam_fail(err, CPAM_INTERNAL, 0, "packs for %zu repositories", spec->repos);
    CPAM_TRY(label_check(spec->label, err));
    memcpy(set->label, spec->label, strlen(spec->label) + 1);
    set->spec.label = set->label;
    CPAM_TRY(spill_new(io, spec->state, &set->notes, err));
    *out = CPAM_STEAL(set);
    return CPAM_OK;
}

void
pack_set_free(struct pack_set *set)
{
    if (set == NULL)
        return;
    spill_free(set->notes);
    pthread_mutex_destroy(&set->lock);
    free(set->notes_at);
    free(set);
}

const struct pack_set_spec *
pack_set_spec(const struct pack_set *set)
{
    return &set->spec;
}

uint64_t
pack_set_count(struct pack_set *set)
{
    pthread_mutex_lock(&set->lock);
    uint64_t count = set->opened;
    pthread_mutex_unlock(&set->lock);
    return count;
}

uint64_t
pack_set_stored(struct pack_set *set, size_t repo)
{
    pthread_mutex_lock(&set->lock);
    uint64_t stored = set->repos[repo].stored;
    pthread_mutex_unlock(&set->lock);
    return stored;
}

void
pack_set_drop(struct pack_set *set, size_t repo, const struct cpam_err *reason)
{
    pthread_mutex_lock(&set->lock);
    if (!set->repos[repo].dropped)
        set->repos[repo].reason = *reason;
    set->repos[repo].dropped = true;
    pthread_mutex_unlock(&set->lock);
}

enum cpam_status
pack_set_reason(struct pack_set *set, size_t repo, struct cpam_err *reason)
{
    enum cpam_status status = CPAM_OK;

    pthread_mutex_lock(&set->lock);
    if (set->repos[repo].dropped)
    {
        *reason = set->repos[repo].reason;
        status = reason->status;
    }
    pthread_mutex_unlock(&set->lock);
    return status;
}

size_t
pack_set_left(struct pack_set *set)
{
    size_t left = 0;

    pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < set->spec.repos; i++)
        left += !set->repos[i].dropped;
    pthread_mutex_unlock(&set->lock);
    return left;
}

enum cpam_status
pack_set_next(struct pack_set *set, uint32_t *index, struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;

    pthread_mutex_lock(&set->lock);
    if (set->opened == MANIFEST_PACKS_MAX)
        status = cpam_fail(err, CPAM_INVALID, 0,
                           "a backup of more than %d packs: choose a larger "
                           "base.pack_size",
                           MANIFEST_PACKS_MAX);
    else if (set->opened == set->cap)
    {
        size_t cap = set->cap == 0 ? 256 : set->cap * 2;
        uint64_t *grown = realloc(set->notes_at, cap * sizeof(*grown));

        if (grown == NULL)
            status = cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the packs of a backup");
        else
        {
            for (size_t i = set->cap; i < cap; i++)
                grown[i] = UINT64_MAX;
            set->notes_at = grown;
            set->cap = cap;
        }
    }
    if (status == CPAM_OK)
        *index = set->opened++;
    pthread_mutex_unlock(&set->lock);
    return status;
}

enum cpam_status
pack_set_note(struct pack_set *set, const struct manifest_pack *pack,
              const struct pack_copy *copies, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf note = {0};
    struct pack_note fixed = {.index = pack->index, .frame_count = pack->frame_count};
    size_t frames = pack->frame_count * sizeof(uint32_t);
    uint64_t at;

    memcpy(fixed.key, pack->key, sizeof(fixed.key));
    CPAM_TRY(cpam_buf_append(&note, &fixed, sizeof(fixed), SPILL_NOTE_MAX, err));
    CPAM_TRY(
        cpam_buf_append(&note, copies, set->spec.repos * sizeof(*copies), SPILL_NOTE_MAX, err));
    CPAM_TRY(cpam_buf_append(&note, pack->clen, frames, SPILL_NOTE_MAX, err));
    CPAM_TRY(cpam_buf_append(&note, pack->rlen, frames, SPILL_NOTE_MAX, err));
    CPAM_TRY(spill_add(set->notes, note.data, note.size, &at, err));
    pthread_mutex_lock(&set->lock);
    set->notes_at[pack->index] = at;
    for (size_t i = 0; i < set->spec.repos; i++)
        if (copies[i].stored)
            set->repos[i].stored += copies[i].size;
    pthread_mutex_unlock(&set->lock);
    if (set->spec.noted != NULL)
        set->spec.noted(set->spec.arg, pack, copies);
    return CPAM_OK;
}

/* The note in `text` as this repository's manifest tells it; lengths is the caller's to free. */
static enum cpam_status
read_note(const struct pack_set *set, const struct cpam_buf *text, size_t repo,
          struct manifest_pack *pack, uint32_t **lengths, struct cpam_err *err)
{
    size_t copies_size = set->spec.repos * sizeof(struct pack_copy);
    const uint8_t *data = text->data;
    struct pack_note fixed;
    struct pack_copy copy;

    memcpy(&fixed, data, sizeof(fixed));
    memcpy(&copy, data + sizeof(fixed) + repo * sizeof(copy), sizeof(copy));
    size_t frames = fixed.frame_count * sizeof(uint32_t);
    if (!copy.stored)
        return cpam_fail(err, CPAM_INTERNAL, 0, "pack %" PRIu32 " was never put here", fixed.index);
    *lengths = malloc(2 * frames + 1);
    if (*lengths == NULL || text->size != sizeof(fixed) + copies_size + 2 * frames)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the frames of a pack");
    memcpy(*lengths, data + sizeof(fixed) + copies_size, 2 * frames);
    *pack = (struct manifest_pack){.index = fixed.index,
                                   .body_offset = copy.body_offset,
                                   .size = copy.size,
                                   .frame_count = fixed.frame_count,
                                   .clen = *lengths,
                                   .rlen = *lengths + fixed.frame_count};
    memcpy(pack->key, fixed.key, sizeof(pack->key));
    memcpy(pack->h, copy.h, SHA256_SIZE);
    memcpy(pack->d, copy.d, SHA256_SIZE);
    return CPAM_OK;
}

enum cpam_status
pack_set_each(struct pack_set *set, size_t repo, pack_fn fn, void *arg, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf note = {0};

    for (uint32_t i = 0; i < set->opened; i++)
    {
        CPAM_AUTO(free) uint32_t *lengths = NULL;
        struct manifest_pack pack;

        if (set->notes_at[i] == UINT64_MAX)
            return cpam_fail(err, CPAM_INTERNAL, 0, "pack %" PRIu32 " was never put", i);
        CPAM_TRY(spill_get(set->notes, set->notes_at[i], &note, NULL, err));
        CPAM_TRY(read_note(set, &note, repo, &pack, &lengths, err));
        CPAM_TRY(fn(arg, &pack, err));
    }
    return CPAM_OK;
}
