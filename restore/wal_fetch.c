/*
 * wal_fetch.c - cpam-wal-fetch, PostgreSQL's restore_command.
 *
 *     restore_command = 'exec /usr/bin/cpam-wal-fetch %f %p'
 *
 * It runs once for each segment of a recovery, so it is small: it knows neither HTTP nor cryptography,
 * asks the worker for a segment that was fetched ahead, and renames it.  For everything else it
 * becomes, by exec, cpam-wal-prefetch --once: the process that PostgreSQL signals stays the same,
 * and so does the meaning of its exit status (fetch_answer.h).
 *
 * `exec` in restore_command, so that those signals reach this program and not a shell in front of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/as_of.h"
#include "cli/program.h"
#include "fetch_answer.h"
#include "fetch_delivery.h"
#include "fetch_front.h"
#include "fetch_hold.h"
#include "fetch_prefetched.h"
#include "handoff/call.h"

enum
{
    AGAIN_PAUSE = 5 * 1000 * 1000, /* us */
    OWN_ARGUMENTS = 5              /* argv[0], --once, --begun=, --server=, NULL */
};

struct front
{
    struct io *io;
    int argc;
    char **argv;
    const struct fetch_situation *situation; /* NULL: the name is none of the archive */
    int64_t begun;
};

struct options
{
    const char *as_of;
    bool any_tablespace;
};

static const struct option_def rows[] = {
    AS_OF_OPTION(offsetof(struct options, as_of)),
    ANY_TABLESPACE_OPTION(offsetof(struct options, any_tablespace))};

static struct
{
    int argc;
    char **argv;
    int64_t begun;
    bool answered; /* run() came to an answer, which main() must not change */
} process;

/* Does not return unless it fails. */
static enum cpam_status
become(const char **argv, struct cpam_err *err)
{
    CPAM_AUTO(free) char *program = NULL;

    CPAM_TRY(handoff_program_beside(FETCH_FRONT_BEHIND, &program, err));
    /* 127, a loader's, would shut a standby down, and open a finishing server on the old timeline */
    CPAM_TRY(handoff_program_runs(program, err));
    argv[0] = FETCH_FRONT_NAME;
    argv[1] = "--once";
    execv(program, (char *const *) (uintptr_t) argv);
    cpam_fail(err, errno == ENOENT ? CPAM_NOT_FOUND : CPAM_IO, errno, "could not run \"%s\"",
              program);
    cpam_err_hint(err, "it belongs beside cpam-wal-fetch: is the installation complete?");
    return err->status;
}

/*
 * The state decides what is answered when not even the question can be asked.  A server that ends
 * its recovery waits for as long as it takes, with recovery.signal back in place (fetch_hold.h).
 */
static int
answer_without_program(const struct front *front, const char **argv, struct cpam_err *err)
{
    const struct fetch_situation *situation = front->situation;
    struct fetch_hold hold = {.io = front->io};
    struct cpam_err ignored;
    bool local;

    log_failure(err);
    if (situation == NULL)
        return FETCH_ANSWER_STOP;
    hold.data = situation->data;
    for (;;)
    {
        local = fetch_situation_local_copy(front->io, situation);
        int answer =
            (int) fetch_answer_of(situation->caller, FETCH_ON_ERROR_AUTO, FETCH_UNKNOWN, local);
        if (answer != FETCH_ANSWER_AGAIN)
            return answer;
        if (fetch_hold_place(&hold, &ignored) != CPAM_OK)
            log_failure(&ignored);
        front->io->ops->sleep(front->io, AGAIN_PAUSE);
        if (fetch_situation_gone(front->io, situation))
            return FETCH_ANSWER_STOP; /* nobody reads it; recovery.signal stays */
        /* the state must read as it is to whom it becomes */
        if (fetch_hold_release(&hold, &ignored) != CPAM_OK)
            log_failure(&ignored);
        if (become(argv, err) == CPAM_OK)
            return FETCH_ANSWER_STOP;
    }
}

/* Becomes the foreground fetch, with the same arguments; unasked: only FILE and DESTINATION, since
   the options could not be understood. */
static int
fetch_in_foreground(const struct front *front, bool unasked)
{
    CPAM_AUTO(free) const char **argv = calloc((size_t) front->argc + OWN_ARGUMENTS, sizeof(*argv));
    char begun[64], server[128];
    struct cpam_err err;
    size_t count = 2;

    if (argv == NULL)
    {
        cpam_fail(&err, CPAM_NO_MEMORY, 0, "there is no memory for arguments");
        log_failure(&err);
        return FETCH_ANSWER_STOP;
    }
    if (unasked)
    {
        argv[count++] = "--" FETCH_FRONT_UNASKED;
        argv[count++] = "--";
    }
    else
    {
        snprintf(begun, sizeof(begun), "--" FETCH_FRONT_BEGUN "=%" PRId64, front->begun);
        argv[count++] = begun;
        if (front->situation != NULL && front->situation->server.told)
        {
            const struct fetch_server *seen = &front->situation->server;

            snprintf(server, sizeof(server), "--" FETCH_FRONT_SERVER "=%s/%s",
                     seen->present ? seen->pid : "", seen->present ? seen->started : "");
            argv[count++] = server;
        }
    }
    for (int i = unasked ? front->argc - 2 : 1; i < front->argc; i++)
        argv[count++] = front->argv[i];
    fetch_delivery_limit(0, 0); /* a timer would outlive exec */
    if (become(argv, &err) == CPAM_OK)
        return FETCH_ANSWER_STOP; /* it never returns so */
    return answer_without_program(front, argv, &err);
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    const struct options *options = cli->options;
    struct front front = {
        .io = cli->io, .argc = process.argc, .argv = process.argv, .begun = process.begun};
    enum fetch_answer answer = FETCH_ANSWER_AGAIN;
    struct cpam_err ignored;

    if (fetch_situation_read(cli->io, cli->argv[0], cli->argv[1], &situation, &ignored) == CPAM_OK)
        front.situation = situation;
    /* what is fetched ahead is what the repositories hold now */
    if (situation != NULL && options->as_of == NULL && fetch_prefetched_applies(situation))
    {
        struct fetch_wish wish = {cli->io, cli->config_path, cli->repo, situation,
                                  options->any_tablespace};

        CPAM_TRY(program_become_owner(cli, situation->data, err));
        fetch_delivery_guard();
        answer = fetch_prefetched(&wish);
    }
    process.answered = true;
    cli->exit_code =
        answer == FETCH_ANSWER_AGAIN ? fetch_in_foreground(&front, false) : (int) answer;
    return CPAM_OK;
}

static const char *const usage[] = {"cpam-wal-fetch [OPTION]... FILE DESTINATION", NULL};

static const struct program program = {
    .name = FETCH_FRONT_NAME,
    .summary = "bring one file from the WAL archive, for restore_command",
    .usage = usage,
    .details =
        "Set restore_command = 'exec /usr/bin/cpam-wal-fetch %f %p'.  FILE is a segment, a "
        "timeline history, a .backup or a .partial file by its name; DESTINATION is where it is to "
        "appear, by rename and only when every byte is verified.\n"
        "\n"
        "PostgreSQL takes an exit status up to 125 for the end of the archive.  So 1 is answered "
        "only when every repository that is required (or the one of --repo) has said that the file "
        "is not there, and that nothing comes after it.",
    .options = {rows, sizeof(rows) / sizeof(rows[0])},
    .options_size = sizeof(struct options),
    .exits = &fetch_exits,
    .needs_settings = false, /* read again and again while a server waits */
    .acts_as_owner = true,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run,
};

int
main(int argc, char **argv)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    struct front front = {.io = io_posix(), .argc = argc, .argv = argv};
    struct cpam_err ignored;
    int code;

    if (argc >= 3 && fetch_answer_known(argv[argc - 2]))
        return FETCH_ANSWER_ABSENT;
    process.argc = argc;
    process.argv = argv;
    process.begun = front.io->ops->monotonic(front.io);
    code = program_main(&program, argc, argv);
    if (code == 0 || process.answered || argc < 3)
        return code;
    /* It failed before run() (a wrong option, say) and has printed why.  Its 254 would shut a
       standby down, and open a finishing server on the old timeline. */
    if (fetch_situation_read(front.io, argv[argc - 2], argv[argc - 1], &situation, &ignored) !=
        CPAM_OK)
        return FETCH_ANSWER_STOP;
    front.situation = situation;
    return fetch_in_foreground(&front, true);
}
