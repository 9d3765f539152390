/*
 * running.c - the files of jobs under way.
 *
 * The lock is flock(2)'s: it goes with the process, however that ends.
 */
#include "cli/running.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "io/file.h"

#define FOLDER "running"

enum
{
    PATH_BYTES = 4096
};

struct running
{
    struct io *io;
    struct running_job job;
    char path[PATH_BYTES];
    int fd;
};

/* --- a job's own file ------------------------------------------------------------------------ */

static void
show_text(struct json_writer *json, const char *key, const char *text)
{
    json_put_text(json, key, text_is_utf8(text, strlen(text)) ? text : "?");
}

/* One write of always the same length, so that a reader meets the old text or the new one. */
static enum cpam_status
write_job(struct running *running, struct cpam_err *err)
{
    const struct running_job *job = &running->job;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct json_writer json = {.buf = &text, .limit = RUNNING_FILE_MAX};
    uint8_t page[RUNNING_FILE_MAX];

    json_begin_object(&json, NULL);
    json_put_text(&json, "program", job->program);
    show_text(&json, "name", job->name);
    show_text(&json, "where", job->where);
    json_put_u64(&json, "pid", job->pid);
    json_put_u64(&json, "started", job->started);
    json_put_u64(&json, "elapsed", job->elapsed);
    json_put_u64(&json, "done", job->done);
    json_put_u64(&json, "total", job->total);
    json_end(&json);
    CPAM_TRY(json_writer_end(&json, err));
    memset(page, ' ', sizeof(page));
    memcpy(page, text.data, text.size);
    return file_write_at(running->io, running->fd, running->path, page, sizeof(page), 0, err);
}

/* Left by jobs that were killed. */
static void
sweep(struct io *io, const char *folder)
{
    DIR *dir = io->ops->opendir(io, AT_FDCWD, folder);
    struct dirent *entry;
    char path[PATH_BYTES];

    if (dir == NULL)
        return;
    while ((entry = io->ops->readdir(io, dir)) != NULL)
    {
        if (entry->d_name[0] == '.' ||
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= (int) sizeof(path))
            continue;
        int fd = io->ops->open(io, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            io->ops->unlink(io, AT_FDCWD, path, 0);
        io->ops->close(io, fd);
    }
    io->ops->closedir(io, dir);
}

static enum cpam_status
make_file(struct running *running, const char *state, struct cpam_err *err)
{
    char folder[PATH_BYTES - 64], draft[PATH_BYTES];

    if (snprintf(folder, sizeof(folder), "%s/" FOLDER, state) >= (int) sizeof(folder))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is too long a path", state);
    CPAM_TRY(file_make_dirs(running->io, folder, 0700, err));
    sweep(running->io, folder);
    snprintf(running->path, sizeof(running->path), "%s/%s-%ld", folder, running->job.program,
             (long) getpid());
    /* whole and locked before it has its name: until then nobody else looks at it */
    snprintf(draft, sizeof(draft), "%s/.%s-%ld", folder, running->job.program, (long) getpid());
    CPAM_TRY(file_open(running->io, draft, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                       0600, &running->fd, err));
    if (flock(running->fd, LOCK_EX | LOCK_NB) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not lock \"%s\"", draft);
    CPAM_TRY(write_job(running, err));
    if (running->io->ops->rename(running->io, AT_FDCWD, draft, running->path) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not rename \"%s\"", draft);
    return CPAM_OK;
}

void
running_begin(struct io *io, const char *state, const char *program, const char *name,
              const char *where, struct running **out)
{
    CPAM_AUTO(running_end) struct running *running = calloc(1, sizeof(*running));
    struct cpam_err err;

    *out = NULL;
    if (running == NULL)
        return;
    running->io = io;
    running->fd = -1;
    running->job.pid = (uint64_t) getpid();
    running->job.started = (uint64_t) io->ops->now(io);
    snprintf(running->job.program, sizeof(running->job.program), "%s", program);
    snprintf(running->job.name, sizeof(running->job.name), "%s", name);
    snprintf(running->job.where, sizeof(running->job.where), "%s", where);
    if (make_file(running, state, &err) == CPAM_OK)
        *out = CPAM_STEAL(running);
    else
        cpam_log(LOG_WARNING, "cpam-info will not show this job: %s", err.text);
}

void
running_tell(struct running *running, uint64_t done, uint64_t total, int64_t elapsed_us)
{
    struct cpam_err err;

    if (running == NULL || running->fd < 0)
        return;
    running->job.done = done;
    running->job.total = total;
    running->job.elapsed = elapsed_us > 0 ? (uint64_t) elapsed_us : 0;
    if (write_job(running, &err) == CPAM_OK)
        return;
    cpam_log(LOG_WARNING, "cpam-info will not show how far this job is: %s", err.text);
    running->io->ops->close(running->io, running->fd);
    running->fd = -1;
}

void
running_end(struct running *running)
{
    if (running == NULL)
        return;
    if (running->fd >= 0)
    {
        running->io->ops->unlink(running->io, AT_FDCWD, running->path, 0);
        running->io->ops->close(running->io, running->fd);
    }
    free(running);
}

/* --- those of others ------------------------------------------------------------------------- */

static enum cpam_status
take_text(const json_t *doc, const char *key, char *out, size_t cap, struct cpam_err *err)
{
    const char *text;

    CPAM_TRY(json_get_text(doc, key, &text, err));
    snprintf(out, cap, "%s", text);
    return CPAM_OK;
}

static enum cpam_status
parse(const char *text, size_t size, struct running_job *out, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *doc = NULL;

    CPAM_TRY(json_read("state of a running job", text, size, RUNNING_FILE_MAX, &doc, err));
    CPAM_TRY(take_text(doc, "program", out->program, sizeof(out->program), err));
    CPAM_TRY(take_text(doc, "name", out->name, sizeof(out->name), err));
    CPAM_TRY(take_text(doc, "where", out->where, sizeof(out->where), err));
    CPAM_TRY(json_get_u64(doc, "pid", INT32_MAX, &out->pid, err));
    CPAM_TRY(json_get_u64(doc, "started", INT64_MAX, &out->started, err));
    CPAM_TRY(json_get_u64(doc, "elapsed", INT64_MAX, &out->elapsed, err));
    CPAM_TRY(json_get_u64(doc, "done", UINT64_MAX, &out->done, err));
    return json_get_u64(doc, "total", UINT64_MAX, &out->total, err);
}

/* False: ended meanwhile, or killed, or not yet written. */
static bool
read_job(struct io *io, const char *path, struct running_job *out)
{
    uint8_t page[RUNNING_FILE_MAX];
    struct cpam_err ignored;
    size_t got = 0;
    int fd = io->ops->open(io, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);

    if (fd < 0)
        return false;
    bool alive = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    bool good = alive &&
                file_read_at(io, fd, path, page, sizeof(page), 0, &got, &ignored) == CPAM_OK &&
                parse((const char *) page, got, out, &ignored) == CPAM_OK;
    io->ops->close(io, fd);
    return good;
}

enum cpam_status
running_each(struct io *io, const char *state, running_fn fn, void *arg, struct cpam_err *err)
{
    char folder[PATH_BYTES - 300], path[PATH_BYTES];
    enum cpam_status status = CPAM_OK;
    struct dirent *entry;
    int looked = 0;

    snprintf(folder, sizeof(folder), "%s/" FOLDER, state);
    DIR *dir = io->ops->opendir(io, AT_FDCWD, folder);
    if (dir == NULL)
        return CPAM_OK;
    while (status == CPAM_OK && looked < RUNNING_JOBS_MAX &&
           (entry = io->ops->readdir(io, dir)) != NULL)
    {
        struct running_job job;

        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        looked++;
        if (read_job(io, path, &job))
            status = fn(arg, &job, err);
    }
    io->ops->closedir(io, dir);
    return status;
}
