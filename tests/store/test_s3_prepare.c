/*
 * test_s3_prepare.c - a bucket that does not keep what a repository needs is refused before the first
 * backup, with what to do about it.
 *
 * The store's own operations answer by a row of the table; the removal of the probe, which goes
 * straight to the bucket, meets a scripted one.
 */
#include "../s3/fake_http.h"
#include "store/s3_store.h"

enum answer
{
    HONEST,
    TAKES_THE_SECOND,
    TAKES_THE_THIRD,
    FIRST_FAILS,
    SECOND_FAILS,
    NO_VERSION,
    OTHER_BYTES,
    CANNOT_READ,
    LISTS_NOTHING,
    LISTS_A_PREFIX,
    CANNOT_LIST
};

static enum answer answer;
static unsigned puts_seen;
static char body[256];
static char url[] = "s3://cpam/f/demo";
static struct cpam_err err;

static enum cpam_status
put(struct store *store, const char *key, const void *data, size_t size, enum store_class class,
    struct cpam_err *out)
{
    (void) store;
    ck_assert_int_eq(strncmp(key, "probe/", 6), 0);
    ck_assert_int_eq(class, STORE_CLASS_META);
    puts_seen++;
    if (puts_seen == 1)
    {
        ck_assert_uint_lt(size, sizeof(body));
        memcpy(body, data, size);
        body[size] = '\0';
    }
    else
        ck_assert(strlen(body) != size || memcmp(body, data, size) != 0);
    if ((answer == FIRST_FAILS && puts_seen == 1) || (answer == SECOND_FAILS && puts_seen == 2))
        return cpam_fail(out, CPAM_TRANSIENT, 0, "SlowDown");
    if (puts_seen == 1 || (answer == TAKES_THE_SECOND && puts_seen == 2) ||
        (answer == TAKES_THE_THIRD && puts_seen == 3))
        return CPAM_OK;
    return cpam_fail(out, CPAM_EXISTS, 0, "412");
}

static enum cpam_status
versions(struct store *store, const char *key, struct store_version *out, size_t cap, size_t *count,
         struct cpam_err *failure)
{
    (void) store, (void) key, (void) failure;
    ck_assert_uint_ge(cap, 1);
    *count = answer == NO_VERSION ? 0 : 1;
    out[0] = (struct store_version){.id = "v1"};
    return CPAM_OK;
}

static enum cpam_status
get(struct store *store, const char *key, const char *version, const struct store_range *range,
    struct sink *to, struct store_info *info, struct cpam_err *out)
{
    (void) store, (void) range, (void) info;
    ck_assert_str_eq(version, "v1");
    if (answer == CANNOT_READ)
        return cpam_fail(out, CPAM_REFUSED, 0, "AccessDenied for \"%s\"", key);
    if (answer == OTHER_BYTES)
        body[0] ^= 1;
    return sink_write(to, body, strlen(body), out);
}

static enum cpam_status
list(struct store *store, const char *prefix, const char *after, bool delimited, store_list_fn fn,
     void *arg, struct cpam_err *out)
{
    struct store_entry entry = {.key = prefix, .is_prefix = answer == LISTS_A_PREFIX};

    (void) store, (void) after, (void) delimited;
    if (answer == CANNOT_LIST)
        return cpam_fail(out, CPAM_REFUSED, 0, "AccessDenied for a listing");
    return answer == LISTS_NOTHING ? CPAM_OK : fn(arg, &entry, out);
}

static enum cpam_status
prepare_locking(const char *lock, const struct fake_answer *answers, size_t count)
{
    const struct s3_store_settings settings = {.s3 = {.bucket = "cpam",
                                                      .endpoint = "https://s3.example.net",
                                                      .lock_mode = lock,
                                                      .lock_us = 86400000000},
                                               .prefix = "f/demo"};
    struct credentials *credentials = NULL;
    struct store *store = NULL;
    struct fake_http http;
    struct fake_io io;

    fake_io_init(&io, 1000000000);
    fake_http_init(&http, answers, count);
    puts_seen = 0;
    ck_ok(credentials_new("AKID", "secret", 6, NULL, 0, "the test", &credentials, &err), &err);
    ck_ok(s3_store_open(&io.base, &settings, &http.base, credentials, &store, &err), &err);
    ck_assert_str_eq(store->url, url);
    const struct store_ops *before = store->ops;
    struct store_ops scripted = *before;
    scripted.put_new = put;
    scripted.versions = versions;
    scripted.get = get;
    scripted.list = list;
    store->ops = &scripted;
    enum cpam_status status = store_prepare(store, &err);
    store->ops = before;
    store_free(store);
    ck_assert_uint_eq(http.next, count);
    return status;
}

static enum cpam_status
prepare_against(const struct fake_answer *answers, size_t count)
{
    return prepare_locking(NULL, answers, count);
}

static const struct
{
    enum answer answer;
    enum cpam_status status;
    const char *words, *hint;
    unsigned puts;
} refusals[] = {
    {TAKES_THE_SECOND, CPAM_REFUSED, "overwrites all the same", "conditional writes", 2},
    {TAKES_THE_THIRD, CPAM_REFUSED, "overwrites all the same", "conditional writes", 3},
    {FIRST_FAILS, CPAM_TRANSIENT, "could not try out s3://cpam/f/demo", "", 1},
    {SECOND_FAILS, CPAM_TRANSIENT, "could not try out s3://cpam/f/demo", "", 2},
    {NO_VERSION, CPAM_REFUSED, "does not find \"probe/", "", 3},
    {OTHER_BYTES, CPAM_REFUSED, "gives back other bytes than were stored", "", 3},
    {CANNOT_READ, CPAM_REFUSED, "AccessDenied for \"probe/", "", 3},
    {LISTS_NOTHING, CPAM_REFUSED, "does not list \"probe/", "", 3},
    {LISTS_A_PREFIX, CPAM_REFUSED, "does not list \"probe/", "", 3},
    {CANNOT_LIST, CPAM_REFUSED, "AccessDenied for a listing", "", 3},
};

START_TEST(P3_a_bucket_that_does_not_keep_its_word_is_refused)
{
    answer = refusals[_i].answer;
    ck_fails(prepare_against(NULL, 0), refusals[_i].status, refusals[_i].words, &err);
    ck_assert_ptr_nonnull(strstr(err.hint, refusals[_i].hint));
    ck_assert_uint_eq(puts_seen, refusals[_i].puts);
}
END_TEST

START_TEST(an_honest_bucket_passes)
{
    static const struct fake_answer removed = {.status = 204};

    answer = HONEST;
    ck_ok(prepare_against(&removed, 1), &err);
    ck_assert_uint_eq(puts_seen, 3);
}
END_TEST

START_TEST(a_writer_that_may_not_delete_is_a_good_writer)
{
    static const struct fake_answer denied = {.status = 403,
                                              .body = "<Error><Code>AccessDenied</Code></Error>"};

    answer = HONEST;
    ck_ok(prepare_against(&denied, 1), &err);
}
END_TEST

#define LOOK(more)                                                                                 \
    {                                                                                              \
        .status = 200, .headers = "ETag: \"x\"\nContent-Length: 5\n" more                          \
    }
#define LOCKED "x-amz-object-lock-mode: COMPLIANCE\n"

static const struct
{
    struct fake_answer answers[5];
    size_t count;
    enum cpam_status status;
    const char *words;
} locks[] = {
    {{LOOK(LOCKED), {.status = 204}}, 2, CPAM_OK, ""},
    {{LOOK(""), {.status = 200}, LOOK(LOCKED), {.status = 204}}, 4, CPAM_OK, ""},
    {{LOOK(""), {.status = 200}, LOOK(""), {.status = 204}}, 4, CPAM_OK, ""}, /* a warning */
    {{LOOK(""), {.status = 400, .body = "<Error><Code>InvalidRequest</Code></Error>"}},
     2,
     CPAM_REFUSED,
     "does not lock what is put there"},
    {{LOOK(""), {.status = 501, .body = "<Error><Code>NotImplemented</Code></Error>"}},
     2,
     CPAM_REFUSED,
     "NotImplemented"},
};

START_TEST(S6_a_bucket_that_does_not_lock_is_refused)
{
    answer = HONEST;
    if (locks[_i].status == CPAM_OK)
        ck_ok(prepare_locking("COMPLIANCE", locks[_i].answers, locks[_i].count), &err);
    else
    {
        ck_fails(prepare_locking("COMPLIANCE", locks[_i].answers, locks[_i].count),
                 locks[_i].status, locks[_i].words, &err);
        ck_assert_ptr_nonnull(strstr(err.hint, "needs Object Lock"));
    }
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("store/s3_prepare");
    TCase *tcase = tcase_create("prepare");

    tcase_add_loop_test(tcase, P3_a_bucket_that_does_not_keep_its_word_is_refused, 0,
                        sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(tcase, an_honest_bucket_passes);
    tcase_add_test(tcase, a_writer_that_may_not_delete_is_a_good_writer);
    tcase_add_loop_test(tcase, S6_a_bucket_that_does_not_lock_is_refused, 0,
                        sizeof(locks) / sizeof(locks[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}
