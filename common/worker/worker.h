/*
 * worker.h - a bounded pool of threads: jobs go in, the first failure stops it all.
 *
 * Each thread has a context of its own (a connection, buffers), made in the thread by `start` and
 * given back by `stop`.  Jobs are pointers the pool hands on.  A job that was accepted by
 * worker_submit() ends in exactly one call: `run`, or `discard` when a failure or a cancellation
 * came before its turn.
 *
 * After a failure of start or run, no further job is run or accepted; jobs that are running are
 * ended by whoever looks at worker_cancelled(), or come to their end.
 *
 * Threads are started with all signals blocked: signals are the main thread's.  One thread submits
 * and waits; run, done and discard are called in the pool's threads (discard also in the waiting
 * one).
 */
#ifndef CPAM_WORKER_WORKER_H
#define CPAM_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/scope.h"

enum
{
    WORKER_THREADS_MAX = 64,
    WORKER_QUEUE_MAX = 65536
};

struct worker_spec
{
    unsigned threads; /* 1..WORKER_THREADS_MAX */
    size_t queue;     /* jobs that may wait, 1..WORKER_QUEUE_MAX; submit blocks beyond */
    void *arg;        /* for all of the functions */

    /* NULL: no context.  On failure nothing is to be freed and stop is not called. */
    enum cpam_status (*start)(void *arg, unsigned thread, void **context, struct cpam_err *err);
    enum cpam_status (*run)(void *arg, void *context, void *job, struct cpam_err *err);
    /* After a run that succeeded, one at a time, so that it may collect results; NULL: nothing. */
    void (*done)(void *arg, void *job);
    /* A job that is never run; NULL: nothing to give back. */
    void (*discard)(void *arg, void *job);
    void (*stop)(void *arg, void *context);
};

struct worker_pool;

/* Starts the threads.  CPAM_INVALID for numbers out of bounds, CPAM_NO_MEMORY, CPAM_IO. */
enum cpam_status worker_pool_new(const struct worker_spec *spec, struct worker_pool **out,
                                 struct cpam_err *err) CPAM_CHECK;

/*
 * Waits for room, then hands the job over.  Once something has failed: that failure (status and
 * sentence), and the job stays the caller's.  CPAM_CANCELLED after worker_cancel().
 */
enum cpam_status worker_submit(struct worker_pool *pool, void *job,
                               struct cpam_err *err) CPAM_CHECK;

/*
 * Waits until every accepted job has been run or discarded.  CPAM_OK if all were run and none
 * failed; the first failure otherwise.  More jobs may be submitted after CPAM_OK.
 */
enum cpam_status worker_wait(struct worker_pool *pool, struct cpam_err *err) CPAM_CHECK;

/*
 * The same for at most us of real time: CPAM_DEADLINE when jobs are still running then.  A pool left
 * behind like this must not be freed: its threads end with the process.
 */
enum cpam_status worker_wait_for(struct worker_pool *pool, int64_t us,
                                 struct cpam_err *err) CPAM_CHECK;

/* Run no further job.  May be called from any thread. */
void worker_cancel(struct worker_pool *pool);
/* For long jobs: has something failed, or was it cancelled? */
bool worker_cancelled(struct worker_pool *pool);

/* Cancels what is left, waits for the threads and frees. */
void worker_pool_free(struct worker_pool *pool);
CPAM_SCOPED(worker_pool_free, struct worker_pool);

#endif
