/*
 * wal_fetch.c - cpam-wal-fetch, PostgreSQL's restore_command.
 *
 *     restore_command = 'exec /usr/bin/cpam-wal-fetch %f %p'
 *
 * The exit status is the whole point: 0 delivered, 1 proven absent, 254 could not tell; and in the
 * one state where 254 would open the old timeline, none of them until the answer is known
 * (fetch_answer.h).  That holds for every failure, a wrong option or a broken configuration
 * included, so main() looks at what came out of program_main() without an answer of ours.
 *
 * `exec`, so that the signals PostgreSQL sends reach this program and not a shell in front of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/program.h"
#include "fetch_answer.h"
#include "fetch_archive.h"
#include "fetch_delivery.h"
#include "fetch_hold.h"
#include "fetch_situation.h"

enum
{
    SECOND = 1000 * 1000,       /* us */
    SHORT_PATIENCE = 30,        /* s, plus the time a segment takes at SLOWEST */
    SLOWEST = 512 * 1024,       /* bytes/s */
    AGAIN_PAUSE = 5,            /* s between two rounds of a caller that waits */
    AGAIN_LOG = 60,             /* s between two lines about it */
    OVERDUE_GRACE = 700 * 1000, /* us behind the deadline before the last resort */
    DEFAULT_PATIENCE = 600      /* s: where the configuration could not be read */
};

struct fetch
{
    struct io *io;
    const struct cli *cli; /* NULL without options: program_main() gave up before run() */
    struct fetch_situation *situation;
    struct fetch_hold hold;
    int64_t begun, told; /* us; told 0: nothing said yet */
};

static bool answered; /* run() came to an answer, which main() must not change */

/*
 * The time one round may take.  A standby gets less than wal.fetch.timeout: it asks again by
 * itself, and can neither stream nor be promoted while it waits here.  So does a round of a caller
 * that waits in any case, so that it says something early.
 */
static int64_t
round_patience(const struct fetch *fetch, int64_t timeout, enum fetch_answer unknown)
{
    uint64_t segment = fetch->situation->has_control ? fetch->situation->control.segment_size : 0;
    int64_t brief = (SHORT_PATIENCE + (int64_t) (segment / SLOWEST)) * SECOND;
    bool short_one =
        fetch->situation->caller == FETCH_CALLER_STANDBY || unknown == FETCH_ANSWER_AGAIN;

    return short_one && brief < timeout ? brief : timeout;
}

/* From the destination's pg_control; only without a data directory there from the configured one;
   0: the repository has to know. */
static enum cpam_status
cluster_sysid(const struct fetch *fetch, const struct settings *settings, uint64_t *sysid,
              struct cpam_err *err)
{
    const struct fetch_situation *situation = fetch->situation;
    struct control control;
    enum cpam_status status;

    *sysid = 0;
    if (situation->data != NULL)
        status = fetch_control_read(fetch->io, situation->data, &control, err);
    else if (settings->postgresql.data != NULL)
        status = fetch_control_read(fetch->io, settings->postgresql.data, &control, err);
    else
        return CPAM_OK;
    if (status == CPAM_OK)
        *sysid = control.sysid;
    else if (situation->data == NULL && status == CPAM_NOT_FOUND)
        return CPAM_OK; /* no database here, or not any more */
    return status;
}

/* Asks everybody once. */
static enum cpam_status
one_round(const struct fetch *fetch, const struct settings *settings, enum fetch_on_error on_error,
          struct fetch_result *result, struct cpam_err *err)
{
    const struct fetch_situation *situation = fetch->situation;
    enum fetch_answer unknown = fetch_answer_of(situation->caller, on_error, FETCH_UNKNOWN, false);
    int64_t patience = round_patience(fetch, settings->wal.fetch_timeout, unknown);
    struct fetch_request request = {
        .io = fetch->io,
        .settings = settings,
        .repo = fetch->cli->repo,
        .situation = situation,
        .deadline = deadline_after(fetch->io, patience),
    };
    enum cpam_status status;

    CPAM_TRY(cluster_sysid(fetch, settings, &request.sysid, err));
    if (unknown != FETCH_ANSWER_AGAIN)
        fetch_delivery_limit(patience + OVERDUE_GRACE, (int) unknown);
    status = fetch_archive(&request, result, err);
    fetch_delivery_limit(0, 0);
    return status;
}

/* A round with everything that may fail before it; the configuration is read each time, so that a
   person can mend it while a caller waits. */
static enum fetch_answer
round_answer(const struct fetch *fetch, struct fetch_result *result)
{
    const struct fetch_situation *situation = fetch->situation;
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    enum fetch_on_error on_error = FETCH_ON_ERROR_AUTO;
    struct cpam_err err;
    enum cpam_status status = CPAM_OK;
    bool local = false;

    result->outcome = FETCH_UNKNOWN;
    if (fetch->cli != NULL)
    {
        status = settings_load(fetch->io, fetch->cli->config_path, &settings, &err);
        if (status == CPAM_OK)
        {
            on_error = fetch_on_error_of(settings->wal.on_error);
            status = one_round(fetch, settings, on_error, result, &err);
        }
        if (status != CPAM_OK)
        {
            result->outcome = FETCH_UNKNOWN;
            result->err = err;
        }
    }
    if (result->outcome != FETCH_DELIVERED && result->outcome != FETCH_ABSENT)
        local = fetch_situation_local_copy(fetch->io, situation);
    return fetch_answer_of(situation->caller, on_error, result->outcome, local);
}

/* A caller that waits: say so at once and then every minute, with what a person can do. */
static void
tell_waiting(struct fetch *fetch, const struct fetch_result *result)
{
    const struct fetch_situation *situation = fetch->situation;
    int64_t now = fetch->io->ops->monotonic(fetch->io);
    char asked[TEXT_DURATION_MAX];
    struct cpam_err line = result->err;

    if (fetch->told != 0 && now - fetch->told < (int64_t) AGAIN_LOG * SECOND)
        return;
    fetch->told = now;
    text_format_duration(now - fetch->begun, asked);
    cpam_err_prefix(&line, "asked for %s and could not be told (waiting, %s so far)",
                    situation->name.text, asked);
    if (situation->caller == FETCH_CALLER_FINISHING)
        cpam_err_hint(&line,
                      "the server has ended its recovery and waits for this file before it opens "
                      "on a new timeline: bring the repository back, or copy the file to \"%s\"%s",
                      situation->local_copy,
                      fetch->hold.placed ? "; recovery.signal was put back for the time it waits, "
                                           "so that a stop does not open the old timeline"
                                         : "; do not stop the server: it would open on the old "
                                           "timeline (create recovery.signal first)");
    else
        cpam_err_hint(&line, "bring the repository back; wal.fetch.on_error is \"retry\", so the "
                             "server is not answered before");
    log_failure(&line);
}

static void
tell_answer(const struct fetch *fetch, enum fetch_answer answer, const struct fetch_result *result)
{
    const struct fetch_situation *situation = fetch->situation;
    struct cpam_err line = result->err;

    if (answer == FETCH_ANSWER_DELIVERED)
        cpam_log(LOG_DEBUG, "%s: delivered", situation->name.text);
    else if (result->outcome == FETCH_ABSENT)
        cpam_log(situation->caller == FETCH_CALLER_STANDBY ? LOG_DEBUG : LOG_INFO, "%s", line.text);
    else if (answer == FETCH_ANSWER_STOP)
    {
        if (situation->caller == FETCH_CALLER_RECOVERY && line.hint[0] == '\0')
            cpam_err_hint(&line, "the server stops here and does not open; start it again when the "
                                 "cause is gone, and recovery goes on from this file");
        log_failure(&line);
    }
    else if (fetch_situation_local_copy(fetch->io, situation))
        cpam_log(LOG_WARNING, "%s; the server's own copy \"%s\" is good and is used", line.text,
                 situation->local_copy);
    else /* a standby, which asks again */
        log_failure(&line);
}

/* False when the server that asked is gone. */
static bool
pause_before_again(const struct fetch *fetch)
{
    for (int second = 0; second < AGAIN_PAUSE; second++)
    {
        fetch->io->ops->sleep(fetch->io, SECOND);
        if (!fetch_situation_holds(fetch->io, fetch->situation))
            return false;
    }
    return true;
}

static enum fetch_answer
server_gone(const struct fetch *fetch)
{
    cpam_log(LOG_ERROR, "%s: the server that asked is gone", fetch->situation->name.text);
    return FETCH_ANSWER_STOP; /* nobody reads it; recovery.signal stays */
}

/* Until there is an answer, which is then the exit status. */
static int
fetch_until_answered(struct fetch *fetch)
{
    CPAM_AUTO(free) struct fetch_result *result = calloc(1, sizeof(*result));
    const struct fetch_situation *situation = fetch->situation;
    enum fetch_answer answer;
    struct cpam_err err;

    if (result == NULL)
        return FETCH_ANSWER_STOP;
    cpam_fail(&result->err, CPAM_USAGE, 0, "the options or the configuration are wrong");
    if (situation->caller == FETCH_CALLER_FINISHING)
    {
        if (fetch_situation_local_copy(fetch->io, situation))
            return FETCH_ANSWER_ABSENT; /* the server has it: nobody need be asked */
        if (fetch_hold_place(&fetch->hold, &err) != CPAM_OK)
            log_failure(&err);
    }
    while ((answer = round_answer(fetch, result)) == FETCH_ANSWER_AGAIN)
    {
        tell_waiting(fetch, result);
        if (!pause_before_again(fetch))
            return server_gone(fetch);
    }
    /* it may be gone since the last look, and its next start needs recovery.signal */
    if (fetch->hold.placed && !fetch_situation_holds(fetch->io, situation))
        return server_gone(fetch);
    if (fetch_hold_release(&fetch->hold, &err) != CPAM_OK)
    {
        cpam_err_hint(&err, "remove \"recovery.signal\" from the data directory before the next "
                            "start of this server");
        log_failure(&err);
    }
    tell_answer(fetch, answer, result);
    return (int) answer;
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    struct fetch fetch = {.io = cli->io, .cli = cli};

    CPAM_TRY(fetch_situation_read(cli->io, cli->argv[0], cli->argv[1], &situation, err));
    cpam_log(LOG_DEBUG, "%s wanted as \"%s\" (%s)", cli->argv[0], cli->argv[1],
             fetch_caller_name(situation->caller));
    /* root by hand: what goes into a data directory is its owner's */
    if (situation->data != NULL)
        CPAM_TRY(program_become_owner(cli, situation->data, err));
    fetch_delivery_guard();
    if (situation->name.kind == ARCHIVE_HISTORY)
        fetch_delivery_sweep(cli->io, situation); /* a few times a recovery, not each segment */
    fetch.situation = situation;
    fetch.hold = (struct fetch_hold){.io = cli->io, .data = situation->data};
    fetch.begun = cli->io->ops->monotonic(cli->io);
    cli->exit_code = fetch_until_answered(&fetch);
    answered = true;
    return CPAM_OK;
}

/*
 * program_main() failed before run() (a wrong option, say) and has printed why.  Its 254 would shut
 * a standby down, and open a finishing server on the old timeline.
 */
static int
answer_without_run(const char *name, const char *destination)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    struct fetch fetch = {.io = io_posix()};
    struct cpam_err err;

    if (fetch_situation_read(fetch.io, name, destination, &situation, &err) != CPAM_OK)
        return FETCH_ANSWER_STOP;
    fetch.situation = situation;
    fetch.hold = (struct fetch_hold){.io = fetch.io, .data = situation->data};
    fetch.begun = fetch.io->ops->monotonic(fetch.io);
    fetch_delivery_guard();
    return fetch_until_answered(&fetch);
}

static const struct exit_row exit_rows[] = {
    {CPAM_OK, 0, "the file is at the destination, whole and verified"},
    {CPAM_NOT_FOUND, 1,
     "it is proven absent, and so is all that follows it; on a standby (standby.signal): any "
     "failure, since a standby asks again"},
};
static const struct exit_table exits = {
    exit_rows, sizeof(exit_rows) / sizeof(exit_rows[0]), FETCH_ANSWER_STOP,
    "anything else: could not be told.  Recovery stops and can go on later"};

static const char *const usage[] = {"cpam-wal-fetch [OPTION]... FILE DESTINATION", NULL};

static const struct program program = {
    .name = "cpam-wal-fetch",
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
    .exits = &exits,
    .needs_settings = false, /* read in run(), again and again while a server waits */
    .acts_as_owner = true,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run,
};

int
main(int argc, char **argv)
{
    int code;

    if (argc >= 3 && fetch_answer_known(argv[argc - 2]))
        return FETCH_ANSWER_ABSENT;
    code = program_main(&program, argc, argv);
    if (code == 0 || answered || argc < 3)
        return code;
    return answer_without_run(argv[argc - 2], argv[argc - 1]);
}
