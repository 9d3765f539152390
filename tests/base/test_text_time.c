/*
 * test_text_time.c - moments: what is read, what is refused, and that a time without an offset is.
 */
#include "suite.h"

#include "base/text.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))

/* the seconds come from GNU date: date -u -d '...' +%s */
static const struct
{
    const char *text;
    int64_t us;
    const char *shown;
} times[] = {
    {"1970-01-01 00:00Z", 0, "1970-01-01T00:00:00Z"},
    {"2000-02-29T12:00:00Z", 951825600000000, "2000-02-29T12:00:00Z"},
    {"2026-11-23 15:40:08+00", 1795448408000000, "2026-11-23T15:40:08Z"},
    {"2026-11-23 16:40:08.5 +01:00", 1795448408500000, "2026-11-23T15:40:08.500000Z"},
    {"2026-11-23T10:10:08.123456-0530", 1795448408123456, "2026-11-23T15:40:08.123456Z"},
    {"2026-11-23 15:40:08 UTC", 1795448408000000, "2026-11-23T15:40:08Z"},
    {"2026-11-23 15:40:08UTC", 1795448408000000, "2026-11-23T15:40:08Z"},
    {"1970-01-01 01:00+01", 0, "1970-01-01T00:00:00Z"},
    {"1969-12-31 23:00-01", 0, "1970-01-01T00:00:00Z"},
    {"2100-03-01 00:00Z", 4107542400000000, "2100-03-01T00:00:00Z"},
    {"9999-12-31 23:59:59.999999Z", 253402300799999999, "9999-12-31T23:59:59.999999Z"},
};

START_TEST(time_is_read_and_shown)
{
    struct cpam_err err;
    char shown[TEXT_TIME_MAX];
    int64_t us;

    ck_ok(text_parse_time(times[_i].text, &us, &err), &err);
    ck_assert_int_eq(us, times[_i].us);
    text_format_time(us, shown);
    ck_assert_str_eq(shown, times[_i].shown);
}
END_TEST

static const struct
{
    const char *text, *why;
} refused[] = {
    {"2026-11-23 15:40:08", "has no offset from UTC"},
    {"2026-11-23T15:40", "has no offset from UTC"},
    {"", "is not a time"},
    {"yesterday", "is not a time"},
    {"2026-11-23", "is not a time"},
    {"2026-11-23Z", "is not a time"},
    {"2026-1-23 15:40Z", "is not a time"},
    {" 2026-11-23 15:40Z", "is not a time"},
    {"2026-11-23  15:40Z", "is not a time"},
    {"2026-11-23 24:00Z", "is not a time"},
    {"2026-11-23 15:60Z", "is not a time"},
    {"2026-11-23 15:40:60Z", "is not a time"},
    {"2026-11-23 15:40:08.Z", "is not a time"},
    {"2026-11-23 15:40:08.1234567Z", "is not a time"},
    {"2026-13-01 00:00Z", "is not a time"},
    {"2026-00-01 00:00Z", "is a day the calendar does not have"},
    {"2026-02-29 00:00Z", "is a day the calendar does not have"},
    {"2100-02-29 00:00Z", "is a day the calendar does not have"},
    {"2026-04-31 00:00Z", "is a day the calendar does not have"},
    {"2026-11-23 15:40 CET", "does not end in an offset"},
    {"2026-11-23 15:40  UTC", "does not end in an offset"},
    {"2026-11-23 15:40+1", "does not end in an offset"},
    {"2026-11-23 15:40+16", "does not end in an offset"},
    {"2026-11-23 15:40+01:60", "does not end in an offset"},
    {"2026-11-23 15:40+01:", "does not end in an offset"},
    {"2026-11-23 15:40Z0", "does not end in an offset"},
    {"1970-01-01 00:00+01", "is not between 1970 and 9999"},
    {"9999-12-31 23:59-01", "is not between 1970 and 9999"},
};

START_TEST(T4_time_is_refused)
{
    struct cpam_err err;
    int64_t us;

    ck_fails(text_parse_time(refused[_i].text, &us, &err), CPAM_INVALID, refused[_i].why, &err);
}
END_TEST

START_TEST(T4_missing_offset_says_what_to_write)
{
    struct cpam_err err;
    int64_t us;

    ck_fails(text_parse_time("2026-11-23 15:40", &us, &err), CPAM_INVALID, "every time zone", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "2026-11-23 15:40+00"));
}
END_TEST

START_TEST(every_day_goes_both_ways)
{
    for (int64_t day = 0; day < 60000; day++)
    {
        struct cpam_err err;
        char text[TEXT_TIME_MAX];
        int64_t us = day * 86400 * 1000000 + day, back;

        text_format_time(us, text);
        ck_ok(text_parse_time(text, &back, &err), &err);
        ck_assert_int_eq(us, back);
    }
}
END_TEST

START_TEST(moment_before_1970_is_shown)
{
    char text[TEXT_TIME_MAX];

    text_format_time(-1, text);
    ck_assert_str_eq(text, "1969-12-31T23:59:59.999999Z");
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("base/text_time");
    TCase *tcase = tcase_create("text_time");

    tcase_add_loop_test(tcase, time_is_read_and_shown, 0, COUNT_OF(times));
    tcase_add_loop_test(tcase, T4_time_is_refused, 0, COUNT_OF(refused));
    tcase_add_test(tcase, T4_missing_offset_says_what_to_write);
    tcase_add_test(tcase, every_day_goes_both_ways);
    tcase_add_test(tcase, moment_before_1970_is_shown);
    suite_add_tcase(suite, tcase);
    return suite;
}
