/*
 * push_policy.c - counting repositories.
 */
#include "push_policy.h"

enum cpam_status
push_policy_of(const struct settings *settings, struct push_policy *out, struct cpam_err *err)
{
    *out = (struct push_policy){.needed = settings->wal.push_needed};
    for (size_t i = 0; i < settings->repository_count; i++)
        out->required += settings->repositories[i].required;
    if (out->required == 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "no repository in \"%s\" is required: a push would promise nothing",
                         settings->file);
    if (out->needed == 0 || out->needed > out->required)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "wal.push.acknowledge in \"%s\" asks for %zu of %zu required repositories",
                         settings->file, out->needed, out->required);
    return CPAM_OK;
}

enum push_verdict
push_policy_verdict(const struct push_policy *policy, size_t done, size_t failed, bool wrong)
{
    if (wrong || failed > policy->required - policy->needed)
        return PUSH_FAILED;
    return done >= policy->needed ? PUSH_DURABLE : PUSH_WAIT;
}
