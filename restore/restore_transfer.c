/*
 * restore_transfer.c - one attempt after the other, each over what is there.
 */
#include "restore_transfer.h"

#include <stdio.h>

#include "base/log.h"
#include "cli/progress.h"

static void
on_wrote(void *arg, uint64_t bytes)
{
    progress_add(arg, bytes);
}

static enum cpam_status
fetch_from(const struct restore_transfer *self, struct repo *repo,
           const struct backup_summary *summary, const struct restore_survey *survey,
           struct cpam_err *err)
{
    const struct cli *cli = self->cli;
    CPAM_AUTO(running_end) struct running *running = NULL;
    CPAM_AUTO(progress_free) struct progress *progress = NULL; /* ends before `running` */
    char where[RESTORE_PATH_MAX + 8];
    struct restore_files files = {
        .io = cli->io,
        .repo = repo,
        .summary = summary,
        .history = self->history,
        .places = self->places,
        .survey = survey,
        .tally = self->tally,
        .workers = cli->settings->base.workers,
        .wrote = on_wrote,
    };

    CPAM_TRY(progress_new(cli->io, "restoring", survey->bytes, &progress, err));
    files.arg = progress;
    snprintf(where, sizeof(where), "to \"%s\"", self->places->items[0].path);
    running_begin(cli->io, cli->settings->state, "cpam-base-fetch", summary->label, where,
                  &running);
    progress_show_in(progress, running);
    return restore_files(&files, err);
}

/* The same backup goes into the same places; what is right in them already stays. */
static enum cpam_status
fetch_again(const struct restore_transfer *self, const struct repository_settings *which,
            struct restore_source *source, struct cpam_err *err)
{
    CPAM_AUTO(restore_survey_free) struct restore_survey *survey = NULL;
    const struct backup_summary *summary = NULL;

    CPAM_TRY(restore_source_open(self->cli, which, true, source, err));
    CPAM_TRY(restore_source_find(source, self->backup, &summary, err));
    CPAM_TRY(restore_survey_again(source->repo, summary, self->places, self->choice, &survey, err));
    for (size_t i = 0; i < self->places->count; i++)
        self->places->items[i].adopted = true;
    return fetch_from(self, source->repo, summary, survey, err);
}

enum cpam_status
restore_transfer(struct restore_transfer *self, struct cpam_err *err)
{
    const struct restore_candidates *candidates = self->candidates;
    const char *failed = self->source->which->name;
    enum cpam_status first = fetch_from(self, self->source->repo, self->backup, self->survey, err);
    enum cpam_status status = first;
    struct cpam_err why = *err;

    for (size_t i = 0; i < candidates->count && restore_source_failed(status); i++)
    {
        struct restore_source source = {0};

        if (i == self->chosen)
            continue;
        self->cli->attention = true;
        cpam_log(LOG_WARNING, "repository \"%s\": %s; going on with repository \"%s\"", failed,
                 why.text, candidates->items[i]->name);
        status = fetch_again(self, candidates->items[i], &source, &why);
        restore_source_close(&source);
        failed = candidates->items[i]->name;
        self->instead = candidates->items[i];
        self->reason = first;
    }
    if (status == CPAM_OK || restore_source_failed(status))
        return status == CPAM_OK ? CPAM_OK : first;
    *err = why; /* of this machine, not of a repository */
    return status;
}
