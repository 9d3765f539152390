/*
 * test_spill.c - notes come back as they were added, from a file that nobody can find, and each call
 * that fails on the way is told.
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "io_twin.h"
#include "repo/spill.h"

static struct io_twin *twin;
static char dir[64];
static struct cpam_err err;

static void
make_place(void)
{
    twin = io_twin_new();
    snprintf(dir, sizeof(dir), "/tmp/cpam-fault-spill.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    io_twin_plan(twin, &(struct io_twin_plan){0});
}

static void
remove_place(void)
{
    ck_assert_int_eq(rmdir(dir), 0); /* not a name is left */
    io_twin_free(twin);
}

/* Three notes in, three out again. */
static enum cpam_status
use_spill(void)
{
    static const char *const notes[] = {"first", "", "the third one"};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    CPAM_AUTO(spill_free) struct spill *spill = NULL;
    uint64_t at[3], next;

    CPAM_TRY(spill_new(io_twin_io(twin), dir, &spill, &err));
    for (size_t i = 0; i < 3; i++)
        CPAM_TRY(spill_add(spill, notes[i], strlen(notes[i]), &at[i], &err));
    for (size_t i = 3; i-- > 0;)
    {
        CPAM_TRY(spill_get(spill, at[i], &buf, &next, &err));
        ck_assert_uint_eq(buf.size, strlen(notes[i]));
        ck_assert_mem_eq(buf.data, notes[i], buf.size);
        ck_assert_uint_eq(next, i == 2 ? spill_size(spill) : at[i + 1]);
    }
    return CPAM_OK;
}

START_TEST(notes_come_back_and_the_file_has_no_name)
{
    ck_ok(use_spill(), &err);
    ck_assert_int_eq(io_twin_open_fds(twin), 0);
    ck_assert_int_eq(io_twin_find(twin, "link", 1), -1);
}
END_TEST

START_TEST(short_writes_and_reads_are_continued)
{
    io_twin_plan(twin, &(struct io_twin_plan){.short_bytes = 2});
    ck_ok(use_spill(), &err);
}
END_TEST

START_TEST(each_call_failing_comes_back)
{
    ck_ok(use_spill(), &err);
    unsigned calls = io_twin_calls(twin);

    for (unsigned call = 1; call <= calls; call++)
    {
        io_twin_plan(twin, &(struct io_twin_plan){.fail_call = call, .fail_errno = ENOSPC});
        enum cpam_status status = use_spill();

        if (io_twin_find(twin, "close", 1) == (int) call - 1)
            ck_assert_int_eq(status, CPAM_OK); /* nothing of it is kept */
        else
            ck_fails(status, CPAM_IO, "No space left on device", &err);
        ck_assert_int_eq(io_twin_open_fds(twin), 0);
    }
}
END_TEST

/* NFS, or an overlay: the file gets a name for a moment. */
START_TEST(a_file_system_without_nameless_files_will_do)
{
    static const int numbers[] = {EOPNOTSUPP, EISDIR};
    struct io_twin_plan plan = {.fail_call = 1, .fail_kind = "open", .fail_errno = numbers[_i]};

    io_twin_plan(twin, &plan);
    ck_ok(use_spill(), &err);
    int made = io_twin_find(twin, "open .cpam-", 1);
    ck_assert_int_gt(made, 0);
    ck_assert_int_gt(io_twin_find(twin, "unlink .cpam-", 1), made);
    ck_assert_int_lt(io_twin_find(twin, "unlink .cpam-", 1), io_twin_find(twin, "write", 1));
}
END_TEST

static const struct
{
    int sys;
    enum cpam_status status;
    const char *words;
} refused[] = {
    {EACCES, CPAM_IO, "could not make a file in"},
    {EROFS, CPAM_IO, "could not make a file in"},
    {EMFILE, CPAM_IO, "Too many open files"},
};

START_TEST(a_folder_that_takes_no_file_is_told)
{
    struct spill *spill = NULL;

    io_twin_plan(twin, &(struct io_twin_plan){.fail_call = 1, .fail_errno = refused[_i].sys});
    ck_fails(spill_new(io_twin_io(twin), dir, &spill, &err), refused[_i].status, refused[_i].words,
             &err);
    ck_assert_ptr_null(spill);
    ck_assert_ptr_nonnull(strstr(err.text, dir));
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_made)
{
    CPAM_AUTO(spill_free) struct spill *spill = NULL;
    char deep[160], upper[100];
    struct stat found;

    snprintf(upper, sizeof(upper), "%s/spool", dir);
    snprintf(deep, sizeof(deep), "%s/cpam", upper);
    ck_ok(spill_new(io_twin_io(twin), deep, &spill, &err), &err);
    ck_assert_int_eq(stat(deep, &found), 0);
    ck_assert_uint_eq(found.st_mode & 07777, 0700);
    ck_assert_int_eq(rmdir(deep), 0);
    ck_assert_int_eq(rmdir(upper), 0);
}
END_TEST

START_TEST(a_note_that_is_not_there_is_told)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    CPAM_AUTO(spill_free) struct spill *spill = NULL;
    uint64_t at;

    ck_ok(spill_new(io_twin_io(twin), dir, &spill, &err), &err);
    ck_fails(spill_get(spill, 0, &buf, NULL, &err), CPAM_INTERNAL, "there is no note at 0", &err);
    ck_ok(spill_add(spill,
                    "\xff\xff\xff\xff"
                    "bytes",
                    9, &at, &err),
          &err);
    /* in the middle of one, where a length of four gigabytes seems to stand */
    ck_fails(spill_get(spill, at + 4, &buf, NULL, &err), CPAM_INTERNAL, "there is no note at 4",
             &err);
    ck_fails(spill_get(spill, at + 5, &buf, NULL, &err), CPAM_INTERNAL, "note", &err);
    ck_fails(spill_add(spill, "", SPILL_NOTE_MAX + (size_t) 1, &at, &err), CPAM_INTERNAL,
             "is too long", &err);
    ck_ok(spill_get(spill, 0, &buf, NULL, &err), &err);
    ck_assert_uint_eq(buf.size, 9);
    spill_free(NULL);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("fault/spill");
    TCase *tcase = tcase_create("spill");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, make_place, remove_place);
    tcase_add_test(tcase, notes_come_back_and_the_file_has_no_name);
    tcase_add_test(tcase, short_writes_and_reads_are_continued);
    tcase_add_test(tcase, each_call_failing_comes_back);
    tcase_add_loop_test(tcase, a_file_system_without_nameless_files_will_do, 0, 2);
    tcase_add_loop_test(tcase, a_folder_that_takes_no_file_is_told, 0, 3);
    tcase_add_test(tcase, a_folder_that_is_not_there_is_made);
    tcase_add_test(tcase, a_note_that_is_not_there_is_told);
    suite_add_tcase(suite, tcase);
    return suite;
}
