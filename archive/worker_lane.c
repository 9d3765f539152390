/*
 * worker_lane.c - the threads that push into one repository.
 *
 * Each keeps its connection open from file to file.  As many connections are made as the way to the
 * store is long: while threads wait for the processors, further ones would only wait with them; where
 * all wait for the store, their number doubles.  A repository that fails is left alone for a
 * while, longer each time, by what nobody asked for; what the server asks for is tried at once, and
 * the server itself asks less and less often.
 */
#include <string.h>

#include "base/log.h"
#include "worker_state.h"

enum
{
    BACK_OFF = 1000000, /* us after the first failure, doubled with each */
    BACK_OFF_MAX = 32 * 1000000,
    ANSWER_MARGIN = 250 * 1000, /* us before the caller's time is over */
    SLOW_LINK = 512 << 10,      /* bytes a second that a large file may take */
    USUAL_LINK = 1 << 20,       /* bytes a second below which a caller's time need not suffice */
    CONNECTING = 2,             /* at a time; more where more are open */
    PAUSE = 1000000,            /* us, at most, without anything to do */
    DRAIN_PAUSE = 10 * 1000000  /* us between looks at an empty backlog */
};

void
worker_pause(struct worker *worker, int64_t us)
{
    (void) thread_wait_until(&worker->work, &worker->lock,
                             worker->io->ops->monotonic(worker->io) + us);
}

/* A file that nobody waits for, over a link that may be slow. */
static int64_t
unhurried(const struct worker *worker, uint64_t size)
{
    return worker->settings->wal.push_timeout + (int64_t) (size / SLOW_LINK + 1) * 1000000;
}

int64_t
lane_drain_time(const struct worker *worker)
{
    return DRAIN_TIME + unhurried(worker, worker->segment_size);
}

/* With the lock held.  The caller's time, so that he hears why it failed; more for what is large, ran
   out of it before, or has callers whose time is over. */
static struct deadline
time_for(const struct worker *worker, const struct job *job, uint64_t size)
{
    int64_t timeout = worker->settings->wal.push_timeout;
    int64_t left = job->until.at - worker->io->ops->monotonic(worker->io);
    bool usual = (int64_t) (size / USUAL_LINK) * 1000000 <= timeout / 2;

    if (job->askers > 0 && usual && !job->patient && job->until.at != 0 && left > 0)
        return deadline_after(worker->io,
                              left > 4 * ANSWER_MARGIN ? left - ANSWER_MARGIN : left - left / 4);
    return deadline_after(worker->io, unhurried(worker, size));
}

/* --- one file ------------------------------------------------------------------------------- */

struct pushing
{
    struct worker *worker;
    struct lane_thread *thread;
    struct job *job;
    struct deadline deadline;
    bool wrong; /* the file is, whatever the repository */
};

/* With the lock held: what its lane counts. */
static void
count_thread(struct worker *worker, struct lane_thread *thread, bool is_open, bool connecting)
{
    struct lane *lane = thread->lane;

    if (thread->connecting && !connecting)
        pthread_cond_broadcast(&worker->work); /* the next one may */
    lane->open = lane->open - thread->is_open + is_open;
    lane->connecting = lane->connecting - thread->connecting + connecting;
    thread->is_open = is_open;
    thread->connecting = connecting;
}

/* Somebody made the repository anew, perhaps: what is known of the old one counts no longer. */
static void
forget_former(struct worker *worker, struct lane_thread *thread)
{
    struct lane *lane = thread->lane;

    pthread_mutex_lock(&worker->lock);
    count_thread(worker, thread, thread->connection.repo != NULL, false);
    if (thread->connection.number > lane->number)
    {
        lane->number = thread->connection.number;
        memset(lane->histories, 0, sizeof(lane->histories));
        memset(&lane->folders, 0, sizeof(lane->folders));
    }
    pthread_mutex_unlock(&worker->lock);
}

enum cpam_status
lane_connect(struct worker *worker, struct lane_thread *thread, struct deadline deadline,
             struct cpam_err *err)
{
    enum cpam_status status =
        repository_shared_connect(thread->lane->shared, &thread->connection, deadline, err);

    forget_former(worker, thread);
    /* the caller's "not found" and "foreign" are about the file, not about a repository */
    if (status == CPAM_NOT_FOUND || status == CPAM_FOREIGN || status == CPAM_INVALID)
        return err->status = CPAM_REFUSED;
    return status;
}

static void
disconnect(struct lane_thread *thread, enum cpam_status why)
{
    repository_shared_disconnect(thread->lane->shared, &thread->connection, why);
}

/* With the lock held: is the lane's memory about the repository this thread is connected to? */
static bool
is_current(const struct lane_thread *thread)
{
    return thread->connection.number == thread->lane->number;
}

static bool
history_there(const struct lane *lane, const struct job *job)
{
    for (size_t i = 0; i < WORKER_HISTORIES; i++)
        if (lane->histories[i].timeline == job->name.timeline.id &&
            handoff_stamp_same(&lane->histories[i].stamp, &job->history))
            return true;
    return false;
}

static void
remember_history(struct lane *lane, const struct job *job)
{
    if (job->history.inode == 0 || history_there(lane, job))
        return;
    lane->histories[lane->next_history].timeline = job->name.timeline.id;
    lane->histories[lane->next_history].stamp = job->history;
    lane->next_history = (lane->next_history + 1) % WORKER_HISTORIES;
}

/*
 * Was the name free when its folder was listed?  Then it is put without a look before, where the
 * store refuses a name that was taken since; in a run of segments that saves a request each.
 */
static bool
probably_absent(struct pushing *push)
{
    struct worker *worker = push->worker;
    struct lane *lane = push->thread->lane;
    const struct archive_name *name = &push->job->name;
    const struct wal_folder *known;
    struct wal_folder folder;
    struct cpam_err ignored;
    bool list, absent;

    if (push->job->doubted)
        return false;
    pthread_mutex_lock(&worker->lock);
    known = wal_folders_find(&lane->folders, name, 0);
    absent = known != NULL && is_current(push->thread) && !wal_folder_has(known, name);
    list = known == NULL && name->kind == ARCHIVE_SEGMENT && !lane->listing;
    lane->listing |= list;
    pthread_mutex_unlock(&worker->lock);
    if (!list)
        return absent;
    enum cpam_status status =
        wal_folder_list(push->thread->connection.repo, worker->sysid, name, &folder, &ignored);
    pthread_mutex_lock(&worker->lock);
    lane->listing = false;
    if (status == CPAM_OK && is_current(push->thread))
        wal_folders_keep(&lane->folders, &folder);
    pthread_mutex_unlock(&worker->lock);
    return status == CPAM_OK && !wal_folder_has(&folder, name);
}

static enum cpam_status
put(struct pushing *push, struct cpam_err *err)
{
    struct worker *worker = push->worker;
    struct lane *lane = push->thread->lane;
    struct push_item_how how = {.wal.gate = &worker->gate};
    struct push_item_result result;

    CPAM_TRY(lane_connect(worker, push->thread, push->deadline, err));
    how.wal.probably_absent = probably_absent(push);
    pthread_mutex_lock(&worker->lock);
    how.history_there = is_current(push->thread) && history_there(lane, push->job);
    pthread_mutex_unlock(&worker->lock);
    enum cpam_status status =
        push_item_put_how(push->thread->connection.repo, push->job->item, &how, &result, err);
    if (result.history_put)
    {
        pthread_mutex_lock(&worker->lock);
        if (is_current(push->thread))
            remember_history(lane, push->job);
        pthread_mutex_unlock(&worker->lock);
    }
    /* the file was looked at before: here what the repository holds is from a version to come */
    return status == CPAM_INVALID ? (err->status = CPAM_REFUSED) : status;
}

static enum cpam_status
push_file(struct pushing *push, struct cpam_err *err)
{
    enum cpam_status status = file_hold(push->worker, push->job, err);

    if (status != CPAM_OK)
    {
        push->wrong = true;
        return status;
    }
    bool kept = push->thread->connection.repo != NULL;
    status = put(push, err);
    /* credentials that were replaced, a connection that was closed while it lay idle */
    if (kept && (status == CPAM_REFUSED || status == CPAM_TRANSIENT || status == CPAM_IO))
    {
        disconnect(push->thread, status);
        status = put(push, err);
    }
    if (status == CPAM_OK && file_check(push->worker, push->job, err) != CPAM_OK)
    {
        push->wrong = true;
        return err->status;
    }
    push->wrong = status == CPAM_EXISTS || status == CPAM_FOREIGN;
    if (status != CPAM_OK && status != CPAM_EXISTS)
        disconnect(push->thread, status);
    return status;
}

/* --- what came of it ------------------------------------------------------------------------ */

static void
note_failure(struct lane *lane, const struct cpam_err *err, int64_t now)
{
    int64_t wait = BACK_OFF;

    for (unsigned i = 0; i < lane->failing && wait < BACK_OFF_MAX; i++)
        wait *= 2;
    if (lane->failing++ == 0)
        cpam_log(LOG_WARNING, "repository \"%s\" fails: %s", lane->which->name, err->text);
    lane->not_before = now + wait;
    lane->last = *err;
}

static void
note_success(struct lane *lane)
{
    if (lane->failing != 0)
        cpam_log(LOG_INFO, "repository \"%s\" works again", lane->which->name);
    lane->failing = 0;
    lane->not_before = 0;
}

/* With the lock held. */
static void
report(struct pushing *push, enum cpam_status status, const struct cpam_err *err)
{
    struct worker *worker = push->worker;
    struct lane *lane = push->thread->lane;
    struct job *job = push->job;
    int64_t now = worker->io->ops->monotonic(worker->io);
    bool of_file = push->wrong || status == CPAM_CORRUPT;

    if (status == CPAM_OK)
        note_success(lane);
    else if (!of_file)
        note_failure(lane, err, now);
    if (status == CPAM_OK)
    {
        job->shares[lane->index].number = push->thread->connection.number;
        queue_report(worker->queue, job, lane->index, SHARE_DONE, false, NULL, now);
    }
    else
        queue_report(worker->queue, job, lane->index,
                     of_file || job->askers > 0 ? SHARE_FAILED : SHARE_OPEN,
                     push->wrong && status != CPAM_TRANSIENT, err, now);
    queue_leave(worker->queue, job);
    pthread_cond_broadcast(&worker->work);
}

/* The system's log has it; the server's is where a DBA looks.  With the lock held. */
static void
remember_said(struct job *job, const struct log_kept *kept)
{
    if (kept->text[0] == '\0')
        return;
    free(job->said);
    job->said = strdup(kept->text); /* without memory it stays in the system's log */
}

/* With the lock held, which is given up meanwhile. */
static void
run_job(struct worker *worker, struct lane_thread *thread, struct job *job)
{
    struct pushing push = {.worker = worker, .thread = thread, .job = job};
    struct log_kept kept = {.text = ""};
    struct cpam_err err;

    bool large = job->name.kind == ARCHIVE_SEGMENT || job->name.kind == ARCHIVE_PARTIAL;

    push.deadline = time_for(worker, job, large ? worker->segment_size : 0);
    thread->hangs_at = push.deadline.at + WORKER_GRACE;
    count_thread(worker, thread, thread->connection.repo != NULL, thread->connection.repo == NULL);
    pthread_mutex_unlock(&worker->lock);
    log_keep(&kept);
    enum cpam_status status = push_file(&push, &err);
    log_keep(NULL);
    if (status != CPAM_OK)
        err.status = status;
    pthread_mutex_lock(&worker->lock);
    remember_said(job, &kept);
    thread->hangs_at = 0;
    count_thread(worker, thread, thread->connection.repo != NULL, false);
    report(&push, status, &err);
    handoff_server_wake(worker->server);
}

/* --- the backlog, while there is nothing else --------------------------------------------------- */

/* With the lock held, which is given up meanwhile.  One thread of a lane at a time. */
static bool
drain(struct worker *worker, struct lane_thread *thread)
{
    struct lane *lane = thread->lane;
    int64_t now = worker->io->ops->monotonic(worker->io);
    enum cpam_status status;
    struct cpam_err err;

    if (lane->draining || now < lane->next_drain || now < lane->not_before)
        return false;
    lane->draining = true;
    thread->hangs_at = now + lane_drain_time(worker) + WORKER_GRACE;
    pthread_mutex_unlock(&worker->lock);
    bool more = keep_drain(worker, thread, &err, &status);
    pthread_mutex_lock(&worker->lock);
    now = worker->io->ops->monotonic(worker->io);
    thread->hangs_at = 0;
    count_thread(worker, thread, thread->connection.repo != NULL, false);
    lane->draining = false;
    lane->next_drain = more ? now : now + DRAIN_PAUSE;
    if (status != CPAM_OK)
    {
        note_failure(lane, &err, now);
        disconnect(thread, status);
    }
    return more;
}

/* With the lock held: would another connection carry more? */
static bool
room_for_another(struct worker *worker, const struct lane *lane)
{
    pthread_mutex_lock(&worker->gate_lock);
    bool crowded = worker->gate_waiting > 0;
    pthread_mutex_unlock(&worker->gate_lock);
    return !crowded && lane->connecting < (lane->open > CONNECTING ? lane->open : CONNECTING);
}

/* With the lock held.  A thread without a connection leaves a job to one that waits with one; what
   somebody asked for waits for nothing else. */
static struct job *
take(struct worker *worker, const struct lane_thread *thread)
{
    const struct lane *lane = thread->lane;
    bool is_open = thread->connection.repo != NULL;
    bool ahead = worker->ahead && worker->io->ops->monotonic(worker->io) >= lane->not_before;

    if (!is_open && lane->connected > 0)
        return NULL;
    return queue_take(worker->queue, lane->index,
                      ahead && (is_open || room_for_another(worker, lane)));
}

void
lane_run(struct worker *worker, struct lane_thread *thread)
{
    struct lane *lane = thread->lane;

    pthread_mutex_lock(&worker->lock);
    while (!worker->stopping)
    {
        struct job *job = take(worker, thread);

        if (job != NULL)
        {
            pthread_cond_broadcast(
                &worker->work); /* whoever left it to this one may take another */
            run_job(worker, thread, job);
        }
        else if (!drain(worker, thread) && !worker->stopping)
        {
            bool connected = thread->connection.repo != NULL;

            lane->connected += connected;
            worker_pause(worker, PAUSE);
            lane->connected -= connected;
        }
    }
    pthread_mutex_unlock(&worker->lock);
    disconnect(thread, CPAM_OK);
}
