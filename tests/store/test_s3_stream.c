/*
 * test_s3_stream.c - an object of unknown length: how large its parts are, where they wait, and what
 * is said when the store takes no more of them.
 */
#include "../s3/fake_http.h"
#include "store/s3_store.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define TIB             ((uint64_t) 1 << 40)
#define GIB             ((uint64_t) 1 << 30)
#define ERROR(code)     "<Error><Code>" code "</Code><Message>m</Message></Error>"
#define NOTHING_THERE                                                                              \
    {.status = 404}, {.status = 404, .body = ERROR("NoSuchKey")},                                  \
    {                                                                                              \
        .status = 200, .body = "<VersioningConfiguration/>"                                        \
    }
#define BEGUN                                                                                       \
    {                                                                                               \
        .status = 200,                                                                              \
        .body =                                                                                     \
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>" \
    }
#define PART_TAKEN                                                                                 \
    {                                                                                              \
        .status = 200, .headers = "ETag: \"part\"\n"                                               \
    }

struct fixture
{
    struct fake_io io;
    struct fake_http http;
    struct store *store;
    char *bytes; /* S3_STORE_PART of them */
};

static void
open_store(struct fixture *f, unsigned max_parts, const struct fake_answer *answers, size_t count)
{
    const struct s3_store_settings settings = {
        .s3 = {.bucket = "cpam", .endpoint = "https://s3.example.net"},
        .prefix = "demo",
        .max_parts = max_parts,
        .parts_dir = "/tmp"};
    struct credentials *credentials = NULL;
    struct cpam_err err;

    fake_io_init(&f->io, 1000000000);
    fake_http_init(&f->http, answers, count);
    ck_ok(credentials_new("AKID", "secret", 6, NULL, 0, "the test", &credentials, &err), &err);
    ck_ok(s3_store_open(&f->io.base, &settings, &f->http.base, credentials, &f->store, &err), &err);
    f->bytes = malloc(S3_STORE_PART);
    ck_assert_ptr_nonnull(f->bytes);
}

static void
close_store(struct fixture *f)
{
    ck_assert_uint_eq(f->http.next, f->http.count);
    free(f->bytes);
    store_free(f->store);
}

static enum cpam_status
put_block(struct fixture *f, struct sink *sink, char byte, struct cpam_err *err)
{
    memset(f->bytes, byte, S3_STORE_PART);
    return sink_write(sink, f->bytes, S3_STORE_PART, err);
}

/* --- the arithmetic --------------------------------------------------------------------------- */

static const struct
{
    unsigned max_parts;
    uint64_t at_least; /* bytes that fit */
} stores[] = {{10000, 5 * TIB}, {1000, TIB}, {100, 100 * GIB}};

START_TEST(S4_parts_grow_until_the_largest_object_fits)
{
    unsigned max_parts = stores[_i].max_parts;
    uint64_t all = 0, last = 0;

    for (unsigned number = 0; number < max_parts; number++)
    {
        uint64_t size = s3_store_part_size(number, max_parts);

        ck_assert_uint_ge(size, 5 << 20); /* EntityTooSmall */
        ck_assert_uint_le(size, 5 * GIB); /* EntityTooLarge */
        ck_assert_uint_ge(size, last);
        ck_assert_uint_eq(size % S3_STORE_PART, 0);
        all += last = size;
    }
    ck_assert_uint_ge(all, stores[_i].at_least);
}
END_TEST

static const struct
{
    unsigned number, max_parts;
    uint64_t size;
} boundaries[] = {
    {0, 10000, 16 << 20},    {999, 10000, 16 << 20},  {1000, 10000, 32 << 20},
    {1999, 10000, 32 << 20}, {2000, 10000, 64 << 20}, {6999, 10000, GIB},
    {7000, 10000, 2 * GIB},  {8000, 10000, 4 * GIB},  {9999, 10000, 4 * GIB},
    {99, 1000, 16 << 20},    {100, 1000, 32 << 20},   {999, 1000, 4 * GIB},
};

START_TEST(S4_parts_grow_at_each_tenth)
{
    ck_assert_uint_eq(s3_store_part_size(boundaries[_i].number, boundaries[_i].max_parts),
                      boundaries[_i].size);
}
END_TEST

/* --- what is sent ----------------------------------------------------------------------------- */

/* Of ten parts at most each is twice as large as the one before it. */
START_TEST(S4_a_grown_part_comes_from_a_file_and_whole)
{
    static const struct fake_answer answers[] = {
        NOTHING_THERE,
        BEGUN,
        PART_TAKEN,
        PART_TAKEN,
        PART_TAKEN,
        {.status = 200, .body = "<CompleteMultipartUploadResult/>"},
        {.status = 200, .headers = "ETag: \"whole-3\"\nContent-Length: 50331649\n"},
        {.status = 200, .headers = "ETag: \"whole-3\"\nContent-Length: 50331649\n"}};
    /* MD5 of 16 MiB "a"; 16 MiB "b" and 16 MiB "c"; "d" */
    static const char *const sums[] = {
        "9IIFQPwKwCdQc5iW/gKNVg==", "qy8Fr/+twZCvWih/LdTRPA==", "gnfgkQ11AZW0SHl2FuCRrQ=="};
    struct fixture f;
    struct sink *sink = NULL;
    struct cpam_err err;

    open_store(&f, 10, answers, COUNT_OF(answers));
    ck_ok(store_put_stream(f.store, "k", STORE_CLASS_BASE, &sink, &err), &err);
    ck_ok(put_block(&f, sink, 'a', &err), &err);
    ck_ok(put_block(&f, sink, 'b', &err), &err);
    ck_ok(put_block(&f, sink, 'c', &err), &err);
    ck_ok(sink_write(sink, "d", 1, &err), &err);
    ck_ok(sink_finish(sink, &err), &err);
    sink_free(sink);
    ck_assert_uint_eq(f.http.bodies[4].size, 16 << 20);
    ck_assert_uint_eq(f.http.bodies[5].size, 32 << 20);
    ck_assert_ptr_null(f.http.bodies[5].data); /* not in memory */
    ck_assert_uint_eq(f.http.bodies[6].size, 1);
    const char *at = f.http.asked;
    for (size_t i = 0; i < COUNT_OF(sums); i++)
        ck_assert_msg((at = strstr(at, sums[i])) != NULL, "part %zu has other bytes", i + 1);
    close_store(&f);
}
END_TEST

START_TEST(S4_more_parts_than_the_store_takes_are_refused_with_what_to_do)
{
    static const struct fake_answer answers[] = {NOTHING_THERE, BEGUN, PART_TAKEN, {.status = 204}};
    struct fixture f;
    struct sink *sink = NULL;
    struct cpam_err err;

    open_store(&f, 1, answers, COUNT_OF(answers));
    ck_ok(store_put_stream(f.store, "k", STORE_CLASS_BASE, &sink, &err), &err);
    ck_ok(put_block(&f, sink, 'a', &err), &err);
    ck_ok(sink_write(sink, "d", 1, &err), &err);
    ck_fails(sink_finish(sink, &err), CPAM_REFUSED,
             "\"s3://cpam/demo/k\" needs more than the 1 parts that its store takes", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "raise max_parts"));
    sink_free(sink);
    close_store(&f);
}
END_TEST

static const char *const refused[] = {ERROR("InvalidArgument"), ERROR("EntityTooLarge"),
                                      ERROR("TooManyParts")};

START_TEST(S4_a_part_that_the_store_refuses_is_named)
{
    const struct fake_answer answers[] = {
        NOTHING_THERE, BEGUN, PART_TAKEN, {.status = 400, .body = refused[_i]}, {.status = 204}};
    struct fixture f;
    struct sink *sink = NULL;
    struct cpam_err err;

    open_store(&f, 1000, answers, COUNT_OF(answers));
    ck_ok(store_put_stream(f.store, "k", STORE_CLASS_BASE, &sink, &err), &err);
    ck_ok(put_block(&f, sink, 'a', &err), &err);
    ck_ok(sink_write(sink, "d", 1, &err), &err);
    ck_fails(sink_finish(sink, &err), CPAM_REFUSED, "could not upload a part of", &err);
    ck_assert_msg(strstr(err.hint, "part 2, of 1 bytes, behind 16777216 bytes") != NULL, "hint: %s",
                  err.hint);
    ck_assert_ptr_nonnull(strstr(err.hint, "max_parts"));
    sink_free(sink);
    close_store(&f);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("s3_stream");
    TCase *tcase = tcase_create("s3_stream");

    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, S4_parts_grow_until_the_largest_object_fits, 0,
                        (int) COUNT_OF(stores));
    tcase_add_loop_test(tcase, S4_parts_grow_at_each_tenth, 0, (int) COUNT_OF(boundaries));
    tcase_add_test(tcase, S4_a_grown_part_comes_from_a_file_and_whole);
    tcase_add_test(tcase, S4_more_parts_than_the_store_takes_are_refused_with_what_to_do);
    tcase_add_loop_test(tcase, S4_a_part_that_the_store_refuses_is_named, 0,
                        (int) COUNT_OF(refused));
    suite_add_tcase(suite, tcase);
    return suite;
}
