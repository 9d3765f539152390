/*
 * test_put.c - what is sent with a put, and what a bucket's answers to it mean.
 */
#include "suite.h"

#include <unistd.h>

#include "fake_bucket.h"

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
    {{.status = 301,
      .body = "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.example.org</Endpoint></Error>"},
     CPAM_REFUSED,
     "301 PermanentRedirect",
     "is to be asked for at \"b.s3.example.org\": set \"endpoint\""},
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

/* The clock stands still: the same request is signed alike. */
START_TEST(E8_what_signs_for_us_is_not_repeated_in_a_sentence)
{
    static const struct
    {
        const char *before, *behind;
    } documents[] = {{"<Error><Code>", "</Code></Error>"},
                     {"<Error><Code>AccessDenied</Code><Message>you sent ", "</Message></Error>"},
                     {"<Error><Code>AccessDenied</Code><RequestId>", "</RequestId></Error>"},
                     {"<Error><Code>AccessDenied</Code><Region>", "</Region></Error>"},
                     {"<Error><Code>AccessDenied</Code><Key>", "</Key></Error>"}};
    struct fake_answer answer = {.status = 403, .body = ERROR("AccessDenied")};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;
    char signature[65], body[1024], headers[1024];
    const char *leaks[] = {"secret", "to/ken+", signature};

    open_s3(&f, "https://s3.example.net", &answer, 1);
    ck_fails(put_hello(&f, &info, &err), CPAM_REFUSED, "AccessDenied", &err);
    snprintf(signature, sizeof(signature), "%s", strstr(f.http.asked, "Signature=") + 10);
    close_s3(&f);
    for (size_t i = 0; i < COUNT_OF(leaks); i++)
    {
        char text[256];

        snprintf(text, sizeof(text), "<%s>%s", leaks[i], leaks[i]);
        snprintf(headers, sizeof(headers), "x-amz-request-id: %s\nx-amz-bucket-region: %s\n", text,
                 text);
        snprintf(text, sizeof(text), "&lt;%s&gt;%s", leaks[i], leaks[i]);
        snprintf(body, sizeof(body), "%s%s%s", documents[_i].before, text, documents[_i].behind);
        answer.body = body;
        answer.headers = _i == 4 ? headers : NULL;
        open_s3(&f, "https://s3.example.net", &answer, 1);
        ck_fails(put_hello(&f, &info, &err), CPAM_REFUSED, "answered 403", &err);
        ck_asked(&f, signature);
        ck_assert_msg(strstr(err.text, leaks[i]) == NULL, "%s", err.text);
        ck_assert_msg(strstr(err.hint, leaks[i]) == NULL, "%s", err.hint);
        ck_assert(strstr(err.text, "***") != NULL || strstr(err.hint, "***") != NULL);
        close_s3(&f);
    }
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
    {.status = 200, .headers = HELLO, .body = "\n \r\n" ERROR("InternalError")},
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

START_TEST(S1_a_redirect_that_stays_says_where_to)
{
    const struct fake_answer answer = {
        .status = 307,
        .body =
            "<Error><Code>TemporaryRedirect</Code><Endpoint>b.s3.example.org</Endpoint></Error>"};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", &answer, 1);
    f.deadline = deadline_after(&f.io.base, 100); /* too short for another attempt */
    ck_fails(put_hello(&f, &info, &err), CPAM_DEADLINE, "307 TemporaryRedirect", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "asked for at \"b.s3.example.org\""));
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

static const struct
{
    const char *sse, *lock_mode;
    int64_t lock_us;
    bool lock;
    const char *asked[4], *not_asked;
} protections[] = {
    {NULL, NULL, 0, true, {NULL}, "x-amz-object-lock"},
    {"none", NULL, 0, true, {NULL}, "x-amz-server-side-encryption"},
    {"AES256", NULL, 0, true, {"x-amz-server-side-encryption: AES256\n"}, "aws-kms"},
    {"aws:kms",
     NULL,
     0,
     true,
     {"x-amz-server-side-encryption: aws:kms\n",
      "x-amz-server-side-encryption-aws-kms-key-id: arn:key\n"},
     "x-amz-object-lock"},
    /* the clock stands at 1000 s; a lock of a day */
    {NULL,
     "COMPLIANCE",
     86400000000,
     true,
     {"x-amz-object-lock-mode: COMPLIANCE\n",
      "x-amz-object-lock-retain-until-date: 1970-01-02T00:16:40Z\n", "Content-MD5: "},
     "x-amz-server-side-encryption"},
    {NULL, "COMPLIANCE", 86400000000, false, {NULL}, "x-amz-object-lock"},
};

START_TEST(S6_S12_put_asks_for_encryption_and_lock)
{
    const struct fake_answer answer = {.status = 200, .headers = HELLO};
    const struct s3_settings settings = {.bucket = "cpam",
                                         .endpoint = "https://s3.example.net",
                                         .server_side_encryption = protections[_i].sse,
                                         .kms_key = "arn:key",
                                         .lock_mode = protections[_i].lock_mode,
                                         .lock_us = protections[_i].lock_us};
    const struct s3_put put = {
        .key = "k", .body = {.data = "hello", .fd = -1, .size = 5}, .lock = protections[_i].lock};
    struct credentials *credentials = NULL;
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    fake_io_init(&f.io, CLOCK);
    fake_http_init(&f.http, &answer, 1);
    ck_ok(credentials_new("AKID", "secret", 6, NULL, 0, "the test", &credentials, &err), &err);
    ck_ok(s3_open(&f.io.base, &settings, &f.http.base, credentials, &f.s3, &err), &err);
    ck_ok(s3_put_new(f.s3, &put, (struct deadline){0}, &info, &err), &err);
    for (int i = 0; i < 4 && protections[_i].asked[i] != NULL; i++)
        ck_asked(&f, protections[_i].asked[i]);
    ck_assert_ptr_null(strstr(f.http.asked, protections[_i].not_asked));
    close_s3(&f);
}
END_TEST

START_TEST(P8_a_body_from_a_file_has_the_files_digests)
{
    const struct fake_answer answer = {.status = 200, .headers = HELLO};
    char path[] = "/tmp/cpam-s3-XXXXXX";
    int fd = mkstemp(path);
    struct s3_put put = {.key = "k", .body = {.fd = fd, .offset = 3, .size = 5}};
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(write(fd, "-- hello", 8), 8);
    open_s3(&f, "http://127.0.0.1:9000", &answer, 1);
    ck_ok(s3_put_new(f.s3, &put, f.deadline, &info, &err), &err);
    ck_asked(&f, "Content-MD5: XUFAKrxLKna5cZ2REBfFkg==\n");
    ck_asked(&f, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    put.body.size = 6; /* the file is shorter than that */
    ck_fails(s3_put_new(f.s3, &put, f.deadline, &info, &err), CPAM_IO, "it became shorter", &err);
    put.body.fd = -1;
    ck_fails(s3_put_new(f.s3, &put, f.deadline, &info, &err), CPAM_IO, "Bad file descriptor", &err);
    close(fd);
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

START_TEST(S3_an_acknowledged_upload_that_is_not_found_is_unknown)
{
    static const struct fake_answer answers[] = {
        {.status = 200,
         .body = "<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                 "</InitiateMultipartUploadResult>"},
        {.status = 200, .headers = HELLO},
        {.status = 200, .body = "<CompleteMultipartUploadResult/>"},
        {.status = 404},
        {.status = 404, .body = ERROR("NoSuchKey")}};
    const struct s3_put put = {.key = "a/k"};
    const struct http_body body = {.data = "hello", .fd = -1, .size = 5};
    CPAM_AUTO(s3_upload_free) struct s3_upload *upload = NULL;
    struct fixture f;
    struct s3_info info;
    struct cpam_err err;

    open_s3(&f, "https://s3.example.net", answers, COUNT_OF(answers));
    ck_ok(s3_upload_new(f.s3, &put, f.deadline, &upload, &err), &err);
    ck_ok(s3_upload_part(upload, &body, f.deadline, &err), &err);
    ck_fails(s3_upload_complete(upload, f.deadline, &info, &err), CPAM_UNKNOWN,
             "the store acknowledged an upload in parts, but does not find the object", &err);
    close_s3(&f);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("put");
    TCase *tcase = tcase_create("put");

    tcase_add_loop_test(tcase, put_is_refused, 0, (int) COUNT_OF(refusals));
    tcase_add_loop_test(tcase, E8_what_signs_for_us_is_not_repeated_in_a_sentence, 0, 5);
    tcase_add_loop_test(tcase, S1_put_is_tried_again, 0, (int) COUNT_OF(passing));
    tcase_add_test(tcase, S1_a_redirect_that_stays_says_where_to);
    tcase_add_loop_test(tcase, S2_S8_put_says_what_the_store_needs_to_refuse, 0, 2);
    tcase_add_loop_test(tcase, S6_S12_put_asks_for_encryption_and_lock, 0,
                        (int) COUNT_OF(protections));
    tcase_add_test(tcase, P8_a_body_from_a_file_has_the_files_digests);
    tcase_add_test(tcase, etag_under_kms_is_no_md5);
    tcase_add_test(tcase, S1_retry_after_is_read);
    tcase_add_test(tcase, S10_a_wrong_clock_is_learnt_from_the_store);
    tcase_add_test(tcase, S10_a_store_that_never_agrees_is_refused);
    tcase_add_test(tcase, S3_an_acknowledged_upload_that_is_not_found_is_unknown);
    suite_add_tcase(suite, tcase);
    return suite;
}
