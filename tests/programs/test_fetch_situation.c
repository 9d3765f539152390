/*
 * test_fetch_situation.c - who is asking: all signs by table, then real folders.
 */
#include "suite.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "fetch_folder.h"
#include "fetch_situation.h"
#include "io/io.h"

#define SEGMENT "000000010000000000000005"

/* Every combination of the signs: 2^6 x 7 states, against the sentences of product.md. */
START_TEST(F1_every_combination_of_signs)
{
    for (int bits = 0; bits < 64; bits++)
        for (int state = CONTROL_STARTUP; state <= CONTROL_IN_PRODUCTION; state++)
        {
            struct fetch_signs signs = {
                .server_name = (bits & 1) != 0,
                .standby_signal = (bits & 2) != 0,
                .recovery_signal = (bits & 4) != 0,
                .postmaster = (bits & 8) != 0,
                .control_known = (bits & 16) != 0,
                .untold = (bits & 32) != 0,
                .state = (enum control_state) state,
            };
            enum fetch_caller caller = fetch_caller_of(&signs);

            if (!signs.server_name)
                ck_assert_int_eq(caller, FETCH_CALLER_PERSON);
            else if (signs.standby_signal)
                ck_assert_int_eq(caller, FETCH_CALLER_STANDBY);
            else if (signs.untold) /* waiting harms none of the others */
                ck_assert_int_eq(caller, FETCH_CALLER_FINISHING);
            else if (signs.recovery_signal)
                ck_assert_int_eq(caller, FETCH_CALLER_RECOVERY);
            else if (!signs.postmaster)
                ck_assert_int_eq(caller, FETCH_CALLER_PERSON);
            else if (!signs.control_known || state == CONTROL_IN_ARCHIVE_RECOVERY)
                ck_assert_int_eq(caller, FETCH_CALLER_FINISHING);
            else
                ck_assert_int_eq(caller, FETCH_CALLER_PERSON);
        }
}
END_TEST

static const struct
{
    const char *files; /* made in the data directory, separated by blanks */
    const char *destination;
    enum control_state state;
    enum fetch_caller wanted;
} folders[] = {
    {"recovery.signal postmaster.pid", "pg_wal/RECOVERYXLOG", CONTROL_IN_ARCHIVE_RECOVERY,
     FETCH_CALLER_RECOVERY},
    {"recovery.signal postmaster.pid", "pg_wal/RECOVERYHISTORY", CONTROL_SHUTDOWNED,
     FETCH_CALLER_RECOVERY},
    {"standby.signal postmaster.pid", "pg_wal/RECOVERYXLOG", CONTROL_IN_ARCHIVE_RECOVERY,
     FETCH_CALLER_STANDBY},
    {"standby.signal recovery.signal postmaster.pid", "pg_wal/RECOVERYXLOG",
     CONTROL_IN_ARCHIVE_RECOVERY, FETCH_CALLER_STANDBY},
    {"postmaster.pid", "pg_wal/RECOVERYHISTORY", CONTROL_IN_ARCHIVE_RECOVERY,
     FETCH_CALLER_FINISHING},
    {"postmaster.pid", "pg_wal/RECOVERYXLOG", CONTROL_IN_ARCHIVE_RECOVERY, FETCH_CALLER_FINISHING},
    {"postmaster.pid", "pg_wal/RECOVERYXLOG", CONTROL_IN_PRODUCTION, FETCH_CALLER_PERSON},
    {"", "pg_wal/RECOVERYXLOG", CONTROL_IN_ARCHIVE_RECOVERY, FETCH_CALLER_PERSON},
    /* pg_rewind -c and Patroni use the segment's own name, relative or absolute */
    {"", "pg_wal/" SEGMENT, CONTROL_SHUTDOWNED, FETCH_CALLER_PERSON},
    {"recovery.signal postmaster.pid", "pg_wal/" SEGMENT, CONTROL_IN_ARCHIVE_RECOVERY,
     FETCH_CALLER_PERSON},
    {"standby.signal", "pg_wal/RECOVERYXLOG.x", CONTROL_IN_ARCHIVE_RECOVERY, FETCH_CALLER_PERSON},
};

static void
make_files(const char *files)
{
    char name[32];
    size_t length;

    for (; *files != '\0'; files += length + (files[length] == ' '))
    {
        length = strcspn(files, " ");
        memcpy(name, files, length);
        name[length] = '\0';
        if (strcmp(name, "postmaster.pid") == 0)
            folder_server(getpid(), 1700000000);
        else
            folder_text(name, "");
    }
}

static struct fetch_situation *
read_as(const char *name, const char *destination)
{
    struct fetch_situation *situation;
    struct cpam_err err;

    ck_ok(fetch_situation_read(io_posix(), name, destination, &situation, &err), &err);
    return situation;
}

START_TEST(F1_folders_are_told_apart_relative_and_absolute)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *relative = NULL;
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *absolute = NULL;
    char path[128];

    folder_make(folders[_i].state);
    make_files(folders[_i].files);
    relative = read_as(SEGMENT, folders[_i].destination);
    ck_assert_int_eq(relative->caller, folders[_i].wanted);
    ck_assert_str_eq(relative->data, ".");
    ck_assert(relative->has_control);
    ck_assert_uint_eq(relative->control.sysid, FOLDER_SYSID);
    ck_assert_str_eq(relative->local_copy, "pg_wal/" SEGMENT);
    /* Patroni and wrappers call from anywhere with an absolute path */
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(path, sizeof(path), "%s/%s", folder_path, folders[_i].destination);
    absolute = read_as(SEGMENT, path);
    ck_assert_int_eq(absolute->caller, folders[_i].wanted);
    ck_assert_str_eq(absolute->data, folder_path);
    folder_remove();
}
END_TEST

START_TEST(trap15_the_destinations_data_directory_wins_over_the_working_directory)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *inside = NULL;
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *linked = NULL;
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *nowhere = NULL;

    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    folder_text("recovery.signal", "");
    inside = read_as(SEGMENT, "/nonexistent/pg_wal/RECOVERYXLOG");
    ck_assert_str_eq(inside->data, ".");
    /* pg_wal may be a link: its parent by text is the data directory, not where it leads */
    ck_assert_int_eq(rmdir("pg_wal"), 0);
    ck_assert_int_eq(symlink("/tmp", "pg_wal"), 0);
    linked = read_as(SEGMENT, "pg_wal/RECOVERYXLOG");
    ck_assert_str_eq(linked->data, ".");
    ck_assert_int_eq(linked->caller, FETCH_CALLER_RECOVERY);
    ck_assert_int_eq(chdir("/"), 0);
    nowhere = read_as(SEGMENT, "/tmp/wanted");
    ck_assert_ptr_null(nowhere->data);
    ck_assert(!nowhere->has_control);
    ck_assert_int_eq(nowhere->caller, FETCH_CALLER_PERSON);
    folder_remove();
}
END_TEST

START_TEST(F1_a_damaged_control_file_never_hides_the_finishing_state)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;

    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    folder_server(getpid(), 1700000000);
    folder_text("global/pg_control", "torn");
    situation = read_as("00000002.history", "pg_wal/RECOVERYHISTORY");
    ck_assert(!situation->has_control);
    ck_assert_int_eq(situation->caller, FETCH_CALLER_FINISHING);
    folder_remove();
}
END_TEST

static const char *const wrong_names[] = {"",
                                          "x",
                                          "../../etc/passwd",
                                          "00000001000000000000000g",
                                          "000000010000000000000001.gz",
                                          "0000000a.history"};

START_TEST(F1_a_name_that_is_none_is_refused)
{
    struct fetch_situation *situation;
    struct cpam_err err;

    ck_fails(fetch_situation_read(io_posix(), wrong_names[_i], "/tmp/x", &situation, &err),
             CPAM_INVALID, "name", &err);
    ck_assert_ptr_null(situation);
}
END_TEST

/* What postmaster.pid says later: another process, another start, or nothing. */
static const struct
{
    bool other_process, there;
    long started;
    bool same;
} later[] = {
    {false, true, 1700000000, true},
    {true, true, 1700000000, false},
    {false, true, 1700000009, false}, /* the number came round again */
    {false, false, 0, false},
};

START_TEST(trap14_another_run_of_the_server_is_seen)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *person = NULL;

    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    folder_text("recovery.signal", "");
    folder_server(getpid(), 1700000000);
    situation = read_as(SEGMENT, "pg_wal/RECOVERYXLOG");
    person = read_as(SEGMENT, "pg_wal/" SEGMENT);
    ck_assert(!fetch_situation_gone(io_posix(), situation));
    ck_assert_int_eq(unlink("postmaster.pid"), 0);
    if (later[_i].there)
        folder_server(later[_i].other_process ? getppid() : getpid(), later[_i].started);
    ck_assert_int_eq(!fetch_situation_gone(io_posix(), situation), later[_i].same);
    ck_assert(!fetch_situation_gone(io_posix(), person));
    folder_text("postmaster.pid", "cut short\n");
    ck_assert(fetch_situation_gone(io_posix(), situation));
    folder_remove();
}
END_TEST

/* After kill -9 of the postmaster its file stays, and its startup process waits for the answer. */
START_TEST(trap14_a_server_that_was_killed_is_gone)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0)
        for (;;)
            pause();
    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    folder_text("recovery.signal", "");
    folder_server(child, 1700000000);
    situation = read_as(SEGMENT, "pg_wal/RECOVERYXLOG");
    ck_assert(!fetch_situation_gone(io_posix(), situation));
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert(fetch_situation_gone(io_posix(), situation));
    folder_remove();
}
END_TEST

/* One file that can't be looked at, or opened. */
static struct
{
    struct io base;
    struct io_ops ops;
    const char *name;
    int error;
} broken;

static bool
is_broken(const char *path)
{
    size_t size = strlen(path), tail = strlen(broken.name);

    errno = broken.error;
    return size >= tail && strcmp(path + size - tail, broken.name) == 0;
}

static int
broken_stat(struct io *io, int dir_fd, const char *path, int flags, struct stat *out)
{
    (void) io;
    return is_broken(path) ? -1 : io_posix()->ops->stat(io_posix(), dir_fd, path, flags, out);
}

static int
broken_open(struct io *io, int dir_fd, const char *path, int flags, mode_t mode)
{
    (void) io;
    return is_broken(path) ? -1 : io_posix()->ops->open(io_posix(), dir_fd, path, flags, mode);
}

static struct io *
broken_at(const char *name, int error)
{
    broken.ops = *io_posix()->ops;
    broken.ops.stat = broken_stat;
    broken.ops.open = broken_open;
    broken.base.ops = &broken.ops;
    broken.name = name;
    broken.error = error;
    return &broken.base;
}

static const struct
{
    const char *files, *name;
    int error;
    enum fetch_caller wanted;
} unseen[] = {
    {"postmaster.pid", "postmaster.pid", EIO, FETCH_CALLER_FINISHING},
    {"postmaster.pid", "postmaster.pid", ESTALE, FETCH_CALLER_FINISHING},
    {"postmaster.pid", "recovery.signal", EIO, FETCH_CALLER_FINISHING},
    {"postmaster.pid", "standby.signal", EIO, FETCH_CALLER_FINISHING},
    {"recovery.signal", "standby.signal", EIO, FETCH_CALLER_FINISHING},
    {"standby.signal", "recovery.signal", EIO, FETCH_CALLER_STANDBY},
    {"postmaster.pid", "global/pg_control", EIO, FETCH_CALLER_FINISHING},
    {"recovery.signal", "postmaster.pid", ENOENT, FETCH_CALLER_RECOVERY},
};

/* 254 in the one state where it opens the old timeline: never for what was not seen (trap 1). */
START_TEST(F1_trap1_signs_that_can_not_be_seen_make_it_wait)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    struct cpam_err err;

    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    folder_text(unseen[_i].files, "");
    folder_server(getpid(), 1700000000);
    ck_ok(fetch_situation_read(broken_at(unseen[_i].name, unseen[_i].error), SEGMENT,
                               "pg_wal/RECOVERYXLOG", &situation, &err),
          &err);
    ck_assert_int_eq(situation->caller, unseen[_i].wanted);
    folder_remove();
}
END_TEST

START_TEST(trap14_a_server_whose_file_can_not_be_read_is_not_gone)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *blind = NULL;
    struct io *io = broken_at("postmaster.pid", ENFILE);
    struct cpam_err err;

    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    folder_text("standby.signal", "");
    folder_server(getpid(), 1700000000);
    situation = read_as(SEGMENT, "pg_wal/RECOVERYXLOG");
    ck_assert(!fetch_situation_gone(io, situation));
    ck_fails(fetch_situation_check(io, situation, &err), CPAM_IO, "could not tell", &err);
    ck_ok(fetch_situation_check(io_posix(), situation, &err), &err);
    /* nor is one that could not be told from another when it asked */
    ck_ok(fetch_situation_read(io, SEGMENT, "pg_wal/RECOVERYXLOG", &blind, &err), &err);
    ck_assert(!blind->server.told);
    ck_assert(!fetch_situation_gone(io_posix(), blind));
    ck_fails(fetch_situation_check(io_posix(), blind, &err), CPAM_IO, "could not tell", &err);
    ck_assert_int_eq(unlink("postmaster.pid"), 0);
    ck_assert(fetch_situation_gone(io_posix(), situation));
    folder_remove();
}
END_TEST

static const struct
{
    uint32_t timeline; /* in the header */
    uint64_t number, sysid;
    size_t size;
    bool good;
} copies[] = {
    {1, 5, FOLDER_SYSID, FOLDER_SEGMENT, true},
    {1, 4, FOLDER_SYSID, FOLDER_SEGMENT, false}, /* recycled: another page address */
    {1, 5, FOLDER_SYSID + 1, FOLDER_SEGMENT, false},
    {1, 5, FOLDER_SYSID, FOLDER_SEGMENT / 2, false},
    {1, 5, FOLDER_SYSID, FOLDER_SEGMENT * 2, false},
    {2, 5, FOLDER_SYSID, FOLDER_SEGMENT, false}, /* younger than its name */
    {0, 5, FOLDER_SYSID, FOLDER_SEGMENT, false},
};

START_TEST(trap3_a_local_segment_counts_only_if_it_is_the_right_one)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;

    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    situation = read_as(SEGMENT, "pg_wal/RECOVERYXLOG");
    ck_assert(!fetch_situation_local_copy(io_posix(), situation));
    folder_segment("pg_wal/" SEGMENT, copies[_i].timeline, copies[_i].number, copies[_i].sysid,
                   copies[_i].size);
    ck_assert_int_eq(fetch_situation_local_copy(io_posix(), situation), copies[_i].good);
    folder_remove();
}
END_TEST

START_TEST(trap3_the_first_segment_of_a_timeline_counts_with_its_parents_number)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;

    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    situation = read_as("000000020000000000000005", "pg_wal/RECOVERYXLOG");
    folder_segment("pg_wal/000000020000000000000005", 1, 5, FOLDER_SYSID, FOLDER_SEGMENT);
    ck_assert(fetch_situation_local_copy(io_posix(), situation));
    folder_segment("pg_wal/000000020000000000000005", 1, 6, FOLDER_SYSID, FOLDER_SEGMENT);
    ck_assert(!fetch_situation_local_copy(io_posix(), situation));
    folder_remove();
}
END_TEST

static const struct
{
    const char *text;
    bool good;
} histories[] = {
    {"1\t0/5000000\tno recovery target specified\n", true},
    {"", false}, /* a crash may leave it empty */
    {"9\t0/5000000\tx\n", false},
    {"nonsense\n", false},
};

START_TEST(trap1_trap25_a_local_history_counts_only_if_it_reads)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *situation = NULL;

    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    situation = read_as("00000002.history", "pg_wal/RECOVERYHISTORY");
    ck_assert(!fetch_situation_local_copy(io_posix(), situation));
    folder_text("pg_wal/00000002.history", histories[_i].text);
    ck_assert_int_eq(fetch_situation_local_copy(io_posix(), situation), histories[_i].good);
    folder_remove();
}
END_TEST

#define LOOP(test, rows)                                                                           \
    tcase_add_loop_test(tcase, test, 0, (int) (sizeof(rows) / sizeof((rows)[0])))

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/fetch_situation");
    TCase *tcase = tcase_create("fetch_situation");

    tcase_add_test(tcase, F1_every_combination_of_signs);
    LOOP(F1_folders_are_told_apart_relative_and_absolute, folders);
    tcase_add_test(tcase, trap15_the_destinations_data_directory_wins_over_the_working_directory);
    tcase_add_test(tcase, F1_a_damaged_control_file_never_hides_the_finishing_state);
    LOOP(F1_a_name_that_is_none_is_refused, wrong_names);
    LOOP(trap14_another_run_of_the_server_is_seen, later);
    tcase_add_loop_test(tcase, F1_trap1_signs_that_can_not_be_seen_make_it_wait, 0,
                        sizeof(unseen) / sizeof(unseen[0]));
    tcase_add_test(tcase, trap14_a_server_whose_file_can_not_be_read_is_not_gone);
    tcase_add_test(tcase, trap14_a_server_that_was_killed_is_gone);
    LOOP(trap3_a_local_segment_counts_only_if_it_is_the_right_one, copies);
    tcase_add_test(tcase, trap3_the_first_segment_of_a_timeline_counts_with_its_parents_number);
    LOOP(trap1_trap25_a_local_history_counts_only_if_it_reads, histories);
    suite_add_tcase(suite, tcase);
    return suite;
}
