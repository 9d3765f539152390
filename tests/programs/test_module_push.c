/*
 * test_module_push.c - what the archive module does between two looks at the server's latch.
 */
#include "suite.h"

#include <signal.h>
#include <sys/wait.h>

#include "fetch_folder.h"
#include "module_push.h"
#include "push_question.h"

#define SEGMENT "000000010000000000000005"

static const char config_text[] = "cluster: demo\n"
                                  "postgresql: { data: /nonexistent }\n"
                                  "repositories: [ { name: primary, url: file:///nonexistent } ]\n"
                                  "encryption: none\n"
                                  "wal: { spool: /nonexistent, push: { mode: ";

static char config[128], program[128];

/* A data directory as working directory, a configuration, and a shell script for a worker. */
static void
begin(const char *mode, const char *script)
{
    char text[1024];

    folder_make(CONTROL_IN_PRODUCTION);
    folder_text("pg_wal/" SEGMENT, "x");
    snprintf(text, sizeof(text), "%s%s, timeout: 1s } }\n", config_text, mode);
    folder_text("cpam.yaml", text);
    snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
    folder_text("worker", text);
    ck_assert_int_eq(chmod("worker", 0755), 0);
    snprintf(config, sizeof(config), "%s/cpam.yaml", folder_path);
    snprintf(program, sizeof(program), "%s/worker", folder_path);
}

static struct module_push *
start(void)
{
    struct module_push_spec spec = {
        .config = config, .program = program, .path = "pg_wal/" SEGMENT};
    struct module_push *push;
    struct cpam_err err;

    ck_assert_msg(module_push_new(io_posix(), &spec, &push, &err) == CPAM_OK, "%s", err.text);
    return push;
}

static enum cpam_status
finish(struct module_push *push, struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;

    for (bool done = false; status == CPAM_OK && !done;)
    {
        status = module_push_step(push, &done, err);
        io_posix()->ops->sleep(io_posix(), 1000);
    }
    return status;
}

static const struct
{
    const char *mode, *script;
    enum cpam_status status;
    const char *says;
} children[] = {
    {"direct", "exit 0", CPAM_OK, NULL},
    {"direct", "[ \"$1 $2 $3 $4\" = \"--config $PWD/cpam.yaml --push pg_wal/" SEGMENT "\" ]",
     CPAM_OK, NULL},
    /* no descriptor of the server's, no signal that it ignores or blocks */
    {"direct", "ls /proc/$$/fd >seen; ! grep -q '^7$' seen", CPAM_OK, NULL},
    {"direct", "kill -PIPE $$; exit 0", CPAM_REFUSED, "died by signal 13"},
    {"direct", "exit 1", CPAM_REFUSED, "worker --push\" ended with 1"},
    {"direct", "exit 4", CPAM_REFUSED, "\"pg_wal/" SEGMENT "\" is not archived"},
    {"direct", "kill -9 $$", CPAM_REFUSED, "died by signal 9"},
    {"direct", "exec sleep 1000", CPAM_DEADLINE, "the time for it is over"},
    /* no spool: no worker can be had */
    {"worker", "exit 0", CPAM_OK, NULL},
    {"worker", "exit 5", CPAM_REFUSED, "ended with 5"},
};

START_TEST(P15_without_a_worker_its_program_decides)
{
    struct cpam_err err;

    begin(children[_i].mode, children[_i].script);
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(dup2(STDERR_FILENO, 7), 7);
    struct module_push *push = start();
    ck_assert_int_eq(module_push_fd(push), -1);
    enum cpam_status status = finish(push, &err);
    ck_assert_msg(status == children[_i].status, "%s: %d %s", children[_i].script, (int) status,
                  status == CPAM_OK ? "" : err.text);
    if (status != CPAM_OK)
    {
        ck_assert_ptr_nonnull(strstr(err.text, children[_i].says));
        ck_assert_str_ne(err.hint, "");
    }
    module_push_free(push);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    folder_remove();
}
END_TEST

START_TEST(P15_what_is_taken_away_leaves_no_child)
{
    struct cpam_err err;
    bool done;

    begin("direct", "exec sleep 1000");
    struct module_push *push = start();
    ck_assert_int_eq(module_push_step(push, &done, &err), CPAM_OK);
    ck_assert(!done);
    module_push_free(push);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    module_push_free(NULL);
    folder_remove();
}
END_TEST

START_TEST(P15_what_can_not_archive_is_found_before)
{
    struct cpam_err err;

    begin("worker", "exit 0");
    ck_assert_int_eq(module_push_check(io_posix(), config, program, &err), CPAM_OK);
    ck_assert_int_eq(chmod("worker", 0644), 0);
    ck_assert_int_eq(module_push_check(io_posix(), config, program, &err), CPAM_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "is not a program"));
    ck_assert_int_eq(module_push_check(io_posix(), config, "/nonexistent", &err), CPAM_USAGE);
    ck_assert_ptr_nonnull(strstr(err.hint, "cpam_archive.bindir"));
    ck_assert_int_ne(module_push_check(io_posix(), "/nonexistent", program, &err), CPAM_OK);
    ck_assert_ptr_nonnull(strstr(err.hint, "cpam_archive.config"));
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent"));
    folder_text("cpam.yaml", "cluster: demo\n");
    ck_assert_int_eq(module_push_check(io_posix(), config, program, &err), CPAM_USAGE);
    folder_remove();
}
END_TEST

static const struct
{
    const char *mode, *path; /* ~: the data directory */
    enum cpam_status status;
} questions[] = {
    {"worker", "pg_wal/" SEGMENT, CPAM_OK},
    {"worker", "./pg_wal/" SEGMENT, CPAM_OK},
    {"worker", "pg_wal//" SEGMENT, CPAM_OK},
    {"worker", "~/pg_wal/" SEGMENT, CPAM_OK},
    {"worker", "~//pg_wal/" SEGMENT, CPAM_OK},
    {"direct", "pg_wal/" SEGMENT, CPAM_REFUSED},
    {"worker", SEGMENT, CPAM_REFUSED},
    {"worker", "/" SEGMENT, CPAM_REFUSED},
    {"worker", "~/other/" SEGMENT, CPAM_REFUSED},
    {"worker", "~/not_pg_wal/" SEGMENT, CPAM_REFUSED},
    {"worker", "pg_wal/000000010000000000000006", CPAM_NOT_FOUND},
    {"worker", "pg_wal/postgresql.conf", CPAM_INVALID},
    {"worker", "pg_wal/", CPAM_INVALID},
    {"worker", "", CPAM_INVALID},
};

START_TEST(P9_trap15_the_question_says_where_the_file_is)
{
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    CPAM_AUTO(push_question_free) struct push_question *question = NULL;
    char path[256], real[PATH_MAX];
    struct cpam_err err;
    struct stat here;

    begin(questions[_i].mode, "exit 0");
    bool below = questions[_i].path[0] == '~';

    snprintf(path, sizeof(path), "%s%s", below ? folder_path : "", questions[_i].path + below);
    ck_assert_int_eq(settings_load(io_posix(), config, &settings, &err), CPAM_OK);
    enum cpam_status status =
        push_question_new(io_posix(), settings, config, program, path, &question, &err);
    ck_assert_msg(status == questions[_i].status, "%s: %d", path, (int) status);
    if (status == CPAM_OK)
    {
        const struct handoff_question *ask = push_question_ask(question);

        ck_assert_ptr_nonnull(realpath(ask->data, real));
        ck_assert_str_eq(real, folder_path);
        ck_assert_str_eq(ask->name, SEGMENT);
        ck_assert_str_eq(ask->cluster, "demo");
        ck_assert_int_eq(ask->role, HANDOFF_PUSH);
        ck_assert_int_eq(stat("pg_wal/" SEGMENT, &here), 0);
        ck_assert_uint_eq(ask->stamp.inode, here.st_ino);
        ck_assert_uint_eq(ask->stamp.size, 1);
    }
    folder_remove();
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/module_push");
    TCase *tcase = tcase_create("module_push");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, P15_without_a_worker_its_program_decides, 0,
                        (int) (sizeof(children) / sizeof(children[0])));
    tcase_add_test(tcase, P15_what_is_taken_away_leaves_no_child);
    tcase_add_test(tcase, P15_what_can_not_archive_is_found_before);
    tcase_add_loop_test(tcase, P9_trap15_the_question_says_where_the_file_is, 0,
                        (int) (sizeof(questions) / sizeof(questions[0])));
    suite_add_tcase(suite, tcase);
    return suite;
}
