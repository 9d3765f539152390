/*
 * restore_source.c - candidates in their order, and what a failure says of one of them.
 */
#include "restore_source.h"

#include <string.h>

#include "base/log.h"

enum
{
    FEED_OPENS = 20 * 1000000 /* us */
};

enum cpam_status
restore_candidates(const struct cli *cli, const char *as_of, struct restore_candidates *out,
                   struct cpam_err *err)
{
    const struct settings *settings = cli->settings;

    *out = (struct restore_candidates){0};
    if (cli->repo != NULL)
    {
        CPAM_TRY(settings_repository(settings, cli->repo, &out->items[0], err));
        out->count = out->plan = 1;
        return CPAM_OK;
    }
    for (size_t i = 0; i < settings->repository_count; i++)
        if (settings->repositories[i].required)
            out->items[out->count++] = &settings->repositories[i];
    out->plan = out->count;
    if (out->count == 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "no repository of the configuration is required: name one with --repo");
    if (as_of != NULL)
    {
        out->count = out->plan = 1; /* the others' past is not looked at */
        return CPAM_OK;
    }
    for (size_t i = 0; i < settings->repository_count; i++)
        if (!settings->repositories[i].required)
            out->items[out->count++] = &settings->repositories[i];
    return CPAM_OK;
}

static enum cpam_status
read_backups(struct cli *cli, bool accept_loss, struct restore_source *source, struct cpam_err *err)
{
    CPAM_TRY(backup_list_read(source->repo, &source->backups, err));
    const struct backup_list *list = source->backups;

    for (size_t i = 0; i < list->finding_count; i++)
        cpam_log(LOG_WARNING, "repository \"%s\": %s", repo_name(source->repo), list->findings[i]);
    if (list->finding_count > 0)
        cli->attention = true;
    if (!list->proven_loss || accept_loss)
        return CPAM_OK;
    cpam_fail(err, CPAM_CORRUPT, 0,
              "repository \"%s\" has lost backups or was rolled back (%s): what it shows as the "
              "newest may not be the newest",
              repo_name(source->repo),
              list->finding_count > 0 ? list->findings[0] : "its chain is broken");
    cpam_err_hint(err, "look at the other repositories first (--repo NAME); --accept-end restores "
                       "what is there");
    return CPAM_CORRUPT;
}

enum cpam_status
restore_source_open(struct cli *cli, const struct repository_settings *which, bool accept_loss,
                    struct restore_source *out, struct cpam_err *err)
{
    struct repository_purpose purpose = {.for_read = true};
    struct deadline never = {0};

    *out = (struct restore_source){.which = which};
    enum cpam_status status =
        repository_open(cli->io, cli->settings, which, purpose, never, &out->repository, err);
    if (status == CPAM_OK)
    {
        out->repo = repository_repo(out->repository);
        status = read_backups(cli, accept_loss, out, err);
    }
    if (status != CPAM_OK)
        restore_source_close(out);
    return status;
}

void
restore_source_close(struct restore_source *source)
{
    backup_list_free(source->backups);
    repository_free(source->repository);
    *source = (struct restore_source){0};
}

/* One that is not the source's: what it adds is WAL, so it has not long to answer. */
static void
feed_open(struct cli *cli, const struct repository_settings *which, struct restore_feeds *feeds)
{
    const struct repository_purpose purpose = {.for_read = true};
    struct repository *opened = NULL;
    struct cpam_err why;

    if (repository_open(cli->io, cli->settings, which, purpose, deadline_after(cli->io, FEED_OPENS),
                        &opened, &why) != CPAM_OK)
    {
        cpam_log(LOG_WARNING,
                 "whether repository \"%s\" has WAL that the others lack can't be told: %s",
                 which->name, why.text);
        cli->attention |= which->required && strcmp(cli->settings->wal.acknowledge, "all") != 0;
        return;
    }
    feeds->opened[feeds->count] = opened;
    feeds->repos[feeds->count] = repository_repo(opened);
    repo_store(feeds->repos[feeds->count++])->deadline = (struct deadline){0};
}

void
restore_feeds_open(struct cli *cli, const struct restore_candidates *candidates,
                   const struct restore_source *source, struct restore_feeds *out)
{
    *out = (struct restore_feeds){.repos = {source->repo}, .count = 1};
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->items[i] != source->which)
            feed_open(cli, candidates->items[i], out);
}

void
restore_feeds_close(struct restore_feeds *feeds)
{
    for (size_t i = 0; i < feeds->count; i++)
        repository_free(feeds->opened[i]);
    *feeds = (struct restore_feeds){.count = 0};
}

enum cpam_status
restore_source_find(const struct restore_source *source, const struct backup_summary *planned,
                    const struct backup_summary **out, struct cpam_err *err)
{
    const struct backup_list *list = source->backups;

    for (size_t i = 0; i < list->count; i++)
    {
        const struct backup_summary *found = &list->items[i];

        if (strcmp(found->label, planned->label) != 0 || found->sysid != planned->sysid ||
            found->start.at != planned->start.at || found->stop.at != planned->stop.at ||
            found->timeline.id != planned->timeline.id)
            continue;
        *out = found;
        return CPAM_OK;
    }
    return cpam_fail(err, CPAM_NOT_FOUND, 0, "repository \"%s\" does not have backup \"%s\"",
                     repo_name(source->repo), planned->label);
}

bool
restore_source_silent(enum cpam_status status)
{
    return status == CPAM_REFUSED || status == CPAM_TRANSIENT || status == CPAM_DEADLINE ||
           status == CPAM_UNKNOWN;
}

bool
restore_source_failed(enum cpam_status status)
{
    return restore_source_silent(status) || status == CPAM_NOT_FOUND || status == CPAM_CORRUPT ||
           status == CPAM_FOREIGN || status == CPAM_UNREACHABLE;
}
