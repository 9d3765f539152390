/*
 * pace.h - so many bytes a second and no more, shared by all threads that take from it.
 *
 * A bucket that fills at `rate`: who takes from it waits until what was taken before him has had
 * its time.  A pause is not saved up for longer than PACE_BURST, so that no second carries much
 * more than its share.
 */
#ifndef CPAM_IO_PACE_H
#define CPAM_IO_PACE_H

#include "base/err.h"
#include "base/scope.h"
#include "io/io.h"

enum
{
    PACE_BURST = 100 * 1000,  /* us */
    PACE_TAKE_MAX = 64 * 1024 /* bytes to take at once where others want their turn too */
};

struct pace;

/* rate: bytes a second, > 0.  What is taken is taken from `outer` as well (NULL: from nothing
   else), which must outlive *out. */
enum cpam_status pace_new(struct io *io, uint64_t rate, struct pace *outer, struct pace **out,
                          struct cpam_err *err) CPAM_CHECK;
void pace_free(struct pace *pace);
CPAM_SCOPED(pace_free, struct pace);

/* The lowest rate of this one and those it takes from; 0: there is no limit (pace NULL). */
uint64_t pace_rate(const struct pace *pace);

/*
 * Takes `bytes` and says how long (us) the caller has to wait before it may use them.  For a caller
 * that has something to look at while it waits; NULL: 0.
 */
int64_t pace_reserve(struct pace *pace, uint64_t bytes);

/* The same, and waits.  NULL: does nothing. */
void pace_take(struct pace *pace, uint64_t bytes);

#endif
