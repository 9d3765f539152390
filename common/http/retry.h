/*
 * retry.h - the one place that tries again.
 *
 * Only CPAM_TRANSIENT is tried again, with waits that double and are spread by chance (so that many
 * clients that failed together do not come back together), on io's clock and random.  A wait the
 * other side asked for (Retry-After) is honoured up to RETRY_AFTER_MAX.  Everything happens under
 * one deadline; without a deadline, after RETRY_ATTEMPTS_MAX attempts.
 *
 * What has not come right after RETRY_SILENCE is logged as a warning, once: a person at the terminal
 * looks at nothing otherwise, for as long as the deadline is.
 *
 * When the time is up the status is CPAM_DEADLINE, and the sentence still says what failed last.
 */
#ifndef CPAM_HTTP_RETRY_H
#define CPAM_HTTP_RETRY_H

#include "base/err.h"
#include "io/io.h"

enum
{
    RETRY_FIRST_WAIT = 100000,  /* us: 100 ms */
    RETRY_WAIT_MAX = 15000000,  /* us: 15 s */
    RETRY_AFTER_MAX = 60000000, /* us: 60 s, of what the other side may ask for */
    RETRY_SILENCE = 3000000,    /* us: who waits longer is told why, once */
    RETRY_ATTEMPTS_MAX = 20     /* only where there is no deadline */
};

struct retry
{
    unsigned attempt; /* 1 at the first */
    int64_t after_us; /* set by the attempt: the other side asked to wait this long; -1: at once */
};

typedef enum cpam_status (*retry_fn)(void *arg, struct retry *retry, struct cpam_err *err);

/* Calls attempt until it returns something else than CPAM_TRANSIENT or the time is up. */
enum cpam_status retry_run(struct io *io, struct deadline deadline, retry_fn attempt, void *arg,
                           struct cpam_err *err) CPAM_CHECK;

#endif
