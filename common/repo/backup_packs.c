/*
 * backup_packs.c - a listing and what should be in it, merged.
 */
#include "repo/backup_packs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "repo/layout.h"

struct lookout
{
    const char *label;
    const struct backup_pack *packs;
    size_t count, next;
};

static void
pack_key(const struct lookout *self, size_t i, char out[LAYOUT_KEY_MAX])
{
    layout_pack(self->label, self->packs[i].name >> 24, self->packs[i].name & 0xffffff, out);
}

static enum cpam_status
missing(const struct lookout *self, struct cpam_err *err)
{
    char key[LAYOUT_KEY_MAX];

    pack_key(self, self->next, key);
    return cpam_fail(err, CPAM_NOT_FOUND, 0, "pack \"%s\" has been taken away", key);
}

static enum cpam_status
on_listed(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct lookout *self = arg;
    char key[LAYOUT_KEY_MAX];

    if (self->next == self->count)
        return CPAM_CANCELLED; /* there is no more to be known */
    pack_key(self, self->next, key);
    int order = strcmp(entry->key, key);
    if (order < 0)
        return CPAM_OK;
    if (order > 0)
        return missing(self, err);
    if (entry->size != self->packs[self->next].size)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "pack \"%s\" has %" PRIu64 " bytes, and was put with %" PRIu64, key,
                         entry->size, self->packs[self->next].size);
    self->next++;
    return CPAM_OK;
}

enum cpam_status
backup_packs_there(struct repo *repo, const char *label, const struct backup_pack *packs,
                   size_t count, struct cpam_err *err)
{
    struct lookout self = {.label = label, .packs = packs, .count = count};
    char prefix[LAYOUT_KEY_MAX];
    const char *name;

    if (count == 0)
        return CPAM_OK;
    pack_key(&self, 0, prefix);
    name = strrchr(prefix, '/');
    prefix[name + 1 - prefix] = '\0';
    CPAM_TRY(store_list(repo_store(repo), prefix, NULL, false, on_listed, &self, err));
    return self.next == count ? CPAM_OK : missing(&self, err);
}

enum cpam_status
backup_pack_stays(struct repo *repo, const char *label, const struct backup_pack *pack,
                  int64_t until, struct cpam_err *err)
{
    const struct lookout self = {.label = label, .packs = pack, .count = 1};
    char key[LAYOUT_KEY_MAX], free_at[TEXT_TIME_MAX], wanted[TEXT_TIME_MAX];
    struct store_info info;

    pack_key(&self, 0, key);
    CPAM_TRY(store_head(repo_store(repo), key, &info, err));
    if (info.locked_until == 0 || info.locked_until >= until)
        return CPAM_OK;
    text_format_time(info.locked_until, free_at);
    text_format_time(until, wanted);
    return cpam_fail(err, CPAM_INVALID, 0,
                     "pack \"%s\" is locked until %s only, and a backup that uses it is to be kept "
                     "until %s: object_lock or base.full_every was made longer since",
                     key, free_at, wanted);
}
