/*
 * info.c - cpam-info: what is in the repositories, and what a person should look at.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/as_of.h"
#include "info_report.h"

struct options
{
    const char *as_of;
};

static const struct option_def rows[] = {AS_OF_OPTION(offsetof(struct options, as_of))};

/* A report of nothing but failures is a failure: with the first one's sentence. */
static enum cpam_status
check_any_readable(const struct info_report *report, struct cpam_err *err)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->repositories[i].readable)
            return CPAM_OK;
    *err = report->repositories[0].err;
    return err->status;
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    CPAM_AUTO(info_report_free) struct info_report *report = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};

    const struct options *options = cli->options;
    CPAM_TRY(as_of_set(cli->io, options->as_of, cli->settings, err));
    CPAM_TRY(info_gather(cli->io, cli->settings, cli->repo, &report, err));
    CPAM_TRY(info_judge(report, err));
    if (cli->json)
        CPAM_TRY(info_json(report, &out, err));
    else
        CPAM_TRY(info_text(report, &out, err));
    if (fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not write to stdout");
    for (size_t i = 0; i < report->count; i++)
        cli->attention = cli->attention || report->repositories[i].finding_count != 0;
    return check_any_readable(report, err);
}

int
main(int argc, char **argv)
{
    static const char *const usage[] = {"cpam-info [options]", NULL};
    static const struct program program = {
        .name = "cpam-info",
        .summary = "show backups and WAL of each repository, and what needs a person",
        .usage = usage,
        .details = "Exit status 3 says that a line begins with LOOK: a hole in the WAL, a backup "
                   "whose WAL is not all there, a missing or forged summary, a newest backup that "
                   "is too old, a repository that can't be read.",
        .options = {rows, sizeof(rows) / sizeof(rows[0])},
        .options_size = sizeof(struct options),
        .exits = &exit_common,
        .needs_settings = true,
        .acts_as_owner = true,
        .max_arguments = 0,
        .run = run,
    };

    return program_main(&program, argc, argv);
}
