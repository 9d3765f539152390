/*
 * test_server.c - a worker gives way, ends, and takes nothing along of whoever started it.
 */
#include "handoff/raw_call.h"

#include "handoff/server.h"

START_TEST(question_of_another_version_retires_the_worker)
{
    pid_t first = world_ask("pid"), second;
    struct handoff_message message = raw_question("pid", CPAM_VERSION);
    int fd = raw_connect();

    raw_say(fd, &message);
    ck_assert_uint_eq(raw_hear(fd), HANDOFF_MESSAGE_ANSWER); /* the test itself asks well */
    close(fd);
    fd = raw_connect();
    message.version = "0.0.0-other";
    raw_say(fd, &message);
    ck_assert_uint_eq(raw_hear(fd), HANDOFF_MESSAGE_RETIRED);
    close(fd);
    second = world_ask("pid");
    ck_assert_int_ne(second, first);
    world_await_end(first);
}
END_TEST

START_TEST(question_of_another_protocol_retires_the_worker)
{
    pid_t first = world_ask("pid");
    const uint8_t other[HANDOFF_HEADER_SIZE] = {'C', 'P', 'h', 'o', 99, 0, 1, 0, 12, 0, 0, 0};
    int fd = raw_connect();

    ck_assert_int_eq(send(fd, other, sizeof(other), MSG_NOSIGNAL), sizeof(other));
    ck_assert_uint_eq(raw_hear(fd), HANDOFF_MESSAGE_RETIRED);
    close(fd);
    world_await_end(first);
}
END_TEST

START_TEST(program_replaced_in_place_has_a_new_worker)
{
    char path[128];
    pid_t first, second;

    install_program(path, sizeof(path));
    first = world_ask("pid");
    ck_assert_int_eq(world_ask("pid"), first);
    install_program(path, sizeof(path));
    second = world_ask("pid");
    ck_assert_int_ne(second, first);
    world_await_end(first);
    ck_assert_int_eq(world_ask("pid"), second);
}
END_TEST

START_TEST(retired_worker_finishes_what_it_has)
{
    pid_t first = world_ask("pid");
    struct handoff_message message = raw_question("late", CPAM_VERSION);
    int fd = raw_connect();

    raw_say(fd, &message);
    world_text(world_config, "another", 7);
    ck_assert_int_ne(world_ask("pid"), first);
    ck_assert_uint_eq(raw_hear(fd), HANDOFF_MESSAGE_ANSWER);
    close(fd);
    world_await_end(first);
}
END_TEST

START_TEST(worker_ends_when_its_place_vanishes)
{
    static const char *const gone[] = {"push.sock", "push.lock", NULL};
    char path[600];

    for (size_t i = 0; i < 3; i++)
    {
        pid_t worker = world_ask("pid");

        if (gone[i] == NULL)
            world_remove_below(world_spool);
        else
        {
            world_place(gone[i], path, sizeof(path));
            ck_assert_int_eq(unlink(path), 0);
        }
        world_await_end(worker);
    }
}
END_TEST

START_TEST(spool_made_anew_has_a_worker_at_once)
{
    struct handoff_reply reply;
    struct cpam_err err;
    pid_t first = world_ask("pid");

    world_remove_below(world_spool);
    ck_fails(world_try("pid", 600, &reply, &err), CPAM_NOT_FOUND, world_spool, &err);
    ck_assert_int_eq(mkdir(world_spool, 0700), 0);
    ck_assert_int_ne(world_ask("pid"), first);
    world_await_end(first);
}
END_TEST

START_TEST(SIGTERM_ends_it)
{
    pid_t first = world_ask("pid"), second;

    ck_assert_int_eq(kill(first, SIGTERM), 0);
    second = world_ask("pid"); /* of it or of the next one, but answered */
    world_await_end(first);
    ck_assert(second == first || world_runs(second));
    ck_assert(world_runs(world_ask("pid")));
}
END_TEST

START_TEST(garbage_hurts_only_who_sends_it)
{
    static uint8_t junk[HANDOFF_MESSAGE_MAX + 100];
    static const size_t sizes[] = {1, 11, 12, 100, HANDOFF_MESSAGE_MAX, sizeof(junk)};
    struct handoff_message tick = {.type = HANDOFF_MESSAGE_TICK},
                           twice = raw_question("wait", CPAM_VERSION);
    pid_t worker = world_ask("pid");
    int fd;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
    {
        memset(junk, 'C' + (int) i, sizeof(junk));
        fd = raw_connect();
        ck_assert_int_eq(send(fd, junk, sizes[i], MSG_NOSIGNAL), (ssize_t) sizes[i]);
        ck_assert_uint_eq(raw_hear(fd), 0);
        close(fd);
    }
    fd = raw_connect();
    raw_say(fd, &tick);
    ck_assert_uint_eq(raw_hear(fd), 0);
    close(fd);
    fd = raw_connect();
    raw_say(fd, &twice);
    raw_say(fd, &twice);
    ck_assert_uint_eq(raw_hear(fd), 0);
    close(fd);
    fd = raw_connect(); /* one that says nothing is let go, too */
    ck_assert_uint_eq(raw_hear(fd), 0);
    close(fd);
    ck_assert_int_eq(world_ask("pid"), worker);
}
END_TEST

START_TEST(caller_that_hangs_up_is_reported_as_gone)
{
    struct handoff_message message = raw_question("wait", CPAM_VERSION);
    struct handoff_reply reply;
    struct cpam_err err;

    world_ask("pid");
    int fd = raw_connect();
    raw_say(fd, &message);
    close(fd);
    do
    {
        ck_ok(world_try("pid", 60, &reply, &err), &err);
        world_nap();
    } while (strstr(reply.path, " 1") == NULL);
}
END_TEST

START_TEST(callers_beyond_the_most_are_told_to_come_back)
{
    int fds[HANDOFF_WAITERS_MAX];
    struct handoff_message message = raw_question("wait", CPAM_VERSION);
    pid_t worker = world_ask("pid");

    for (int i = 0; i < HANDOFF_WAITERS_MAX; i++)
    {
        fds[i] = raw_connect();
        raw_say(fds[i], &message);
    }
    int fd = raw_connect();
    ck_assert_uint_eq(raw_hear(fd), HANDOFF_MESSAGE_BUSY);
    close(fd);
    close(fds[0]);
    ck_assert_int_eq(world_ask("pid"), worker);
    for (int i = 1; i < HANDOFF_WAITERS_MAX; i++)
        close(fds[i]);
}
END_TEST

START_TEST(trap29_worker_keeps_nothing_of_its_starter)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf facts = {0};
    struct cpam_err err;
    char path[256], session[64];
    int ends[2], score = -1;

    /* what the archiver has: a pipe, a working directory, ignored signals, a score */
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[1], 100), 100);
    ck_assert_int_eq(chdir(world_data), 0);
    signal(SIGUSR1, SIG_IGN);
    umask(0);
    FILE *file = fopen("/proc/self/oom_score_adj", "we");
    ck_assert_ptr_nonnull(file);
    fputs("500", file);
    fclose(file);
    pid_t worker = world_ask("facts");
    snprintf(path, sizeof(path), "%s/facts", world_data);
    ck_ok(file_read_all(io_posix(), path, 1 << 20, &facts, &err), &err);
    const char *text = cpam_buf_text(&facts);
    ck_assert_msg(strstr(text, "cwd /\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "umask 77\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "usr1 0\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "fd 0 /dev/null\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "fd 1 /dev/null\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "fd 2 /dev/null\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "pipe:") == NULL, "%s", text);
    ck_assert_msg(strstr(text, "fd 100 ") == NULL, "%s", text);
    snprintf(session, sizeof(session), "session %ld\n", (long) getsid(0));
    ck_assert_msg(strstr(text, session) == NULL, "%s", text);
    snprintf(session, sizeof(session), "parent %ld\n", (long) getpid());
    ck_assert_msg(strstr(text, session) == NULL, "%s", text);
    /* the pipe's reader sees its end as soon as the starter lets go: nobody else has it */
    close(ends[1]);
    close(100);
    ck_assert_int_eq(read(ends[0], path, 1), 0);
    close(ends[0]);
    snprintf(path, sizeof(path), "/proc/%ld/oom_score_adj", (long) worker);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%d", &score), 1);
    fclose(file);
    /* lowering it below what a process without privileges was given is not allowed */
    ck_assert(score == 0 || geteuid() != 0);
    /* and it is nobody's child here */
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(very_long_spool)
{
    char part[101] = "";

    memset(part, 'x', 100);
    for (int i = 0; i < 3; i++)
    {
        size_t size = strlen(world_spool);

        snprintf(world_spool + size, sizeof(world_spool) - size, "/%s", part);
        ck_assert_int_eq(mkdir(world_spool, 0700), 0);
    }
    setenv("SMALL_WORKER_SPOOL", world_spool, 1);
    ck_assert_int_eq(world_ask("pid"), world_ask("pid"));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("handoff/server");
    TCase *tcase = tcase_create("server");

    tcase_add_checked_fixture(tcase, world_make, world_remove);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, question_of_another_version_retires_the_worker);
    tcase_add_test(tcase, question_of_another_protocol_retires_the_worker);
    tcase_add_test(tcase, program_replaced_in_place_has_a_new_worker);
    tcase_add_test(tcase, retired_worker_finishes_what_it_has);
    tcase_add_test(tcase, worker_ends_when_its_place_vanishes);
    tcase_add_test(tcase, spool_made_anew_has_a_worker_at_once);
    tcase_add_test(tcase, SIGTERM_ends_it);
    tcase_add_test(tcase, garbage_hurts_only_who_sends_it);
    tcase_add_test(tcase, caller_that_hangs_up_is_reported_as_gone);
    tcase_add_test(tcase, callers_beyond_the_most_are_told_to_come_back);
    tcase_add_test(tcase, trap29_worker_keeps_nothing_of_its_starter);
    tcase_add_test(tcase, very_long_spool);
    suite_add_tcase(suite, tcase);
    return suite;
}
