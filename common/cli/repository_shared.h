/*
 * repository_shared.h - one repository, opened once, for the threads of a worker.
 *
 * What is read when a repository is opened (keys, identity) and what is found out about it later is
 * shared; each thread has a connection of its own.  Whether it still is the same repository is asked
 * once for all of them: no connection is given out whose repository was not seen within `believed`.
 *
 * Nobody is held up by another thread's trouble: whoever waits for one that opens, or looks, does it
 * himself after a moment.
 */
#ifndef CPAM_CLI_REPOSITORY_SHARED_H
#define CPAM_CLI_REPOSITORY_SHARED_H

#include "cli/repository.h"

struct repository_shared;
struct repository_opened;

struct repository_shared_spec
{
    struct io *io; /* this and the next two are kept */
    const struct settings *settings;
    const struct repository_settings *which;
    struct repository_purpose purpose;
    int64_t believed; /* us from a look at repo.json to the next one */
};

/* One thread's; all zeros at first. */
struct repository_connection
{
    struct repo *repo; /* NULL: there is none */
    /* Of the opening it belongs to: what was found out about a repository under a smaller number may
       be about another one. */
    uint64_t number;
    struct repository_opened *opened;
    bool doubted; /* to be looked at before it is used */
};

enum cpam_status repository_shared_new(const struct repository_shared_spec *spec,
                                       struct repository_shared **out,
                                       struct cpam_err *err) CPAM_CHECK;
/* After its connections. */
void repository_shared_free(struct repository_shared *shared);
CPAM_SCOPED(repository_shared_free, struct repository_shared);

/*
 * Makes the connection, or goes on with it: everything in it ends by the deadline.  Opens the
 * repository (again: when it was replaced, when it could not be told, and from time to time, for
 * credentials and keys that were replaced).  Errors as repository_open.
 */
enum cpam_status repository_shared_connect(struct repository_shared *shared,
                                           struct repository_connection *connection,
                                           struct deadline deadline,
                                           struct cpam_err *err) CPAM_CHECK;

/* Gives it up.  why: what went wrong in it, CPAM_OK if nothing did; unless that was the line, the
   repository is opened anew for every thread. */
void repository_shared_disconnect(struct repository_shared *shared,
                                  struct repository_connection *connection, enum cpam_status why);

#endif
