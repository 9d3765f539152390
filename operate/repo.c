/*
 * repo.c - cpam-repo: make a repository, prove that it protects this database, claim a copy.
 *
 * It loads the configuration itself: "claim" needs none, and "create" has to do some of its work as
 * root, before it becomes the owner of the data directory.
 */
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

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    const char *what = cli->argv[0];

    if (strcmp(what, "claim") == 0 && cli->argc == 2)
        return repo_claim_run(cli, cli->argv[1], err);
    if (strcmp(what, "create") == 0 && cli->argc == 1)
    {
        CPAM_TRY(load(cli, err));
        return repo_create_run(cli, err);
    }
    if (strcmp(what, "check") == 0 && cli->argc == 1)
    {
        CPAM_TRY(load(cli, err));
        CPAM_TRY(program_become_owner(cli, cli->settings->postgresql.data, err));
        return repo_check_run(cli, err);
    }
    cpam_fail(err, CPAM_USAGE, 0, "\"%.40s\" with %d more arguments is not something to do", what,
              cli->argc - 1);
    cpam_err_hint(err, "it is \"create\", \"check\" or \"claim DATADIR\"");
    return CPAM_USAGE;
}

int
main(int argc, char **argv)
{
    static const char *const usage[] = {"cpam-repo [options] create", "cpam-repo [options] check",
                                        "cpam-repo claim DATADIR", NULL};
    static const struct program program = {
        .name = "cpam-repo",
        .summary = "make a repository, check that it protects the database, claim a copy",
        .usage = usage,
        .details =
            "create makes the configured repositories, and the keyfile where it and the repository "
            "are both absent; it prints a copy of the key to keep.\n\ncheck looks at configuration, "
            "keys, store and server, has one WAL segment archived, and says in one line whether "
            "this database is protected.\n\nclaim lets a restored copy archive: until then its "
            "archive_command refuses, and the server keeps its WAL.",
        .exits = &exit_common,
        .needs_settings = false,
        .min_arguments = 1,
        .max_arguments = 2,
        .run = run,
    };

    return program_main(&program, argc, argv);
}
