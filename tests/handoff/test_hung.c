/*
 * test_hung.c - a worker that is stopped is no worker: it is ended, and another one answers.
 */
#include "handoff/raw_call.h"

START_TEST(stopped_worker_is_killed_and_replaced)
{
    pid_t first = world_ask("pid"), second;

    ck_assert_int_eq(kill(first, SIGSTOP), 0);
    second = world_ask("pid");
    ck_assert_int_ne(second, first);
    world_await_end(first);
}
END_TEST

/* As a user other than root this needs another way to know the worker than /proc/PID/exe. */
START_TEST(stopped_worker_that_hides_from_proc_is_killed)
{
    pid_t first = world_ask("hide");

    ck_assert_int_eq(kill(first, SIGSTOP), 0);
    ck_assert_int_ne(world_ask("pid"), first);
    world_await_end(first);
}
END_TEST

START_TEST(stopped_worker_of_a_replaced_program_is_killed)
{
    char path[128];
    pid_t first;

    install_program(path, sizeof(path));
    first = world_ask("pid");
    ck_assert_int_eq(kill(first, SIGSTOP), 0);
    install_program(path, sizeof(path));
    ck_assert_int_ne(world_ask("pid"), first);
    world_await_end(first);
}
END_TEST

START_TEST(stopped_worker_with_a_full_backlog_is_killed)
{
    enum
    {
        CONNECTIONS = 400
    };
    pid_t first = world_ask("pid");
    int fds[CONNECTIONS], count = 0;

    ck_assert_int_eq(kill(first, SIGSTOP), 0);
    while (count < CONNECTIONS && (fds[count] = raw_connect()) >= 0)
        count++;
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_ne(world_ask("pid"), first);
    world_await_end(first);
    while (count > 0)
        close(fds[--count]);
}
END_TEST

START_TEST(worker_that_stops_over_a_question_is_replaced_once)
{
    struct handoff_reply reply;
    struct cpam_err err;

    ck_fails(world_try("stop", 600, &reply, &err), CPAM_IO, "nor did the one before it", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("handoff/hung");
    TCase *tcase = tcase_create("hung");

    tcase_add_checked_fixture(tcase, world_make, world_remove);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, stopped_worker_is_killed_and_replaced);
    tcase_add_test(tcase, stopped_worker_that_hides_from_proc_is_killed);
    tcase_add_test(tcase, stopped_worker_of_a_replaced_program_is_killed);
    tcase_add_test(tcase, stopped_worker_with_a_full_backlog_is_killed);
    tcase_add_test(tcase, worker_that_stops_over_a_question_is_replaced_once);
    suite_add_tcase(suite, tcase);
    return suite;
}
