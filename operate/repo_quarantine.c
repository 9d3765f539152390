/*
 * repo_quarantine.c - cpam-repo quarantine: what was put aside, by whom, and why.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "repo/quarantine.h"
#include "repo_parts.h"

#define LIST_TIME ((int64_t) 300 * 1000000) /* us for one repository */

enum
{
    LIST_MAX = 16 << 20, /* bytes of the report */
    LIST_SCHEMA = 1
};

struct report
{
    struct cli *cli;
    struct repo *repo;
    struct cpam_buf out;
    struct json_writer json;
    size_t count;
};

static enum cpam_status
add_text(struct report *report, const struct quarantined *one,
         const struct quarantine_record *record, struct cpam_err *err)
{
    char when[TEXT_TIME_MAX], kept[2 * CONTENT_ID_SIZE + 1] = "unknown";

    CPAM_TRY(cpam_buf_printf(&report->out, LIST_MAX, err, "%s  content %s  repository \"%s\"\n",
                             one->name, one->content, repo_name(report->repo)));
    if (record == NULL)
        return cpam_buf_printf(&report->out, LIST_MAX, err,
                               "  LOOK: it has no good record: a \"resolve\" that was cut short, or"
                               " somebody else's\n");
    text_format_time(record->when, when);
    if (record->has_kept)
        text_hex(record->kept, CONTENT_ID_SIZE, kept);
    return cpam_buf_printf(&report->out, LIST_MAX, err,
                           "  %s, %" PRIu64 " bytes, put aside %s by %s; content %.16s kept the "
                           "name%s%s\n",
                           record->was_archived ? "was archived" : "came from pg_wal",
                           record->bytes, when, record->by, kept,
                           record->reason[0] != '\0' ? "; reason: " : "", record->reason);
}

static void
add_json(struct report *report, const struct quarantined *one,
         const struct quarantine_record *record)
{
    struct json_writer *json = &report->json;
    char text[2 * CONTENT_ID_SIZE + 1], when[TEXT_TIME_MAX];

    json_begin_object(json, NULL);
    json_put_text(json, "repository", repo_name(report->repo));
    json_put_text(json, "name", one->name);
    json_put_u64_text(json, "system_identifier", one->sysid);
    json_put_text(json, "content", one->content);
    json_put_u64(json, "object_bytes", one->size);
    json_put_bool(json, "recorded", record != NULL);
    if (record != NULL)
    {
        text_hex(record->content, CONTENT_ID_SIZE, text);
        json_put_text(json, "content_id", text);
        text_hex(record->kept, CONTENT_ID_SIZE, text);
        if (record->has_kept)
            json_put_text(json, "kept_content_id", text);
        json_put_text(json, "side", record->was_archived ? "archived" : "local");
        json_put_u64(json, "bytes", record->bytes);
        text_format_time(record->when, when);
        json_put_text(json, "time", when);
        json_put_text(json, "by", record->by);
        json_put_text(json, "reason", record->reason);
    }
    json_end(json);
}

static enum cpam_status
add(void *arg, const struct quarantined *one, struct cpam_err *err)
{
    struct report *report = arg;
    struct quarantine_record record;
    enum cpam_status status = quarantine_record_get(report->repo, one, &record, err);
    bool good = status == CPAM_OK;

    if (status != CPAM_OK && status != CPAM_NOT_FOUND && status != CPAM_CORRUPT &&
        status != CPAM_FOREIGN)
        return status;
    report->count++;
    report->cli->attention = report->cli->attention || !good;
    if (!report->cli->json)
        return add_text(report, one, good ? &record : NULL, err);
    add_json(report, one, good ? &record : NULL);
    return CPAM_OK;
}

static enum cpam_status
list_one(struct report *report, const struct repository_settings *which, struct cpam_err *err)
{
    CPAM_AUTO(repository_free) struct repository *opened = NULL;
    const struct repository_purpose purpose = {.for_read = true};
    struct io *io = report->cli->io;

    CPAM_TRY(repository_open(io, report->cli->settings, which, purpose,
                             deadline_after(io, LIST_TIME), &opened, err));
    report->repo = repository_repo(opened);
    return quarantine_list(report->repo, add, report, err);
}

static enum cpam_status
list_all(struct report *report, struct cpam_err *err)
{
    const struct settings *settings = report->cli->settings;

    report->json = (struct json_writer){.buf = &report->out, .limit = LIST_MAX};
    if (report->cli->json)
    {
        json_begin_object(&report->json, NULL);
        json_put_u64(&report->json, "schema", LIST_SCHEMA);
        json_begin_array(&report->json, "quarantine");
    }
    for (size_t i = 0; i < settings->repository_count; i++)
        if (repo_is_meant(report->cli, &settings->repositories[i]))
            CPAM_TRY(list_one(report, &settings->repositories[i], err));
    if (report->cli->json)
    {
        json_end(&report->json);
        json_end(&report->json);
        CPAM_TRY(json_writer_end(&report->json, err));
        CPAM_TRY(cpam_buf_printf(&report->out, LIST_MAX, err, "\n"));
    }
    else if (report->count == 0)
        CPAM_TRY(cpam_buf_printf(&report->out, LIST_MAX, err, "Nothing is in quarantine.\n"));
    if (fwrite(report->out.data, 1, report->out.size, stdout) != report->out.size ||
        fflush(stdout) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not write to stdout");
    return CPAM_OK;
}

enum cpam_status
repo_quarantine_run(struct cli *cli, struct cpam_err *err)
{
    struct report report = {.cli = cli};
    enum cpam_status status = list_all(&report, err);

    cpam_buf_clear(&report.out);
    return status;
}
