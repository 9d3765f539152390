/*
 * info_judge.c - what of a report a person should look at.
 *
 * A hole counts when a backup lies before it: the WAL behind it can't be reached from that backup.
 * WAL that is older than every backup is of no use to anybody, holes or not.  How old the last
 * archived segment is, is shown and not judged: an idle database archives nothing.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "info_report.h"

static enum cpam_status __attribute__((format(printf, 3, 4)))
find(struct info_repository *repository, struct cpam_err *err, const char *fmt, ...)
{
    char **findings =
        realloc(repository->findings, (repository->finding_count + 1) * sizeof(*findings));
    char *text = NULL;
    va_list args;

    if (findings == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    repository->findings = findings;
    va_start(args, fmt);
    int size = vasprintf(&text, fmt, args);
    va_end(args);
    if (size < 0)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    repository->findings[repository->finding_count++] = text;
    return CPAM_OK;
}

static const struct info_wal *
wal_of(const struct info_repository *repository, uint64_t sysid, struct timeline timeline)
{
    for (size_t i = 0; i < repository->wal_count; i++)
        if (repository->wal[i].sysid == sysid && repository->wal[i].timeline.id == timeline.id)
            return &repository->wal[i];
    return NULL;
}

static const struct info_run *
run_with(const struct info_wal *wal, uint64_t number)
{
    for (size_t i = 0; wal != NULL && i < wal->run_count; i++)
        if (wal->runs[i].first <= number && number <= wal->runs[i].last)
            return &wal->runs[i];
    return NULL;
}

bool
info_backup_lacks(const struct info_repository *repository, const struct backup_summary *backup,
                  struct segment *missing)
{
    const struct info_wal *wal = wal_of(repository, backup->sysid, backup->timeline);
    struct segment first = segment_of(backup->timeline, backup->start, backup->segment_size);
    struct segment last = segment_before(backup->timeline, backup->stop, backup->segment_size);
    const struct info_run *run = run_with(wal, first.number);

    *missing = first;
    if (run == NULL)
        return true;
    missing->number = run->last + 1;
    return run->last < last.number;
}

/*
 * The last moment that can be reached from a run of segments: the end of its timeline, or of one
 * that forked off within the run and has no hole itself.
 */
static int64_t
latest_from(const struct info_repository *repository, const struct info_wal *wal,
            const struct info_run *run)
{
    int64_t latest = run == &wal->runs[wal->run_count - 1] ? wal->last_archived : 0;

    for (size_t i = 0; i < repository->wal_count; i++)
    {
        const struct info_wal *later = &repository->wal[i];

        if (later->sysid == wal->sysid && later->timeline.id > wal->timeline.id &&
            !later->history_missing && later->run_count == 1 &&
            later->runs[0].first >= run->first && later->runs[0].first <= run->last + 1 &&
            later->last_archived > latest)
            latest = later->last_archived;
    }
    return latest;
}

bool
info_window(const struct info_repository *repository, int64_t *earliest, int64_t *latest)
{
    bool any = false;

    *earliest = *latest = 0;
    for (size_t i = 0; repository->backups != NULL && i < repository->backups->count; i++)
    {
        const struct backup_summary *backup = &repository->backups->items[i];
        struct segment missing;

        if (info_backup_lacks(repository, backup, &missing))
            continue;
        const struct info_wal *wal = wal_of(repository, backup->sysid, backup->timeline);
        const struct info_run *run =
            run_with(wal, segment_of(backup->timeline, backup->start, backup->segment_size).number);
        int64_t end = latest_from(repository, wal, run);
        if (end < backup->stop_time)
            end = backup->stop_time;
        if (!any || backup->stop_time < *earliest)
            *earliest = backup->stop_time;
        if (!any || end > *latest)
            *latest = end;
        any = true;
    }
    return any;
}

bool
info_span_of(const struct info_repository *repository, const struct info_wal *wal, size_t number,
             struct info_span *out)
{
    const struct info_run *run = &wal->runs[number];
    bool any = false;

    *out = (struct info_span){.hole = {wal->timeline, run->last + 1}};
    for (size_t i = 0; repository->backups != NULL && i < repository->backups->count; i++)
    {
        const struct backup_summary *backup = &repository->backups->items[i];
        struct segment missing;

        if (backup->sysid != wal->sysid || backup->timeline.id != wal->timeline.id ||
            run_with(wal, backup->start.at / backup->segment_size) != run ||
            info_backup_lacks(repository, backup, &missing))
            continue;
        if (!any || backup->stop_time < out->from)
            out->from = backup->stop_time;
        any = true;
    }
    out->to = latest_from(repository, wal, run);
    if (out->to != 0 && out->to < out->from)
        out->to = out->from;
    return any;
}

static enum cpam_status
judge_backups(const struct info_report *report, struct info_repository *repository,
              struct cpam_err *err)
{
    const struct backup_list *backups = repository->backups;
    int64_t newest = 0;
    char age[TEXT_DURATION_MAX], name[SEGMENT_NAME_MAX];

    for (size_t i = 0; i < backups->finding_count; i++)
        CPAM_TRY(find(repository, err, "%s", backups->findings[i]));
    for (size_t i = 0; i < backups->count; i++)
    {
        const struct backup_summary *backup = &backups->items[i];
        struct segment missing;

        if (backup->stop_time > newest)
            newest = backup->stop_time;
        if (backup->damaged_pages > 0)
            CPAM_TRY(
                find(repository, err,
                     "backup %s has %" PRIu64 " page%s that %s damaged on disk when it was taken",
                     backup->label, backup->damaged_pages, backup->damaged_pages == 1 ? "" : "s",
                     backup->damaged_pages == 1 ? "was" : "were"));
        if (!info_backup_lacks(repository, backup, &missing))
            continue;
        segment_format(missing, backup->segment_size, name);
        CPAM_TRY(find(repository, err, "backup %s can't be restored: segment %s is not there",
                      backup->label, name));
    }
    if (backups->count == 0)
        return find(repository, err, "there is no backup yet (cpam-base-push makes one)");
    if (report->now - newest <= report->settings->targets.full_age)
        return CPAM_OK;
    text_format_duration(report->now - newest, age);
    return find(repository, err, "the newest backup is %s old, more than targets.full_age allows",
                age);
}

static enum cpam_status
judge_hole(struct info_repository *repository, const struct info_wal *wal, size_t at,
           struct cpam_err *err)
{
    uint64_t first = wal->runs[at].last + 1, last = wal->runs[at + 1].first - 1;
    char from[SEGMENT_NAME_MAX], to[SEGMENT_NAME_MAX];
    bool counts = false;

    for (size_t i = 0; i < repository->backups->count && !counts; i++)
    {
        const struct backup_summary *backup = &repository->backups->items[i];

        counts = backup->sysid == wal->sysid && backup->timeline.id <= wal->timeline.id &&
                 backup->start.at / wal->segment_size <= first;
    }
    if (!counts)
        return CPAM_OK;
    segment_format((struct segment){wal->timeline, first}, wal->segment_size, from);
    segment_format((struct segment){wal->timeline, last}, wal->segment_size, to);
    if (first == last)
        return find(repository, err, "a hole in the WAL: segment %s is not there", from);
    return find(repository, err, "a hole in the WAL: segments %s to %s are not there", from, to);
}

static enum cpam_status
judge_wal(struct info_repository *repository, struct cpam_err *err)
{
    for (size_t i = 0; i < repository->wal_count; i++)
    {
        const struct info_wal *wal = &repository->wal[i];

        if (wal->history_missing)
            CPAM_TRY(find(repository, err,
                          "timeline %u has no history file here: recovery can't find its way to it",
                          wal->timeline.id));
        for (size_t at = 0; at + 1 < wal->run_count; at++)
            CPAM_TRY(judge_hole(repository, wal, at, err));
    }
    return CPAM_OK;
}

enum cpam_status
info_judge(struct info_report *report, struct cpam_err *err)
{
    for (size_t i = 0; i < report->count; i++)
    {
        struct info_repository *repository = &report->repositories[i];

        if (!repository->readable)
        {
            CPAM_TRY(find(repository, err, "could not be read: %s", repository->err.text));
            continue;
        }
        CPAM_TRY(judge_backups(report, repository, err));
        CPAM_TRY(judge_wal(repository, err));
    }
    return CPAM_OK;
}
