/*
 * base_options.h - the command line of cpam-base-fetch, and the target it names.
 */
#ifndef CPAM_RESTORE_BASE_OPTIONS_H
#define CPAM_RESTORE_BASE_OPTIONS_H

#include "cli/option.h"
#include "repo/target.h"

struct base_options
{
    bool latest, immediate, exclusive, standby, recover, accept_end, dry_run, delta;
    const char *backup, *pitr, *lsn, *xid, *name, *timeline, *action, *as_of, *map_all;
    const char *config_files; /* where to; then nothing else is restored */
    struct option_list tablespace_map, databases;
};

extern const struct option_table base_option_table;

/*
 * The target out of the options.  CPAM_USAGE when none is given (all are listed), when two are, or
 * when one does not go with another option.  *action: the given or the stated default: pause at a
 * target, promote for --latest and --recover.
 */
enum cpam_status base_options_target(const struct base_options *options, struct target *target,
                                     const char **action, struct cpam_err *err) CPAM_CHECK;

/* With --config-files there is neither a directory nor a target, but --latest or a --backup; without,
   there is one directory. */
enum cpam_status base_options_arguments(const struct base_options *options, int argc,
                                        struct cpam_err *err) CPAM_CHECK;

#endif
