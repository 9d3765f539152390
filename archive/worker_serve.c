/*
 * worker_serve.c - the life of a push worker: its threads, what it looks ahead at, and when it ends.
 *
 * The main thread is the one that answers, so it waits for nothing but the socket.
 */
#include "worker_serve.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/control_file.h"
#include "io/file.h"
#include "worker_ready.h"
#include "worker_state.h"
#include "worker_wanted.h"

enum
{
    STEP = 500 * 1000,        /* us */
    CHECK_EACH = 5 * 1000000, /* us between looks at the data directory */
    IDENTITY_AGE = 1000000,   /* us for which a repository is taken to be the same */
    ENDING = 5 * 1000000,     /* us for jobs that run when it has to end */
    JOBS_MAX = 16384,         /* in the queue, with what was pushed ahead */
    HOPELESS = 4              /* failures in a row, after which a repository keeps nobody awake */
};

struct serving
{
    struct worker worker;
    struct worker_request *request;
    struct ready *ready;
    struct stat data;
    struct wanted wanted;
    int64_t checked;
};

static int64_t
now_of(const struct serving *serving)
{
    return serving->worker.io->ops->monotonic(serving->worker.io);
}

/* --- looking ahead ---------------------------------------------------------------------------- */

/* With the lock held: which jobs does the server still have as .ready? */
static void
mark_listed(struct serving *serving)
{
    struct queue *queue = serving->worker.queue;
    bool complete;
    size_t count = ready_count(serving->ready, &complete);
    const struct archive_name *end = complete ? NULL : ready_at(serving->ready, count - 1);

    for (size_t i = 0; i < queue_count(queue); i++)
    {
        struct job *job = queue_at(queue, i);

        /* beyond the end of a list that was cut nothing is known, before it everything */
        job->listed = job->listed && end != NULL && archive_name_order(&job->name, end) > 0;
    }
    for (size_t i = 0; i < count; i++)
    {
        struct job *job = queue_find(queue, ready_at(serving->ready, i)->text);

        if (job != NULL)
            job->listed = true;
    }
}

static void
look_ahead(struct serving *serving)
{
    struct worker *worker = &serving->worker;
    size_t ahead = worker->settings->wal.push_ahead, open;
    struct cpam_err ignored;
    bool fresh, complete, more = false;

    ready_look(serving->ready, &fresh);
    const struct wanted_signs signs = {.asked = worker->asked,
                                       .waits = handoff_server_waiters(worker->server) > 0,
                                       .fresh = fresh};
    bool wanted = wanted_look(&serving->wanted, worker->io, worker->data, &signs);
    size_t count = ready_count(serving->ready, &complete);
    pthread_mutex_lock(&worker->lock);
    worker->ahead = wanted;
    if (fresh)
    {
        mark_listed(serving);
        queue_prune(worker->queue);
    }
    open = queue_open(worker->queue);
    for (size_t i = 0; wanted && i < count && open < ahead && queue_count(worker->queue) < JOBS_MAX;
         i++)
    {
        const struct archive_name *name = ready_at(serving->ready, i);
        struct job *job;

        if (queue_find(worker->queue, name->text) != NULL)
            continue;
        if (queue_add(worker->queue, name, &job, &ignored) != CPAM_OK)
            break;
        job->listed = true;
        open++;
        more = true;
    }
    if (more)
        pthread_cond_broadcast(&worker->work);
    pthread_mutex_unlock(&worker->lock);
}

/* Without a look at what is .ready, what is durable is done with once it has been told; what failed is
   asked for again. */
static void
forget_durable(struct serving *serving)
{
    struct queue *queue = serving->worker.queue;

    pthread_mutex_lock(&serving->worker.lock);
    for (size_t i = 0; i < queue_count(queue); i++)
        queue_at(queue, i)->listed = queue_at(queue, i)->state != JOB_DURABLE;
    queue_prune(queue);
    pthread_mutex_unlock(&serving->worker.lock);
}

/* --- when it is over -------------------------------------------------------------------------- */

/* Does a thread hang in what has no end?  The next question starts another worker. */
static bool
hangs(const struct serving *serving)
{
    const struct worker *worker = &serving->worker;
    int64_t now = now_of(serving);

    for (size_t i = 0; i < worker->thread_count; i++)
        if (worker->threads[i].hangs_at != 0 && now > worker->threads[i].hangs_at)
        {
            cpam_log(LOG_ERROR,
                     "a push into repository \"%s\" hangs in a system call; this worker ends, "
                     "and the next question starts another one",
                     worker->threads[i].lane->which->name);
            return true;
        }
    return worker->keeper_hangs_at != 0 && now > worker->keeper_hangs_at;
}

/* Work that may come to an end; a repository that fails again and again keeps nobody awake. */
static bool
is_busy(const struct serving *serving)
{
    const struct worker *worker = &serving->worker;
    bool hopeless = false;

    for (size_t i = 0; i < worker->lane_count; i++)
        hopeless |= worker->lanes[i].failing >= HOPELESS;
    for (size_t i = 0; i < worker->thread_count; i++)
        if (worker->threads[i].hangs_at != 0 && worker->threads[i].lane->failing < HOPELESS)
            return true;
    return handoff_server_waiters(worker->server) > 0 || worker->keeper_hangs_at != 0 ||
           (worker->ahead && !hopeless && queue_open(worker->queue) > 0);
}

/* Is the directory still the one this worker is for? */
static bool
data_is_ours(struct serving *serving)
{
    struct worker *worker = &serving->worker;
    struct control control;
    struct cpam_err ignored;
    struct stat about;

    if (worker->io->ops->stat(worker->io, AT_FDCWD, worker->data, 0, &about) != 0 ||
        about.st_dev != serving->data.st_dev || about.st_ino != serving->data.st_ino)
        return false;
    enum cpam_status status = control_file_read(worker->io, worker->data, &control, &ignored);
    /* what can't be read now is looked at again */
    return status == CPAM_OK ? control.sysid == worker->sysid : status != CPAM_USAGE;
}

static bool
is_over(struct serving *serving)
{
    int64_t now = now_of(serving);
    bool over;

    if (now - serving->checked >= CHECK_EACH)
    {
        serving->checked = now;
        if (!data_is_ours(serving))
        {
            cpam_log(LOG_INFO, "\"%s\" is not there any more, or is another cluster: ending",
                     serving->worker.data);
            return true;
        }
    }
    pthread_mutex_lock(&serving->worker.lock);
    if (is_busy(serving))
        serving->worker.active = now;
    over = serving->request->idle != 0 && now - serving->worker.active >= serving->request->idle;
    pthread_mutex_unlock(&serving->worker.lock);
    return over;
}

/* --- its life --------------------------------------------------------------------------------- */

static enum cpam_status
step(struct serving *serving, struct cpam_err *err)
{
    CPAM_TRY(handoff_server_step(serving->worker.server, STEP, err));
    pthread_mutex_lock(&serving->worker.lock);
    answer_all(&serving->worker);
    serving->request->abandoned = hangs(serving);
    pthread_mutex_unlock(&serving->worker.lock);
    return CPAM_OK;
}

static enum cpam_status
serve(struct serving *serving, struct cpam_err *err)
{
    while (!handoff_server_retired(serving->worker.server) && !serving->request->abandoned &&
           !is_over(serving))
    {
        if (serving->worker.settings->wal.push_ahead > 0)
            look_ahead(serving);
        else
            forget_durable(serving);
        CPAM_TRY(step(serving, err));
    }
    return CPAM_OK;
}

static bool
any_runs(struct serving *serving)
{
    bool runs;

    pthread_mutex_lock(&serving->worker.lock);
    runs = serving->worker.keeper_hangs_at != 0;
    for (size_t i = 0; i < serving->worker.thread_count; i++)
        runs |= serving->worker.threads[i].hangs_at != 0;
    pthread_mutex_unlock(&serving->worker.lock);
    return runs;
}

/* What runs may come to its end, and whoever waits for it hears of it. */
static void
wind_down(struct serving *serving, struct worker_pool *pool)
{
    struct worker *worker = &serving->worker;
    struct deadline deadline = deadline_after(worker->io, ENDING);
    struct cpam_err ignored;

    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_broadcast(&worker->work);
    pthread_mutex_unlock(&worker->lock);
    while (!serving->request->abandoned && any_runs(serving) &&
           deadline_left(worker->io, deadline) > 0)
        if (step(serving, &ignored) != CPAM_OK)
            break;
    if (worker_wait_for(pool, STEP, &ignored) == CPAM_DEADLINE)
        serving->request->abandoned = true;
}

static void
enter_gate(void *arg)
{
    struct worker *worker = arg;

    pthread_mutex_lock(&worker->gate_lock);
    worker->gate_waiting++;
    while (worker->gate_free == 0)
        pthread_cond_wait(&worker->gate_room, &worker->gate_lock);
    worker->gate_waiting--;
    worker->gate_free--;
    pthread_mutex_unlock(&worker->gate_lock);
}

static void
leave_gate(void *arg)
{
    struct worker *worker = arg;

    pthread_mutex_lock(&worker->gate_lock);
    worker->gate_free++;
    pthread_cond_signal(&worker->gate_room);
    pthread_mutex_unlock(&worker->gate_lock);
}

/* A job of the pool is a thread's whole life: job is its lane_thread, or NULL for the keeper. */
static enum cpam_status
run_thread(void *arg, void *context, void *job, struct cpam_err *err)
{
    struct serving *serving = arg;

    (void) context;
    (void) err;
    if (job == &serving->worker)
        keeper_run(&serving->worker);
    else
        lane_run(&serving->worker, job);
    return CPAM_OK;
}

static enum cpam_status
set_up_lanes(struct worker *worker, struct cpam_err *err)
{
    const struct settings *settings = worker->settings;
    size_t each = settings->wal.push_workers * (size_t) 8;

    worker->lane_count = settings->repository_count;
    if (each > WORKER_THREADS)
        each = WORKER_THREADS;
    if (each * worker->lane_count >= WORKER_THREADS_MAX)
        each = (WORKER_THREADS_MAX - 1) / worker->lane_count;
    for (size_t i = 0; i < worker->lane_count; i++)
    {
        struct lane *lane = &worker->lanes[i];
        const struct repository_shared_spec spec = {.io = worker->io,
                                                    .settings = settings,
                                                    .which = &settings->repositories[i],
                                                    .purpose = {.for_write = true},
                                                    .believed = IDENTITY_AGE};

        lane->index = i;
        lane->which = spec.which;
        CPAM_TRY(repository_shared_new(&spec, &lane->shared, err));
        for (size_t k = 0; k < each; k++)
            worker->threads[worker->thread_count++].lane = lane;
    }
    return CPAM_OK;
}

static enum cpam_status
set_up_queue(struct worker *worker, struct cpam_err *err)
{
    struct queue_spec spec = {
        .lanes = worker->lane_count,
    };

    CPAM_TRY(push_policy_of(worker->settings, &spec.policy, err));
    for (size_t i = 0; i < worker->lane_count; i++)
        spec.required[i] = worker->lanes[i].which->required;
    return queue_new(&spec, &worker->queue, err);
}

static enum cpam_status
set_up(struct serving *serving, struct worker_request *request, struct cpam_err *err)
{
    struct worker *worker = &serving->worker;
    struct control control;

    serving->request = request;
    worker->io = request->io;
    worker->settings = request->settings;
    worker->data = request->data;
    worker->gate_free = request->settings->wal.push_workers;
    worker->gate = (struct wal_gate){enter_gate, leave_gate, worker};
    pthread_mutex_init(&worker->lock, NULL);
    pthread_mutex_init(&worker->gate_lock, NULL);
    pthread_cond_init(&worker->gate_room, NULL);
    pthread_cond_init(&worker->file_read, NULL);
    thread_condition_init(&worker->work);
    serving->worker.active = serving->checked = now_of(serving);
    CPAM_TRY(file_stat(worker->io, request->data, &serving->data, err));
    CPAM_TRY(control_file_read(worker->io, request->data, &control, err));
    worker->sysid = control.sysid;
    worker->segment_size = control.segment_size;
    CPAM_TRY(set_up_lanes(worker, err));
    CPAM_TRY(set_up_queue(worker, err));
    return ready_new(worker->io, request->data, &serving->ready, err);
}

static enum cpam_status
run_all(struct serving *serving, struct cpam_err *err)
{
    struct worker *worker = &serving->worker;
    size_t count = worker->thread_count + 1;
    struct worker_spec spec = {
        .threads = (unsigned) count, .queue = count, .arg = serving, .run = run_thread};
    struct worker_pool *pool = NULL;

    CPAM_TRY(worker_pool_new(&spec, &pool, err));
    enum cpam_status status = worker_submit(pool, worker, err);
    for (size_t i = 0; i < worker->thread_count && status == CPAM_OK; i++)
        status = worker_submit(pool, &worker->threads[i], err);
    if (status == CPAM_OK)
    {
        handoff_server_started(NULL);
        status = serve(serving, err);
    }
    wind_down(serving, pool);
    if (!serving->request->abandoned)
        worker_pool_free(pool);
    return status;
}

static enum cpam_status
serve_place(struct serving *serving, struct cpam_err *err)
{
    const struct worker_request *request = serving->request;
    const struct handoff_server_events events = {answer_asked, answer_gone, &serving->worker};
    struct worker *worker = &serving->worker;
    struct handoff_place *place = NULL;
    struct handoff_key key;

    CPAM_TRY(handoff_key_of(worker->io, worker->data, worker->settings->cluster, &key, err));
    CPAM_TRY(handoff_place_open(worker->io, worker->settings->wal.spool, &key, true, &place, err));
    enum cpam_status status = handoff_server_new(worker->io, place, HANDOFF_PUSH, &request->config,
                                                 &events, &worker->server, err);
    if (status == CPAM_OK)
        status = run_all(serving, err);
    if (!request->abandoned)
    {
        handoff_server_free(worker->server);
        handoff_place_free(place);
    }
    return status;
}

enum cpam_status
worker_serve(struct worker_request *request, struct cpam_err *err)
{
    struct serving *serving = calloc(1, sizeof(*serving));

    thread_share_memory();
    request->abandoned = false;
    if (serving == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a worker");
    enum cpam_status status = set_up(serving, request, err);
    if (status == CPAM_OK)
        status = serve_place(serving, err);
    if (!request->abandoned)
    {
        for (size_t i = 0; i < SETTINGS_REPOSITORIES_MAX; i++)
            repository_shared_free(serving->worker.lanes[i].shared);
        queue_free(serving->worker.queue);
        ready_free(serving->ready);
        free(serving);
    }
    return status;
}
