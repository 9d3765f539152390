/*
 * test_postmaster_pid.c - the file a real PostgreSQL 15 left, while it starts, and what is none.
 */
#include "suite.h"

#include "pg/postmaster_pid.h"

START_TEST(file_of_a_running_15)
{
    struct cpam_err err;
    static struct postmaster_pid pid;
    static const char text[] = "12631\n/tmp/pgwork/d\n1795449830\n5432\n/tmp/pgwork\n\n"
                               "  9979745        20\nready   \n";

    ck_ok(postmaster_pid_parse(text, strlen(text), &pid, &err), &err);
    ck_assert_int_eq(pid.pid, 12631);
    ck_assert_str_eq(pid.data_directory, "/tmp/pgwork/d");
    ck_assert_int_eq(pid.start_time, 1795449830);
    ck_assert_uint_eq(pid.port, 5432);
    ck_assert_str_eq(pid.socket_directory, "/tmp/pgwork");
    ck_assert_str_eq(pid.status, "ready");
}
END_TEST

START_TEST(file_of_a_starting_server)
{
    struct cpam_err err;
    static struct postmaster_pid pid;
    static const char text[] = "1\n/d\n5\n";

    ck_ok(postmaster_pid_parse(text, strlen(text), &pid, &err), &err);
    ck_assert_uint_eq(pid.port, 0);
    ck_assert_str_eq(pid.socket_directory, "");
    ck_assert_str_eq(pid.status, "");
    static const char alone[] = "-77\n/d\n5\n0\n\n";
    ck_ok(postmaster_pid_parse(alone, strlen(alone), &pid, &err), &err);
    ck_assert_int_eq(pid.pid, 77);
}
END_TEST

static const struct
{
    const char *text;
    const char *why;
} refused[] = {
    {"", "has 0 lines"},
    {"1\n/d\n", "has 2 lines"},
    {"x\n/d\n5\n", "line 1 is not a process id"},
    {"0\n/d\n5\n", "line 1 is not a process id"},
    {"-\n/d\n5\n", "line 1 is not a process id"},
    {"99999999999\n/d\n5\n", "line 1 is not a process id"},
    {"1\n/d\nnow\n", "line 3 is not a start time"},
    {"1\n/d\n99999999999999999999\n", "line 3 is not a start time"},
    {"1\n/d\n5\n70000\n", "line 4 is not a port"},
    {"1\n/d\n5\n1\n\n\n\nfar too long a status\n", "line 8 is not a status"},
};

START_TEST(other_files_are_refused)
{
    struct cpam_err err;
    static struct postmaster_pid pid;

    ck_fails(postmaster_pid_parse(refused[_i].text, strlen(refused[_i].text), &pid, &err),
             CPAM_INVALID, refused[_i].why, &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/postmaster_pid");
    TCase *tcase = tcase_create("postmaster_pid");

    tcase_add_test(tcase, file_of_a_running_15);
    tcase_add_test(tcase, file_of_a_starting_server);
    tcase_add_loop_test(tcase, other_files_are_refused, 0,
                        (int) (sizeof(refused) / sizeof(refused[0])));
    suite_add_tcase(suite, tcase);
    return suite;
}
