/*
 * wal_worker.c - cpam-wal-worker: the work of archiving, beside or instead of a background process.
 *
 * --serve DATADIR is the worker that cpam-wal-push and the archive module ask; they start it, or a
 * service manager does.  --push FILE does the same work for one file in the foreground, with the
 * promises and the exit status of cpam-wal-push, which runs it where no worker can be had.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/program.h"
#include "handoff/server.h"
#include "push_direct.h"
#include "worker_serve.h"

struct wal_worker_options
{
    const char *serve, *push;
    bool foreground;
    int64_t idle, within;
};

enum
{
    IDLE_DEFAULT = 60 * 1000000 /* us */
};

#define AT(member) offsetof(struct wal_worker_options, member)
#define DAY        ((uint64_t) 86400 * 1000000)

static const struct option_def rows[] = {
    {"serve", 0, OPTION_TEXT, "DATADIR", AT(serve),
     .help = "archive for the server of this data directory"},
    {"push", 0, OPTION_TEXT, "FILE", AT(push), .help = "archive this one file and end"},
    {"foreground", 0, OPTION_FLAG, .offset = AT(foreground),
     .help = "with --serve: stay with whoever started it, and log to stderr"},
    {"idle", 0, OPTION_DURATION, "DURATION", AT(idle), 0, 365 * DAY,
     .help = "with --serve: end after that without work; 0: never; default 60s"},
    /* for cpam-wal-push: what it has left of wal.push.timeout */
    {"within", 0, OPTION_DURATION, "DURATION", AT(within), 0, DAY, .help = NULL},
};

static const char *const usage[] = {
    "cpam-wal-worker [options] --serve DATADIR",
    "cpam-wal-worker [options] --push FILE",
    NULL,
};

static void
defaults(void *options)
{
    struct wal_worker_options *worker = options;

    worker->idle = IDLE_DEFAULT;
    worker->within = -1;
}

/* What threads that were left behind still use stays theirs. */
struct held
{
    struct settings *settings;
    struct push_item *item;
    char *data;
};

/* --- one file in the foreground ------------------------------------------------------------- */

/* --repo can't make a promise smaller than the one archive_command relies on. */
static enum cpam_status
check_repo(const struct settings *settings, const char *name, struct cpam_err *err)
{
    const struct repository_settings *which;

    if (name == NULL)
        return CPAM_OK;
    CPAM_TRY(settings_repository(settings, name, &which, err));
    for (size_t i = 0; i < settings->repository_count; i++)
        if (settings->repositories[i].required != (&settings->repositories[i] == which))
            return cpam_fail(err, CPAM_USAGE, 0,
                             "--repo %s: a file is pushed to every required repository, or the "
                             "server would drop it too early",
                             name);
    return CPAM_OK;
}

static enum cpam_status
push(struct cli *cli, struct held *held, struct cpam_err *err)
{
    const struct wal_worker_options *options = cli->options;

    CPAM_TRY(settings_load(cli->io, cli->config_path, &held->settings, err));
    CPAM_TRY(check_repo(held->settings, cli->repo, err));
    CPAM_TRY(program_become_owner(cli, held->settings->postgresql.data, err));

    struct push_request request = {
        .io = cli->io,
        .settings = held->settings,
        .deadline = deadline_after(
            cli->io, options->within >= 0 ? options->within : held->settings->wal.push_timeout),
    };
    CPAM_TRY(
        push_item_read(cli->io, options->push, held->settings->postgresql.data, &held->item, err));
    request.item = held->item;
    enum cpam_status status = push_direct(&request, err);
    cli->threads_left = request.abandoned;
    return status;
}

/* --- the background --------------------------------------------------------------------------- */

static enum cpam_status
serve_settled(struct cli *cli, struct held *held, struct cpam_err *err)
{
    const struct wal_worker_options *options = cli->options;
    struct handoff_config config;

    handoff_config_of(cli->io, cli->config_path, &config);
    CPAM_TRY(settings_load(cli->io, cli->config_path, &held->settings, err));
    CPAM_TRY(program_become_owner(cli, held->data, err));

    struct worker_request request = {
        .io = cli->io,
        .settings = held->settings,
        .config = config,
        .data = held->data,
        .idle = options->idle,
    };
    enum cpam_status status = worker_serve(&request, err);
    cli->threads_left = request.abandoned;
    return status;
}

static enum cpam_status
serve(struct cli *cli, struct held *held, struct cpam_err *err)
{
    const struct wal_worker_options *options = cli->options;

    held->data = realpath(options->serve, NULL);
    if (held->data == NULL)
        return cpam_fail(err, CPAM_USAGE, errno, "\"%s\" is not a data directory", options->serve);
    CPAM_TRY(handoff_detach(options->foreground, err));
    if (!options->foreground)
        log_to_syslog();
    enum cpam_status status = serve_settled(cli, held, err);
    if (status == CPAM_EXISTS)
        return CPAM_OK; /* another one serves; whoever started this one asks that one */
    if (status != CPAM_OK)
        handoff_server_started(err);
    return status;
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    const struct wal_worker_options *options = cli->options;
    struct held held = {0};

    if ((options->serve == NULL) == (options->push == NULL))
    {
        cpam_fail(err, CPAM_USAGE, 0, "one of --serve DATADIR and --push FILE has to be given");
        cpam_err_hint(err, "cpam-wal-push starts it by itself; \"cpam-wal-worker --help\" tells "
                           "more");
        return CPAM_USAGE;
    }
    if (options->push != NULL)
        log_as("cpam-wal-push"); /* which became this program */
    enum cpam_status status =
        options->serve != NULL ? serve(cli, &held, err) : push(cli, &held, err);
    if (!cli->threads_left)
    {
        push_item_free(held.item);
        settings_free(held.settings);
        free(held.data);
    }
    return status;
}

int
main(int argc, char **argv)
{
    static const struct program program = {
        .name = "cpam-wal-worker",
        .summary = "archive WAL in the background for one database server",
        .usage = usage,
        .details = "cpam-wal-push and the archive module start it by themselves. It pushes what "
                   "the server asks for, keeps its connections to the repositories open, and looks "
                   "ahead at what the server will ask for next. One worker serves one data "
                   "directory.",
        .options = {rows, sizeof(rows) / sizeof(rows[0])},
        .options_size = sizeof(struct wal_worker_options),
        .defaults = defaults,
        .exits = &exit_wal_push,
        /* it loads them itself: threads that were left behind still read them, and a worker first
           lets go of whoever started it */
        .needs_settings = false,
        .min_arguments = 0,
        .max_arguments = 0,
        .run = run,
    };

    return program_main(&program, argc, argv);
}
