/*
 * test_program.c - exit tables row by row, help and manual from one description.
 */
#include "suite.h"

#include <stddef.h>
#include <stdio.h>

#include "cli/help.h"
#include "cli/program.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))

/* product.md, "Exit codes": every status is in both columns. */
static const struct
{
    enum cpam_status status;
    int common, wal_push;
} codes[] = {
    {CPAM_OK, 0, 0},        {CPAM_NOT_FOUND, 1, 1}, {CPAM_EXISTS, 1, 4},
    {CPAM_USAGE, 2, 2},     {CPAM_INVALID, 1, 5},   {CPAM_CORRUPT, 1, 1},
    {CPAM_FOREIGN, 1, 5},   {CPAM_UNCLAIMED, 1, 6}, {CPAM_UNREACHABLE, 1, 1},
    {CPAM_REFUSED, 1, 1},   {CPAM_TRANSIENT, 1, 1}, {CPAM_DEADLINE, 1, 1},
    {CPAM_IO, 1, 1},        {CPAM_UNKNOWN, 1, 1},   {CPAM_NO_MEMORY, 1, 1},
    {CPAM_CANCELLED, 1, 1}, {CPAM_INTERNAL, 1, 1},
};

START_TEST(P14_exit_code_of_each_status)
{
    ck_assert_int_eq(COUNT_OF(codes), CPAM_STATUS_COUNT);
    ck_assert_int_eq(codes[_i].status, _i);
    ck_assert_int_eq(exit_code_of(&exit_common, codes[_i].status), codes[_i].common);
    ck_assert_int_eq(exit_code_of(&exit_wal_push, codes[_i].status), codes[_i].wal_push);
}
END_TEST

START_TEST(P14_no_push_ends_above_125)
{
    for (int status = -1; status < 1000; status++)
    {
        int code = exit_code_of(&exit_wal_push, (enum cpam_status) status);

        ck_assert_int_le(code, 125);
        ck_assert(code > 0 || status == CPAM_OK);
    }
    ck_assert_int_eq(exit_code_of(&exit_common, CPAM_STATUS_COUNT), 3);
}
END_TEST

static const struct option_def rows[] = {
    {"pitr", 0, OPTION_TEXT, "TIME", 0,
     .help = "recover to this moment, which needs an offset from UTC such as +00, and a sentence "
             "that is long enough to be wrapped twice so that the printer has something to do"},
    {"an-option-with-a-long-name", 'x', OPTION_TEXT, "VALUE", 0, .help = "short"},
    {"level", 0, OPTION_CHOICE, "L", 0, .choices = "low|high", .help = "how much"},
    {"kind", 0, OPTION_CHOICE, "K", 0, .choices = "a|b|c", .help = "one of a, b and c"},
    {"hidden", 0, OPTION_FLAG, NULL, 0, .help = NULL},
};
static const char *const usage[] = {"cpam-test [OPTION...] DIR", "cpam-test --other", NULL};
static const struct program program = {
    .name = "cpam-test",
    .summary = "test the printer",
    .usage = usage,
    .details = "A first paragraph, which is long enough to be wrapped by the printer at its eighty "
               "columns.\n\nA second one.",
    .options = {rows, COUNT_OF(rows)},
    .exits = &exit_wal_push,
};

START_TEST(help_has_lines_of_80_columns)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    ck_ok(help_text(&program, &text, &err), &err);
    const char *at = cpam_buf_text(&text);
    static const char *const wanted[] = {
        "Usage: cpam-test [OPTION...] DIR\n       cpam-test --other\n",
        "\ntest the printer\n",
        "\n\nA second one.\n",
        "      --pitr TIME         recover to this moment",
        "  -x, --an-option-with-a-long-name VALUE\n                          short\n",
        "      --level L           how much: low or high\n",
        "      --kind K            one of a, b and c\n",
        "      --config FILE ",
        "  -h, --help ",
        "    4  the name is taken by other content\n",
    };
    for (int i = 0; i < COUNT_OF(wanted); i++)
        ck_assert_msg(strstr(at, wanted[i]) != NULL, "\"%s\" is not in:\n%s", wanted[i], at);
    ck_assert_ptr_null(strstr(at, "hidden"));
    ck_assert_ptr_null(strstr(at, "help-manual"));
    for (; *at != '\0'; at += strcspn(at, "\n") + 1)
    {
        ck_assert_uint_le(strcspn(at, "\n"), 80);
        size_t end = strcspn(at, "\n");
        ck_assert(end == 0 || at[end - 1] != ' ');
    }
}
END_TEST

START_TEST(manual_is_made_from_the_same_table)
{
    static const char prose[] = "First paragraph - with a dash.\n\n# Examples\nDo this:\n\n"
                                "    cpam-test --pitr now\n\n.hidden dot\n";
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf page = {0};

    ck_ok(manual_page(&program, prose, &page, &err), &err);
    const char *at = cpam_buf_text(&page);
    static const char *const wanted[] = {
        ".TH cpam\\-test 1",
        ".SH NAME\ncpam\\-test \\- test the printer\n",
        "First paragraph \\- with a dash.\n",
        ".SH Examples\n",
        ".nf\n.RS 4\ncpam\\-test \\-\\-pitr now\n.RE\n.fi\n",
        "\n\\&.hidden dot\n",
        "\\fB\\-\\-pitr\\fR \\fITIME\\fR\n",
        "\\fB\\-x, \\-\\-an\\-option\\-with\\-a\\-long\\-name\\fR",
        "One of low|high.",
        ".SH EXIT STATUS\n",
        ".TP\n\\fB6\\fR\n",
        "\\fB\\-\\-config\\fR",
    };
    for (int i = 0; i < COUNT_OF(wanted); i++)
        ck_assert_msg(strstr(at, wanted[i]) != NULL, "\"%s\" is not in:\n%s", wanted[i], at);
    ck_assert_ptr_null(strstr(at, "hidden\\fR"));
}
END_TEST

START_TEST(manual_of_the_configuration_has_every_key)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf page = {0};

    ck_ok(manual_of_settings("", &page, &err), &err);
    const char *at = cpam_buf_text(&page);
    ck_assert_ptr_nonnull(strstr(at, "\\fBwal.push.timeout\\fR"));
    ck_assert_ptr_nonnull(strstr(at, "; default 60s"));
    ck_assert_ptr_nonnull(strstr(at, "\\fBrepositories[].url\\fR"));
    ck_assert_ptr_nonnull(strstr(at, "refuse|accept"));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("cli/program");
    TCase *tcase = tcase_create("program");

    tcase_add_loop_test(tcase, P14_exit_code_of_each_status, 0, COUNT_OF(codes));
    tcase_add_test(tcase, P14_no_push_ends_above_125);
    tcase_add_test(tcase, help_has_lines_of_80_columns);
    tcase_add_test(tcase, manual_is_made_from_the_same_table);
    tcase_add_test(tcase, manual_of_the_configuration_has_every_key);
    suite_add_tcase(suite, tcase);
    return suite;
}
