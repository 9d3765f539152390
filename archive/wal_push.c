/*
 * wal_push.c - cpam-wal-push: what archive_command calls for each file.
 *
 * PostgreSQL takes an exit status of 0 as "this file may go": so it is given only when every
 * required repository has confirmed it.  Everything else keeps the file and has the server call
 * again; nothing here ends above 125, which would stop the archiver itself.
 */
#include "base/log.h"
#include "cli/program.h"
#include "push_direct.h"

struct wal_push_options
{
    bool unclaimed;
};

static const struct option_def rows[] = {
    {"unclaimed", 0, OPTION_FLAG, .offset = offsetof(struct wal_push_options, unclaimed),
     .help = "refuse: this is a restored copy nobody has claimed"},
};

static const char *const usage[] = {"cpam-wal-push [options] %p",
                                    "archive_command = 'cpam-wal-push %p'", NULL};

/* postgresql.md, trap 7: a clone keeps its WAL and archives nothing into the original's place. */
static enum cpam_status
refuse_unclaimed(const char *path, struct cpam_err *err)
{
    cpam_fail(err, CPAM_UNCLAIMED, 0,
              "\"%s\" is not archived: this is a restored copy that nobody has claimed", path);
    cpam_err_hint(err, "\"cpam-repo claim DATADIR\" makes it the one that archives here; nothing "
                       "is lost until then, the server keeps its WAL");
    return CPAM_UNCLAIMED;
}

/* --repo can't make a promise smaller than the one archive_command relies on. */
static enum cpam_status
check_repo(const struct settings *settings, const char *name, struct cpam_err *err)
{
    const struct repository_settings *which;

    if (name == NULL)
        return CPAM_OK;
    CPAM_TRY(settings_repository(settings, name, &which, err));
    for (size_t i = 0; i < settings->repository_count; i++)
        if (settings->repositories[i].required != (&settings->repositories[i] == which))
            return cpam_fail(err, CPAM_USAGE, 0,
                             "--repo %s: a file is pushed to every required repository, or the "
                             "server would drop it too early",
                             name);
    return CPAM_OK;
}

/* What threads that were left behind still use stays theirs. */
struct held
{
    struct settings *settings;
    struct push_item *item;
};

static enum cpam_status
push_held(struct cli *cli, struct held *held, bool *abandoned, struct cpam_err *err)
{
    CPAM_TRY(settings_load(cli->io, cli->config_path, &held->settings, err));
    CPAM_TRY(check_repo(held->settings, cli->repo, err));
    CPAM_TRY(program_become_owner(cli, held->settings->postgresql.data, err));

    struct push_request request = {
        .io = cli->io,
        .settings = held->settings,
        .deadline = deadline_after(cli->io, held->settings->wal.push_timeout),
    };
    CPAM_TRY(
        push_item_read(cli->io, cli->argv[0], held->settings->postgresql.data, &held->item, err));
    request.item = held->item;
    enum cpam_status status = push_direct(&request, err);
    *abandoned = request.abandoned;
    return status;
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    const struct wal_push_options *options = cli->options;
    struct held held = {0};
    bool abandoned = false;

    if (options->unclaimed)
        return refuse_unclaimed(cli->argv[0], err);
    enum cpam_status status = push_held(cli, &held, &abandoned, err);
    if (!abandoned)
    {
        push_item_free(held.item);
        settings_free(held.settings);
    }
    cli->threads_left = abandoned;
    return status;
}

int
main(int argc, char **argv)
{
    static const struct program program = {
        .name = "cpam-wal-push",
        .summary = "archive one WAL, history, backup or partial file",
        .usage = usage,
        .details = "PostgreSQL calls it through archive_command and keeps the file until the exit "
                   "status is 0, which says that every required repository holds it durably. The "
                   "same file pushed again is a success; another content under an archived name is "
                   "refused and nothing is overwritten.",
        .options = {rows, sizeof(rows) / sizeof(rows[0])},
        .options_size = sizeof(struct wal_push_options),
        .exits = &exit_wal_push,
        /* it loads them itself: --unclaimed answers without, and a push that was given up leaves
           threads that still read them */
        .needs_settings = false,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run,
    };

    return program_main(&program, argc, argv);
}
