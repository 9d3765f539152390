/*
 * fake_bucket.h - a struct s3 whose answers are a script (fake_http.h) and whose clock stands still.
 */
#ifndef CPAM_TESTS_S3_FAKE_BUCKET_H
#define CPAM_TESTS_S3_FAKE_BUCKET_H

#include "fake_http.h"
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

static inline void
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

static inline void
close_s3(struct fixture *f)
{
    ck_assert_uint_eq(f->http.next, f->http.count); /* every answer was asked for */
    s3_free(f->s3);
}

static inline void
ck_asked(const struct fixture *f, const char *words)
{
    ck_assert_msg(strstr(f->http.asked, words) != NULL, "\"%s\" was not asked for:\n%s", words,
                  f->http.asked);
}

#endif
