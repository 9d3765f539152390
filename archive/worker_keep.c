/*
 * worker_keep.c - files for repositories that nobody waits for: onto disk before the answer, from
 * there into the repository later.
 *
 * A repository that is merely a little slower than the others gets a moment; one that fails, or that
 * has not done it by then, has the file in its backlog before the server is told that it may go.
 */
#include <inttypes.h>
#include <stdio.h>

#include "backlog.h"
#include "base/log.h"
#include "worker_state.h"

enum
{
    MOMENT = 2 * 1000000, /* us for a repository that is well */
    LOOK = 100 * 1000,    /* us between looks while one has it */
    SLOW_DISK = 2 << 20,  /* bytes a second that a copy may take */
    DRAIN_MOST = 8        /* files at a time; what the server asks for has other threads */
};

/* The first job whose other repositories have had their moment. */
static struct job *
next_to_keep(struct worker *worker, bool *some)
{
    int64_t now = worker->io->ops->monotonic(worker->io);

    *some = false;
    for (size_t i = 0; i < queue_count(worker->queue); i++)
    {
        struct job *job = queue_at(worker->queue, i);
        bool late = now - job->settled >= MOMENT;

        if (job->state != JOB_ENOUGH)
            continue;
        *some = true;
        for (size_t lane = 0; lane < worker->lane_count && !late; lane++)
            late = job->shares[lane].state == SHARE_FAILED ||
                   (job->shares[lane].state != SHARE_DONE && worker->lanes[lane].failing > 0);
        if (late)
            return job;
    }
    return NULL;
}

static enum cpam_status
keep_for(const struct worker *worker, const struct archive_name *name, const struct lane *lane,
         struct cpam_err *err)
{
    CPAM_AUTO(backlog_free) struct backlog *backlog = NULL;
    CPAM_AUTO(free) char *path = file_path(worker, name->text);
    char history[ARCHIVE_NAME_MAX];

    if (path == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    CPAM_TRY(backlog_open(worker->io, worker->settings, lane->which, worker->sysid, &backlog, err));
    if (name->timeline.id > 1 && name->kind != ARCHIVE_HISTORY)
    {
        snprintf(history, sizeof(history), "%08" PRIX32 ".history", name->timeline.id);
        CPAM_AUTO(free) char *beside = file_path(worker, history);
        struct handoff_stamp stamp;

        if (beside == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
        file_stamp(worker->io, beside, &stamp);
        if (stamp.inode != 0)
            CPAM_TRY(backlog_keep(backlog, beside, history, err));
    }
    return backlog_keep(backlog, path, name->text, err);
}

/* What was kept is what was pushed, if the file is still the same. */
static enum cpam_status
keep_same(const struct worker *worker, const struct archive_name *name,
          const struct handoff_stamp *pushed, const struct lane *lane, struct cpam_err *err)
{
    CPAM_AUTO(free) char *path = file_path(worker, name->text);
    struct handoff_stamp now;

    CPAM_TRY(keep_for(worker, name, lane, err));
    if (path == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    file_stamp(worker->io, path, &now);
    if (!handoff_stamp_same(&now, pushed))
        return cpam_fail(err, CPAM_TRANSIENT, 0, "\"%s\" changed while it was kept", path);
    return CPAM_OK;
}

/* With the lock held, which is given up meanwhile. */
static void
keep(struct worker *worker, struct job *job)
{
    int64_t now = worker->io->ops->monotonic(worker->io);

    job->users++;
    for (size_t i = 0; i < worker->lane_count && job->state == JOB_ENOUGH; i++)
    {
        enum share_state before = job->shares[i].state;
        struct handoff_stamp stamp = job->stamp;
        struct archive_name name = job->name;
        struct cpam_err err;

        if (before == SHARE_DONE || before == SHARE_KEPT)
            continue;
        worker->keeper_hangs_at = now + worker->settings->wal.push_timeout +
                                  (int64_t) (stamp.size / SLOW_DISK) * 1000000 + WORKER_GRACE;
        pthread_mutex_unlock(&worker->lock);
        enum cpam_status status = keep_same(worker, &name, &stamp, &worker->lanes[i], &err);
        pthread_mutex_lock(&worker->lock);
        now = worker->io->ops->monotonic(worker->io);
        if (status != CPAM_OK)
            cpam_err_prefix(&err, "the backlog of repository \"%s\"", worker->lanes[i].which->name);
        if (status != CPAM_OK && !worker->lanes[i].which->required)
        {
            log_failure(&err); /* it never decides (push_policy.h) */
            status = CPAM_OK;
        }
        queue_kept(worker->queue, job, i, status == CPAM_OK ? NULL : &err, now);
    }
    queue_leave(worker->queue, job);
    worker->keeper_hangs_at = 0;
    handoff_server_wake(worker->server);
}

void
keeper_run(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (!worker->stopping)
    {
        bool some;
        struct job *job = next_to_keep(worker, &some);

        if (job != NULL)
            keep(worker, job);
        else
            worker_pause(worker, some ? LOOK : 10 * LOOK);
    }
    pthread_mutex_unlock(&worker->lock);
}

bool
keep_drain(struct worker *worker, struct lane_thread *thread, struct cpam_err *err,
           enum cpam_status *status)
{
    const struct repository_settings *which = thread->lane->which;
    const struct backlog_limits limits = {.begin = deadline_after(worker->io, DRAIN_TIME),
                                          .end =
                                              deadline_after(worker->io, lane_drain_time(worker)),
                                          .most = DRAIN_MOST};
    CPAM_AUTO(backlog_free) struct backlog *backlog = NULL;
    struct archive_name name;
    uint64_t left = 0;
    bool any = false;
    char *path = NULL;

    *status = backlog_open(worker->io, worker->settings, which, worker->sysid, &backlog, err);
    if (*status == CPAM_OK)
        *status = backlog_next(backlog, &any, &name, &path, err);
    free(path);
    if (*status != CPAM_OK || !any)
        return false;
    *status = lane_connect(worker, thread, limits.begin, err);
    if (*status != CPAM_OK)
        return true;
    *status = backlog_drain(backlog, thread->connection.repo, worker->data, &limits, &left, err);
    if (*status == CPAM_OK && left == 0)
        cpam_log(LOG_INFO, "repository \"%s\" has all that was kept for it", which->name);
    return left > 0;
}
