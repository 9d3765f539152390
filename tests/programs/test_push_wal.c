/*
 * test_push_wal.c - no backup before all its WAL, and its timeline's history, is in the repository (B7).
 */
#include "repo/repo_fixture.h"

#include <signal.h>

#include "push_wal.h"

static struct repo_fixture self;
static struct cpam_err err;
static volatile sig_atomic_t stopped;

/* The clock goes on only while somebody sleeps; at a moment something may happen. */
static struct io_ops ops;
static struct io io = {.ops = &ops};
static int64_t slept;
static unsigned sleeps, happens_at;
static void (*happens)(void);

static int64_t
monotonic(struct io *ignored)
{
    (void) ignored;
    return 1 + slept;
}

static void
sleep_(struct io *ignored, int64_t us)
{
    (void) ignored;
    slept += us > 0 ? us : 1;
    if (++sleeps == happens_at)
        happens();
}

static void
begin(void)
{
    repo_fixture_begin(&self, false);
    ops = *io_posix()->ops;
    ops.monotonic = monotonic;
    ops.sleep = sleep_;
    slept = 0;
    sleeps = happens_at = 0;
    stopped = 0;
}

static void
end(void)
{
    repo_fixture_end_with_files(&self);
}

static void
put(uint32_t timeline, uint64_t number)
{
    char name[SEGMENT_NAME_MAX];
    uint8_t *data = wal_bytes(REPO_SYSID, timeline, number << 20, 1 << 20, 1);
    bool was_there;

    snprintf(name, sizeof(name), "%08X%08X%08X", timeline, 0u, (unsigned) number);
    wal_file(name, data, 1 << 20);
    free(data);
    ck_ok(wal_push(self.repo, name, REPO_SYSID, &was_there, &err), &err);
}

static void
put_history(void)
{
    static const char text[] = "1\t0/280000\tno reason\n";
    bool was_there;

    wal_file("00000002.history", text, sizeof(text) - 1);
    ck_ok(wal_push(self.repo, "00000002.history", REPO_SYSID, &was_there, &err), &err);
}

static enum cpam_status answers[PACK_REPOS_MAX];
static unsigned told;

static void
tell(void *arg, size_t number, enum cpam_status status, struct cpam_err *why)
{
    (void) arg;
    ck_assert_int_eq(answers[number], CPAM_STATUS_COUNT); /* once */
    answers[number] = status;
    told++;
    if (status != CPAM_OK)
        err = *why;
}

/* A backup of this timeline from the middle of segment 3 to the middle of segment 5. */
static enum cpam_status
wait_for_all(uint32_t timeline)
{
    struct repo *repos[PACK_REPOS_MAX] = {self.repo};
    struct push_wal wal = {.sysid = REPO_SYSID,
                           .timeline = {timeline},
                           .start = {(3u << 20) + 4000},
                           .stop = {(5u << 20) + 4000},
                           .segment_size = 1 << 20,
                           .patience = 60000000,
                           .stopped = &stopped};

    for (size_t i = 0; i < PACK_REPOS_MAX; i++)
        answers[i] = CPAM_STATUS_COUNT;
    told = 0;
    push_wal_wait(&io, repos, &wal, tell, NULL);
    ck_assert_uint_eq(told, 1);
    return answers[0];
}

START_TEST(B7_all_segments_from_start_to_stop)
{
    char words[64];

    /* one of them is missing */
    for (unsigned number = 3; number <= 5; number++)
        if (number != (unsigned) _i)
            put(1, number);
    if (_i == 0)
    {
        ck_ok(wait_for_all(1), &err);
        ck_assert_uint_eq(sleeps, 0);
        return;
    }
    snprintf(words, sizeof(words), "no backup: \"00000001000000000000000%d\" is not", _i);
    ck_fails(wait_for_all(1), CPAM_DEADLINE, words, &err);
    ck_assert_int_ge(slept, 60000000); /* not before its time */
}
END_TEST

START_TEST(B7_the_history_of_the_timeline_too)
{
    for (unsigned number = 3; number <= 5; number++)
        put(2, number);
    ck_fails(wait_for_all(2), CPAM_DEADLINE, "no backup: \"00000002.history\" is not", &err);
    put_history();
    ck_ok(wait_for_all(2), &err);
}
END_TEST

static void
the_last_one_comes(void)
{
    put(1, 5);
}

START_TEST(B7_what_comes_late_is_waited_for)
{
    put(1, 3);
    put(1, 4);
    happens_at = 3;
    happens = the_last_one_comes;
    ck_ok(wait_for_all(1), &err);
    ck_assert_uint_eq(sleeps, 3);
}
END_TEST

static void
the_store_is_back(void)
{
    self.bucket.fail_all = CPAM_OK;
}

START_TEST(B7_a_store_that_is_away_for_a_while_is_waited_for)
{
    for (unsigned number = 3; number <= 5; number++)
        put(1, number);
    self.bucket.fail_all = CPAM_TRANSIENT;
    happens_at = 2;
    happens = the_store_is_back;
    ck_ok(wait_for_all(1), &err);
}
END_TEST

START_TEST(B7_a_forged_segment_is_no_segment)
{
    put(1, 3);
    put(1, 4);
    put(1, 5);
    memory_current(&self.bucket, "wal/7301234567890123456/00000001/00000000/"
                                 "000000010000000000000004")
        ->data[200] ^= 1;
    ck_assert_int_ne(wait_for_all(1), CPAM_OK);
    ck_assert_int_ne(answers[0], CPAM_DEADLINE); /* damage is told as such, and at once */
}
END_TEST

static void
a_signal_comes(void)
{
    stopped = SIGTERM;
}

START_TEST(B8_a_signal_ends_the_waiting)
{
    put(1, 3);
    happens_at = 1;
    happens = a_signal_comes;
    ck_fails(wait_for_all(1), CPAM_CANCELLED, "the backup was stopped", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("archive/push_wal");
    TCase *tcase = tcase_create("push_wal");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, B7_all_segments_from_start_to_stop, 3, 6);
    tcase_add_loop_test(tcase, B7_all_segments_from_start_to_stop, 0, 1);
    tcase_add_test(tcase, B7_the_history_of_the_timeline_too);
    tcase_add_test(tcase, B7_what_comes_late_is_waited_for);
    tcase_add_test(tcase, B7_a_store_that_is_away_for_a_while_is_waited_for);
    tcase_add_test(tcase, B7_a_forged_segment_is_no_segment);
    tcase_add_test(tcase, B8_a_signal_ends_the_waiting);
    suite_add_tcase(suite, tcase);
    return suite;
}
