/*
 * test_endpoint.c - where a bucket is.
 */
#include "suite.h"

#include "s3/endpoint.h"

static const struct
{
    const char *bucket, *region, *endpoint, *addressing; /* in */
    const char *base, *host, *prefix;                    /* out */
} good[] = {
    {"prod-cpam", "us-west-2", NULL, NULL, "https://prod-cpam.s3.us-west-2.amazonaws.com",
     "prod-cpam.s3.us-west-2.amazonaws.com", ""},
    {"prod-cpam", NULL, NULL, "auto", "https://prod-cpam.s3.us-east-1.amazonaws.com",
     "prod-cpam.s3.us-east-1.amazonaws.com", ""},
    {"prod-cpam", "cn-north-1", NULL, NULL, "https://prod-cpam.s3.cn-north-1.amazonaws.com.cn",
     "prod-cpam.s3.cn-north-1.amazonaws.com.cn", ""},
    /* no TLS name covers a.b.s3...: the path it is */
    {"a.bucket", "eu-west-1", NULL, NULL, "https://s3.eu-west-1.amazonaws.com",
     "s3.eu-west-1.amazonaws.com", "/a.bucket"},
    {"prod-cpam", "eu-west-1", NULL, "path", "https://s3.eu-west-1.amazonaws.com",
     "s3.eu-west-1.amazonaws.com", "/prod-cpam"},
    {"cpam", NULL, "https://s3.example.net", NULL, "https://s3.example.net", "s3.example.net",
     "/cpam"},
    {"cpam", NULL, "s3.example.net", NULL, "https://s3.example.net", "s3.example.net", "/cpam"},
    {"cpam", NULL, "https://s3.example.net/", NULL, "https://s3.example.net", "s3.example.net",
     "/cpam"},
    {"cpam", NULL, "https://s3.example.net:443", NULL, "https://s3.example.net", "s3.example.net",
     "/cpam"},
    {"cpam", NULL, "http://127.0.0.1:80", NULL, "http://127.0.0.1", "127.0.0.1", "/cpam"},
    {"cpam", NULL, "http://127.0.0.1:9000", NULL, "http://127.0.0.1:9000", "127.0.0.1:9000",
     "/cpam"},
    {"cpam", NULL, "https://[::1]:9000", NULL, "https://[::1]:9000", "[::1]:9000", "/cpam"},
    {"cpam", NULL, "https://s3.example.net:9000", "virtual", "https://cpam.s3.example.net:9000",
     "cpam.s3.example.net:9000", ""},
    {"Old_Bucket", NULL, "https://s3.example.net", NULL, "https://s3.example.net", "s3.example.net",
     "/Old_Bucket"},
};

static const struct
{
    const char *bucket, *endpoint, *addressing, *why;
} bad[] = {
    {NULL, NULL, NULL, "\"\" is not a bucket name"},
    {"", NULL, NULL, "is not a bucket name"},
    {"ab", NULL, NULL, "needs 3 to 63"},
    {"a/b", NULL, NULL, "has a \"/\" in it"},
    {"a b", NULL, NULL, "has a \" \" in it"},
    {"a..b", NULL, NULL, "is not a bucket name"},
    {"-ab", NULL, NULL, "is not a bucket name"},
    {"cpam", "ftp://s3.example.net", NULL, "neither https:// nor http://"},
    {"cpam", "https://s3.example.net/path", NULL, "has a path"},
    {"cpam", "https://s3.example.net?x", NULL, "has a path"},
    {"cpam", "https://", NULL, "names no server"},
    {"cpam", "https://user:secret@s3.example.net", NULL, "and no user"},
    {"cpam", "https://s3 example.net", NULL, "names no server"},
    {"cpam", "https://s3.example.net\r\nX: y", NULL, "names no server"},
    {"cpam", NULL, "dns", "must be auto, virtual or path"},
};

START_TEST(endpoint_is_found)
{
    const struct s3_settings settings = {.bucket = good[_i].bucket,
                                         .region = good[_i].region,
                                         .endpoint = good[_i].endpoint,
                                         .addressing = good[_i].addressing};
    struct s3_endpoint endpoint = {0};
    struct cpam_err err;

    ck_ok(s3_endpoint_of(&settings, &endpoint, &err), &err);
    ck_assert_str_eq(endpoint.base, good[_i].base);
    ck_assert_str_eq(endpoint.host, good[_i].host);
    ck_assert_str_eq(endpoint.prefix, good[_i].prefix);
    ck_assert_int_eq(endpoint.tls, strncmp(good[_i].base, "https", 5) == 0);
    s3_endpoint_clear(&endpoint);
}
END_TEST

START_TEST(endpoint_is_refused)
{
    const struct s3_settings settings = {
        .bucket = bad[_i].bucket, .endpoint = bad[_i].endpoint, .addressing = bad[_i].addressing};
    struct s3_endpoint endpoint = {0};
    struct cpam_err err;

    ck_fails(s3_endpoint_of(&settings, &endpoint, &err), CPAM_USAGE, bad[_i].why, &err);
    ck_assert_ptr_null(strstr(err.text, "secret"));
    s3_endpoint_clear(&endpoint);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("endpoint");
    TCase *tcase = tcase_create("endpoint");

    tcase_add_loop_test(tcase, endpoint_is_found, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tcase, endpoint_is_refused, 0, sizeof(bad) / sizeof(bad[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}
