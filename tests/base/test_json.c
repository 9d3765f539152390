/*
 * test_json.c - what strict reading refuses, and that what is written is read back the same.
 */
#include "suite.h"

#include "base/json.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))

static const struct
{
    const char *text;
    size_t size; /* 0: strlen */
    const char *why;
} bad_documents[] = {
    {"", 0, "is not valid JSON"},
    {"[]", 0, "is not a JSON object"},
    {"\"a\"", 0, "is not valid JSON"},
    {"{\"a\":1", 0, "is not valid JSON"},
    {"{\"a\":1} x", 0, "is not valid JSON"},
    {"{\"a\":1,\"a\":2}", 0, "duplicate"},
    {"{\"a\":\"\\u0000\"}", 0, "is not valid JSON"},
    {"{\"\\u0000\":1}", 0, "is not valid JSON"},
    {"{\"a\":\"\xff\"}", 0, "is not valid JSON"},
    {"{\"a\":\"\x01\"}", 0, "is not valid JSON"},
    {"{\"a\":9223372036854775808}", 0, "is not valid JSON"},
    {"{\"a\":1}\0", 8, "is not valid JSON"},
    {"{\"a\":\"0123456789012345678901234567890123456789\"}", 0, "more than the allowed 40"},
};

START_TEST(document_is_refused)
{
    struct cpam_err err;
    CPAM_AUTO(json_doc_free) json_t *doc = NULL;
    size_t size = bad_documents[_i].size;

    if (size == 0)
        size = strlen(bad_documents[_i].text);
    ck_fails(json_read("summary", bad_documents[_i].text, size, 40, &doc, &err), CPAM_CORRUPT,
             bad_documents[_i].why, &err);
    ck_assert_ptr_null(doc);
    ck_assert_ptr_nonnull(strstr(err.text, "the summary"));
}
END_TEST

static const char good[] = "{\"t\":\"x\",\"n\":null,\"u\":7,\"s\":\"18446744073709551615\","
                           "\"neg\":-3,\"f\":1.5,\"yes\":true,\"a\":[{\"k\":1},\"w\"],\"o\":{}}";

START_TEST(members_are_read)
{
    struct cpam_err err;
    CPAM_AUTO(json_doc_free) json_t *doc = NULL;
    const char *text = "unset";
    uint64_t number;
    int64_t negative;
    bool truth;
    json_t *array, *object;

    ck_ok(json_read("test", good, sizeof(good) - 1, 1000, &doc, &err), &err);
    ck_ok(json_get_text(doc, "t", &text, &err), &err);
    ck_assert_str_eq(text, "x");
    ck_ok(json_get_text_optional(doc, "n", &text, &err), &err);
    ck_assert_ptr_null(text);
    ck_ok(json_get_text_optional(doc, "absent", &text, &err), &err);
    ck_assert_ptr_null(text);
    ck_ok(json_get_u64(doc, "u", 7, &number, &err), &err);
    ck_assert_uint_eq(number, 7);
    ck_ok(json_get_u64(doc, "s", UINT64_MAX, &number, &err), &err);
    ck_assert_uint_eq(number, UINT64_MAX);
    ck_ok(json_get_u64_optional(doc, "absent", 9, 5, &number, &err), &err);
    ck_assert_uint_eq(number, 5);
    ck_ok(json_get_i64(doc, "neg", &negative, &err), &err);
    ck_assert_int_eq(negative, -3);
    ck_ok(json_get_bool(doc, "yes", &truth, &err), &err);
    ck_assert(truth);
    ck_ok(json_get_array(doc, "a", 2, &array, &err), &err);
    ck_ok(json_object_at(array, 0, &object, &err), &err);
    ck_ok(json_text_at(array, 1, &text, &err), &err);
    ck_assert_str_eq(text, "w");
    ck_ok(json_get_object(doc, "o", &object, &err), &err);
}
END_TEST

START_TEST(members_are_refused)
{
    static const char *const known[] = {"t", "n", "u", "s", "neg", "f", "yes", "a", NULL};
    struct cpam_err err;
    CPAM_AUTO(json_doc_free) json_t *doc = NULL;
    const char *text;
    uint64_t number;
    int64_t negative;
    bool truth;
    json_t *array, *object;

    ck_ok(json_read("test", good, sizeof(good) - 1, 1000, &doc, &err), &err);
    ck_fails(json_get_text(doc, "z", &text, &err), CPAM_CORRUPT, "\"z\" is missing", &err);
    ck_fails(json_get_text(doc, "u", &text, &err), CPAM_CORRUPT, "is a number instead of a text",
             &err);
    ck_fails(json_get_text(doc, "n", &text, &err), CPAM_CORRUPT, "is null instead of a text", &err);
    ck_fails(json_get_text_optional(doc, "yes", &text, &err), CPAM_CORRUPT, "is a truth value",
             &err);
    ck_fails(json_get_u64(doc, "u", 6, &number, &err), CPAM_CORRUPT, "not between 0 and 6", &err);
    ck_fails(json_get_u64(doc, "neg", 6, &number, &err), CPAM_CORRUPT, "is -3, not between", &err);
    ck_fails(json_get_u64(doc, "f", 6, &number, &err), CPAM_CORRUPT, "with a fraction", &err);
    ck_fails(json_get_u64(doc, "t", 6, &number, &err), CPAM_CORRUPT, "\"t\": \"x\" is not a number",
             &err);
    ck_fails(json_get_u64(doc, "s", 6, &number, &err), CPAM_CORRUPT, "more than the allowed 6",
             &err);
    ck_fails(json_get_i64(doc, "t", &negative, &err), CPAM_CORRUPT, "instead of a number", &err);
    ck_fails(json_get_bool(doc, "u", &truth, &err), CPAM_CORRUPT, "instead of true or false", &err);
    ck_fails(json_get_array(doc, "a", 1, &array, &err), CPAM_CORRUPT, "has 2 elements", &err);
    ck_fails(json_get_array(doc, "o", 1, &array, &err), CPAM_CORRUPT, "instead of an array", &err);
    ck_fails(json_get_object(doc, "a", &object, &err), CPAM_CORRUPT, "instead of an object", &err);
    ck_ok(json_get_array(doc, "a", 2, &array, &err), &err);
    ck_fails(json_object_at(array, 1, &object, &err), CPAM_CORRUPT, "element 1 is a text", &err);
    ck_fails(json_text_at(array, 2, &text, &err), CPAM_CORRUPT, "element 2 is missing", &err);
    ck_fails(json_only(doc, known, &err), CPAM_CORRUPT, "unknown member \"o\"", &err);
}
END_TEST

static void
write_sample(struct json_writer *writer)
{
    json_begin_object(writer, NULL);
    json_put_text(writer, "text", "a\"b\\c\n\x01\x7f\xc3\xa4");
    json_put_text(writer, "none", NULL);
    json_put_u64(writer, "u", UINT64_MAX >> 1);
    json_put_u64_text(writer, "sysid", UINT64_MAX);
    json_put_i64(writer, "i", INT64_MIN);
    json_begin_array(writer, "list");
    json_put_bool(writer, NULL, true);
    json_begin_object(writer, NULL);
    json_end(writer);
    json_begin_array(writer, NULL);
    json_end(writer);
    json_end(writer);
    json_end(writer);
}

START_TEST(writing_is_read_back)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    CPAM_AUTO(json_doc_free) json_t *doc = NULL;
    struct json_writer writer = {.buf = &buf, .limit = 1000};
    const char *text;

    write_sample(&writer);
    ck_ok(json_writer_end(&writer, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&buf),
                     "{\"text\":\"a\\\"b\\\\c\\n\\u0001\\u007f\xc3\xa4\",\"none\":null,"
                     "\"u\":9223372036854775807,\"sysid\":\"18446744073709551615\","
                     "\"i\":-9223372036854775808,\"list\":[true,{},[]]}");
    ck_ok(json_read("test", buf.data, buf.size, 1000, &doc, &err), &err);
    ck_ok(json_get_text(doc, "text", &text, &err), &err);
    ck_assert_str_eq(text, "a\"b\\c\n\x01\x7f\xc3\xa4");
}
END_TEST

START_TEST(pretty_has_a_line_each)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    struct json_writer writer = {.buf = &buf, .limit = 1000, .pretty = true};

    json_begin_object(&writer, NULL);
    json_put_u64(&writer, "a", 1);
    json_begin_array(&writer, "b");
    json_put_text(&writer, NULL, "x");
    json_end(&writer);
    json_begin_array(&writer, "c");
    json_end(&writer);
    json_end(&writer);
    ck_ok(json_writer_end(&writer, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&buf),
                     "{\n  \"a\": 1,\n  \"b\": [\n    \"x\"\n  ],\n  \"c\": []\n}");
}
END_TEST

START_TEST(writer_keeps_its_first_failure)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    struct json_writer full = {.buf = &buf, .limit = 20};

    write_sample(&full);
    ck_fails(json_writer_end(&full, &err), CPAM_INVALID, "more than the allowed 20 bytes", &err);
    ck_assert_uint_le(buf.size, 20);

    struct json_writer bytes = {.buf = &buf, .limit = 1000};
    json_put_text(&bytes, NULL, "\xff");
    ck_fails(json_writer_end(&bytes, &err), CPAM_INVALID, "not UTF-8", &err);

    struct json_writer open = {.buf = &buf, .limit = 1000};
    json_begin_object(&open, NULL);
    ck_fails(json_writer_end(&open, &err), CPAM_INTERNAL, "left open", &err);

    struct json_writer closed = {.buf = &buf, .limit = 1000};
    json_end(&closed);
    ck_fails(json_writer_end(&closed, &err), CPAM_INTERNAL, "once too often", &err);

    struct json_writer deep = {.buf = &buf, .limit = 1000};
    for (int i = 0; i <= JSON_DEPTH_MAX; i++)
        json_begin_array(&deep, NULL);
    ck_fails(json_writer_end(&deep, &err), CPAM_INTERNAL, "too deeply", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("base/json");
    TCase *tcase = tcase_create("json");

    tcase_add_loop_test(tcase, document_is_refused, 0, COUNT_OF(bad_documents));
    tcase_add_test(tcase, members_are_read);
    tcase_add_test(tcase, members_are_refused);
    tcase_add_test(tcase, writing_is_read_back);
    tcase_add_test(tcase, pretty_has_a_line_each);
    tcase_add_test(tcase, writer_keeps_its_first_failure);
    suite_add_tcase(suite, tcase);
    return suite;
}
