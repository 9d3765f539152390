/*
 * pace.c - one moment a bucket: when everything that was taken so far has had its time.
 */
#include "io/pace.h"

#include <pthread.h>
#include <stdlib.h>

#define SECOND 1e6 /* us */

struct pace
{
    struct io *io;
    struct pace *outer;
    double rate; /* bytes a second */
    pthread_mutex_t lock;
    double paid; /* us on the monotonic clock; a double, so that small takes don't round away */
};

enum cpam_status
pace_new(struct io *io, uint64_t rate, struct pace *outer, struct pace **out, struct cpam_err *err)
{
    struct pace *pace = calloc(1, sizeof(*pace));

    *out = pace;
    if (pace == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a limit of the rate");
    pace->io = io;
    pace->outer = outer;
    pace->rate = (double) rate;
    pace->paid = (double) io->ops->monotonic(io);
    pthread_mutex_init(&pace->lock, NULL);
    return CPAM_OK;
}

void
pace_free(struct pace *pace)
{
    if (pace == NULL)
        return;
    pthread_mutex_destroy(&pace->lock);
    free(pace);
}

uint64_t
pace_rate(const struct pace *pace)
{
    double lowest = 0;

    for (; pace != NULL; pace = pace->outer)
        if (lowest == 0 || pace->rate < lowest)
            lowest = pace->rate;
    return (uint64_t) lowest;
}

static int64_t
reserve_here(struct pace *pace, uint64_t bytes)
{
    double now = (double) pace->io->ops->monotonic(pace->io);

    pthread_mutex_lock(&pace->lock);
    if (pace->paid < now - PACE_BURST)
        pace->paid = now - PACE_BURST;
    double wait = pace->paid - now;
    pace->paid += (double) bytes / pace->rate * SECOND;
    pthread_mutex_unlock(&pace->lock);
    return wait > 0 ? (int64_t) wait : 0;
}

int64_t
pace_reserve(struct pace *pace, uint64_t bytes)
{
    int64_t longest = 0;

    for (; pace != NULL; pace = pace->outer)
    {
        int64_t wait = reserve_here(pace, bytes);

        if (wait > longest)
            longest = wait;
    }
    return longest;
}

void
pace_take(struct pace *pace, uint64_t bytes)
{
    int64_t wait = pace_reserve(pace, bytes);

    if (wait > 0)
        pace->io->ops->sleep(pace->io, wait);
}
