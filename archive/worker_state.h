/*
 * worker_state.h - what the files of cpam-wal-worker share; nobody else includes this.
 *
 *   worker_serve.c   the main thread: looking ahead, when to end
 *   worker_answer.c  who asked for what, and what he is told
 *   worker_lane.c    the threads of one repository, each with a connection of its own
 *   worker_file.c    the file of a job: read once for all repositories, with its stamp
 *   worker_keep.c    backlogs of repositories that nobody waits for
 */
#ifndef CPAM_ARCHIVE_WORKER_STATE_H
#define CPAM_ARCHIVE_WORKER_STATE_H

#include <stdatomic.h>

#include "cli/repository_shared.h"
#include "handoff/server.h"
#include "repo/wal_folder.h"
#include "worker/thread.h"
#include "worker/worker.h"
#include "worker_queue.h"

enum
{
    WORKER_THREADS = 16,        /* of a lane, at most; and eight for each of wal.push.workers */
    WORKER_HISTORIES = 8,       /* timelines whose history is known to be in a repository */
    DRAIN_TIME = 30 * 1000000,  /* us in which another entry of a backlog is begun */
    WORKER_GRACE = 10 * 1000000 /* us beyond its deadline, until a job is taken to hang for ever */
};

struct worker;

/* One repository. */
struct lane
{
    struct worker *worker;
    size_t index;
    const struct repository_settings *which;
    struct repository_shared *shared;

    /* With the worker's lock held. */
    unsigned failing;     /* failures in a row; 0: it is well */
    int64_t not_before;   /* us, monotonic: no look-ahead before then */
    struct cpam_err last; /* while failing */
    size_t connected;     /* threads that wait with an open connection */
    size_t open;          /* threads that have one */
    size_t connecting;    /* threads that make one */
    bool draining;        /* one of its threads works on the backlog */
    int64_t next_drain;   /* us, monotonic */
    uint64_t number;      /* of the connections that the rest is about */
    struct
    {
        uint32_t timeline;
        struct handoff_stamp stamp; /* of the file that was put */
    } histories[WORKER_HISTORIES];
    size_t next_history;
    struct wal_folders folders; /* what was there when they were listed */
    bool listing;               /* one of its threads lists one */
};

/* A thread's share of the state. */
struct lane_thread
{
    struct lane *lane;
    struct repository_connection connection;
    int64_t hangs_at;         /* with the lock held; 0: it does nothing */
    bool is_open, connecting; /* with the lock held: counted in the lane's */
};

struct asker
{
    struct handoff_waiter *waiter; /* NULL: free */
    struct job *job;
    struct handoff_stamp stamp;
    struct deadline deadline;
    bool again; /* a run began after the question, with whatever the file was then */
};

struct worker
{
    struct io *io;
    const struct settings *settings;
    const char *data; /* absolute path of the data directory */
    uint64_t sysid;
    uint32_t segment_size;
    struct handoff_server *server;

    pthread_mutex_t lock;
    pthread_cond_t work;      /* something to take, or stopping */
    pthread_cond_t file_read; /* a job's file was read */
    struct queue *queue;
    bool stopping;
    size_t lane_count, thread_count;
    struct lane lanes[SETTINGS_REPOSITORIES_MAX];
    struct lane_thread threads[WORKER_THREADS_MAX];
    int64_t keeper_hangs_at; /* as a lane_thread's */
    struct asker askers[HANDOFF_WAITERS_MAX];
    int64_t active; /* us, monotonic: when there was something to do last */
    int64_t asked;  /* when the last question came; 0: never */
    bool ahead;     /* what nobody asked for may be done (worker_wanted.h) */

    pthread_mutex_t gate_lock;
    pthread_cond_t gate_room;
    unsigned gate_free; /* of wal.push.workers */
    unsigned gate_waiting;
    struct wal_gate gate;
};

/* worker_answer.c: for the server's events (arg: the worker) */
void answer_asked(void *arg, struct handoff_waiter *waiter, const char *name,
                  const struct handoff_stamp *stamp, struct deadline deadline);
void answer_gone(void *arg, struct handoff_waiter *waiter);
/* Whoever can be answered; main thread, with the lock held. */
void answer_all(struct worker *worker);

/* worker_lane.c: until the worker stops. */
void lane_run(struct worker *worker, struct lane_thread *thread);
/* us that a thread may be draining a backlog for, with the entry that it began last. */
int64_t lane_drain_time(const struct worker *worker);
/* Connects the thread to its repository, or gives the connection this deadline. */
enum cpam_status lane_connect(struct worker *worker, struct lane_thread *thread,
                              struct deadline deadline, struct cpam_err *err) CPAM_CHECK;

/*
 * worker_file.c: the job's file, read by the first who wants it.  The job must have a user.  After
 * CPAM_OK job->item is there until queue_leave(), and job->stamp says of which file it is.
 */
enum cpam_status file_hold(struct worker *worker, struct job *job, struct cpam_err *err) CPAM_CHECK;
/* Is it still the file it was?  Its content is read while it is put, by each repository: after a put
   only this makes the job's stamp that of what was put. */
enum cpam_status file_check(struct worker *worker, struct job *job,
                            struct cpam_err *err) CPAM_CHECK;
/* Of the file at path now; zeros if there is none. */
void file_stamp(struct io *io, const char *path, struct handoff_stamp *out);
/* <data>/pg_wal/name; NULL without memory. */
char *file_path(const struct worker *worker, const char *name);

/* worker_keep.c: writes backlogs, until the worker stops. */
void keeper_run(struct worker *worker);
/* A while of draining a lane's backlog; true when more is left. */
bool keep_drain(struct worker *worker, struct lane_thread *thread, struct cpam_err *err,
                enum cpam_status *status);

/* Waits for worker->work, us at most.  With the lock held. */
void worker_pause(struct worker *worker, int64_t us);

#endif
