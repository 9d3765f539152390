/*
 * test_s3.c - what a bucket's answers mean, request by request, against a scripted struct http.
 */
#include "suite.h"

#include "fake_http.h"
#include "io/sink.h"
#include "s3/s3.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ETAG            "ETag: \"0123456789abcdef0123456789abcdef\"\n"
#define ERROR(code)                                                                                \
    "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>m</Message>"                      \
    "<RequestId>R1</RequestId></Error>"

enum
{
    CLOCK = 1000000000
};

struct fixture
{
    struct fake_io io;
    struct fake_http http;
    struct s3 *s3;
    struct deadline deadline;
};

static void
open_s3(struct fixture *f, const char *endpoint, const struct fake_answer *answers, size_t count)
{
    const struct s3_settings settings = {
        .bucket = "cpam", .endpoint = endpoint, .expected_bucket_owner = "111122223333"};
    struct credentials *credentials = NULL;
    struct cpam_err err;

    fake_io_init(&f->io, CLOCK);
    fake_http_init(&f->http, answers, count);
    ck_ok(credentials_new("AKID", "secret", 6, "to/ken+", 7, "the test", &credentials, &err), &err);
    ck_ok(s3_open(&f->io.base, &settings, &f->http.base, credentials, &f->s3, &err), &err);
    f->deadline = deadline_after(&f->io.base, 60000000);
}

static void
close_s3(struct fixture *f)
{
    ck_assert_uint_eq(f->http.next, f->http.count); /* every answer was asked for */
    s3_free(f->s3);
}

static void
ck_asked(const struct fixture *f, const char *words)
{
    ck_assert_msg(strstr(f->http.asked, words) != NULL, "\"%s\" was not asked for:\n%s", words,
                  f->http.asked);
}

/* --- answers to a put ------------------------------------------------------------------------- */

static const struct
{
    struct fake_answer answer;
    enum cpam_status status;
    const char *why, *hint;
} refusals[] = {
    {{.status = 412, .body = ERROR("PreconditionFailed")},
     CPAM_EXISTS,
     "412 PreconditionFailed",
     ""},
    {{.status = 412}, CPAM_EXISTS, "answered 412", ""},
    {{.status = 403, .body = ERROR("AccessDenied")},
     CPAM_REFUSED,
     "could not put \"s3://cpam/a/k\": https://s3.example.net answered 403 AccessDenied (m), request "
     "id R1",
     "policy"},
    {{.status = 403, .body = ERROR("SignatureDoesNotMatch")},
     CPAM_REFUSED,
     "SignatureDoesNotMatch",
     "secret access key"},
    {{.status = 403, .body = ERROR("InvalidAccessKeyId")},
     CPAM_REFUSED,
     "InvalidAccessKeyId",
     "does not know"},
    {{.status = 403}, CPAM_REFUSED, "answered 403", ""},
    {{.status = 404, .body = ERROR("NoSuchBucket")},
     CPAM_REFUSED,
     "NoSuchBucket",
     "make the bucket"},
    {{.status = 404, .body = "<html>nothing here</html>"}, CPAM_UNKNOWN, "answered 404", ""},
    {{.status = 301,
      .headers = "x-amz-bucket-region: eu-west-1\n",
      .body = ERROR("PermanentRedirect")},
     CPAM_REFUSED,
     "301 PermanentRedirect",
     "in region \"eu-west-1\", not \"us-east-1\""},
    {{.status = 400,
      .body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region></Error>"},
     CPAM_REFUSED,
     "AuthorizationHeaderMalformed",
     "in region \"eu-west-2\""},
    {{.status = 501, .body = ERROR("NotImplemented")}, CPAM_REFUSED, "501 NotImplemented", "lacks"},
    {{.status = 400, .body = ERROR("ExpiredToken")}, CPAM_REFUSED, "ExpiredToken", "expired"},
    {{.status = 200}, CPAM_CORRUPT, "has no ETag", ""},
    {{.status = 200, .headers = ETAG}, CPAM_CORRUPT, "holds other bytes than were sent", ""},
    {{.failure = CPAM_REFUSED}, CPAM_REFUSED, "no good answer from https://s3.example.net", ""},
};

static enum cpam_status
put_hello(struct fixture *f, struct s3_info *info, struct cpam_err *err)
{
    const struct s3_put put = {.key = "a/k",
                               .body = {.data = "hello", .fd = -1, .size = 5},
                               .storage_class = "GLACIER_IR"};

    return s3_put_new(f->s3, &put, f->deadline, info, err);
}

START_TEST(put_is_refused)
{
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", &refusals[_i].answer, 1);
    ck_fails(put_hello(&f, &info, &err), refusals[_i].status, refusals[_i].why, &err);
    ck_assert_msg(strstr(err.hint, refusals[_i].hint) != NULL, "hint: %s", err.hint);
    ck_assert_ptr_null(strstr(err.text, "to/ken"));
    close_s3(&f);
}
END_TEST

/* MD5 of "hello": 5d41402abc4b2a76b9719d911017c592 */
#define HELLO "ETag: \"5d41402abc4b2a76b9719d911017c592\"\nx-amz-version-id: v1\n"

static const struct fake_answer passing[] = {
    {.status = 503, .body = ERROR("SlowDown")},
    {.status = 500, .body = ERROR("InternalError")},
    {.status = 502, .body = "<html>"},
    {.status = 429},
    {.status = 408},
    {.status = 400, .body = ERROR("RequestTimeout")},
    {.status = 400, .body = ERROR("BadDigest")}, /* S2: damaged on the way: once more */
    {.status = 400, .body = ERROR("XAmzContentSHA256Mismatch")},
    {.status = 409, .body = ERROR("ConditionalRequestConflict")},
    {.status = 307, .body = ERROR("TemporaryRedirect")},
    {.status = 200, .headers = HELLO, .body = ERROR("InternalError")}, /* S3: 200 with an error */
    {.status = 200, .headers = HELLO, .body = ERROR("Unheard")},
    {.failure = CPAM_TRANSIENT},
};

START_TEST(S1_put_is_tried_again)
{
    const struct fake_answer answers[] = {passing[_i], {.status = 200, .headers = HELLO}};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", answers, 2);
    ck_ok(put_hello(&f, &info, &err), &err);
    ck_assert_uint_eq(f.io.sleeps, 1);
    ck_assert_str_eq(info.version, "v1");
    ck_assert_uint_eq(info.size, 5);
    close_s3(&f);
}
END_TEST

START_TEST(S2_S8_put_says_what_the_store_needs_to_refuse)
{
    const struct fake_answer answer = {.status = 200, .headers = HELLO};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, _i == 0 ? "https://s3.example.net" : "http://127.0.0.1:9000", &answer, 1);
    ck_ok(put_hello(&f, &info, &err), &err);
    ck_asked(&f, _i == 0 ? "PUT https://s3.example.net/cpam/a/k\n"
                         : "PUT http://127.0.0.1:9000/cpam/a/k\n");
    ck_asked(&f, "If-None-Match: *\n");
    ck_asked(&f, "Content-MD5: XUFAKrxLKna5cZ2REBfFkg==\n");
    ck_asked(&f, "x-amz-expected-bucket-owner: 111122223333\n");
    ck_asked(&f, "x-amz-storage-class: GLACIER_IR\n");
    ck_asked(&f, "X-Amz-Security-Token: to/ken+\n");
    ck_asked(&f, _i == 0 ? "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\n"
                         : "X-Amz-Content-Sha256: "
                           "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n");
    ck_asked(&f,
             "SignedHeaders=content-md5;content-type;host;if-none-match;x-amz-content-sha256;"
             "x-amz-date;x-amz-expected-bucket-owner;x-amz-security-token;x-amz-storage-class,");
    close_s3(&f);
}
END_TEST

START_TEST(etag_under_kms_is_no_md5)
{
    const struct fake_answer answer = {.status = 200,
                                       .headers = ETAG "x-amz-server-side-encryption: aws:kms\n"};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", &answer, 1);
    ck_ok(put_hello(&f, &info, &err), &err);
    close_s3(&f);
}
END_TEST

START_TEST(S1_retry_after_is_read)
{
    const struct fake_answer answers[] = {
        {.status = 503, .headers = "Retry-After: 7\n", .body = ERROR("SlowDown")},
        {.status = 503,
         .headers = "Date: Mon, 23 Nov 2026 15:40:08 GMT\n"
                    "Retry-After: Mon, 23 Nov 2026 15:40:19 GMT\n"},
        {.status = 503, .headers = "Retry-After: -5\n"},
        {.status = 200, .headers = HELLO}};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", answers, COUNT_OF(answers));
    ck_ok(put_hello(&f, &info, &err), &err);
    ck_assert_int_eq(f.io.slept[0], 7000000);
    ck_assert_int_eq(f.io.slept[1], 11000000);
    ck_assert_int_eq(f.io.slept[2], 400000);
    close_s3(&f);
}
END_TEST

START_TEST(S10_a_wrong_clock_is_learnt_from_the_store)
{
    const struct fake_answer answers[] = {{.status = 403,
                                           .headers = "Date: Thu, 01 Jan 1970 02:00:00 GMT\n",
                                           .body = ERROR("RequestTimeTooSkewed")},
                                          {.status = 200, .headers = HELLO},
                                          {.status = 200, .headers = HELLO}};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", answers, COUNT_OF(answers));
    ck_ok(put_hello(&f, &info, &err), &err);
    ck_assert_uint_eq(f.io.sleeps, 0);
    ck_asked(&f, "X-Amz-Date: 19700101T001640Z\n"); /* ours: 1000 s */
    ck_asked(&f, "X-Amz-Date: 19700101T020000Z\n"); /* theirs */
    ck_ok(put_hello(&f, &info, &err), &err);        /* and it stays learnt */
    close_s3(&f);
}
END_TEST

START_TEST(S10_a_store_that_never_agrees_is_refused)
{
    static const struct fake_answer skewed = {.status = 403,
                                              .headers = "Date: Thu, 01 Jan 1970 02:00:00 GMT\n",
                                              .body = ERROR("RequestTimeTooSkewed")};
    const struct fake_answer answers[] = {skewed, skewed, skewed, skewed};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", answers, COUNT_OF(answers));
    ck_fails(put_hello(&f, &info, &err), CPAM_REFUSED, "RequestTimeTooSkewed", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "set the clock"));
    close_s3(&f);
}
END_TEST

/* --- get -------------------------------------------------------------------------------------- */

static const struct
{
    uint64_t offset, size;
    struct fake_answer answers[3];
    size_t count;
    enum cpam_status status;
    const char *why; /* or the content */
} gets[] = {
    {0,
     0,
     {{.status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hello"}},
     1,
     CPAM_OK,
     "hello"},
    {1,
     3,
     {{.status = 206, .headers = ETAG "Content-Range: bytes 1-3/5\n", .body = "ell"}},
     1,
     CPAM_OK,
     "ell"},
    {2,
     0,
     {{.status = 206, .headers = ETAG "Content-Range: bytes 2-4/5\n", .body = "llo"}},
     1,
     CPAM_OK,
     "llo"},
    {0, 0, {{.status = 200, .headers = ETAG "Content-Length: 0\n", .body = ""}}, 1, CPAM_OK, ""},
    /* broken in the middle: goes on where it was cut */
    {0,
     0,
     {{.status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hello", .cut = 2},
      {.status = 206, .headers = ETAG "Content-Range: bytes 2-4/5\n", .body = "llo"}},
     2,
     CPAM_OK,
     "hello"},
    {1,
     4,
     {{.status = 206, .headers = ETAG "Content-Range: bytes 1-4/5\n", .body = "ello", .cut = 3},
      {.status = 503},
      {.status = 206, .headers = ETAG "Content-Range: bytes 4-4/5\n", .body = "o"}},
     3,
     CPAM_OK,
     "ello"},
    /* ... broken behind the last byte */
    {0,
     0,
     {{.status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hello", .cut = 5}},
     1,
     CPAM_OK,
     "hello"},
    /* another object at the second attempt */
    {0,
     0,
     {{.status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hello", .cut = 2},
      {.status = 206, .headers = "ETag: \"other\"\nContent-Range: bytes 2-4/5\n", .body = "llo"}},
     2,
     CPAM_CORRUPT,
     "changed while it was being read"},
    {0,
     0,
     {{.status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hello", .cut = 2},
      {.status = 206, .headers = ETAG "Content-Range: bytes 2-5/6\n", .body = "llo!"}},
     2,
     CPAM_CORRUPT,
     "changed while it was being read"},
    /* S3: a 200 that is no object */
    {0,
     0,
     {{.status = 200, .headers = "Content-Length: 70\n", .body = ERROR("InternalError")}},
     1,
     CPAM_CORRUPT,
     "has no ETag"},
    {0,
     0,
     {{.status = 200, .headers = ETAG, .body = "hello"}},
     1,
     CPAM_CORRUPT,
     "without a length"},
    {0,
     0,
     {{.status = 206, .headers = ETAG "Content-Length: 5\n", .body = "hello"}},
     1,
     CPAM_CORRUPT,
     "answered 206"},
    {1,
     3,
     {{.status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hello"}},
     1,
     CPAM_CORRUPT,
     "answered 200 without Content-Range"},
    {1,
     3,
     {{.status = 206, .headers = ETAG "Content-Range: bytes 0-2/5\n", .body = "hel"}},
     1,
     CPAM_CORRUPT,
     "bytes 0 to 2 where 1 to 3 were asked for"},
    {1,
     3,
     {{.status = 206, .headers = ETAG "Content-Range: bytes 1-2/5\n", .body = "el"}},
     1,
     CPAM_CORRUPT,
     "bytes 1 to 2 where 1 to 3"},
    {1,
     3,
     {{.status = 206, .headers = ETAG "Content-Range: bytes 1-3/*\n", .body = "ell"}},
     1,
     CPAM_CORRUPT,
     "Content-Range is"},
    {1,
     9,
     {{.status = 206, .headers = ETAG "Content-Range: bytes 1-4/5\n", .body = "ello"}},
     1,
     CPAM_CORRUPT,
     "has 5 bytes, but bytes up to 10"},
    {0,
     0,
     {{.status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hello!"}},
     1,
     CPAM_CORRUPT,
     "more bytes came than"},
    {0,
     0,
     {{.status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hell"}},
     1,
     CPAM_CORRUPT,
     "only 4 of 5 bytes came"},
    {9, 1, {{.status = 416, .body = ERROR("InvalidRange")}}, 1, CPAM_CORRUPT, "416 InvalidRange"},
    {0, 0, {{.status = 404, .body = ERROR("NoSuchKey")}}, 1, CPAM_NOT_FOUND, "404 NoSuchKey"},
    {0, 0, {{.status = 404, .body = "<html>gone</html>"}}, 1, CPAM_UNKNOWN, "answered 404"},
    {0, 0, {{.status = 404}}, 1, CPAM_UNKNOWN, "answered 404"},
    {0, 0, {{.status = 404, .body = ERROR("NoSuchBucket")}}, 1, CPAM_REFUSED, "NoSuchBucket"},
    {0,
     0,
     {{.status = 404, .headers = "x-amz-delete-marker: true\n", .body = ERROR("NoSuchKey")}},
     1,
     CPAM_UNKNOWN,
     "a delete marker hides"},
    {0,
     0,
     {{.status = 405, .headers = "x-amz-delete-marker: true\n", .body = ERROR("MethodNotAllowed")}},
     1,
     CPAM_UNKNOWN,
     "a delete marker hides"},
    {0, 0, {{.status = 403, .body = ERROR("AccessDenied")}}, 1, CPAM_REFUSED, "AccessDenied"},
    {0,
     0,
     {{.status = 403, .body = ERROR("InvalidObjectState")}},
     1,
     CPAM_REFUSED,
     "InvalidObjectState"},
};

START_TEST(F1_get_delivers_what_was_asked_for_or_fails)
{
    struct fixture f;
    struct cpam_buf got = {0};
    struct sink *to = NULL;
    struct s3_info info = {0};
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", gets[_i].answers, gets[_i].count);
    ck_ok(sink_buf_push(&to, &got, 100, &err), &err);
    const struct s3_get get = {
        .key = "k", .offset = gets[_i].offset, .size = gets[_i].size, .to = to};
    if (gets[_i].status == CPAM_OK)
    {
        ck_ok(s3_get(f.s3, &get, f.deadline, &info, &err), &err);
        ck_assert_str_eq(cpam_buf_text(&got), gets[_i].why);
    }
    else
    {
        ck_fails(s3_get(f.s3, &get, f.deadline, &info, &err), gets[_i].status, gets[_i].why, &err);
        ck_assert_uint_lt(got.size, 6);
    }
    sink_free(to);
    cpam_buf_clear(&got);
    close_s3(&f);
}
END_TEST

static enum cpam_status
full_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    (void) sink, (void) data, (void) size;
    return cpam_fail(err, CPAM_TRANSIENT, 0, "the disk is busy");
}

START_TEST(a_sink_that_failed_is_not_written_again)
{
    const struct fake_answer answer = {
        .status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hello"};
    static const struct sink_ops ops = {.write = full_write};
    struct sink sink = {.ops = &ops};
    const struct s3_get get = {.key = "k", .to = &sink};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", &answer, 1);
    ck_fails(s3_get(f.s3, &get, f.deadline, &info, &err), CPAM_IO, "the disk is busy", &err);
    close_s3(&f);
}
END_TEST

/* --- head ------------------------------------------------------------------------------------- */

static const struct
{
    struct fake_answer answers[2];
    size_t count;
    enum cpam_status status;
    const char *why;
} heads[] = {
    {{{.status = 200, .headers = ETAG "Content-Length: 5\n"}}, 1, CPAM_OK, ""},
    {{{.status = 404}, {.status = 404, .body = ERROR("NoSuchKey")}},
     2,
     CPAM_NOT_FOUND,
     "NoSuchKey"},
    {{{.status = 404}, {.status = 404, .body = ERROR("NoSuchBucket")}},
     2,
     CPAM_REFUSED,
     "NoSuchBucket"},
    {{{.status = 404}, {.status = 404}}, 2, CPAM_UNKNOWN, "404"},
    {{{.status = 404}, {.status = 206, .headers = ETAG, .body = "x"}},
     2,
     CPAM_UNKNOWN,
     "a HEAD is refused, but a GET finds it"},
    {{{.status = 404, .headers = "x-amz-delete-marker: true\n"}},
     1,
     CPAM_UNKNOWN,
     "a delete marker hides"},
    {{{.status = 403}, {.status = 403, .body = ERROR("AccessDenied")}},
     2,
     CPAM_REFUSED,
     "AccessDenied"},
    {{{.status = 200, .headers = ETAG}}, 1, CPAM_CORRUPT, "no length or no ETag"},
    {{{.status = 200, .headers = "Content-Length: 5\n"}}, 1, CPAM_CORRUPT, "no length or no ETag"},
};

START_TEST(F1_head_tells_absent_from_unknown)
{
    struct fixture f;
    struct s3_info info = {0};
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", heads[_i].answers, heads[_i].count);
    if (heads[_i].status == CPAM_OK)
    {
        ck_ok(s3_head(f.s3, "k", NULL, f.deadline, &info, &err), &err);
        ck_assert_uint_eq(info.size, 5);
        ck_assert_str_eq(info.etag, "0123456789abcdef0123456789abcdef");
    }
    else
        ck_fails(s3_head(f.s3, "k", NULL, f.deadline, &info, &err), heads[_i].status, heads[_i].why,
                 &err);
    close_s3(&f);
}
END_TEST

START_TEST(delete_of_what_is_not_there_is_done)
{
    static const struct fake_answer answers[] = {
        {.status = 204, .headers = "x-amz-delete-marker: true\n"},
        {.status = 404, .body = ERROR("NoSuchKey")},
        {.status = 404, .body = ERROR("NoSuchBucket")},
        {.status = 403, .body = ERROR("AccessDenied")}};
    static const enum cpam_status wanted[] = {CPAM_OK, CPAM_OK, CPAM_REFUSED, CPAM_REFUSED};
    struct fixture f;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", &answers[_i], 1);
    ck_assert_int_eq(s3_delete(f.s3, "k", "v/1", f.deadline, &err), wanted[_i]);
    ck_asked(&f, "DELETE https://s3.example.net/cpam/k?versionId=v%2F1\n");
    close_s3(&f);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("s3");
    TCase *tcase = tcase_create("requests");

    tcase_add_loop_test(tcase, put_is_refused, 0, (int) COUNT_OF(refusals));
    tcase_add_loop_test(tcase, S1_put_is_tried_again, 0, (int) COUNT_OF(passing));
    tcase_add_loop_test(tcase, S2_S8_put_says_what_the_store_needs_to_refuse, 0, 2);
    tcase_add_test(tcase, etag_under_kms_is_no_md5);
    tcase_add_test(tcase, S1_retry_after_is_read);
    tcase_add_test(tcase, S10_a_wrong_clock_is_learnt_from_the_store);
    tcase_add_test(tcase, S10_a_store_that_never_agrees_is_refused);
    tcase_add_loop_test(tcase, F1_get_delivers_what_was_asked_for_or_fails, 0,
                        (int) COUNT_OF(gets));
    tcase_add_test(tcase, a_sink_that_failed_is_not_written_again);
    tcase_add_loop_test(tcase, F1_head_tells_absent_from_unknown, 0, (int) COUNT_OF(heads));
    tcase_add_loop_test(tcase, delete_of_what_is_not_there_is_done, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}
