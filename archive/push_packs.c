/*
 * push_packs.c - packs gathered label by label, and looked for.
 */
#include "push_packs.h"

#include <stdlib.h>

#include "repo/backup_fence.h"
#include "repo/backup_packs.h"

struct gathering
{
    const struct push_known *known;
    struct repo *repo;
    int slot;
    uint32_t ordinal; /* of the label whose packs are gathered */
    struct backup_pack *packs;
    size_t count, cap;
};

static enum cpam_status
look(struct gathering *self, struct cpam_err *err)
{
    size_t count = self->count;

    self->count = 0;
    return backup_packs_there(self->repo, push_known_label(self->known, self->ordinal), self->packs,
                              count, err);
}

/* In the order of ids, which is that of labels, and of names below them. */
static enum cpam_status
gather(void *arg, const struct known_pack_use *use, struct cpam_err *err)
{
    struct gathering *self = arg;
    const struct pack_copy *copy = &use->copies[self->slot];

    if (PUSH_PACK_ORDINAL(use->id) != self->ordinal)
        CPAM_TRY(look(self, err));
    self->ordinal = PUSH_PACK_ORDINAL(use->id);
    if (!copy->stored)
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "pack \"%s\" was never put here", use->pack->key);
    if (self->count == self->cap)
    {
        size_t cap = self->cap == 0 ? 1024 : self->cap * 2;
        void *grown = realloc(self->packs, cap * sizeof(*self->packs));

        if (grown == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the packs of a backup");
        self->packs = grown;
        self->cap = cap;
    }
    self->packs[self->count++] = (struct backup_pack){PUSH_PACK_NAME(use->id), copy->size};
    return CPAM_OK;
}

enum cpam_status
push_packs_there(struct push_known *known, int slot, struct repo *repo, bool used,
                 struct cpam_err *err)
{
    struct gathering self = {.known = known, .repo = repo, .slot = slot};
    enum cpam_status status = used ? push_known_used(known, gather, &self, err)
                                   : push_known_all(known, gather, &self, err);

    if (status == CPAM_OK)
        status = look(&self, err);
    free(self.packs);
    return status;
}

/* The first of each label, which was put first. */
static enum cpam_status
first_stays(void *arg, const struct known_pack_use *use, struct cpam_err *err)
{
    struct gathering *self = arg;
    struct store *store = repo_store(self->repo);
    const struct backup_pack pack = {PUSH_PACK_NAME(use->id), 0};

    if (self->count > 0 && PUSH_PACK_ORDINAL(use->id) == self->ordinal)
        return CPAM_OK;
    self->ordinal = PUSH_PACK_ORDINAL(use->id);
    self->count++;
    return backup_pack_stays(self->repo, push_known_label(self->known, self->ordinal), &pack,
                             store->io->ops->now(store->io) + store->lock_us + BACKUP_TIME_MAX,
                             err);
}

enum cpam_status
push_packs_stay(struct push_known *known, int slot, struct repo *repo, struct cpam_err *err)
{
    struct gathering self = {.known = known, .repo = repo, .slot = slot};

    return repo_store(repo)->lock_us == 0 ? CPAM_OK
                                          : push_known_all(known, first_stays, &self, err);
}
