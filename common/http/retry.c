/*
 * retry.c - back-off with jitter under a deadline.
 */
#include "http/retry.h"

#include <stdbool.h>
#include <string.h>

#include "base/log.h"

enum
{
    LAST_MARGIN = 250000 /* us an attempt should have before the deadline to be worth making */
};

/* Between half of the full wait and all of it. */
static int64_t
wait_of(struct io *io, const struct retry *retry)
{
    int64_t full = RETRY_WAIT_MAX;
    uint32_t chance = 0;

    if (retry->after_us != 0)
        return retry->after_us < 0                 ? 0
               : retry->after_us < RETRY_AFTER_MAX ? retry->after_us
                                                   : RETRY_AFTER_MAX;
    if (retry->attempt < 16 && (int64_t) RETRY_FIRST_WAIT << (retry->attempt - 1) < full)
        full = (int64_t) RETRY_FIRST_WAIT << (retry->attempt - 1);
    /* without random numbers the wait is only less spread, which is no reason to fail */
    if (io->ops->random(io, &chance, sizeof(chance)) != 0)
        chance = 0;
    return full / 2 + (int64_t) ((uint64_t) full / 2 * chance / UINT32_MAX);
}

/* io->sleep may wake early on a signal. */
static void
sleep_whole(struct io *io, int64_t us)
{
    struct deadline end = deadline_after(io, us);
    int64_t left = us;

    while (left > 0)
    {
        io->ops->sleep(io, left);
        left = deadline_left(io, end);
    }
}

static enum cpam_status
give_up(const struct retry *retry, int64_t spent, struct cpam_err *err)
{
    err->status = CPAM_DEADLINE;
    cpam_err_prefix(err, "gave up after %u attempt%s in %.1f s", retry->attempt,
                    retry->attempt == 1 ? "" : "s", (double) spent / 1e6);
    return CPAM_DEADLINE;
}

enum cpam_status
retry_run(struct io *io, struct deadline deadline, retry_fn attempt, void *arg,
          struct cpam_err *err)
{
    int64_t start = io->ops->monotonic(io);
    struct cpam_err last = {0}; /* why the attempt before failed, for when the time runs out */
    struct retry retry = {.attempt = 1};
    bool told = false;

    for (;; retry.attempt++)
    {
        retry.after_us = 0;
        enum cpam_status status = attempt(arg, &retry, err);
        int64_t left = deadline_left(io, deadline);

        if (status == CPAM_DEADLINE && retry.attempt > 1)
        {
            *err = last;
            retry.attempt--;
            return give_up(&retry, io->ops->monotonic(io) - start, err);
        }
        if (status != CPAM_TRANSIENT)
            return status;
        if (left == INT64_MAX && retry.attempt >= RETRY_ATTEMPTS_MAX)
        {
            cpam_err_prefix(err, "gave up after %u attempts", retry.attempt);
            return CPAM_TRANSIENT;
        }

        int64_t wait = wait_of(io, &retry);
        if (wait >= left)
            wait = left - LAST_MARGIN;
        if (left == 0 || wait < 0)
            return give_up(&retry, io->ops->monotonic(io) - start, err);
        last = *err;
        if (!told && io->ops->monotonic(io) - start >= RETRY_SILENCE)
        {
            told = true;
            cpam_log(LOG_WARNING, "%s; trying again", err->text);
        }
        sleep_whole(io, wait);
    }
}
