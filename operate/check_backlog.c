/*
 * check_backlog.c - what waits on this host for repositories that do not have it yet.
 */
#include "check_backlog.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"

enum
{
    LINE_MAX_SIZE = 4096
};

enum cpam_status
check_backlogs_read(const struct cli *cli, uint64_t sysid, struct checked_backlogs *out,
                    struct cpam_err *err)
{
    const struct settings *settings = cli->settings;

    out->count = 0;
    for (size_t i = 0; i < settings->repository_count; i++)
    {
        CPAM_AUTO(backlog_free) struct backlog *backlog = NULL;
        struct checked_backlog *item = &out->items[out->count];

        item->which = &settings->repositories[i];
        if (!repo_is_meant(cli, item->which))
            continue;
        CPAM_TRY(backlog_open(cli->io, settings, item->which, sysid, &backlog, err));
        CPAM_TRY(backlog_size(backlog, &item->size, err));
        out->count += item->size.entries > 0;
    }
    return CPAM_OK;
}

static enum cpam_status
text_of(const struct cli *cli, const struct checked_backlog *backlog, struct cpam_buf *out,
        struct cpam_err *err)
{
    const struct backlog_size *size = &backlog->size;
    char bytes[TEXT_SIZE_MAX], age[TEXT_DURATION_MAX];

    text_format_size(size->bytes, bytes);
    text_format_duration(cli->io->ops->now(cli->io) - size->oldest, age);
    CPAM_TRY(cpam_buf_printf(out, LINE_MAX_SIZE, err,
                             "repository \"%s\" is behind: %" PRIu64
                             " file%s for it (%s) on this host, the oldest for %s, %s first",
                             backlog->which->name, size->entries,
                             size->entries == 1 ? " waits" : "s wait", bytes, age, size->first));
    if (size->without_copy > 0)
        CPAM_TRY(cpam_buf_printf(out, LINE_MAX_SIZE, err,
                                 "; %" PRIu64 " of them without a copy (wal.push.backlog_max)",
                                 size->without_copy));
    return CPAM_OK;
}

enum cpam_status
check_backlogs_print(const struct cli *cli, const struct checked_backlogs *backlogs,
                     struct cpam_err *err)
{
    for (size_t i = 0; i < backlogs->count; i++)
    {
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf line = {0};

        CPAM_TRY(text_of(cli, &backlogs->items[i], &line, err));
        const char *text = cpam_buf_text(&line);
        if (text == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
        printf("%s\n", text);
    }
    return CPAM_OK;
}

void
check_backlogs_json(struct json_writer *json, const struct checked_backlogs *backlogs)
{
    json_begin_array(json, "backlogs");
    for (size_t i = 0; i < backlogs->count; i++)
    {
        const struct checked_backlog *item = &backlogs->items[i];
        char since[TEXT_TIME_MAX];

        text_format_time(item->size.oldest, since);
        json_begin_object(json, NULL);
        json_put_text(json, "repository", item->which->name);
        json_put_u64(json, "entries", item->size.entries);
        json_put_u64(json, "bytes", item->size.bytes);
        json_put_u64(json, "without_copy", item->size.without_copy);
        json_put_text(json, "first", item->size.first);
        json_put_text(json, "oldest", since);
        json_end(json);
    }
    json_end(json);
}
