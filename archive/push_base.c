/*
 * push_base.c - choosing a parent, and becoming one.
 */
#include "push_base.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "base/text.h"
#include "io/file.h"
#include "push_packs.h"
#include "push_resume.h"
#include "repo/parents.h"

void
push_base_free(struct push_base *base)
{
    if (base == NULL)
        return;
    push_journal_free(base->journal);
    push_known_free(base->known);
    push_known_free(base->before);
    OPENSSL_cleanse(&base->head, sizeof(base->head));
    free(base);
}

/* Whose packs may come to be used: the parent's own, and those it uses. */
static enum cpam_status
list_parents(const struct push_known *known, char parents[BACKUP_PARENTS_MAX], struct cpam_err *err)
{
    const char *at = push_known_commit(known)->parents;
    char label[BACKUP_LABEL_MAX];
    uint64_t packs;

    parents[0] = '\0';
    CPAM_TRY(parents_add(parents, push_known_head(known)->label, UINT32_MAX, err));
    while (parents_next(&at, label, &packs))
        CPAM_TRY(parents_add(parents, label, UINT32_MAX, err));
    return CPAM_OK;
}

/* The backup in the repository is the one the state was written with, and nothing it needs has gone. */
static enum cpam_status
stands_in(struct push_known *known, int slot, struct repo *repo, const char *parents,
          struct cpam_err *err)
{
    const struct push_commit *commit = push_known_commit(known);
    struct backup_summary summary;

    CPAM_TRY(backup_summary_read(repo, push_known_head(known)->label, &summary, err));
    if (memcmp(summary.digest, commit->summary[slot], SHA256_SIZE) != 0 ||
        memcmp(summary.manifest_h, commit->manifest_h[slot], SHA256_SIZE) != 0 ||
        memcmp(summary.manifest_d, commit->manifest_d[slot], SHA256_SIZE) != 0 ||
        summary.sysid != push_known_head(known)->sysid)
        return cpam_fail(err, CPAM_FOREIGN, 0, "backup \"%s\" is another one than was made here",
                         summary.label);
    CPAM_TRY(backup_parents_check(repo, parents, err));
    const struct push_recipients *before = &push_known_head(known)->recipients[slot];

    if (!keyring_seals_for(repo_keyring(repo), before->ids, before->count))
        return cpam_fail(err, CPAM_INVALID, 0,
                         "backup \"%s\" was not sealed for all of encryption.recipients",
                         summary.label);
    CPAM_TRY(push_packs_there(known, slot, repo, false, err));
    return push_packs_stay(known, slot, repo, err);
}

static enum cpam_status
fits_here(const struct push_base_spec *spec, const struct push_known *known, int64_t now,
          struct cpam_err *err)
{
    const struct push_head *head = push_known_head(known);
    char age[TEXT_DURATION_MAX];

    if (head->sysid != spec->sysid)
        return cpam_fail(err, CPAM_FOREIGN, 0, "backup \"%s\" is of another database cluster",
                         head->label);
    if (head->part_size != spec->part_size)
        return cpam_fail(err, CPAM_INVALID, 0, "backup \"%s\" was taken from another base.source",
                         head->label);
    if (now < head->epoch_time)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the full backup \"%s\" is of a moment that has not come: the clock was "
                         "wrong then, or is now",
                         head->epoch);
    if (now - head->epoch_time < spec->full_every)
        return CPAM_OK;
    text_format_duration(now - head->epoch_time, age);
    return cpam_fail(err, CPAM_INVALID, 0, "the full backup \"%s\" is %s old (base.full_every)",
                     head->epoch, age);
}

/* Can this be the parent in all repositories?  Fills slots and parents of *base. */
static enum cpam_status
usable(struct push_base *base, struct push_known *known, struct cpam_err *err)
{
    const struct push_targets *targets = base->spec.targets;
    const struct push_commit *commit = push_known_commit(known);

    CPAM_TRY(fits_here(&base->spec, known, base->io->ops->now(base->io), err));
    CPAM_TRY(list_parents(known, base->parents, err));
    for (size_t i = 0; i < targets->count; i++)
    {
        struct push_target *target = &targets->items[i];

        base->slots[i] = -1;
        if (target->status != CPAM_OK)
            continue;
        int slot = push_known_repo(known, keyring_uuid(repo_keyring(target->repo)));
        if (slot < 0 || commit->stored[slot] == 0)
            return cpam_fail(err, CPAM_NOT_FOUND, 0,
                             "repository \"%s\" has no part in backup \"%s\"",
                             repo_name(target->repo), push_known_head(known)->label);
        enum cpam_status status = stands_in(known, slot, target->repo, base->parents, err);
        if (push_target_is_away(status))
        {
            push_target_fail(targets, i, err);
            continue;
        }
        if (status != CPAM_OK)
        {
            cpam_err_prefix(err, "repository \"%s\"", repo_name(target->repo));
            return status;
        }
        base->slots[i] = slot;
    }
    return CPAM_OK;
}

bool
push_base_ends_in(const char *name, const char *end)
{
    size_t length = strlen(name);

    return strncmp(name, PUSH_JOURNAL_PREFIX, strlen(PUSH_JOURNAL_PREFIX)) == 0 &&
           length > strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

/* Tries one state; it becomes *base's when it is usable and newer than what was found before. */
static void
consider(struct push_base *base, const char *name, struct cpam_err *why)
{
    size_t size = strlen(base->spec.state) + strlen(name) + 2;
    CPAM_AUTO(push_known_free) struct push_known *known = NULL;
    CPAM_AUTO(free) char *path = malloc(size);
    struct push_base kept = *base;

    if (path == NULL)
        return;
    snprintf(path, size, "%s/%s", base->spec.state, name);
    if (push_known_open(base->io, path, false, &known, why) != CPAM_OK)
        return;
    if (base->known != NULL &&
        push_known_commit(known)->start.at <= push_known_commit(base->known)->start.at)
        return;
    if (usable(base, known, why) != CPAM_OK)
    {
        *base = kept;
        return;
    }
    push_known_free(base->known);
    base->known = CPAM_STEAL(known);
}

static void
look_for_parent(struct push_base *base, struct cpam_err *why)
{
    struct io *io = base->io;
    DIR *dir = io->ops->opendir(io, AT_FDCWD, base->spec.state);
    struct dirent *entry;

    (void) !cpam_fail(why, CPAM_NOT_FOUND, 0,
                      "nothing is known here of an earlier backup's blocks");
    if (dir == NULL)
        return;
    while ((entry = io->ops->readdir(io, dir)) != NULL)
        if (push_base_ends_in(entry->d_name, PUSH_STATE_END))
            consider(base, entry->d_name, why);
    io->ops->closedir(io, dir);
}

enum cpam_status
push_base_choose(struct io *io, const struct push_base_spec *spec, struct push_base **out,
                 struct cpam_err *err)
{
    CPAM_AUTO(push_base_free) struct push_base *base = calloc(1, sizeof(*base));
    bool full = strcmp(spec->mode, "full") == 0;
    struct cpam_err why;

    *out = NULL;
    if (base == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a backup");
    base->io = io;
    base->spec = *spec;
    if (!full)
        look_for_parent(base, &why);
    CPAM_TRY(push_targets_any(spec->targets, err));
    if (base->known == NULL && strcmp(spec->mode, "incremental") == 0)
    {
        cpam_fail(err, CPAM_REFUSED, 0, "an incremental backup has no parent: %s", why.text);
        cpam_err_hint(err,
                      "--mode auto makes a full backup instead, on which the next ones can build");
        return CPAM_REFUSED;
    }
    if (base->known != NULL)
    {
        base->head = *push_known_head(base->known);
        cpam_log(LOG_INFO, "the backup is an incremental one, after \"%s\"", base->head.label);
    }
    else
    {
        base->parents[0] = '\0';
        cpam_log(LOG_INFO, "the backup is a full one: %s",
                 full ? "so it was asked for (base.mode)" : why.text);
        if (io->ops->random(io, base->head.key, sizeof(base->head.key)) != 0)
            return cpam_fail(err, CPAM_IO, errno, "could not get random bytes");
    }
    push_resume_look(base);
    CPAM_TRY(push_targets_any(spec->targets, err));
    *out = CPAM_STEAL(base);
    return CPAM_OK;
}

/* Is no parent being removed?  Each target in whose repository one is, is out (fault 18). */
static void
look_for_tombs(const struct push_base *base)
{
    const struct push_targets *targets = base->spec.targets;

    for (size_t i = 0; i < targets->count; i++)
    {
        struct cpam_err err;

        if (targets->items[i].status == CPAM_OK &&
            backup_parents_stay(targets->items[i].repo, base->parents, &err) != CPAM_OK)
            push_target_fail(targets, i, &err);
    }
}

enum cpam_status
push_base_reserve(struct push_base *base, const char *prefix, char label[BACKUP_LABEL_MAX],
                  struct cpam_err *err)
{
    const struct push_reservation what = {
        .prefix = prefix, .sysid = base->spec.sysid, .parents = base->parents};

    if (base->before == NULL)
        CPAM_TRY(push_targets_reserve(base->io, base->spec.targets, &what, label, err));
    else
    {
        memcpy(label, base->head.label, BACKUP_LABEL_MAX);
        push_targets_name(base->spec.targets, label);
    }
    look_for_tombs(base);
    return CPAM_OK;
}

static void
go_on(struct push_base *base)
{
    struct cpam_err err;

    if (push_journal_go_on(base->io, base->spec.state, &base->head, push_known_size(base->before),
                           &base->journal, &err) != CPAM_OK)
        cpam_log(LOG_WARNING, "the next backup will be a full one: %s", err.text);
}

void
push_base_begin(struct push_base *base, const char *label, int64_t now)
{
    const struct push_targets *targets = base->spec.targets;
    struct push_head *head = &base->head;
    struct cpam_err err;

    if (base->before != NULL)
    {
        go_on(base);
        return;
    }
    snprintf(head->parent, sizeof(head->parent), "%s",
             base->known == NULL ? "" : push_known_head(base->known)->label);
    snprintf(head->label, sizeof(head->label), "%s", label);
    head->begun = now;
    if (base->known == NULL)
    {
        memcpy(head->epoch, head->label, sizeof(head->epoch));
        head->epoch_time = now;
    }
    head->sysid = base->spec.sysid;
    head->part_size = base->spec.part_size;
    head->attempt = 1;
    head->repos = (uint32_t) targets->count;
    memset(head->uuids, 0, sizeof(head->uuids));
    memset(head->recipients, 0, sizeof(head->recipients));
    for (size_t i = 0; i < targets->count; i++)
        if (targets->items[i].status == CPAM_OK)
        {
            const struct keyring *keyring = repo_keyring(targets->items[i].repo);
            struct push_recipients *recipients = &head->recipients[i];

            memcpy(head->uuids[i], keyring_uuid(keyring), 16);
            recipients->count = (uint32_t) keyring_recipients(keyring, recipients->ids);
        }
    if (push_journal_new(base->io, base->spec.state, head, &base->journal, &err) != CPAM_OK)
    {
        cpam_log(LOG_WARNING, "the next backup will be a full one: %s", err.text);
        return;
    }
    push_journal_label(base->journal, 0, label);
    for (uint32_t i = 0; base->known != NULL && i < push_known_labels(base->known); i++)
        push_journal_label(base->journal, i + 1, push_known_label(base->known, i));
}

struct conclusion
{
    struct push_base *base;
    uint64_t *packs; /* in use, by ordinal of their label */
};

static enum cpam_status
note_used(void *arg, const struct known_pack_use *use, struct cpam_err *err)
{
    struct conclusion *self = arg;
    struct push_base *base = self->base;
    struct pack_copy copies[PACK_REPOS_MAX] = {0};

    (void) err;
    self->packs[PUSH_PACK_ORDINAL(use->id)]++;
    for (size_t i = 0; i < base->spec.targets->count; i++)
        if (base->slots[i] >= 0)
            copies[i] = use->copies[base->slots[i]];
    if (base->journal != NULL)
        push_journal_pack(base->journal, use->id + PUSH_PARENT_SHIFT, use->pack, copies);
    return CPAM_OK;
}

static enum cpam_status
note_adopted(void *arg, const struct known_pack_use *use, struct cpam_err *err)
{
    struct push_base *base = arg;

    (void) err;
    if (base->journal != NULL)
        push_journal_adopted(base->journal, use->id);
    return CPAM_OK;
}

enum cpam_status
push_base_conclude(struct push_base *base, struct backup_summary *summary, struct cpam_err *err)
{
    CPAM_AUTO(free) uint64_t *packs = NULL;

    snprintf(summary->kind, sizeof(summary->kind), "%s",
             base->known == NULL ? BACKUP_FULL : BACKUP_INCREMENTAL);
    memcpy(summary->epoch, base->head.epoch, sizeof(summary->epoch));
    summary->parents[0] = '\0';
    if (base->before != NULL)
        CPAM_TRY(push_known_used(base->before, note_adopted, base, err));
    if (base->known == NULL)
        return CPAM_OK;
    uint32_t labels = push_known_labels(base->known);
    packs = calloc(labels, sizeof(*packs));
    struct conclusion self = {base, packs};
    if (packs == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the parents of a backup");
    CPAM_TRY(push_known_used(base->known, note_used, &self, err));
    for (uint32_t i = 0; i < labels; i++)
        if (packs[i] > 0)
            CPAM_TRY(
                parents_add(summary->parents, push_known_label(base->known, i), packs[i], err));
    return CPAM_OK;
}

enum cpam_status
push_base_stands(const struct push_base *base, size_t number, struct cpam_err *err)
{
    const struct push_target *target = &base->spec.targets->items[number];

    if (base->before != NULL)
        CPAM_TRY(push_packs_there(base->before, (int) number, target->repo, true, err));
    if (base->known == NULL)
        return CPAM_OK;
    CPAM_TRY(push_packs_there(base->known, base->slots[number], target->repo, true, err));
    return backup_parents_stay(target->repo, target->summary.parents, err);
}

void
push_base_keep(struct push_base *base, struct lsn start)
{
    const struct push_targets *targets = base->spec.targets;
    CPAM_AUTO(free) struct push_commit *commit = calloc(1, sizeof(*commit));
    bool any = false;

    if (base->journal == NULL || commit == NULL)
        return;
    commit->start = start;
    for (size_t i = 0; i < targets->count; i++)
    {
        const struct push_target *target = &targets->items[i];

        if (!target->stored)
            continue;
        any = true;
        commit->stored[i] = 1;
        memcpy(commit->parents, target->summary.parents, sizeof(commit->parents));
        memcpy(commit->summary[i], target->summary.digest, SHA256_SIZE);
        memcpy(commit->manifest_h[i], target->summary.manifest_h, SHA256_SIZE);
        memcpy(commit->manifest_d[i], target->summary.manifest_d, SHA256_SIZE);
    }
    if (any)
        push_journal_keep(base->journal, commit);
}
