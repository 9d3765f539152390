/*
 * test_progress.c - T12: bytes, rate and time left, in a line of the width there is.
 */
#include "suite.h"

#include "cli/progress.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))
#define MIB             ((uint64_t) 1 << 20)
#define SECOND          ((int64_t) 1000000)

static const struct
{
    uint64_t done, total;
    int64_t elapsed;
    int width;
    const char *line;
} lines[] = {
    {0, 0, 3 * SECOND, 0, "restoring: 0 B, 0 B/s"},
    {30 * MIB, 0, 3 * SECOND, 0, "restoring: 30 MiB, 10 MiB/s"},
    {0, 90 * MIB, 3 * SECOND, 0, "restoring: 0 % of 90 MiB"},
    {30 * MIB, 90 * MIB, 3 * SECOND, 0, "restoring: 33 %, 30 MiB of 90 MiB, 10 MiB/s, 6 s left"},
    {90 * MIB, 90 * MIB, 3 * SECOND, 0, "restoring: 100 %, 90 MiB of 90 MiB, 30 MiB/s, 0 ms left"},
    {45 * MIB, 90 * MIB, 3 * SECOND, 79,
     "restoring: [##########..........] 50 %, 45 MiB of 90 MiB, 15 MiB/s, 3 s left"},
    {45 * MIB, 90 * MIB, 3 * SECOND, 60, "restoring: 50 %, 45 MiB of 90 MiB, 15 MiB/s, 3 s left"},
    {45 * MIB, 90 * MIB, 3 * SECOND, 20, "restoring: 50 %, 45 "},
    {91 * MIB, 90 * MIB, SECOND, 0, "restoring: 91 MiB, 91 MiB/s"},
    {5, 10, 0, 0, "restoring: 50 %, 5 B of 10 B, 5 B/s, 1 s left"},
};

START_TEST(T12_line_has_bytes_rate_and_time_left)
{
    char line[PROGRESS_LINE_MAX];

    progress_line("restoring", lines[_i].done, lines[_i].total, lines[_i].elapsed, lines[_i].width,
                  line);
    if (lines[_i].width == 79) /* how long the bar is, is a matter of taste: its share is not */
    {
        ck_assert_uint_le(strlen(line), 79);
        size_t full = strspn(strchr(line, '[') + 1, "#");
        size_t empty = strspn(strchr(line, '[') + 1 + full, ".");
        ck_assert_uint_ge(full + empty, 10);
        ck_assert_uint_le(full, empty + 1);
        ck_assert_uint_le(empty, full + 1);
        return;
    }
    ck_assert_str_eq(line, lines[_i].line);
}
END_TEST

START_TEST(progress_of_nothing_is_allowed)
{
    progress_add(NULL, 5);
    progress_total(NULL, 5);
    progress_free(NULL);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("cli/progress");
    TCase *tcase = tcase_create("progress");

    tcase_add_loop_test(tcase, T12_line_has_bytes_rate_and_time_left, 0, COUNT_OF(lines));
    tcase_add_test(tcase, progress_of_nothing_is_allowed);
    suite_add_tcase(suite, tcase);
    return suite;
}
