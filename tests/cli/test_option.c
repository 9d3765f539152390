/*
 * test_option.c - the command line: what is taken, what is refused and with which words.
 */
#include "suite.h"

#include <stddef.h>

#include "cli/option.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))
#define ARGS_MAX        24

struct wanted
{
    bool verbose, dry;
    const char *name, *level;
    uint64_t workers, size;
    int64_t timeout;
    struct option_list maps;
};

struct other
{
    const char *config;
};

static const struct option_def rows[] = {
    {"verbose", 'v', OPTION_FLAG, NULL, offsetof(struct wanted, verbose), .help = "say more"},
    {"dry-run", 'n', OPTION_FLAG, NULL, offsetof(struct wanted, dry), .help = "change nothing"},
    {"name", 'm', OPTION_TEXT, "NAME", offsetof(struct wanted, name), .help = "a name"},
    {"level", 0, OPTION_CHOICE, "LEVEL", offsetof(struct wanted, level), .choices = "low|high",
     .help = "how much"},
    {"workers", 0, OPTION_COUNT, "N", offsetof(struct wanted, workers), 1, 64, .help = "how many"},
    {"size", 0, OPTION_SIZE, "SIZE", offsetof(struct wanted, size), 1024, 1 << 20, .help = "size"},
    {"timeout", 0, OPTION_DURATION, "TIME", offsetof(struct wanted, timeout), 1000000, 3600000000,
     .help = "how long"},
    {"map", 0, OPTION_LIST, "OLD=NEW", offsetof(struct wanted, maps), .help = "moves"},
};
static const struct option_def other_rows[] = {
    {"config", 0, OPTION_TEXT, "FILE", offsetof(struct other, config), .help = "a file"},
    {"secret-switch", 0, OPTION_FLAG, NULL, offsetof(struct other, config), .help = NULL},
};
static const struct option_table tables[] = {{rows, COUNT_OF(rows)},
                                             {other_rows, COUNT_OF(other_rows)}};

struct command
{
    char *argv[ARGS_MAX];
    int argc, first;
    struct wanted wanted;
    struct other other;
};

/* args are parted by one blank; "_" stands for an empty one */
static enum cpam_status
parse(struct command *command, char *args, struct cpam_err *err)
{
    static char program[] = "program", empty[] = "";
    void *const into[] = {&command->wanted, &command->other};

    memset(command, 0, sizeof(*command));
    command->argv[command->argc++] = program;
    for (char *arg = strtok(args, " "); arg != NULL; arg = strtok(NULL, " "))
        command->argv[command->argc++] = strcmp(arg, "_") == 0 ? empty : arg;
    return options_parse(tables, 2, command->argc, command->argv, into, &command->first, err);
}

START_TEST(every_kind_is_read)
{
    char args[] = "--verbose -n --name=x --level high --workers 64 --size=4KiB --timeout 2s "
                  "--map a=b --map=c=d";
    struct cpam_err err;
    struct command command;

    char more[200];
    strcpy(more, args);
    ck_ok(parse(&command, more, &err), &err);
    ck_assert(command.wanted.verbose && command.wanted.dry);
    ck_assert_str_eq(command.wanted.name, "x");
    ck_assert_str_eq(command.wanted.level, "high");
    ck_assert_uint_eq(command.wanted.workers, 64);
    ck_assert_uint_eq(command.wanted.size, 4096);
    ck_assert_int_eq(command.wanted.timeout, 2000000);
    ck_assert_uint_eq(command.wanted.maps.count, 2);
    ck_assert_str_eq(command.wanted.maps.items[1], "c=d");
    ck_assert_int_eq(command.first, command.argc);
}
END_TEST

static const struct
{
    const char *args, *left; /* arguments that are no options, each followed by a blank */
    bool verbose, dry;
    const char *name, *config;
} mixed[] = {
    {"", "", false, false, NULL, NULL},
    {"a b", "a b ", false, false, NULL, NULL},
    {"a -v b --name x c --config f", "a b c ", true, false, "x", "f"},
    {"-vn a", "a ", true, true, NULL, NULL},
    {"-vmx a", "a ", true, false, "x", NULL},
    {"-m x -v", "", true, false, "x", NULL},
    {"a -- -v --name", "a -v --name ", false, false, NULL, NULL},
    {"-v -- -n", "-n ", true, false, NULL, NULL},
    {"- -v", "- ", true, false, NULL, NULL},
    {"--name --verbose", "", false, false, "--verbose", NULL},
    {"--name=--", "", false, false, "--", NULL},
    {"_ -v", " ", true, false, NULL, NULL},
};

START_TEST(options_and_arguments_may_be_mixed)
{
    struct cpam_err err;
    struct command command;
    char args[200], left[200] = "";

    strcpy(args, mixed[_i].args);
    ck_ok(parse(&command, args, &err), &err);
    for (int i = command.first; i < command.argc; i++)
    {
        strcat(left, command.argv[i]);
        strcat(left, " ");
    }
    ck_assert_str_eq(left, mixed[_i].left);
    ck_assert_int_eq(command.wanted.verbose, mixed[_i].verbose);
    ck_assert_int_eq(command.wanted.dry, mixed[_i].dry);
    ck_assert_pstr_eq(command.wanted.name, mixed[_i].name);
    ck_assert_pstr_eq(command.other.config, mixed[_i].config);
}
END_TEST

static const struct
{
    const char *args, *why;
} refused[] = {
    {"--verbos", "unknown option \"--verbos\"; did you mean \"--verbose\"?"},
    {"--confg x", "did you mean \"--config\"?"},
    {"--verb", "unknown option \"--verb\""},
    {"--bananas", "unknown option \"--bananas\""},
    {"--secret-swich", "unknown option \"--secret-swich\""},
    {"-x", "unknown option \"-x\""},
    {"-vx", "unknown option \"-x\""},
    {"--verbose=yes", "option --verbose takes no value"},
    {"--verbose -v", "option --verbose: was given twice"},
    {"--name a --name b", "option --name: was given twice"},
    {"--name", "option --name needs a value: --name NAME"},
    {"-m", "option --name needs a value"},
    {"--name=", "option --name: needs a value that is not empty"},
    {"--name _", "option --name: needs a value that is not empty"},
    {"--map _", "option --map: needs a value that is not empty"},
    {"--level hihg", "option --level: \"hihg\" is none of low|high"},
    {"--level lo", "is none of low|high"},
    {"--workers 0", "option --workers: 0 is less than 1"},
    {"--workers 65", "65 is more than the allowed 64"},
    {"--workers -1", "\"-1\" is not a number"},
    {"--workers two", "\"two\" is not a number"},
    {"--size 1", "1 is less than 1 KiB"},
    {"--size 2MiB", "2MiB is more than the allowed 1 MiB"},
    {"--timeout 10", "\"10\" is not a duration"},
    {"--timeout 5ms", "5ms is less than 1 s"},
    {"--timeout 2h", "2h is more than the allowed 1 h"},
    {"--=x", "unknown option \"--\""},
};

START_TEST(command_line_is_refused)
{
    struct cpam_err err;
    struct command command;
    char args[200];

    strcpy(args, refused[_i].args);
    ck_fails(parse(&command, args, &err), CPAM_USAGE, refused[_i].why, &err);
}
END_TEST

START_TEST(hidden_option_is_never_proposed)
{
    struct cpam_err err;
    struct command command;
    char args[] = "--secret-swich";

    ck_assert_int_eq(parse(&command, args, &err), CPAM_USAGE);
    ck_assert_ptr_null(strstr(err.text, "did you mean"));
}
END_TEST

START_TEST(list_has_an_end)
{
    static char map[] = "--map=a";
    char *argv[66];
    struct cpam_err err;
    struct command command = {0};
    void *const into[] = {&command.wanted, &command.other};

    for (int i = 0; i < 66; i++)
        argv[i] = map;
    ck_fails(options_parse(tables, 2, 66, argv, into, &command.first, &err), CPAM_USAGE,
             "was given more than 64 times", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("cli/option");
    TCase *tcase = tcase_create("option");

    tcase_add_test(tcase, every_kind_is_read);
    tcase_add_loop_test(tcase, options_and_arguments_may_be_mixed, 0, COUNT_OF(mixed));
    tcase_add_loop_test(tcase, command_line_is_refused, 0, COUNT_OF(refused));
    tcase_add_test(tcase, hidden_option_is_never_proposed);
    tcase_add_test(tcase, list_has_an_end);
    suite_add_tcase(suite, tcase);
    return suite;
}
