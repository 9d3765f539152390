/*
 * info_text.c - a report as a person reads it.
 */
#include <inttypes.h>
#include <string.h>

#include "cli/progress.h"
#include "info_report.h"
#include "repo/parents.h"

struct page
{
    struct cpam_buf *out;
    enum cpam_status status;
    struct cpam_err *err;
};

#define PUT(page, ...)                                                                             \
    do                                                                                             \
    {                                                                                              \
        if ((page)->status == CPAM_OK)                                                             \
            (page)->status =                                                                       \
                cpam_buf_printf((page)->out, INFO_OUTPUT_MAX, (page)->err, __VA_ARGS__);           \
    } while (0)

static void
put_backup(struct page *page, const struct info_repository *repository,
           const struct backup_summary *backup)
{
    char stop[TEXT_TIME_MAX], took[TEXT_DURATION_MAX], size[TEXT_SIZE_MAX], stored[TEXT_SIZE_MAX];
    char start_lsn[LSN_TEXT_MAX], stop_lsn[LSN_TEXT_MAX], name[SEGMENT_NAME_MAX];
    unsigned parents = parents_count(backup->parents, NULL);
    struct segment missing;

    text_format_time(backup->stop_time, stop);
    text_format_duration(backup->stop_time - backup->start_time, took);
    text_format_size(backup->bytes, size);
    text_format_size(backup->stored_bytes, stored);
    lsn_format(backup->start, start_lsn);
    lsn_format(backup->stop, stop_lsn);
    PUT(page, "    %s  %s  %.19sZ, took %s\n", backup->label, backup->kind, stop, took);
    PUT(page, "        PostgreSQL %u, timeline %u, %s to %s\n", backup->major, backup->timeline.id,
        start_lsn, stop_lsn);
    if (parents > 0)
        PUT(page, "        needs packs of %u other%s, back to %s\n", parents,
            parents == 1 ? "" : "s", backup->epoch);
    PUT(page, "        %s in %" PRIu64 " files, %s stored; its WAL %s to %s is ", size,
        backup->files, stored, backup->wal_first, backup->wal_last);
    if (info_backup_lacks(repository, backup, &missing))
    {
        segment_format(missing, backup->segment_size, name);
        PUT(page, "INCOMPLETE: %s is not there\n", name);
    }
    else
        PUT(page, "there\n");
    if (backup->damaged_pages > 0)
        PUT(page, "        DAMAGED on disk when it was taken: %" PRIu64 " page%s, %s\n",
            backup->damaged_pages, backup->damaged_pages == 1 ? "" : "s", backup->damaged_first);
}

static void
put_wal(struct page *page, const struct info_wal *wal)
{
    char first[SEGMENT_NAME_MAX], last[SEGMENT_NAME_MAX], size[TEXT_SIZE_MAX];

    text_format_size(wal->stored_bytes, size);
    if (wal->run_count == 0)
        PUT(page, "    timeline %u: no segment\n", wal->timeline.id);
    for (size_t i = 0; i < wal->run_count; i++)
    {
        const struct info_run *run = &wal->runs[i];

        segment_format((struct segment){wal->timeline, run->first}, wal->segment_size, first);
        segment_format((struct segment){wal->timeline, run->last}, wal->segment_size, last);
        if (i == 0)
            PUT(page, "    timeline %u: ", wal->timeline.id);
        else
            PUT(page, "      hole of %" PRIu64 ", then ", run->first - wal->runs[i - 1].last - 1);
        PUT(page, "%s to %s, %" PRIu64 " segment%s", first, last, run->last - run->first + 1,
            run->last == run->first ? "" : "s");
        if (i == 0)
            PUT(page, " (%s stored in all)", size);
        PUT(page, "\n");
    }
}

static int64_t
last_archived(const struct info_repository *repository)
{
    int64_t last = 0;

    for (size_t i = 0; i < repository->wal_count; i++)
        if (repository->wal[i].last_archived > last)
            last = repository->wal[i].last_archived;
    return last;
}

/* Nothing that another span, of an older timeline, has as well. */
static bool
is_covered(const struct info_repository *repository, size_t before, const struct info_span *span)
{
    struct info_span other;

    for (size_t i = 0; i < before; i++)
        for (size_t k = 0; k < repository->wal[i].run_count; k++)
            if (repository->wal[i].sysid == repository->wal[before].sysid &&
                info_span_of(repository, &repository->wal[i], k, &other) &&
                other.from <= span->from && span->to != 0 && span->to <= other.to)
                return true;
    return false;
}

static void
put_span(struct page *page, const struct info_wal *wal, const struct info_span *span, bool first)
{
    char from[TEXT_TIME_MAX], to[TEXT_TIME_MAX], hole[SEGMENT_NAME_MAX];

    text_format_time(span->from, from);
    text_format_time(span->to, to);
    segment_format(span->hole, wal->segment_size, hole);
    PUT(page, "  %s every moment from %.19sZ to ",
        first ? "Can be restored:" : "            and:", from);
    if (span->to == 0) /* nobody has read the WAL in front of it */
        PUT(page, "the hole at %s\n", hole);
    else
        PUT(page, "%.19sZ\n", to);
}

static void
put_moments(struct page *page, const struct info_report *report,
            const struct info_repository *repository)
{
    char latest[TEXT_TIME_MAX], age[TEXT_DURATION_MAX];
    int64_t last = last_archived(repository);
    bool first = true;

    for (size_t i = 0; i < repository->wal_count; i++)
        for (size_t k = 0; k < repository->wal[i].run_count; k++)
        {
            struct info_span span;

            if (!info_span_of(repository, &repository->wal[i], k, &span) ||
                is_covered(repository, i, &span))
                continue;
            put_span(page, &repository->wal[i], &span, first);
            first = false;
        }
    if (first)
        PUT(page, "  Can be restored: nothing\n");
    if (last == 0)
        return;
    text_format_time(last, latest);
    text_format_duration(report->now - last, age);
    PUT(page, "  Last archived: %.19sZ, %s ago\n", latest, age);
}

static void
put_repository(struct page *page, const struct info_report *report,
               const struct info_repository *repository)
{
    uint64_t sysid = 0;

    PUT(page, "Repository \"%s\" at %s%s\n", repository->settings->name, repository->settings->url,
        repository->settings->required ? "" : " (not required)");
    if (repository->readable)
    {
        PUT(page, "  Id: %s\n", repository->uuid);
        put_moments(page, report, repository);
        PUT(page, "  Backups: %zu\n", repository->backups->count);
        for (size_t i = 0; i < repository->backups->count; i++)
            put_backup(page, repository, &repository->backups->items[i]);
        for (size_t i = 0; i < repository->wal_count; i++)
        {
            if (repository->wal[i].sysid != sysid)
                PUT(page, "  WAL of system identifier %" PRIu64 ":\n", repository->wal[i].sysid);
            sysid = repository->wal[i].sysid;
            put_wal(page, &repository->wal[i]);
        }
    }
    for (size_t i = 0; i < repository->finding_count; i++)
        PUT(page, "  LOOK: %s\n", repository->findings[i]);
}

static void
put_job(struct page *page, const struct running_job *job)
{
    char started[TEXT_TIME_MAX], line[PROGRESS_LINE_MAX];

    text_format_time((int64_t) job->started, started);
    progress_line("so far", job->done, job->total, (int64_t) job->elapsed, 0, line);
    PUT(page, "Running: %s (process %" PRIu64 ") since %.19sZ\n  %s %s\n  %s\n", job->program,
        job->pid, started, job->name, job->where, line);
}

enum cpam_status
info_text(const struct info_report *report, struct cpam_buf *out, struct cpam_err *err)
{
    struct page page = {.out = out, .err = err};

    PUT(&page, "Cluster \"%s\"\n", report->settings->cluster);
    for (size_t i = 0; i < report->job_count; i++)
        put_job(&page, &report->jobs[i]);
    for (size_t i = 0; i < report->count; i++)
    {
        PUT(&page, "\n");
        put_repository(&page, report, &report->repositories[i]);
    }
    return page.status;
}
