/*
 * worker_queue.c - a sorted array of jobs, and the rules by which a share's end moves its job.
 *
 * A failed look-ahead is never an answer: without an asker its share is open again.  A conflict or a
 * file that is not what its name says fails at once, and is tried again when it is asked for.
 */
#include "worker_queue.h"

#include <stdlib.h>
#include <string.h>

#include "push_outcome.h"

struct queue
{
    struct queue_spec spec;
    struct job **jobs;
    size_t count, cap;
};

enum cpam_status
queue_new(const struct queue_spec *spec, struct queue **out, struct cpam_err *err)
{
    struct queue *queue = calloc(1, sizeof(*queue));

    if (queue == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the worker's queue");
    queue->spec = *spec;
    *out = queue;
    return CPAM_OK;
}

static void
job_free(struct job *job, size_t lanes)
{
    if (job == NULL)
        return;
    for (size_t i = 0; i < lanes; i++)
        free(job->shares[i].err);
    push_item_free(job->item);
    free(job->failed);
    free(job->said);
    free(job);
}

void
queue_free(struct queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t i = 0; i < queue->count; i++)
        job_free(queue->jobs[i], queue->spec.lanes);
    free(queue->jobs);
    free(queue);
}

/* Where name is, or would be. */
static size_t
place_of(const struct queue *queue, const struct archive_name *name, bool *there)
{
    size_t from = 0, to = queue->count;

    *there = false;
    while (from < to)
    {
        size_t middle = from + (to - from) / 2;
        int order = archive_name_order(&queue->jobs[middle]->name, name);

        *there = order == 0;
        if (order == 0)
            return middle;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

struct job *
queue_find(struct queue *queue, const char *name)
{
    struct archive_name parsed;
    struct cpam_err ignored;
    bool there;

    if (archive_name_parse(name, &parsed, &ignored) != CPAM_OK)
        return NULL;
    size_t at = place_of(queue, &parsed, &there);
    return there ? queue->jobs[at] : NULL;
}

static enum cpam_status
job_new(const struct queue *queue, const struct archive_name *name, struct job **out,
        struct cpam_err *err)
{
    *out = calloc(1, sizeof(**out) + queue->spec.lanes * sizeof((*out)->shares[0]));
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to push \"%s\"", name->text);
    (*out)->name = *name;
    return CPAM_OK;
}

enum cpam_status
queue_add(struct queue *queue, const struct archive_name *name, struct job **out,
          struct cpam_err *err)
{
    bool there;
    size_t at = place_of(queue, name, &there);

    if (there)
    {
        *out = queue->jobs[at];
        return CPAM_OK;
    }
    if (queue->count == queue->cap)
    {
        size_t cap = queue->cap == 0 ? 256 : queue->cap * 2;
        struct job **grown = realloc(queue->jobs, cap * sizeof(struct job *));

        if (grown == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to push \"%s\"", name->text);
        queue->jobs = grown;
        queue->cap = cap;
    }
    CPAM_TRY(job_new(queue, name, out, err));
    memmove(queue->jobs + at + 1, queue->jobs + at, (queue->count - at) * sizeof(struct job *));
    queue->jobs[at] = *out;
    queue->count++;
    return CPAM_OK;
}

/* Freed now, or by its last user. */
static void
let_go(struct queue *queue, struct job *job)
{
    job->detached = true;
    if (job->users == 0)
        job_free(job, queue->spec.lanes);
}

static bool
may_take(const struct job *job, size_t lane)
{
    return (job->state == JOB_OPEN || job->state == JOB_ENOUGH) &&
           job->shares[lane].state == SHARE_OPEN;
}

struct job *
queue_take(struct queue *queue, size_t lane, bool ahead)
{
    struct job *found = NULL;

    for (size_t i = 0; i < queue->count; i++)
    {
        struct job *job = queue->jobs[i];

        if (!may_take(job, lane))
            continue;
        if (job->askers > 0)
        {
            found = job;
            break;
        }
        if (found == NULL && ahead)
            found = job;
    }
    if (found == NULL)
        return NULL;
    found->shares[lane].state = SHARE_RUNNING;
    found->users++;
    return found;
}

static void
settle(struct job *job, enum job_state state, int64_t now)
{
    job->state = state;
    job->settled = now;
}

/* Without memory the job has failed all the same, and there is no reason to tell. */
static void
note_failed(struct job *job, const struct cpam_err *err)
{
    free(job->failed);
    job->failed = malloc(sizeof(*job->failed));
    if (job->failed != NULL)
        *job->failed = *err;
}

/* The failure a person has to see most, of those repositories that count. */
static void
keep_worst(const struct queue *queue, struct job *job)
{
    const struct cpam_err *worst = NULL;

    for (size_t i = 0; i < queue->spec.lanes; i++)
        if (queue->spec.required[i] && job->shares[i].state == SHARE_FAILED &&
            (worst == NULL || push_weight(job->shares[i].err->status) > push_weight(worst->status)))
            worst = job->shares[i].err;
    if (worst == NULL)
        return;
    note_failed(job, worst);
}

static void
judge(const struct queue *queue, struct job *job, bool wrong, int64_t now)
{
    size_t done = 0, failed = 0, left = 0;

    for (size_t i = 0; i < queue->spec.lanes; i++)
    {
        enum share_state state = job->shares[i].state;

        left += state != SHARE_DONE && state != SHARE_KEPT;
        done += queue->spec.required[i] && state == SHARE_DONE;
        failed += queue->spec.required[i] && state == SHARE_FAILED;
    }
    switch (push_policy_verdict(&queue->spec.policy, done, failed, wrong))
    {
    case PUSH_WAIT: return;
    case PUSH_FAILED:
        keep_worst(queue, job);
        settle(job, JOB_FAILED, now);
        return;
    case PUSH_DURABLE:
        if (left == 0)
            settle(job, JOB_DURABLE, now);
        else if (job->state == JOB_OPEN)
            settle(job, JOB_ENOUGH, now);
        return;
    }
}

enum cpam_status
queue_again(struct queue *queue, struct job *old, const struct handoff_stamp *stamp, int64_t now,
            struct job **out, struct cpam_err *err)
{
    bool there;
    size_t at = place_of(queue, &old->name, &there);

    CPAM_TRY(job_new(queue, &old->name, out, err));
    (*out)->listed = old->listed;
    (*out)->doubted = stamp == NULL;
    (*out)->patient = old->failed != NULL && old->failed->status == CPAM_DEADLINE;
    if (old->stamped && stamp != NULL && handoff_stamp_same(&old->stamp, stamp))
    {
        (*out)->stamped = true;
        (*out)->stamp = *stamp;
        for (size_t i = 0; i < queue->spec.lanes; i++)
            if (old->shares[i].state == SHARE_DONE)
                (*out)->shares[i] =
                    (struct share){.state = SHARE_DONE, .number = old->shares[i].number};
    }
    queue->jobs[at] = *out;
    let_go(queue, old);
    judge(queue, *out, false, now); /* what is there may be enough: no share's end would tell */
    return CPAM_OK;
}

void
queue_report(struct queue *queue, struct job *job, size_t lane, enum share_state state, bool wrong,
             const struct cpam_err *err, int64_t now)
{
    struct share *share = &job->shares[lane];

    share->state = state;
    free(share->err);
    share->err = NULL;
    if (state == SHARE_OPEN || state == SHARE_FAILED)
    {
        share->err = malloc(sizeof(*share->err));
        if (share->err == NULL)
            share->state = SHARE_OPEN; /* it is tried again rather than judged without a reason */
        else
            *share->err = *err;
    }
    if (job->state == JOB_OPEN || job->state == JOB_ENOUGH)
        judge(queue, job, wrong && queue->spec.required[lane] && share->state == SHARE_FAILED, now);
}

void
queue_kept(struct queue *queue, struct job *job, size_t lane, const struct cpam_err *err,
           int64_t now)
{
    if (job->state != JOB_ENOUGH || job->shares[lane].state == SHARE_DONE)
        return; /* its thread was faster after all */
    if (err == NULL)
    {
        job->shares[lane].state = SHARE_KEPT;
        judge(queue, job, false, now);
        return;
    }
    note_failed(job, err);
    settle(job, JOB_FAILED, now);
}

void
queue_leave(struct queue *queue, struct job *job)
{
    if (--job->users > 0)
        return;
    push_item_free(job->item);
    job->item = NULL;
    if (job->detached)
        job_free(job, queue->spec.lanes);
}

size_t
queue_open(const struct queue *queue)
{
    size_t open = 0;

    for (size_t i = 0; i < queue->count; i++)
        open += queue->jobs[i]->askers == 0 &&
                (queue->jobs[i]->state == JOB_OPEN || queue->jobs[i]->state == JOB_ENOUGH);
    return open;
}

size_t
queue_count(const struct queue *queue)
{
    return queue->count;
}

struct job *
queue_at(struct queue *queue, size_t index)
{
    return queue->jobs[index];
}

size_t
queue_place(const struct queue *queue, const struct job *job)
{
    bool there;

    return place_of(queue, &job->name, &there);
}

void
queue_prune(struct queue *queue)
{
    size_t kept = 0;

    for (size_t i = 0; i < queue->count; i++)
    {
        struct job *job = queue->jobs[i];

        if (job->listed || job->askers > 0 || job->users > 0 || job->state == JOB_ENOUGH)
            queue->jobs[kept++] = job;
        else
            let_go(queue, job);
    }
    queue->count = kept;
}
