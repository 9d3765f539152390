/*
 * push_targets.c - who still gets the backup.
 */
#include "push_targets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum
{
    RESERVE_TRIES = 120, /* seconds, at one label a second */
};

void
push_target_fail(const struct push_targets *targets, size_t number, const struct cpam_err *err)
{
    struct push_target *target = &targets->items[number];

    if (target->status != CPAM_OK)
        return;
    target->status = err->status;
    target->err = *err;
    if (target->repo != NULL && err->status != CPAM_CANCELLED && push_targets_left(targets) > 0)
        cpam_log(LOG_WARNING, "the backup goes on without repository \"%s\": %s",
                 repo_name(target->repo), err->text);
}

void
push_targets_fail(const struct push_targets *targets, const struct cpam_err *err)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->items[i].status == CPAM_OK)
        {
            targets->items[i].status = err->status;
            targets->items[i].err = *err;
        }
}

size_t
push_targets_left(const struct push_targets *targets)
{
    size_t left = 0;

    for (size_t i = 0; i < targets->count; i++)
        left += targets->items[i].status == CPAM_OK;
    return left;
}

bool
push_target_is_away(enum cpam_status status)
{
    return status == CPAM_TRANSIENT || status == CPAM_DEADLINE;
}

enum cpam_status
push_targets_any(const struct push_targets *targets, struct cpam_err *err)
{
    const struct push_target *worst = &targets->items[0];

    if (push_targets_left(targets) > 0)
        return CPAM_OK;
    /* what may be there again in a minute is worth another try */
    for (size_t i = 0; i < targets->count; i++)
        if (push_target_is_away(targets->items[i].status))
            worst = &targets->items[i];
    *err = worst->err;
    return err->status = worst->status;
}

void
push_targets_repos(const struct push_targets *targets, struct repo *repos[PACK_REPOS_MAX])
{
    for (size_t i = 0; i < PACK_REPOS_MAX; i++)
        repos[i] = i < targets->count && targets->items[i].status == CPAM_OK
                       ? targets->items[i].repo
                       : NULL;
}

static enum cpam_status
meet_one(struct repo *repo, uint64_t sysid, uint32_t segment_size, struct cpam_err *err)
{
    struct cluster_record record;
    enum cpam_status status = cluster_record_get(repo, sysid, &record, err);

    if (status == CPAM_NOT_FOUND)
        return err->status = CPAM_FOREIGN;
    if (status != CPAM_OK)
        return status;
    if (record.segment_size != segment_size)
        return cpam_fail(err, CPAM_FOREIGN, 0,
                         "the cluster is registered with WAL segments of %" PRIu32
                         " bytes, and has segments of %" PRIu32,
                         record.segment_size, segment_size);
    return CPAM_OK;
}

void
push_targets_meet(const struct push_targets *targets, uint64_t sysid, uint32_t segment_size)
{
    for (size_t i = 0; i < targets->count; i++)
    {
        struct cpam_err err;

        if (targets->items[i].status == CPAM_OK &&
            meet_one(targets->items[i].repo, sysid, segment_size, &err) != CPAM_OK)
            push_target_fail(targets, i, &err);
    }
}

/* *taken: it is, in one of them. */
static void
reserve_all(const struct push_targets *targets, const struct push_reservation *what,
            const char *label, int64_t now, bool *taken)
{
    *taken = false;
    for (size_t i = 0; i < targets->count && !*taken; i++)
    {
        struct push_target *target = &targets->items[i];
        struct cpam_err err;

        if (target->status != CPAM_OK)
            continue;
        enum cpam_status status =
            backup_reserve(target->repo, label, what->sysid, what->parents, now, &err);

        *taken = status == CPAM_EXISTS;
        if (status != CPAM_OK && status != CPAM_EXISTS)
            push_target_fail(targets, i, &err);
    }
}

void
push_targets_name(const struct push_targets *targets, const char *label)
{
    for (size_t i = 0; i < targets->count; i++)
        snprintf(targets->items[i].summary.label, BACKUP_LABEL_MAX, "%s", label);
}

enum cpam_status
push_targets_reserve(struct io *io, const struct push_targets *targets,
                     const struct push_reservation *what, char label[BACKUP_LABEL_MAX],
                     struct cpam_err *err)
{
    for (int i = 0; i < RESERVE_TRIES; i++)
    {
        int64_t now = io->ops->now(io);
        bool taken;

        CPAM_TRY(backup_label_at(what->prefix, now, label, err));
        reserve_all(targets, what, label, now, &taken);
        if (!taken)
        {
            push_targets_name(targets, label);
            return CPAM_OK;
        }
        /* where it was free it stays reserved, for nobody: an intent is never taken back */
        io->ops->sleep(io, 1000000 - now % 1000000);
    }
    return cpam_fail(err, CPAM_EXISTS, 0,
                     "%d labels in a row are taken: is another backup being started every second?",
                     RESERVE_TRIES);
}

void
push_targets_look(const struct push_targets *targets, struct pack_set *packs)
{
    for (size_t i = 0; i < targets->count; i++)
    {
        struct cpam_err err;

        if (targets->items[i].status == CPAM_OK && pack_set_reason(packs, i, &err) != CPAM_OK)
            push_target_fail(targets, i, &err);
    }
}
