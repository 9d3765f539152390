/*
 * test_program_main.c - a program from its command line to its exit status: what it is told, what it
 * says on stdout and stderr, and what it refuses before it starts.
 */
#include "suite.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/program.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))

static char dir[64];
static char out[16384], said[4096]; /* stdout, stderr */
static char config_seen[512];
static bool ran;
static char own_name[] = "cpam-test", unknown[] = "--nosuch";

struct own
{
    bool fail, attend, override;
    const char *word;
};

static void
own_defaults(void *options)
{
    ((struct own *) options)->word = "by default";
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    const struct own *own = cli->options;

    ran = true;
    snprintf(config_seen, sizeof(config_seen), "%s", cli->config_path);
    printf("word: %s; repo: %s; json: %d; arguments: %d\n", own->word,
           cli->repo == NULL ? "none" : cli->repo, cli->json, cli->argc);
    cpam_log(LOG_DEBUG, "a debug line");
    cpam_log(LOG_INFO, "an info line");
    cpam_log(LOG_WARNING, "a warning line");
    cli->attention = own->attend;
    if (own->override)
        cli->exit_code = 7;
    if (!own->fail)
        return CPAM_OK;
    cpam_fail(err, CPAM_NOT_FOUND, 0, "the thing is not there");
    cpam_err_hint(err, strcmp(own->word, "repo") == 0 ? "make it with: cpam-repo create"
                                                      : "look elsewhere");
    return CPAM_NOT_FOUND;
}

#define AT(member) offsetof(struct own, member)
static const struct option_def rows[] = {
    {"fail", 0, OPTION_FLAG, NULL, AT(fail), .help = "fail"},
    {"attend", 0, OPTION_FLAG, NULL, AT(attend), .help = "need a person"},
    {"override", 0, OPTION_FLAG, NULL, AT(override), .help = "an exit status of one's own"},
    {"word", 0, OPTION_TEXT, "WORD", AT(word), .help = "say it"},
};
static const char *const usage[] = {"cpam-test [OPTION...] DIR", NULL};
static const struct program plain = {
    .name = "cpam-test",
    .summary = "test what every program does alike",
    .usage = usage,
    .options = {rows, COUNT_OF(rows)},
    .options_size = sizeof(struct own),
    .defaults = own_defaults,
    .exits = &exit_common,
    .min_arguments = 1,
    .max_arguments = 2,
    .run = run,
};

static void
slurp(const char *name, char *into, size_t size)
{
    FILE *file = fopen(name, "r");

    ck_assert_ptr_nonnull(file);
    into[fread(into, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* Runs it with stdout and stderr in files; the exit status. */
static int
start(const struct program *program, const char *line, const char *into)
{
    static char copy[512];
    char *argv[12] = {own_name};
    int argc = 1;

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    ck_assert_ptr_nonnull(freopen(into, "w", stdout));
    ck_assert_ptr_nonnull(freopen("said", "w", stderr));
    ran = false;
    int code = program_main(program, argc, argv);
    fflush(stdout);
    slurp("said", said, sizeof(said));
    if (strcmp(into, "out") == 0)
        slurp("out", out, sizeof(out));
    return code;
}

static void
make_place(void)
{
    snprintf(dir, sizeof(dir), "/tmp/cpam-program.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
    unsetenv("CPAM_CONFIG");
    unsetenv("JOURNAL_STREAM");
}

static void
remove_place(void)
{
    char command[128];

    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static const struct
{
    const char *line;
    int code;
    bool runs;
    const char *out, *said;
} calls[] = {
    {"a", 0, true, "word: by default; repo: none; json: 0; arguments: 1\n",
     "cpam-test: an info line\ncpam-test: warning: a warning line\n"},
    {"--word=x --repo main --json a b", 0, true, "word: x; repo: main; json: 1; arguments: 2\n",
     ""},
    {"--log-level debug a", 0, true, "", "cpam-test: debug: a debug line\n"},
    {"--log-level=warning a", 0, true, "", "cpam-test: warning: a warning line\n"},
    {"--fail a", 1, true, "",
     "cpam-test: error: the thing is not there\ncpam-test: hint: look elsewhere\n"},
    {"--attend a", 3, true, "", ""},
    {"--fail --word repo a", 1, true, "", "cpam-test: hint: make it with: cpam-repo create\n"},
    {"--fail --word repo --config /e/c.yaml a", 1, true, "",
     "cpam-test: hint: make it with: cpam-repo create (with --config /e/c.yaml, as here)\n"},
    {"--fail --config /e/c.yaml a", 1, true, "", "cpam-test: hint: look elsewhere\n"},
    {"--fail --attend a", 1, true, "", "the thing is not there"},
    {"--override --fail a", 7, true, "", "the thing is not there"},
    {"", 2, false, "",
     "error: an argument is missing\ncpam-test: hint: \"cpam-test --help\" shows"},
    {"a b c", 2, false, "", "unexpected argument \"c\""},
    {"--wrod=x a", 2, false, "", "--wrod"},
    {"--log-level loud a", 2, false, "", "loud"},
    {"--log-level", 2, false, "", "--log-level"},
    {"--version", 0, false, "cpam-test " CPAM_VERSION "\n", ""},
    {"--help a b c", 0, false, "Usage: cpam-test [OPTION...] DIR\n", ""},
    {"--help-manual absent", 0, false, ".SH EXIT STATUS\n", ""},
    {"--help-manual .", 1, false, "", "Is a directory"},
};

START_TEST(a_call_is_answered)
{
    ck_assert_int_eq(start(&plain, calls[_i].line, "out"), calls[_i].code);
    ck_assert_int_eq(ran, calls[_i].runs);
    ck_assert_msg(strstr(out, calls[_i].out) != NULL, "stdout: %s", out);
    ck_assert_msg(strstr(said, calls[_i].said) != NULL, "stderr: %s", said);
    if (calls[_i].runs)
        ck_assert_int_eq(strstr(said, "an info line") == NULL,
                         strstr(calls[_i].line, "warning") != NULL);
}
END_TEST

static const struct
{
    const char *line, *environment, *seen; /* seen: behind the working directory if not "/..." */
} configs[] = {
    {"a", NULL, CPAM_CONFIG_DEFAULT},
    {"a", "", CPAM_CONFIG_DEFAULT},
    {"a", "/x/config", "/x/config"},
    {"a", "config", "config"},
    {"--config=/y/config a", "/x/config", "/y/config"},
    {"--config ./y a", "/x/config", "./y"},
};

START_TEST(the_configuration_has_an_absolute_path)
{
    char wanted[128];

    if (configs[_i].environment != NULL)
        setenv("CPAM_CONFIG", configs[_i].environment, 1);
    ck_assert_int_eq(start(&plain, configs[_i].line, "out"), 0);
    snprintf(wanted, sizeof(wanted), "%s%s%s", configs[_i].seen[0] == '/' ? "" : dir,
             configs[_i].seen[0] == '/' ? "" : "/", configs[_i].seen);
    ck_assert_str_eq(config_seen, wanted);
}
END_TEST

START_TEST(a_program_that_needs_its_configuration_does_not_start_without)
{
    struct program needy = plain;
    char line[512];

    needy.needs_settings = true;
    ck_assert_int_ne(start(&needy, "--config=absent.yaml a", "out"), 0);
    ck_assert(!ran);
    snprintf(line, sizeof(line), "%s/absent.yaml", dir);
    ck_assert_msg(strstr(said, line) != NULL, "stderr: %s", said);

    const char *sample = "/pgconf-samples/backup-config.yaml";
    snprintf(line, sizeof(line), "--config=%s%s --repo nosuch a", getenv("CPAM_SOURCE_ROOT"),
             sample);
    ck_assert_int_eq(start(&needy, line, "out"), 2);
    ck_assert(!ran);
    ck_assert_msg(strstr(said, "\"nosuch\"") != NULL, "stderr: %s", said);
    snprintf(line, sizeof(line), "--config=%s%s a", getenv("CPAM_SOURCE_ROOT"), sample);
    ck_assert_int_eq(start(&needy, line, "out"), 0);
    ck_assert(ran);
}
END_TEST

START_TEST(an_answer_that_cannot_be_written_is_a_failure)
{
    static const char *const lines[] = {"--version", "--help", "a"};

    ck_assert_int_eq(start(&plain, lines[_i], "/dev/full"), 1);
    ck_assert_msg(strstr(said, "could not write to stdout") != NULL, "stderr: %s", said);
}
END_TEST

START_TEST(closed_standard_streams_are_nobodys_file)
{
    struct stat found, null;

    ck_assert_int_eq(stat("/dev/null", &null), 0);
    fclose(stdin);
    close(STDIN_FILENO);
    ck_assert_int_eq(start(&plain, "a", "out"), 0);
    for (int fd = 0; fd < 3; fd++)
        ck_assert_int_eq(fstat(fd, &found), 0);
    close(STDIN_FILENO);
    close(STDERR_FILENO);
    char *argv[] = {own_name, unknown};
    ck_assert_int_eq(program_main(&plain, 2, argv), 2); /* and its sentence goes nowhere */
    ck_assert_int_eq(fstat(STDERR_FILENO, &found), 0);
    ck_assert_uint_eq(found.st_rdev, null.st_rdev);
    ck_assert_int_eq(fstat(STDIN_FILENO, &found), 0);
    ck_assert_uint_eq(found.st_rdev, null.st_rdev);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("cli/program_main");
    TCase *tcase = tcase_create("main");

    tcase_add_checked_fixture(tcase, make_place, remove_place);
    tcase_add_loop_test(tcase, a_call_is_answered, 0, COUNT_OF(calls));
    tcase_add_loop_test(tcase, the_configuration_has_an_absolute_path, 0, COUNT_OF(configs));
    tcase_add_test(tcase, a_program_that_needs_its_configuration_does_not_start_without);
    tcase_add_loop_test(tcase, an_answer_that_cannot_be_written_is_a_failure, 0, 3);
    tcase_add_test(tcase, closed_standard_streams_are_nobodys_file);
    suite_add_tcase(suite, tcase);
    return suite;
}
