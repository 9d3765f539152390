/*
 * worker_answer.c - questions, and their answers as soon as each can be given.
 *
 * Acknowledgements live here only, in memory: a worker that was killed leaves nothing that could be
 * wrong, and the next one asks the store.  An answer of CPAM_OK is about the very bytes the caller
 * asked about: the stamp of its question is the stamp of what was read.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "worker_state.h"

enum
{
    MARGIN = 150 * 1000,      /* us before a caller's time is over */
    REMEMBERED = 60 * 1000000 /* us for which what was done ahead is not looked at again */
};

/* --- answers ---------------------------------------------------------------------------------- */

static void
answer(struct worker *worker, struct asker *asker, const struct cpam_err *why)
{
    struct handoff_reply reply = {.status = CPAM_OK};

    if (why != NULL)
    {
        reply.why = *why;
        cpam_err_prefix(&reply.why, "\"%s\" is not archived", asker->job->name.text);
        reply.status = reply.why.status = why->status == CPAM_OK ? CPAM_INTERNAL : why->status;
    }
    else if (asker->job->said != NULL)
        snprintf(reply.why.text, sizeof(reply.why.text), "%s", asker->job->said);
    asker->job->askers--;
    handoff_answer(worker->server, asker->waiter, &reply);
    asker->waiter = NULL;
}

/* The others are told in the log. */
static void
answer_failed(struct worker *worker, struct asker *asker)
{
    const struct job *job = asker->job;
    struct cpam_err none;

    if (job->failed == NULL)
    {
        cpam_fail(&none, CPAM_NO_MEMORY, 0, "out of memory for the reason");
        answer(worker, asker, &none);
        return;
    }
    for (size_t i = 0; i < worker->lane_count; i++)
        if (job->shares[i].state == SHARE_FAILED && job->shares[i].err != NULL &&
            strcmp(job->shares[i].err->text, job->failed->text) != 0)
            log_failure(job->shares[i].err);
    answer(worker, asker, job->failed);
}

/* Who has not done it?  One that fails, if there is one. */
static const struct lane *
who_is_late(const struct worker *worker, const struct job *job)
{
    const struct lane *late = NULL;

    for (size_t i = 0; i < worker->lane_count; i++)
    {
        const struct lane *lane = &worker->lanes[i];

        if (job->shares[i].state != SHARE_DONE && job->shares[i].state != SHARE_KEPT &&
            (late == NULL || (late->failing == 0 && lane->failing > 0)))
            late = lane;
    }
    return late;
}

static void
answer_late(struct worker *worker, struct asker *asker)
{
    const struct lane *late = who_is_late(worker, asker->job);
    struct cpam_err err;

    if (late == NULL)
        cpam_fail(&err, CPAM_DEADLINE, 0, "it was not done within wal.push.timeout");
    else if (late->failing > 0)
        cpam_fail(&err, CPAM_DEADLINE, 0,
                  "repository \"%s\" did not answer within wal.push.timeout; it failed before: %s",
                  late->which->name, late->last.text);
    else
        cpam_fail(&err, CPAM_DEADLINE, 0,
                  "repository \"%s\" did not answer within wal.push.timeout", late->which->name);
    cpam_err_hint(&err, "the worker goes on with it; PostgreSQL keeps the file and calls again");
    answer(worker, asker, &err);
}

/*
 * Might a repository have been made anew since it took the file?  It was opened anew, or so much time has
 * passed that nobody may have had a reason to look: then the store is asked, and has to hold it.
 */
static bool
doubtful(const struct worker *worker, const struct job *job)
{
    for (size_t i = 0; i < worker->lane_count; i++)
        if (job->shares[i].state == SHARE_DONE && job->shares[i].number < worker->lanes[i].number)
            return true;
    return worker->io->ops->monotonic(worker->io) - job->settled > REMEMBERED;
}

/* He waits for it: until the last of all that do gives up. */
static void
add_asker(struct job *job, struct deadline deadline)
{
    job->until = job->askers == 0 ? deadline : deadline_later(job->until, deadline);
    job->askers++;
}

/* The server is going to ask for what comes behind it: the threads look at that side by side. */
static void
look_again_behind(struct worker *worker, const struct job *asked)
{
    int64_t now = worker->io->ops->monotonic(worker->io);
    size_t ahead = worker->settings->wal.push_ahead;
    struct cpam_err ignored;

    for (size_t i = queue_place(worker->queue, asked) + 1;
         ahead > 0 && i < queue_count(worker->queue); i++)
    {
        struct job *job = queue_at(worker->queue, i), *fresh;

        if (job->askers > 0 || job->state != JOB_DURABLE || !doubtful(worker, job))
            continue;
        if (queue_again(worker->queue, job, NULL, now, &fresh, &ignored) != CPAM_OK)
            return; /* it is looked at when it is asked for */
        ahead--;
    }
}

/* What is durable is not what was asked about, or may be so no longer: once more, with what is there
   now. */
static void
run_again(struct worker *worker, struct asker *asker)
{
    struct job *job = asker->job, *fresh;
    bool doubted = handoff_stamp_same(&job->stamp, &asker->stamp);
    struct cpam_err err;

    if (asker->again && !doubted)
    {
        cpam_fail(&err, CPAM_TRANSIENT, 0, "the file changes while it is being pushed");
        answer(worker, asker, &err);
        return;
    }
    if (queue_again(worker->queue, job, doubted ? NULL : &asker->stamp,
                    worker->io->ops->monotonic(worker->io), &fresh, &err) != CPAM_OK)
    {
        answer(worker, asker, &err);
        return;
    }
    for (size_t i = 0; i < HANDOFF_WAITERS_MAX; i++)
        if (worker->askers[i].waiter != NULL && worker->askers[i].job == job)
        {
            worker->askers[i].job = fresh;
            worker->askers[i].again = true;
            add_asker(fresh, worker->askers[i].deadline);
        }
    if (doubted)
        look_again_behind(worker, fresh);
    pthread_cond_broadcast(&worker->work);
}

void
answer_all(struct worker *worker)
{
    for (size_t i = 0; i < HANDOFF_WAITERS_MAX; i++)
    {
        struct asker *asker = &worker->askers[i];

        if (asker->waiter == NULL)
            continue;
        if (asker->job->state == JOB_DURABLE &&
            handoff_stamp_same(&asker->job->stamp, &asker->stamp) && !doubtful(worker, asker->job))
            answer(worker, asker, NULL);
        else if (asker->job->state == JOB_DURABLE)
            run_again(worker, asker);
        else if (asker->job->state == JOB_FAILED)
            answer_failed(worker, asker);
        else if (asker->deadline.at != 0 && deadline_left(worker->io, asker->deadline) < MARGIN)
            answer_late(worker, asker);
    }
}

/* --- questions -------------------------------------------------------------------------------- */

static enum cpam_status
job_for(struct worker *worker, const char *name, const struct handoff_stamp *stamp,
        struct job **out, bool *fresh, struct cpam_err *err)
{
    struct queue *queue = worker->queue;
    struct archive_name parsed;

    CPAM_TRY(archive_name_parse(name, &parsed, err));
    *out = queue_find(queue, name);
    *fresh = *out == NULL;
    if (*out == NULL)
        return queue_add(queue, &parsed, out, err);
    *fresh = (*out)->state == JOB_FAILED ||
             ((*out)->state == JOB_DURABLE && !handoff_stamp_same(&(*out)->stamp, stamp));
    if (!*fresh)
        return CPAM_OK;
    return queue_again(queue, *out, stamp, worker->io->ops->monotonic(worker->io), out, err);
}

static void
refuse(struct worker *worker, struct handoff_waiter *waiter, const char *name,
       const struct cpam_err *err)
{
    struct handoff_reply reply = {.status = err->status, .why = *err};

    cpam_err_prefix(&reply.why, "\"%.64s\" is not archived", name);
    handoff_answer(worker->server, waiter, &reply);
}

void
answer_asked(void *arg, struct handoff_waiter *waiter, const char *name,
             const struct handoff_stamp *stamp, struct deadline deadline)
{
    struct worker *worker = arg;
    struct asker *asker = worker->askers;
    struct cpam_err err;
    bool fresh;

    while (asker->waiter != NULL) /* there are as many as there can be waiters */
        asker++;
    pthread_mutex_lock(&worker->lock);
    worker->active = worker->asked = worker->io->ops->monotonic(worker->io);
    answer_all(worker); /* a new run takes the old one away from whoever still waits for it */
    enum cpam_status status = job_for(worker, name, stamp, &asker->job, &fresh, &err);
    if (status != CPAM_OK)
        refuse(worker, waiter, name, &err);
    else
    {
        asker->waiter = waiter;
        asker->stamp = *stamp;
        asker->deadline = deadline;
        asker->again = fresh;
        add_asker(asker->job, deadline);
        pthread_cond_broadcast(&worker->work);
        answer_all(worker);
    }
    pthread_mutex_unlock(&worker->lock);
}

void
answer_gone(void *arg, struct handoff_waiter *waiter)
{
    struct worker *worker = arg;

    pthread_mutex_lock(&worker->lock);
    for (size_t i = 0; i < HANDOFF_WAITERS_MAX; i++)
        if (worker->askers[i].waiter == waiter)
        {
            worker->askers[i].job->askers--;
            worker->askers[i].waiter = NULL;
        }
    pthread_mutex_unlock(&worker->lock);
}
