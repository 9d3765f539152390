/*
 * worker.c - a bounded pool of threads over one lock and two conditions.
 *
 * `work` wakes threads (a job came, or it is over), `room` wakes the submitting thread (a place in
 * the queue, the last job done, or it is over).  The first failure is kept; everything after it is
 * discarded.
 */
#include "worker/worker.h"

#include <stdlib.h>

#include "io/io.h"
#include "worker/thread.h"

struct thread
{
    struct worker_pool *pool;
    unsigned number;
    pthread_t id;
};

struct worker_pool
{
    struct worker_spec spec;
    pthread_mutex_t lock;
    pthread_cond_t work, room;
    void **queue; /* a ring of spec.queue places */
    size_t first, waiting;
    unsigned running;       /* jobs being run now */
    bool over;              /* run nothing more: failed or cancelled */
    bool closing;           /* threads are to end */
    struct cpam_err reason; /* valid once over */
    unsigned started;
    struct thread threads[WORKER_THREADS_MAX];
};

/* Under the lock.  The first reason is the one that is told. */
static void
end_all(struct worker_pool *pool, const struct cpam_err *reason)
{
    if (!pool->over)
    {
        pool->over = true;
        pool->reason = *reason;
    }
    pthread_cond_broadcast(&pool->work);
    pthread_cond_broadcast(&pool->room);
}

static void *
take_first(struct worker_pool *pool)
{
    void *job = pool->queue[pool->first];

    pool->first = (pool->first + 1) % pool->spec.queue;
    pool->waiting--;
    return job;
}

/* Under the lock, which is given up around the callback. */
static void
discard_waiting(struct worker_pool *pool)
{
    while (pool->waiting > 0)
    {
        void *job = take_first(pool);

        if (pool->spec.discard == NULL)
            continue;
        pool->running++; /* worker_wait() waits for this too */
        pthread_mutex_unlock(&pool->lock);
        pool->spec.discard(pool->spec.arg, job);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    pthread_cond_broadcast(&pool->room);
}

/* Under the lock, which is given up while the job runs. */
static void
run_one(struct worker_pool *pool, void *context)
{
    struct cpam_err err;
    void *job = take_first(pool);

    pool->running++;
    pthread_cond_broadcast(&pool->room);
    pthread_mutex_unlock(&pool->lock);
    enum cpam_status status = pool->spec.run(pool->spec.arg, context, job, &err);
    pthread_mutex_lock(&pool->lock);
    if (status != CPAM_OK)
    {
        err.status = status;
        end_all(pool, &err);
    }
    else if (pool->spec.done != NULL)
        pool->spec.done(pool->spec.arg, job);
    pool->running--;
    pthread_cond_broadcast(&pool->room);
}

static void *
thread_main(void *arg)
{
    struct thread *thread = arg;
    struct worker_pool *pool = thread->pool;
    void *context = NULL;
    struct cpam_err err;
    bool ready = true;

    if (pool->spec.start != NULL)
    {
        enum cpam_status status = pool->spec.start(pool->spec.arg, thread->number, &context, &err);

        ready = status == CPAM_OK;
        err.status = status;
    }
    pthread_mutex_lock(&pool->lock);
    if (!ready)
        end_all(pool, &err);
    for (;;)
    {
        if (pool->over)
            discard_waiting(pool);
        else if (pool->waiting > 0)
        {
            run_one(pool, context);
            continue;
        }
        if (pool->closing)
            break;
        pthread_cond_wait(&pool->work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    if (ready && pool->spec.stop != NULL)
        pool->spec.stop(pool->spec.arg, context);
    return NULL;
}

static enum cpam_status
start_threads(struct worker_pool *pool, struct cpam_err *err)
{
    int failed = 0;

    while (pool->started < pool->spec.threads && failed == 0)
    {
        struct thread *thread = &pool->threads[pool->started];

        thread->pool = pool;
        thread->number = pool->started;
        failed = thread_start(&thread->id, thread_main, thread);
        if (failed == 0)
            pool->started++;
    }
    if (failed != 0)
        return cpam_fail(err, CPAM_IO, failed, "could not start a thread");
    return CPAM_OK;
}

enum cpam_status
worker_pool_new(const struct worker_spec *spec, struct worker_pool **out, struct cpam_err *err)
{
    if (spec->threads < 1 || spec->threads > WORKER_THREADS_MAX || spec->queue < 1 ||
        spec->queue > WORKER_QUEUE_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "a pool of %u threads and %zu waiting jobs",
                         spec->threads, spec->queue);

    struct worker_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL || (pool->queue = calloc(spec->queue, sizeof(*pool->queue))) == NULL)
    {
        free(pool);
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a pool of threads");
    }
    pool->spec = *spec;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    thread_condition_init(&pool->room);
    enum cpam_status status = start_threads(pool, err);
    if (status != CPAM_OK)
        worker_pool_free(pool);
    else
        *out = pool;
    return status;
}

/* Under the lock. */
static enum cpam_status
told(const struct worker_pool *pool, struct cpam_err *err)
{
    if (!pool->over)
        return CPAM_OK;
    *err = pool->reason;
    return err->status;
}

enum cpam_status
worker_submit(struct worker_pool *pool, void *job, struct cpam_err *err)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->over && pool->waiting == pool->spec.queue)
        pthread_cond_wait(&pool->room, &pool->lock);
    enum cpam_status status = told(pool, err);
    if (status == CPAM_OK)
    {
        pool->queue[(pool->first + pool->waiting) % pool->spec.queue] = job;
        pool->waiting++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

/* until (us, monotonic) NULL: without a limit. */
static enum cpam_status
wait_until(struct worker_pool *pool, const int64_t *until, struct cpam_err *err)
{
    bool expired = false;

    pthread_mutex_lock(&pool->lock);
    while ((pool->waiting > 0 || pool->running > 0) && !expired)
    {
        if (pool->over && pool->waiting > 0)
            discard_waiting(pool);
        else if (until == NULL)
            pthread_cond_wait(&pool->room, &pool->lock);
        else
            expired = !thread_wait_until(&pool->room, &pool->lock, *until);
    }
    enum cpam_status status =
        expired ? cpam_fail(err, CPAM_DEADLINE, 0, "the time for it is used up") : told(pool, err);
    pthread_mutex_unlock(&pool->lock);
    return status;
}

enum cpam_status
worker_wait(struct worker_pool *pool, struct cpam_err *err)
{
    return wait_until(pool, NULL, err);
}

enum cpam_status
worker_wait_for(struct worker_pool *pool, int64_t us, struct cpam_err *err)
{
    int64_t now = io_posix()->ops->monotonic(io_posix());
    int64_t at = us > INT64_MAX - now ? INT64_MAX : now + us;

    return wait_until(pool, &at, err);
}

void
worker_cancel(struct worker_pool *pool)
{
    struct cpam_err reason;

    cpam_fail(&reason, CPAM_CANCELLED, 0, "cancelled");
    pthread_mutex_lock(&pool->lock);
    end_all(pool, &reason);
    pthread_mutex_unlock(&pool->lock);
}

bool
worker_cancelled(struct worker_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool over = pool->over;
    pthread_mutex_unlock(&pool->lock);
    return over;
}

void
worker_pool_free(struct worker_pool *pool)
{
    if (pool == NULL)
        return;
    worker_cancel(pool);
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i].id, NULL);
    pthread_mutex_lock(&pool->lock);
    discard_waiting(pool); /* when not one thread could be started */
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->room);
    pthread_mutex_destroy(&pool->lock);
    free(pool->queue);
    free(pool);
}
