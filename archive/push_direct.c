/*
 * push_direct.c - a thread for each required repository, and one answer from all of theirs.
 *
 * The operations of a repository end by the deadline themselves; the wait for the threads has a
 * limit of its own all the same, because not every system call can be bounded (a file server that
 * does not answer).  What such threads still use is left to them: it is on the heap, and only the
 * end of the process takes it away.
 */
#include "push_direct.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/repository.h"
#include "worker/worker.h"

enum
{
    GRACE = 500 * 1000 /* us beyond the deadline, for operations that end by themselves */
};

/* One repository's share. */
struct share
{
    const struct repository_settings *which;
    enum cpam_status status;
    bool was_there;
    struct cpam_err err;
};

struct push
{
    struct io *io;
    const struct settings *settings;
    const struct push_item *item;
    struct deadline deadline;
    size_t count;
    struct share shares[SETTINGS_REPOSITORIES_MAX];
};

/*
 * CPAM_FOREIGN and CPAM_INVALID say to the caller that the file is wrong.  It was looked at before:
 * here a repository is another's, or was made by a version to come, and the file is good.
 */
static enum cpam_status
put_into(const struct push *push, struct share *share, struct cpam_err *err)
{
    static const struct repository_purpose purpose = {.for_write = true};
    CPAM_AUTO(repository_free) struct repository *repository = NULL;
    enum cpam_status status = repository_open(push->io, push->settings, share->which, purpose,
                                              push->deadline, &repository, err);

    if (status == CPAM_FOREIGN)
        return err->status = CPAM_REFUSED;
    if (status == CPAM_OK)
        status = push_item_put(repository_repo(repository), push->item, &share->was_there, err);
    return status == CPAM_INVALID ? (err->status = CPAM_REFUSED) : status;
}

/* Never fails for the pool: another repository's failure must not stop this one's push. */
static enum cpam_status
run_share(void *arg, void *context, void *job, struct cpam_err *err)
{
    struct share *share = job;

    (void) context;
    (void) err;
    share->status = put_into(arg, share, &share->err);
    share->err.status = share->status;
    return CPAM_OK;
}

/* How much a failure needs a person: the answer is the one that needs him most. */
static int
weight(enum cpam_status status)
{
    switch (status)
    {
    case CPAM_OK: return 0;
    case CPAM_EXISTS: return 6;
    case CPAM_FOREIGN:
    case CPAM_INVALID: return 5;
    case CPAM_CORRUPT: return 4;
    case CPAM_USAGE: return 3;
    case CPAM_REFUSED:
    case CPAM_NOT_FOUND: return 2;
    default: return 1;
    }
}

static enum cpam_status
conclude(const struct push *push, struct cpam_err *err)
{
    const struct share *worst = NULL;

    for (size_t i = 0; i < push->count; i++)
    {
        const struct share *share = &push->shares[i];

        if (share->status == CPAM_OK)
            cpam_log(LOG_DEBUG, "\"%s\" is durable in \"%s\"%s", push_item_name(push->item),
                     share->which->name, share->was_there ? " (it was there)" : "");
        else if (worst == NULL || weight(share->status) > weight(worst->status))
            worst = share;
    }
    if (worst == NULL)
        return CPAM_OK;
    for (size_t i = 0; i < push->count; i++)
        if (push->shares[i].status != CPAM_OK && &push->shares[i] != worst)
            log_failure(&push->shares[i].err);
    *err = worst->err;
    cpam_err_prefix(err, "\"%s\" is not archived", push_item_name(push->item));
    /* A repository that is not there is no missing file: the caller's "not found" means the file. */
    return err->status = worst->status == CPAM_NOT_FOUND ? CPAM_REFUSED : worst->status;
}

/* The shares of a push that was given up can't be looked at: they are still being written. */
static enum cpam_status
give_up(const struct push *push, struct cpam_err *err)
{
    cpam_fail(err, CPAM_DEADLINE, 0,
              "\"%s\" is not archived: a repository did not answer within wal.push.timeout",
              push_item_name(push->item));
    cpam_err_hint(err, "PostgreSQL keeps the file and calls again");
    return CPAM_DEADLINE;
}

static enum cpam_status
push_by_threads(struct push *push, bool *abandoned, struct cpam_err *err)
{
    struct worker_spec spec = {
        .threads = (unsigned) push->count, .queue = push->count, .arg = push, .run = run_share};
    struct worker_pool *pool = NULL;
    enum cpam_status status = worker_pool_new(&spec, &pool, err);

    for (size_t i = 0; i < push->count && status == CPAM_OK; i++)
        status = worker_submit(pool, &push->shares[i], err);
    if (status == CPAM_OK)
    {
        int64_t left = deadline_left(push->io, push->deadline);

        status = worker_wait_for(pool, left > INT64_MAX - GRACE ? left : left + GRACE, err);
        *abandoned = status == CPAM_DEADLINE;
    }
    if (*abandoned)
        return give_up(push, err);
    worker_pool_free(pool);
    return status == CPAM_OK ? conclude(push, err) : status;
}

enum cpam_status
push_direct(struct push_request *request, struct cpam_err *err)
{
    const struct settings *settings = request->settings;
    struct push *push = calloc(1, sizeof(*push));

    request->abandoned = false;
    if (push == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to push \"%s\"",
                         push_item_name(request->item));
    push->io = request->io;
    push->settings = settings;
    push->item = request->item;
    push->deadline = request->deadline;
    for (size_t i = 0; i < settings->repository_count; i++)
        if (settings->repositories[i].required)
            push->shares[push->count++] = (struct share){.which = &settings->repositories[i]};

    enum cpam_status status;
    if (push->count == 0)
        status = cpam_fail(err, CPAM_USAGE, 0,
                           "no repository in \"%s\" is required: a push would promise nothing",
                           settings->file);
    else
        status = push_by_threads(push, &request->abandoned, err);
    if (!request->abandoned)
        free(push);
    return status;
}
