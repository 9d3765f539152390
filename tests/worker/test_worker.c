/*
 * test_worker.c - a pool runs every job once, keeps its bounds, and stops at the first failure.
 * Built with -Db_sanitize=thread it also says that nothing is shared without the lock.
 */
#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>

#include "worker/worker.h"

enum
{
    JOBS = 1000
};

struct job
{
    int number;
    atomic_int runs, discards;
};

struct place
{
    atomic_int started, stopped, running, most;
    int done; /* without a lock: the pool calls done one at a time */
    int fail_at;
    unsigned fail_start; /* 1..: this thread's start fails */
    pthread_barrier_t *together;
    struct worker_pool *pool;
    struct job jobs[JOBS];
};

static struct place place;

static enum cpam_status
start(void *arg, unsigned thread, void **context, struct cpam_err *err)
{
    struct place *p = arg;

    if (p->fail_start == thread + 1)
        return cpam_fail(err, CPAM_REFUSED, 0, "no connection for thread %u", thread);
    atomic_fetch_add(&p->started, 1);
    *context = p;
    return CPAM_OK;
}

static void
stop(void *arg, void *context)
{
    struct place *p = arg;

    ck_assert_ptr_eq(context, arg);
    atomic_fetch_add(&p->stopped, 1);
}

static enum cpam_status
run(void *arg, void *context, void *job_arg, struct cpam_err *err)
{
    struct place *p = arg;
    struct job *job = job_arg;
    int now = atomic_fetch_add(&p->running, 1) + 1;
    int most = atomic_load(&p->most);

    (void) context;
    while (now > most && !atomic_compare_exchange_weak(&p->most, &most, now))
        ;
    if (p->together != NULL)
        pthread_barrier_wait(p->together);
    atomic_fetch_add(&job->runs, 1);
    atomic_fetch_sub(&p->running, 1);
    if (p->fail_at > 0 && job->number == p->fail_at)
        return cpam_fail(err, CPAM_CORRUPT, 0, "job %d is bad", job->number);
    return CPAM_OK;
}

static void
done(void *arg, void *job)
{
    struct place *p = arg;

    (void) job;
    p->done++;
}

static void
discard(void *arg, void *job_arg)
{
    struct job *job = job_arg;

    (void) arg;
    atomic_fetch_add(&job->discards, 1);
}

static struct worker_pool *
make(unsigned threads, size_t queue)
{
    struct worker_spec spec = {.threads = threads,
                               .queue = queue,
                               .arg = &place,
                               .start = start,
                               .run = run,
                               .done = done,
                               .discard = discard,
                               .stop = stop};
    struct worker_pool *pool = NULL;
    struct cpam_err err;

    ck_ok(worker_pool_new(&spec, &pool, &err), &err);
    return pool;
}

static void
fresh(void)
{
    memset(&place, 0, sizeof(place));
    for (int i = 0; i < JOBS; i++)
        place.jobs[i].number = i;
}

/* Submits all; how many were accepted. */
static int
submit_all(struct worker_pool *pool)
{
    struct cpam_err err;
    int accepted = 0;

    while (accepted < JOBS && worker_submit(pool, &place.jobs[accepted], &err) == CPAM_OK)
        accepted++;
    return accepted;
}

static const struct
{
    unsigned threads;
    size_t queue;
} sizes[] = {{1, 1}, {1, 100}, {2, 1}, {4, 2}, {8, 2000}, {64, 3}};

START_TEST(every_job_is_run_once)
{
    struct worker_pool *pool = make(sizes[_i].threads, sizes[_i].queue);
    struct cpam_err err;

    ck_assert_int_eq(submit_all(pool), JOBS);
    ck_ok(worker_wait(pool, &err), &err);
    for (int i = 0; i < JOBS; i++)
    {
        ck_assert_int_eq(place.jobs[i].runs, 1);
        ck_assert_int_eq(place.jobs[i].discards, 0);
    }
    ck_assert_int_eq(place.done, JOBS);
    ck_assert_int_le(place.most, (int) sizes[_i].threads);
    ck_assert(!worker_cancelled(pool));
    worker_pool_free(pool);
    ck_assert_int_eq(place.started, (int) sizes[_i].threads);
    ck_assert_int_eq(place.stopped, (int) sizes[_i].threads);
}
END_TEST

START_TEST(threads_really_run_together)
{
    pthread_barrier_t barrier;
    struct cpam_err err;

    pthread_barrier_init(&barrier, NULL, 4);
    place.together = &barrier;
    struct worker_pool *pool = make(4, 4);
    for (int i = 0; i < 8; i++)
        ck_ok(worker_submit(pool, &place.jobs[i], &err), &err);
    ck_ok(worker_wait(pool, &err), &err);
    ck_assert_int_eq(place.most, 4);
    ck_ok(worker_wait(pool, &err), &err); /* and once more with nothing to do */
    worker_pool_free(pool);
    pthread_barrier_destroy(&barrier);
}
END_TEST

START_TEST(the_first_failure_stops_it)
{
    place.fail_at = 100;
    struct worker_pool *pool = make(sizes[_i].threads, sizes[_i].queue);
    struct cpam_err err;
    int accepted = submit_all(pool);

    ck_fails(worker_wait(pool, &err), CPAM_CORRUPT, "job 100 is bad", &err);
    ck_fails(worker_submit(pool, &place.jobs[0], &err), CPAM_CORRUPT, "job 100 is bad", &err);
    ck_assert(worker_cancelled(pool));
    worker_pool_free(pool);
    for (int i = 0; i < JOBS; i++)
        ck_assert_int_eq(place.jobs[i].runs + place.jobs[i].discards, i < accepted ? 1 : 0);
    ck_assert_int_eq(place.started, place.stopped);
}
END_TEST

START_TEST(a_thread_that_cannot_start_stops_it)
{
    struct cpam_err err;

    place.fail_start = _i == 0 ? 1 : 3;
    struct worker_pool *pool = make(3, 2);
    int accepted = submit_all(pool);
    /* the failing thread may come last: then all jobs are through, and it is told all the same */
    while (!worker_cancelled(pool))
        sched_yield();
    ck_fails(worker_wait(pool, &err), CPAM_REFUSED, "no connection for thread", &err);
    worker_pool_free(pool);
    for (int i = 0; i < accepted; i++)
        ck_assert_int_eq(place.jobs[i].runs + place.jobs[i].discards, 1);
    ck_assert_int_eq(place.started, 2);
    ck_assert_int_eq(place.stopped, 2);
}
END_TEST

START_TEST(cancelling_discards_what_waits)
{
    pthread_barrier_t barrier;
    struct cpam_err err;

    pthread_barrier_init(&barrier, NULL, 2);
    place.together = &barrier;
    struct worker_pool *pool = make(1, 10);
    for (int i = 0; i < 10; i++)
        ck_ok(worker_submit(pool, &place.jobs[i], &err), &err);
    while (atomic_load(&place.running) == 0)
        sched_yield();
    worker_cancel(pool);
    pthread_barrier_wait(&barrier);
    ck_fails(worker_wait(pool, &err), CPAM_CANCELLED, "cancelled", &err);
    ck_assert_int_eq(place.jobs[0].runs, 1);
    for (int i = 1; i < 10; i++)
        ck_assert_int_eq(place.jobs[i].discards, 1);
    worker_pool_free(pool);
    pthread_barrier_destroy(&barrier);
}
END_TEST

START_TEST(waiting_has_a_limit)
{
    pthread_barrier_t barrier;
    struct cpam_err err;

    pthread_barrier_init(&barrier, NULL, 2);
    place.together = &barrier;
    struct worker_pool *pool = make(1, 10);
    ck_ok(worker_wait_for(pool, 0, &err), &err);
    ck_ok(worker_submit(pool, &place.jobs[0], &err), &err);
    ck_fails(worker_wait_for(pool, 1000, &err), CPAM_DEADLINE, "is used up", &err);
    ck_fails(worker_wait_for(pool, -1, &err), CPAM_DEADLINE, "is used up", &err);
    pthread_barrier_wait(&barrier);
    ck_ok(worker_wait_for(pool, INT64_MAX, &err), &err);
    ck_ok(worker_wait(pool, &err), &err);
    worker_pool_free(pool);
    pthread_barrier_destroy(&barrier);
}
END_TEST

START_TEST(freeing_without_waiting_is_allowed)
{
    struct worker_pool *pool = make(4, 10);
    int accepted = submit_all(pool);

    worker_pool_free(pool);
    for (int i = 0; i < accepted; i++)
        ck_assert_int_eq(place.jobs[i].runs + place.jobs[i].discards, 1);
    worker_pool_free(NULL);
}
END_TEST

START_TEST(sizes_out_of_bounds_are_refused)
{
    static const struct
    {
        unsigned threads;
        size_t queue;
    } bad[] = {
        {0, 1}, {WORKER_THREADS_MAX + 1, 1}, {1, 0}, {1, WORKER_QUEUE_MAX + 1}, {1, SIZE_MAX}};
    struct cpam_err err;
    struct worker_pool *pool = NULL;

    for (size_t i = 0; i < 5; i++)
    {
        struct worker_spec spec = {.threads = bad[i].threads, .queue = bad[i].queue, .run = run};

        ck_fails(worker_pool_new(&spec, &pool, &err), CPAM_INVALID, "a pool of", &err);
        ck_assert_ptr_null(pool);
    }
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("worker/worker");
    TCase *tcase = tcase_create("worker");
    int rows = sizeof(sizes) / sizeof(*sizes);

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, fresh, NULL);
    tcase_add_loop_test(tcase, every_job_is_run_once, 0, rows);
    tcase_add_test(tcase, threads_really_run_together);
    tcase_add_loop_test(tcase, the_first_failure_stops_it, 0, rows);
    tcase_add_loop_test(tcase, a_thread_that_cannot_start_stops_it, 0, 2);
    tcase_add_test(tcase, cancelling_discards_what_waits);
    tcase_add_test(tcase, waiting_has_a_limit);
    tcase_add_test(tcase, freeing_without_waiting_is_allowed);
    tcase_add_test(tcase, sizes_out_of_bounds_are_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
