/*
 * push_known.c - what is looked up in a state file that is open.
 */
#include <stdio.h>
#include <string.h>

#include "push_known_parts.h"
#include "repo/layout.h"

const struct push_head *
push_known_head(const struct push_known *known)
{
    return &known->head;
}

uint64_t
push_known_size(const struct push_known *known)
{
    return known->whole;
}

uint32_t
push_known_attempt(const struct push_known *known)
{
    return known->attempt;
}

const struct push_commit *
push_known_commit(const struct push_known *known)
{
    return known->commit;
}

const char *
push_known_label(const struct push_known *known, uint32_t ordinal)
{
    return ordinal < known->label_count ? known->labels[ordinal] : "";
}

uint32_t
push_known_labels(const struct push_known *known)
{
    return known->label_count;
}

int
push_known_repo(const struct push_known *known, const uint8_t uuid[16])
{
    for (uint32_t i = 0; i < known->head.repos; i++)
        if (memcmp(known->head.uuids[i], uuid, 16) == 0)
            return (int) i;
    return -1;
}

/* The first index entry that is not below wanted. */
static size_t
index_find(const struct push_known *known, uint64_t wanted)
{
    size_t low = 0, high = known->index_count;

    while (low < high)
    {
        size_t middle = low + (high - low) / 2;

        if (known->index[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum cpam_status
push_known_part(struct push_known *known, const char *path, uint64_t file, uint32_t number,
                struct cpam_buf *text, struct known_part *out, struct cpam_err *err)
{
    uint64_t hash = known_index_hash(file, number);
    size_t first = index_find(known, hash), end = first;

    while (end < known->index_count && known->index[end] >> PLACE_BITS == hash >> PLACE_BITS)
        end++;
    /* of several records of one part the last one was written last */
    for (size_t i = end; i > first; i--)
    {
        struct push_part fixed;
        const char *found;

        CPAM_TRY(known_part_at(known, known->index[i - 1] & ((UINT64_C(1) << PLACE_BITS) - 1), text,
                               &fixed, &found, out, err));
        if (fixed.number == number && strcmp(found, path) == 0)
            return CPAM_OK;
    }
    return cpam_fail(err, CPAM_NOT_FOUND, 0, "nothing is known of \"%s\"", path);
}

uint32_t
push_known_frame(const struct push_known *known, int64_t pack, uint32_t frame, bool *thin)
{
    const struct known_pack *found = known_find_pack(known, pack);

    *thin = false;
    if (found == NULL || frame >= found->frame_count)
        return 0;
    *thin = (found->frames[frame] & THIN_FRAME) != 0;
    return found->frames[frame] & ~THIN_FRAME;
}

void
push_known_use(struct push_known *known, int64_t pack, uint32_t frame)
{
    struct known_pack *found = known_find_pack(known, pack);

    if (found == NULL)
        return;
    pthread_mutex_lock(&known->lock);
    if (found->used <= frame)
        found->used = frame + 1;
    pthread_mutex_unlock(&known->lock);
}

static enum cpam_status
tell_pack(const struct push_known *known, const struct known_pack *pack, uint32_t frames,
          push_known_fn fn, void *arg, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf record = {0};
    CPAM_AUTO(free) uint32_t *lengths = calloc(2 * (size_t) pack->frame_count, sizeof(uint32_t));
    struct pack_copy copies[PACK_REPOS_MAX];
    struct push_record header;
    size_t before = sizeof(header) + sizeof(struct push_pack);

    if (lengths == NULL)
        return known_no_memory(err);
    CPAM_TRY(known_record_get(known, pack->at, &record, &header, err));
    memcpy(copies, record.data + before, known_copies_size(known));
    memcpy(lengths, record.data + before + known_copies_size(known),
           2 * (size_t) pack->frame_count * sizeof(uint32_t));
    struct manifest_pack told = {
        .frame_count = frames, .clen = lengths, .rlen = lengths + pack->frame_count};
    uint32_t name = PUSH_PACK_NAME(pack->id);
    char key[LAYOUT_KEY_MAX];

    layout_pack(push_known_label(known, PUSH_PACK_ORDINAL(pack->id)), name >> 24, name & 0xffffff,
                key);
    memcpy(told.key, key, sizeof(told.key));
    struct known_pack_use use = {.id = pack->id, .pack = &told, .copies = copies};
    return fn(arg, &use, err);
}

enum cpam_status
push_known_used(struct push_known *known, push_known_fn fn, void *arg, struct cpam_err *err)
{
    uint32_t rank = 0;

    for (size_t i = 0; i < known->pack_count; i++)
    {
        known->packs[i].rank = rank;
        if (known->packs[i].used == 0)
            continue;
        rank++;
        CPAM_TRY(tell_pack(known, &known->packs[i], known->packs[i].used, fn, arg, err));
    }
    return CPAM_OK;
}

enum cpam_status
push_known_all(const struct push_known *known, push_known_fn fn, void *arg, struct cpam_err *err)
{
    int64_t last = 0;

    for (size_t i = 0; i < known->pack_count; last = known->packs[i++].id)
        /* one that an attempt told of and the backup did not come to use may be gone */
        if (known->packs[i].frame_count > 0 && known->packs[i].id != last)
            CPAM_TRY(tell_pack(known, &known->packs[i], 0, fn, arg, err));
    return CPAM_OK;
}

uint32_t
push_known_rank(const struct push_known *known, int64_t pack)
{
    const struct known_pack *found = known_find_pack(known, pack);

    return found == NULL ? 0 : found->rank;
}

struct question
{
    push_known_ask ask;
    void *arg;
    bool there;
};

static enum cpam_status
put_question(void *arg, const struct known_pack_use *use, struct cpam_err *err)
{
    struct question *question = arg;

    (void) err;
    question->there = question->ask(question->arg, use);
    return CPAM_OK;
}

bool
push_known_adopt(struct push_known *known, int64_t pack, push_known_ask ask, void *arg)
{
    struct known_pack *found = known_find_pack(known, pack);
    struct question question = {ask, arg, false};
    struct cpam_err ignored;

    if (found == NULL || found->frame_count == 0)
        return false;
    pthread_mutex_lock(&known->lock);
    int adopted = (int) found->adopted;
    pthread_mutex_unlock(&known->lock);
    if (adopted != PACK_UNASKED)
        return adopted == PACK_THERE;
    /* unlocked: the answer may take its time, and is the same for all who ask */
    if (tell_pack(known, found, found->frame_count, put_question, &question, &ignored) != CPAM_OK)
        return false;
    pthread_mutex_lock(&known->lock);
    found->adopted = question.there ? PACK_THERE : PACK_AWAY;
    pthread_mutex_unlock(&known->lock);
    return question.there;
}
