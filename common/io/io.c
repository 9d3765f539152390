/*
 * io.c - deadlines on an io's monotonic clock.
 *
 * A moment in the past is kept as a negative number, so that it can't be mistaken for "never" (0)
 * by a clock that starts at nought, as the tests' does.
 */
#include "io/io.h"

struct deadline
deadline_after(struct io *io, int64_t us)
{
    if (us <= 0)
        return (struct deadline){-1};

    int64_t now = io->ops->monotonic(io);
    if (us > INT64_MAX - now)
        return (struct deadline){INT64_MAX};
    return (struct deadline){now + us};
}

int64_t
deadline_left(struct io *io, struct deadline deadline)
{
    if (deadline.at == 0)
        return INT64_MAX;
    if (deadline.at < 0)
        return 0;

    int64_t now = io->ops->monotonic(io);
    return deadline.at > now ? deadline.at - now : 0;
}

struct deadline
deadline_sooner(struct deadline a, struct deadline b)
{
    if (a.at == 0)
        return b;
    if (b.at == 0)
        return a;
    return a.at < b.at ? a : b;
}

struct deadline
deadline_later(struct deadline a, struct deadline b)
{
    if (a.at == 0 || b.at == 0)
        return (struct deadline){0};
    return a.at > b.at ? a : b;
}
