/*
 * fetch_archive.h - asks the repositories for one file, in turn.
 *
 * The one named by --repo comes first, then the others in the configuration's order.  The read set
 * (postgresql.md, trap 4) is the one of --repo, else those with `required: true`; where none is
 * required, all.  What is left of the time is shared: each gets an equal part of it, so that a
 * silent one does not keep the next from answering, and one outside the read set gets at most
 * FETCH_EXTRA_PATIENCE to be opened.
 */
#ifndef CPAM_RESTORE_FETCH_ARCHIVE_H
#define CPAM_RESTORE_FETCH_ARCHIVE_H

#include "cli/settings.h"
#include "fetch_answer.h"
#include "fetch_situation.h"

enum
{
    FETCH_EXTRA_PATIENCE = 10 * 1000 * 1000 /* us */
};

struct fetch_request
{
    struct io *io;
    const struct settings *settings;
    const char *repo; /* --repo, or NULL */
    const struct fetch_situation *situation;
    uint64_t sysid; /* 0: not known here; then a repository's only cluster record */
    struct deadline deadline;
    bool any_tablespace; /* --any-tablespace */
};

struct fetch_result
{
    enum fetch_outcome outcome;
    /* Unless delivered: the sentence and hint of the repository that decided, with its name. */
    struct cpam_err err;
    /* replay of it would use another server's files (fetch_tablespaces.h): nor may a copy of the server's
       own be taken instead */
    bool harmful;
};

/*
 * Delivers into the destination of the situation, or says what is known instead.  Repositories
 * that failed before another one delivered are logged as warnings.  Fails only where nobody was
 * asked (--repo names none of the configuration).
 */
enum cpam_status fetch_archive(const struct fetch_request *request, struct fetch_result *result,
                               struct cpam_err *err) CPAM_CHECK;

#endif
