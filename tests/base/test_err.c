/*
 * test_err.c - sentences: what they say, and that nothing from outside forges a line.
 */
#include "suite.h"

#include <errno.h>

START_TEST(sentence_has_reason_of_errno)
{
    struct cpam_err err;

    ck_assert_int_eq(cpam_fail(&err, CPAM_IO, ENOENT, "could not open \"%s\"", "x"), CPAM_IO);
    ck_assert_str_eq(err.text, "could not open \"x\": No such file or directory");
    ck_assert_int_eq(err.sys, ENOENT);
    ck_assert_str_eq(err.hint, "");
}
END_TEST

START_TEST(control_bytes_are_shown)
{
    struct cpam_err err;

    cpam_fail(&err, CPAM_INVALID, 0, "name \"%s\"", "a\nfake: line\x1b[2J");
    ck_assert_str_eq(err.text, "name \"a\\x0afake: line\\x1b[2J\"");
}
END_TEST

/* C1 drives terminals as ESC does; what is no UTF-8 may be anything. */
START_TEST(what_is_no_text_is_shown)
{
    static const struct
    {
        const char *text, *shown;
    } rows[] = {
        {"\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x98", "\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x98"},
        {"\xc2\xa0", "\xc2\xa0"},
        {"\xc2\x9b"
         "2J",
         "\\xc2\\x9b2J"},
        {"\xc2\x80\xc2\x85\xc2\x9f", "\\xc2\\x80\\xc2\\x85\\xc2\\x9f"},
        {"\x9b"
         "2J",
         "\\x9b2J"},
        {"a\xff\xfe", "a\\xff\\xfe"},
        {"\xc3", "\\xc3"},
        {"\xe2\x82", "\\xe2\\x82"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xc0\xaf\x7f", "\\xc0\\xaf\\x7f"},
    };
    struct cpam_err err;

    cpam_fail(&err, CPAM_INVALID, 0, "%s", rows[_i].text);
    ck_assert_str_eq(err.text, rows[_i].shown);
    cpam_err_prefix(&err, "%s", rows[_i].text);
    cpam_err_hint(&err, "%s", rows[_i].text);
    ck_assert_str_eq(err.hint, rows[_i].shown);
    ck_assert_uint_eq(strlen(err.text), 2 * strlen(rows[_i].shown) + 2);
}
END_TEST

START_TEST(prefix_stands_in_front)
{
    struct cpam_err err;

    cpam_fail(&err, CPAM_INVALID, 0, "too short");
    cpam_err_prefix(&err, "segment %s", "01");
    ck_assert_str_eq(err.text, "segment 01: too short");
}
END_TEST

START_TEST(long_sentence_ends_in_dots)
{
    struct cpam_err err;
    static char text[CPAM_ERR_TEXT_MAX * 3];

    memset(text, 'a', sizeof(text) - 1);
    cpam_fail(&err, CPAM_INVALID, 0, "%s", text);
    ck_assert_uint_lt(strlen(err.text), sizeof(err.text));
    ck_assert_str_eq(err.text + strlen(err.text) - 3, "...");
}
END_TEST

START_TEST(every_status_has_a_word)
{
    for (int status = 0; status < CPAM_STATUS_COUNT; status++)
        ck_assert_ptr_nonnull(cpam_status_name((enum cpam_status) status));
    ck_assert_str_eq(cpam_status_name((enum cpam_status) 99), "internal");
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("base/err");
    TCase *tcase = tcase_create("err");

    tcase_add_test(tcase, sentence_has_reason_of_errno);
    tcase_add_test(tcase, control_bytes_are_shown);
    tcase_add_loop_test(tcase, what_is_no_text_is_shown, 0, 10);
    tcase_add_test(tcase, prefix_stands_in_front);
    tcase_add_test(tcase, long_sentence_ends_in_dots);
    tcase_add_test(tcase, every_status_has_a_word);
    suite_add_tcase(suite, tcase);
    return suite;
}
