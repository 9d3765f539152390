/*
 * running.h - jobs that are under way on this host, for cpam-info in another terminal.
 *
 * Each has a file in <state>/running/, locked while the job lives and rewritten in place about once
 * a second.  A file nobody holds is what a killed job left: it is no running job, and the next one
 * to start takes it away.  Nothing else depends on these files: what can't be written is told once,
 * and the job goes on.
 */
#ifndef CPAM_CLI_RUNNING_H
#define CPAM_CLI_RUNNING_H

#include "base/err.h"
#include "base/scope.h"
#include "io/io.h"

enum
{
    RUNNING_FILE_MAX = 4096, /* bytes of such a file, and of what it says */
    RUNNING_JOBS_MAX = 1000  /* files that are looked at */
};

struct running_job
{
    char program[40]; /* "cpam-base-push" */
    char name[80];    /* of the backup */
    char where[1200]; /* what it is pushed into, or restored to */
    uint64_t pid;
    uint64_t started;     /* us since 1970 UTC */
    uint64_t elapsed;     /* us since it began to count bytes */
    uint64_t done, total; /* bytes; total 0: not known yet */
};

struct running;

/* Never fails: *out is NULL where the file can't be made, and NULL is good for all of these. */
void running_begin(struct io *io, const char *state, const char *program, const char *name,
                   const char *where, struct running **out);
void running_tell(struct running *running, uint64_t done, uint64_t total, int64_t elapsed_us);
void running_end(struct running *running);
CPAM_SCOPED(running_end, struct running);

/* The jobs under way, in no order.  No state directory: there are none. */
typedef enum cpam_status (*running_fn)(void *arg, const struct running_job *job,
                                       struct cpam_err *err);
enum cpam_status running_each(struct io *io, const char *state, running_fn fn, void *arg,
                              struct cpam_err *err) CPAM_CHECK;

#endif
