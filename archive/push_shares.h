/*
 * push_shares.h - the same work in several repositories at once, waiting for as many of them as
 * wal.push.acknowledge asks for.
 *
 * Each repository has a thread of its own, so that one that hangs takes no time from the others.
 * The operations of a repository end by the deadline themselves; the waits here have limits of their
 * own all the same, because not every system call can be bounded (a file server that does not
 * answer).  What such threads still use is left to them until the process ends.
 */
#ifndef CPAM_ARCHIVE_PUSH_SHARES_H
#define CPAM_ARCHIVE_PUSH_SHARES_H

#include "cli/repository.h"
#include "push_policy.h"

struct push_share
{
    const struct repository_settings *which;
    bool finished;
    enum cpam_status status; /* when finished */
    struct cpam_err err;     /* when finished, unless CPAM_OK */
};

struct push_work
{
    struct io *io;
    const struct settings *settings;
    struct deadline deadline;
    bool optional; /* also in repositories that are not required */
    /* In the opened repository.  CPAM_EXISTS, CPAM_FOREIGN, CPAM_INVALID: the file is wrong. */
    enum cpam_status (*put)(void *arg, struct repo *repo, struct cpam_err *err);
    /* After a put that succeeded and was told; NULL: nothing. */
    void (*after)(void *arg, struct repo *repo, const struct repository_settings *which);
    void *arg; /* everything here stays valid until push_shares_end() says that nobody uses it */
};

struct push_shares;
enum cpam_status push_shares_start(const struct push_work *work, struct push_shares **out,
                                   struct cpam_err *err) CPAM_CHECK;

/*
 * Until the policy has a verdict.  After PUSH_DURABLE the others get a little longer (about as long
 * again, a second at least), so that a repository that is only somewhat slower is not behind all
 * the time.  After PUSH_FAILED all required ones are waited for.  PUSH_WAIT: the time is over.
 */
enum push_verdict push_shares_wait(struct push_shares *shares);

size_t push_shares_count(const struct push_shares *shares);
struct push_share push_share_at(struct push_shares *shares, size_t i);

/* Waits for what `after` does, and frees.  False: threads are still at work (see above). */
bool push_shares_end(struct push_shares *shares);

#endif
