/*
 * module_push.c - ask the worker; failing that, have its program do the work as a child.
 */
#include "module_push.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "io/control_load.h"
#include "io/file.h"
#include "push_question.h"

#define SECOND ((int64_t) 1000 * 1000)

enum
{
    CHILD_GRACE = 2, /* s behind the deadline, which the child keeps by itself */
    REAP_PAUSE = 10 * 1000,
    REAP_TRIES = 100,
    HURRY_EVERY = 1 /* s between looks at pg_control */
};

struct module_push
{
    struct io *io;
    struct module_push_spec spec;
    struct settings *settings;
    struct push_question *question;
    struct handoff_call *call;
    struct deadline deadline;
    pid_t child; /* 0: none */
    int64_t next_look;
};

enum cpam_status
module_push_check(struct io *io, const char *config, const char *program, struct cpam_err *err)
{
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    struct stat found;

    enum cpam_status status = settings_load(io, config, &settings, err);
    if (status == CPAM_USAGE && !file_exists(io, config))
        cpam_err_hint(err, "cpam_archive.config names the configuration");
    CPAM_TRY(status);
    if (io->ops->stat(io, AT_FDCWD, program, 0, &found) != 0)
        cpam_fail(err, CPAM_USAGE, errno, "\"%s\" can't be run", program);
    else if (!S_ISREG(found.st_mode) || (found.st_mode & 0111) == 0)
        cpam_fail(err, CPAM_USAGE, 0, "\"%s\" is not a program", program);
    else
        return CPAM_OK;
    cpam_err_hint(err, "cpam_archive.bindir names the folder CPAM's programs are installed in");
    return CPAM_USAGE;
}

/*
 * As the server would run an archive_command: in its process group, so that an immediate shutdown
 * reaches it; nothing is handed down but the standard streams.
 */
static enum cpam_status
start_child(struct module_push *push, struct cpam_err *err)
{
    char within[32];
    char *arguments[] = {(char *) (uintptr_t) push->spec.program,
                         (char *) (uintptr_t) "--config",
                         (char *) (uintptr_t) push->spec.config,
                         (char *) (uintptr_t) "--push",
                         (char *) (uintptr_t) push->spec.path,
                         (char *) (uintptr_t) "--within",
                         within,
                         NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int failed;

    snprintf(within, sizeof(within), "%" PRId64 "ms",
             deadline_left(push->io, push->deadline) / 1000);
    handoff_call_free(CPAM_STEAL(push->call));
    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to run \"%s\"", push->spec.program);
    if (posix_spawnattr_init(&attributes) != 0)
    {
        posix_spawn_file_actions_destroy(&actions);
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to run \"%s\"", push->spec.program);
    }
    failed = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (failed == 0)
        failed = posix_spawn(&push->child, push->spec.program, &actions, &attributes, arguments,
                             environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == 0)
        return CPAM_OK;
    push->child = 0;
    return cpam_fail(err, CPAM_IO, failed, "could not run \"%s\"", push->spec.program);
}

enum cpam_status
module_push_new(struct io *io, const struct module_push_spec *spec, struct module_push **out,
                struct cpam_err *err)
{
    CPAM_AUTO(module_push_free) struct module_push *push = calloc(1, sizeof(*push));
    enum cpam_status status;

    *out = NULL;
    if (push == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to archive \"%s\"", spec->path);
    push->io = io;
    push->spec = *spec;
    CPAM_TRY(settings_load(io, spec->config, &push->settings, err));
    push->deadline = deadline_after(io, push->settings->wal.push_timeout);
    status = push_question_new(io, push->settings, spec->config, spec->program, spec->path,
                               &push->question, err);
    if (status == CPAM_OK)
        status = handoff_call_new(io, push_question_ask(push->question), &push->call, err);
    if (status != CPAM_OK)
        CPAM_TRY(start_child(push, err));
    *out = CPAM_STEAL(push);
    return CPAM_OK;
}

static enum cpam_status
too_late(const struct module_push *push, struct cpam_err *err)
{
    cpam_fail(err, CPAM_DEADLINE, 0, "\"%s\" is not archived: the time for it is over",
              push->spec.path);
    cpam_err_hint(err, "PostgreSQL keeps the file and calls again");
    return CPAM_DEADLINE;
}

static enum cpam_status
step_child(struct module_push *push, bool *done, struct cpam_err *err)
{
    int ended;
    pid_t got = waitpid(push->child, &ended, WNOHANG);

    if (got == 0 || (got < 0 && errno == EINTR))
        return deadline_left(push->io, push->deadline) == 0 &&
                       deadline_left(push->io, (struct deadline){push->deadline.at +
                                                                 CHILD_GRACE * SECOND}) == 0
                   ? too_late(push, err)
                   : CPAM_OK;
    push->child = 0;
    if (got < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not wait for \"%s\"", push->spec.program);
    *done = WIFEXITED(ended) && WEXITSTATUS(ended) == 0;
    if (*done)
        return CPAM_OK;
    if (WIFEXITED(ended))
        cpam_fail(err, CPAM_REFUSED, 0, "\"%s\" is not archived: \"%s --push\" ended with %d",
                  push->spec.path, push->spec.program, WEXITSTATUS(ended));
    else
        cpam_fail(err, CPAM_REFUSED, 0, "\"%s\" is not archived: \"%s --push\" died by signal %d",
                  push->spec.path, push->spec.program, WTERMSIG(ended));
    cpam_err_hint(err, "what it said stands in front of this line; PostgreSQL keeps the file and "
                       "calls again");
    return CPAM_REFUSED;
}

enum cpam_status
module_push_step(struct module_push *push, bool *done, struct cpam_err *err)
{
    *done = false;
    if (push->child != 0)
        return step_child(push, done, err);
    if (deadline_left(push->io, push->deadline) == 0)
        return too_late(push, err);

    struct handoff_reply reply;
    enum cpam_status status = handoff_call_step(push->call, 0, done, &reply, err);
    bool answered = status == CPAM_OK && *done;
    if (answered && reply.status != CPAM_OK)
    {
        *done = false;
        *err = reply.why;
        status = err->status = reply.status;
    }
    else if (answered && reply.why.text[0] != '\0')
        cpam_log(LOG_WARNING, "%s", reply.why.text);
    if (status != CPAM_OK && push_question_foreground(push->question, status, answered))
        return start_child(push, err);
    return status;
}

int
module_push_fd(const struct module_push *push)
{
    return push->child == 0 ? handoff_call_fd(push->call) : -1;
}

void
module_push_hurry(struct module_push *push)
{
    /* of this process, over all files: the archiver never outlives the server it belongs to */
    static int64_t stopping_since;
    int64_t now = push->io->ops->monotonic(push->io);
    struct control control;
    struct cpam_err ignored;

    if (now < push->next_look)
        return;
    push->next_look = now + HURRY_EVERY * SECOND;
    if (control_load(push->io, ".", NULL, &control, &ignored) != CPAM_OK ||
        (control.state != CONTROL_SHUTDOWNING && control.state != CONTROL_SHUTDOWNED &&
         control.state != CONTROL_SHUTDOWNED_IN_RECOVERY))
        return;
    if (stopping_since == 0)
        stopping_since = now;
    int64_t end = stopping_since + MODULE_PUSH_STOPPING * SECOND;
    if (end < now + MODULE_PUSH_STOPPED * SECOND)
        end = now + MODULE_PUSH_STOPPED * SECOND;
    push->deadline = deadline_sooner(push->deadline, (struct deadline){end});
    /* a file gets its last second once */
    push->next_look = now + 10 * MODULE_PUSH_STOPPING * SECOND;
}

void
module_push_free(struct module_push *push)
{
    if (push == NULL)
        return;
    handoff_call_free(push->call);
    push_question_free(push->question);
    settings_free(push->settings);
    if (push->child != 0)
    {
        kill(push->child, SIGKILL);
        /* a process that the kernel can't end is left to it */
        for (int tries = 0; tries < REAP_TRIES && waitpid(push->child, NULL, WNOHANG) == 0; tries++)
            push->io->ops->sleep(push->io, REAP_PAUSE);
    }
    free(push);
}
