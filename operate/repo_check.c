/*
 * repo_check.c - cpam-repo check: is this database protected?
 */
#include "repo_parts.h"

enum cpam_status
repo_check_run(struct cli *cli, struct cpam_err *err)
{
    (void) cli;
    return cpam_fail(err, CPAM_INTERNAL, 0, "not yet");
}
