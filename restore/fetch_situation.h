/*
 * fetch_situation.h - who is asking for a file of the archive, and in which state.
 *
 * PostgreSQL reads the answer of restore_command differently in each of its states, and in one of
 * them an answer above 125 makes it open read-write on the old timeline (postgresql.md, trap 1).
 * The state shows in the data directory: the destination's base name, the signal files,
 * postmaster.pid, and the state in pg_control.
 */
#ifndef CPAM_RESTORE_FETCH_SITUATION_H
#define CPAM_RESTORE_FETCH_SITUATION_H

#include "base/scope.h"
#include "io/io.h"
#include "pg/control.h"
#include "pg/segment.h"

enum fetch_caller
{
    FETCH_CALLER_RECOVERY,  /* the server, recovery.signal */
    FETCH_CALLER_STANDBY,   /* the server, standby.signal (which wins over recovery.signal) */
    FETCH_CALLER_FINISHING, /* the server, both gone: it has chosen its new timeline */
    FETCH_CALLER_PERSON     /* a person, pg_rewind, Patroni: any other name for the destination */
};

/* What can be seen from outside. */
struct fetch_signs
{
    bool server_name; /* the destination is RECOVERYXLOG or RECOVERYHISTORY */
    bool standby_signal, recovery_signal, postmaster;
    bool untold;        /* whether a signal file or postmaster.pid is there could not be seen */
    bool control_known; /* pg_control could be read */
    enum control_state state;
};

/*
 * Finishing is: the server's name for the destination, a postmaster.pid, no signal file, and
 * pg_control still "in archive recovery", or unreadable (waiting does no harm, 254 would; so it is for
 * signs that could not be seen).  In every other state a server without signal files never calls
 * restore_command: a person tries it by hand.
 */
enum fetch_caller fetch_caller_of(const struct fetch_signs *signs);
const char *fetch_caller_name(enum fetch_caller caller);

/* One run of a server: lines 1 and 3 of postmaster.pid. */
struct fetch_server
{
    bool told; /* false: postmaster.pid could not be read */
    bool present;
    char pid[24], started[24];
};

struct fetch_situation
{
    enum fetch_caller caller;
    struct archive_name name;
    char *destination; /* %p as given */
    char *directory;   /* its directory */
    char *local_copy;  /* directory/<name>: what the server uses if the answer is 1..125 */
    char *data;        /* data directory of the destination, NULL if there is none */
    bool has_control;
    struct control control;
    struct fetch_server server; /* at the start of this program */
};

/* CPAM_INVALID when name is no name of the archive.  Everything else is seen or not seen. */
enum cpam_status fetch_situation_read(struct io *io, const char *name, const char *destination,
                                      struct fetch_situation **out,
                                      struct cpam_err *err) CPAM_CHECK;
void fetch_situation_free(struct fetch_situation *situation);
CPAM_SCOPED(fetch_situation_free, struct fetch_situation);

/*
 * Is the server that called still the one that runs, and does it?  An orphan of an earlier run must
 * not wait for ever for an archive nobody asks any more.  A file that can't be read just now says
 * nothing: the server is not gone then.  False for a person.
 */
bool fetch_situation_gone(struct io *io, const struct fetch_situation *situation);

/*
 * Right before a file gets its name: CPAM_CANCELLED when the server is gone, whose next run may be
 * waiting for that name (trap 14), CPAM_IO when that can't be told.  Always CPAM_OK for a person.
 */
enum cpam_status fetch_situation_check(struct io *io, const struct fetch_situation *situation,
                                       struct cpam_err *err) CPAM_CHECK;

/*
 * Does the server hold a good copy of the file beside the destination (trap 3)?  A segment: size,
 * page address and system identifier fit.  A history: it parses.
 */
bool fetch_situation_local_copy(struct io *io, const struct fetch_situation *situation);

#endif
