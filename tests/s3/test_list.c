/*
 * test_list.c - listings that lie are found out; multipart uploads that went wrong too.
 */
#include "suite.h"

#include "fake_http.h"
#include "s3/s3.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ERROR(code)     "<Error><Code>" code "</Code></Error>"
#define LIST(more)                                                                                 \
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" more                    \
    "</ListBucketResult>"
#define WHOLE "<IsTruncated>false</IsTruncated>"
#define MORE(token)                                                                                \
    "<IsTruncated>true</IsTruncated><NextContinuationToken>" token "</NextContinuationToken>"
#define KEY(key)                                                                                   \
    "<Contents><Key>" key "</Key><Size>7</Size><ETag>&quot;e&quot;</ETag>"                         \
    "<LastModified>2026-11-23T15:40:08.000Z</LastModified></Contents>"
#define DIR(key) "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"

struct fixture
{
    struct fake_io io;
    struct fake_http http;
    struct s3 *s3;
    struct fake_answer answers[5];
    int64_t lock_us; /* 0: no lock */
    char seen[4096];
    size_t used;
};

static void
open_s3(struct fixture *f, size_t count)
{
    const struct s3_settings settings = {.bucket = "cpam",
                                         .endpoint = "https://s3.example.net",
                                         .lock_mode = f->lock_us > 0 ? "COMPLIANCE" : NULL,
                                         .lock_us = f->lock_us};
    struct credentials *credentials = NULL;
    struct cpam_err err;

    fake_io_init(&f->io, 1000000000);
    fake_http_init(&f->http, f->answers, count);
    ck_ok(credentials_new("AKID", "secret", 6, NULL, 0, "the test", &credentials, &err), &err);
    ck_ok(s3_open(&f->io.base, &settings, &f->http.base, credentials, &f->s3, &err), &err);
    f->used = 0;
    f->seen[0] = '\0';
}

static enum cpam_status
see(void *arg, const struct s3_entry *entry, struct cpam_err *err)
{
    struct fixture *f = arg;

    f->used += (size_t) snprintf(f->seen + f->used, sizeof(f->seen) - f->used, "%s%s%s%s ",
                                 entry->key, entry->is_marker ? "!" : "",
                                 entry->version[0] != '\0' ? "@" : "", entry->version);
    if (strcmp(entry->key, "p/stop") == 0)
        return CPAM_CANCELLED;
    if (strcmp(entry->key, "p/fail") == 0)
        return cpam_fail(err, CPAM_INTERNAL, 0, "the caller's failure");
    return CPAM_OK;
}

static const struct
{
    const char *pages[3], *after;
    bool delimited;
    enum cpam_status status;
    const char *words; /* keys that are told, or the sentence */
} lists[] = {
    {{LIST(WHOLE)}, NULL, false, CPAM_OK, ""},
    {{LIST(WHOLE KEY("p/a") KEY("p/b"))}, NULL, false, CPAM_OK, "p/a p/b "},
    {{LIST(KEY("p/a") MORE("t1")), LIST(KEY("p/b") WHOLE)}, NULL, false, CPAM_OK, "p/a p/b "},
    {{LIST(MORE("t1")), LIST(KEY("p/b") WHOLE)}, NULL, false, CPAM_OK, "p/b "},
    {{LIST(KEY("p/a") KEY("p/d") DIR("p/b/") DIR("p/e/") WHOLE)},
     NULL,
     true,
     CPAM_OK,
     "p/a p/b/ p/d p/e/ "},
    {{LIST(KEY("p/b") WHOLE)}, "p/a", false, CPAM_OK, "p/b "},
    {{LIST(DIR("p/b/") WHOLE)}, "p/b/5", true, CPAM_OK, "p/b/ "},
    {{LIST(KEY("p/stop") MORE("t1"))}, NULL, false, CPAM_OK, "p/stop "},
    {{LIST("<EncodingType>url</EncodingType>" KEY("p/a%2Bb+c%2f%C3%BC") WHOLE)},
     NULL,
     false,
     CPAM_OK,
     "p/a+b c/\xc3\xbc "},
    {{LIST(KEY("p/a%2Bb") WHOLE)}, NULL, false, CPAM_OK, "p/a%2Bb "}, /* not told to be encoded */
    {{"<s3:ListBucketResult xmlns:s3=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<s3:IsTruncated>false</s3:IsTruncated><s3:Contents><s3:Key>p/a</s3:Key></s3:Contents>"
      "</s3:ListBucketResult>"},
     NULL,
     false,
     CPAM_OK,
     "p/a "},
    /* lies */
    {{LIST(KEY("p/fail") WHOLE)}, NULL, false, CPAM_INTERNAL, "the caller's failure"},
    {{LIST(KEY("p/a") MORE("t1")), LIST(KEY("p/b") MORE("t1"))},
     NULL,
     false,
     CPAM_UNKNOWN,
     "repeats its continuation token"},
    {{LIST(KEY("p/a") "<IsTruncated>true</IsTruncated>")},
     NULL,
     false,
     CPAM_UNKNOWN,
     "does not say where to go on"},
    {{LIST(KEY("p/a") MORE(""))}, NULL, false, CPAM_UNKNOWN, "does not say where to go on"},
    {{LIST(KEY("p/a") MORE("t1")), LIST(KEY("p/a") WHOLE)},
     NULL,
     false,
     CPAM_UNKNOWN,
     "goes back: \"p/a\" comes after \"p/a\""},
    {{LIST(KEY("p/b") MORE("t1")), LIST(KEY("p/a") WHOLE)}, NULL, false, CPAM_UNKNOWN, "goes back"},
    {{LIST(KEY("p/a") KEY("p/a") WHOLE)}, NULL, false, CPAM_UNKNOWN, "goes back"},
    {{LIST(KEY("p/a") WHOLE)}, "p/a", false, CPAM_UNKNOWN, "goes back"},
    {{LIST(KEY("q/a") WHOLE)}, NULL, false, CPAM_UNKNOWN, "\"q/a\", which was not asked for"},
    {{LIST(KEY("p/a"))}, NULL, false, CPAM_UNKNOWN, "does not say whether it is whole"},
    {{LIST("<IsTruncated>maybe</IsTruncated>")}, NULL, false, CPAM_UNKNOWN, "whether it is whole"},
    {{"<html><body>welcome</body></html>"}, NULL, false, CPAM_UNKNOWN, "is no listing"},
    {{"<ListBucketResult>" KEY("p/a")}, NULL, false, CPAM_UNKNOWN, "can't be read"},
    {{""}, NULL, false, CPAM_UNKNOWN, "can't be read"},
    {{LIST("<Contents><Size>5</Size></Contents>" WHOLE)},
     NULL,
     false,
     CPAM_UNKNOWN,
     "an entry without a key"},
    {{LIST("<Contents><Key>p/a</Key><Size>-5</Size></Contents>" WHOLE)},
     NULL,
     false,
     CPAM_UNKNOWN,
     "is not a number"},
    {{LIST("<EncodingType>url</EncodingType>" KEY("p/%0") WHOLE)},
     NULL,
     false,
     CPAM_UNKNOWN,
     "can't be decoded"},
    {{LIST("<EncodingType>url</EncodingType>" KEY("p/%00") WHOLE)},
     NULL,
     false,
     CPAM_UNKNOWN,
     "a zero byte"},
};

START_TEST(S3_listing_is_whole_or_unknown)
{
    struct fixture f = {0};
    size_t count = 0;
    const struct s3_list list = {
        .prefix = "p/", .after = lists[_i].after, .delimited = lists[_i].delimited};
    struct cpam_err err;

    for (; count < 3 && lists[_i].pages[count] != NULL; count++)
        f.answers[count] = (struct fake_answer){.status = 200, .body = lists[_i].pages[count]};
    open_s3(&f, count);
    if (lists[_i].status == CPAM_OK)
    {
        ck_ok(s3_list(f.s3, &list, see, &f, (struct deadline){0}, &err), &err);
        ck_assert_str_eq(f.seen, lists[_i].words);
    }
    else
        ck_fails(s3_list(f.s3, &list, see, &f, (struct deadline){0}, &err), lists[_i].status,
                 lists[_i].words, &err);
    ck_assert_uint_eq(f.http.next, count);
    ck_assert_ptr_nonnull(strstr(f.http.asked, "list-type=2"));
    s3_free(f.s3);
}
END_TEST

#define VERSIONS(more) "<ListVersionsResult>" more "</ListVersionsResult>"
#define VERSION(key, id)                                                                           \
    "<Version><Key>" key "</Key><VersionId>" id "</VersionId><Size>1</Size></Version>"
#define MARKER(key, id)                                                                            \
    "<DeleteMarker><Key>" key "</Key><VersionId>" id "</VersionId></DeleteMarker>"
#define NEXT(key, id)                                                                              \
    "<IsTruncated>true</IsTruncated><NextKeyMarker>" key                                           \
    "</NextKeyMarker><NextVersionIdMarker>" id "</NextVersionIdMarker>"

static const struct
{
    const char *pages[3];
    enum cpam_status status;
    const char *words;
} versions[] = {
    {{VERSIONS(WHOLE)}, CPAM_OK, ""},
    {{VERSIONS(VERSION("k", "2") VERSION("k", "1") WHOLE)}, CPAM_OK, "k@2 k@1 "},
    {{VERSIONS(MARKER("k", "3") VERSION("k", "1") WHOLE)}, CPAM_OK, "k!@3 k@1 "},
    {{VERSIONS(VERSION("k", "1") VERSION("k.partial", "7") WHOLE)}, CPAM_OK, "k@1 "},
    {{VERSIONS(VERSION("k", "2") NEXT("k", "2")), VERSIONS(VERSION("k", "1") WHOLE)},
     CPAM_OK,
     "k@2 k@1 "},
    /* the listing has gone on to other keys: the rest is not asked for */
    {{VERSIONS(VERSION("k", "2") VERSION("k.x", "1") NEXT("k.x", "1"))}, CPAM_OK, "k@2 "},
    {{VERSIONS(VERSION("k", "2") NEXT("k", "2")), VERSIONS(VERSION("k", "2") NEXT("k", "2"))},
     CPAM_UNKNOWN,
     "does not say where to go on"},
    {{VERSIONS(VERSION("k", "2") "<IsTruncated>true</IsTruncated>")},
     CPAM_UNKNOWN,
     "does not say where to go on"},
    {{VERSIONS(VERSION("j", "2") WHOLE)}, CPAM_UNKNOWN, "\"j\", which was not asked for"},
    {{LIST(KEY("k") WHOLE)}, CPAM_UNKNOWN, "is no listing"},
};

#define VERSIONS(more)      "<ListVersionsResult>" more "</ListVersionsResult>"
#define VERSION_OF(key, id) "<Version><Key>" key "</Key><VersionId>" id "</VersionId></Version>"
#define MARKER_OF(key, id)                                                                         \
    "<DeleteMarker><Key>" key "</Key><VersionId>" id "</VersionId></DeleteMarker>"
#define MORE_AT(key, id)                                                                           \
    "<IsTruncated>true</IsTruncated><NextKeyMarker>" key "</NextKeyMarker>"                        \
    "<NextVersionIdMarker>" id "</NextVersionIdMarker>"

/* Of all keys; a key's versions may go on over the page, and markers stand in a block of their own. */
static const struct
{
    const char *pages[3];
    enum cpam_status status;
    const char *words;
} histories[] = {
    {{VERSIONS(WHOLE)}, CPAM_OK, ""},
    {{VERSIONS(VERSION_OF("p/a", "2") VERSION_OF("p/a", "1") VERSION_OF("p/b", "3")
                   MARKER_OF("p/a", "4") DIR("p/aa/") WHOLE)},
     CPAM_OK,
     "p/a@2 p/a@1 p/a!@4 p/aa/ p/b@3 "},
    {{VERSIONS(VERSION_OF("p/a", "2") MORE_AT("p/a", "2")),
      VERSIONS(VERSION_OF("p/a", "1") VERSION_OF("p/b", "3") WHOLE)},
     CPAM_OK,
     "p/a@2 p/a@1 p/b@3 "},
    {{VERSIONS(VERSION_OF("p/stop", "2") VERSION_OF("p/x", "2") WHOLE)}, CPAM_OK, "p/stop@2 "},
    {{VERSIONS(VERSION_OF("p/b", "2") MORE_AT("p/b", "2")), VERSIONS(VERSION_OF("p/a", "1") WHOLE)},
     CPAM_UNKNOWN,
     "goes back"},
    {{VERSIONS(VERSION_OF("q/a", "2") WHOLE)}, CPAM_UNKNOWN, "which was not asked for"},
    {{VERSIONS(VERSION_OF("p/b", "2") MORE_AT("p/b", "2")),
      VERSIONS(VERSION_OF("p/b", "1") MORE_AT("p/b", "2"))},
     CPAM_UNKNOWN,
     "does not say where to go on"},
    {{VERSIONS(VERSION_OF("p/b", "2") "<IsTruncated>true</IsTruncated>")},
     CPAM_UNKNOWN,
     "does not say where to go on"},
    {{VERSIONS(VERSION_OF("p/b", "2"))}, CPAM_UNKNOWN, "whether it is whole"},
};

START_TEST(T13_a_listing_of_all_versions_is_whole_or_unknown)
{
    const struct s3_list list = {.prefix = "p/", .after = "p/0", .delimited = true};
    struct fixture f = {0};
    size_t count = 0;
    struct cpam_err err;

    for (; count < 3 && histories[_i].pages[count] != NULL; count++)
        f.answers[count] = (struct fake_answer){.status = 200, .body = histories[_i].pages[count]};
    open_s3(&f, count);
    if (histories[_i].status == CPAM_OK)
    {
        ck_ok(s3_list_versions(f.s3, &list, see, &f, (struct deadline){0}, &err), &err);
        ck_assert_str_eq(f.seen, histories[_i].words);
    }
    else
        ck_fails(s3_list_versions(f.s3, &list, see, &f, (struct deadline){0}, &err),
                 histories[_i].status, histories[_i].words, &err);
    ck_assert_ptr_nonnull(strstr(f.http.asked, "key-marker=p%2F0&"));
    if (count > 1)
        ck_assert_ptr_nonnull(strstr(f.http.asked, "version-id-marker=2&"));
    ck_assert_uint_eq(f.http.next, count);
    s3_free(f.s3);
}
END_TEST

START_TEST(F5_versions_are_whole_or_unknown)
{
    struct fixture f = {0};
    size_t count = 0;
    struct cpam_err err;

    for (; count < 3 && versions[_i].pages[count] != NULL; count++)
        f.answers[count] = (struct fake_answer){.status = 200, .body = versions[_i].pages[count]};
    open_s3(&f, count);
    if (versions[_i].status == CPAM_OK)
    {
        ck_ok(s3_versions(f.s3, "k", see, &f, (struct deadline){0}, &err), &err);
        ck_assert_str_eq(f.seen, versions[_i].words);
    }
    else
        ck_fails(s3_versions(f.s3, "k", see, &f, (struct deadline){0}, &err), versions[_i].status,
                 versions[_i].words, &err);
    ck_assert_uint_eq(f.http.next, count);
    s3_free(f.s3);
}
END_TEST

static const struct
{
    struct fake_answer answer;
    enum cpam_status status;
    enum s3_versioning versioning;
} configurations[] = {
    {{.status = 200, .body = "<VersioningConfiguration/>"}, CPAM_OK, S3_VERSIONING_NEVER},
    {{.status = 200,
      .body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"},
     CPAM_OK,
     S3_VERSIONING_ENABLED},
    {{.status = 200,
      .body = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"},
     CPAM_OK,
     S3_VERSIONING_SUSPENDED},
    {{.status = 403, .body = ERROR("AccessDenied")}, CPAM_OK, S3_VERSIONING_UNTOLD},
    {{.status = 501, .body = ERROR("NotImplemented")}, CPAM_OK, S3_VERSIONING_UNTOLD},
    {{.status = 405, .body = ERROR("MethodNotAllowed")}, CPAM_OK, S3_VERSIONING_UNTOLD},
    {{.status = 404, .body = ERROR("UnsupportedOperation")}, CPAM_OK, S3_VERSIONING_UNTOLD},
    /* what is not said by the store, or is about something else */
    {{.status = 404, .body = "<html><body>Not Found</body></html>"}, CPAM_UNKNOWN, 0},
    {{.status = 404}, CPAM_UNKNOWN, 0},
    {{.status = 404, .body = ERROR("NoSuchKey")}, CPAM_UNKNOWN, 0},
    {{.status = 403, .body = "<html><body>Forbidden</body></html>"}, CPAM_REFUSED, 0},
    {{.status = 501, .body = "<html/>"}, CPAM_REFUSED, 0},
    {{.status = 403, .body = ERROR("InvalidToken")}, CPAM_REFUSED, 0},
    {{.status = 403, .body = ERROR("SignatureDoesNotMatch")}, CPAM_REFUSED, 0},
    {{.status = 404, .body = ERROR("NoSuchBucket")}, CPAM_REFUSED, 0},
    {{.status = 200, .body = "<html/>"}, CPAM_UNKNOWN, 0},
    {{.status = 200, .body = "<Versioning"}, CPAM_UNKNOWN, 0},
    {{.status = 200, .body = ""}, CPAM_UNKNOWN, 0},
};

START_TEST(F5_versioning_is_read)
{
    struct fixture f = {0};
    enum s3_versioning versioning = S3_VERSIONING_UNTOLD;
    struct cpam_err err;

    f.answers[0] = configurations[_i].answer;
    open_s3(&f, 1);
    ck_assert_int_eq(s3_versioning(f.s3, (struct deadline){0}, &versioning, &err),
                     configurations[_i].status);
    if (configurations[_i].status == CPAM_OK)
        ck_assert_int_eq(versioning, configurations[_i].versioning);
    s3_free(f.s3);
}
END_TEST

/* --- multipart -------------------------------------------------------------------------------- */

#define BEGUN                                                                                      \
    {                                                                                              \
        .status = 200, .body = "<InitiateMultipartUploadResult><UploadId>u+1</UploadId>"           \
                               "</InitiateMultipartUploadResult>"                                  \
    }
/* MD5 of "hello"; and the MD5 of that MD5 */
#define PART                                                                                       \
    {                                                                                              \
        .status = 200, .headers = "ETag: \"5d41402abc4b2a76b9719d911017c592\"\n"                   \
    }

static const struct
{
    struct fake_answer complete, head;
    bool looks;
    enum cpam_status status;
    const char *why;
} completions[] = {
    {{.status = 200, .body = ERROR("InternalError")},
     {0},
     false,
     CPAM_DEADLINE,
     "InternalError"}, /* S3 */
    {{.status = 200, .body = "  \n" ERROR("InternalError")}, {0}, false, CPAM_DEADLINE, "Internal"},
    {{.status = 200, .body = "<CompleteMultipartUploadRes"},
     {0},
     false,
     CPAM_DEADLINE,
     "can't be read"},
    {{.status = 200, .body = ""}, {0}, false, CPAM_DEADLINE, "can't be read"},
    {{.status = 200, .body = " \n<?xml version=\"1.0\"?><CompleteMultipartUploadResult/>"},
     {.status = 200, .headers = "ETag: \"x\"\nContent-Length: 5\n"},
     true,
     CPAM_OK,
     ""},
    {{.status = 200, .body = "<CompleteMultipartUploadResult/>"},
     {.status = 200,
      .headers = "ETag: \"00000000000000000000000000000000-1\"\nContent-Length: 5\n"},
     true,
     CPAM_CORRUPT,
     "holds other bytes than were sent"},
    {{.status = 200, .body = "<CompleteMultipartUploadResult/>"},
     {.status = 200, .headers = "ETag: \"x\"\nContent-Length: 4\n"},
     true,
     CPAM_CORRUPT,
     "has 4 bytes where 5 were sent"},
    {{.status = 200, .body = "<CompleteMultipartUploadResult/>"},
     {.status = 200, .headers = "ETag: \"x\"\nContent-Length: 5\n"},
     true,
     CPAM_OK,
     ""}, /* an ETag that is no MD5 says nothing */
    /* the answer to an earlier attempt was lost: what is there now decides */
    {{.status = 404, .body = ERROR("NoSuchUpload")},
     {.status = 200, .headers = "ETag: \"x\"\nContent-Length: 5\n"},
     true,
     CPAM_OK,
     ""},
    {{.status = 404, .body = ERROR("NoSuchUpload")},
     {.status = 200, .headers = "ETag: \"x\"\nContent-Length: 9\n"},
     true,
     CPAM_REFUSED,
     "NoSuchUpload"},
    {{.status = 412, .body = ERROR("PreconditionFailed")},
     {.status = 200, .headers = "ETag: \"x\"\nContent-Length: 9\n"},
     true,
     CPAM_EXISTS,
     "PreconditionFailed"},
    {{.status = 403, .body = ERROR("AccessDenied")}, {0}, false, CPAM_REFUSED, "AccessDenied"},
};

START_TEST(S3_completion_is_looked_at)
{
    struct fixture f = {0};
    const struct s3_put put = {.key = "k"};
    struct s3_upload *upload = NULL;
    struct s3_info info;
    struct cpam_err err;
    bool repeats = completions[_i].status == CPAM_DEADLINE;

    f.answers[0] = (struct fake_answer) BEGUN;
    f.answers[1] = (struct fake_answer) PART;
    f.answers[2] = completions[_i].complete;
    f.answers[3] = completions[_i].head;
    open_s3(&f, completions[_i].looks ? 4 : 3);
    ck_ok(s3_upload_new(f.s3, &put, (struct deadline){0}, &upload, &err), &err);
    ck_ok(s3_upload_part(upload, &(struct http_body){.data = "hello", .fd = -1, .size = 5},
                         (struct deadline){0}, &err),
          &err);
    /* a deadline so short that what would be repeated is not */
    struct deadline deadline = repeats ? deadline_after(&f.io.base, 100) : (struct deadline){0};
    if (completions[_i].status == CPAM_OK)
        ck_ok(s3_upload_complete(upload, deadline, &info, &err), &err);
    else
        ck_fails(s3_upload_complete(upload, deadline, &info, &err), completions[_i].status,
                 completions[_i].why, &err);
    ck_assert_uint_eq(f.http.next, f.http.count);
    ck_assert_ptr_nonnull(strstr(f.http.asked, "partNumber=1&uploadId=u%2B1"));
    s3_upload_free(upload);
    s3_free(f.s3);
}
END_TEST

static const struct
{
    struct fake_answer answer;
    enum cpam_status status;
} aborts[] = {
    {{.status = 204}, CPAM_OK},
    {{.status = 404, .body = ERROR("NoSuchUpload")}, CPAM_OK},
    {{.status = 404, .body = ERROR("NoSuchKey")}, CPAM_OK},
    {{.status = 403, .body = ERROR("AccessDenied")}, CPAM_REFUSED},
};

static const struct
{
    const char *seen; /* what the look at the object says of its lock */
    bool lock;        /* of the put */
    struct fake_answer retention;
    bool asks;
    enum cpam_status status;
} locks[] = {
    {"x-amz-object-lock-mode: COMPLIANCE\n", true, {0}, false, CPAM_OK},
    {"", false, {0}, false, CPAM_OK},
    {"", true, {.status = 200}, true, CPAM_OK},
    {"", true, {.status = 403, .body = ERROR("AccessDenied")}, true, CPAM_REFUSED},
};

/* A store that drops the lock of an upload is told it again; an object that can't be locked is none. */
START_TEST(S6_an_object_in_parts_is_locked_too)
{
    struct fixture f = {.lock_us = 86400000000};
    const struct s3_put put = {.key = "k", .lock = locks[_i].lock};
    struct s3_upload *upload = NULL;
    char headers[256];
    struct s3_info info;
    struct cpam_err err;

    snprintf(headers, sizeof(headers), "ETag: \"x\"\nContent-Length: 5\nx-amz-version-id: v7\n%s",
             locks[_i].seen);
    f.answers[0] = (struct fake_answer) BEGUN;
    f.answers[1] = (struct fake_answer) PART;
    f.answers[2] = (struct fake_answer){.status = 200, .body = "<CompleteMultipartUploadResult/>"};
    f.answers[3] = (struct fake_answer){.status = 200, .headers = headers};
    f.answers[4] = locks[_i].retention;
    open_s3(&f, locks[_i].asks ? 5 : 4);
    ck_ok(s3_upload_new(f.s3, &put, (struct deadline){0}, &upload, &err), &err);
    ck_ok(s3_upload_part(upload, &(struct http_body){.data = "hello", .fd = -1, .size = 5},
                         (struct deadline){0}, &err),
          &err);
    ck_assert_int_eq(s3_upload_complete(upload, (struct deadline){0}, &info, &err),
                     locks[_i].status);
    ck_assert_uint_eq(f.http.next, f.http.count);
    ck_assert_int_eq(strstr(f.http.asked, "PUT https://s3.example.net/cpam/k?retention=&versionId="
                                          "v7\n") != NULL,
                     locks[_i].asks);
    s3_upload_free(upload);
    s3_free(f.s3);
}
END_TEST

START_TEST(S5_abort_of_what_is_gone_is_done)
{
    struct fixture f = {0};
    const struct s3_put put = {.key = "k"};
    struct s3_upload *upload = NULL;
    struct cpam_err err;

    f.answers[0] = (struct fake_answer) BEGUN;
    f.answers[1] = aborts[_i].answer;
    open_s3(&f, 2);
    ck_ok(s3_upload_new(f.s3, &put, (struct deadline){0}, &upload, &err), &err);
    ck_assert_int_eq(s3_upload_abort(upload, (struct deadline){0}, &err), aborts[_i].status);
    ck_assert_ptr_nonnull(
        strstr(f.http.asked, "DELETE https://s3.example.net/cpam/k?uploadId=u%2B1"));
    s3_upload_free(upload);
    s3_free(f.s3);
}
END_TEST

START_TEST(an_upload_without_an_id_is_refused)
{
    struct fixture f = {0};
    const struct s3_put put = {.key = "k"};
    struct s3_upload *upload = NULL;
    struct cpam_err err;

    f.answers[0] = (struct fake_answer){.status = 200, .body = "<InitiateMultipartUploadResult/>"};
    open_s3(&f, 1);
    ck_fails(s3_upload_new(f.s3, &put, (struct deadline){0}, &upload, &err), CPAM_CORRUPT,
             "has no upload id", &err);
    s3_free(f.s3);
}
END_TEST

START_TEST(S2_a_part_that_arrived_otherwise_is_found)
{
    struct fixture f = {0};
    const struct s3_put put = {.key = "k"};
    struct s3_upload *upload = NULL;
    struct cpam_err err;

    f.answers[0] = (struct fake_answer) BEGUN;
    f.answers[1] = (struct fake_answer) PART;
    open_s3(&f, 2);
    ck_ok(s3_upload_new(f.s3, &put, (struct deadline){0}, &upload, &err), &err);
    ck_fails(s3_upload_part(upload, &(struct http_body){.data = "hellO", .fd = -1, .size = 5},
                            (struct deadline){0}, &err),
             CPAM_CORRUPT, "holds other bytes than were sent", &err);
    s3_upload_free(upload);
    s3_free(f.s3);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("list");
    TCase *tcase = tcase_create("list");

    tcase_add_loop_test(tcase, S3_listing_is_whole_or_unknown, 0, (int) COUNT_OF(lists));
    tcase_add_loop_test(tcase, T13_a_listing_of_all_versions_is_whole_or_unknown, 0,
                        (int) COUNT_OF(histories));
    tcase_add_loop_test(tcase, F5_versions_are_whole_or_unknown, 0, (int) COUNT_OF(versions));
    tcase_add_loop_test(tcase, F5_versioning_is_read, 0, (int) COUNT_OF(configurations));
    tcase_add_loop_test(tcase, S3_completion_is_looked_at, 0, (int) COUNT_OF(completions));
    tcase_add_loop_test(tcase, S6_an_object_in_parts_is_locked_too, 0,
                        sizeof(locks) / sizeof(locks[0]));
    tcase_add_loop_test(tcase, S5_abort_of_what_is_gone_is_done, 0, (int) COUNT_OF(aborts));
    tcase_add_test(tcase, an_upload_without_an_id_is_refused);
    tcase_add_test(tcase, S2_a_part_that_arrived_otherwise_is_found);
    suite_add_tcase(suite, tcase);
    return suite;
}
