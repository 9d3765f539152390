/*
 * scripted_server.h - a PostgreSQL server that answers by a script: the protocol on a Unix socket, in
 * a thread, so that a session through libpq can meet what a real server does only on bad days.
 *
 * A statement is answered by the first answer whose `sql` it starts with, and with "SET" when there is
 * none.  One ordinary session at a time, and one for replication beside it, whose commands are answered by
 * ANSWER_STREAM, step by step; cancel requests come in beside both.
 */
#ifndef CPAM_TESTS_SCRIPTED_SERVER_H
#define CPAM_TESTS_SCRIPTED_SERVER_H

#include <stdatomic.h>
#include <stddef.h>

enum
{
    SERVER_PID = 4711, /* what a session is told */
    SERVER_SECRET = 815
};

enum answer_kind
{
    ANSWER_ROWS,
    ANSWER_REFUSED, /* an error, and the session lives on */
    ANSWER_FATAL,   /* an error, and the session ends */
    ANSWER_HANG_UP,
    ANSWER_UNTIL_CANCELLED,
    ANSWER_NEVER_DONE, /* the rows come, but the statement does not end until it is cancelled */
    ANSWER_STREAM      /* of a replication command: what steps say */
};

enum step_kind
{
    STEP_ROWS,
    STEP_COPY_OUT,
    STEP_DATA, /* one message of a COPY */
    STEP_COPY_DONE,
    STEP_ERROR,   /* and the command is over */
    STEP_FATAL,   /* and the session is */
    STEP_HANG_UP, /* without a word */
    STEP_SILENCE  /* nothing more, and the session stays */
};

struct step
{
    enum step_kind kind;
    size_t rows, columns;      /* STEP_ROWS */
    const char *const *values; /* NULL: SQL's null */
    const void *data;          /* STEP_DATA; the message of an error, a text */
    size_t size;
};

struct answer
{
    const char *sql;
    enum answer_kind kind;
    size_t rows, columns;
    const char *const *values; /* NULL: each value is "x"; a NULL value is SQL's null */
    const char *message, *hint;
    const char *notice; /* said before the answer */
    const struct step *steps;
    size_t step_count;
};

struct scripted_server
{
    const struct answer *answers;
    size_t count;
    const char *refuse; /* with this message, at the start of a session */
    int mute;           /* a session is taken, and nothing said */
    /* filled in by the server */
    char dir[64], conninfo[256];
    char startup[1024]; /* the names and values of the last session, blank-separated */
    char statements[8192];
    atomic_int cancels, parameters;
    int listener, stop[2];
    unsigned long thread;
};

void scripted_server_start(struct scripted_server *server);
void scripted_server_stop(struct scripted_server *server);

#endif
