/*
 * fake_s3.h - an S3 bucket in memory behind the table of http.h, that fails as often as it is told.
 *
 * It knows what the store asks of a bucket without versions: conditional PUT, GET with a range,
 * HEAD, and the question whether it keeps versions.  A fault is drawn before each answer; each
 * request takes 20 ms of the twin's clock.
 */
#ifndef CPAM_TESTS_FAKE_S3_H
#define CPAM_TESTS_FAKE_S3_H

#include "http/http.h"
#include "io_twin.h"

enum fake_fault
{
    FAKE_NONE,
    FAKE_503,       /* SlowDown */
    FAKE_429,       /* with Retry-After: 1 */
    FAKE_500,       /* InternalError */
    FAKE_RESET,     /* before the request was looked at */
    FAKE_LOST,      /* it was done, and the answer got lost */
    FAKE_TRUNCATED, /* half of the body of an answer, then a reset */
    FAKE_COUNT
};

struct fake_s3;

/* percent: how many requests fail.  The twin gives the clock. */
struct fake_s3 *fake_s3_new(struct io_twin *twin, unsigned percent, uint64_t seed);
void fake_s3_free(struct fake_s3 *s3);

/* A connection of its own to the same bucket. */
struct http *fake_s3_connect(struct fake_s3 *s3);

void fake_s3_set_percent(struct fake_s3 *s3, unsigned percent);
unsigned fake_s3_requests(const struct fake_s3 *s3);
unsigned fake_s3_faults(const struct fake_s3 *s3, enum fake_fault fault);
size_t fake_s3_objects(const struct fake_s3 *s3, const char *part);  /* whose key holds part */
unsigned fake_s3_bodies(const struct fake_s3 *s3, const char *part); /* PUT bodies sent to such */

/* Fewest and longest pause (us) between two requests of which the first failed nth times in a row
   (nth >= 1): what backing off looks like from the other side. */
int64_t fake_s3_longest_pause(const struct fake_s3 *s3, unsigned nth);

#endif
