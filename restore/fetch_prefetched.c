/*
 * fetch_prefetched.c - asks the worker, and renames what it has.
 *
 * The worker verified every byte before it offered the file.  What is looked at here is that the file
 * has the size of this server's segments, and, right before it gets its name, that the server that
 * asked is the one that runs (postgresql.md, trap 14).
 */
#include "fetch_prefetched.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/settings.h"
#include "fetch_delivery.h"
#include "fetch_front.h"
#include "fetch_patience.h"
#include "fetch_tablespaces.h"
#include "handoff/call.h"
#include "io/file.h"
#include "prefetch_folder.h"
#include "prefetch_question.h"

bool
fetch_prefetched_applies(const struct fetch_situation *situation)
{
    return situation->name.kind == ARCHIVE_SEGMENT && situation->data != NULL &&
           situation->has_control &&
           (situation->caller == FETCH_CALLER_RECOVERY ||
            situation->caller == FETCH_CALLER_STANDBY);
}

/* The spool is on another file system: a copy beside the destination gets its name. */
static enum cpam_status
copy_over(const struct fetch_wish *wish, const char *from, struct cpam_err *err)
{
    CPAM_AUTO(fetch_delivery_free) struct fetch_delivery *delivery = NULL;
    struct cpam_err ignored;
    int fd = -1;

    CPAM_TRY(fetch_delivery_new(wish->io, wish->situation, &delivery, err));
    CPAM_TRY(file_open(wish->io, from, O_RDONLY, 0, &fd, err));
    enum cpam_status status = pump_fd(wish->io, fd, from, fetch_delivery_sink(delivery), err);
    if (file_close(wish->io, fd, from, &ignored) != CPAM_OK)
        cpam_log(LOG_DEBUG, "%s", ignored.text); /* read only: nothing can be lost */
    if (status == CPAM_OK && fetch_delivery_size(delivery) != wish->situation->control.segment_size)
        status = cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" changed while it was copied", from);
    CPAM_TRY(status);
    CPAM_TRY(fetch_delivery_publish(delivery, err));
    /* the worker removes it with the next question; room is needed sooner */
    if (file_unlink(wish->io, from, &ignored) != CPAM_OK)
        cpam_log(LOG_DEBUG, "%s", ignored.text);
    return CPAM_OK;
}

/* Would replay of it use what is not this server's?  `marked`: the worker says that it may. */
static enum cpam_status
look_at(const struct fetch_wish *wish, const char *path, bool marked, struct cpam_err *err)
{
    struct io *io = wish->io;
    int fd;

    if (!wish->any_tablespace)
        CPAM_TRY(tablespaces_check(io, wish->situation, path, marked, err));
    if (!marked)
        return CPAM_OK;
    /* the server writes to it when it uses it again */
    CPAM_TRY(file_open(io, path, O_RDONLY, 0, &fd, err));
    enum cpam_status status = CPAM_OK;
    if (io->ops->fchmod(io, fd, 0600) != 0)
        status = cpam_fail(err, CPAM_IO, errno, "could not set the mode of \"%s\"", path);
    io->ops->close(io, fd);
    return status;
}

static enum cpam_status
deliver(const struct fetch_wish *wish, const char *path, struct cpam_err *err)
{
    const struct fetch_situation *situation = wish->situation;
    struct stat about;
    enum cpam_status status;

    if (wish->io->ops->stat(wish->io, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &about) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", path);
    if (about.st_uid != geteuid())
        return cpam_fail(err, CPAM_REFUSED, 0, "\"%s\" belongs to user %u, not to the worker's",
                         path, (unsigned) about.st_uid);
    if (!S_ISREG(about.st_mode) || (uint64_t) about.st_size != situation->control.segment_size)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\" has %jd bytes, but pg_control here says that segments have "
                         "%" PRIu32,
                         path, (intmax_t) about.st_size, situation->control.segment_size);
    CPAM_TRY(look_at(wish, path, (about.st_mode & 0777) == PREFETCH_LOOK_AT, err));
    CPAM_TRY(fetch_situation_check(wish->io, situation, err));
    status = file_rename(wish->io, path, situation->destination, err);
    return status != CPAM_OK && err->sys == EXDEV ? copy_over(wish, path, err) : status;
}

static enum cpam_status
ask(const struct fetch_wish *wish, const struct settings *settings, int64_t patience,
    struct handoff_reply *reply, struct cpam_err *err)
{
    CPAM_AUTO(free) char *data = realpath(wish->situation->data, NULL);
    CPAM_AUTO(free) char *program = NULL;
    char name[HANDOFF_NAME_MAX];
    struct handoff_question question = {
        .role = HANDOFF_FETCH,
        .spool = settings->wal.spool,
        .config = wish->config,
        .data = data,
        .cluster = settings->cluster,
        .name = name,
        .deadline = deadline_after(wish->io, patience),
    };

    if (data == NULL)
        return cpam_fail(err, CPAM_IO, errno, "could not find the real path of \"%s\"",
                         wish->situation->data);
    if (!prefetch_question_write(wish->situation->name.text, wish->repo, name))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is too long for a repository's name",
                         wish->repo);
    prefetch_question_run(&wish->situation->server, &question.stamp);
    CPAM_TRY(handoff_program_beside(FETCH_FRONT_BEHIND, &program, err));
    question.program = program;
    return handoff_ask(wish->io, &question, reply, err);
}

static enum fetch_answer
asked(const struct fetch_wish *wish, const struct settings *settings, int64_t patience)
{
    CPAM_AUTO(free) struct handoff_reply *reply = calloc(1, sizeof(*reply));
    const char *name = wish->situation->name.text;
    struct cpam_err err;
    enum cpam_status status;

    if (reply == NULL)
        return FETCH_ANSWER_AGAIN;
    status = ask(wish, settings, patience / 2, reply, &err);
    if (status != CPAM_OK)
    {
        cpam_log(status == CPAM_DEADLINE ? LOG_DEBUG : LOG_WARNING,
                 "%s: nothing can be fetched ahead: %s", name, err.text);
        return FETCH_ANSWER_AGAIN;
    }
    if (reply->status != CPAM_OK)
    {
        cpam_log(LOG_DEBUG, "%s: the worker has it not: %s", name, reply->why.text);
        return FETCH_ANSWER_AGAIN;
    }
    status = deliver(wish, reply->path, &err);
    if (status == CPAM_OK)
        return FETCH_ANSWER_DELIVERED;
    if (status == CPAM_EXISTS)
    {
        log_failure(&err);
        return FETCH_ANSWER_STOP; /* for a standby too: a copy of its own would be used */
    }
    cpam_log(status == CPAM_CANCELLED ? LOG_ERROR : LOG_WARNING, "%s", err.text);
    return status == CPAM_CANCELLED ? FETCH_ANSWER_STOP : FETCH_ANSWER_AGAIN;
}

enum fetch_answer
fetch_prefetched(const struct fetch_wish *wish)
{
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    const struct repository_settings *named;
    enum fetch_answer unknown, answer;
    struct cpam_err ignored;
    int64_t patience;

    /* what is wrong with it is said by the foreground, which reads it again */
    if (settings_load(wish->io, wish->config, &settings, &ignored) != CPAM_OK ||
        settings->wal.fetch_prefetch == 0)
        return FETCH_ANSWER_AGAIN;
    if (wish->repo != NULL &&
        settings_repository(settings, wish->repo, &named, &ignored) != CPAM_OK)
        return FETCH_ANSWER_AGAIN;
    unknown = fetch_answer_of(wish->situation->caller, fetch_on_error_of(settings->wal.on_error),
                              FETCH_UNKNOWN, false);
    patience = fetch_patience(wish->situation, settings->wal.fetch_timeout, unknown);
    if (unknown != FETCH_ANSWER_AGAIN)
        fetch_delivery_limit(patience + FETCH_OVERDUE_GRACE, (int) unknown);
    answer = asked(wish, settings, patience);
    fetch_delivery_limit(0, 0);
    return answer;
}
