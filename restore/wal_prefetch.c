/*
 * wal_prefetch.c - cpam-wal-prefetch: the worker behind cpam-wal-fetch, and the fetch without one.
 *
 *     cpam-wal-prefetch --serve /var/lib/postgresql/15/main
 *     cpam-wal-prefetch --once FILE DESTINATION
 *
 * --once is what cpam-wal-fetch becomes, by exec, wherever no prefetched file is at hand: for the
 * server it is the same process, under the same name, and its exit status is the answer
 * (fetch_once.h).  That holds for every failure, a wrong option included, so main() looks at what
 * came out of program_main() without an answer of ours.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/as_of.h"
#include "cli/program.h"
#include "fetch_answer.h"
#include "fetch_front.h"
#include "fetch_once.h"
#include "handoff/server.h"
#include "prefetch_serve.h"

#define IDLE ((int64_t) 60 * 1000 * 1000) /* us */

struct options
{
    bool once, foreground, unasked, any_tablespace;
    const char *serve, *begun, *server, *as_of;
    int64_t idle;
};

#define AT(member) offsetof(struct options, member)

static const struct option_def rows[] = {
    {"serve", 0, OPTION_TEXT, "DATADIR", AT(serve),
     .help = "fetch ahead for the server of this data directory"},
    {"once", 0, OPTION_FLAG, NULL, AT(once), .help = "bring one file, as cpam-wal-fetch does"},
    {"foreground", 0, OPTION_FLAG, NULL, AT(foreground),
     .help = "with --serve: stay with the terminal or the service manager, log on stderr"},
    {"idle", 0, OPTION_DURATION, "TIME", AT(idle), 0, 86400000000,
     .help = "with --serve: end when nobody has asked for so long; 0: never; default 60s"},
    AS_OF_OPTION(AT(as_of)),
    ANY_TABLESPACE_OPTION(AT(any_tablespace)),
    /* from cpam-wal-fetch: when it was called, by which run of the server, and that its own options
       could not be understood */
    {FETCH_FRONT_BEGUN, 0, OPTION_TEXT, "US", AT(begun), .help = NULL},
    {FETCH_FRONT_SERVER, 0, OPTION_TEXT, "PID/START", AT(server), .help = NULL},
    {FETCH_FRONT_UNASKED, 0, OPTION_FLAG, NULL, AT(unasked), .help = NULL},
};

static bool answered; /* run() came to an answer, which main() must not change */

/* The server that called is the one the front saw: another may run by now (trap 14). */
static void
take_server(struct fetch_situation *situation, const char *server)
{
    const char *slash = server == NULL ? NULL : strchr(server, '/');

    if (slash == NULL)
        return;
    situation->server.told = true;
    situation->server.present = slash != server;
    snprintf(situation->server.pid, sizeof(situation->server.pid), "%.*s", (int) (slash - server),
             server);
    snprintf(situation->server.started, sizeof(situation->server.started), "%s", slash + 1);
}

static enum cpam_status
run_once(struct cli *cli, const struct options *options, struct cpam_err *err)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    struct fetch_call call = {.io = cli->io,
                              .repo = cli->repo,
                              .as_of = options->as_of,
                              .any_tablespace = options->any_tablespace};
    struct cpam_err ignored;
    uint64_t begun = 0;

    CPAM_TRY(fetch_situation_read(cli->io, cli->argv[0], cli->argv[1], &situation, err));
    take_server(situation, options->server);
    cpam_log(LOG_DEBUG, "%s wanted as \"%s\" (%s)", cli->argv[0], cli->argv[1],
             fetch_caller_name(situation->caller));
    /* root by hand: what goes into a data directory is its owner's */
    if (situation->data != NULL && !options->unasked)
        CPAM_TRY(program_become_owner(cli, situation->data, err));
    if (options->begun != NULL &&
        text_parse_u64(options->begun, INT64_MAX, &begun, &ignored) == CPAM_OK)
        call.begun = (int64_t) begun;
    call.config = options->unasked ? NULL : cli->config_path;
    call.situation = situation;
    cli->exit_code = fetch_once(&call);
    answered = true;
    return CPAM_OK;
}

static enum cpam_status
run_serve(struct cli *cli, const struct options *options, struct cpam_err *err)
{
    CPAM_AUTO(free) char *data = realpath(options->serve, NULL);
    struct prefetch_serving serving = {data, options->foreground, options->idle};

    if (data == NULL)
        return cpam_fail(err, errno == ENOENT ? CPAM_NOT_FOUND : CPAM_IO, errno,
                         "could not find the data directory \"%s\"", options->serve);
    CPAM_TRY(handoff_detach(options->foreground, err));
    if (!options->foreground)
        log_to_syslog();
    return prefetch_serve(cli, &serving, err);
}

static void
defaults(void *into)
{
    struct options *options = into;

    options->idle = IDLE;
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    const struct options *options = cli->options;
    int wanted = options->serve != NULL ? 0 : 2;

    if (options->once == (options->serve != NULL))
        return cpam_fail(err, CPAM_USAGE, 0, "one of --serve and --once is needed");
    if (cli->argc != wanted)
        return cpam_fail(err, CPAM_USAGE, 0,
                         wanted == 0 ? "--serve takes no file"
                                     : "--once needs a file and a destination");
    if (options->serve != NULL && options->as_of != NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "--as-of goes with --once: nothing is fetched ahead");
    if (options->serve != NULL && options->any_tablespace)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "--any-tablespace goes with --once: who hands a file over decides");
    if (options->once)
        return run_once(cli, options, err);
    answered = true; /* nobody reads a worker's status as an answer about a file */
    return run_serve(cli, options, err);
}

/*
 * program_main() failed before run() (a wrong option, say) and has printed why.  Its 254 would shut
 * a standby down, and open a finishing server on the old timeline.
 */
static int
answer_without_run(const char *name, const char *destination)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    struct fetch_call call = {.io = io_posix()};
    struct cpam_err err;

    if (fetch_situation_read(call.io, name, destination, &situation, &err) != CPAM_OK)
        return FETCH_ANSWER_STOP;
    call.situation = situation;
    return fetch_once(&call);
}

static const char *const usage[] = {"cpam-wal-prefetch [OPTION]... --serve DATADIR",
                                    "cpam-wal-prefetch [OPTION]... --once FILE DESTINATION", NULL};

static const struct program program = {
    .name = "cpam-wal-prefetch",
    .summary = "fetch WAL ahead of a recovery, for cpam-wal-fetch",
    .usage = usage,
    .details =
        "cpam-wal-fetch starts it by itself, one for each data directory, and asks it for segments; "
        "it ends when nobody has asked for a minute.  A service manager can run it instead, with "
        "--serve and --foreground.\n"
        "\n"
        "--once is cpam-wal-fetch without a worker: the same answers, the same exit status.",
    .options = {rows, sizeof(rows) / sizeof(rows[0])},
    .options_size = sizeof(struct options),
    .defaults = defaults,
    .exits = &fetch_exits,
    .needs_settings = false, /* read in run(), again and again while a server waits */
    .acts_as_owner = true,
    .max_arguments = 2,
    .run = run,
};

int
main(int argc, char **argv)
{
    /* what it says goes into the server's log, where restore_command is known by its own name */
    struct program called = program;
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    int code;

    if (argc > 0 && strcmp(slash == NULL ? argv[0] : slash + 1, FETCH_FRONT_NAME) == 0)
        called.name = FETCH_FRONT_NAME;
    if (argc >= 4 && fetch_answer_known(argv[argc - 2]))
        return FETCH_ANSWER_ABSENT;
    code = program_main(&called, argc, argv);
    if (code == 0 || answered || argc < 4)
        return code;
    return answer_without_run(argv[argc - 2], argv[argc - 1]);
}
