/*
 * test_control_file.c - what is a data directory, and is a postmaster really its postmaster.
 */
#include "suite.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scope.h"
#include "cli/control_file.h"
#include "cli/owner.h"
#include "io/file.h"

static char dir[64];

static void
make_dir(void)
{
    strcpy(dir, "/tmp/cpam-control-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
remove_dir(void)
{
    static const char *const files[] = {"postmaster.pid", "global/pg_control", "global", ""};
    char path[200];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
    {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        remove(path);
    }
}

static void
write_file(const char *name, const char *text, size_t size)
{
    struct cpam_err err;
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    ck_ok(file_write_all(io_posix(), path, 0600, text, size, &err), &err);
}

static void
write_pid(long pid)
{
    char text[400];

    snprintf(text, sizeof(text), "%ld\n%s\n1795448408\n5432\n/tmp\n\n\n", pid, dir);
    write_file("postmaster.pid", text, strlen(text));
}

START_TEST(folder_without_pg_control_is_no_data_directory)
{
    static char zeros[CONTROL_FILE_SIZE];
    struct cpam_err err;
    struct control control;
    char path[200];

    ck_fails(control_file_read(io_posix(), dir, &control, &err), CPAM_USAGE,
             "is not a data directory: it has no global/pg_control", &err);
    ck_fails(control_file_read(io_posix(), "/nonexistent", &control, &err), CPAM_USAGE,
             "is not a data directory", &err);
    ck_fails(control_file_read(io_posix(), "/etc/passwd", &control, &err), CPAM_USAGE,
             "is not a data directory", &err);
    snprintf(path, sizeof(path), "%s/global", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    write_file("global/pg_control", zeros, sizeof(zeros));
    ck_assert_int_ne(control_file_read(io_posix(), dir, &control, &err), CPAM_OK);
    ck_assert_ptr_nonnull(strstr(err.text, "global/pg_control"));
}
END_TEST

START_TEST(no_pid_file_is_no_server)
{
    struct cpam_err err;
    struct postmaster_pid found;
    bool running = true;

    ck_ok(postmaster_find(io_posix(), dir, &running, &found, &err), &err);
    ck_assert(!running);
    write_file("postmaster.pid", "nonsense\n", 9);
    ck_assert_int_ne(postmaster_find(io_posix(), dir, &running, &found, &err), CPAM_OK);
    ck_assert_ptr_nonnull(strstr(err.text, "postmaster.pid"));
}
END_TEST

/* A process is the postmaster when it works in the data directory: another one of that number, or
   a dead one, is not. */
START_TEST(process_of_that_number_must_work_in_the_directory)
{
    struct cpam_err err;
    struct postmaster_pid found;
    bool running = true;
    int gate[2];

    write_pid((long) getpid()); /* works elsewhere */
    ck_ok(postmaster_find(io_posix(), dir, &running, &found, &err), &err);
    ck_assert(!running);

    ck_assert_int_eq(pipe(gate), 0);
    pid_t child = fork();
    if (child == 0)
    {
        if (chdir(dir) != 0 || write(gate[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    char byte;
    ck_assert_int_eq(read(gate[0], &byte, 1), 1);
    write_pid((long) child);
    ck_ok(postmaster_find(io_posix(), dir, &running, &found, &err), &err);
    ck_assert(running);
    ck_assert_int_eq(found.pid, child);

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_ok(postmaster_find(io_posix(), dir, &running, &found, &err), &err);
    ck_assert(!running);
}
END_TEST

static void
conninfo_is(const char *given, const char *expected)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    struct cpam_err err;

    ck_ok(postmaster_conninfo(io_posix(), dir, given, &out, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&out), expected);
}

START_TEST(connection_leads_to_the_server_of_the_directory)
{
    static const char *const variables[] = {"PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE"};
    char wanted[200], here[PATH_MAX];

    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    conninfo_is("dbname=postgres", "dbname=postgres"); /* no server runs there */
    write_pid((long) getpid());
    conninfo_is("dbname=postgres", "dbname=postgres"); /* left over: this process is elsewhere */
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    ck_assert_int_eq(chdir(dir), 0);
    conninfo_is("dbname=postgres", "host='/tmp' port=5432 dbname=postgres");
    conninfo_is(NULL, "host='/tmp' port=5432 ");
    conninfo_is("port=5433", "port=5433");
    conninfo_is("host=/elsewhere dbname=x", "host=/elsewhere dbname=x");
    conninfo_is("service=mine", "service=mine");
    conninfo_is("postgresql:///postgres", "postgresql:///postgres");
    setenv("PGPORT", "5499", 1);
    conninfo_is("dbname=postgres", "dbname=postgres");
    unsetenv("PGPORT");
    /* a path that would have to be quoted is left to the person */
    snprintf(wanted, sizeof(wanted), "%ld\n%s\n1795448408\n5432\n/tmp/a'b\n\n\n", (long) getpid(),
             dir);
    write_file("postmaster.pid", wanted, strlen(wanted));
    conninfo_is("dbname=postgres", "port=5432 dbname=postgres");
    ck_assert_int_eq(chdir(here), 0);
}
END_TEST

START_TEST(owner_of_a_directory_is_found)
{
    struct cpam_err err;
    struct owner owner;
    char absent[200];

    if (geteuid() != 0)
        return; /* a folder of another user takes root to make */
    ck_fails(owner_of(io_posix(), dir, &owner, &err), CPAM_USAGE, "belongs to root", &err);
    ck_assert_int_eq(chown(dir, 65534, 65534), 0); /* nobody */
    ck_ok(owner_of(io_posix(), dir, &owner, &err), &err);
    ck_assert_str_eq(owner.name, "nobody");
    ck_assert_uint_eq(owner.uid, 65534);
    snprintf(absent, sizeof(absent), "%s/destroyed/main", dir);
    ck_ok(owner_of(io_posix(), absent, &owner, &err), &err);
    ck_assert_str_eq(owner.name, "nobody");
    ck_assert_int_eq(chown(dir, 54321, 54321), 0);
    ck_fails(owner_of(io_posix(), dir, &owner, &err), CPAM_USAGE, "has no entry in the user", &err);
    ck_assert_int_eq(chown(dir, 0, 0), 0);
    ck_ok(owner_of_folder(io_posix(), dir, &owner, &err), &err);
    ck_assert_uint_eq(owner.uid, 0);
}
END_TEST

START_TEST(root_is_given_up_for_good)
{
    struct cpam_err err;
    const struct owner nobody = {.uid = 65534, .gid = 65534, .name = "nobody"};

    if (geteuid() != 0)
        return; /* there is nothing to give up */
    setenv("HOME", "/root", 1);
    ck_ok(owner_enter(&nobody, &err), &err);
    ck_assert_uint_eq(geteuid(), 65534);
    /* ~/.aws and ~/.pgpass of root could not be read */
    ck_assert_str_eq(getenv("HOME"), "/nonexistent");
    ck_assert_str_eq(getenv("USER"), "nobody");
    ck_ok(owner_leave(&err), &err);
    ck_assert_uint_eq(geteuid(), 0);
    ck_ok(owner_become(&nobody, &err), &err);
    ck_assert_uint_eq(getuid(), 65534);
    ck_assert_uint_eq(getgid(), 65534);
    ck_assert_int_ne(seteuid(0), 0);
    ck_ok(owner_leave(&err), &err); /* does nothing any more */
    ck_assert_uint_eq(geteuid(), 65534);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("cli/control_file");
    TCase *tcase = tcase_create("control_file");

    tcase_add_checked_fixture(tcase, make_dir, remove_dir);
    tcase_add_test(tcase, folder_without_pg_control_is_no_data_directory);
    tcase_add_test(tcase, no_pid_file_is_no_server);
    tcase_add_test(tcase, process_of_that_number_must_work_in_the_directory);
    tcase_add_test(tcase, connection_leads_to_the_server_of_the_directory);
    tcase_add_test(tcase, owner_of_a_directory_is_found);
    suite_add_tcase(suite, tcase);
    TCase *root = tcase_create("root");
    tcase_add_test(root, root_is_given_up_for_good);
    suite_add_tcase(suite, root);
    return suite;
}
