/*
 * prefetch_source.c - opened repositories, shared; connections, each thread's own.
 */
#include "prefetch_source.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "cli/repository_shared.h"
#include "fetch_tablespaces.h"
#include "repo/wal_folder.h"

enum
{
    BENCH = 20 * 1000 * 1000,   /* us a repository that failed comes last */
    OPENING = 10 * 1000 * 1000, /* us: the most that opening one may take */
    BELIEVED = 5 * 1000 * 1000, /* us for which a repository is taken to be the same; what is of
                                   another one is refused whenever it is read */
    LISTED = 60 * 1000 * 1000   /* us that a listing is believed to show every conflict */
};

struct shared /* one repository; all but the first with the source's lock held */
{
    struct repository_shared *repository;
    int64_t failed;  /* us, monotonic; 0: it works, as far as is known */
    uint64_t number; /* of the connections that folders is about */
    struct wal_folders folders;
};

struct prefetch_source
{
    struct io *io;
    const struct settings *settings;
    uint64_t sysid;
    pthread_mutex_t lock;
    size_t preferred; /* SETTINGS_REPOSITORIES_MAX: none */
    uint64_t reopened;
    struct shared shared[SETTINGS_REPOSITORIES_MAX];
};

struct prefetch_reader
{
    struct prefetch_source *source;
    struct tablespace_watch *watch;
    struct repository_connection connections[SETTINGS_REPOSITORIES_MAX];
};

enum cpam_status
prefetch_source_new(struct io *io, const struct settings *settings, uint64_t sysid,
                    struct prefetch_source **out, struct cpam_err *err)
{
    CPAM_AUTO(prefetch_source_free) struct prefetch_source *made = calloc(1, sizeof(*made));

    *out = NULL;
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for the repositories");
    made->io = io;
    made->settings = settings;
    made->sysid = sysid;
    made->preferred = SETTINGS_REPOSITORIES_MAX;
    pthread_mutex_init(&made->lock, NULL);
    for (size_t i = 0; i < settings->repository_count; i++)
    {
        const struct repository_shared_spec spec = {.io = io,
                                                    .settings = settings,
                                                    .which = &settings->repositories[i],
                                                    .purpose = {.for_read = true},
                                                    .believed = BELIEVED};

        CPAM_TRY(repository_shared_new(&spec, &made->shared[i].repository, err));
    }
    *out = CPAM_STEAL(made);
    return CPAM_OK;
}

void
prefetch_source_free(struct prefetch_source *source)
{
    if (source == NULL)
        return;
    for (size_t i = 0; i < SETTINGS_REPOSITORIES_MAX; i++)
        repository_shared_free(source->shared[i].repository);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

void
prefetch_source_prefer(struct prefetch_source *source, const char *repo)
{
    size_t wanted = SETTINGS_REPOSITORIES_MAX;

    for (size_t i = 0; i < source->settings->repository_count; i++)
        if (strcmp(source->settings->repositories[i].name, repo) == 0)
            wanted = i;
    pthread_mutex_lock(&source->lock);
    source->preferred = wanted;
    pthread_mutex_unlock(&source->lock);
}

uint64_t
prefetch_source_reopened(struct prefetch_source *source)
{
    pthread_mutex_lock(&source->lock);
    uint64_t reopened = source->reopened;
    pthread_mutex_unlock(&source->lock);
    return reopened;
}

enum cpam_status
prefetch_reader_new(struct prefetch_source *source, struct prefetch_reader **out,
                    struct cpam_err *err)
{
    CPAM_AUTO(prefetch_reader_free) struct prefetch_reader *made = calloc(1, sizeof(*made));

    *out = NULL;
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for a reader");
    made->source = source;
    CPAM_TRY(tablespace_watch_new(&made->watch, err));
    *out = CPAM_STEAL(made);
    return CPAM_OK;
}

static void
disconnect(struct prefetch_reader *reader, size_t which, enum cpam_status why)
{
    repository_shared_disconnect(reader->source->shared[which].repository,
                                 &reader->connections[which], why);
}

void
prefetch_reader_free(struct prefetch_reader *reader)
{
    if (reader == NULL)
        return;
    for (size_t i = 0; i < reader->source->settings->repository_count; i++)
        disconnect(reader, i, CPAM_OK);
    tablespace_watch_free(reader->watch);
    free(reader);
}

/* The preferred one, those that work, those that failed a moment ago. */
static size_t
order_make(struct prefetch_source *source, size_t order[SETTINGS_REPOSITORIES_MAX])
{
    size_t count = source->settings->repository_count, made = 0;
    int64_t now = source->io->ops->monotonic(source->io);
    bool benched[SETTINGS_REPOSITORIES_MAX] = {false};
    size_t preferred;

    pthread_mutex_lock(&source->lock);
    preferred = source->preferred;
    for (size_t i = 0; i < count; i++)
        benched[i] = source->shared[i].failed != 0 && now - source->shared[i].failed < BENCH;
    pthread_mutex_unlock(&source->lock);
    if (preferred < count && !benched[preferred])
        order[made++] = preferred;
    for (size_t i = 0; i < count; i++)
        if (!benched[i] && i != preferred)
            order[made++] = i;
    for (size_t i = 0; i < count; i++)
        if (benched[i])
            order[made++] = i;
    return made;
}

static void
note(struct prefetch_source *source, size_t which, bool failed)
{
    pthread_mutex_lock(&source->lock);
    source->shared[which].failed = failed ? source->io->ops->monotonic(source->io) : 0;
    pthread_mutex_unlock(&source->lock);
}

/* This thread's connection to it. */
static enum cpam_status
connect_to(struct prefetch_reader *reader, size_t which, struct deadline deadline,
           struct cpam_err *err)
{
    struct prefetch_source *source = reader->source;
    struct shared *shared = &source->shared[which];
    struct repository_connection *connection = &reader->connections[which];
    struct deadline opening =
        deadline_sooner(deadline, deadline_after(source->io, OPENING)); /* or looking */
    enum cpam_status status =
        repository_shared_connect(shared->repository, connection, opening, err);

    if (status == CPAM_NOT_FOUND)
        err->status = status = CPAM_UNKNOWN; /* that there is no repository says nothing */
    CPAM_TRY(status);
    repo_store(connection->repo)->deadline = deadline;
    pthread_mutex_lock(&source->lock);
    if (connection->number > shared->number)
    {
        source->reopened += shared->number != 0;
        shared->number = connection->number;
        memset(&shared->folders, 0, sizeof(shared->folders));
    }
    pthread_mutex_unlock(&source->lock);
    return CPAM_OK;
}

/* F13, with one listing for all segments of a folder: only a person or a copy of another archive
   puts a second content beside a segment. */
static enum cpam_status
no_conflict(struct prefetch_reader *reader, size_t which, const struct archive_name *name,
            struct cpam_err *err)
{
    struct prefetch_source *source = reader->source;
    struct repository_connection *connection = &reader->connections[which];
    const struct wal_folder *known;
    struct wal_folder folder;
    bool conflicts;

    pthread_mutex_lock(&source->lock);
    known = wal_folders_find(&source->shared[which].folders, name,
                             source->io->ops->monotonic(source->io) - LISTED);
    conflicts = known != NULL && known->conflicts;
    pthread_mutex_unlock(&source->lock);
    if (known == NULL)
    {
        CPAM_TRY(wal_folder_list(connection->repo, source->sysid, name, &folder, err));
        conflicts = folder.conflicts;
        pthread_mutex_lock(&source->lock);
        if (connection->number == source->shared[which].number)
            wal_folders_keep(&source->shared[which].folders, &folder);
        pthread_mutex_unlock(&source->lock);
    }
    return conflicts ? wal_archive_conflict(connection->repo, source->sysid, name, NULL, err)
                     : CPAM_OK;
}

static enum cpam_status
read_from(struct prefetch_reader *reader, size_t which, const char *name, uint32_t segment_size,
          struct deadline deadline, struct prefetch_file *file, struct cpam_err *err)
{
    struct archive_name parsed;
    struct object_header header;

    CPAM_TRY(archive_name_parse(name, &parsed, err));
    CPAM_TRY(connect_to(reader, which, deadline, err));
    CPAM_TRY(no_conflict(reader, which, &parsed, err));
    CPAM_TRY(wal_archive_get(reader->connections[which].repo, reader->source->sysid, name,
                             tablespace_watch_over(reader->watch, prefetch_file_sink(file)),
                             &header, err));
    if (prefetch_file_size(file) != segment_size)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the archived file has %" PRIu64 " bytes, but pg_control says that "
                         "segments have %" PRIu32,
                         prefetch_file_size(file), segment_size);
    if (tablespace_watch_any(reader->watch))
        prefetch_file_look_at(file);
    return CPAM_OK;
}

enum cpam_status
prefetch_read(struct prefetch_reader *reader, const char *name, uint32_t segment_size,
              struct deadline deadline, struct prefetch_file *file, struct cpam_err *err)
{
    struct prefetch_source *source = reader->source;
    size_t order[SETTINGS_REPOSITORIES_MAX];
    size_t count = order_make(source, order);
    enum cpam_status worst = CPAM_NOT_FOUND;
    struct cpam_err why;

    cpam_fail(err, CPAM_NOT_FOUND, 0, "%s is in no repository", name);
    for (size_t i = 0; i < count; i++)
    {
        struct deadline share =
            deadline_after(source->io, deadline_left(source->io, deadline) / (int64_t) (count - i));
        enum cpam_status status =
            read_from(reader, order[i], name, segment_size, share, file, &why);

        if (status == CPAM_OK)
        {
            note(source, order[i], false);
            return CPAM_OK;
        }
        prefetch_file_restart(file);
        if (status == CPAM_NOT_FOUND)
        {
            note(source, order[i], false);
            continue;
        }
        cpam_log(LOG_DEBUG, "%s: %s", name, why.text);
        if (worst == CPAM_NOT_FOUND || status == CPAM_EXISTS)
            *err = why;
        worst = err->status;
        /* two contents (F13): another repository has one of them, and can't say which is real */
        if (prefetch_file_failed(file) || status == CPAM_EXISTS)
            return err->status = status;
        note(source, order[i], true);
        disconnect(reader, order[i], status);
    }
    return worst;
}
