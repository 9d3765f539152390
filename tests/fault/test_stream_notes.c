/*
 * test_stream_notes.c - the entries of a stream while each call for their notes fails once.
 */
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "io_twin.h"
#include "stream_notes.h"

enum
{
    FILES = 12
};

static struct io_twin *twin;
static char dir[64];
static struct cpam_err err;

static void
make_place(void)
{
    twin = io_twin_new();
    snprintf(dir, sizeof(dir), "/tmp/cpam-fault-notes.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    io_twin_plan(twin, &(struct io_twin_plan){0});
}

static void
remove_place(void)
{
    ck_assert_int_eq(rmdir(dir), 0); /* not a name is left */
    io_twin_free(twin);
}

static enum cpam_status
count(void *arg, const struct plan_entry *entry, struct cpam_err *e)
{
    (void) entry;
    (void) e;
    ++*(int *) arg;
    return CPAM_OK;
}

/* In backward, out forward, in runs of five. */
static enum cpam_status
sort_all(void)
{
    CPAM_AUTO(stream_notes_free) struct stream_notes *notes = NULL;
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    char path[32];
    int told = 0;

    CPAM_TRY(plan_new(io_twin_io(twin), dir, &plan, &err));
    CPAM_TRY(stream_notes_new(io_twin_io(twin), dir, &notes, &err));
    stream_notes_set_run(notes, 5);
    for (int i = FILES; i-- > 0;)
    {
        snprintf(path, sizeof(path), "base/%02d", i);
        struct source_entry entry = {.kind = MANIFEST_FILE, .path = path, .size = 1};

        CPAM_TRY(stream_notes_add(notes, &entry, (uint64_t) i, 1, &err));
    }
    CPAM_TRY(stream_notes_sort(notes, plan, &err));
    CPAM_TRY(plan_each(plan, count, &told, &err));
    ck_assert_int_eq(told, FILES);
    return CPAM_OK;
}

START_TEST(B8_each_call_failing_comes_back)
{
    ck_ok(sort_all(), &err);
    unsigned calls = io_twin_calls(twin);

    for (unsigned call = 1; call <= calls; call++)
    {
        io_twin_plan(twin, &(struct io_twin_plan){.fail_call = call, .fail_errno = ENOSPC});
        enum cpam_status status = sort_all();

        if (io_twin_find(twin, "close", 1) == (int) call - 1 ||
            io_twin_find(twin, "close", 2) == (int) call - 1 ||
            io_twin_find(twin, "close", 3) == (int) call - 1)
            ck_assert_int_eq(status, CPAM_OK); /* nothing of it is kept */
        else
            ck_fails(status, CPAM_IO, "No space left on device", &err);
        ck_assert_int_eq(io_twin_open_fds(twin), 0);
    }
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("fault/stream_notes");
    TCase *tcase = tcase_create("stream_notes");

    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, make_place, remove_place);
    tcase_add_test(tcase, B8_each_call_failing_comes_back);
    suite_add_tcase(suite, tcase);
    return suite;
}
