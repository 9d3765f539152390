/*
 * push_policy.h - when is a file safe enough to tell PostgreSQL so?  Pure.
 *
 * wal.push.acknowledge counts required repositories: all of them, any (one), or a number.  Optional
 * ones are pushed to as well and never decide.  A repository that is not waited for gets the file
 * from its backlog (backlog.h), which is written before the answer.
 */
#ifndef CPAM_ARCHIVE_PUSH_POLICY_H
#define CPAM_ARCHIVE_PUSH_POLICY_H

#include "cli/settings.h"

struct push_policy
{
    size_t required; /* repositories with required: true */
    size_t needed;   /* of them, before 0 is answered; 1..required */
};

/* CPAM_USAGE: no repository is required, or more are asked for than there are. */
enum cpam_status push_policy_of(const struct settings *settings, struct push_policy *out,
                                struct cpam_err *err) CPAM_CHECK;

enum push_verdict
{
    PUSH_WAIT,    /* some are still at work, and they decide */
    PUSH_DURABLE, /* enough have it: answer 0 once the others' backlog is written */
    PUSH_FAILED   /* too many have failed */
};

/*
 * A conflict (CPAM_EXISTS), a foreign or an invalid file in any required repository is PUSH_FAILED
 * whatever the others say: what is wrong with the file is wrong everywhere, and a person has to see
 * it.  done and failed count required repositories.
 */
enum push_verdict push_policy_verdict(const struct push_policy *policy, size_t done, size_t failed,
                                      bool wrong);

#endif
