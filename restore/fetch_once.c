/*
 * fetch_once.c - one file from the archive, in the foreground: rounds until there is an answer.
 *
 * The exit status is the whole point: 0 delivered, 1 proven absent, 254 could not tell; and in the
 * one state where 254 would open the old timeline, none of them until the answer is known
 * (fetch_answer.h).  That holds for every failure, a broken configuration included.
 */
#include "fetch_once.h"
#include <inttypes.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/as_of.h"
#include "cli/settings.h"
#include "fetch_answer.h"
#include "fetch_archive.h"
#include "fetch_delivery.h"
#include "fetch_hold.h"
#include "fetch_patience.h"
#include "io/control_load.h"

enum
{
    SECOND = 1000 * 1000, /* us */
    AGAIN_PAUSE = 5,      /* s between two rounds of a caller that waits */
    AGAIN_LOG = 60        /* s between two lines about it */
};

struct fetch
{
    const struct fetch_call *call;
    struct io *io;
    const struct fetch_situation *situation;
    struct fetch_hold hold;
    int64_t used;        /* us of the first round that are over already */
    int64_t begun, told; /* us; told 0: nothing said yet */
};

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
        status = control_load(fetch->io, situation->data, NULL, &control, err);
    else if (settings->postgresql.data != NULL)
        status = control_load(fetch->io, settings->postgresql.data, NULL, &control, err);
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
    int64_t patience =
        fetch_patience(situation, settings->wal.fetch_timeout, unknown) - fetch->used;
    struct fetch_request request = {
        .io = fetch->io,
        .settings = settings,
        .repo = fetch->call->repo,
        .situation = situation,
        .any_tablespace = fetch->call->any_tablespace,
    };
    enum cpam_status status;

    patience = patience > 0 ? patience : 1;
    request.deadline = deadline_after(fetch->io, patience);
    CPAM_TRY(cluster_sysid(fetch, settings, &request.sysid, err));
    if (unknown != FETCH_ANSWER_AGAIN)
        fetch_delivery_limit(patience + FETCH_OVERDUE_GRACE, (int) unknown);
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
    result->harmful = false;
    if (fetch->call->config != NULL)
    {
        status = settings_load(fetch->io, fetch->call->config, &settings, &err);
        if (status == CPAM_OK)
            status = as_of_set(fetch->io, fetch->call->as_of, settings, &err);
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
    if (result->outcome == FETCH_UNKNOWN && result->harmful)
        return FETCH_ANSWER_STOP;
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
        if (fetch_situation_gone(fetch->io, fetch->situation))
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
        fetch->used = 0;
        if (!pause_before_again(fetch))
            return server_gone(fetch);
    }
    /* it may be gone since the last look, and its next start needs recovery.signal */
    if (fetch->hold.placed && fetch_situation_gone(fetch->io, situation))
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

int
fetch_once(const struct fetch_call *call)
{
    struct fetch fetch = {
        .call = call,
        .io = call->io,
        .situation = call->situation,
        .hold = {.io = call->io, .data = call->situation->data},
        .begun = call->io->ops->monotonic(call->io),
    };

    if (call->begun != 0 && call->begun < fetch.begun)
        fetch.used = fetch.begun - call->begun;
    fetch_delivery_guard();
    if (call->config != NULL && call->situation->name.kind == ARCHIVE_HISTORY)
        fetch_delivery_sweep(call->io, call->situation); /* a few times a recovery */
    return fetch_until_answered(&fetch);
}
