/*
 * info_json.c - a report as JSON; tests/golden/info.json shows all of it.
 */
#include <string.h>

#include "base/json.h"
#include "info_report.h"
#include "repo/parents.h"

static void
put_time(struct json_writer *json, const char *key, int64_t us)
{
    char text[TEXT_TIME_MAX];

    text_format_time(us, text);
    json_put_text(json, key, us == 0 ? NULL : text);
}

static void
put_lsn(struct json_writer *json, const char *key, struct lsn lsn)
{
    char text[LSN_TEXT_MAX];

    lsn_format(lsn, text);
    json_put_text(json, key, text);
}

static void
put_segment(struct json_writer *json, const char *key, struct segment segment, uint32_t size)
{
    char text[SEGMENT_NAME_MAX];

    segment_format(segment, size, text);
    json_put_text(json, key, text);
}

static void
put_backup(struct json_writer *json, const struct info_repository *repository,
           const struct backup_summary *backup)
{
    const char *parent = backup->parents;
    char label[BACKUP_LABEL_MAX];
    struct segment missing;
    uint64_t packs;

    json_begin_object(json, NULL);
    json_put_text(json, "label", backup->label);
    json_put_text(json, "kind", backup->kind);
    json_put_text(json, "epoch", backup->epoch);
    json_begin_array(json, "parents");
    while (parents_next(&parent, label, &packs))
        json_put_text(json, NULL, label);
    json_end(json);
    json_put_u64(json, "number", backup->seq);
    json_put_u64_text(json, "system_identifier", backup->sysid);
    json_put_text(json, "postgresql", backup->pg_version);
    json_put_u64(json, "timeline", backup->timeline.id);
    put_lsn(json, "start_lsn", backup->start);
    put_lsn(json, "stop_lsn", backup->stop);
    put_time(json, "start_time", backup->start_time);
    put_time(json, "stop_time", backup->stop_time);
    json_put_u64(json, "files", backup->files);
    json_put_u64(json, "bytes", backup->bytes);
    json_put_u64(json, "stored_bytes", backup->stored_bytes);
    json_put_bool(json, "checksums", backup->has_checksums);
    json_put_u64(json, "damaged_pages", backup->damaged_pages);
    json_put_text(json, "wal_first", backup->wal_first);
    json_put_text(json, "wal_last", backup->wal_last);
    if (info_backup_lacks(repository, backup, &missing))
        put_segment(json, "wal_missing", missing, backup->segment_size);
    else
        json_put_null(json, "wal_missing");
    json_end(json);
}

static void
put_wal(struct json_writer *json, const struct info_wal *wal)
{
    json_begin_object(json, NULL);
    json_put_u64_text(json, "system_identifier", wal->sysid);
    json_put_u64(json, "timeline", wal->timeline.id);
    json_put_u64(json, "segment_size", wal->segment_size);
    json_put_u64(json, "stored_bytes", wal->stored_bytes);
    put_time(json, "last_archived", wal->last_archived);
    json_put_bool(json, "history", !wal->history_missing);
    json_begin_array(json, "runs");
    for (size_t i = 0; i < wal->run_count; i++)
    {
        json_begin_object(json, NULL);
        put_segment(json, "first", (struct segment){wal->timeline, wal->runs[i].first},
                    wal->segment_size);
        put_segment(json, "last", (struct segment){wal->timeline, wal->runs[i].last},
                    wal->segment_size);
        json_put_u64(json, "segments", wal->runs[i].last - wal->runs[i].first + 1);
        json_end(json);
    }
    json_end(json);
    json_end(json);
}

static void
put_content(struct json_writer *json, const struct info_repository *repository)
{
    int64_t earliest, latest;

    info_window(repository, &earliest, &latest);
    put_time(json, "earliest", earliest);
    put_time(json, "latest", latest);
    json_begin_array(json, "backups");
    for (size_t i = 0; i < repository->backups->count; i++)
        put_backup(json, repository, &repository->backups->items[i]);
    json_end(json);
    json_begin_array(json, "wal");
    for (size_t i = 0; i < repository->wal_count; i++)
        put_wal(json, &repository->wal[i]);
    json_end(json);
}

/* Findings come from outside too (names in sentences): what is not UTF-8 is shown without it. */
static void
put_finding(struct json_writer *json, const char *text)
{
    if (text_is_utf8(text, strlen(text)))
        json_put_text(json, NULL, text);
    else
        json_put_text(json, NULL, "a finding that is not UTF-8: see cpam-info without --json");
}

static void
put_repository(struct json_writer *json, const struct info_repository *repository)
{
    json_begin_object(json, NULL);
    json_put_text(json, "name", repository->settings->name);
    json_put_text(json, "url", repository->settings->url);
    json_put_bool(json, "required", repository->settings->required);
    json_put_bool(json, "readable", repository->readable);
    json_put_text(json, "id", repository->readable ? repository->uuid : NULL);
    if (repository->readable)
        put_content(json, repository);
    json_begin_array(json, "findings");
    for (size_t i = 0; i < repository->finding_count; i++)
        put_finding(json, repository->findings[i]);
    json_end(json);
    json_end(json);
}

static void
put_job(struct json_writer *json, const struct running_job *job)
{
    json_begin_object(json, NULL);
    json_put_text(json, "program", job->program);
    json_put_text(json, "name", job->name);
    json_put_text(json, "where", job->where);
    json_put_u64(json, "process", job->pid);
    put_time(json, "since", (int64_t) job->started);
    json_put_u64(json, "seconds", job->elapsed / 1000000);
    json_put_u64(json, "done_bytes", job->done);
    json_put_u64(json, "total_bytes", job->total);
    json_end(json);
}

enum cpam_status
info_json(const struct info_report *report, struct cpam_buf *out, struct cpam_err *err)
{
    struct json_writer json = {.buf = out, .limit = INFO_OUTPUT_MAX, .pretty = true};

    json_begin_object(&json, NULL);
    json_put_u64(&json, "schema", INFO_SCHEMA);
    json_put_text(&json, "cluster", report->settings->cluster);
    put_time(&json, "time", report->now);
    json_begin_array(&json, "running");
    for (size_t i = 0; i < report->job_count; i++)
        put_job(&json, &report->jobs[i]);
    json_end(&json);
    json_begin_array(&json, "repositories");
    for (size_t i = 0; i < report->count; i++)
        put_repository(&json, &report->repositories[i]);
    json_end(&json);
    json_end(&json);
    CPAM_TRY(json_writer_end(&json, err));
    return cpam_buf_append(out, "\n", 1, INFO_OUTPUT_MAX, err);
}
