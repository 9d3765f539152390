/*
 * test_s3_as_of.c - what a bucket held at a moment, out of what it lists now.
 */
#include "../s3/fake_http.h"
#include "store/s3_store.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define VERSIONED                                                                                  \
    {                                                                                              \
        .status = 200, .body = "<VersioningConfiguration><Status>Enabled</Status>"                 \
                               "</VersioningConfiguration>"                                        \
    }
#define NEVER                                                                                      \
    {                                                                                              \
        .status = 200, .body = "<VersioningConfiguration/>"                                        \
    }
#define UNTOLD                                                                                     \
    {                                                                                              \
        .status = 403, .body = "<Error><Code>AccessDenied</Code></Error>"                          \
    }
#define LISTED(rows)                                                                               \
    {                                                                                              \
        .status = 200, .body = "<ListVersionsResult><IsTruncated>false</IsTruncated>" rows         \
                               "</ListVersionsResult>"                                             \
    }
#define ROW(kind, key, id, minute)                                                                 \
    "<" kind "><Key>f/demo/" key "</Key><VersionId>" id "</VersionId><Size>5</Size>"               \
    "<LastModified>2026-01-01T00:" minute ":00.000Z</LastModified></" kind ">"
#define VERSION(key, id, minute) ROW("Version", key, id, minute)
#define MARKER(key, id, minute)  ROW("DeleteMarker", key, id, minute)
#define TIMELESS                 "<Version><Key>f/demo/k</Key><VersionId>1</VersionId><Size>5</Size></Version>"
#define MOMENT                   ((int64_t) 1767225600 + 600) * 1000000 /* 2026-01-01T00:10:00Z */

struct fixture
{
    struct fake_io io;
    struct fake_http http;
    struct store *store;
};

static void
open_store(struct fixture *f, const struct fake_answer *answers, size_t count)
{
    const struct s3_store_settings settings = {
        .s3 = {.bucket = "cpam", .endpoint = "https://s3.example.net"},
        .prefix = "f/demo",
        .as_of = MOMENT};
    struct credentials *credentials = NULL;
    struct cpam_err err;

    fake_io_init(&f->io, 1000000000);
    fake_http_init(&f->http, answers, count);
    ck_ok(credentials_new("AKID", "secret", 6, NULL, 0, "the test", &credentials, &err), &err);
    ck_ok(s3_store_open(&f->io.base, &settings, &f->http.base, credentials, &f->store, &err), &err);
}

/* Which version of k is read, or why none is. */
static const struct
{
    struct fake_answer answers[2];
    size_t count;
    enum cpam_status status;
    const char *words;
} reads[] = {
    {{VERSIONED, LISTED(VERSION("k", "1", "05"))}, 2, CPAM_OK, "1"},
    {{VERSIONED, LISTED(VERSION("k", "1", "10"))}, 2, CPAM_OK, "1"},
    /* deleted, and overwritten, since */
    {{VERSIONED, LISTED(MARKER("k", "2", "11") VERSION("k", "1", "05"))}, 2, CPAM_OK, "1"},
    {{VERSIONED, LISTED(VERSION("k", "2", "11") VERSION("k", "1", "05"))}, 2, CPAM_OK, "1"},
    /* put on top by then: the reader goes on to the oldest that is genuine */
    {{VERSIONED, LISTED(VERSION("k", "2", "06") VERSION("k", "1", "05"))}, 2, CPAM_OK, "2"},
    /* versions and markers in two blocks, and of one time */
    {{VERSIONED, LISTED(VERSION("k", "1", "05") VERSION("k", "0", "04") MARKER("k", "2", "03"))},
     2,
     CPAM_OK,
     "1"},
    {{VERSIONED, LISTED(MARKER("k", "2", "05") VERSION("k", "1", "05"))}, 2, CPAM_OK, "1"},
    {{VERSIONED, LISTED(MARKER("k", "2", "06") VERSION("k", "1", "05"))},
     2,
     CPAM_UNKNOWN,
     "lay under a delete marker at that time"},
    {{VERSIONED, LISTED(VERSION("k", "1", "11"))}, 2, CPAM_NOT_FOUND, "was not there at that time"},
    {{VERSIONED, LISTED("")}, 2, CPAM_NOT_FOUND, "was not there at that time"},
    {{VERSIONED, LISTED(TIMELESS)}, 2, CPAM_UNKNOWN, "does not tell of when"},
    {{NEVER}, 1, CPAM_REFUSED, "does not: what was deleted or overwritten in it is gone"},
    {{UNTOLD}, 1, CPAM_REFUSED, "does not tell whether it does"},
};

START_TEST(T13_a_key_is_what_it_was_then)
{
    struct fixture f;
    struct store_info info;
    struct cpam_err err;

    open_store(&f, reads[_i].answers, reads[_i].count);
    if (reads[_i].status == CPAM_OK)
    {
        ck_ok(store_head(f.store, "k", &info, &err), &err);
        ck_assert_str_eq(info.version, reads[_i].words);
        ck_assert_uint_eq(info.size, 5);
    }
    else
        ck_fails(store_head(f.store, "k", &info, &err), reads[_i].status, reads[_i].words, &err);
    ck_assert_uint_eq(f.http.next, reads[_i].count);
    store_free(f.store);
}
END_TEST

START_TEST(T13_the_version_of_then_is_read_by_its_id)
{
    static const struct fake_answer answers[] = {
        VERSIONED,
        LISTED(MARKER("k", "2", "11") VERSION("k", "1", "05")),
        {.status = 200,
         .headers = "ETag: \"e\"\nContent-Length: 5\nx-amz-version-id: 1\n",
         .body = "hello"}};
    struct fixture f;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf got = {0};
    struct store_info info;
    struct cpam_err err;

    open_store(&f, answers, COUNT_OF(answers));
    ck_ok(store_get_buf(f.store, "k", NULL, NULL, &got, 100, &info, &err), &err);
    ck_assert_int_eq(memcmp(got.data, "hello", 5), 0);
    ck_assert_str_eq(info.version, "1");
    ck_assert_ptr_nonnull(strstr(f.http.asked, "cpam/f/demo/k?versionId=1\n"));
    store_free(f.store);
}
END_TEST

START_TEST(T13_only_the_versions_of_then_are_candidates)
{
    static const struct fake_answer answers[] = {
        VERSIONED, LISTED(VERSION("k", "9", "59") MARKER("k", "8", "11") VERSION("k", "2", "06")
                              VERSION("k", "1", "05"))};
    struct fixture f;
    struct store_version found[2];
    size_t count = 0;
    struct cpam_err err;

    open_store(&f, answers, COUNT_OF(answers));
    ck_ok(store_versions(f.store, "k", found, 2, &count, &err), &err);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(found[0].id, "1");
    ck_assert_str_eq(found[1].id, "2");
    store_free(f.store);
}
END_TEST

static enum cpam_status
see(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    char *seen = arg;

    (void) err;
    snprintf(seen + strlen(seen), 100, "%s%s ", entry->key, entry->is_prefix ? "*" : "");
    return strcmp(entry->key, "w/stop") == 0 ? CPAM_CANCELLED : CPAM_OK;
}

static const struct
{
    struct fake_answer listed;
    const char *seen;
} listings[] = {
    {LISTED(""), ""},
    {LISTED(VERSION("w/0", "1", "05") MARKER("w/a", "2", "11") VERSION("w/a", "1", "05")
                VERSION("w/b", "2", "11") VERSION("w/b", "1", "06") MARKER("w/c", "2", "07")
                    VERSION("w/c", "1", "05") VERSION("w/d", "1", "11") VERSION("w/e", "1", "10")),
     "w/a w/b w/e "},
    {LISTED(VERSION("w/a", "1", "05") "<CommonPrefixes><Prefix>f/demo/w/b/</Prefix>"
                                      "</CommonPrefixes>" VERSION("w/c", "1", "05")),
     "w/a w/b/* w/c "},
    {LISTED(VERSION("w/stop", "1", "05") VERSION("w/x", "1", "05")), "w/stop "},
};

START_TEST(T13_a_listing_shows_what_was_there_then)
{
    const struct fake_answer answers[] = {VERSIONED, listings[_i].listed};
    struct fixture f;
    char seen[256] = "";
    struct cpam_err err;

    open_store(&f, answers, COUNT_OF(answers));
    ck_ok(store_list(f.store, "w/", "w/0", true, see, seen, &err), &err);
    ck_assert_str_eq(seen, listings[_i].seen);
    store_free(f.store);
}
END_TEST

START_TEST(T13_the_past_is_not_written_to)
{
    struct fixture f;
    struct sink *sink = NULL;
    struct cpam_err err;

    open_store(&f, NULL, 0);
    ck_fails(store_put_new(f.store, "k", "x", 1, STORE_CLASS_META, &err), CPAM_REFUSED,
             "as of a moment in the past", &err);
    ck_fails(store_put_new_fd(f.store, "k", 0, 1, STORE_CLASS_META, &err), CPAM_REFUSED, "past",
             &err);
    ck_fails(store_put_stream(f.store, "k", STORE_CLASS_META, &sink, &err), CPAM_REFUSED, "past",
             &err);
    ck_fails(store_remove(f.store, "k", &err), CPAM_REFUSED, "past", &err);
    ck_fails(store_prepare(f.store, &err), CPAM_REFUSED, "past", &err);
    store_free(f.store);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("s3_as_of");
    TCase *tcase = tcase_create("s3_as_of");

    tcase_add_loop_test(tcase, T13_a_key_is_what_it_was_then, 0, (int) COUNT_OF(reads));
    tcase_add_test(tcase, T13_the_version_of_then_is_read_by_its_id);
    tcase_add_test(tcase, T13_only_the_versions_of_then_are_candidates);
    tcase_add_loop_test(tcase, T13_a_listing_shows_what_was_there_then, 0,
                        (int) COUNT_OF(listings));
    tcase_add_test(tcase, T13_the_past_is_not_written_to);
    suite_add_tcase(suite, tcase);
    return suite;
}
