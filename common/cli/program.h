/*
 * program.h - what every program does alike: options, configuration, log, progress, exit status.
 *
 * A program is a description (name, one line, usage lines, option table, exit table) and a run
 * function.  program_main() does the rest: protects the process (no core dump), parses the common
 * and own options, answers --help and --version, becomes the owner of the data directory when
 * started as root, loads the configuration, calls run, prints the one error sentence with its hint
 * on stderr, and turns the status into the exit status by the program's table.
 *
 * Common options: --config FILE (or $CPAM_CONFIG), --repo NAME, --json, --log-level LEVEL,
 * --version, --help.
 */
#ifndef CPAM_CLI_PROGRAM_H
#define CPAM_CLI_PROGRAM_H

#include <stdio.h>

#include "cli/option.h"
#include "cli/settings.h"

#define CPAM_CONFIG_DEFAULT "/etc/cpam/backup-config.yaml"

/*
 * From status to exit status; every status that is not listed maps to `otherwise`.  The row of
 * CPAM_STATUS_COUNT is the answer "done, but something needs a person" (cli->attention).  Rows
 * without a meaning are not shown: another row tells their code.
 */
struct exit_row
{
    enum cpam_status status;
    int code;
    const char *meaning; /* for --help and the manual page, or NULL */
};

struct exit_table
{
    const struct exit_row *rows;
    size_t count;
    int otherwise;
    const char *otherwise_meaning;
};

extern const struct exit_table exit_common; /* 0 done, 1 failed, 2 usage, 3 needs a person */
extern const struct exit_table exit_wal_push;

struct cli
{
    struct io *io;
    const struct program *program;
    struct settings *settings; /* NULL for a program that needs none */
    void *options;             /* the program's own options struct */
    int argc;                  /* what is left: arguments that are no options */
    char **argv;
    const char *config_path; /* absolute: as it would be written into a restore_command */
    const char *repo;        /* --repo, or NULL */
    const char *log_level;   /* --log-level, or NULL */
    bool json;
    char user[64];     /* whom a program started as root became; "" if it did not */
    bool attention;    /* set by run: done, but something needs a person (exit 3) */
    bool threads_left; /* set by run: threads are still at work, so nothing runs at exit */
    int exit_code;     /* set by run to override the table (cpam-wal-fetch); -1: by table */
};

struct program
{
    const char *name;         /* "cpam-wal-push" */
    const char *summary;      /* one line */
    const char *const *usage; /* lines behind "usage: ", NULL-terminated */
    const char *details;      /* a paragraph or more for --help and manual, or NULL */
    struct option_table options;
    size_t options_size; /* of the struct, zeroed before defaults */
    void (*defaults)(void *options);
    const struct exit_table *exits;
    bool needs_settings;
    bool acts_as_owner;               /* root becomes the owner of the data directory */
    int min_arguments, max_arguments; /* max -1: any number */
    enum cpam_status (*run)(struct cli *cli, struct cpam_err *err);
};

/*
 * Root becomes the owner of data_dir for good (cli/owner.h); anybody else stays who they are.
 * program_main() does it for a program that acts_as_owner.
 */
enum cpam_status program_become_owner(struct cli *cli, const char *data_dir,
                                      struct cpam_err *err) CPAM_CHECK;

int program_main(const struct program *program, int argc, char **argv);

/* Exit status of a status by a table: the one function of its kind. */
int exit_code_of(const struct exit_table *table, enum cpam_status status);

#endif
