/*
 * wal_push.c - cpam-wal-push: what archive_command calls for each file.
 *
 * PostgreSQL takes an exit status of 0 as "this file may go": so it is given only when every
 * required repository has confirmed it.  Everything else keeps the file and has the server call
 * again; nothing here ends above 125, which would stop the archiver itself.
 *
 * This is the small end of it: it asks cpam-wal-worker, which does the work, and links none of the
 * libraries that are needed for that.  Where no worker can be had it becomes "cpam-wal-worker --push",
 * which does the same for one file in the foreground.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scope.h"
#include "cli/program.h"
#include "pg/segment.h"
#include "push_question.h"

struct wal_push_options
{
    bool unclaimed;
};

static const struct option_def rows[] = {
    {"unclaimed", 0, OPTION_FLAG, .offset = offsetof(struct wal_push_options, unclaimed),
     .help = "refuse: this is a restored copy nobody has claimed"},
};

static const char *const usage[] = {"cpam-wal-push [options] %p",
                                    "archive_command = 'cpam-wal-push %p'", NULL};

/* postgresql.md, trap 7: a clone keeps its WAL and archives nothing into the original's place. */
static enum cpam_status
refuse_unclaimed(const char *path, struct cpam_err *err)
{
    cpam_fail(err, CPAM_UNCLAIMED, 0,
              "\"%s\" is not archived: this is a restored copy that nobody has claimed", path);
    cpam_err_hint(err, "\"cpam-repo claim DATADIR\" makes it the one that archives here; nothing "
                       "is lost until then, the server keeps its WAL");
    return CPAM_UNCLAIMED;
}

struct call
{
    struct cli *cli;
    const char *path; /* %p */
    char *program;    /* cpam-wal-worker */
    struct settings *settings;
    struct deadline deadline;
};

/* Comes back only where the program could not be run. */
static enum cpam_status
go_foreground(const struct call *call, struct cpam_err *err)
{
    char within[32];
    const char *arguments[16] = {call->program, "--push", call->path, "--config",
                                 call->cli->config_path};
    size_t count = 5;

    if (call->cli->repo != NULL)
    {
        arguments[count++] = "--repo";
        arguments[count++] = call->cli->repo;
    }
    if (call->cli->log_level != NULL)
    {
        arguments[count++] = "--log-level";
        arguments[count++] = call->cli->log_level;
    }
    if (call->deadline.at != 0)
    {
        snprintf(within, sizeof(within), "%" PRId64 "ms",
                 deadline_left(call->cli->io, call->deadline) / 1000);
        arguments[count++] = "--within";
        arguments[count++] = within;
    }
    /* 127, a loader's, would end the archiver */
    CPAM_TRY(handoff_program_runs(call->program, err));
    execv(call->program, (char *const *) (uintptr_t) arguments);
    cpam_fail(err, CPAM_IO, errno, "could not run \"%s\"", call->program);
    cpam_err_hint(err, "it is installed beside cpam-wal-push and does its work; PostgreSQL keeps "
                       "the file and calls again");
    return CPAM_IO;
}

/* The worker did not answer in time, and said nothing about why. */
static enum cpam_status
tell_late(const char *path, struct cpam_err *err)
{
    const char *slash = strrchr(path, '/');

    cpam_fail(err, CPAM_DEADLINE, 0,
              "\"%s\" is not archived: the worker did not answer within wal.push.timeout",
              slash == NULL ? path : slash + 1);
    cpam_err_hint(err, "it goes on in the background; PostgreSQL keeps the file and calls again");
    return CPAM_DEADLINE;
}

static enum cpam_status
ask(const struct call *call, const struct push_question *question, struct cpam_err *err)
{
    struct handoff_reply reply;
    enum cpam_status status = handoff_ask(call->cli->io, push_question_ask(question), &reply, err);

    bool answered = status == CPAM_OK;
    if (answered && reply.status != CPAM_OK)
        *err = reply.why;
    else if (answered && reply.why.text[0] != '\0')
        cpam_log(LOG_WARNING, "%s", reply.why.text);
    if (answered)
        status = reply.status;
    if (status != CPAM_OK && push_question_foreground(question, status, answered))
    {
        cpam_log(LOG_WARNING, "pushing in the foreground: %s", err->text);
        return go_foreground(call, err);
    }
    return !answered && status == CPAM_DEADLINE ? tell_late(call->path, err) : status;
}

static enum cpam_status
push(struct call *call, struct cpam_err *err)
{
    CPAM_AUTO(push_question_free) struct push_question *question = NULL;
    struct cli *cli = call->cli;
    const char *slash = strrchr(call->path, '/');
    struct archive_name name;

    CPAM_TRY(handoff_program_beside(PUSH_WORKER_PROGRAM, &call->program, err));
    CPAM_TRY(settings_load(cli->io, cli->config_path, &call->settings, err));
    call->deadline = deadline_after(cli->io, call->settings->wal.push_timeout);
    CPAM_TRY(archive_name_parse(slash == NULL ? call->path : slash + 1, &name, err));
    /* --repo is a promise of another kind, which the foreground knows to judge */
    if (call->settings->wal.push_direct || cli->repo != NULL)
        return go_foreground(call, err);
    CPAM_TRY(program_become_owner(cli, call->settings->postgresql.data, err));
    enum cpam_status status = push_question_new(cli->io, call->settings, cli->config_path,
                                                call->program, call->path, &question, err);
    /* not in a pg_wal, not there, not to be read: the foreground says what it is */
    if (status != CPAM_OK)
        return go_foreground(call, err);
    return ask(call, question, err);
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    const struct wal_push_options *options = cli->options;
    struct call call = {.cli = cli, .path = cli->argv[0]};

    if (options->unclaimed)
        return refuse_unclaimed(cli->argv[0], err);
    enum cpam_status status = push(&call, err);
    settings_free(call.settings);
    free(call.program);
    return status;
}

int
main(int argc, char **argv)
{
    static const struct program program = {
        .name = "cpam-wal-push",
        .summary = "archive one WAL, history, backup or partial file",
        .usage = usage,
        .details = "PostgreSQL calls it through archive_command and keeps the file until the exit "
                   "status is 0, which says that every required repository holds it durably. The "
                   "same file pushed again is a success; another content under an archived name is "
                   "refused and nothing is overwritten.",
        .options = {rows, sizeof(rows) / sizeof(rows[0])},
        .options_size = sizeof(struct wal_push_options),
        .exits = &exit_wal_push,
        /* it loads them itself: --unclaimed answers without */
        .needs_settings = false,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run,
    };

    return program_main(&program, argc, argv);
}
