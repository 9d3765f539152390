/*
 * fetch_prefetched.h - a segment that the worker has fetched ahead, put where the server wants it.
 */
#ifndef CPAM_RESTORE_FETCH_PREFETCHED_H
#define CPAM_RESTORE_FETCH_PREFETCHED_H

#include "fetch_answer.h"
#include "fetch_situation.h"

struct fetch_wish
{
    struct io *io;
    const char *config; /* absolute */
    const char *repo;   /* --repo, or NULL */
    const struct fetch_situation *situation;
    bool any_tablespace; /* --any-tablespace */
};

/*
 * May the worker be asked?  For a whole segment, wanted by the server while it recovers or follows.
 * pg_rewind, Patroni or a person, a history, and a server that ends its recovery never meet a file
 * that was fetched ahead, nor a worker.
 */
bool fetch_prefetched_applies(const struct fetch_situation *situation);

/*
 * Asks the worker (starting it), for at most half of the time that one round may take, and delivers.
 *   FETCH_ANSWER_DELIVERED  the segment is at the destination
 *   FETCH_ANSWER_STOP       the server that asked is gone, so there is nobody to answer
 *   FETCH_ANSWER_AGAIN      anything else: ask in the foreground, which alone can tell what is absent
 * Where no worker can be had, a warning says why.
 */
enum fetch_answer fetch_prefetched(const struct fetch_wish *wish);

#endif
