/*
 * test_s3_store.c - what the S3 store concludes from what a bucket says, in each of its states.
 *
 * The bucket is a script (tests/s3/fake_http.h); tests/peer has a server, tests/live a real one.
 */
#include "../s3/fake_http.h"
#include "store/s3_store.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ERROR(code)     "<Error><Code>" code "</Code></Error>"
/* MD5 of "hello" */
#define MD5 "5d41402abc4b2a76b9719d911017c592"
#define NEVER                                                                                      \
    {                                                                                              \
        .status = 200, .body = "<VersioningConfiguration/>"                                        \
    }
#define UNTOLD                                                                                     \
    {                                                                                              \
        .status = 403, .body = ERROR("AccessDenied")                                               \
    }
#define VERSIONED                                                                                  \
    {                                                                                              \
        .status = 200, .body = "<VersioningConfiguration><Status>Enabled</Status>"                 \
                               "</VersioningConfiguration>"                                        \
    }
#define PUT_DONE                                                                                   \
    {                                                                                              \
        .status = 200, .headers = "ETag: \"" MD5 "\"\n"                                            \
    }
#define PUT_V2                                                                                     \
    {                                                                                              \
        .status = 200, .headers = "ETag: \"" MD5 "\"\nx-amz-version-id: v2\n"                      \
    }
#define PUT_NULL                                                                                   \
    {                                                                                              \
        .status = 200, .headers = "ETag: \"" MD5 "\"\nx-amz-version-id: null\n"                    \
    }
#define HEAD_V2                                                                                    \
    {                                                                                              \
        .status = 200, .headers = "ETag: \"" MD5 "\"\nContent-Length: 5\nx-amz-version-id: v2\n"   \
    }
#define HEAD_LOCKED                                                                                \
    {                                                                                              \
        .status = 200, .headers = "ETag: \"" MD5 "\"\nContent-Length: 5\n"                         \
                                  "x-amz-object-lock-mode: COMPLIANCE\n"                           \
    }
#define HEAD_OF(size, etag)                                                                        \
    {                                                                                              \
        .status = 200, .headers = "ETag: \"" etag "\"\nContent-Length: " size "\n"                 \
    }
#define LISTED(rows)                                                                               \
    {                                                                                              \
        .status = 200, .body = "<ListVersionsResult><IsTruncated>false</IsTruncated>" rows         \
                               "</ListVersionsResult>"                                             \
    }
#define VERSION(id, size)                                                                          \
    "<Version><Key>f/demo/k</Key><VersionId>" id "</VersionId><Size>" size                         \
    "</Size><ETag>&quot;" MD5 "&quot;</ETag></Version>"
#define MARKER(id) "<DeleteMarker><Key>f/demo/k</Key><VersionId>" id "</VersionId></DeleteMarker>"
#define NO_KEY                                                                                     \
    {                                                                                              \
        .status = 404, .body = ERROR("NoSuchKey")                                                  \
    }
#define BARE_404                                                                                   \
    {                                                                                              \
        .status = 404                                                                              \
    }

struct fixture
{
    struct fake_io io;
    struct fake_http http;
    struct store *store;
};

#define DAY INT64_C(86400000000)

static void
open_locking(struct fixture *f, const char *mode, const struct fake_answer *answers, size_t count)
{
    const struct s3_store_settings settings = {.s3 = {.bucket = "cpam",
                                                      .endpoint = "https://s3.example.net",
                                                      .lock_mode = mode,
                                                      .lock_us = 35 * DAY},
                                               .lock_more_base = 14 * DAY,
                                               .prefix = "f/demo",
                                               .class_base = "STANDARD_IA",
                                               .class_wal = "ONEZONE_IA"};
    struct credentials *credentials = NULL;
    struct cpam_err err;

    fake_io_init(&f->io, 1000000000);
    fake_http_init(&f->http, answers, count);
    ck_ok(credentials_new("AKID", "secret", 6, NULL, 0, "the test", &credentials, &err), &err);
    ck_ok(s3_store_open(&f->io.base, &settings, &f->http.base, credentials, &f->store, &err), &err);
    ck_assert_str_eq(f->store->url, "s3://cpam/f/demo");
}

static void
open_store(struct fixture *f, const struct fake_answer *answers, size_t count)
{
    open_locking(f, NULL, answers, count);
}

static void
close_store(struct fixture *f)
{
    ck_assert_uint_eq(f->http.next, f->http.count);
    store_free(f->store);
}

static const struct
{
    struct fake_answer answers[4];
    size_t count;
    enum cpam_status status;
    const char *why;
} put_cases[] = {
    {{PUT_DONE, NEVER, HEAD_OF("5", MD5)}, 3, CPAM_OK, ""},
    {{PUT_DONE, UNTOLD, HEAD_OF("5", MD5)}, 3, CPAM_OK, ""},
    {{PUT_DONE, NEVER, HEAD_OF("0", MD5)}, 3, CPAM_CORRUPT, "put with 5 bytes"}, /* wal-g#85 */
    {{PUT_DONE, NEVER, HEAD_OF("5", "x")}, 3, CPAM_CORRUPT, "now has 5 bytes and ETag x"},
    {{PUT_DONE, NEVER, BARE_404, NO_KEY}, 4, CPAM_UNKNOWN, "acknowledged a put, but does not find"},
    {{PUT_V2, VERSIONED, LISTED(VERSION("v2", "5"))}, 3, CPAM_OK, ""},
    {{PUT_V2, VERSIONED, LISTED(VERSION("v3", "9") VERSION("v2", "5"))}, 3, CPAM_OK, ""},
    {{PUT_V2, VERSIONED, LISTED(MARKER("v3") VERSION("v2", "5"))}, 3, CPAM_OK, ""},
    {{PUT_V2, VERSIONED, LISTED(VERSION("v2", "5") VERSION("v1", "9"))},
     3,
     CPAM_EXISTS,
     "has an older version"},
    {{PUT_V2, VERSIONED, LISTED(VERSION("v2", "5") MARKER("m1") VERSION("v1", "9"))},
     3,
     CPAM_EXISTS,
     "has an older version"},
    {{PUT_V2, VERSIONED, LISTED(VERSION("v2", "5") MARKER("m1"))},
     3,
     CPAM_UNKNOWN,
     "lies a delete marker"},
    {{PUT_V2, VERSIONED, LISTED(VERSION("v2", "4"))}, 3, CPAM_CORRUPT, "lists no such version"},
    {{PUT_V2, VERSIONED, LISTED("")}, 3, CPAM_CORRUPT, "lists no such version"},
    {{PUT_V2, VERSIONED, {.status = 403, .body = ERROR("AccessDenied")}},
     3,
     CPAM_REFUSED,
     "AccessDenied"},
    /* it says nothing of versions, or nothing true any more, and has them */
    {{PUT_V2, UNTOLD, HEAD_V2, LISTED(VERSION("v2", "5"))}, 4, CPAM_OK, ""},
    {{PUT_V2, UNTOLD, HEAD_V2, LISTED(VERSION("v3", "9") VERSION("v2", "5"))}, 4, CPAM_OK, ""},
    {{PUT_V2, UNTOLD, HEAD_V2, LISTED(VERSION("v2", "5") VERSION("v1", "9"))},
     4,
     CPAM_EXISTS,
     "has an older version"},
    {{PUT_V2, NEVER, HEAD_V2, LISTED(VERSION("v2", "5") VERSION("null", "9"))},
     4,
     CPAM_EXISTS,
     "has an older version"},
    {{PUT_V2, UNTOLD, HEAD_V2, {.status = 403, .body = ERROR("AccessDenied")}},
     4,
     CPAM_REFUSED,
     "whether \"s3://cpam/f/demo/k\" has an older one"},
    /* an id in the answer to a put, and no versions (R2) */
    {{PUT_V2, UNTOLD, HEAD_OF("5", MD5)}, 3, CPAM_OK, ""},
    {{PUT_V2, UNTOLD, HEAD_OF("5", "x")}, 3, CPAM_CORRUPT, "now has 5 bytes and ETag x"},
    {{PUT_V2, UNTOLD, HEAD_V2, {.status = 501, .body = ERROR("NotImplemented")}}, 4, CPAM_OK, ""},
    {{PUT_DONE, UNTOLD, HEAD_V2, LISTED(VERSION("v2", "5") VERSION("v1", "9"))},
     4,
     CPAM_EXISTS,
     "has an older version"},
    {{PUT_NULL, UNTOLD, HEAD_OF("5", MD5)}, 3, CPAM_OK, ""},
    {{{.status = 412, .body = ERROR("PreconditionFailed")}}, 1, CPAM_EXISTS, "412"},
};

START_TEST(S3_a_put_is_looked_at)
{
    struct fixture f;
    struct cpam_err err;

    open_store(&f, put_cases[_i].answers, put_cases[_i].count);
    if (put_cases[_i].status == CPAM_OK)
        ck_ok(store_put_new(f.store, "k", "hello", 5, STORE_CLASS_WAL, &err), &err);
    else
        ck_fails(store_put_new(f.store, "k", "hello", 5, STORE_CLASS_WAL, &err),
                 put_cases[_i].status, put_cases[_i].why, &err);
    if (put_cases[_i].status == CPAM_REFUSED)
        ck_assert_ptr_nonnull(strstr(err.hint, "s3:ListBucketVersions"));
    ck_assert_ptr_nonnull(strstr(f.http.asked, "PUT https://s3.example.net/cpam/f/demo/k\n"));
    ck_assert_ptr_nonnull(strstr(f.http.asked, "x-amz-storage-class: ONEZONE_IA\n"));
    close_store(&f);
}
END_TEST

/* Incremental backups use a pack until the next full one, and are to be locked as long as others. */
START_TEST(S6_what_backups_share_is_locked_longer)
{
    static const struct fake_answer answers[] = {PUT_DONE, NEVER, HEAD_OF("5", MD5), HEAD_LOCKED};
    static const struct
    {
        enum store_class class;
        const char *until;
    } puts[] = {{STORE_CLASS_WAL, "1970-02-05"},
                {STORE_CLASS_META, "1970-02-05"},
                {STORE_CLASS_BASE, "1970-02-19"}};

    for (size_t i = 0; i < COUNT_OF(puts); i++)
        for (int streamed = 0; streamed < 2; streamed++)
        {
            struct fixture f;
            struct cpam_err err;
            struct sink *sink = NULL;
            char header[128];

            open_locking(&f, "COMPLIANCE", answers, COUNT_OF(answers));
            if (streamed)
            {
                ck_ok(store_put_stream(f.store, "k", puts[i].class, &sink, &err), &err);
                ck_ok(sink_write(sink, "hello", 5, &err), &err);
                ck_ok(sink_finish(sink, &err), &err);
                sink_free(sink);
            }
            else
                ck_ok(store_put_new(f.store, "k", "hello", 5, puts[i].class, &err), &err);
            snprintf(header, sizeof(header), "x-amz-object-lock-retain-until-date: %sT",
                     puts[i].until);
            ck_assert_msg(strstr(f.http.asked, header) != NULL, "%s in %s", header, f.http.asked);
            close_store(&f);
        }
}
END_TEST

#define PUT_ONE  PUT_DONE, NEVER, HEAD_OF("5", MD5)
#define PUT_NEXT PUT_DONE, HEAD_OF("5", MD5)
#define DENIED                                                                                     \
    {                                                                                              \
        .status = 403, .body = ERROR("AccessDenied")                                               \
    }
#define RETAINED                                                                                   \
    {                                                                                              \
        .status = 200                                                                              \
    }

/* What two puts in one piece into a bucket that is to lock them make of it. */
static const struct
{
    struct fake_answer answers[10];
    size_t count;
    unsigned retained; /* requests to lock an object apart */
    enum cpam_status second;
} lockings[] = {
    {{PUT_ONE, HEAD_LOCKED, PUT_NEXT}, 6, 0, CPAM_OK},
    /* it drops the headers, and takes a lock afterwards */
    {{PUT_ONE, HEAD_OF("5", MD5), RETAINED, HEAD_LOCKED, PUT_NEXT, RETAINED}, 9, 2, CPAM_OK},
    {{PUT_ONE, HEAD_OF("5", MD5), RETAINED, HEAD_LOCKED, PUT_NEXT, DENIED}, 9, 2, CPAM_REFUSED},
    /* it shows no lock, or takes none: a warning, once */
    {{PUT_ONE, HEAD_OF("5", MD5), RETAINED, HEAD_OF("5", MD5), PUT_NEXT}, 8, 1, CPAM_OK},
    {{PUT_ONE, HEAD_OF("5", MD5), DENIED, PUT_NEXT}, 7, 1, CPAM_OK},
    /* what lies in front is not ours: the next one is looked at */
    {{PUT_V2, VERSIONED, LISTED(VERSION("v2", "5")), HEAD_OF("5", MD5), PUT_V2,
      LISTED(VERSION("v2", "5")), HEAD_LOCKED},
     7,
     0,
     CPAM_OK},
};

START_TEST(S6_an_object_in_one_piece_is_seen_to_be_locked)
{
    struct fixture f;
    struct cpam_err err;
    unsigned retained = 0;

    open_locking(&f, "COMPLIANCE", lockings[_i].answers, lockings[_i].count);
    ck_ok(store_put_new(f.store, "k", "hello", 5, STORE_CLASS_WAL, &err), &err);
    ck_assert_int_eq(store_put_new(f.store, "k", "hello", 5, STORE_CLASS_WAL, &err),
                     lockings[_i].second);
    for (const char *at = f.http.asked; (at = strstr(at, "?retention=")) != NULL; at++)
        retained++;
    ck_assert_uint_eq(retained, lockings[_i].retained);
    close_store(&f);
}
END_TEST

/* What somebody else put there, before it is said to be archived. */
static const struct
{
    const char *mode; /* of object_lock */
    struct fake_answer answers[3];
    size_t count;
    unsigned retained;
    enum cpam_status status;
} settlings[] = {
    {NULL, {{0}}, 0, 0, CPAM_OK},
    {"COMPLIANCE", {HEAD_LOCKED}, 1, 0, CPAM_OK},
    {"COMPLIANCE", {HEAD_OF("5", MD5), RETAINED, HEAD_LOCKED}, 3, 1, CPAM_OK},
    {"COMPLIANCE", {HEAD_OF("5", MD5), DENIED}, 2, 1, CPAM_OK}, /* a warning: not known to do it */
    {"COMPLIANCE", {BARE_404, NO_KEY}, 2, 0, CPAM_NOT_FOUND},
};

START_TEST(S6_an_object_that_is_there_already_is_locked_too)
{
    struct fixture f;
    struct cpam_err err;
    unsigned retained = 0;

    if (settlings[_i].mode == NULL)
        open_store(&f, settlings[_i].answers, settlings[_i].count);
    else
        open_locking(&f, settlings[_i].mode, settlings[_i].answers, settlings[_i].count);
    ck_assert_int_eq(store_settle(f.store, "k", &err), settlings[_i].status);
    for (const char *at = f.http.asked; (at = strstr(at, "?retention=")) != NULL; at++)
        retained++;
    ck_assert_uint_eq(retained, settlings[_i].retained);
    ck_assert_uint_eq(f.http.next, settlings[_i].count);
    close_store(&f);
}
END_TEST

static const struct
{
    struct fake_answer answers[3];
    size_t count;
    enum cpam_status status;
    const char *why;
} absences[] = {
    {{NO_KEY, NEVER}, 2, CPAM_NOT_FOUND, "NoSuchKey"},
    {{NO_KEY, UNTOLD}, 2, CPAM_NOT_FOUND, "NoSuchKey"},
    {{NO_KEY, VERSIONED, LISTED("")}, 3, CPAM_NOT_FOUND, "NoSuchKey"},
    {{NO_KEY, VERSIONED, LISTED(MARKER("m1"))}, 3, CPAM_UNKNOWN, "1 older versions or delete"},
    {{NO_KEY, VERSIONED, LISTED(MARKER("m1") VERSION("v1", "5"))}, 3, CPAM_UNKNOWN, "2 older"},
    {{NO_KEY, VERSIONED, {.status = 403, .body = ERROR("AccessDenied")}},
     3,
     CPAM_REFUSED,
     "AccessDenied"},
    {{NO_KEY, VERSIONED, {.status = 200, .body = "<html/>"}}, 3, CPAM_UNKNOWN, "is no listing"},
    {{NO_KEY, {.status = 404, .body = ERROR("NoSuchBucket")}}, 2, CPAM_REFUSED, "NoSuchBucket"},
    {{BARE_404}, 1, CPAM_UNKNOWN, "404"},
    {{{.status = 403, .body = ERROR("AccessDenied")}}, 1, CPAM_REFUSED, "AccessDenied"},
};

START_TEST(F1_absence_is_proven)
{
    struct fixture f;
    struct cpam_buf to = {0};
    struct cpam_err err;

    open_store(&f, absences[_i].answers, absences[_i].count);
    ck_fails(store_get_buf(f.store, "k", NULL, NULL, &to, 100, NULL, &err), absences[_i].status,
             absences[_i].why, &err);
    close_store(&f);
}
END_TEST

static const struct
{
    struct fake_answer answers[3];
    size_t count;
    enum cpam_status status;
    const char *words; /* ids, oldest first; or the sentence */
} versions[] = {
    {{NEVER, HEAD_OF("5", MD5)}, 2, CPAM_OK, "= "},
    {{NEVER, BARE_404, NO_KEY}, 3, CPAM_OK, ""},
    {{VERSIONED, LISTED("")}, 2, CPAM_OK, ""},
    {{VERSIONED, LISTED(VERSION("v3", "1") MARKER("m2") VERSION("v1", "1"))},
     2,
     CPAM_OK,
     "v1= m2! v3= "},
    {{VERSIONED, LISTED(VERSION("5", "1") VERSION("4", "1") VERSION("3", "1") VERSION("2", "1")
                            VERSION("1", "1"))},
     2,
     CPAM_UNKNOWN,
     "has more than 4 versions"},
};

START_TEST(F5_versions_come_oldest_first)
{
    struct fixture f;
    struct store_version found[4];
    size_t count = 0;
    char seen[256] = "";
    struct cpam_err err;

    open_store(&f, versions[_i].answers, versions[_i].count);
    enum cpam_status status = store_versions(f.store, "k", found, 4, &count, &err);
    ck_assert_int_eq(status, versions[_i].status);
    for (size_t i = 0, used = 0; status == CPAM_OK && i < count; i++)
        used += (size_t) snprintf(seen + used, sizeof(seen) - used, "%s%s ", found[i].id,
                                  found[i].is_marker ? "!" : "=");
    if (status == CPAM_OK)
        ck_assert_str_eq(seen, versions[_i].words);
    else
        ck_assert_ptr_nonnull(strstr(err.text, versions[_i].words));
    close_store(&f);
}
END_TEST

#define SUSPENDED                                                                                  \
    {                                                                                              \
        .status = 200, .body = "<VersioningConfiguration><Status>Suspended</Status>"               \
                               "</VersioningConfiguration>"                                        \
    }
#define TAKEN                                                                                      \
    {                                                                                              \
        .status = 412, .body = ERROR("PreconditionFailed")                                         \
    }

/* A put of the bytes that are there tells; where every version is kept, nothing need be tried. */
static const struct
{
    struct fake_answer answers[2];
    size_t count;
    bool refuses;
} takings[] = {
    {{NEVER, TAKEN}, 2, true},
    {{UNTOLD, TAKEN}, 2, true},
    {{SUSPENDED, TAKEN}, 2, true},
    {{VERSIONED}, 1, true},
    {{NEVER, PUT_DONE}, 2, false},
    {{SUSPENDED, PUT_V2}, 2, false},
    {{UNTOLD, {.status = 403, .body = ERROR("AccessDenied")}}, 2, false},
};

START_TEST(P3_whether_a_put_can_overwrite_is_tried_with_the_same_bytes)
{
    struct fixture f;
    bool refuses = !takings[_i].refuses;
    struct cpam_err err;

    open_store(&f, takings[_i].answers, takings[_i].count);
    ck_ok(store_refuses_taken(f.store, "k", "hello", 5, &refuses, &err), &err);
    ck_assert_int_eq(refuses, takings[_i].refuses);
    ck_assert_int_eq(strstr(f.http.asked, "If-None-Match: *\n") != NULL, takings[_i].count == 2);
    close_store(&f);
}
END_TEST

static enum cpam_status
see(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    char *seen = arg;

    (void) err;
    snprintf(seen + strlen(seen), 100, "%s%s ", entry->key, entry->is_prefix ? "*" : "");
    return CPAM_OK;
}

START_TEST(keys_are_relative_to_the_root)
{
    static const struct fake_answer answer = {
        .status = 200,
        .body = "<ListBucketResult><IsTruncated>false</IsTruncated>"
                "<Contents><Key>f/demo/wal/2</Key></Contents>"
                "<CommonPrefixes><Prefix>f/demo/wal/3/</Prefix></CommonPrefixes>"
                "</ListBucketResult>"};
    struct fixture f;
    char seen[256] = "";
    struct cpam_err err;

    open_store(&f, &answer, 1);
    ck_ok(store_list(f.store, "wal/", "wal/1", true, see, seen, &err), &err);
    ck_assert_str_eq(seen, "wal/2 wal/3/* ");
    ck_assert_ptr_nonnull(strstr(f.http.asked, "prefix=f%2Fdemo%2Fwal%2F&"));
    ck_assert_ptr_nonnull(strstr(f.http.asked, "start-after=f%2Fdemo%2Fwal%2F1\n"));
    close_store(&f);
}
END_TEST

/* --- streams ---------------------------------------------------------------------------------- */

#define BEGUN                                                                                       \
    {                                                                                               \
        .status = 200,                                                                              \
        .body =                                                                                     \
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>" \
    }

START_TEST(S5_a_small_stream_is_one_conditional_put)
{
    static const struct fake_answer answers[] = {PUT_DONE, NEVER, HEAD_OF("5", MD5)};
    struct fixture f;
    struct sink *sink = NULL;
    struct cpam_err err;

    open_store(&f, answers, COUNT_OF(answers));
    ck_ok(store_put_stream(f.store, "k", STORE_CLASS_BASE, &sink, &err), &err);
    ck_ok(sink_write(sink, "hel", 3, &err), &err);
    ck_ok(sink_write(sink, "lo", 2, &err), &err);
    ck_assert_uint_eq(f.http.next, 0); /* nothing before finish */
    ck_ok(sink_finish(sink, &err), &err);
    sink_free(sink);
    ck_assert_ptr_nonnull(strstr(f.http.asked, "If-None-Match: *\n"));
    ck_assert_ptr_nonnull(strstr(f.http.asked, "x-amz-storage-class: STANDARD_IA\n"));
    close_store(&f);
}
END_TEST

START_TEST(S5_a_stream_thrown_away_sends_nothing_or_aborts)
{
    static const struct fake_answer answers[] = {
        BARE_404,       NO_KEY, NEVER, BEGUN, {.status = 403, .body = ERROR("AccessDenied")},
        {.status = 204}};
    struct fixture f;
    struct sink *sink = NULL;
    struct cpam_err err;
    char *part = calloc(1, S3_STORE_PART);

    ck_assert_ptr_nonnull(part);
    open_store(&f, answers, _i == 0 ? 0 : COUNT_OF(answers));
    ck_ok(store_put_stream(f.store, "k", STORE_CLASS_BASE, &sink, &err), &err);
    ck_ok(sink_write(sink, part, S3_STORE_PART, &err), &err);
    if (_i == 1)
        ck_fails(sink_write(sink, "x", 1, &err), CPAM_REFUSED, "could not upload a part of", &err);
    sink_free(sink);
    free(part);
    ck_assert_int_eq(
        strstr(f.http.asked, "DELETE https://s3.example.net/cpam/f/demo/k?uploadId=u") != NULL,
        _i == 1);
    close_store(&f);
}
END_TEST

START_TEST(a_stream_does_not_begin_over_what_is_there)
{
    static const struct fake_answer answers[] = {HEAD_OF("5", MD5)};
    struct fixture f;
    struct sink *sink = NULL;
    struct cpam_err err;
    char *part = calloc(1, S3_STORE_PART);

    ck_assert_ptr_nonnull(part);
    open_store(&f, answers, 1);
    ck_ok(store_put_stream(f.store, "k", STORE_CLASS_BASE, &sink, &err), &err);
    ck_ok(sink_write(sink, part, S3_STORE_PART, &err), &err);
    ck_fails(sink_write(sink, "x", 1, &err), CPAM_EXISTS, "is there already", &err);
    sink_free(sink);
    free(part);
    close_store(&f);
}
END_TEST

/* --- opening ---------------------------------------------------------------------------------- */

static const struct
{
    const char *prefix;
    const char *bucket;
    const char *why;
} unopened[] = {
    {"/a", "cpam", "single slashes"},
    {"a/", "cpam", "single slashes"},
    {"a//b", "cpam", "single slashes"},
    {"a b", "cpam", "single slashes"},
    {"..", "cpam", "single slashes"},
    {"a", NULL, "names no bucket"},
    {"a", "x", "is not a bucket name"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaa",
     "cpam", "too long"},
};

START_TEST(a_wrong_place_is_refused)
{
    const struct s3_store_settings settings = {.s3 = {.bucket = unopened[_i].bucket},
                                               .prefix = unopened[_i].prefix};
    struct credentials *credentials = NULL;
    struct fake_http http;
    struct store *store = NULL;
    struct cpam_err err;

    fake_http_init(&http, NULL, 0);
    ck_ok(credentials_new("AKID", "secret", 6, NULL, 0, "the test", &credentials, &err), &err);
    ck_fails(s3_store_open(io_posix(), &settings, &http.base, credentials, &store, &err),
             CPAM_USAGE, unopened[_i].why, &err);
    credentials_free(credentials); /* still ours after a failure */
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("s3_store");
    TCase *tcase = tcase_create("s3_store");

    tcase_add_loop_test(tcase, S6_an_object_in_one_piece_is_seen_to_be_locked, 0,
                        (int) COUNT_OF(lockings));
    tcase_add_loop_test(tcase, S6_an_object_that_is_there_already_is_locked_too, 0,
                        COUNT_OF(settlings));
    tcase_add_test(tcase, S6_what_backups_share_is_locked_longer);
    tcase_add_loop_test(tcase, S3_a_put_is_looked_at, 0, (int) COUNT_OF(put_cases));
    tcase_add_loop_test(tcase, F1_absence_is_proven, 0, (int) COUNT_OF(absences));
    tcase_add_loop_test(tcase, P3_whether_a_put_can_overwrite_is_tried_with_the_same_bytes, 0,
                        (int) COUNT_OF(takings));
    tcase_add_loop_test(tcase, F5_versions_come_oldest_first, 0, (int) COUNT_OF(versions));
    tcase_add_test(tcase, keys_are_relative_to_the_root);
    tcase_add_test(tcase, S5_a_small_stream_is_one_conditional_put);
    tcase_add_loop_test(tcase, S5_a_stream_thrown_away_sends_nothing_or_aborts, 0, 2);
    tcase_add_test(tcase, a_stream_does_not_begin_over_what_is_there);
    tcase_add_loop_test(tcase, a_wrong_place_is_refused, 0, (int) COUNT_OF(unopened));
    suite_add_tcase(suite, tcase);
    return suite;
}
