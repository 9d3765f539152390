/*
 * repo.c - cpam-repo: make a repository, prove that it protects this database, claim a copy, resolve
 * a conflict.
 *
 * It loads the configuration itself: "claim" needs none, and "create" has to do some of its work as
 * root, before it becomes the owner of the data directory.
 */
#include <stddef.h>
#include <string.h>

#include "repo_parts.h"

bool
repo_is_meant(const struct cli *cli, const struct repository_settings *repository)
{
    return cli->repo == NULL || strcmp(cli->repo, repository->name) == 0;
}

static enum cpam_status
load(struct cli *cli, struct cpam_err *err)
{
    const struct repository_settings *repository;

    CPAM_TRY(settings_load(cli->io, cli->config_path, &cli->settings, err));
    if (cli->repo != NULL)
        CPAM_TRY(settings_repository(cli->settings, cli->repo, &repository, err));
    return CPAM_OK;
}

/* What needs the configuration, and is done as the owner of the data directory. */
static enum cpam_status
begin(struct cli *cli, struct cpam_err *err)
{
    CPAM_TRY(load(cli, err));
    return program_become_owner(cli, cli->settings->postgresql.data, err);
}

static const struct option_def option_rows[] = {
    {.name = "keep",
     .type = OPTION_CHOICE,
     .value = "SIDE",
     .offset = offsetof(struct repo_options, keep),
     .choices = "archived|local",
     .help = "resolve: whose content keeps the name (archived, local)"},
    {.name = "file",
     .type = OPTION_TEXT,
     .value = "PATH",
     .offset = offsetof(struct repo_options, file),
     .help = "resolve: the local side, if not NAME in pg_wal"},
    {.name = "reason",
     .type = OPTION_TEXT,
     .value = "TEXT",
     .offset = offsetof(struct repo_options, reason),
     .help = "resolve: why, for the record in quarantine"},
    {.name = "yes",
     .type = OPTION_FLAG,
     .offset = offsetof(struct repo_options, yes),
     .help = "resolve: do it, rather than show what would be done"},
};

static enum cpam_status
check_options(const struct cli *cli, struct cpam_err *err)
{
    const struct repo_options *options = cli->options;

    if (options->keep == NULL && options->file == NULL && options->reason == NULL && !options->yes)
        return CPAM_OK;
    return cpam_fail(err, CPAM_USAGE, 0,
                     "--keep, --file, --reason and --yes are only for \"resolve\"");
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    const char *what = cli->argv[0];

    if (strcmp(what, "resolve") == 0 && cli->argc == 2)
    {
        CPAM_TRY(begin(cli, err));
        return repo_resolve_run(cli, cli->argv[1], err);
    }
    CPAM_TRY(check_options(cli, err));
    if (strcmp(what, "quarantine") == 0 && cli->argc == 1)
    {
        CPAM_TRY(begin(cli, err));
        return repo_quarantine_run(cli, err);
    }
    if (strcmp(what, "claim") == 0 && cli->argc == 2)
        return repo_claim_run(cli, cli->argv[1], err);
    if (strcmp(what, "create") == 0 && cli->argc == 1)
    {
        CPAM_TRY(load(cli, err));
        return repo_create_run(cli, err);
    }
    if (strcmp(what, "check") == 0 && cli->argc == 1)
    {
        CPAM_TRY(begin(cli, err));
        return repo_check_run(cli, err);
    }
    cpam_fail(err, CPAM_USAGE, 0, "\"%.40s\" with %d more arguments is not something to do", what,
              cli->argc - 1);
    cpam_err_hint(err, "it is \"create\", \"check\", \"claim DATADIR\", \"resolve NAME\" or "
                       "\"quarantine\"");
    return CPAM_USAGE;
}

int
main(int argc, char **argv)
{
    static const char *const usage[] = {
        "cpam-repo [options] create",
        "cpam-repo [options] check",
        "cpam-repo claim DATADIR",
        "cpam-repo [options] resolve NAME [--keep archived|local] [--yes]",
        "cpam-repo [options] quarantine",
        NULL};
    static const struct program program = {
        .name = "cpam-repo",
        .summary = "make and check a repository, claim a copy, resolve a conflict",
        .usage = usage,
        .details =
            "create makes the configured repositories, and the keyfile where it and the repository "
            "are both absent; it prints a copy of the key to keep.\n\ncheck looks at configuration, "
            "keys, store and server, has one WAL segment archived, and says in one line whether "
            "this database is protected.\n\nclaim lets a restored copy archive: until then its "
            "archive_command refuses, and the server keeps its WAL.\n\nresolve shows both contents "
            "that claim the name of a segment or history. With --keep and --yes the other one goes "
            "into quarantine: nothing is deleted. quarantine lists what lies there.",
        .options = {option_rows, sizeof(option_rows) / sizeof(option_rows[0])},
        .options_size = sizeof(struct repo_options),
        .exits = &exit_common,
        .needs_settings = false,
        .min_arguments = 1,
        .max_arguments = 2,
        .run = run,
    };

    return program_main(&program, argc, argv);
}
