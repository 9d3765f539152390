/*
 * push_copy.c - jobs, one a part of a file; each worker with its own connections and packs.
 */
#include "push_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "push_reuse.h"
#include "repo/object_read.h"
#include "worker/worker.h"

enum
{
    QUEUE = 256,            /* jobs that wait */
    LOOK_AGAIN = 100 * 1000 /* us, for a signal */
};

/* What one worker owns.  The main thread may use it while no job runs. */
struct copier
{
    struct push_copy *copy;
    struct repo *repos[PACK_REPOS_MAX]; /* NULL: dropped */
    struct pack_fill *fill;
    struct page_check *check; /* or NULL */
    struct push_reuse *reuse; /* or NULL */
};

struct push_copy
{
    struct io *io;
    struct push_copy_spec spec;
    struct worker_pool *pool;
    pthread_mutex_t lock;
    struct copier *copiers[WORKER_THREADS_MAX];
    unsigned copier_count;
};

struct job
{
    uint64_t part, offset, size;
    uint8_t *content;   /* of a piece; NULL: it is read */
    const char *inside; /* of path: relative to the data directory */
    char path[];        /* the whole path */
};

static void
job_free(struct job *job)
{
    if (job != NULL)
        free(job->content);
    free(job);
}
CPAM_SCOPED(job_free, struct job);

static void
copier_free(struct copier *copier)
{
    if (copier == NULL)
        return;
    page_check_free(copier->check);
    push_reuse_free(copier->reuse);
    pack_fill_free(copier->fill);
    for (size_t i = 0; i < PACK_REPOS_MAX; i++)
        repo_free(copier->repos[i]);
    free(copier);
}
CPAM_SCOPED(copier_free, struct copier);

/* A connection to each repository that is left; one to which there is none is dropped. */
static void
connect_all(struct copier *copier)
{
    const struct push_copy_spec *spec = &copier->copy->spec;

    for (size_t i = 0; i < pack_set_spec(spec->packs)->repos; i++)
    {
        struct cpam_err err;

        if (spec->repos[i] != NULL && pack_set_reason(spec->packs, i, &err) == CPAM_OK &&
            repo_another(spec->repos[i], &copier->repos[i], &err) != CPAM_OK)
            pack_set_drop(spec->packs, i, &err);
    }
}

/* A part has found its place: for the manifest, and for the next backup. */
static enum cpam_status
part_done(void *arg, const struct pack_part *part, struct cpam_err *err)
{
    struct push_copy *copy = arg;
    struct push_base *base = copy->spec.base;
    size_t tags = 0;

    if (base == NULL)
        return plan_part_done(copy->spec.plan, part, err);
    if (base->journal != NULL)
        push_journal_part(base->journal, part);
    const uint8_t *at = push_note_tags(part->note, part->note_size, &tags);
    return plan_part_tagged(copy->spec.plan, part, at, tags, err);
}

/* Is a pack of an earlier attempt in each repository that is left, the very object the journal speaks of:
   its length, and its authenticated header?  (format-1.md fault 7) */
static bool
pack_is_there(void *arg, const struct known_pack_use *use)
{
    struct copier *copier = arg;
    const struct push_copy_spec *spec = &copier->copy->spec;
    struct object_want want = {
        .kind = OBJECT_PACK, .sysid = pack_set_spec(spec->packs)->sysid, .name = use->pack->key};

    for (size_t i = 0; i < pack_set_spec(spec->packs)->repos; i++)
    {
        struct object_header header;
        struct store_info info;
        struct cpam_err err;

        if (copier->repos[i] == NULL || pack_set_reason(spec->packs, i, &err) != CPAM_OK)
            continue;
        if (!use->copies[i].stored ||
            object_choose(copier->repos[i], &want, &header, &info, &err) != CPAM_OK ||
            memcmp(header.h, use->copies[i].h, SHA256_SIZE) != 0 ||
            info.size != use->copies[i].size)
            return false;
    }
    return true;
}

static enum cpam_status
compare_new(struct copier *copier, struct cpam_err *err)
{
    const struct push_copy_spec *spec = &copier->copy->spec;

    if (spec->base == NULL)
        return CPAM_OK;
    struct push_reuse_spec reuse = {.key = spec->base->head.key,
                                    .part_size = (uint32_t) plan_part_size(spec->plan),
                                    .known = spec->base->known,
                                    .before = spec->base->before,
                                    .ask = pack_is_there,
                                    .arg = copier};
    return push_reuse_new(&reuse, &copier->reuse, err);
}

static enum cpam_status
copier_start(void *arg, unsigned thread, void **context, struct cpam_err *err)
{
    struct push_copy *copy = arg;
    CPAM_AUTO(copier_free) struct copier *copier = calloc(1, sizeof(*copier));

    (void) thread;
    if (copier == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a worker");
    copier->copy = copy;
    connect_all(copier);
    CPAM_TRY(pack_fill_new(copier->repos, copy->spec.packs, part_done, copy, &copier->fill, err));
    CPAM_TRY(compare_new(copier, err));
    if (copy->spec.pages != NULL)
        CPAM_TRY(page_check_new(copy->spec.pages, &copier->check, err));
    pthread_mutex_lock(&copy->lock);
    copy->copiers[copy->copier_count++] = copier;
    pthread_mutex_unlock(&copy->lock);
    *context = CPAM_STEAL(copier);
    return CPAM_OK;
}

static enum cpam_status
go_on(const struct push_copy *copy, struct cpam_err *err)
{
    if (*copy->spec.stopped != 0 || worker_cancelled(copy->pool))
        return cpam_fail(err, CPAM_CANCELLED, 0, "the backup was stopped");
    return CPAM_OK;
}

/* Until `bytes` may be read.  A signal need not wait for that. */
static enum cpam_status
wait_turn(const struct push_copy *copy, size_t bytes, struct cpam_err *err)
{
    struct io *io = copy->io;
    int64_t left = pace_reserve(copy->spec.read, bytes);
    int64_t until = io->ops->monotonic(io) + left;

    for (; left > 0; left = until - io->ops->monotonic(io))
    {
        io->ops->sleep(io, left < LOOK_AGAIN ? left : LOOK_AGAIN);
        CPAM_TRY(go_on(copy, err));
        progress_add(copy->spec.progress, 0);
    }
    return CPAM_OK;
}

/* The next bytes of a job, from its file or from memory. */
static enum cpam_status
read_content(const struct push_copy *copy, const struct job *job, int fd, uint64_t done,
             uint8_t *at, size_t room, size_t *got, struct cpam_err *err)
{
    if (job->content == NULL)
        return file_read_at(copy->io, fd, job->path, at, room, job->offset + done, got, err);
    memcpy(at, job->content + done, room);
    *got = room;
    return CPAM_OK;
}

static enum cpam_status
content_begin(struct copier *copier, uint64_t part, const char *path, uint64_t offset,
              struct cpam_err *err)
{
    uint64_t part_size = plan_part_size(copier->copy->spec.plan);

    CPAM_TRY(pack_fill_begin(copier->fill, part, err));
    return copier->reuse == NULL
               ? CPAM_OK
               : push_reuse_begin(copier->reuse, path, (uint32_t) (offset / part_size), err);
}

/* `size` bytes that lie where pack_fill_room() said. */
static enum cpam_status
content_take(struct copier *copier, const void *at, size_t size, struct cpam_err *err)
{
    return copier->reuse == NULL ? pack_fill_take(copier->fill, size, err)
                                 : push_reuse_feed(copier->reuse, copier->fill, at, size, err);
}

static enum cpam_status
content_end(struct copier *copier, struct cpam_err *err)
{
    const void *note = NULL;
    size_t size = 0;

    if (copier->reuse != NULL)
        note = push_reuse_note(copier->reuse, &size);
    return pack_fill_end(copier->fill, note, size, err);
}

static enum cpam_status
copy_content(struct copier *copier, const struct job *job, int fd, struct cpam_err *err)
{
    struct push_copy *copy = copier->copy;

    CPAM_TRY(content_begin(copier, job->part, job->inside, job->offset, err));
    if (copier->check != NULL)
        page_check_begin(copier->check, job->inside, fd, job->offset);
    for (uint64_t done = 0; done < job->size;)
    {
        uint8_t *at;
        size_t room, got;

        CPAM_TRY(go_on(copy, err));
        CPAM_TRY(pack_fill_room(copier->fill, &at, &room, err));
        if (room > job->size - done)
            room = (size_t) (job->size - done);
        if (copy->spec.read != NULL)
        {
            room = room < PACE_TAKE_MAX ? room : PACE_TAKE_MAX;
            CPAM_TRY(wait_turn(copy, room, err));
        }
        CPAM_TRY(read_content(copy, job, fd, done, at, room, &got, err));
        if (copier->check != NULL)
            CPAM_TRY(page_check_feed(copier->check, at, got, err));
        CPAM_TRY(content_take(copier, at, got, err));
        progress_add(copy->spec.progress, got);
        done += got;
        if (got < room)
            break; /* cut while it was read */
    }
    return content_end(copier, err);
}

/* What was a file when the plan was made; a pipe in its place must not hold the backup up. */
static enum cpam_status
open_file(struct push_copy *copy, const char *path, int *out, struct cpam_err *err)
{
    struct io *io = copy->io;
    struct stat about;

    CPAM_TRY(file_open(io, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, out, err));
    int looked = io->ops->fstat(io, *out, &about);
    if (looked == 0 && S_ISREG(about.st_mode))
        return CPAM_OK;
    if (looked == 0)
        cpam_fail(err, CPAM_IO, 0, "could not read \"%s\": it is no file any more", path);
    else
        cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", path);
    io->ops->close(io, *out);
    return err->status;
}

static enum cpam_status
copier_run(void *arg, void *context, void *data, struct cpam_err *err)
{
    struct push_copy *copy = arg;
    struct copier *copier = context;
    CPAM_AUTO(job_free) struct job *job = data;
    enum cpam_status status;
    struct cpam_err ignored;
    int fd;

    CPAM_TRY(go_on(copy, err));
    if (job->content != NULL)
        return copy_content(copier, job, -1, err);
    status = open_file(copy, job->path, &fd, err);
    if (status == CPAM_NOT_FOUND)
        return plan_part_vanished(copy->spec.plan, job->part, err);
    if (status != CPAM_OK)
        return status;
    status = copy_content(copier, job, fd, err);
    enum cpam_status closed = file_close(copy->io, fd, job->path, &ignored);
    if (status == CPAM_OK && closed != CPAM_OK)
        *err = ignored;
    return status == CPAM_OK ? closed : status;
}

static void
copier_discard(void *arg, void *job)
{
    (void) arg;
    job_free(job);
}

static void
copier_stop(void *arg, void *context)
{
    (void) arg;
    (void) context; /* freed with the push_copy: the main thread still finishes its packs */
}

enum cpam_status
push_copy_new(struct io *io, const struct push_copy_spec *spec, struct push_copy **out,
              struct cpam_err *err)
{
    CPAM_AUTO(push_copy_free) struct push_copy *copy = calloc(1, sizeof(*copy));

    *out = NULL;
    if (copy == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for workers");
    copy->io = io;
    copy->spec = *spec;
    pthread_mutex_init(&copy->lock, NULL);
    struct worker_spec pool = {.threads = spec->workers,
                               .queue = spec->data != NULL ? QUEUE : (size_t) 2 * spec->workers,
                               .arg = copy,
                               .start = copier_start,
                               .run = copier_run,
                               .discard = copier_discard,
                               .stop = copier_stop};
    CPAM_TRY(worker_pool_new(&pool, &copy->pool, err));
    *out = CPAM_STEAL(copy);
    return CPAM_OK;
}

void
push_copy_free(struct push_copy *copy)
{
    if (copy == NULL)
        return;
    worker_pool_free(copy->pool);
    for (unsigned i = 0; i < copy->copier_count; i++)
        copier_free(copy->copiers[i]);
    pthread_mutex_destroy(&copy->lock);
    free(copy);
}

static enum cpam_status
submit_part(struct push_copy *copy, const struct plan_entry *entry, uint64_t number,
            struct cpam_err *err)
{
    size_t size = strlen(copy->spec.data) + 1 + strlen(entry->source.path) + 1;
    CPAM_AUTO(job_free) struct job *job = malloc(sizeof(*job) + size);
    uint64_t left;

    if (job == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a job");
    job->content = NULL;
    job->part = entry->first_part + number;
    job->offset = number * PLAN_PART_SIZE;
    left = entry->source.size - job->offset;
    job->size = left < PLAN_PART_SIZE ? left : PLAN_PART_SIZE;
    snprintf(job->path, size, "%s/%s", copy->spec.data, entry->source.path);
    job->inside = job->path + strlen(copy->spec.data) + 1;
    CPAM_TRY(worker_submit(copy->pool, job, err));
    job = NULL; /* the pool's now */
    return CPAM_OK;
}

static enum cpam_status
submit_entry(void *arg, const struct plan_entry *entry, struct cpam_err *err)
{
    struct push_copy *copy = arg;

    CPAM_TRY(go_on(copy, err));
    if (entry->source.kind != MANIFEST_FILE || strcmp(entry->source.path, PUSH_CONTROL_PATH) == 0)
        return CPAM_OK;
    for (uint64_t i = 0; i < entry->part_count; i++)
        CPAM_TRY(submit_part(copy, entry, i, err));
    return CPAM_OK;
}

/* The pool has come to its end, or to `submitted`, for which we stopped it. */
static enum cpam_status
wait_all(struct push_copy *copy, enum cpam_status submitted, struct cpam_err *err)
{
    struct cpam_err first;

    if (submitted != CPAM_OK)
        worker_cancel(copy->pool);
    enum cpam_status waited = worker_wait(copy->pool, &first);
    /* a worker's failure is the reason; that we stopped for it is none */
    if (waited == CPAM_OK || (waited == CPAM_CANCELLED && submitted != CPAM_OK))
        return submitted;
    *err = first;
    return waited;
}

enum cpam_status
push_copy_files(struct push_copy *copy, struct cpam_err *err)
{
    return wait_all(copy, plan_each(copy->spec.plan, submit_entry, copy, err), err);
}

enum cpam_status
push_copy_piece(struct push_copy *copy, const struct push_piece *piece, struct cpam_err *err)
{
    size_t size = strlen(piece->path) + 1;
    CPAM_AUTO(job_free) struct job *job = malloc(sizeof(*job) + size);

    if (job == NULL)
    {
        free(piece->content);
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a job");
    }
    *job = (struct job){.part = piece->part,
                        .offset = piece->offset,
                        .size = piece->size,
                        .content = piece->content,
                        .inside = job->path};
    memcpy(job->path, piece->path, size);
    CPAM_TRY(go_on(copy, err));
    CPAM_TRY(worker_submit(copy->pool, job, err));
    job = NULL; /* the pool's now */
    return CPAM_OK;
}

enum cpam_status
push_copy_pieces_end(struct push_copy *copy, struct cpam_err *err)
{
    return wait_all(copy, CPAM_OK, err);
}

/* How many have started: one that starts only now has nothing in its packs. */
static unsigned
copiers(struct push_copy *copy)
{
    pthread_mutex_lock(&copy->lock);
    unsigned count = copy->copier_count;
    pthread_mutex_unlock(&copy->lock);
    return count;
}

enum cpam_status
push_copy_text(struct push_copy *copy, const struct push_piece *text, struct cpam_err *err)
{
    const uint8_t *bytes = text->content;
    size_t size = text->size;

    if (copiers(copy) == 0)
        return cpam_fail(err, CPAM_INTERNAL, 0, "no worker has started");
    struct copier *copier = copy->copiers[0];

    CPAM_TRY(content_begin(copier, text->part, text->path, 0, err));
    while (size > 0)
    {
        uint8_t *at;
        size_t room;

        CPAM_TRY(pack_fill_room(copier->fill, &at, &room, err));
        if (room > size)
            room = size;
        memcpy(at, bytes, room);
        CPAM_TRY(content_take(copier, at, room, err));
        bytes += room;
        size -= room;
    }
    return content_end(copier, err);
}

enum cpam_status
push_copy_finish(struct push_copy *copy, struct cpam_err *err)
{
    unsigned count = copiers(copy);

    for (unsigned i = 0; i < count; i++)
        CPAM_TRY(pack_fill_finish(copy->copiers[i]->fill, err));
    return CPAM_OK;
}
