/*
 * test_get.c - what a bucket's answers to get, head and delete mean.
 */
#include "suite.h"

#include "fake_bucket.h"
#include "io/sink.h"

/* NoSuchKey, and what else the document has to say */
#define ABOUT(more) "<Error><Code>NoSuchKey</Code>" more "<RequestId>R1</RequestId></Error>"

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
    /* NoSuchKey under another status, or in a document that is not whole or not of this object */
    {0, 0, {{.status = 403, .body = ERROR("NoSuchKey")}}, 1, CPAM_REFUSED, "no answer about an"},
    {0, 0, {{.status = 302, .body = ERROR("NoSuchKey")}}, 1, CPAM_REFUSED, "no answer about an"},
    {0, 0, {{.status = 400, .body = ERROR("NoSuchVersion")}}, 1, CPAM_REFUSED, "NoSuchVersion"},
    {0, 0, {{.status = 410, .body = ERROR("NoSuchKey")}}, 1, CPAM_REFUSED, "no answer about an"},
    {0,
     0,
     {{.status = 500, .body = ERROR("NoSuchKey")}, {.status = 404, .body = ERROR("NoSuchKey")}},
     2,
     CPAM_NOT_FOUND,
     "404 NoSuchKey"},
    {0,
     0,
     {{.status = 503, .body = ERROR("NoSuchKey")},
      {.status = 200, .headers = ETAG "Content-Length: 5\n", .body = "hello"}},
     2,
     CPAM_OK,
     "hello"},
    {0,
     0,
     {{.status = 404, .body = "<Error><Code>NoSuchKey</Code><Mess"}},
     1,
     CPAM_UNKNOWN,
     "404 NoSuchKey, in an error document that breaks off"},
    {0,
     0,
     {{.status = 404, .body = ABOUT("<Code>AccessDenied</Code>")}},
     1,
     CPAM_UNKNOWN,
     "with several codes"},
    {0,
     0,
     {{.status = 404, .body = ABOUT("<Key>wal/2</Key>")}},
     1,
     CPAM_UNKNOWN,
     "404 NoSuchKey, request id R1, in an error document about another object"},
    {0,
     0,
     {{.status = 404, .body = ABOUT("<Key>wal/1.partial</Key>")}},
     1,
     CPAM_UNKNOWN,
     "about another object"},
    {0,
     0,
     {{.status = 404, .body = ABOUT("<Key>a/wal/1</Key><Key>other</Key>")}},
     1,
     CPAM_UNKNOWN,
     "about another object"},
    {0,
     0,
     {{.status = 404, .body = ABOUT("<Key>wal/1</Key><BucketName>cpam2</BucketName>")}},
     1,
     CPAM_UNKNOWN,
     "about another object"},
    /* as AWS, MinIO, Ceph with a tenant, SeaweedFS and Garage name it */
    {0, 0, {{.status = 404, .body = ABOUT("<Key>wal/1</Key>")}}, 1, CPAM_NOT_FOUND, "NoSuchKey"},
    {0,
     0,
     {{.status = 404,
       .body = ABOUT("<Key>wal/1</Key><BucketName>cpam</BucketName><Resource>/cpam/wal/1"
                     "</Resource>")}},
     1,
     CPAM_NOT_FOUND,
     "NoSuchKey"},
    {0,
     0,
     {{.status = 404, .body = ABOUT("<BucketName>tenant:cpam</BucketName>")}},
     1,
     CPAM_NOT_FOUND,
     "NoSuchKey"},
    {0,
     0,
     {{.status = 404, .body = ABOUT("<Key>/wal/1</Key><BucketName>cpam</BucketName>")}},
     1,
     CPAM_NOT_FOUND,
     "NoSuchKey"},
    {0, 0, {{.status = 404, .body = ABOUT("<Key>wal%2F1</Key>")}}, 1, CPAM_NOT_FOUND, "NoSuch"},
    {0, 0, {{.status = 404, .body = ABOUT("<Key/><BucketName/>")}}, 1, CPAM_NOT_FOUND, "NoSuch"},
    {0,
     0,
     {{.status = 404, .body = ABOUT("<Resource>/x/y</Resource><Region>garage</Region>")}},
     1,
     CPAM_NOT_FOUND,
     "NoSuchKey"},
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
        .key = "wal/1", .offset = gets[_i].offset, .size = gets[_i].size, .to = to};
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

/* 2027-01-04 09:35:33 UTC, as stores write it, and nothing that is no moment. */
static const struct
{
    const char *until;
    int64_t seconds;
} locks[] = {
    {"2027-01-04T09:35:33Z", 1799055333},
    {"2027-01-04T09:35:33.123Z", 1799055333},
    {"2027-01-04T09:35:33.123456789Z", 1799055333},
    {"for ever", 0},
    {"", 0},
    {"2027-01-04", 0},
};

START_TEST(S6_head_tells_until_when_it_is_locked)
{
    struct fixture f;
    struct s3_info info = {0};
    struct cpam_err err;
    char headers[256];

    snprintf(headers, sizeof(headers),
             ETAG "Content-Length: 5\nx-amz-object-lock-mode: COMPLIANCE\n"
                  "x-amz-object-lock-retain-until-date: %s\n",
             locks[_i].until);
    const struct fake_answer answer = {.status = 200, .headers = headers};
    open_s3(&f, "https://s3.example.net", &answer, 1);
    ck_ok(s3_head(f.s3, "k", NULL, f.deadline, &info, &err), &err);
    ck_assert(info.is_locked);
    ck_assert_int_eq(info.locked_until, locks[_i].seconds * 1000000);
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
    Suite *suite = suite_create("get");
    TCase *tcase = tcase_create("get");

    tcase_add_loop_test(tcase, F1_get_delivers_what_was_asked_for_or_fails, 0,
                        (int) COUNT_OF(gets));
    tcase_add_test(tcase, a_sink_that_failed_is_not_written_again);
    tcase_add_loop_test(tcase, F1_head_tells_absent_from_unknown, 0, (int) COUNT_OF(heads));
    tcase_add_loop_test(tcase, S6_head_tells_until_when_it_is_locked, 0, (int) COUNT_OF(locks));
    tcase_add_loop_test(tcase, delete_of_what_is_not_there_is_done, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}
