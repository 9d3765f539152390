/*
 * check_backlog.h - for cpam-repo check: which repositories are behind, and by how much.
 */
#ifndef CPAM_OPERATE_CHECK_BACKLOG_H
#define CPAM_OPERATE_CHECK_BACKLOG_H

#include "backlog.h"
#include "base/json.h"
#include "repo_parts.h"

struct checked_backlog
{
    const struct repository_settings *which;
    struct backlog_size size;
};

/* Of the repositories the command is about: those for which files wait on this host. */
struct checked_backlogs
{
    struct checked_backlog items[SETTINGS_REPOSITORIES_MAX];
    size_t count;
};
enum cpam_status check_backlogs_read(const struct cli *cli, uint64_t sysid,
                                     struct checked_backlogs *out, struct cpam_err *err) CPAM_CHECK;

/* A line for each on stdout: "repository "b" is behind: 12 files wait for it (192 MiB) on this host,
   the oldest for 3 min, ... first". */
enum cpam_status check_backlogs_print(const struct cli *cli,
                                      const struct checked_backlogs *backlogs,
                                      struct cpam_err *err) CPAM_CHECK;
void check_backlogs_json(struct json_writer *json, const struct checked_backlogs *backlogs);

#endif
