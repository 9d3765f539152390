/*
 * call.h - a front's one question to its worker, and the start of that worker where none answers.
 *
 * The worker is run as `program --config config --serve data`.  A call is driven by handoff_call_step(): a program loops over it, the archive module puts
 * handoff_call_fd() into its latch wait and steps without blocking.  It needs no thread, no libcurl
 * and no OpenSSL.
 *
 * What it takes care of, inside its deadline:
 *   no worker              starts one (worker program, detached: own session, descriptors 0-2 on
 *                          /dev/null, cwd /), waits for it; its start-up failure becomes ours
 *   a worker of another version, or of another configuration file content (path, device, inode,
 *   size, ctime)           the worker says so and retires; a new one is started
 *   a worker that hangs    (no tick for HANDOFF_TICKS_MISSED seconds) is killed by the pid the
 *                          kernel names (SO_PEERCRED), once, and replaced
 *   a worker that dies     the question is asked again of the next one
 *   a peer of another user is not talked to
 */
#ifndef CPAM_HANDOFF_CALL_H
#define CPAM_HANDOFF_CALL_H

#include <sys/stat.h>

#include "handoff/place.h"

enum
{
    HANDOFF_TEXT_MAX = 8192, /* of a sentence or a hint on the wire */
    HANDOFF_NAME_MAX = 64,   /* a name of the archive */
    HANDOFF_TICK = 1,        /* s: a worker tells each caller that waits that it lives */
    HANDOFF_TICKS_MISSED = 5
};

/* What a file was when somebody looked: an answer about other bytes of the same name is none. */
struct handoff_stamp
{
    uint64_t device, inode, size;
    int64_t changed; /* ctime, ns */
};
void handoff_stamp_of(const struct stat *about, struct handoff_stamp *out);
bool handoff_stamp_same(const struct handoff_stamp *a, const struct handoff_stamp *b);

struct handoff_question
{
    enum handoff_role role;
    const char *program; /* absolute path of the worker */
    /* absolute paths, and what the worker is started with */
    const char *spool, *config, *data, *cluster;
    const char *name;           /* of the archive */
    struct handoff_stamp stamp; /* push: of the file; fetch: of the server's run */
    struct deadline deadline;
};

/* What the worker said. */
struct handoff_reply
{
    enum cpam_status status; /* push: CPAM_OK durable as acknowledged; fetch: CPAM_OK at path */
    char path[4096];         /* fetch: the verified file, the caller's to rename away */
    struct cpam_err why;     /* its sentence and hint; CPAM_OK: what it warned of, or "" */
};

struct handoff_call;

/* Texts of the question are kept.  CPAM_REFUSED, CPAM_IO, CPAM_NOT_FOUND: no worker can be had here
   (the spool can't be used): do the work in the foreground. */
enum cpam_status handoff_call_new(struct io *io, const struct handoff_question *question,
                                  struct handoff_call **out, struct cpam_err *err) CPAM_CHECK;
/*
 * Goes on for at most patience us (0: does not block).  *done: reply holds what the worker said.
 * CPAM_DEADLINE: the question's time is over (the worker may still finish the work).  Another
 * failure: as handoff_call_new.
 */
enum cpam_status handoff_call_step(struct handoff_call *call, int64_t patience, bool *done,
                                   struct handoff_reply *reply, struct cpam_err *err) CPAM_CHECK;
/* What to wait for between steps (readable), or -1: try again in a few ms. */
int handoff_call_fd(const struct handoff_call *call);
void handoff_call_free(struct handoff_call *call);
CPAM_SCOPED(handoff_call_free, struct handoff_call);

/* Steps until there is a reply, or a failure. */
enum cpam_status handoff_ask(struct io *io, const struct handoff_question *question,
                             struct handoff_reply *reply, struct cpam_err *err) CPAM_CHECK;

/* The worker beside this program: the directory of /proc/self/exe, "/", name.  Caller frees. */
enum cpam_status handoff_program_beside(const char *name, char **out,
                                        struct cpam_err *err) CPAM_CHECK;

/* Before the caller becomes it by exec: does it start, with all its libraries?  One run of it. */
enum cpam_status handoff_program_runs(const char *program, struct cpam_err *err) CPAM_CHECK;

#endif
