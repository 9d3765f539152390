/*
 * prefetch_crew.c - each thread: take what comes next, read it, offer it.
 */
#include "prefetch_crew.h"

#include <stdlib.h>

#include "base/log.h"
#include "io/file.h"
#include "worker/thread.h"

enum
{
    PATIENCE = 60,        /* s for a segment nobody waits for, plus the time it takes at SLOWEST */
    SLOWEST = 512 * 1024, /* bytes/s */
    SECOND = 1000 * 1000, /* us */
    NOT_STARTED = 0
};

struct prefetch_crew
{
    struct prefetch_crew_spec spec;
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct prefetch_window *window;
    uint64_t reopened; /* prefetch_source_reopened() at the last question */
    bool stopped;
    unsigned running; /* threads */
    unsigned count;
    pthread_t threads[PREFETCH_THREADS_MAX];
};

static void
unlink_entry(void *arg, const struct prefetch_entry *entry)
{
    struct prefetch_crew *crew = arg;
    char name[SEGMENT_NAME_MAX], path[PREFETCH_PATH_MAX];
    struct cpam_err err;

    segment_format(entry->segment, crew->spec.bounds.segment_size, name);
    if (!prefetch_folder_path(crew->spec.folder, name, entry->serial, path))
        return;
    if (file_unlink(crew->spec.io, path, &err) != CPAM_OK && err.status != CPAM_NOT_FOUND)
        cpam_log(LOG_DEBUG, "%s", err.text);
}

struct errand /* a copy of what the entry says, to work on without the lock */
{
    char name[SEGMENT_NAME_MAX];
    uint64_t serial;
    struct deadline deadline;
};

static enum cpam_status
run_errand(struct prefetch_crew *crew, struct prefetch_reader *reader, const struct errand *errand,
           struct cpam_err *err)
{
    CPAM_AUTO(prefetch_file_free) struct prefetch_file *file = NULL;

    CPAM_TRY(prefetch_file_new(crew->spec.folder, errand->name, errand->serial, &file, err));
    CPAM_TRY(prefetch_read(reader, errand->name, crew->spec.bounds.segment_size, errand->deadline,
                           file, err));
    return prefetch_file_publish(file, err);
}

static struct deadline
patience_of(const struct prefetch_crew *crew, const struct prefetch_entry *entry)
{
    int64_t slow = crew->spec.bounds.segment_size / SLOWEST;

    if (entry->asked)
        return entry->deadline;
    return deadline_after(crew->spec.io, (PATIENCE + slow) * SECOND);
}

/* With the lock held; it is given up meanwhile. */
static void
fetch_entry(struct prefetch_crew *crew, struct prefetch_reader *reader,
            struct prefetch_entry *entry)
{
    struct errand errand = {.serial = entry->serial, .deadline = patience_of(crew, entry)};
    const struct prefetch_entry copy = *entry;
    enum cpam_status status;
    struct cpam_err err;
    bool kept, asked;

    segment_format(entry->segment, crew->spec.bounds.segment_size, errand.name);
    pthread_mutex_unlock(&crew->lock);
    status = run_errand(crew, reader, &errand, &err);
    if (status != CPAM_OK)
        cpam_log(LOG_DEBUG, "%s: %s", errand.name, err.text);
    pthread_mutex_lock(&crew->lock);
    asked = entry->asked;
    kept = prefetch_window_done(crew->window, entry, status, &err,
                                crew->spec.io->ops->monotonic(crew->spec.io));
    if (status == CPAM_OK && !kept)
        unlink_entry(crew, &copy);
    /* whoever stopped the crew may have gone without it: there is nobody to wake */
    if (asked && !crew->stopped)
        crew->spec.wake(crew->spec.arg);
}

static void
work(struct prefetch_crew *crew, struct prefetch_reader *reader)
{
    struct prefetch_entry *entry;
    uint64_t margin;

    pthread_mutex_lock(&crew->lock); /* behind start_threads(), which counts them */
    margin = (uint64_t) crew->spec.bounds.segment_size * crew->count;
    pthread_mutex_unlock(&crew->lock);
    for (;;)
    {
        bool room = prefetch_folder_room(crew->spec.folder, margin);

        pthread_mutex_lock(&crew->lock);
        entry = crew->stopped ? NULL : prefetch_window_next(crew->window, room);
        if (entry != NULL)
        {
            pthread_cond_signal(&crew->work); /* there may be more to do than one can */
            fetch_entry(crew, reader, entry);
        }
        else if (!crew->stopped)
            pthread_cond_wait(&crew->work, &crew->lock);
        bool over = crew->stopped;
        pthread_mutex_unlock(&crew->lock);
        if (over)
            return;
    }
}

static void *
thread_main(void *arg)
{
    struct prefetch_crew *crew = arg;
    struct prefetch_reader *reader = NULL;
    struct cpam_err err;

    if (prefetch_reader_new(crew->spec.source, &reader, &err) == CPAM_OK)
        work(crew, reader);
    prefetch_reader_free(reader);
    pthread_mutex_lock(&crew->lock);
    crew->running--;
    pthread_cond_signal(&crew->idle);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static enum cpam_status
start_threads(struct prefetch_crew *crew, struct cpam_err *err)
{
    unsigned wanted = crew->spec.bounds.workers * PREFETCH_THREADS_EACH;
    int failed = 0;

    if (wanted > PREFETCH_THREADS_MAX)
        wanted = PREFETCH_THREADS_MAX;
    pthread_mutex_lock(&crew->lock);
    while (crew->count < wanted && failed == 0)
    {
        failed = thread_start(&crew->threads[crew->count], thread_main, crew);
        crew->count += failed == 0;
    }
    crew->running = crew->count;
    pthread_mutex_unlock(&crew->lock);
    if (crew->count > 0)
        return CPAM_OK; /* fewer do as well */
    return cpam_fail(err, CPAM_IO, failed, "could not start a thread");
}

enum cpam_status
prefetch_crew_new(const struct prefetch_crew_spec *spec, struct prefetch_crew **out,
                  struct cpam_err *err)
{
    struct prefetch_crew *made = calloc(1, sizeof(*made));
    enum cpam_status status;

    *out = NULL;
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for the threads");
    made->spec = *spec;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->work, NULL);
    thread_condition_init(&made->idle);
    status = prefetch_window_new(&spec->bounds, unlink_entry, made, &made->window, err);
    if (status == CPAM_OK)
        status = start_threads(made, err);
    if (status != CPAM_OK)
        prefetch_crew_free(made);
    else
        *out = made;
    return status;
}

void
prefetch_crew_ask(struct prefetch_crew *crew, struct segment segment, struct deadline deadline)
{
    uint64_t reopened = prefetch_source_reopened(crew->spec.source);

    pthread_mutex_lock(&crew->lock);
    if (reopened != crew->reopened)
        prefetch_window_forget(crew->window);
    crew->reopened = reopened;
    prefetch_window_ask(crew->window, segment, deadline,
                        crew->spec.io->ops->monotonic(crew->spec.io));
    pthread_cond_signal(&crew->work);
    pthread_mutex_unlock(&crew->lock);
}

void
prefetch_crew_forget(struct prefetch_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    prefetch_window_forget(crew->window);
    pthread_mutex_unlock(&crew->lock);
}

enum cpam_status
prefetch_crew_take(struct prefetch_crew *crew, struct segment segment, char path[PREFETCH_PATH_MAX],
                   struct cpam_err *err)
{
    enum cpam_status status = CPAM_TRANSIENT;
    struct prefetch_entry *entry;
    char name[SEGMENT_NAME_MAX];

    segment_format(segment, crew->spec.bounds.segment_size, name);
    pthread_mutex_lock(&crew->lock);
    entry = prefetch_window_find(crew->window, segment);
    if (entry != NULL && entry->state == PREFETCH_READY &&
        prefetch_folder_path(crew->spec.folder, name, entry->serial, path))
    {
        prefetch_window_given(crew->window, entry);
        status = CPAM_OK;
    }
    else if (entry != NULL && entry->state == PREFETCH_FAILED)
    {
        if (entry->why != NULL)
            *err = *entry->why;
        else
            cpam_fail(err, CPAM_NO_MEMORY, 0, "%s could not be fetched", name);
        status = err->status == CPAM_TRANSIENT ? CPAM_UNKNOWN : err->status;
    }
    pthread_mutex_unlock(&crew->lock);
    return status;
}

bool
prefetch_crew_stop(struct prefetch_crew *crew, int64_t patience)
{
    int64_t until = crew->spec.io->ops->monotonic(crew->spec.io) + patience;
    bool over;

    prefetch_folder_stop(crew->spec.folder);
    pthread_mutex_lock(&crew->lock);
    crew->stopped = true;
    pthread_cond_broadcast(&crew->work);
    while (crew->running > 0 && thread_wait_until(&crew->idle, &crew->lock, until))
        continue;
    over = crew->running == 0;
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; over && i < crew->count; i++)
        pthread_join(crew->threads[i], NULL);
    if (over)
        crew->count = 0;
    return over;
}

void
prefetch_crew_free(struct prefetch_crew *crew)
{
    if (crew == NULL)
        return;
    prefetch_window_free(crew->window);
    pthread_cond_destroy(&crew->work);
    pthread_cond_destroy(&crew->idle);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}
