/*
 * test_written_lines.c - what a restore wrote goes again, and nothing else does (T11, traps 7 and 10).
 */
#include "suite.h"

#include "base/scope.h"
#include "pg/written_lines.h"

static struct cpam_err err;

/* before, and three lines with their note */
static void
written(const char *before, struct cpam_buf *out)
{
    struct written_lines lines = {.out = out};

    ck_ok(cpam_buf_append(out, before, strlen(before), 4096, &err), &err);
    ck_ok(written_lines_set(&lines, "restore_command", "exec it's %f %p", &err), &err);
    ck_ok(written_lines_set(&lines, "archive_command", "push --unclaimed %p", &err), &err);
    ck_ok(written_lines_set(&lines, "archive_library", "", &err), &err);
    ck_ok(written_lines_finish(&lines, &err), &err);
}

static void
removes(const char *text, enum written_scope scope, const char *left, unsigned archiving,
        unsigned recovery)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    struct written_removed removed;

    ck_ok(written_lines_remove(text, strlen(text), scope, &out, &removed, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&out), left);
    ck_assert_uint_eq(removed.archiving, archiving);
    ck_assert_uint_eq(removed.recovery, recovery);
}

static const char own[] = "# mine\n"
                          "archive_library = ''\n"
                          "archive_command = 'mine --unclaimed %p'\n"
                          "restore_command = 'exec it''s %f %p'\n";

START_TEST(T11_only_the_last_of_equal_lines_goes)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    written(own, &text);
    removes(cpam_buf_text(&text), WRITTEN_ALL, own, 2, 1);
}
END_TEST

START_TEST(T11_what_recovery_needs_stays_until_it_is_over)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    struct written_removed removed;

    written(own, &text);
    ck_ok(written_lines_remove(cpam_buf_text(&text), text.size, WRITTEN_ARCHIVING, &out, &removed,
                               &err),
          &err);
    ck_assert_uint_eq(removed.archiving, 2);
    ck_assert_uint_eq(removed.recovery, 0);
    ck_assert_ptr_nonnull(strstr(cpam_buf_text(&out), "cpam_restore.wrote"));
    /* and then the rest; a person's own archive_library is not taken for what is gone already */
    removes(cpam_buf_text(&out), WRITTEN_ALL, own, 0, 1);
}
END_TEST

START_TEST(T11_a_line_changed_since_is_somebody_elses)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    written("", &text);
    ck_ok(cpam_buf_printf(&text, 4096, &err, "restore_command = 'other %%f %%p'\n"), &err);
    removes(cpam_buf_text(&text), WRITTEN_ALL, "restore_command = 'other %f %p'\n", 2, 1);
}
END_TEST

static const struct
{
    const char *text, *left;
    unsigned archiving;
} before_notes[] = {
    {"archive_command = '/usr/bin/cpam-wal-push --unclaimed %p'\narchive_library = ''\n", "", 1},
    {"archive_command = '''/my bin/cpam-wal-push'' --unclaimed %p'\n", "", 1},
    {"archive_library = ''\narchive_command = 'cpam-wal-push --unclaimed %p'\n",
     "archive_library = ''\n", 1},
    {"archive_command = 'cpam-wal-push --unclaimed %p'\nport = 1\narchive_library = ''\n",
     "port = 1\narchive_library = ''\n", 1},
    {"archive_command = 'cpam-wal-push --unclaimed %p'\narchive_command = 'cpam-wal-push %p'\n",
     "archive_command = 'cpam-wal-push --unclaimed %p'\narchive_command = 'cpam-wal-push %p'\n", 0},
    {"archive_command = 'cpam-wal-push %p # --unclaimed'\n",
     "archive_command = 'cpam-wal-push %p # --unclaimed'\n", 0},
    {"archive_library = ''\n", "archive_library = ''\n", 0},
    {"cpam_restore.wrote = 'no note:at all'\narchive_library = ''\n", "archive_library = ''\n", 0},
};

START_TEST(T11_trap7_the_refusing_command_of_earlier_versions)
{
    removes(before_notes[_i].text, WRITTEN_ALL, before_notes[_i].left, before_notes[_i].archiving,
            0);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/written_lines");
    TCase *tcase = tcase_create("written_lines");

    tcase_add_test(tcase, T11_only_the_last_of_equal_lines_goes);
    tcase_add_test(tcase, T11_what_recovery_needs_stays_until_it_is_over);
    tcase_add_test(tcase, T11_a_line_changed_since_is_somebody_elses);
    tcase_add_loop_test(tcase, T11_trap7_the_refusing_command_of_earlier_versions, 0,
                        (int) (sizeof(before_notes) / sizeof(before_notes[0])));
    suite_add_tcase(suite, tcase);
    return suite;
}
