/*
 * worker_file.c - the file of a job, opened and checked once, whatever the number of repositories.
 *
 * An acknowledgement is about bytes, and a stamp (device, inode, size, ctime) stands for them in the
 * front's question.  A descriptor's stamp before the file is opened for the put, the same after it,
 * the path's own after it, and once more after each put: all one, then it is of what was put.  A file that was changed less than a tick of the
 * kernel's clock ago could be changed again without a trace: it is left to age first.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "worker_state.h"

enum
{
    TICK = 10 * 1000 /* us: CONFIG_HZ is 100 or more */
};

char *
file_path(const struct worker *worker, const char *name)
{
    char *path;

    return asprintf(&path, "%s/pg_wal/%s", worker->data, name) < 0 ? NULL : path;
}

void
file_stamp(struct io *io, const char *path, struct handoff_stamp *out)
{
    struct stat about;

    memset(out, 0, sizeof(*out));
    if (io->ops->stat(io, AT_FDCWD, path, 0, &about) == 0)
        handoff_stamp_of(&about, out);
}

static enum cpam_status
stamp_of_fd(struct io *io, int fd, const char *path, struct handoff_stamp *out,
            struct cpam_err *err)
{
    struct stat about;

    memset(out, 0, sizeof(*out));
    if (io->ops->fstat(io, fd, &about) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", path);
    handoff_stamp_of(&about, out);
    return CPAM_OK;
}

static void
let_age(struct io *io, const struct handoff_stamp *stamp)
{
    int64_t age = io->ops->now(io) - stamp->changed / 1000;

    if (age >= 0 && age < TICK)
        io->ops->sleep(io, TICK - age);
}

/* What a reading found. */
struct reading
{
    struct push_item *item;
    struct handoff_stamp stamp, history;
};

/* Of <TLI>.history beside it; zeros if it needs or has none. */
static void
history_stamp(const struct worker *worker, const struct archive_name *of, struct handoff_stamp *out)
{
    char name[ARCHIVE_NAME_MAX];

    memset(out, 0, sizeof(*out));
    if (of->timeline.id == 1 || of->kind == ARCHIVE_HISTORY)
        return;
    snprintf(name, sizeof(name), "%08" PRIX32 ".history", of->timeline.id);
    CPAM_AUTO(free) char *path = file_path(worker, name);
    if (path != NULL)
        file_stamp(worker->io, path, out);
}

static enum cpam_status
read_between(const struct worker *worker, int fd, const char *path, const struct archive_name *name,
             struct reading *out, struct cpam_err *err)
{
    struct handoff_stamp after, at_path;
    CPAM_AUTO(push_item_free) struct push_item *item = NULL;

    CPAM_TRY(stamp_of_fd(worker->io, fd, path, &out->stamp, err));
    let_age(worker->io, &out->stamp);
    history_stamp(worker, name, &out->history);
    CPAM_TRY(push_item_read(worker->io, path, worker->data, &item, err));
    CPAM_TRY(stamp_of_fd(worker->io, fd, path, &after, err));
    file_stamp(worker->io, path, &at_path);
    if (!handoff_stamp_same(&out->stamp, &after) || !handoff_stamp_same(&out->stamp, &at_path))
        return cpam_fail(err, CPAM_TRANSIENT, 0, "\"%s\" changed while it was read", path);
    out->item = CPAM_STEAL(item);
    return CPAM_OK;
}

static enum cpam_status
read_file(const struct worker *worker, const struct archive_name *name, struct reading *out,
          struct cpam_err *err)
{
    CPAM_AUTO(free) char *path = file_path(worker, name->text);
    int fd;

    if (path == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to push \"%s\"", name->text);
    /* O_NONBLOCK: a FIFO in the file's place must not hang us before it is refused */
    CPAM_TRY(file_open(worker->io, path, O_RDONLY | O_NONBLOCK, 0, &fd, err));
    enum cpam_status status = read_between(worker, fd, path, name, out, err);
    (void) worker->io->ops->close(worker->io, fd); /* read only: nothing can be lost */
    return status;
}

/* With the lock held.  What other repositories have of other bytes counts no longer. */
static enum cpam_status
accept(struct worker *worker, struct job *job, struct reading *found, struct cpam_err *err)
{
    if (job->stamped && !handoff_stamp_same(&job->stamp, &found->stamp))
    {
        if (job->state != JOB_OPEN && job->state != JOB_ENOUGH)
        {
            push_item_free(found->item);
            return cpam_fail(err, CPAM_TRANSIENT, 0, "\"%s\" changed after it was pushed",
                             job->name.text);
        }
        for (size_t i = 0; i < worker->lane_count; i++)
            if (job->shares[i].state == SHARE_DONE || job->shares[i].state == SHARE_KEPT)
                job->shares[i].state = SHARE_OPEN;
        job->state = JOB_OPEN;
    }
    job->stamped = true;
    job->stamp = found->stamp;
    job->history = found->history;
    job->item = found->item;
    return CPAM_OK;
}

enum cpam_status
file_check(struct worker *worker, struct job *job, struct cpam_err *err)
{
    CPAM_AUTO(free) char *path = file_path(worker, job->name.text);
    struct handoff_stamp now, then;

    if (path == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to push \"%s\"", job->name.text);
    file_stamp(worker->io, path, &now);
    pthread_mutex_lock(&worker->lock);
    then = job->stamp;
    pthread_mutex_unlock(&worker->lock);
    if (!handoff_stamp_same(&now, &then))
        return cpam_fail(err, CPAM_TRANSIENT, 0, "\"%s\" changed while it was pushed", path);
    return CPAM_OK;
}

enum cpam_status
file_hold(struct worker *worker, struct job *job, struct cpam_err *err)
{
    struct reading found = {0};
    enum cpam_status status = CPAM_OK;

    pthread_mutex_lock(&worker->lock);
    while (job->reading)
        pthread_cond_wait(&worker->file_read, &worker->lock);
    if (job->item == NULL)
    {
        job->reading = true;
        pthread_mutex_unlock(&worker->lock);
        status = read_file(worker, &job->name, &found, err);
        pthread_mutex_lock(&worker->lock);
        if (status == CPAM_OK)
            status = accept(worker, job, &found, err);
        job->reading = false;
        pthread_cond_broadcast(&worker->file_read);
    }
    pthread_mutex_unlock(&worker->lock);
    return status;
}
