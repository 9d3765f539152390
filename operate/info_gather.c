/*
 * info_gather.c - asking each repository what it has.
 *
 * Names and summaries only: one listing a timeline, one ranged request for the header of its last
 * segment.  Nothing is opened that only a key of this host could open.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/repository.h"
#include "info_report.h"

#define GATHER_TIME ((int64_t) 600 * 1000000) /* us for one repository */

enum cpam_status
info_wal_add(struct info_wal *wal, uint64_t number, struct cpam_err *err)
{
    struct info_run *last = wal->run_count == 0 ? NULL : &wal->runs[wal->run_count - 1];

    if (last != NULL && number == last->last + 1)
    {
        last->last = number;
        return CPAM_OK;
    }
    if (wal->run_count == INFO_RUNS_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "timeline %u has more than %d holes",
                         wal->timeline.id, INFO_RUNS_MAX);
    if (wal->run_count == wal->run_cap)
    {
        size_t cap = wal->run_cap == 0 ? 8 : wal->run_cap * 2;
        struct info_run *runs = realloc(wal->runs, cap * sizeof(*runs));

        if (runs == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
        wal->runs = runs;
        wal->run_cap = cap;
    }
    wal->runs[wal->run_count++] = (struct info_run){number, number};
    return CPAM_OK;
}

struct gathering
{
    struct info_wal *wal;
    int64_t modified; /* of the last segment, by the store's clock */
};

static enum cpam_status
note_segment(void *arg, struct segment segment, uint64_t object_size, int64_t modified,
             struct cpam_err *err)
{
    struct gathering *gathering = arg;

    gathering->wal->stored_bytes += object_size;
    gathering->modified = modified;
    return info_wal_add(gathering->wal, segment.number, err);
}

/* When the last segment was sealed, by its header; by the store's clock where that can't be read. */
static void
find_last_archived(struct repo *repo, struct gathering *gathering)
{
    struct info_wal *wal = gathering->wal;
    struct object_header header;
    char name[SEGMENT_NAME_MAX];
    struct cpam_err unused;

    wal->last_archived = gathering->modified;
    if (wal->run_count == 0)
        return;
    struct segment last = {wal->timeline, wal->runs[wal->run_count - 1].last};
    segment_format(last, wal->segment_size, name);
    if (wal_archive_header(repo, wal->sysid, name, &header, &unused) == CPAM_OK)
        wal->last_archived = header.created;
}

static enum cpam_status
gather_timeline(struct repo *repo, struct info_wal *wal, struct cpam_err *err)
{
    struct gathering gathering = {.wal = wal};
    struct segment from = {wal->timeline, 0};

    CPAM_TRY(wal_archive_segments(repo, wal->sysid, from, wal->segment_size, note_segment,
                                  &gathering, err));
    find_last_archived(repo, &gathering);
    if (wal->timeline.id > 1)
    {
        CPAM_AUTO(history_free) struct history *history = NULL;
        enum cpam_status status =
            wal_archive_history(repo, wal->sysid, wal->timeline, &history, err);

        /* one that is not genuine is none, and hides nothing else */
        wal->history_missing = status == CPAM_NOT_FOUND || status == CPAM_CORRUPT ||
                               status == CPAM_FOREIGN || status == CPAM_INVALID;
        if (wal->history_missing && status != CPAM_NOT_FOUND)
            cpam_log(LOG_WARNING, "%s", err->text);
        else if (status != CPAM_OK && status != CPAM_NOT_FOUND)
            return status;
    }
    return CPAM_OK;
}

static enum cpam_status
new_wal(struct info_repository *repository, struct info_wal **out, struct cpam_err *err)
{
    if (repository->wal_count == repository->wal_cap)
    {
        size_t cap = repository->wal_cap == 0 ? 8 : repository->wal_cap * 2;
        struct info_wal *wal = realloc(repository->wal, cap * sizeof(*wal));

        if (wal == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
        repository->wal = wal;
        repository->wal_cap = cap;
    }
    *out = &repository->wal[repository->wal_count++];
    **out = (struct info_wal){0};
    return CPAM_OK;
}

static enum cpam_status
gather_cluster(struct repo *repo, struct info_repository *repository, uint64_t sysid,
               struct cpam_err *err)
{
    CPAM_AUTO(free) struct timeline *timelines = calloc(INFO_TIMELINES_MAX, sizeof(*timelines));
    struct cluster_record record;
    size_t count;

    if (timelines == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    CPAM_TRY(cluster_record_get(repo, sysid, &record, err));
    CPAM_TRY(wal_archive_timelines(repo, sysid, timelines, INFO_TIMELINES_MAX, &count, err));
    for (size_t i = 0; i < count; i++)
    {
        struct info_wal *wal = NULL;

        CPAM_TRY(new_wal(repository, &wal, err));
        wal->sysid = sysid;
        wal->timeline = timelines[i];
        wal->segment_size = record.segment_size;
        CPAM_TRY(gather_timeline(repo, wal, err));
    }
    return CPAM_OK;
}

static enum cpam_status
gather_repository(struct io *io, const struct settings *settings,
                  struct info_repository *repository, struct cpam_err *err)
{
    CPAM_AUTO(repository_free) struct repository *opened = NULL;
    const struct repository_purpose purpose = {.for_read = true};
    uint64_t sysids[INFO_CLUSTERS_MAX];
    size_t count;

    CPAM_TRY(repository_open(io, settings, repository->settings, purpose,
                             deadline_after(io, GATHER_TIME), &opened, err));
    struct repo *repo = repository_repo(opened);
    text_format_uuid(keyring_uuid(repository_keyring(opened)), repository->uuid);
    CPAM_TRY(backup_list_read(repo, &repository->backups, err));
    CPAM_TRY(cluster_record_list(repo, sysids, INFO_CLUSTERS_MAX, &count, err));
    for (size_t i = 0; i < count; i++)
        CPAM_TRY(gather_cluster(repo, repository, sysids[i], err));
    return CPAM_OK;
}

/* In the order of their start. */
static enum cpam_status
note_job(void *arg, const struct running_job *job, struct cpam_err *err)
{
    struct info_report *report = arg;
    size_t at = report->job_count;
    void *grown = realloc(report->jobs, (at + 1) * sizeof(*report->jobs));

    if (grown == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    report->jobs = grown;
    report->job_count++;
    for (; at > 0 && report->jobs[at - 1].started > job->started; at--)
        report->jobs[at] = report->jobs[at - 1];
    report->jobs[at] = *job;
    return CPAM_OK;
}

enum cpam_status
info_gather(struct io *io, const struct settings *settings, const char *only,
            struct info_report **out, struct cpam_err *err)
{
    CPAM_AUTO(info_report_free) struct info_report *report = calloc(1, sizeof(*report));

    *out = NULL;
    if (report != NULL)
        report->repositories = calloc(settings->repository_count, sizeof(*report->repositories));
    if (report == NULL || report->repositories == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    report->settings = settings;
    report->now = settings->as_of != 0 ? settings->as_of : io->ops->now(io);
    for (size_t i = 0; i < settings->repository_count; i++)
    {
        struct info_repository *repository = &report->repositories[report->count];

        if (only != NULL && strcmp(only, settings->repositories[i].name) != 0)
            continue;
        report->count++;
        repository->settings = &settings->repositories[i];
        repository->readable =
            gather_repository(io, settings, repository, &repository->err) == CPAM_OK;
    }
    CPAM_TRY(running_each(io, settings->state, note_job, report, err));
    *out = CPAM_STEAL(report);
    return CPAM_OK;
}

void
info_report_free(struct info_report *report)
{
    if (report == NULL)
        return;
    for (size_t i = 0; i < report->count; i++)
    {
        struct info_repository *repository = &report->repositories[i];

        backup_list_free(repository->backups);
        for (size_t k = 0; k < repository->wal_count; k++)
            free(repository->wal[k].runs);
        free(repository->wal);
        for (size_t k = 0; k < repository->finding_count; k++)
            free(repository->findings[k]);
        free(repository->findings);
    }
    free(report->repositories);
    free(report->jobs);
    free(report);
}
