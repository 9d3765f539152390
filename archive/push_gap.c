/*
 * push_gap.c - is the queue too long, and the record of what is given up.
 */
#include "push_gap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "io/file.h"
#include "push_shares.h"
#include "repo/gap.h"

enum
{
    PATH_LIMIT = 1 << 16
};

/* Segments the archiver has still to do, in archive_status beside the file; none without it. */
static enum cpam_status
count_ready(struct io *io, const char *path, uint64_t *count, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf dir = {0};
    const char *slash = strrchr(path, '/');
    int parent = slash == NULL ? 0 : (int) (slash + 1 - path);

    *count = 0;
    CPAM_TRY(cpam_buf_printf(&dir, PATH_LIMIT, err, "%.*sarchive_status", parent, path));
    const char *text = cpam_buf_text(&dir);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    DIR *stream = io->ops->opendir(io, AT_FDCWD, text);
    if (stream == NULL)
        return CPAM_OK;
    for (struct dirent *entry; (entry = io->ops->readdir(io, stream)) != NULL;)
    {
        struct archive_name name;
        char copy[ARCHIVE_NAME_MAX];
        struct cpam_err ignored;
        size_t size = strlen(entry->d_name);

        if (size < 6 || size - 6 >= sizeof(copy) || strcmp(entry->d_name + size - 6, ".ready") != 0)
            continue;
        memcpy(copy, entry->d_name, size - 6);
        copy[size - 6] = '\0';
        *count +=
            archive_name_parse(copy, &name, &ignored) == CPAM_OK && name.kind == ARCHIVE_SEGMENT;
    }
    io->ops->closedir(io, stream); /* only read */
    return CPAM_OK;
}

enum cpam_status
push_gap_due(const struct push_request *request, bool *due, uint64_t *waiting, struct cpam_err *err)
{
    const char *path = push_item_path(request->item);
    struct archive_name name;
    struct stat about;
    uint64_t count;

    *due = false;
    *waiting = 0;
    if (request->settings->wal.queue_max == 0)
        return CPAM_OK;
    CPAM_TRY(archive_name_parse(push_item_name(request->item), &name, err));
    if (name.kind != ARCHIVE_SEGMENT)
        return CPAM_OK;
    CPAM_TRY(file_stat(request->io, path, &about, err));
    CPAM_TRY(count_ready(request->io, path, &count, err));
    *waiting = count * (uint64_t) about.st_size;
    *due = *waiting > request->settings->wal.queue_max;
    return CPAM_OK;
}

static enum cpam_status
put_gap(void *arg, struct repo *repo, struct cpam_err *err)
{
    enum cpam_status status = gap_put(repo, arg, err);

    return status == CPAM_EXISTS || status == CPAM_INVALID ? (err->status = CPAM_REFUSED) : status;
}

static enum cpam_status
record(struct push_request *request, struct gap *gap, bool *left_behind, struct cpam_err *err)
{
    const struct push_work work = {.io = request->io,
                                   .settings = request->settings,
                                   .deadline = request->deadline,
                                   .put = put_gap,
                                   .arg = gap};
    struct push_shares *shares;
    enum cpam_status status = CPAM_OK;

    CPAM_TRY(push_shares_start(&work, &shares, err));
    if (push_shares_wait(shares) != PUSH_DURABLE)
        status = cpam_fail(err, CPAM_DEADLINE, 0, "nor can the gap be recorded");
    for (size_t i = 0; i < push_shares_count(shares); i++)
    {
        const struct push_share share = push_share_at(shares, i);

        if (share.finished && share.status != CPAM_OK)
            log_failure(&share.err);
    }
    *left_behind = !push_shares_end(shares);
    return status;
}

enum cpam_status
push_gap_give_up(struct push_request *request, uint64_t waiting, struct cpam_err *err)
{
    const char *name = push_item_name(request->item);
    struct gap *gap = calloc(1, sizeof(*gap));
    char bytes[TEXT_SIZE_MAX];
    bool left_behind = false;
    struct cpam_err why;
    struct stat about;

    if (gap == NULL)
        return err->status;
    enum cpam_status status = file_stat(request->io, push_item_path(request->item), &about, &why);
    if (status == CPAM_OK)
        status = segment_parse(name, (uint32_t) about.st_size, &gap->first, &why);
    gap->last = gap->first;
    gap->sysid = push_item_sysid(request->item);
    gap->segment_size = (uint32_t) about.st_size;
    gap->backlog = waiting;
    gap->created = request->io->ops->now(request->io);
    if (status == CPAM_OK)
        status = record(request, gap, &left_behind, &why);
    if (!left_behind)
        free(gap);
    request->abandoned = request->abandoned || left_behind;
    if (status != CPAM_OK)
    {
        cpam_log(LOG_WARNING, "\"%s\" is not given up: %s", name, why.text);
        return err->status;
    }
    text_format_size(waiting, bytes);
    log_failure(err);
    cpam_log(LOG_ERROR,
             "\"%s\" IS GIVEN UP: %s of WAL wait, more than wal.push.queue_max; the repositories "
             "have a record of the gap, and no recovery goes through it: take a new backup",
             name, bytes);
    return CPAM_OK;
}
