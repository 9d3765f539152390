/*
 * test_wal_pass.c - segments that pass frame by frame, where it is known whether versions are kept.
 */
#include "repo/wal_stores.h"

#define SEGMENT "000000010000000000000003"

/* One request where there are no versions; where they are kept, a listing before it. */
START_TEST(F5_told_segment_is_read_once)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};

    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    unsigned before = self.bucket.requests;
    ck_ok(wal_pull(self.repo, SEGMENT, &back, &err), &err);
    ck_assert_uint_eq(self.bucket.requests - before, self.bucket.versioned ? 2 : 1);
}
END_TEST

/* Frames leave before the object is whole, and none of that looks like the archive's end. */
START_TEST(F1_told_segment_that_goes_while_it_passes_is_unknown)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    uint32_t size = 4 << 20;
    uint8_t *data = wal_bytes(REPO_SYSID, 1, (uint64_t) 3 * size, size, 1);

    repo_free(self.repo);
    self.settings.wal_codec = CODEC_NONE;
    repo_fixture_open(&self);
    wal_file(SEGMENT, data, size);
    wal_push_ok(self.repo, SEGMENT, false);
    self.bucket.lose_after = 5 << 19;
    ck_ok(sink_buf_push(&chain, &back, SIZE_MAX / 2, &err), &err);
    ck_fails(wal_archive_get(self.repo, REPO_SYSID, SEGMENT, chain, NULL, &err), CPAM_UNKNOWN,
             "vanished while", &err);
    ck_assert_uint_eq(back.size, 2 << 20);
    ck_assert_mem_eq(back.data, data, back.size);
    free(data);
}
END_TEST

/* Versioning was switched on since somebody asked: which version this is has to be looked at. */
START_TEST(fault5_version_in_a_store_that_kept_none_is_not_believed)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};

    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    self.bucket.keeping = STORE_KEEPS_NO_VERSIONS;
    ck_fails(wal_pull(self.repo, SEGMENT, &back, &err), CPAM_TRANSIENT, "kept none a moment ago",
             &err);
    self.bucket.keeping = STORE_KEEPS_VERSIONS;
    ck_ok(wal_pull(self.repo, SEGMENT, &back, &err), &err);
}
END_TEST

Suite *
suite(void)
{
    static const struct
    {
        const char *name;
        SFun begin;
    } stores[] = {{"told", begin_told}, {"versioned_told", begin_versioned_told}};
    Suite *suite = suite_create("repo/wal_pass");
    TCase *versioned = tcase_create("versioned");

    for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
    {
        TCase *told = tcase_create(stores[i].name);

        tcase_set_timeout(told, 120);
        tcase_add_checked_fixture(told, stores[i].begin, end);
        tcase_add_test(told, F5_told_segment_is_read_once);
        tcase_add_test(told, F1_told_segment_that_goes_while_it_passes_is_unknown);
        suite_add_tcase(suite, told);
    }
    tcase_add_checked_fixture(versioned, begin_versioned, end);
    tcase_add_test(versioned, fault5_version_in_a_store_that_kept_none_is_not_believed);
    suite_add_tcase(suite, versioned);
    return suite;
}
