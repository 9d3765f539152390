/*
 * thread.h - threads that leave signals to the main thread, and waits that no change of the wall
 * clock makes longer or shorter.
 */
#ifndef CPAM_WORKER_THREAD_H
#define CPAM_WORKER_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* pthread_create() with every signal blocked in the new thread.  0, or an errno. */
int thread_start(pthread_t *out, void *(*body)(void *), void *arg);

/* A condition for thread_wait_until(). */
void thread_condition_init(pthread_cond_t *condition);

/* Waits for the condition, with lock held, until `at` (us on the monotonic clock of io_posix()).
   False: that moment has come. */
bool thread_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t at);

/*
 * For a process that lives long: malloc() makes an arena for each thread, and what each held at its
 * busiest stays with it; now they share two, and large blocks go back to the system.  Before the
 * threads are started.
 */
void thread_share_memory(void);

/*
 * For a process whose lists may grow to tens of MiB: from 4 MiB on a list is mapped apart from all
 * else, and leaves no hole of its size behind it each time it has grown.  (malloc() raises that bound by
 * itself, up to 32 MiB, whenever something large is freed.)  Before the threads are started.
 */
void thread_grow_apart(void);

#endif
