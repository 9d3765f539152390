/*
 * test_sigv4.c - every stage of a signature against files in tests/golden/sigv4.
 *
 * aws-*: examples that AWS publishes ("Signature Calculations for the Authorization Header", S3 API
 * reference; "Create a signed AWS API request", IAM guide), with their published digests and
 * signatures.  own-*: made once with tests/live/harness/sigv4.py, which knows nothing of this code.
 */
#include "suite.h"

#include <stdio.h>

#include "io/file.h"
#include "s3/sigv4.h"

static const char *const cases[] = {
    "aws-get-object",        "aws-put-object",
    "aws-get-lifecycle",     "aws-list-objects",
    "aws-iam-list-users",    "own-plus-and-space-in-path",
    "own-unicode-path",      "own-double-slash-and-dots",
    "own-empty-query-value", "own-query-order",
    "own-header-folding",    "own-header-twice",
    "own-session-token",     "own-unsigned-payload",
    "own-host-with-port",
};

static void
read_golden(const char *name, const char *stage, struct cpam_buf *out)
{
    char path[512];
    struct cpam_err err;

    snprintf(path, sizeof(path), "%s/tests/golden/sigv4/%s/%s", getenv("CPAM_SOURCE_ROOT"), name,
             stage);
    ck_ok(file_read_all(io_posix(), path, 1 << 16, out, &err), &err);
    ck_assert_ptr_nonnull(cpam_buf_text(out));
}

struct example
{
    struct cpam_buf text;
    char method[16], path[256], payload[80], key_id[64], secret[64], region[32], service[16];
    struct sigv4_pair query[16], headers[16];
    struct sigv4_request request;
    struct sigv4_scope scope;
    struct secret *secret_key; /* what scope borrows */
};

static void
example_clear_scoped_(struct example *example)
{
    cpam_buf_clear(&example->text);
    secret_free(example->secret_key);
}

static struct sigv4_pair
pair_of(char *line, char separator)
{
    char *at = strchr(line, separator);

    *at = '\0';
    return (struct sigv4_pair){line, at + 1};
}

static void
read_example(const char *name, struct example *to)
{
    struct cpam_err err;
    char *save = NULL;

    memset(to, 0, sizeof(*to));
    read_golden(name, "request", &to->text);
    for (char *line = strtok_r((char *) to->text.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
    {
        if (strncmp(line, "scope ", 6) == 0)
            ck_assert_int_eq(sscanf(line + 6, "%63s %63s %16s %31s %15s", to->key_id, to->secret,
                                    to->scope.date, to->region, to->service),
                             5);
        else if (strncmp(line, "request ", 8) == 0)
            ck_assert_int_eq(sscanf(line + 8, "%15s %255[^\n]", to->method, to->path), 2);
        else if (strncmp(line, "query ", 6) == 0)
            to->query[to->request.query_count++] = pair_of(line + 6, '=');
        else if (strncmp(line, "header ", 7) == 0)
            to->headers[to->request.header_count++] = pair_of(line + 7, ':');
        else
            ck_assert_int_eq(sscanf(line, "payload %79s", to->payload), 1);
    }
    to->request.method = to->method;
    to->request.path = to->path;
    to->request.query = to->query;
    to->request.headers = to->headers;
    to->request.payload = to->payload;
    to->scope.access_key_id = to->key_id;
    to->scope.region = to->region;
    to->scope.service = to->service;
    ck_ok(secret_new(to->secret, strlen(to->secret), &to->secret_key, &err), &err);
    to->scope.secret_key = to->secret_key;
}

static void
ck_same(struct cpam_buf *got, struct cpam_buf *wanted)
{
    ck_assert_str_eq(cpam_buf_text(got), cpam_buf_text(wanted));
}

START_TEST(stages_are_as_published)
{
    struct cpam_err err;
    CPAM_AUTO(example_clear) struct example example;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf canonical = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf headers = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf string = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf all = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf w_canonical = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf w_string = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf w_all = {0};

    read_example(cases[_i], &example);
    read_golden(cases[_i], "canonical", &w_canonical);
    read_golden(cases[_i], "string-to-sign", &w_string);
    read_golden(cases[_i], "authorization", &w_all);
    ck_ok(sigv4_canonical(&example.request, &canonical, &headers, &err), &err);
    ck_same(&canonical, &w_canonical);
    ck_ok(sigv4_string_to_sign(&example.scope, &canonical, &string, &err), &err);
    ck_same(&string, &w_string);
    ck_ok(sigv4_authorize(&example.request, &example.scope, &all, &err), &err);
    ck_same(&all, &w_all);
}
END_TEST

/* IAM guide, "Create a signed AWS API request", the derived key of the list-users example. */
START_TEST(signing_key_is_as_published)
{
    struct cpam_err err;
    CPAM_AUTO(example_clear) struct example example;
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    char hex[SIGV4_HEX_SIZE];

    read_example("aws-iam-list-users", &example);
    ck_ok(sigv4_signing_key(&example.scope, &key, &err), &err);
    ck_assert_uint_eq(secret_size(key), SHA256_SIZE);
    sigv4_hex(secret_data(key), SHA256_SIZE, hex);
    ck_assert_str_eq(hex, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
}
END_TEST

/* One changed thing, another signature: the golden test can't pass by ignoring what it is given. */
START_TEST(everything_is_signed)
{
    struct cpam_err err;
    CPAM_AUTO(example_clear) struct example example;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf first = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf second = {0};

    read_example("aws-get-object", &example);
    ck_ok(sigv4_authorize(&example.request, &example.scope, &first, &err), &err);
    switch (_i)
    {
    case 0: example.request.method = "HEAD"; break;
    case 1: example.request.path = "/test.txu"; break;
    case 2: example.query[example.request.query_count++] = (struct sigv4_pair){"a", ""}; break;
    case 3: example.headers[0].value = "examplebucket.s3.amazonaws.org"; break;
    case 4: example.headers[example.request.header_count++] = (struct sigv4_pair){"x", "y"}; break;
    case 5: example.request.payload = "UNSIGNED-PAYLOAD"; break;
    case 6: example.scope.region = "us-east-2"; break;
    case 7: example.scope.date[7] = '5'; break;
    default: example.scope.service = "s4"; break;
    }
    ck_ok(sigv4_authorize(&example.request, &example.scope, &second, &err), &err);
    ck_assert_str_ne(strstr(cpam_buf_text(&first), "Signature="),
                     strstr(cpam_buf_text(&second), "Signature="));
}
END_TEST

static const struct
{
    int64_t us;
    const char *text;
} dates[] = {
    {0, "19700101T000000Z"},
    {1369353600000000, "20130524T000000Z"},
    {1369353600999999, "20130524T000000Z"},
    {1709251199000000, "20240229T235959Z"},
    {4102444800000000, "21000101T000000Z"},
    {INT64_MAX, "19700101T000000Z"}, /* no service takes it, and nothing is overrun */
    {-1000000, "19700101T000000Z"},
};

START_TEST(date_is_written)
{
    char date[SIGV4_DATE_SIZE];

    sigv4_date(dates[_i].us, date);
    ck_assert_str_eq(date, dates[_i].text);
}
END_TEST

START_TEST(too_many_headers_are_refused)
{
    static const struct sigv4_pair same = {"a", "b"};
    struct sigv4_pair headers[SIGV4_PAIRS_MAX + 1];
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf names = {0};
    struct cpam_err err;

    for (size_t i = 0; i < SIGV4_PAIRS_MAX + 1; i++)
        headers[i] = same;
    const struct sigv4_request request = {.method = "GET",
                                          .path = "/",
                                          .headers = headers,
                                          .header_count = SIGV4_PAIRS_MAX + 1,
                                          .payload = "x"};
    ck_fails(sigv4_canonical(&request, &out, &names, &err), CPAM_INTERNAL, "more than 64", &err);
    ck_fails(sigv4_query(headers, SIGV4_PAIRS_MAX + 1, &out, &err), CPAM_INTERNAL, "more than 64",
             &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("sigv4");
    TCase *tcase = tcase_create("golden");

    tcase_add_loop_test(tcase, stages_are_as_published, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tcase, signing_key_is_as_published);
    tcase_add_loop_test(tcase, everything_is_signed, 0, 9);
    tcase_add_loop_test(tcase, date_is_written, 0, sizeof(dates) / sizeof(dates[0]));
    tcase_add_test(tcase, too_many_headers_are_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
