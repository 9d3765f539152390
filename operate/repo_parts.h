/*
 * repo_parts.h - the things cpam-repo does.
 */
#ifndef CPAM_OPERATE_REPO_PARTS_H
#define CPAM_OPERATE_REPO_PARTS_H

#include "cli/control_file.h"
#include "cli/program.h"
#include "cli/repository.h"

enum cpam_status repo_create_run(struct cli *cli, struct cpam_err *err) CPAM_CHECK;
enum cpam_status repo_check_run(struct cli *cli, struct cpam_err *err) CPAM_CHECK;
enum cpam_status repo_claim_run(struct cli *cli, const char *data_dir,
                                struct cpam_err *err) CPAM_CHECK;

/* Of "resolve" alone. */
struct repo_options
{
    const char *keep; /* "archived", "local", or NULL */
    const char *file; /* NULL: pg_wal/NAME of the data directory */
    const char *reason;
    bool yes;
};
/* name: of the file two contents claim. */
enum cpam_status repo_resolve_run(struct cli *cli, const char *name,
                                  struct cpam_err *err) CPAM_CHECK;
enum cpam_status repo_quarantine_run(struct cli *cli, struct cpam_err *err) CPAM_CHECK;

/* True for the repositories the command is about: all, or the one of --repo. */
bool repo_is_meant(const struct cli *cli, const struct repository_settings *repository);

#endif
