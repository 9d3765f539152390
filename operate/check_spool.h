/*
 * check_spool.h - for cpam-repo check: can the worker and those who ask it meet in the spool?
 *
 * Without it nothing is lost: each file is pushed and fetched in the foreground, slowly.
 */
#ifndef CPAM_OPERATE_CHECK_SPOOL_H
#define CPAM_OPERATE_CHECK_SPOOL_H

#include "base/json.h"
#include "pg/control.h"
#include "repo_parts.h"

struct checked_spool
{
    struct cpam_err problem; /* status CPAM_OK: none */
    bool worker;             /* one serves this data directory */
};

/* For a server that has just had a segment archived: then its worker lives. */
void check_spool(const struct cli *cli, const char *data, const struct control *control,
                 struct checked_spool *out);
/* A line on stdout if there is something to say. */
void check_spool_print(const struct checked_spool *spool);
void check_spool_json(struct json_writer *json, const struct checked_spool *spool);

#endif
