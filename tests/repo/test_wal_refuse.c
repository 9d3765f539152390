/*
 * test_wal_refuse.c - ask 7: what a conflict says, so that a person can decide it.
 */
#include "repo/repo_fixture.h"

#define SEGMENT "000000010000000000000003"

static struct repo_fixture self;
static struct cpam_err err;

static void
begin(void)
{
    repo_fixture_begin(&self, false);
}

static void
end(void)
{
    repo_fixture_end_with_files(&self);
}

/* Segment 3, with one byte changed at `at` (0: none). */
static void
segment_with(size_t at)
{
    uint8_t *data = wal_bytes(REPO_SYSID, 1, 3 << 20, 1 << 20, 1);

    if (at != 0)
        data[at] ^= 1;
    wal_file(SEGMENT, data, 1 << 20);
    free(data);
}

static void
history_file(const char *name, const char *text)
{
    wal_file(name, text, strlen(text));
}

static void
refused(void)
{
    bool was_there;

    ck_fails(wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err), CPAM_EXISTS,
             "is archived with other content", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "cpam-repo resolve"));
}

static void
archive_first(void)
{
    bool was_there;

    segment_with(0);
    ck_ok(wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err), &err);
}

static void
says(const char *words)
{
    ck_assert_msg(strstr(err.text, words) != NULL, "\"%s\" is not in: %s", words, err.text);
}

START_TEST(ask7_first_difference_is_told_as_offset_and_lsn)
{
    static const size_t places[] = {41, 16383, 16384, 700000, (1 << 20) - 1};
    char words[128];

    archive_first();
    segment_with(places[_i]);
    refused();
    snprintf(words, sizeof(words), "the first difference is at offset %zu, LSN 0/%zX", places[_i],
             ((size_t) 3 << 20) + places[_i]);
    says(words);
    ck_assert_ptr_null(strstr(err.text, "forked"));
}
END_TEST

/* Timeline 2 forked at 0/380000, in the middle of the segment. */
static const char forked_here[] = "1\t0/380000\tno recovery target specified\n";

static const struct
{
    size_t changed;
    bool archived; /* the history is in the archive, and not beside the file */
    const char *words;
} forks[] = {
    {0x80000, false, "only past 0/380000, where timeline 2 forked"},
    {0x80000, true, "only past 0/380000, where timeline 2 forked"},
    {0xFFFFF, true, "the archived one is complete for a recovery along timeline 2"},
    {0x7FFFF, false, "it lies before 0/380000, where timeline 2 forked"},
    {0x7FFFF, true, "it lies before 0/380000, where timeline 2 forked"},
};

START_TEST(ask7_difference_is_held_against_the_fork)
{
    bool was_there;

    archive_first();
    history_file("00000002.history", forked_here);
    if (forks[_i].archived)
    {
        ck_ok(wal_push(self.repo, "00000002.history", REPO_SYSID, &was_there, &err), &err);
        unlink(fixture_path("00000002.history"));
    }
    segment_with(forks[_i].changed);
    refused();
    says(forks[_i].words);
}
END_TEST

START_TEST(ask7_fork_elsewhere_explains_nothing)
{
    archive_first();
    history_file("00000002.history", "1\t0/480000\telsewhere\n");
    history_file("00000003.history", "2\t0/380000\tnot off this timeline\n");
    segment_with(0x80000);
    refused();
    ck_assert_ptr_null(strstr(err.text, "forked"));
    says("offset 524288, LSN 0/380000");
}
END_TEST

START_TEST(ask7_two_histories_differ_at_an_offset)
{
    bool was_there;

    history_file("00000002.history", forked_here);
    ck_ok(wal_push(self.repo, "00000002.history", REPO_SYSID, &was_there, &err), &err);
    history_file("00000002.history", "1\t0/390000\tno recovery target specified\n");
    ck_fails(wal_push(self.repo, "00000002.history", REPO_SYSID, &was_there, &err), CPAM_EXISTS,
             "the first difference is at offset 5", &err);
    ck_assert_ptr_null(strstr(err.text, "LSN"));
    ck_assert_ptr_nonnull(strstr(err.hint, "cpam-repo resolve"));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/wal_refuse");
    TCase *tcase = tcase_create("wal_refuse");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, ask7_first_difference_is_told_as_offset_and_lsn, 0, 5);
    tcase_add_loop_test(tcase, ask7_difference_is_held_against_the_fork, 0,
                        (int) (sizeof(forks) / sizeof(forks[0])));
    tcase_add_test(tcase, ask7_fork_elsewhere_explains_nothing);
    tcase_add_test(tcase, ask7_two_histories_differ_at_an_offset);
    suite_add_tcase(suite, tcase);
    return suite;
}
