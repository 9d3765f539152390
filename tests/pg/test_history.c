/*
 * test_history.c - timeline history files, those of timelines 0x0A and 0xFF among them (P4).
 */
#include "suite.h"

#include <stdio.h>

#include "pg/history.h"

static const char three[] = "1\t0/A000A0\tno recovery target specified\n"
                            "\n"
                            "# a remark\n"
                            "2\t1/0\tbefore 2026-01-01 00:00:00+00\n";

START_TEST(history_tells_who_owns_a_byte)
{
    struct cpam_err err;
    CPAM_AUTO(history_free) struct history *history = NULL;
    struct lsn at;

    ck_ok(history_parse((struct timeline){3}, three, strlen(three), &history, &err), &err);
    ck_assert_uint_eq(history->count, 2);
    ck_assert(history_contains(history, (struct timeline){1}));
    ck_assert(history_contains(history, (struct timeline){3}));
    ck_assert(!history_contains(history, (struct timeline){4}));
    ck_assert(history_switch_point(history, (struct timeline){1}, &at));
    ck_assert_uint_eq(at.at, 0xA000A0);
    ck_assert(history_switch_point(history, (struct timeline){3}, &at));
    ck_assert_uint_eq(at.at, UINT64_MAX);
    ck_assert(!history_switch_point(history, (struct timeline){9}, &at));

    ck_assert_uint_eq(history_timeline_at(history, (struct lsn){0xA0009F}).id, 1);
    ck_assert_uint_eq(history_timeline_at(history, (struct lsn){0xA000A0}).id, 2);
    ck_assert_uint_eq(history_timeline_at(history, (struct lsn){UINT64_C(0xFFFFFFFF)}).id, 2);
    ck_assert_uint_eq(history_timeline_at(history, (struct lsn){UINT64_C(0x100000000)}).id, 3);
}
END_TEST

static const struct
{
    const char *reason;
    int64_t stopped;
} reasons[] = {
    {"before 2000-01-01 05:00:00+00", INT64_C(946702800000000)},
    {"after 2000-01-01 05:00:00.25+00\r", INT64_C(946702800250000)},
    {"before 2000-01-01 06:30:00+01:30", INT64_C(946702800000000)},
    {"no recovery target specified", INT64_MIN},
    {"before transaction 4711", INT64_MIN},
    {"at restore point \"before 2000-01-01 05:00:00+00\"", INT64_MIN},
    {"before 2000-01-01 05:00:00 CET", INT64_MIN},
    {"before ", INT64_MIN},
    {"", INT64_MIN},
};

START_TEST(T2_reason_tells_the_moment_recovery_stopped_at)
{
    CPAM_AUTO(history_free) struct history *history = NULL;
    struct cpam_err err;
    char text[128];

    snprintf(text, sizeof(text), "1\t0/5000000\t%s\n", reasons[_i].reason);
    ck_ok(history_parse((struct timeline){2}, text, strlen(text), &history, &err), &err);
    ck_assert_int_eq(history->entries[0].stopped, reasons[_i].stopped);
}
END_TEST

START_TEST(timeline_1_has_no_ancestors)
{
    struct cpam_err err;
    CPAM_AUTO(history_free) struct history *history = NULL;

    ck_ok(history_parse((struct timeline){1}, NULL, 0, &history, &err), &err);
    ck_assert_uint_eq(history->count, 0);
    ck_assert_uint_eq(history_timeline_at(history, (struct lsn){5}).id, 1);
}
END_TEST

static const uint32_t hexadecimal[] = {0x0A, 0xFF, 0x100, UINT32_MAX};

START_TEST(P4_timelines_past_9_are_decimal_inside)
{
    struct cpam_err err;
    CPAM_AUTO(history_free) struct history *history = NULL;
    char text[64];

    snprintf(text, sizeof(text), "%u\t0/3000060\tx\r\n", hexadecimal[_i] - 1);
    ck_ok(history_parse((struct timeline){hexadecimal[_i]}, text, strlen(text), &history, &err),
          &err);
    ck_assert_uint_eq(history->entries[0].timeline.id, hexadecimal[_i] - 1);
}
END_TEST

static const struct
{
    uint32_t timeline;
    const char *text;
    const char *why;
} refused[] = {
    {0, "", "timeline 0 does not exist"},
    {1, "1\t0/1\n", "must have a smaller number"},
    {2, "2\t0/1\n", "must have a smaller number"},
    {2, "", "names no ancestor"},
    {2, "# nothing\n\n", "names no ancestor"},
    {2, "0\t0/1\n", "timeline 0 does not exist"},
    {2, "1\n", "is not \"timeline LSN reason\""},
    {2, "1 \n", "is not \"timeline LSN reason\""},
    {2, "A\t0/1\n", "is not \"timeline LSN reason\""},
    {2, "1\t0-1\n", "is not \"timeline LSN reason\""},
    {2, "1\t0/1zz\n", "is not \"timeline LSN reason\""},
    {2, "1\t0/0\n", "can't be 0/0"},
    {2, "4294967297\t0/1\n", "is not \"timeline LSN reason\""},
    {4, "2\t0/5\n1\t0/6\n", "line 2: timelines must increase"},
    {4, "1\t0/5\n1\t0/6\n", "line 2: timelines must increase"},
    {4, "1\t0/6\n2\t0/5\n", "line 2: switch points must not decrease"},
};

START_TEST(history_is_refused)
{
    struct cpam_err err;
    CPAM_AUTO(history_free) struct history *history = NULL;

    ck_fails(history_parse((struct timeline){refused[_i].timeline}, refused[_i].text,
                           strlen(refused[_i].text), &history, &err),
             CPAM_INVALID, refused[_i].why, &err);
    ck_assert_ptr_null(history);
}
END_TEST

START_TEST(zero_byte_is_refused)
{
    struct cpam_err err;
    CPAM_AUTO(history_free) struct history *history = NULL;
    static const char text[] = "1\t0/5\tx\n";

    ck_fails(history_parse((struct timeline){2}, text, sizeof(text), &history, &err), CPAM_INVALID,
             "holds a zero byte", &err);
}
END_TEST

#define ROWS(table) ((int) (sizeof(table) / sizeof((table)[0])))

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/history");
    TCase *tcase = tcase_create("history");

    tcase_add_test(tcase, history_tells_who_owns_a_byte);
    tcase_add_loop_test(tcase, T2_reason_tells_the_moment_recovery_stopped_at, 0, ROWS(reasons));
    tcase_add_test(tcase, timeline_1_has_no_ancestors);
    tcase_add_loop_test(tcase, P4_timelines_past_9_are_decimal_inside, 0, ROWS(hexadecimal));
    tcase_add_loop_test(tcase, history_is_refused, 0, ROWS(refused));
    tcase_add_test(tcase, zero_byte_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
