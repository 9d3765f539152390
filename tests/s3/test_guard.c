/*
 * test_guard.c - which digest goes with a large body, and how a store is asked what it looks at.
 */
#include "suite.h"

#include "fake_bucket.h"
#include "pg/crc32c.h"
#include "s3/guard.h"

#define STORED                                                                                     \
    {                                                                                              \
        .status = 200, .headers = ETAG                                                             \
    }
#define BAD                                                                                        \
    {                                                                                              \
        .status = 400, .body = ERROR("BadDigest")                                                  \
    }
#define BAD_SHA                                                                                    \
    {                                                                                              \
        .status = 400, .body = ERROR("XAmzContentSHA256Mismatch")                                  \
    }
#define BAD_CHECK                                                                                  \
    {                                                                                              \
        .status = 400, .body = ERROR("XAmzContentChecksumMismatch")                                \
    }
#define TAKEN                                                                                      \
    {                                                                                              \
        .status = 412, .body = ERROR("PreconditionFailed")                                         \
    }
#define BUSY                                                                                       \
    {                                                                                              \
        .status = 503, .body = ERROR("SlowDown")                                                   \
    }
#define DENIED                                                                                     \
    {                                                                                              \
        .status = 403, .body = ERROR("AccessDenied")                                               \
    }
#define STRANGE                                                                                    \
    {                                                                                              \
        .status = 400, .body = ERROR("InvalidRequest")                                             \
    }

static char large[GUARD_SMALL + 1];

static void
open_probing(struct fixture *f, const struct s3_settings *more, const struct fake_answer *answers,
             size_t count)
{
    struct s3_settings settings = *more;
    struct credentials *credentials = NULL;
    struct cpam_err err;

    settings.bucket = "cpam";
    if (settings.endpoint == NULL)
        settings.endpoint = "https://s3.example.net";
    fake_io_init(&f->io, CLOCK);
    fake_http_init(&f->http, answers, count);
    ck_ok(credentials_new("AKID", "secret", 6, NULL, 0, "the test", &credentials, &err), &err);
    ck_ok(s3_open(&f->io.base, &settings, &f->http.base, credentials, &f->s3, &err), &err);
    f->deadline = deadline_after(&f->io.base, 60000000);
}

static enum s3_guard_kind
guard_of(struct fixture *f, size_t size)
{
    const struct s3_put put = {
        .key = "k", .body = {.data = large, .fd = -1, .size = size}, .lock = true};

    return s3_guard_for(f->s3, &put, f->deadline);
}

static const struct
{
    struct fake_answer answers[2];
    size_t count;
    enum s3_guard_kind kind;
} stores[] = {
    {{BAD}, 1, GUARD_CRC32C},
    {{BAD_CHECK}, 1, GUARD_CRC32C},
    {{STORED, BAD_SHA}, 2, GUARD_SHA256},
    {{TAKEN, BAD_SHA}, 2, GUARD_SHA256}, /* an earlier probe is there, so it was not refused */
    {{DENIED, BAD}, 2, GUARD_SHA256},
    {{STRANGE, BAD_SHA}, 2, GUARD_SHA256}, /* it does not know the header */
    {{STORED, STORED}, 2, GUARD_MD5},      /* a store that looks at nothing */
    {{STORED, TAKEN}, 2, GUARD_MD5},
    {{DENIED, DENIED}, 2, GUARD_MD5},
    {{{.status = 400}, {.status = 400}}, 2, GUARD_MD5}, /* 400 without a reason is no proof */
    {{{.status = 200, .headers = ETAG, .body = ERROR("BadDigest")}, BAD_SHA}, 2, GUARD_MD5},
};

START_TEST(S2_only_a_store_that_refuses_a_wrong_digest_is_trusted_with_it)
{
    const struct s3_settings settings = {.probe = "f/probe/"};
    struct fixture f;

    open_probing(&f, &settings, stores[_i].answers,
                 _i + 1 == COUNT_OF(stores) ? 1 : stores[_i].count);
    ck_assert_int_eq(guard_of(&f, GUARD_SMALL), GUARD_MD5); /* without a question */
    ck_assert_uint_eq(f.http.next, 0);
    ck_assert_int_eq(guard_of(&f, sizeof(large)), stores[_i].kind);
    ck_asked(&f, "PUT https://s3.example.net/cpam/f/probe/crc32c\n");
    ck_asked(&f, "If-None-Match: *\n");
    ck_assert_ptr_null(strstr(f.http.asked, "Content-MD5"));
    close_s3(&f);
}
END_TEST

START_TEST(S2_a_store_is_asked_once_for_all_connections)
{
    const struct fake_answer answers[] = {STORED, BAD_SHA};
    const struct s3_settings settings = {.probe = "probe/"};
    struct fixture f, other;

    open_probing(&f, &settings, answers, 2);
    open_probing(&other, &settings, NULL, 0);
    s3_share(other.s3, f.s3);
    ck_assert_int_eq(guard_of(&f, sizeof(large)), GUARD_SHA256);
    ck_assert_int_eq(guard_of(&f, sizeof(large)), GUARD_SHA256);
    close_s3(&f);
    ck_assert_int_eq(guard_of(&other, sizeof(large)), GUARD_SHA256);
    close_s3(&other);
}
END_TEST

START_TEST(S2_a_busy_store_is_asked_again_and_not_for_ever)
{
    const struct fake_answer answers[] = {BUSY, BUSY, STORED, BUSY, BAD};
    const struct fake_answer never[] = {BUSY, {.failure = CPAM_TRANSIENT}, BUSY, BUSY};
    const struct s3_settings settings = {.probe = "probe/"};
    struct fixture f;

    open_probing(&f, &settings, answers, COUNT_OF(answers));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(guard_of(&f, sizeof(large)), GUARD_MD5);
    ck_assert_int_eq(guard_of(&f, sizeof(large)), GUARD_CRC32C);
    close_s3(&f);
    open_probing(&f, &settings, never, COUNT_OF(never));
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(guard_of(&f, sizeof(large)), GUARD_MD5);
    close_s3(&f);
    ck_assert_uint_eq(f.io.sleeps, 0); /* a put waits for none of this */
}
END_TEST

START_TEST(S6_a_lock_goes_with_what_amazon_wants_beside_it)
{
    const struct fake_answer sha[] = {STORED, BAD_SHA}, crc[] = {BAD};
    const struct s3_settings settings = {
        .probe = "probe/", .lock_mode = "COMPLIANCE", .lock_us = 86400000000};
    struct fixture f;

    open_probing(&f, &settings, sha, COUNT_OF(sha));
    ck_assert_int_eq(guard_of(&f, sizeof(large)), GUARD_MD5);
    close_s3(&f);
    open_probing(&f, &settings, crc, COUNT_OF(crc));
    ck_assert_int_eq(guard_of(&f, sizeof(large)), GUARD_CRC32C);
    close_s3(&f);
}
END_TEST

START_TEST(S2_nothing_is_tried_where_nothing_may_be)
{
    const struct s3_settings settings = {.probe = NULL};
    struct fixture f;

    open_probing(&f, &settings, NULL, 0);
    ck_assert_int_eq(guard_of(&f, sizeof(large)), GUARD_MD5);
    close_s3(&f);
}
END_TEST

static enum cpam_status
put_large(struct fixture *f, struct cpam_err *err)
{
    const struct s3_put put = {.key = "a/k",
                               .body = {.data = large, .fd = -1, .size = sizeof(large)}};
    struct s3_info info;

    return s3_put_new(f->s3, &put, f->deadline, &info, err);
}

START_TEST(S2_a_large_put_says_what_the_store_looks_at)
{
    static const struct fake_answer crc[] = {BAD, STORED}, sha[] = {STORED, BAD_SHA, STORED},
                                    plain[] = {BAD_SHA, STORED};
    const struct
    {
        const char *endpoint, *asked, *not_asked;
        const struct fake_answer *answers;
        size_t count;
    } rows[] = {
        {"https://s3.example.net", "x-amz-checksum-crc32c: ", "Content-MD5", crc, 2},
        {"https://s3.example.net", "x-amz-content-sha256: ", "Content-MD5", sha, 3},
        {"http://s3.example.net", "x-amz-content-sha256: ", "Content-MD5", plain, 2},
        {"http://s3.example.net", "x-amz-content-sha256: ", "crc32c", plain, 2},
    };
    const struct s3_settings settings = {.probe = "probe/", .endpoint = rows[_i].endpoint};
    struct fixture f;
    struct cpam_err err;

    open_probing(&f, &settings, rows[_i].answers, rows[_i].count);
    ck_ok(put_large(&f, &err), &err);
    const char *put = strstr(f.http.asked, "/cpam/a/k\n");
    ck_assert_ptr_nonnull(put);
    ck_assert_ptr_nonnull(strcasestr(put, rows[_i].asked));
    ck_assert_ptr_null(strcasestr(put, rows[_i].not_asked));
    ck_assert_int_eq(strstr(put, "UNSIGNED-PAYLOAD") != NULL, _i == 0);
    close_s3(&f);
}
END_TEST

START_TEST(S2_a_crc_that_the_store_knows_differently_is_found)
{
    struct fake_answer answers[] = {BAD, STORED};
    const struct s3_settings settings = {.probe = "probe/"};
    struct fixture f;
    struct cpam_err err;

    answers[1].headers = ETAG "x-amz-checksum-crc32c: AAAAAA==\n";
    open_probing(&f, &settings, answers, 2);
    ck_fails(put_large(&f, &err), CPAM_CORRUPT,
             "holds other bytes than were sent: CRC-32C AAAAAA==", &err);
    close_s3(&f);
    answers[1].headers = NULL;
    open_probing(&f, &settings, answers, 2);
    ck_fails(put_large(&f, &err), CPAM_CORRUPT, "has no ETag", &err);
    close_s3(&f);
}
END_TEST

START_TEST(S2_the_probes_digests_are_wrong)
{
    const char body[] = "CPAM probe: the digest that came with this is wrong\n";

    ck_assert_uint_ne(crc32c(0, body, sizeof(body) - 1), 0); /* "AAAAAA==" */
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xE3069283);
}
END_TEST

START_TEST(a_probe_whose_name_is_too_long_is_refused)
{
    char name[S3_PROBE_MAX + 2];
    const struct s3_settings settings = {
        .bucket = "cpam", .endpoint = "https://s3.example.net", .probe = name};
    struct credentials *credentials = NULL;
    struct fixture f;
    struct cpam_err err;

    memset(name, 'p', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    fake_io_init(&f.io, CLOCK);
    fake_http_init(&f.http, NULL, 0);
    ck_ok(credentials_new("AKID", "secret", 6, NULL, 0, "the test", &credentials, &err), &err);
    ck_fails(s3_open(&f.io.base, &settings, &f.http.base, credentials, &f.s3, &err), CPAM_INTERNAL,
             "too long", &err);
    credentials_free(credentials);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("guard");
    TCase *tcase = tcase_create("guard");

    tcase_add_loop_test(tcase, S2_only_a_store_that_refuses_a_wrong_digest_is_trusted_with_it, 0,
                        (int) COUNT_OF(stores));
    tcase_add_test(tcase, S2_a_store_is_asked_once_for_all_connections);
    tcase_add_test(tcase, S2_a_busy_store_is_asked_again_and_not_for_ever);
    tcase_add_test(tcase, S6_a_lock_goes_with_what_amazon_wants_beside_it);
    tcase_add_test(tcase, S2_nothing_is_tried_where_nothing_may_be);
    tcase_add_loop_test(tcase, S2_a_large_put_says_what_the_store_looks_at, 0, 4);
    tcase_add_test(tcase, S2_a_crc_that_the_store_knows_differently_is_found);
    tcase_add_test(tcase, S2_the_probes_digests_are_wrong);
    tcase_add_test(tcase, a_probe_whose_name_is_too_long_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
