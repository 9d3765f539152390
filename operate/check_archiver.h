/*
 * check_archiver.h - for cpam-repo check: does the server's archiver get through?
 *
 * That a segment lies in a repository does not say so: a worker archives ahead of the archiver, which may
 * hang at an earlier file, or call what is not there.  The server keeps "<file>.ready" until its
 * archive_command or archive_library has said that the file is archived (pgarch.c): that is believed.
 */
#ifndef CPAM_OPERATE_CHECK_ARCHIVER_H
#define CPAM_OPERATE_CHECK_ARCHIVER_H

#include "check_server.h"

struct checked_archiver
{
    struct checked_server *server;
    uint64_t failures; /* before the segment was closed */
    bool failing;      /* then already: it may be resting before its next try */
    int64_t ask_again; /* monotonic us */
};

/* As the archiver is before it is asked for anything. */
enum cpam_status check_archiver_begin(struct checked_server *server, struct checked_archiver *out,
                                      struct cpam_err *err) CPAM_CHECK;

/* How long it may take to get through to a file that is waited for, where one try takes `try` us. */
int64_t check_archiver_patience(const struct checked_archiver *archiver, int64_t try);

/*
 * The archiver tries three times in a row and rests for a minute then: after so many failures nothing comes
 * soon, and a person has better things to do than to wait.
 */
bool check_archiver_gave_up(struct checked_archiver *archiver);

/* *out: the server no longer keeps this file for its archiver. */
enum cpam_status check_archiver_through(const struct checked_archiver *archiver, const char *name,
                                        bool *out, struct cpam_err *err) CPAM_CHECK;

/* Puts what is known of a failure into the hint of err: what the archiver says of it, the file it has to
   archive next, and what it archives with. */
void check_archiver_tell(const struct checked_archiver *archiver, struct cpam_err *err);

#endif
