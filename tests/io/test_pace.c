/*
 * test_pace.c - a limited rate is kept within 5 %, by all who take from it together.
 */
#include "suite.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/pace.h"
#include "store/dir_store.h"

#define MIB    ((uint64_t) 1 << 20)
#define SECOND ((int64_t) 1000000)

/* A clock that only moves when somebody sleeps. */
static int64_t clock_us;
static struct io_ops ops;
static struct io io = {.ops = &ops};
static struct cpam_err err;

static int64_t
clock_monotonic(struct io *unused)
{
    (void) unused;
    return clock_us;
}

static void
clock_sleep(struct io *unused, int64_t us)
{
    (void) unused;
    clock_us += us;
}

static void
set_up(void)
{
    ops = *io_posix()->ops;
    ops.monotonic = clock_monotonic;
    ops.sleep = clock_sleep;
    clock_us = 77 * SECOND;
}

static void
took(int64_t since, int64_t wanted)
{
    int64_t spent = clock_us - since;

    ck_assert_msg(spent > wanted - wanted / 20 && spent < wanted + wanted / 20,
                  "%lld us instead of %lld", (long long) spent, (long long) wanted);
}

START_TEST(B10_a_rate_is_kept_within_five_percent)
{
    static const uint64_t rates[] = {50000, MIB, 100 * MIB, 3000 * MIB};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
    {
        CPAM_AUTO(pace_free) struct pace *pace = NULL;
        int64_t start = clock_us;

        ck_ok(pace_new(&io, rates[i], NULL, &pace, &err), &err);
        for (uint64_t sent = 0; sent < 20 * rates[i]; sent += PACE_TAKE_MAX)
            pace_take(pace, PACE_TAKE_MAX);
        took(start, 20 * SECOND);
    }
}
END_TEST

START_TEST(B10_all_takers_share_one_rate)
{
    CPAM_AUTO(pace_free) struct pace *pace = NULL;
    int64_t longest = 0;

    /* nobody sleeps: all ask at once, and the last one has to wait for all */
    ck_ok(pace_new(&io, 10 * MIB, NULL, &pace, &err), &err);
    for (int i = 0; i < 8 * 25; i++)
    {
        int64_t wait = pace_reserve(pace, MIB);

        ck_assert_int_ge(wait, longest);
        longest = wait;
    }
    ck_assert_int_gt(longest, 19 * SECOND);
    ck_assert_int_lt(longest, 20 * SECOND);
}
END_TEST

START_TEST(B10_a_pause_is_not_made_up_for)
{
    CPAM_AUTO(pace_free) struct pace *pace = NULL;

    ck_ok(pace_new(&io, MIB, NULL, &pace, &err), &err);
    pace_take(pace, MIB);
    clock_us += 3600 * SECOND;

    int64_t start = clock_us;
    for (int i = 0; i < 10 * 16; i++)
        pace_take(pace, MIB / 16);
    took(start, 10 * SECOND);
}
END_TEST

START_TEST(B10_the_slower_of_two_limits_decides)
{
    CPAM_AUTO(pace_free) struct pace *program = NULL, *repository = NULL;

    ck_ok(pace_new(&io, MIB, NULL, &program, &err), &err);
    ck_ok(pace_new(&io, 5 * MIB, program, &repository, &err), &err);
    ck_assert_uint_eq(pace_rate(repository), MIB);
    ck_assert_uint_eq(pace_rate(NULL), 0);

    int64_t start = clock_us;
    for (int i = 0; i < 10; i++)
        pace_take(repository, MIB);
    took(start, 9 * SECOND); /* the last one is under way */
}
END_TEST

START_TEST(B10_a_directory_is_written_at_the_rate)
{
    char root[] = "/tmp/cpam-test-pace.XXXXXX", command[64];
    CPAM_AUTO(pace_free) struct pace *pace = NULL;
    struct store *store;
    const size_t size = 8 * MIB;
    uint8_t *body = calloc(1, size);

    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_ok(pace_new(&io, MIB, NULL, &pace, &err), &err);
    ck_ok(dir_store_open(&io, root, &store, &err), &err);
    store->send = pace;

    int64_t start = clock_us;
    ck_ok(store_put_new(store, "backup/a/pack/01000000", body, size, STORE_CLASS_BASE, &err), &err);
    took(start, 8 * SECOND);

    store_free(store);
    free(body);
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pace");
    TCase *tcase = tcase_create("pace");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, B10_a_rate_is_kept_within_five_percent);
    tcase_add_test(tcase, B10_all_takers_share_one_rate);
    tcase_add_test(tcase, B10_a_pause_is_not_made_up_for);
    tcase_add_test(tcase, B10_the_slower_of_two_limits_decides);
    tcase_add_test(tcase, B10_a_directory_is_written_at_the_rate);
    suite_add_tcase(suite, tcase);
    return suite;
}
