/*
 * test_stream_notes.c - entries in any order come out in the manifest's, whatever fits into memory at once.
 */
#include "suite.h"

#include <stdio.h>
#include <unistd.h>

#include "stream_notes.h"

enum
{
    FILES = 500
};

static char dir[64];
static struct cpam_err err;

static void
begin(void)
{
    snprintf(dir, sizeof(dir), "/tmp/cpam-notes-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
end(void)
{
    ck_assert_int_eq(rmdir(dir), 0); /* nothing has a name in it */
}

/* What was told last, and how many were. */
struct seen
{
    char path[64];
    size_t count;
    uint64_t twice; /* the part of the path that was noted twice */
};

static enum cpam_status
look(void *arg, const struct plan_entry *entry, struct cpam_err *e)
{
    struct seen *seen = arg;

    (void) e;
    ck_assert_int_lt(manifest_path_compare(seen->path, entry->source.path), 0);
    snprintf(seen->path, sizeof(seen->path), "%s", entry->source.path);
    seen->count++;
    if (strcmp(entry->source.path, "base/7") == 0)
        seen->twice = entry->first_part;
    if (entry->source.kind == MANIFEST_DIRECTORY)
        ck_assert_str_eq(entry->source.target, "/some where");
    else
        ck_assert_ptr_null(entry->source.target);
    return CPAM_OK;
}

static const size_t runs[] = {1, 2, 7, FILES, FILES + 2, 100000};

START_TEST(B9_entries_are_sorted_in_runs)
{
    CPAM_AUTO(stream_notes_free) struct stream_notes *notes = NULL;
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    struct seen seen = {.path = ""};
    char path[64];

    ck_ok(plan_new(io_posix(), dir, &plan, &err), &err);
    ck_ok(stream_notes_new(io_posix(), dir, &notes, &err), &err);
    stream_notes_set_run(notes, runs[_i]);
    for (unsigned i = 0; i < FILES; i++)
    {
        /* 500 and 313 share no divisor: each comes once, far from its neighbours */
        snprintf(path, sizeof(path), "base/%u", i * 313 % FILES);
        struct source_entry entry = {.kind = MANIFEST_FILE, .path = path, .size = 1};

        ck_ok(stream_notes_add(notes, &entry, i, 1, &err), &err);
    }
    struct source_entry again = {.kind = MANIFEST_FILE, .path = "base/7", .size = 2};
    struct source_entry space = {
        .kind = MANIFEST_DIRECTORY, .path = "pg_tblspc/1", .target = "/some where"};
    ck_ok(stream_notes_add(notes, &again, 4711, 1, &err), &err);
    ck_ok(stream_notes_add(notes, &space, 0, 0, &err), &err);
    ck_ok(stream_notes_sort(notes, plan, &err), &err);
    ck_ok(plan_each(plan, look, &seen, &err), &err);
    ck_assert_uint_eq(seen.count, FILES + 1);
    ck_assert_uint_eq(seen.twice, 4711); /* the later one counts */
}
END_TEST

START_TEST(nothing_is_in_order_too)
{
    CPAM_AUTO(stream_notes_free) struct stream_notes *notes = NULL;
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    struct seen seen = {.path = ""};

    ck_ok(plan_new(io_posix(), dir, &plan, &err), &err);
    ck_ok(stream_notes_new(io_posix(), dir, &notes, &err), &err);
    ck_ok(stream_notes_sort(notes, plan, &err), &err);
    ck_ok(plan_each(plan, look, &seen, &err), &err);
    ck_assert_uint_eq(seen.count, 0);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/stream_notes");
    TCase *tcase = tcase_create("stream_notes");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, B9_entries_are_sorted_in_runs, 0, sizeof(runs) / sizeof(runs[0]));
    tcase_add_test(tcase, nothing_is_in_order_too);
    suite_add_tcase(suite, tcase);
    return suite;
}
