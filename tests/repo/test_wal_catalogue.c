/*
 * test_wal_catalogue.c - what listings tell of the archive.
 */
#include "repo/repo_fixture.h"

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

static enum cpam_status
collect(void *arg, struct segment segment, uint64_t size, int64_t modified, struct cpam_err *e)
{
    char *text = arg;

    (void) size;
    (void) modified;
    (void) e;
    snprintf(text + strlen(text), 64, "%" PRIu32 ":%" PRIu64 " ", segment.timeline.id,
             segment.number);
    return CPAM_OK;
}

START_TEST(catalogue_tells_what_is_there)
{
    static const char prefix[] = "wal/7301234567890123456/";
    static const char *const keys[] = {"00000001/00000000/000000010000000000000003",
                                       "00000001/00000000/000000010000000000000004",
                                       "00000001/00000000/000000010000000000000004.00000028.backup",
                                       "00000001/00000000/000000010000000000000005.partial",
                                       "00000001/00000000/junk",
                                       "00000001/00000002/000000010000000000000009",
                                       "00000001/00000001/000000010000000100000002",
                                       "0000000A/00000001/0000000A0000000100000000",
                                       "0000000A.history",
                                       "00000003.history.junk"};
    char text[512] = "", key[LAYOUT_KEY_MAX];
    struct timeline timelines[8];
    struct archive_name name;
    size_t count;
    bool yes;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
    {
        snprintf(key, sizeof(key), "%s%s", prefix, keys[i]);
        memory_overwrite(&self.bucket, key, "x", 1);
    }
    ck_ok(wal_archive_segments(self.repo, REPO_SYSID, (struct segment){{1}, 0}, 16 << 20, collect,
                               text, &err),
          &err);
    ck_assert_str_eq(text, "1:3 1:4 1:258 ");
    text[0] = '\0';
    ck_ok(wal_archive_segments(self.repo, REPO_SYSID, (struct segment){{1}, 4}, 16 << 20, collect,
                               text, &err),
          &err);
    ck_assert_str_eq(text, "1:4 1:258 ");
    ck_ok(wal_archive_timelines(self.repo, REPO_SYSID, timelines, 8, &count, &err), &err);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(timelines[0].id, 1);
    ck_assert_uint_eq(timelines[1].id, 10);
    ck_ok(archive_name_parse("000000010000000000000007", &name, &err), &err);
    ck_ok(wal_archive_later_exists(self.repo, REPO_SYSID, &name, &yes, &err), &err);
    ck_assert(yes);
    ck_ok(archive_name_parse("000000010000000100000002", &name, &err), &err);
    ck_ok(wal_archive_later_exists(self.repo, REPO_SYSID, &name, &yes, &err), &err);
    ck_assert(!yes);
    self.bucket.fail_all = CPAM_TRANSIENT;
    ck_fails(wal_archive_later_exists(self.repo, REPO_SYSID, &name, &yes, &err), CPAM_TRANSIENT, "",
             &err);
}
END_TEST

START_TEST(trap25_lost_history_is_known_all_the_same)
{
    static const char history[] = "1\t0/300000\ta\n2\t0/500000\tb\n";
    bool known = true;

    ck_ok(wal_archive_timeline_known(self.repo, REPO_SYSID, (struct timeline){2}, &known, &err),
          &err);
    ck_assert(!known);
    wal_file("00000003.history", history, sizeof(history) - 1);
    wal_push_ok(self.repo, "00000003.history", false);
    /* 3 names 2 as an ancestor; nothing names 4 */
    ck_ok(wal_archive_timeline_known(self.repo, REPO_SYSID, (struct timeline){2}, &known, &err),
          &err);
    ck_assert(known);
    ck_ok(wal_archive_timeline_known(self.repo, REPO_SYSID, (struct timeline){4}, &known, &err),
          &err);
    ck_assert(!known);
    /* a segment of it is enough */
    memory_overwrite(&self.bucket,
                     "wal/7301234567890123456/00000004/00000000/000000040000000000000009", "x", 1);
    ck_ok(wal_archive_timeline_known(self.repo, REPO_SYSID, (struct timeline){4}, &known, &err),
          &err);
    ck_assert(known);
}
END_TEST

/* Timeline 3 came from 2 in segment 5, that from 1 at the very beginning of segment 3. */
START_TEST(F1_a_branch_needs_what_lies_before_it)
{
    static const char history[] = "1\t0/300000\ta\n2\t0/500028\tb\n";
    static const struct
    {
        uint32_t timeline, branch;
        uint64_t number;
    } rows[] = {{1, 3, 1}, {1, 3, 2}, {1, 0, 3}, {2, 3, 4}, {2, 0, 5}, {3, 0, 1}, {4, 0, 1}};
    struct timeline branch;

    wal_file("00000003.history", history, sizeof(history) - 1);
    wal_push_ok(self.repo, "00000003.history", false);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    {
        struct segment segment = {{rows[i].timeline}, rows[i].number};

        ck_ok(wal_archive_branch_later(self.repo, REPO_SYSID, segment, 1 << 20, &branch, &err),
              &err);
        ck_assert_msg(branch.id == rows[i].branch, "row %zu: %u", i, branch.id);
    }
    self.bucket.fail_all = CPAM_TRANSIENT;
    ck_fails(wal_archive_branch_later(self.repo, REPO_SYSID, (struct segment){{1}, 1}, 1 << 20,
                                      &branch, &err),
             CPAM_TRANSIENT, "", &err);
}
END_TEST

START_TEST(P6_trap28_an_upgraded_cluster_does_not_collide)
{
    static const char name[] = "000000010000000000000003";
    struct cluster_record upgraded = {REPO_SYSID + 1, 16, 1 << 20};
    CPAM_AUTO(free) uint8_t *data = wal_bytes(REPO_SYSID + 1, 1, 3 << 20, 1 << 20, 9);
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    CPAM_AUTO(sink_free) struct sink *to = NULL;
    struct object_header header;
    uint64_t known[4];
    size_t count;
    bool was_there;

    wal_segment_file(name, 3, 1);
    wal_push_ok(self.repo, name, false);
    /* pg_upgrade: timeline 1 and the same names again, under a new system identifier */
    wal_file(name, data, 1 << 20);
    ck_fails(wal_push(self.repo, name, 0, &was_there, &err), CPAM_FOREIGN, "7301234567890123457",
             &err);
    ck_ok(cluster_record_put(self.repo, &upgraded, &err), &err);
    ck_ok(wal_push(self.repo, name, 0, &was_there, &err), &err);
    ck_assert(!was_there);
    ck_ok(cluster_record_list(self.repo, known, 4, &count, &err), &err);
    ck_assert_uint_eq(count, 2);
    ck_ok(sink_buf_push(&to, &back, 2 << 20, &err), &err);
    ck_ok(wal_archive_get(self.repo, REPO_SYSID + 1, name, to, &header, &err), &err);
    ck_assert_uint_eq(back.size, 1 << 20);
    ck_assert_mem_eq(back.data, data, back.size);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/wal_catalogue");
    TCase *tcase = tcase_create("catalogue");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, P6_trap28_an_upgraded_cluster_does_not_collide);
    tcase_add_test(tcase, catalogue_tells_what_is_there);
    tcase_add_test(tcase, trap25_lost_history_is_known_all_the_same);
    tcase_add_test(tcase, F1_a_branch_needs_what_lies_before_it);
    suite_add_tcase(suite, tcase);
    return suite;
}
