/*
 * push_gap.c - the record of what is given up, and the answer that follows.
 */
#include "push_gap.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "io/file.h"
#include "push_shares.h"
#include "repo/gap.h"

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
