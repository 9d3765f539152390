/*
 * push_resume.c - which interrupted backup, and why not.
 */
#include "push_resume.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/file.h"
#include "repo/backup_fence.h"
#include "repo/layout.h"

enum
{
    ATTEMPTS_MAX = 255, /* two hexadecimal digits of a pack's name */
    BEGINNING = 3600    /* seconds for which a journal may be one that is being begun */
};

/* There is no such object under the label yet. */
static enum cpam_status
is_free(struct repo *repo, const char *key, struct cpam_err *err)
{
    struct store_info info;
    enum cpam_status status = store_head(repo_store(repo), key, &info, err);

    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    return status != CPAM_OK ? status
                             : cpam_fail(err, CPAM_EXISTS, 0, "\"%s\" is there already", key);
}

/* Has it been given up there?  CPAM_INVALID: yes.  The fence refuses as a store does that wants other
   credentials, which is no answer. */
static enum cpam_status
is_reserved(struct repo *repo, const char *label, struct cpam_err *err)
{
    char key[LAYOUT_KEY_MAX];
    struct store_info info;
    struct cpam_err ignored;
    int64_t until;
    enum cpam_status status = backup_fence(repo, label, &until, err);

    if (status != CPAM_REFUSED)
        return status;
    layout_intent(label, key);
    status = store_head(repo_store(repo), key, &info, &ignored);
    return err->status =
               status == CPAM_OK || status == CPAM_NOT_FOUND ? CPAM_INVALID : CPAM_REFUSED;
}

/* The label is reserved there for this backup, and nothing but packs was put. */
static enum cpam_status
stands_in(struct repo *repo, const char *label, struct cpam_err *err)
{
    char key[LAYOUT_KEY_MAX];

    CPAM_TRY(is_reserved(repo, label, err));
    layout_blocks(label, key);
    CPAM_TRY(is_free(repo, key, err));
    layout_manifest(label, key);
    CPAM_TRY(is_free(repo, key, err));
    layout_summary(label, key);
    return is_free(repo, key, err);
}

static enum cpam_status
fits(const struct push_base *base, const struct push_known *left, struct cpam_err *err)
{
    const struct push_head *head = push_known_head(left);
    const char *parent = base->known == NULL ? "" : push_known_head(base->known)->label;
    int64_t age = base->io->ops->now(base->io) - head->begun;

    if (head->part_size != base->spec.part_size || head->repos != base->spec.targets->count)
        return cpam_fail(err, CPAM_INVALID, 0, "it was made in another way");
    if (base->known == NULL && head->parent[0] != '\0' && strcmp(base->spec.mode, "full") != 0)
        return cpam_fail(err, CPAM_REFUSED, 0,
                         "it was one after %s, which can't be gone back to now", head->parent);
    if (strcmp(head->parent, parent) != 0)
        return cpam_fail(err, CPAM_INVALID, 0, "it was %s%s, and this one is not",
                         head->parent[0] == '\0' ? "a full one" : "one after ", head->parent);
    if (age < 0 || age > BACKUP_TIME_MAX / 2)
        return cpam_fail(err, CPAM_INVALID, 0, "it was begun too long ago");
    if (push_known_attempt(left) >= ATTEMPTS_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "it has been gone on with too often");
    return CPAM_OK;
}

static enum cpam_status
can_go_on(const struct push_base *base, const struct push_known *left, struct cpam_err *err)
{
    const struct push_targets *targets = base->spec.targets;
    const struct push_head *head = push_known_head(left);

    CPAM_TRY(fits(base, left, err));
    for (size_t i = 0; i < targets->count; i++)
    {
        struct repo *repo = targets->items[i].repo;

        if (targets->items[i].status != CPAM_OK)
            continue;
        if (memcmp(head->uuids[i], keyring_uuid(repo_keyring(repo)), sizeof(head->uuids[i])) != 0)
            return cpam_fail(err, CPAM_FOREIGN, 0, "repository \"%s\" had no part in it",
                             repo_name(repo));
        if (!keyring_seals_for(repo_keyring(repo), head->recipients[i].ids,
                               head->recipients[i].count))
            return cpam_fail(err, CPAM_INVALID, 0,
                             "it was not sealed for all of encryption.recipients");
        enum cpam_status status = stands_in(repo, head->label, err);
        if (push_target_is_away(status))
        {
            push_target_fail(targets, i, err);
            continue;
        }
        if (status != CPAM_OK)
        {
            cpam_err_prefix(err, "repository \"%s\"", repo_name(repo));
            return status;
        }
    }
    return push_targets_any(targets, err);
}

/* Is it proven that it can't be gone on with?  Whatever else went wrong passes, and the journal is worth
   hours; after 36 of them it is too old. */
static bool
is_proven(enum cpam_status status)
{
    return status == CPAM_INVALID || status == CPAM_FOREIGN || status == CPAM_CORRUPT ||
           status == CPAM_EXISTS || status == CPAM_NOT_FOUND;
}

/* What can't be read may be another cluster's, whose backup begins right now. */
static bool
may_be_beginning(const struct push_base *base, const char *path)
{
    struct stat about;
    struct cpam_err ignored;

    return file_stat(base->io, path, &about, &ignored) != CPAM_OK ||
           base->io->ops->now(base->io) / 1000000 - about.st_mtim.tv_sec < BEGINNING;
}

static void
consider(struct push_base *base, const char *path)
{
    CPAM_AUTO(push_known_free) struct push_known *left = NULL;
    struct cpam_err why;
    enum cpam_status status = push_known_open(base->io, path, true, &left, &why);

    if (status == CPAM_OK && push_known_head(left)->sysid != base->spec.sysid)
        return; /* another cluster's, which may be at work */
    if (status != CPAM_OK && may_be_beginning(base, path))
        return;
    if (status == CPAM_OK && base->before == NULL)
        status = can_go_on(base, left, &why);
    else if (status == CPAM_OK)
        status = cpam_fail(&why, CPAM_EXISTS, 0, "another one is gone on with");
    if (status == CPAM_OK)
    {
        base->head = *push_known_head(left);
        base->head.attempt = push_known_attempt(left) + 1;
        base->before = CPAM_STEAL(left);
        cpam_log(LOG_INFO,
                 "backup \"%s\", which was interrupted, is gone on with: what was sent of "
                 "it, and has not changed, is not sent again",
                 base->head.label);
        return;
    }
    if (left != NULL)
        cpam_log(LOG_INFO, "backup \"%s\", which was interrupted, is not gone on with: %s",
                 push_known_head(left)->label, why.text);
    else if (!is_proven(status))
        cpam_log(LOG_WARNING, "%s", why.text);
    if (is_proven(status) && file_unlink(base->io, path, &why) != CPAM_OK)
        cpam_log(LOG_WARNING, "%s", why.text);
}

void
push_resume_look(struct push_base *base)
{
    struct io *io = base->io;
    DIR *dir = io->ops->opendir(io, AT_FDCWD, base->spec.state);
    struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = io->ops->readdir(io, dir)) != NULL)
    {
        size_t size = strlen(base->spec.state) + strlen(entry->d_name) + 2;
        CPAM_AUTO(free) char *path = malloc(size);

        if (path == NULL || !push_base_ends_in(entry->d_name, PUSH_JOURNAL_END))
            continue;
        snprintf(path, size, "%s/%s", base->spec.state, entry->d_name);
        consider(base, path);
    }
    io->ops->closedir(io, dir);
}
