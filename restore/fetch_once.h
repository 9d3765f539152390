/*
 * fetch_once.h - one file from the archive, in the foreground.
 *
 * What cpam-wal-prefetch --once does, and with it cpam-wal-fetch wherever no prefetched file is at
 * hand.  Only here is an absence proven.
 */
#ifndef CPAM_RESTORE_FETCH_ONCE_H
#define CPAM_RESTORE_FETCH_ONCE_H

#include "fetch_situation.h"

struct fetch_call
{
    struct io *io;
    const char *config;  /* absolute; NULL: nobody can be asked, the state alone decides */
    const char *repo;    /* --repo, or NULL */
    const char *as_of;   /* --as-of, or NULL */
    bool any_tablespace; /* --any-tablespace */
    const struct fetch_situation *situation;
    int64_t begun; /* us, monotonic: when the call really began; 0: now.  Counts as time used. */
};

/*
 * Asks until there is an answer for the caller of the situation (fetch_answer.h), and delivers.
 * Says on the log what happened.  The exit status: 0, 1 or 254.
 */
int fetch_once(const struct fetch_call *call);

#endif
