/*
 * fetch_answer.c - the decision, as a table where it can be one.
 */
#include "fetch_answer.h"

#include <string.h>

enum fetch_outcome
fetch_outcome_of(const struct fetch_finding *findings, size_t count)
{
    bool silent = false, hole = false, asked = false;

    for (size_t i = 0; i < count; i++)
    {
        if (findings[i].outcome == FETCH_DELIVERED)
            return FETCH_DELIVERED;
        asked |= findings[i].in_read_set;
        silent |= findings[i].in_read_set && findings[i].outcome == FETCH_UNKNOWN;
        hole |= findings[i].outcome == FETCH_HOLE;
    }
    if (silent || !asked)
        return FETCH_UNKNOWN;
    return hole ? FETCH_HOLE : FETCH_ABSENT;
}

enum fetch_on_error
fetch_on_error_of(const char *text)
{
    if (text != NULL && strcmp(text, "stop") == 0)
        return FETCH_ON_ERROR_STOP;
    if (text != NULL && strcmp(text, "retry") == 0)
        return FETCH_ON_ERROR_RETRY;
    return FETCH_ON_ERROR_AUTO;
}

/* What a caller is told when the file could be neither delivered nor proven absent. */
static const enum fetch_answer could_not_tell[][3] = {
    [FETCH_CALLER_RECOVERY] = {[FETCH_ON_ERROR_AUTO] = FETCH_ANSWER_STOP,
                               [FETCH_ON_ERROR_STOP] = FETCH_ANSWER_STOP,
                               [FETCH_ON_ERROR_RETRY] = FETCH_ANSWER_AGAIN},
    [FETCH_CALLER_STANDBY] = {[FETCH_ON_ERROR_AUTO] = FETCH_ANSWER_ABSENT,
                              [FETCH_ON_ERROR_STOP] = FETCH_ANSWER_STOP,
                              [FETCH_ON_ERROR_RETRY] = FETCH_ANSWER_AGAIN},
    [FETCH_CALLER_FINISHING] = {[FETCH_ON_ERROR_AUTO] = FETCH_ANSWER_AGAIN,
                                [FETCH_ON_ERROR_STOP] = FETCH_ANSWER_AGAIN,
                                [FETCH_ON_ERROR_RETRY] = FETCH_ANSWER_AGAIN},
    [FETCH_CALLER_PERSON] = {[FETCH_ON_ERROR_AUTO] = FETCH_ANSWER_STOP,
                             [FETCH_ON_ERROR_STOP] = FETCH_ANSWER_STOP,
                             [FETCH_ON_ERROR_RETRY] = FETCH_ANSWER_STOP},
};

enum fetch_answer
fetch_answer_of(enum fetch_caller caller, enum fetch_on_error on_error, enum fetch_outcome outcome,
                bool local_copy)
{
    if (outcome == FETCH_DELIVERED)
        return FETCH_ANSWER_DELIVERED;
    if (outcome == FETCH_ABSENT)
        return FETCH_ANSWER_ABSENT;
    if (local_copy && caller == FETCH_CALLER_FINISHING)
        return FETCH_ANSWER_ABSENT;
    if (local_copy && caller != FETCH_CALLER_PERSON && outcome == FETCH_HOLE)
        return FETCH_ANSWER_ABSENT;
    return could_not_tell[caller][on_error];
}

bool
fetch_answer_known(const char *name)
{
    return strcmp(name, "00000001.history") == 0;
}

static const struct exit_row exit_rows[] = {
    {CPAM_OK, 0, "the file is at the destination, whole and verified"},
    {CPAM_NOT_FOUND, 1,
     "it is proven absent, and so is all that follows it; on a standby (standby.signal): any "
     "failure, since a standby asks again"},
};
const struct exit_table fetch_exits = {
    exit_rows, sizeof(exit_rows) / sizeof(exit_rows[0]), FETCH_ANSWER_STOP,
    "anything else: could not be told.  Recovery stops and can go on later"};
