/*
 * worker_queue.h - what a push worker has to do and has done, and in which order.  No threads, no I/O.
 *
 * A job is one file; it has a share for each repository (a lane).  The asked-for file comes first,
 * then histories, then the oldest name.  What is durable stays here as an acknowledgement of exactly
 * the bytes that were read (their stamp) until its .ready file is gone.
 *
 * Everything here is called with the worker's lock held.
 */
#ifndef CPAM_ARCHIVE_WORKER_QUEUE_H
#define CPAM_ARCHIVE_WORKER_QUEUE_H

#include "handoff/call.h"
#include "push_item.h"
#include "push_policy.h"

enum share_state
{
    SHARE_OPEN,
    SHARE_RUNNING,
    SHARE_DONE,  /* durable in this repository */
    SHARE_KEPT,  /* in its backlog */
    SHARE_FAILED /* in this run, and nobody tries again by himself */
};

struct share
{
    enum share_state state;
    struct cpam_err *err; /* of the last failure, or NULL */
    uint64_t number;      /* SHARE_DONE: of the opening it was put with (repository_shared.h) */
};

enum job_state
{
    JOB_OPEN,
    JOB_ENOUGH, /* the policy is content; the other repositories or their backlogs are not yet */
    JOB_DURABLE,
    JOB_FAILED
};

struct job
{
    struct archive_name name;
    enum job_state state;
    unsigned askers;         /* callers that wait for it */
    struct deadline until;   /* when the last of them gives up */
    bool patient;            /* it ran out of time before: give it more than they have */
    bool doubted;            /* it is there most likely: look before it is put */
    bool listed;             /* there was a .ready file at the last look */
    bool detached;           /* no longer in the queue; goes with its last user */
    int64_t settled;         /* us, monotonic: when it became what it is */
    struct cpam_err *failed; /* why it is JOB_FAILED; of this run */
    char *said;              /* what was warned of, for whoever asks; NULL: nothing */

    /* The file, while somebody uses it. */
    unsigned users;
    bool reading;
    struct push_item *item;
    bool stamped; /* stamp is that of what was read, or of what inherited shares are about */
    struct handoff_stamp stamp, history;

    struct share shares[]; /* one a lane */
};

struct queue_spec
{
    size_t lanes;
    bool required[SETTINGS_REPOSITORIES_MAX];
    struct push_policy policy;
};

struct queue;

enum cpam_status queue_new(const struct queue_spec *spec, struct queue **out,
                           struct cpam_err *err) CPAM_CHECK;
void queue_free(struct queue *queue);
CPAM_SCOPED(queue_free, struct queue);

/* NULL: not known. */
struct job *queue_find(struct queue *queue, const char *name);
enum cpam_status queue_add(struct queue *queue, const struct archive_name *name, struct job **out,
                           struct cpam_err *err) CPAM_CHECK;
/*
 * A new run of a job that is over.  What old threads still do for it belongs to the old one, which
 * leaves the queue; repositories that have just the bytes of this stamp are not asked again, and
 * where these are all it takes, the new one is over at once.  stamp is NULL: all are asked again.
 */
enum cpam_status queue_again(struct queue *queue, struct job *old,
                             const struct handoff_stamp *stamp, int64_t now, struct job **out,
                             struct cpam_err *err) CPAM_CHECK;

/* The next one for this lane, whose share is running then; NULL: none.  ahead: also one that nobody
   asked for. */
struct job *queue_take(struct queue *queue, size_t lane, bool ahead);
/* The share's run is over: SHARE_OPEN (another try, later), SHARE_DONE, SHARE_KEPT or SHARE_FAILED.
   wrong: the file itself is, for every repository.  err: unless done. */
void queue_report(struct queue *queue, struct job *job, size_t lane, enum share_state state,
                  bool wrong, const struct cpam_err *err, int64_t now);
/* It is in the lane's backlog, or (err not NULL) can't be: then it is not safe to forget. */
void queue_kept(struct queue *queue, struct job *job, size_t lane, const struct cpam_err *err,
                int64_t now);
/* A user has done with the job's file. */
void queue_leave(struct queue *queue, struct job *job);

/* Jobs that are still to be made durable and that nobody asked for; all jobs. */
size_t queue_open(const struct queue *queue);
size_t queue_count(const struct queue *queue);
struct job *queue_at(struct queue *queue, size_t index);
/* The index of a job that is in the queue. */
size_t queue_place(const struct queue *queue, const struct job *job);
/* Forgets what is over and has neither a .ready file nor anybody who waits. */
void queue_prune(struct queue *queue);

#endif
