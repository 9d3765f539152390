/*
 * fetch_answer.h - from what the repositories said to what PostgreSQL is told; pure.
 *
 * restore_command's exit status decides whether a server goes on, stops, or opens for writing
 * (postgresql.md, section 2).  The two functions here are the whole decision, and
 * tests/programs/test_fetch_answer.c walks every combination.
 */
#ifndef CPAM_RESTORE_FETCH_ANSWER_H
#define CPAM_RESTORE_FETCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/program.h"
#include "fetch_situation.h"

enum fetch_outcome
{
    FETCH_UNKNOWN, /* silent, refused, damaged, foreign: anything that is none of the others */
    FETCH_DELIVERED,
    FETCH_ABSENT, /* it answered: not there, and nothing behind it on that timeline */
    FETCH_HOLE    /* it answered: not there, but what comes after it is (or, for a history, other
                     files of that timeline) */
};

struct fetch_finding
{
    bool in_read_set; /* only these can make an absence unknown, or prove one (trap 4) */
    enum fetch_outcome outcome;
};

/*
 * All repositories together.  Delivered by any is delivered.  One of the read set that could not
 * tell makes it unknown.  A hole in any that answered is a hole.  Absent needs every one of the
 * read set to say so, and at least one in it.
 */
enum fetch_outcome fetch_outcome_of(const struct fetch_finding *findings, size_t count);

enum fetch_on_error /* wal.fetch.on_error */
{
    FETCH_ON_ERROR_AUTO,
    FETCH_ON_ERROR_STOP, /* 254 on a standby too */
    FETCH_ON_ERROR_RETRY /* keep trying: never 1 or 254 for what could not be told */
};
enum fetch_on_error fetch_on_error_of(const char *text); /* checked by the settings; NULL: auto */

enum fetch_answer
{
    FETCH_ANSWER_DELIVERED = 0,
    FETCH_ANSWER_ABSENT = 1,
    FETCH_ANSWER_STOP = 254,
    FETCH_ANSWER_AGAIN = 1000 /* no exit status: ask again, past the deadline */
};

/*
 * local_copy: the server holds a good copy (fetch_situation_local_copy).  It is used by the server
 * for 1..125 only, so a proven hole becomes 1; what could not be told does not, since the
 * archive's file comes first.
 *
 * Finishing never answers above 125.  A history that is proven absent with no trace of its
 * timeline is answered 1; one that others speak of is asked for again, as is what could not be
 * told: without it the new timeline's history would lose its ancestors.
 *
 * A person, pg_rewind or Patroni never waits past the deadline, whatever on_error says.
 */
enum fetch_answer fetch_answer_of(enum fetch_caller caller, enum fetch_on_error on_error,
                                  enum fetch_outcome outcome, bool local_copy);

/* The statuses above as a table, for --help and for what fails before there is an answer. */
extern const struct exit_table fetch_exits;

/* 00000001.history cannot exist: 1 in every state, without asking anyone (trap 1). */
bool fetch_answer_known(const char *name);

#endif
