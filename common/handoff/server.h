/*
 * server.h - a worker's side: one per place and role, questions in, answers out as each is ready.
 *
 * The worker's main thread runs handoff_server_step(); its other threads do the work and call
 * handoff_server_wake().  The lock file is held (flock) as long as the server lives, so there is
 * one worker; a second one ends at once and its starter talks to the first.
 */
#ifndef CPAM_HANDOFF_SERVER_H
#define CPAM_HANDOFF_SERVER_H

#include "handoff/call.h"

enum
{
    HANDOFF_WAITERS_MAX = 64 /* callers at a time; more are refused and try again */
};

struct handoff_server;
struct handoff_waiter; /* a caller that waits; valid until it is answered or gone */

/* Called in a step, and not to block: a worker without ticks is killed. */
struct handoff_server_events
{
    /* A question; name and stamp are valid during the call.  Answer now or later. */
    void (*asked)(void *arg, struct handoff_waiter *waiter, const char *name,
                  const struct handoff_stamp *stamp, struct deadline deadline);
    /* The caller went away without an answer (killed, or its time was over). */
    void (*gone)(void *arg, struct handoff_waiter *waiter);
    void *arg;
};

/* The configuration of a worker, by the path of the questions, and what that file was before it was read:
   with every question it is compared. */
struct handoff_config
{
    const char *path; /* kept as long as the server */
    struct handoff_stamp stamp;
};
/* As whoever started this worker saw it, else as it is now.  To be taken before the file is read: then a
   file that is replaced meanwhile is another one for the next question. */
void handoff_config_of(struct io *io, const char *path, struct handoff_config *out);

/* CPAM_EXISTS: another worker holds the lock (the starter has been told: exit 0, say nothing).  place
   is kept.  SIGTERM and SIGINT are taken over: one in a process. */
enum cpam_status handoff_server_new(struct io *io, const struct handoff_place *place,
                                    enum handoff_role role, const struct handoff_config *config,
                                    const struct handoff_server_events *events,
                                    struct handoff_server **out, struct cpam_err *err) CPAM_CHECK;

/* Tells the starter that questions can be asked, or (err not NULL) why this worker ends; it becomes
   the caller's failure.  Does nothing the second time, and without a starter. */
void handoff_server_started(const struct cpam_err *err);

/* Waits at most patience us for something, then accepts, reads, ticks. */
enum cpam_status handoff_server_step(struct handoff_server *server, int64_t patience,
                                     struct cpam_err *err) CPAM_CHECK;
/* From any thread: ends the wait of a running step. */
void handoff_server_wake(struct handoff_server *server);

/* Main thread only.  The waiter is gone after it. */
void handoff_answer(struct handoff_server *server, struct handoff_waiter *waiter,
                    const struct handoff_reply *reply);

size_t handoff_server_waiters(const struct handoff_server *server);
/* us since the last question or answer. */
int64_t handoff_server_idle(const struct handoff_server *server);

/*
 * Has this worker to end?  A question of another version or configuration came (it is told so and
 * asks a new worker: the lock and the socket are given up at once), or the place, its socket or its
 * lock is not there any more, or SIGTERM.  Work that runs may be finished; no question comes any more.
 */
bool handoff_server_retired(const struct handoff_server *server);

void handoff_server_free(struct handoff_server *server);
CPAM_SCOPED(handoff_server_free, struct handoff_server);

/*
 * For the worker's main(), before threads and libraries: detach from whoever started it (own
 * session, descriptors above 2 closed but for the starter's pipe, 0-2 on /dev/null unless
 * foreground, cwd "/", umask 077, SIGPIPE ignored).  postgresql.md, trap 29.
 */
enum cpam_status handoff_detach(bool foreground, struct cpam_err *err) CPAM_CHECK;

#endif
