/*
 * test_push_priority.c - what a backup asks of the system to stand back, and what if it is refused.
 *
 * Each case is a process of its own (check forks), so that it may change its own niceness.
 */
#include "suite.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "push_priority.h"

static int
io_now(void)
{
    return (int) syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
}

static void *
look(void *out)
{
    int *seen = out;

    seen[0] = getpriority(PRIO_PROCESS, 0);
    seen[1] = io_now();
    return NULL;
}

static const struct
{
    int nice;
    const char *io;
    int io_class, io_level;
} rows[] = {
    {7, "best-effort", IOPRIO_CLASS_BE, 7},
    {19, "idle", IOPRIO_CLASS_IDLE, 0},
};

START_TEST(B10_threads_that_begin_later_stand_back_too)
{
    pthread_t thread;
    int seen[2];

    if (getpriority(PRIO_PROCESS, 0) > rows[_i].nice)
        return; /* the whole test runs nicer than that */
    push_priority(rows[_i].nice, rows[_i].io, NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, look, seen), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(seen[0], rows[_i].nice);
    ck_assert_int_eq(IOPRIO_PRIO_CLASS(seen[1]), rows[_i].io_class);
    ck_assert_int_eq(IOPRIO_PRIO_DATA(seen[1]), rows[_i].io_level);
}
END_TEST

/* --- a system that says no --------------------------------------------------------------------- */

static int nice_now, nice_set, io_set, refusal;

static int
fake_nice_of(void)
{
    return nice_now;
}

static int
fake_set_nice(int nice)
{
    nice_set = nice;
    errno = refusal;
    return refusal != 0 ? -1 : 0;
}

static int
fake_set_io(int io_class, int io_level)
{
    (void) io_level;
    io_set = io_class;
    errno = refusal;
    return refusal != 0 ? -1 : 0;
}

static const struct push_priority_ops fake = {fake_nice_of, fake_set_nice, fake_set_io};

START_TEST(B10_nothing_is_asked_where_nothing_is_set)
{
    nice_set = io_set = -1;
    push_priority(0, "none", &fake);
    ck_assert_int_eq(nice_set, -1);
    ck_assert_int_eq(io_set, -1);
    nice_now = 15; /* somebody started it with nice(1) */
    push_priority(10, "none", &fake);
    ck_assert_int_eq(nice_set, -1);
    push_priority(16, "idle", &fake);
    ck_assert_int_eq(nice_set, 16);
    ck_assert_int_eq(io_set, IOPRIO_CLASS_IDLE);
}
END_TEST

START_TEST(B10_a_refusal_is_a_warning)
{
    char text[4096] = "";
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    log_start("test", LOG_WARNING);
    int kept = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    refusal = EPERM;
    push_priority(5, "best-effort", &fake);
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    close(ends[1]);
    for (size_t used = 0; used < sizeof(text) - 1;)
    {
        ssize_t got = read(ends[0], text + used, sizeof(text) - 1 - used);

        if (got <= 0)
            break;
        used += (size_t) got;
    }
    ck_assert_ptr_nonnull(strstr(text, "could not set the niceness"));
    ck_assert_ptr_nonnull(strstr(text, "could not set the class of I/O"));
    ck_assert_ptr_nonnull(strstr(text, "Operation not permitted"));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("push_priority");
    TCase *tcase = tcase_create("push_priority");

    tcase_add_loop_test(tcase, B10_threads_that_begin_later_stand_back_too, 0, 2);
    tcase_add_test(tcase, B10_nothing_is_asked_where_nothing_is_set);
    tcase_add_test(tcase, B10_a_refusal_is_a_warning);
    suite_add_tcase(suite, tcase);
    return suite;
}
