/*
 * test_fetch_delivery.c - whole or not at all: failures, orphans, signals, kill -9.
 */
#include "suite.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <utime.h>

#include "fetch_delivery.h"
#include "fetch_folder.h"
#include "fetch_hold.h"
#include "io/io.h"

#define SEGMENT "000000010000000000000005"
#define WANTED  "pg_wal/RECOVERYXLOG"

static struct fetch_situation *situation;
static struct fetch_delivery *delivery;

static void
begin(const char *destination)
{
    struct cpam_err err;

    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    folder_text("recovery.signal", "");
    folder_server(getpid(), 1700000000);
    ck_ok(fetch_situation_read(io_posix(), SEGMENT, destination, &situation, &err), &err);
    ck_ok(fetch_delivery_new(io_posix(), situation, &delivery, &err), &err);
}

static void
end(void)
{
    fetch_delivery_free(delivery);
    fetch_situation_free(situation);
    folder_remove();
}

static void
give(const char *text)
{
    struct cpam_err err;

    ck_ok(sink_write(fetch_delivery_sink(delivery), text, strlen(text), &err), &err);
}

static void
assert_content(const char *path, const char *text)
{
    char found[64];
    FILE *file = fopen(path, "rb");
    size_t got;

    ck_assert_ptr_nonnull(file);
    got = fread(found, 1, sizeof(found) - 1, file);
    fclose(file);
    found[got] = '\0';
    ck_assert_str_eq(found, text);
}

START_TEST(F4_the_file_appears_at_publish_and_not_before)
{
    struct cpam_err err;

    begin(WANTED);
    ck_assert_int_eq(folder_count("pg_wal", ""), 0); /* nothing is made before the first byte */
    give("some ");
    give("bytes");
    ck_assert_int_ne(access(WANTED, F_OK), 0);
    ck_assert_int_eq(folder_count("pg_wal", ".cpam-"), 1);
    ck_assert_uint_eq(fetch_delivery_size(delivery), 10);
    ck_ok(fetch_delivery_publish(delivery, &err), &err);
    assert_content(WANTED, "some bytes");
    ck_assert_int_eq(folder_count("pg_wal", ""), 1);
    end();
}
END_TEST

START_TEST(F4_without_publish_nothing_is_left)
{
    begin(WANTED);
    give("some bytes");
    fetch_delivery_free(delivery);
    delivery = NULL;
    ck_assert_int_eq(folder_count("pg_wal", ""), 0);
    end();
}
END_TEST

START_TEST(F4_after_a_restart_only_the_second_source_counts)
{
    struct cpam_err err;

    begin(WANTED);
    give("of the first repository, which failed in the middle");
    fetch_delivery_restart(delivery);
    ck_assert_int_eq(folder_count("pg_wal", ""), 0);
    ck_assert_uint_eq(fetch_delivery_size(delivery), 0);
    give("of the second");
    ck_ok(fetch_delivery_publish(delivery, &err), &err);
    assert_content(WANTED, "of the second");
    end();
}
END_TEST

START_TEST(F4_what_a_person_asked_for_replaces_a_file)
{
    struct cpam_err err;

    begin("pg_wal/copy");
    folder_text("pg_wal/copy", "old");
    give("new");
    ck_ok(fetch_delivery_publish(delivery, &err), &err);
    assert_content("pg_wal/copy", "new");
    end();
}
END_TEST

START_TEST(trap14_an_orphan_never_renames)
{
    struct cpam_err err;

    begin(WANTED);
    give("for a server that is gone");
    folder_server(getpid(), 1700000099);
    ck_fails(fetch_delivery_publish(delivery, &err), CPAM_CANCELLED, "is not the one that runs",
             &err);
    ck_assert_int_eq(folder_count("pg_wal", ""), 0);
    end();
}
END_TEST

/* A missing directory is ENOENT, and ENOENT must never read as "absent from the archive". */
START_TEST(F1_a_missing_directory_here_is_no_absence_there)
{
    struct cpam_err err;

    begin("nowhere/RECOVERYXLOG");
    ck_fails(sink_write(fetch_delivery_sink(delivery), "x", 1, &err), CPAM_IO, "nowhere/", &err);
    ck_assert_int_eq(err.status, CPAM_IO);
    end();
}
END_TEST

START_TEST(F4_a_destination_that_is_a_directory_is_refused)
{
    struct cpam_err err;

    begin("pg_wal/taken");
    ck_assert_int_eq(mkdir("pg_wal/taken", 0700), 0);
    give("x");
    ck_fails(fetch_delivery_publish(delivery, &err), CPAM_IO, "taken", &err);
    ck_assert_int_eq(folder_count("pg_wal", ".cpam-"), 0);
    end();
}
END_TEST

/* What the child does in the middle of a delivery, and how it must end. */
static const struct
{
    int number;
    bool leaves_temporary;
} signals[] = {
    {SIGTERM, false}, {SIGINT, false}, {SIGQUIT, false}, {SIGHUP, false}, {SIGKILL, true},
};

START_TEST(F4_trap14_a_signal_ends_it_by_itself_and_leaves_nothing)
{
    int status;
    pid_t child;

    begin(WANTED);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
    {
        fetch_delivery_guard();
        give("half of a segm");
        raise(signals[_i].number);
        _exit(1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == signals[_i].number,
                  "ended with status %x instead of by signal %d", (unsigned) status,
                  signals[_i].number);
    ck_assert_int_ne(access(WANTED, F_OK), 0);
    ck_assert_int_eq(folder_count("pg_wal", ".cpam-"), signals[_i].leaves_temporary);
    end();
}
END_TEST

START_TEST(P11_the_last_resort_ends_a_call_that_does_not_come_back)
{
    int status;
    pid_t child;

    begin(WANTED);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
    {
        fetch_delivery_guard();
        give("half of a segm");
        fetch_delivery_limit(20 * 1000, 254);
        for (;;)
            pause();
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 254);
    ck_assert_int_eq(folder_count("pg_wal", ""), 0);
    end();
}
END_TEST

START_TEST(F4_old_temporaries_are_swept_and_nothing_else)
{
    struct utimbuf old = {1000, 1000};

    begin(WANTED);
    folder_text("pg_wal/.cpam-0123456789abcdef", "killed long ago");
    folder_text("pg_wal/.cpam-fedcba9876543210", "being written");
    folder_text("pg_wal/.cpam-notes", "somebody's");
    folder_text("pg_wal/" SEGMENT, "WAL");
    ck_assert_int_eq(utime("pg_wal/.cpam-0123456789abcdef", &old), 0);
    ck_assert_int_eq(utime("pg_wal/.cpam-notes", &old), 0);
    ck_assert_int_eq(utime("pg_wal/" SEGMENT, &old), 0);
    fetch_delivery_sweep(io_posix(), situation);
    ck_assert_int_ne(access("pg_wal/.cpam-0123456789abcdef", F_OK), 0);
    ck_assert_int_eq(folder_count("pg_wal", ""), 3);
    end();
}
END_TEST

START_TEST(trap1_recovery_signal_is_held_while_the_end_of_recovery_waits)
{
    struct fetch_hold hold = {.io = io_posix(), .data = "."};
    struct fetch_hold second = hold;
    struct cpam_err err;

    begin(WANTED);
    ck_assert_int_eq(unlink("recovery.signal"), 0);
    ck_ok(fetch_hold_place(&hold, &err), &err);
    ck_assert_int_eq(access("recovery.signal", F_OK), 0);
    ck_ok(fetch_hold_place(&hold, &err), &err);
    /* one that was there already is not ours to take away */
    ck_ok(fetch_hold_place(&second, &err), &err);
    ck_ok(fetch_hold_release(&second, &err), &err);
    ck_assert_int_eq(access("recovery.signal", F_OK), 0);
    ck_ok(fetch_hold_release(&hold, &err), &err);
    ck_assert_int_ne(access("recovery.signal", F_OK), 0);
    ck_ok(fetch_hold_release(&hold, &err), &err);
    end();
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/fetch_delivery");
    TCase *tcase = tcase_create("fetch_delivery");

    tcase_add_test(tcase, F4_the_file_appears_at_publish_and_not_before);
    tcase_add_test(tcase, F4_without_publish_nothing_is_left);
    tcase_add_test(tcase, F4_after_a_restart_only_the_second_source_counts);
    tcase_add_test(tcase, F4_what_a_person_asked_for_replaces_a_file);
    tcase_add_test(tcase, trap14_an_orphan_never_renames);
    tcase_add_test(tcase, F1_a_missing_directory_here_is_no_absence_there);
    tcase_add_test(tcase, F4_a_destination_that_is_a_directory_is_refused);
    tcase_add_loop_test(tcase, F4_trap14_a_signal_ends_it_by_itself_and_leaves_nothing, 0,
                        sizeof(signals) / sizeof(signals[0]));
    tcase_add_test(tcase, P11_the_last_resort_ends_a_call_that_does_not_come_back);
    tcase_add_test(tcase, F4_old_temporaries_are_swept_and_nothing_else);
    tcase_add_test(tcase, trap1_recovery_signal_is_held_while_the_end_of_recovery_waits);
    suite_add_tcase(suite, tcase);
    return suite;
}
