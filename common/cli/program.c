/*
 * program.c - from main() to the exit status.
 *
 * The order matters: the process is protected before a secret can be in it, root is given up before
 * anything but the configuration is opened, and the one error sentence is printed here and nowhere
 * else.
 */
#include "cli/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/help.h"
#include "cli/owner.h"
#include "crypto/secret.h"
#include "io/file.h"

struct common
{
    const char *config, *repo, *log_level, *manual;
    bool json, version, help;
};

#define AT(member) offsetof(struct common, member)

static const struct option_def common_rows[] = {
    {"config", 0, OPTION_TEXT, "FILE", AT(config),
     .help = "the configuration; default " CPAM_CONFIG_DEFAULT},
    {"repo", 0, OPTION_TEXT, "NAME", AT(repo),
     .help = "only this one of the configured repositories"},
    {"json", 0, OPTION_FLAG, NULL, AT(json), .help = "the result on stdout as JSON"},
    {"log-level", 0, OPTION_CHOICE, "LEVEL", AT(log_level), .choices = "error|warning|info|debug",
     .help = "error, warning, info or debug; default info"},
    {"version", 'V', OPTION_FLAG, NULL, AT(version), .help = "print the version and exit"},
    {"help", 'h', OPTION_FLAG, NULL, AT(help), .help = "print this help and exit"},
    /* for the build: the manual page, with the prose of FILE */
    {"help-manual", 0, OPTION_TEXT, "FILE", AT(manual), .help = NULL},
};

const struct option_table common_options = {common_rows,
                                            sizeof(common_rows) / sizeof(common_rows[0])};

static const struct exit_row common_exit_rows[] = {
    {CPAM_OK, 0, "done"},
    {CPAM_INTERNAL, 1, "failed"},
    {CPAM_USAGE, 2, "wrong option or configuration"},
    {CPAM_STATUS_COUNT, 3, "done, but something needs a person"},
};

const struct exit_table exit_common = {
    common_exit_rows, sizeof(common_exit_rows) / sizeof(common_exit_rows[0]), 1, "failed"};

/* PostgreSQL reads it: above 125 the archiver itself would stop, so nothing here is. */
static const struct exit_row wal_push_exit_rows[] = {
    {CPAM_OK, 0, "the file is safe in every required repository"},
    {CPAM_INTERNAL, 1, "not safe yet; PostgreSQL keeps the file and calls again"},
    {CPAM_USAGE, 2, "wrong option or configuration"},
    {CPAM_EXISTS, 4, "the name is taken by other content"},
    {CPAM_INVALID, 5, "not a WAL file of this cluster, or its header does not fit its name"},
    {CPAM_FOREIGN, 5, NULL},
    {CPAM_UNCLAIMED, 6, "a restored copy that nobody has claimed yet (cpam-repo claim)"},
};

const struct exit_table exit_wal_push = {
    wal_push_exit_rows, sizeof(wal_push_exit_rows) / sizeof(wal_push_exit_rows[0]), 1,
    "not safe yet; PostgreSQL keeps the file and calls again"};

int
exit_code_of(const struct exit_table *table, enum cpam_status status)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].status == status)
            return table->rows[i].code;
    return status == CPAM_OK ? 0 : table->otherwise;
}

/* A program whose stderr is closed must not write its messages into the file it opens next. */
static bool
open_standard_streams(struct io *io)
{
    struct stat found;

    for (int fd = 0; fd < 3; fd++)
        if (io->ops->fstat(io, fd, &found) != 0 && errno == EBADF &&
            io->ops->open(io, AT_FDCWD, "/dev/null", O_RDWR, 0) != fd)
            return false;
    return true;
}

static enum cpam_status
write_stdout(struct cpam_buf *text, struct cpam_err *err)
{
    if (fwrite(text->data, 1, text->size, stdout) != text->size || fflush(stdout) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not write to stdout");
    return CPAM_OK;
}

static enum cpam_status
print_manual(struct cli *cli, const char *prose_file, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf prose = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf page = {0};

    enum cpam_status status = file_read_all(cli->io, prose_file, HELP_MAX, &prose, err);
    if (status != CPAM_OK && status != CPAM_NOT_FOUND)
        return status;
    const char *text = cpam_buf_text(&prose);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    CPAM_TRY(manual_page(cli->program, text, &page, err));
    return write_stdout(&page, err);
}

static enum cpam_status
print_help(struct cli *cli, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    CPAM_TRY(help_text(cli->program, &text, err));
    return write_stdout(&text, err);
}

static enum cpam_status
print_version(struct cli *cli, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    CPAM_TRY(cpam_buf_printf(&text, HELP_MAX, err, "%s %s\n", cli->program->name, CPAM_VERSION));
    return write_stdout(&text, err);
}

static enum cpam_status
check_arguments(const struct cli *cli, struct cpam_err *err)
{
    const struct program *program = cli->program;

    if (cli->argc < program->min_arguments)
    {
        cpam_fail(err, CPAM_USAGE, 0, "%s",
                  cli->argc == 0 ? "an argument is missing" : "too few arguments");
        cpam_err_hint(err, "usage: %s; \"%s --help\" tells more", program->usage[0], program->name);
        return CPAM_USAGE;
    }
    if (program->max_arguments >= 0 && cli->argc > program->max_arguments)
        return cpam_fail(err, CPAM_USAGE, 0, "unexpected argument \"%.200s\"",
                         cli->argv[program->max_arguments]);
    return CPAM_OK;
}

/* The path as another process, with another working directory, would have to be told. */
static enum cpam_status
find_config(struct cli *cli, const char *option, char **owned, struct cpam_err *err)
{
    const char *path = option != NULL ? option : getenv("CPAM_CONFIG");
    char here[PATH_MAX];

    if (path == NULL || path[0] == '\0')
        path = CPAM_CONFIG_DEFAULT;
    cli->config_path = path;
    if (path[0] == '/')
        return CPAM_OK;
    if (getcwd(here, sizeof(here)) == NULL)
        return cpam_fail(err, CPAM_IO, errno, "could not tell the working directory");
    if (asprintf(owned, "%s/%s", here, path) < 0)
    {
        *owned = NULL;
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    }
    cli->config_path = *owned;
    return CPAM_OK;
}

enum cpam_status
program_become_owner(struct cli *cli, const char *data_dir, struct cpam_err *err)
{
    struct owner owner;

    if (!owner_is_root())
        return CPAM_OK;
    CPAM_TRY(owner_of(cli->io, data_dir, &owner, err));
    CPAM_TRY(owner_become(&owner, err));
    snprintf(cli->user, sizeof(cli->user), "%s", owner.name);
    secrets_protect_process(); /* a change of user makes the process dumpable again */
    cpam_log(LOG_DEBUG, "acting as user \"%s\"", owner.name);
    return CPAM_OK;
}

static enum cpam_status
prepare(struct cli *cli, struct cpam_err *err)
{
    const struct repository_settings *repository;

    if (!cli->program->needs_settings)
        return CPAM_OK;
    CPAM_TRY(settings_load(cli->io, cli->config_path, &cli->settings, err));
    if (cli->repo != NULL)
        CPAM_TRY(settings_repository(cli->settings, cli->repo, &repository, err));
    if (!cli->program->acts_as_owner)
        return CPAM_OK;
    return program_become_owner(cli, cli->settings->postgresql.data, err);
}

static enum log_level
level_of(const char *name)
{
    switch (name == NULL ? 'i' : name[0])
    {
    case 'e': return LOG_ERROR;
    case 'w': return LOG_WARNING;
    case 'd': return LOG_DEBUG;
    default: return LOG_INFO;
    }
}

/* Everything behind the command line; --help and --version are answered before anything else. */
static enum cpam_status
run(struct cli *cli, const struct common *common, struct cpam_err *err)
{
    CPAM_AUTO(free) char *owned_path = NULL;

    log_start(cli->program->name, level_of(common->log_level));
    if (common->help)
        return print_help(cli, err);
    if (common->version)
        return print_version(cli, err);
    if (common->manual != NULL)
        return print_manual(cli, common->manual, err);
    cli->repo = common->repo;
    cli->log_level = common->log_level;
    cli->json = common->json;
    enum cpam_status status = check_arguments(cli, err);
    if (status != CPAM_OK)
    {
        cpam_err_hint(err, "\"%s --help\" shows how it is called", cli->program->name);
        return status;
    }
    CPAM_TRY(find_config(cli, common->config, &owned_path, err));
    status = prepare(cli, err);
    if (status == CPAM_OK)
        status = cli->program->run(cli, err);
    cli->config_path = NULL;
    return status;
}

/* A program that a hint names is to read the configuration this one has read. */
static void
name_config(const struct common *common, struct cpam_err *err)
{
    static const char *const readers[] = {"cpam-repo ", "cpam-info", "cpam-base-"};
    CPAM_AUTO(free) char *hint = NULL;

    if (common->config == NULL || strstr(err->hint, "--help") != NULL)
        return;
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]) && hint == NULL; i++)
        if (strstr(err->hint, readers[i]) != NULL)
            hint = strdup(err->hint);
    if (hint != NULL)
        cpam_err_hint(err, "%s (with --config %s, as here)", hint, common->config);
}

static enum cpam_status
parse_and_run(struct cli *cli, int argc, char **argv, struct cpam_err *err)
{
    const struct option_table tables[] = {cli->program->options, common_options};
    struct common common = {0};
    int first;

    if (cli->program->options_size != 0)
    {
        cli->options = calloc(1, cli->program->options_size);
        if (cli->options == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    }
    if (cli->program->defaults != NULL)
        cli->program->defaults(cli->options);
    void *const into[] = {cli->options, &common};
    enum cpam_status status = options_parse(tables, 2, argc, argv, into, &first, err);
    if (status != CPAM_OK)
    {
        if (err->hint[0] == '\0')
            cpam_err_hint(err, "\"%s --help\" lists the options", cli->program->name);
        return status;
    }
    cli->argc = argc - first;
    cli->argv = argv + first;
    status = run(cli, &common, err);
    if (status != CPAM_OK)
        name_config(&common, err);
    return status;
}

static int
exit_code(const struct cli *cli, enum cpam_status status)
{
    const struct exit_table *exits = cli->program->exits;

    if (cli->exit_code >= 0)
        return cli->exit_code;
    if (status == CPAM_OK && cli->attention)
        return exit_code_of(exits, CPAM_STATUS_COUNT);
    return exit_code_of(exits, status);
}

int
program_main(const struct program *program, int argc, char **argv)
{
    struct cli cli = {.io = io_posix(), .program = program, .exit_code = -1};
    struct cpam_err err;

    secrets_protect_process();
    if (!open_standard_streams(cli.io))
        return program->exits->otherwise;
    signal(SIGPIPE, SIG_IGN); /* a closed connection is an error of write(2), not the end */
    log_start(program->name, LOG_INFO);

    enum cpam_status status = parse_and_run(&cli, argc, argv, &err);
    if (status == CPAM_OK && fflush(stdout) != 0)
        status = cpam_fail(&err, CPAM_IO, errno, "could not write to stdout");
    if (status != CPAM_OK)
        log_failure(&err);
    settings_free(cli.settings);
    free(cli.options);
    /* exit(3) would take OpenSSL down under threads that use it, and a crash is above 125 to
       PostgreSQL.  All that was said is out: stderr has no buffer, and stdout was flushed. */
    if (cli.threads_left)
        _exit(exit_code(&cli, status));
    return exit_code(&cli, status);
}
