/*
 * restore_keep.c - jobs, one a file or a directory, for a pool of threads.
 */
#include "restore_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io/file.h"
#include "pg/crc32c.h"
#include "restore_pack.h"
#include "worker/worker.h"

enum
{
    THREADS_A_WORKER =
        8, /* they wait for the disk, and need neither memory nor time of their own */
    THREADS_MAX = 32,
    QUEUE = 256,
    LATER_MAX = 1 << 20, /* directories that their owner may not write into */
    PIECE = 16 * 1024    /* bytes read at once */
};

struct restore_keep
{
    const struct restore_files *files;
    struct worker_pool *pool;
    struct job *later; /* directories whose mode waits until all is in them, the deepest first */
    size_t later_count;
};

struct job
{
    struct job *next;
    uint64_t size;
    uint32_t crc, mode;
    bool is_directory;
    char path[]; /* of the manifest */
};

/* CRC of what a read returns, up to RESTORE_SMALL bytes of it. */
static enum cpam_status
crc_of_file(struct io *io, int fd, const char *path, uint32_t *out, struct cpam_err *err)
{
    uint8_t data[PIECE];
    uint64_t at = 0;
    size_t got = sizeof(data);

    for (*out = 0; got == sizeof(data) && at <= RESTORE_SMALL; at += got)
    {
        CPAM_TRY(file_read_at(io, fd, path, data, sizeof(data), at, &got, err));
        *out = crc32c(*out, data, got);
    }
    return CPAM_OK;
}

static enum cpam_status
check_file(struct io *io, int fd, const struct job *job, struct cpam_err *err)
{
    uint32_t found = job->crc;

    if ((job->mode & RESTORE_FILE_MODE) != RESTORE_FILE_MODE &&
        io->ops->fchmod(io, fd, job->mode & 0777) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not set the mode of \"%s\"", job->path);
    CPAM_TRY(file_sync(io, fd, job->path, err));
    if (job->size <= RESTORE_SMALL)
        CPAM_TRY(crc_of_file(io, fd, job->path, &found, err));
    if (found != job->crc)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "\"%s\": what is on disk is not what was written (CRC %08x instead of "
                         "%08x)",
                         job->path, found, job->crc);
    return CPAM_OK;
}

static enum cpam_status
check_directory(struct io *io, int fd, const struct job *job, struct cpam_err *err)
{
    if (io->ops->fchmod(io, fd, job->mode & 0777) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not set the mode of \"%s\"", job->path);
    return file_sync(io, fd, job->path, err);
}

static enum cpam_status
keep_run(void *arg, void *context, void *data, struct cpam_err *err)
{
    const struct restore_keep *keep = arg;
    CPAM_AUTO(free) struct job *job = data;
    struct io *io = keep->files->io;
    const char *relative;
    struct restore_place *place = restore_places_of(keep->files->places, job->path, &relative);
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (job->is_directory ? O_DIRECTORY : 0);

    (void) context;
    if (place == &keep->files->places->items[0])
        relative = restore_disk_path(relative);
    int fd = io->ops->open_beneath(io, place->fd, relative, flags, 0);
    if (fd < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open \"%s\"", job->path);
    enum cpam_status status =
        job->is_directory ? check_directory(io, fd, job, err) : check_file(io, fd, job, err);
    if (status != CPAM_OK)
    {
        io->ops->close(io, fd);
        return status;
    }
    return file_close(io, fd, job->path, err);
}

static void
keep_discard(void *arg, void *job)
{
    (void) arg;
    free(job);
}

enum cpam_status
restore_keep_new(const struct restore_files *files, struct restore_keep **out, struct cpam_err *err)
{
    CPAM_AUTO(restore_keep_free) struct restore_keep *keep = calloc(1, sizeof(*keep));
    unsigned threads = files->workers < THREADS_MAX / THREADS_A_WORKER
                           ? files->workers * THREADS_A_WORKER
                           : THREADS_MAX;

    *out = NULL;
    if (keep == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    keep->files = files;
    struct worker_spec spec = {.threads = threads < 1 ? 1 : threads,
                               .queue = QUEUE,
                               .arg = keep,
                               .run = keep_run,
                               .discard = keep_discard};
    CPAM_TRY(worker_pool_new(&spec, &keep->pool, err));
    *out = CPAM_STEAL(keep);
    return CPAM_OK;
}

void
restore_keep_free(struct restore_keep *keep)
{
    if (keep == NULL)
        return;
    worker_pool_free(keep->pool);
    for (struct job *job = keep->later; job != NULL;)
    {
        struct job *next = job->next;

        free(job);
        job = next;
    }
    free(keep);
}

static enum cpam_status
job_new(const struct manifest_entry *entry, struct job **out, struct cpam_err *err)
{
    size_t size = strlen(entry->path) + 1;
    struct job *job = malloc(sizeof(*job) + size);

    *out = job;
    if (job == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    *job = (struct job){.size = entry->size,
                        .crc = entry->crc,
                        .mode = entry->mode,
                        .is_directory = entry->kind == MANIFEST_DIRECTORY};
    memcpy(job->path, entry->path, size);
    return CPAM_OK;
}

enum cpam_status
restore_keep_file(struct restore_keep *keep, const struct manifest_entry *file,
                  struct cpam_err *err)
{
    CPAM_AUTO(free) struct job *job = NULL;

    CPAM_TRY(job_new(file, &job, err));
    CPAM_TRY(worker_submit(keep->pool, job, err));
    job = NULL; /* the pool's now */
    return CPAM_OK;
}

enum cpam_status
restore_keep_directory(struct restore_keep *keep, const struct manifest_entry *directory,
                       struct cpam_err *err)
{
    CPAM_AUTO(free) struct job *job = NULL;

    CPAM_TRY(job_new(directory, &job, err));
    if ((directory->mode & S_IRWXU) != S_IRWXU)
    {
        if (keep->later_count++ == LATER_MAX)
            return cpam_fail(err, CPAM_INVALID, 0,
                             "more than %d directories that their owner may not write into",
                             LATER_MAX);
        job->next = keep->later;
        keep->later = CPAM_STEAL(job);
        return CPAM_OK;
    }
    CPAM_TRY(worker_submit(keep->pool, job, err));
    job = NULL; /* the pool's now */
    return CPAM_OK;
}

enum cpam_status
restore_keep_finish(struct restore_keep *keep, struct cpam_err *err)
{
    CPAM_TRY(worker_wait(keep->pool, err));
    while (keep->later != NULL)
    {
        struct job *job = keep->later;

        keep->later = job->next;
        CPAM_TRY(keep_run(keep, NULL, job, err));
    }
    return CPAM_OK;
}
