/*
 * test_push_lock.c - one base backup at a time on a host (O7).
 */
#include "suite.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "push_lock.h"

static char state[64];
static struct cpam_err err;

static void
begin(void)
{
    snprintf(state, sizeof(state), "/tmp/cpam-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(state));
}

static void
end(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", state);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(O7_the_second_is_refused_and_told_who_is_first)
{
    CPAM_AUTO(push_lock_free) struct push_lock *first = NULL;
    CPAM_AUTO(push_lock_free) struct push_lock *second = NULL;
    CPAM_AUTO(push_lock_free) struct push_lock *other = NULL;
    char words[64];

    ck_ok(push_lock_take(io_posix(), state, 7, &first, &err), &err);
    snprintf(words, sizeof(words), "another cpam-base-push, process %ld is", (long) getpid());
    ck_fails(push_lock_take(io_posix(), state, 7, &second, &err), CPAM_REFUSED, words, &err);
    ck_assert_ptr_null(second);
    /* another cluster's is another lock */
    ck_ok(push_lock_take(io_posix(), state, 8, &other, &err), &err);
    push_lock_free(first);
    first = NULL;
    ck_ok(push_lock_take(io_posix(), state, 7, &second, &err), &err);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_told_by_its_key)
{
    CPAM_AUTO(push_lock_free) struct push_lock *lock = NULL;

    ck_fails(push_lock_take(io_posix(), "/nonexist", 7, &lock, &err), CPAM_NOT_FOUND, "/nonexist/",
             &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "\"state\" of the configuration"));
}
END_TEST

START_TEST(O7_it_goes_with_a_process_that_is_killed)
{
    CPAM_AUTO(push_lock_free) struct push_lock *lock = NULL;
    int ready[2], status;
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
    {
        if (push_lock_take(io_posix(), state, 7, &lock, &err) == CPAM_OK)
            (void) !write(ready[1], "x", 1);
        pause();
        _exit(1);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_fails(push_lock_take(io_posix(), state, 7, &lock, &err), CPAM_REFUSED, "another", &err);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_ok(push_lock_take(io_posix(), state, 7, &lock, &err), &err);
}
END_TEST

START_TEST(a_state_directory_that_is_none_is_told)
{
    CPAM_AUTO(push_lock_free) struct push_lock *lock = NULL;
    char path[128], deep[5000];

    snprintf(path, sizeof(path), "%s/none", state);
    ck_assert_int_ne(push_lock_take(io_posix(), path, 7, &lock, &err), CPAM_OK);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    memset(deep, 'x', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    ck_fails(push_lock_take(io_posix(), deep, 7, &lock, &err), CPAM_USAGE, "too long", &err);
    /* a link is no lock */
    snprintf(path, sizeof(path), "%s/base-push-7.lock", state);
    ck_assert_int_eq(symlink("/dev/null", path), 0);
    ck_assert_int_ne(push_lock_take(io_posix(), state, 7, &lock, &err), CPAM_OK);
    push_lock_free(NULL);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("archive/push_lock");
    TCase *tcase = tcase_create("push_lock");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, O7_the_second_is_refused_and_told_who_is_first);
    tcase_add_test(tcase, a_folder_that_is_not_there_is_told_by_its_key);
    tcase_add_test(tcase, O7_it_goes_with_a_process_that_is_killed);
    tcase_add_test(tcase, a_state_directory_that_is_none_is_told);
    suite_add_tcase(suite, tcase);
    return suite;
}
