/*
 * test_running.c - O8: jobs under way are seen by others, and those that were killed are not.
 */
#include "suite.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/progress.h"
#include "cli/running.h"

static char state[64];
static struct running_job jobs[8];
static size_t count;

static void
make_place(void)
{
    snprintf(state, sizeof(state), "/tmp/cpam-running.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(state));
}

static void
remove_place(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", state);
    ck_assert_int_eq(system(command), 0);
}

static enum cpam_status
note(void *arg, const struct running_job *job, struct cpam_err *err)
{
    (void) arg;
    (void) err;
    ck_assert_uint_lt(count, 8);
    jobs[count++] = *job;
    return CPAM_OK;
}

static size_t
look(void)
{
    struct cpam_err err;

    count = 0;
    ck_ok(running_each(io_posix(), state, note, NULL, &err), &err);
    return count;
}

static size_t
files(void)
{
    char command[128];
    int found = 0;

    snprintf(command, sizeof(command), "ls -A '%s/running' | wc -l", state);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_int_eq(fscanf(pipe, "%d", &found), 1);
    pclose(pipe);
    return (size_t) found;
}

START_TEST(O8_a_job_is_seen_until_it_ends)
{
    struct running *running;

    ck_assert_uint_eq(look(), 0); /* there is not even a folder */
    running_begin(io_posix(), state, "cpam-base-push", "a backup", "into \"x\"", &running);
    ck_assert_ptr_nonnull(running);
    ck_assert_uint_eq(look(), 1);
    ck_assert_str_eq(jobs[0].program, "cpam-base-push");
    ck_assert_str_eq(jobs[0].name, "a backup");
    ck_assert_str_eq(jobs[0].where, "into \"x\"");
    ck_assert_uint_eq(jobs[0].pid, (uint64_t) getpid());
    ck_assert_uint_gt(jobs[0].started, 0);
    ck_assert_uint_eq(jobs[0].done, 0);
    running_tell(running, UINT64_C(1) << 40, UINT64_C(1) << 41, 7000000);
    running_tell(running, 5, 10, 8000000); /* a shorter text leaves nothing of a longer one */
    ck_assert_uint_eq(look(), 1);
    ck_assert_uint_eq(jobs[0].done, 5);
    ck_assert_uint_eq(jobs[0].total, 10);
    ck_assert_uint_eq(jobs[0].elapsed, 8000000);
    running_end(running);
    ck_assert_uint_eq(look(), 0);
    ck_assert_uint_eq(files(), 0);
}
END_TEST

START_TEST(O8_progress_tells_its_job)
{
    struct progress *progress;
    struct running *running;
    struct cpam_err err;

    running_begin(io_posix(), state, "cpam-base-fetch", "b", "to \"y\"", &running);
    ck_ok(progress_new(io_posix(), "restoring", 100, &progress, &err), &err);
    progress_show_in(progress, running);
    ck_assert_uint_eq(look(), 1);
    ck_assert_uint_eq(jobs[0].total, 100);
    progress_add(progress, 60);
    progress_free(progress);
    ck_assert_uint_eq(look(), 1);
    ck_assert_uint_eq(jobs[0].done, 60);
    running_end(running);
}
END_TEST

START_TEST(O8_a_killed_job_is_not_running_and_is_swept_away)
{
    struct running *running;
    int ends[2];
    char byte;

    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
    {
        running_begin(io_posix(), state, "cpam-base-push", "killed", "into \"x\"", &running);
        if (running == NULL || write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    ck_assert_uint_eq(look(), 1);
    ck_assert_uint_eq(jobs[0].pid, (uint64_t) child);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_uint_eq(files(), 1);
    ck_assert_uint_eq(look(), 0);
    running_begin(io_posix(), state, "cpam-base-push", "next", "into \"x\"", &running);
    ck_assert_uint_eq(files(), 1);
    ck_assert_uint_eq(look(), 1);
    ck_assert_str_eq(jobs[0].name, "next");
    running_end(running);
}
END_TEST

/* Locked by somebody, and no job's: passed over. */
START_TEST(running_what_is_no_job_is_passed_over)
{
    struct running *running;
    char path[128];

    running_begin(io_posix(), state, "cpam-base-push", "a", "b", &running);
    snprintf(path, sizeof(path), "%s/running/cpam-base-push-%ld", state, (long) getpid());
    int fd = open(path, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "{\"program\": 5", 13, 0), 13);
    ck_assert_uint_eq(look(), 0);
    close(fd);
    running_end(running);
}
END_TEST

START_TEST(running_where_no_file_can_be_made_the_job_goes_on)
{
    struct running *running;
    char path[128];

    snprintf(path, sizeof(path), "%s/running", state);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    running_begin(io_posix(), state, "cpam-base-push", "a", "b", &running);
    ck_assert_ptr_null(running);
    running_tell(running, 1, 2, 3);
    running_end(running);
    ck_assert_uint_eq(look(), 0);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("cli/running");
    TCase *tcase = tcase_create("running");

    tcase_add_checked_fixture(tcase, make_place, remove_place);
    tcase_add_test(tcase, O8_a_job_is_seen_until_it_ends);
    tcase_add_test(tcase, O8_progress_tells_its_job);
    tcase_add_test(tcase, O8_a_killed_job_is_not_running_and_is_swept_away);
    tcase_add_test(tcase, running_what_is_no_job_is_passed_over);
    tcase_add_test(tcase, running_where_no_file_can_be_made_the_job_goes_on);
    suite_add_tcase(suite, tcase);
    return suite;
}
