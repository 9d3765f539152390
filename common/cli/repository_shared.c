/*
 * repository_shared.c - who opens, who looks, and who goes on with what another one has opened.
 */
#include "cli/repository_shared.h"

#include <pthread.h>

#include "base/log.h"
#include "repo/repo_known.h"
#include "worker/thread.h"

enum
{
    OPENED_AGE = 600 * 1000000, /* us: then it is opened anew */
    MOMENT = 2 * 1000000,       /* us, at most, that one waits for another who opens */
    TRIES = 3
};

/* With the lock held, but for what never changes. */
struct repository_opened
{
    struct repository *repository;
    uint64_t number;
    int64_t since;
    int64_t checked; /* us, monotonic, when the last look began that found it unchanged */
    bool checking;   /* somebody looks before he has to */
    bool lent;       /* its own connection is a thread's */
    unsigned users;
};

struct repository_shared
{
    struct repository_shared_spec spec;
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct repository_opened *current; /* a user of it, or NULL */
    unsigned opening;                  /* threads */
    uint64_t number;
};

enum cpam_status
repository_shared_new(const struct repository_shared_spec *spec, struct repository_shared **out,
                      struct cpam_err *err)
{
    struct repository_shared *made = calloc(1, sizeof(*made));

    *out = made;
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a repository");
    made->spec = *spec;
    pthread_mutex_init(&made->lock, NULL);
    thread_condition_init(&made->change);
    return CPAM_OK;
}

static int64_t
now_of(const struct repository_shared *shared)
{
    return shared->spec.io->ops->monotonic(shared->spec.io);
}

/* With the lock held; it is given up, for what the last user has to close. */
static void
let_go_unlock(struct repository_shared *shared, struct repository_opened *opened)
{
    bool last = opened != NULL && --opened->users == 0;

    pthread_mutex_unlock(&shared->lock);
    if (!last)
        return;
    repository_free(opened->repository);
    free(opened);
}

/* With the lock held, which is given up: nobody begins with this opening any more. */
static void
retire_unlock(struct repository_shared *shared, struct repository_opened *opened)
{
    bool is_current = opened != NULL && shared->current == opened;

    if (is_current)
        shared->current = NULL;
    let_go_unlock(shared, is_current ? opened : NULL);
}

void
repository_shared_free(struct repository_shared *shared)
{
    if (shared == NULL)
        return;
    pthread_mutex_lock(&shared->lock);
    retire_unlock(shared, shared->current);
    pthread_cond_destroy(&shared->change);
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

static void
hang_up(struct repository_shared *shared, struct repository_connection *connection)
{
    struct repository_opened *opened = connection->opened;

    if (opened == NULL)
        return;
    /* the one that came with the opening goes with it, and is lent to nobody again */
    if (connection->repo != repository_repo(opened->repository))
        repo_free(connection->repo);
    connection->repo = NULL;
    connection->opened = NULL;
    pthread_mutex_lock(&shared->lock);
    let_go_unlock(shared, opened);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Once for all connections.  What could not be told is found out by whoever needs it. */
static void
ask_keeping(struct repo *repo)
{
    enum store_keeping ignored;
    struct cpam_err err;

    if (store_keeping(repo_store(repo), true, &ignored, &err) != CPAM_OK)
        cpam_log(LOG_DEBUG, "repository \"%s\": %s", repo_name(repo), err.text);
}

static enum cpam_status
open_one(struct repository_shared *shared, struct deadline deadline, struct repository_opened **out,
         struct cpam_err *err)
{
    const struct repository_shared_spec *spec = &shared->spec;
    struct repository_opened *made = calloc(1, sizeof(*made));
    enum cpam_status status;

    *out = NULL;
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a repository");
    made->since = made->checked = now_of(shared);
    status = repository_open(spec->io, spec->settings, spec->which, spec->purpose, deadline,
                             &made->repository, err);
    if (status == CPAM_OK)
        ask_keeping(repository_repo(made->repository));
    if (status == CPAM_OK)
        *out = made;
    else
        free(made);
    return status;
}

/* The current opening, of which the caller is a user then; *lent: with its own connection. */
static enum cpam_status
share(struct repository_shared *shared, struct deadline deadline, struct repository_opened **out,
      bool *lent, struct cpam_err *err)
{
    struct repository_opened *made = NULL;
    int64_t moment = deadline_left(shared->spec.io, deadline) / 4;
    int64_t until = now_of(shared) + (moment < MOMENT ? moment : MOMENT);
    enum cpam_status status = CPAM_OK;

    pthread_mutex_lock(&shared->lock);
    while (shared->current == NULL && shared->opening > 0 &&
           thread_wait_until(&shared->change, &shared->lock, until))
        continue;
    if (shared->current == NULL)
    {
        shared->opening++;
        pthread_mutex_unlock(&shared->lock);
        status = open_one(shared, deadline, &made, err);
        pthread_mutex_lock(&shared->lock);
        shared->opening--;
        if (made != NULL && shared->current == NULL)
        {
            made->number = ++shared->number;
            made->users = 1;
            shared->current = CPAM_STEAL(made);
        }
        pthread_cond_broadcast(&shared->change);
    }
    *out = shared->current; /* whoever opened it */
    if (*out != NULL)
    {
        status = CPAM_OK;
        *lent = !(*out)->lent;
        (*out)->lent = true;
        (*out)->users++;
    }
    pthread_mutex_unlock(&shared->lock);
    if (made != NULL)
        repository_free(made->repository);
    free(made);
    return status;
}

static enum cpam_status
call(struct repository_shared *shared, struct repository_connection *connection,
     struct deadline deadline, struct cpam_err *err)
{
    struct repository_opened *opened;
    enum cpam_status status = CPAM_OK;
    bool lent;

    CPAM_TRY(share(shared, deadline, &opened, &lent, err));
    connection->opened = opened;
    connection->number = opened->number;
    connection->repo = lent ? repository_repo(opened->repository) : NULL;
    if (!lent)
        status = repo_another(repository_repo(opened->repository), &connection->repo, err);
    if (status != CPAM_OK)
        hang_up(shared, connection);
    return status;
}

/* --- is it the same? -------------------------------------------------------------------------- */

/* One thread looks a little early, so that the others need not. */
static bool
has_to_look(struct repository_shared *shared, const struct repository_connection *connection,
            int64_t now)
{
    struct repository_opened *opened = connection->opened;
    int64_t believed = shared->spec.believed;
    bool look;

    pthread_mutex_lock(&shared->lock);
    int64_t age = now - opened->checked;
    look = connection->doubted || age >= believed || (age >= believed / 4 * 3 && !opened->checking);
    opened->checking |= look;
    pthread_mutex_unlock(&shared->lock);
    return look;
}

static enum cpam_status
look(struct repository_shared *shared, struct repository_connection *connection,
     struct cpam_err *err)
{
    struct repository_opened *opened = connection->opened;
    int64_t now = now_of(shared);
    enum cpam_status status;

    if (!has_to_look(shared, connection, now))
        return CPAM_OK;
    status = repo_still_same(connection->repo, err);
    pthread_mutex_lock(&shared->lock);
    opened->checking = false;
    if (status == CPAM_OK && opened->checked < now)
        opened->checked = now;
    if (status == CPAM_OK)
        pthread_mutex_unlock(&shared->lock);
    else
        retire_unlock(shared, opened);
    connection->doubted = false;
    return status;
}

/* --- a connection ----------------------------------------------------------------------------- */

/* An opening that is too old is nobody's; what is connected to a former one hangs up. */
static void
keep_current(struct repository_shared *shared, struct repository_connection *connection)
{
    bool former;

    pthread_mutex_lock(&shared->lock);
    struct repository_opened *current = shared->current;
    bool old = current != NULL && now_of(shared) - current->since > OPENED_AGE;
    former = old || connection->opened != current;
    retire_unlock(shared, old ? current : NULL);
    if (former)
        hang_up(shared, connection);
}

enum cpam_status
repository_shared_connect(struct repository_shared *shared,
                          struct repository_connection *connection, struct deadline deadline,
                          struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;

    keep_current(shared, connection);
    for (int i = 0; i < TRIES; i++)
    {
        if (connection->repo == NULL)
            CPAM_TRY(call(shared, connection, deadline, err));
        repo_store(connection->repo)->deadline = deadline;
        status = look(shared, connection, err);
        if (status == CPAM_OK)
            return CPAM_OK;
        cpam_log(LOG_INFO, "repository \"%s\" is opened anew: %s", shared->spec.which->name,
                 err->text);
        hang_up(shared, connection);
    }
    return status;
}

/* Nothing but the line, which is the thread's own. */
static bool
of_the_line(enum cpam_status why)
{
    return why == CPAM_OK || why == CPAM_TRANSIENT || why == CPAM_DEADLINE || why == CPAM_IO ||
           why == CPAM_UNKNOWN;
}

void
repository_shared_disconnect(struct repository_shared *shared,
                             struct repository_connection *connection, enum cpam_status why)
{
    if (!of_the_line(why))
    {
        pthread_mutex_lock(&shared->lock);
        retire_unlock(shared, connection->opened);
    }
    connection->doubted = why != CPAM_OK;
    hang_up(shared, connection);
}
