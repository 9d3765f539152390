/*
 * push_shares.c - a thread for each repository, and what they have come to so far.
 */
#include "push_shares.h"

#include <string.h>

#include "worker/thread.h"
#include "worker/worker.h"

#define SECOND ((int64_t) 1000000) /* us */

enum
{
    GRACE = 500 * 1000 /* us beyond the deadline, for operations that end by themselves */
};

struct push_shares
{
    struct push_work work;
    struct push_policy policy;
    struct worker_pool *pool;
    int64_t started; /* us, monotonic */
    size_t count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t busy; /* shares whose thread has not come to its end */
    struct push_share shares[SETTINGS_REPOSITORIES_MAX];
};

/* Real time: a test's clock does not run by itself. */
static int64_t
now_real(void)
{
    return io_posix()->ops->monotonic(io_posix());
}

/* --- in the threads --------------------------------------------------------------------------- */

static void
finished(struct push_shares *shares, struct push_share *share, enum cpam_status status,
         const struct cpam_err *err)
{
    pthread_mutex_lock(&shares->lock);
    share->status = status;
    if (status != CPAM_OK)
    {
        share->err = *err;
        share->err.status = status;
    }
    share->finished = true;
    pthread_cond_broadcast(&shares->changed);
    pthread_mutex_unlock(&shares->lock);
}

/*
 * CPAM_FOREIGN and CPAM_INVALID say to the caller that the file is wrong.  It was looked at before:
 * here a repository is another's, or was made by a version to come, and the file is good.
 */
static enum cpam_status
open_share(const struct push_work *work, const struct push_share *share,
           struct repository **repository, struct cpam_err *err)
{
    static const struct repository_purpose purpose = {.for_write = true, .one_file = true};
    enum cpam_status status = repository_open(work->io, work->settings, share->which, purpose,
                                              work->deadline, repository, err);

    return status == CPAM_FOREIGN || status == CPAM_INVALID || status == CPAM_EXISTS ? CPAM_REFUSED
                                                                                     : status;
}

/* Never fails for the pool: another repository's failure must not stop this one's push. */
static enum cpam_status
run_share(void *arg, void *context, void *job, struct cpam_err *ignored)
{
    struct push_shares *shares = arg;
    const struct push_work *work = &shares->work;
    struct push_share *share = job;
    struct repository *repository = NULL;
    struct cpam_err err;
    enum cpam_status status = open_share(work, share, &repository, &err);

    (void) context;
    (void) ignored;
    if (status == CPAM_OK)
        status = work->put(work->arg, repository_repo(repository), &err);
    finished(shares, share, status, &err);
    if (status == CPAM_OK && work->after != NULL)
        work->after(work->arg, repository_repo(repository), share->which);
    repository_free(repository);
    pthread_mutex_lock(&shares->lock);
    shares->busy--;
    pthread_cond_broadcast(&shares->changed);
    pthread_mutex_unlock(&shares->lock);
    return CPAM_OK;
}

/* --- in the caller's -------------------------------------------------------------------------- */

static void
release(struct push_shares *shares)
{
    worker_pool_free(shares->pool);
    pthread_cond_destroy(&shares->changed);
    pthread_mutex_destroy(&shares->lock);
    free(shares);
}

enum cpam_status
push_shares_start(const struct push_work *work, struct push_shares **out, struct cpam_err *err)
{
    struct push_policy policy;

    CPAM_TRY(push_policy_of(work->settings, &policy, err));
    struct push_shares *shares = calloc(1, sizeof(*shares));
    if (shares == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to push");
    shares->work = *work;
    shares->policy = policy;
    shares->started = now_real();
    pthread_mutex_init(&shares->lock, NULL);
    thread_condition_init(&shares->changed);
    for (size_t i = 0; i < work->settings->repository_count; i++)
        if (work->optional || work->settings->repositories[i].required)
            shares->shares[shares->count++].which = &work->settings->repositories[i];
    shares->busy = shares->count;

    const struct worker_spec spec = {.threads = (unsigned) shares->count,
                                     .queue = shares->count,
                                     .arg = shares,
                                     .run = run_share};
    enum cpam_status status = worker_pool_new(&spec, &shares->pool, err);
    for (size_t i = 0; i < shares->count && status == CPAM_OK; i++)
        status = worker_submit(shares->pool, &shares->shares[i], err);
    if (status != CPAM_OK)
        release(shares);
    else
        *out = shares;
    return status;
}

/* Under the lock.  *all: nobody is left to wait for under this verdict. */
static enum push_verdict
verdict_now(const struct push_shares *shares, bool *all)
{
    size_t done = 0, failed = 0, finished_required = 0, finished_all = 0;
    bool wrong = false;

    for (size_t i = 0; i < shares->count; i++)
    {
        const struct push_share *share = &shares->shares[i];

        finished_all += share->finished;
        if (!share->finished || !share->which->required)
            continue;
        finished_required++;
        done += share->status == CPAM_OK;
        failed += share->status != CPAM_OK;
        wrong = wrong || share->status == CPAM_EXISTS || share->status == CPAM_FOREIGN ||
                share->status == CPAM_INVALID;
    }
    enum push_verdict verdict = push_policy_verdict(&shares->policy, done, failed, wrong);
    *all = verdict == PUSH_FAILED ? finished_required == shares->policy.required
                                  : finished_all == shares->count;
    return verdict;
}

/* Under the lock.  False when the moment (us, real) has come. */
static bool
wait_until(struct push_shares *shares, int64_t until)
{
    return thread_wait_until(&shares->changed, &shares->lock, until);
}

static int64_t
last_moment(const struct push_shares *shares)
{
    int64_t left = deadline_left(shares->work.io, shares->work.deadline);

    return left > INT64_MAX / 2 ? INT64_MAX / 2 : now_real() + left + GRACE;
}

enum push_verdict
push_shares_wait(struct push_shares *shares)
{
    const int64_t last = last_moment(shares);
    int64_t patience = 0;
    enum push_verdict verdict;
    bool all;

    pthread_mutex_lock(&shares->lock);
    for (;;)
    {
        int64_t until = last;

        verdict = verdict_now(shares, &all);
        if (verdict != PUSH_WAIT && all)
            break;
        if (verdict == PUSH_DURABLE)
        {
            int64_t now = now_real();
            int64_t took = now - shares->started;

            if (patience == 0)
                patience = now + (took > SECOND ? took : SECOND);
            until = patience < last ? patience : last;
        }
        if (!wait_until(shares, until))
        {
            verdict = verdict_now(shares, &all);
            break;
        }
    }
    pthread_mutex_unlock(&shares->lock);
    return verdict;
}

size_t
push_shares_count(const struct push_shares *shares)
{
    return shares->count;
}

struct push_share
push_share_at(struct push_shares *shares, size_t i)
{
    pthread_mutex_lock(&shares->lock);
    struct push_share share = shares->shares[i];
    pthread_mutex_unlock(&shares->lock);
    return share;
}

/* Is somebody at work who has told already, and will come to an end by himself? */
static bool
after_at_work(const struct push_shares *shares)
{
    size_t unfinished = 0;

    for (size_t i = 0; i < shares->count; i++)
        unfinished += !shares->shares[i].finished;
    return shares->busy > unfinished;
}

bool
push_shares_end(struct push_shares *shares)
{
    const int64_t last = last_moment(shares);

    pthread_mutex_lock(&shares->lock);
    while (after_at_work(shares) && wait_until(shares, last))
        ;
    bool over = shares->busy == 0;
    pthread_mutex_unlock(&shares->lock);
    if (over)
        release(shares);
    return over;
}
