/*
 * push_direct.c - one answer from all repositories' shares, and a backlog for those without.
 */
#include "push_direct.h"

#include <stdlib.h>
#include <string.h>

#include "backlog.h"
#include "base/log.h"
#include "push_gap.h"
#include "push_outcome.h"
#include "push_queue.h"
#include "push_shares.h"

enum
{
    DRAIN_MOST = 8, /* files of its backlog a repository gets beside the one asked for */
    DRAIN_TIME = 2 * 1000 * 1000, /* us in which another of them is begun */
    GAP_PART = 4                  /* this part of the time is kept for the record of a gap */
};

/* What the threads use; on the heap, because threads may be left behind. */
struct push
{
    struct io *io;
    const struct settings *settings;
    const struct push_item *item;
    struct deadline deadline;
};

static enum cpam_status
put_item(void *arg, struct repo *repo, struct cpam_err *err)
{
    const struct push *push = arg;
    bool was_there;
    enum cpam_status status = push_item_put(repo, push->item, &was_there, err);

    if (status == CPAM_OK)
        cpam_log(LOG_DEBUG, "\"%s\" is durable in \"%s\"%s", push_item_name(push->item),
                 repo_name(repo), was_there ? " (it was there)" : "");
    return status == CPAM_INVALID ? (err->status = CPAM_REFUSED) : status;
}

/* The repository has just taken a file: some of what it missed goes there too. */
static void
drain_some(void *arg, struct repo *repo, const struct repository_settings *which)
{
    const struct push *push = arg;
    CPAM_AUTO(backlog_free) struct backlog *backlog = NULL;
    const struct backlog_limits limits = {
        .begin = deadline_sooner(push->deadline, deadline_after(push->io, DRAIN_TIME)),
        .end = push->deadline,
        .most = DRAIN_MOST};
    struct cpam_err err;
    uint64_t left = 0;
    enum cpam_status status =
        backlog_open(push->io, push->settings, which, push_item_sysid(push->item), &backlog, &err);

    if (status == CPAM_OK)
        status =
            backlog_drain(backlog, repo, push->settings->postgresql.data, &limits, &left, &err);
    if (status != CPAM_OK)
        cpam_log(LOG_WARNING, "the backlog of repository \"%s\": %s", which->name, err.text);
}

/* --- the answer ------------------------------------------------------------------------------- */

/* Of several failures of required repositories the worst is returned and the others are logged. */
static enum cpam_status
failure(const struct push *push, struct push_shares *shares, struct cpam_err *err)
{
    size_t worst = SIZE_MAX;
    enum cpam_status status = CPAM_OK;

    for (size_t i = 0; i < push_shares_count(shares); i++)
    {
        const struct push_share share = push_share_at(shares, i);

        if (share.which->required && share.finished &&
            push_weight(share.status) > push_weight(status))
        {
            worst = i;
            status = share.status;
        }
    }
    for (size_t i = 0; i < push_shares_count(shares); i++)
    {
        const struct push_share share = push_share_at(shares, i);

        if (i == worst)
            *err = share.err;
        else if (share.finished && share.status != CPAM_OK)
            log_failure(&share.err);
    }
    if (worst == SIZE_MAX)
    {
        cpam_fail(err, CPAM_DEADLINE, 0, "a repository did not answer within wal.push.timeout");
        cpam_err_hint(err, "PostgreSQL keeps the file and calls again");
        status = CPAM_DEADLINE;
    }
    cpam_err_prefix(err, "\"%s\" is not archived", push_item_name(push->item));
    /* A repository that is not there is no missing file: the caller's "not found" means the file. */
    return err->status = status == CPAM_NOT_FOUND ? CPAM_REFUSED : status;
}

static enum cpam_status
keep_for(const struct push *push, const struct push_share *share, struct cpam_err *err)
{
    CPAM_AUTO(backlog_free) struct backlog *backlog = NULL;

    CPAM_TRY(backlog_open(push->io, push->settings, share->which, push_item_sysid(push->item),
                          &backlog, err));
    CPAM_TRY(push_item_keep(push->item, backlog, err));
    cpam_log(LOG_WARNING, "\"%s\" waits in \"%s\" for repository \"%s\": %s",
             push_item_name(push->item), push->settings->state, share->which->name,
             share->finished ? share->err.text : "it did not answer in time");
    return CPAM_OK;
}

/* Enough have it.  Before PostgreSQL may forget it, it is kept for those that have not. */
static enum cpam_status
keep_for_others(const struct push *push, struct push_shares *shares, struct cpam_err *err)
{
    for (size_t i = 0; i < push_shares_count(shares); i++)
    {
        const struct push_share share = push_share_at(shares, i);

        if (share.finished && share.status == CPAM_OK)
            continue;
        enum cpam_status status = keep_for(push, &share, err);
        if (status != CPAM_OK && !share.which->required)
            log_failure(err); /* it never decides */
        else if (status != CPAM_OK)
        {
            cpam_err_prefix(err, "\"%s\" is not archived", push_item_name(push->item));
            return err->status = status == CPAM_EXISTS ? status : CPAM_IO;
        }
    }
    return CPAM_OK;
}

/* A failure that time or a better connection may cure, and that a queue grows from. */
static bool
out_of_reach(struct push_shares *shares)
{
    for (size_t i = 0; i < push_shares_count(shares); i++)
    {
        const struct push_share share = push_share_at(shares, i);

        if (share.which->required && share.finished && share.status != CPAM_OK &&
            share.status != CPAM_TRANSIENT && share.status != CPAM_DEADLINE &&
            share.status != CPAM_IO && share.status != CPAM_UNKNOWN)
            return false;
    }
    return true;
}

static enum cpam_status
push_and_answer(struct push *push, struct push_request *request, bool may_give_up, uint64_t waiting,
                struct cpam_err *err)
{
    const struct push_work work = {.io = push->io,
                                   .settings = push->settings,
                                   .deadline = push->deadline,
                                   .optional = true,
                                   .put = put_item,
                                   .after = drain_some,
                                   .arg = push};
    struct push_shares *shares;
    enum cpam_status status;

    CPAM_TRY(push_shares_start(&work, &shares, err));
    bool durable = push_shares_wait(shares) == PUSH_DURABLE;
    if (durable)
        status = keep_for_others(push, shares, err);
    else
        status = failure(push, shares, err);
    bool give_up = !durable && may_give_up && out_of_reach(shares);
    request->abandoned = !push_shares_end(shares);
    if (give_up)
        status = push_gap_give_up(request, waiting, err);
    return status;
}

enum cpam_status
push_direct(struct push_request *request, struct cpam_err *err)
{
    struct push *push = calloc(1, sizeof(*push));
    bool may_give_up = false;
    uint64_t waiting = 0;

    request->abandoned = false;
    if (push == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to push \"%s\"",
                         push_item_name(request->item));
    *push = (struct push){request->io, request->settings, request->item, request->deadline};
    enum cpam_status status = push_queue_due(
        request->io, request->settings, push_item_path(request->item), &may_give_up, &waiting, err);
    if (may_give_up)
    {
        int64_t left = deadline_left(request->io, request->deadline);

        push->deadline =
            deadline_sooner(request->deadline, deadline_after(request->io, left - left / GAP_PART));
    }
    if (status == CPAM_OK)
        status = push_and_answer(push, request, may_give_up, waiting, err);
    if (!request->abandoned)
        free(push);
    return status;
}
