/*
 * thread.c - the two things every starter and waiter of threads here does alike.
 */
#include "worker/thread.h"

#include <malloc.h>
#include <signal.h>
#include <time.h>

int
thread_start(pthread_t *out, void *(*body)(void *), void *arg)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(out, NULL, body, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

void
thread_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool
thread_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t at)
{
    const struct timespec until = {.tv_sec = (time_t) (at / 1000000),
                                   .tv_nsec = (long) (at % 1000000) * 1000};

    return pthread_cond_timedwait(condition, lock, &until) == 0;
}

enum
{
    ARENAS = 2,
    KEEP_BYTES = 256 << 10,
    GROWING_BYTES = 4 << 20
};

void
thread_share_memory(void)
{
    (void) mallopt(M_ARENA_MAX, ARENAS);
    (void) mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
    (void) mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
}

void
thread_grow_apart(void)
{
    (void) mallopt(M_MMAP_THRESHOLD, GROWING_BYTES);
}
