/*
 * test_call.c - whatever happened to the worker, a question is answered by one that serves.
 */
#include "handoff/small_world.h"

START_TEST(worker_is_started_and_asked_again)
{
    pid_t first = world_ask("pid1");

    ck_assert_int_ne(first, getpid());
    ck_assert_int_eq(world_ask("pid2"), first);
    ck_assert_uint_eq(world_workers(NULL, 0), 1);
}
END_TEST

START_TEST(reply_brings_sentence_and_hint)
{
    struct handoff_reply reply;
    struct cpam_err err;

    ck_ok(world_try("refuse", 60, &reply, &err), &err);
    ck_assert_int_eq(reply.status, CPAM_REFUSED);
    ck_assert_str_eq(reply.why.text, "it asked for \"refuse\"");
    ck_assert_str_eq(reply.why.hint, "ask for something else");
}
END_TEST

START_TEST(twenty_callers_at_once_have_one_worker)
{
    enum
    {
        CALLERS = 20
    };
    int ends[2];
    pid_t callers[CALLERS], answered[CALLERS];
    pid_t pid;

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    for (int i = 0; i < CALLERS; i++)
    {
        callers[i] = fork();
        if (callers[i] == 0)
        {
            struct handoff_reply reply;
            struct cpam_err err;
            bool good = world_try("pid", 60, &reply, &err) == CPAM_OK && reply.status == CPAM_OK;

            pid = good ? (pid_t) strtol(reply.path, NULL, 10) : 0;
            if (write(ends[1], &pid, sizeof(pid)) != sizeof(pid))
                _exit(1);
            _exit(0);
        }
    }
    for (int i = 0; i < CALLERS; i++)
    {
        ck_assert_int_eq(read(ends[0], &answered[i], sizeof(pid)), sizeof(pid));
        ck_assert_int_gt(answered[i], 0);
        ck_assert_int_eq(answered[i], answered[0]);
    }
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(waitpid(callers[i], NULL, 0), callers[i]);
    while (world_workers(NULL, 0) > 1) /* those that lost end by themselves */
        world_nap();
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(worker_that_dies_is_followed_by_one_that_answers)
{
    pid_t first = world_ask("pid"), second = world_ask("die");

    ck_assert_int_ne(second, first);
    world_await_end(first);
}
END_TEST

START_TEST(worker_killed_between_questions_is_replaced)
{
    pid_t first = world_ask("pid");

    ck_assert_int_eq(kill(first, SIGKILL), 0);
    world_await_end(first);
    ck_assert_int_ne(world_ask("pid"), first);
}
END_TEST

START_TEST(question_that_kills_every_worker_is_given_back)
{
    struct handoff_reply reply;
    struct cpam_err err;

    ck_fails(world_try("poison", 60, &reply, &err), CPAM_IO, "died again and again", &err);
}
END_TEST

START_TEST(changed_configuration_has_a_new_worker)
{
    pid_t first = world_ask("pid");

    world_text(world_config, "two", 3);
    ck_assert_int_ne(world_ask("pid"), first);
    world_await_end(first);
    ck_assert_uint_eq(world_workers(NULL, 0), 1);
}
END_TEST

START_TEST(start_failure_comes_at_once_with_its_sentence)
{
    struct handoff_reply reply;
    struct cpam_err err;

    world_text(world_config, "broken", 6);
    ck_fails(world_try("pid", 600, &reply, &err), CPAM_USAGE, "is broken", &err);
    ck_assert_str_eq(err.hint, "mend it");
}
END_TEST

START_TEST(program_that_is_not_there)
{
    struct handoff_reply reply;
    struct cpam_err err;

    world_program = "/nowhere/cpam-wal-worker";
    ck_fails(world_try("pid", 600, &reply, &err), CPAM_NOT_FOUND, "/nowhere/cpam-wal-worker", &err);
}
END_TEST

START_TEST(deadline_is_kept_while_the_worker_works)
{
    struct handoff_reply reply;
    struct cpam_err err;
    struct deadline end = deadline_after(io_posix(), 30 * 1000000);

    world_ask("pid");
    ck_fails(world_try("wait", 2, &reply, &err), CPAM_DEADLINE, "was still at work", &err);
    ck_assert_int_gt(deadline_left(io_posix(), end), 0);
}
END_TEST

START_TEST(ticks_keep_a_slow_answer_alive)
{
    pid_t first = world_ask("pid");

    ck_assert_int_eq(world_ask("late"), first);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("handoff/call");
    TCase *tcase = tcase_create("call");

    tcase_add_checked_fixture(tcase, world_make, world_remove);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, worker_is_started_and_asked_again);
    tcase_add_test(tcase, reply_brings_sentence_and_hint);
    tcase_add_test(tcase, twenty_callers_at_once_have_one_worker);
    tcase_add_test(tcase, worker_that_dies_is_followed_by_one_that_answers);
    tcase_add_test(tcase, worker_killed_between_questions_is_replaced);
    tcase_add_test(tcase, question_that_kills_every_worker_is_given_back);
    tcase_add_test(tcase, changed_configuration_has_a_new_worker);
    tcase_add_test(tcase, start_failure_comes_at_once_with_its_sentence);
    tcase_add_test(tcase, program_that_is_not_there);
    tcase_add_test(tcase, deadline_is_kept_while_the_worker_works);
    tcase_add_test(tcase, ticks_keep_a_slow_answer_alive);
    suite_add_tcase(suite, tcase);
    return suite;
}
