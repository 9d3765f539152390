/*
 * test_wal_put.c - many puts through one repository: what is asked of the store, and when.
 */
#include "repo/repo_fixture.h"

#define SEGMENT "000000010000000000000003"
#define SECOND  "000000010000000000000004"
#define KEY     "wal/7301234567890123456/00000001/00000000/" SEGMENT

static struct repo_fixture self;
static struct cpam_err err;
static int in_gate, entered;

static void
enter(void *arg)
{
    (void) arg;
    in_gate++;
    entered++;
}

static void
leave(void *arg)
{
    (void) arg;
    in_gate--;
}

static const struct wal_gate gate = {enter, leave, NULL};
static const struct wal_put_how absent = {.probably_absent = true, .gate = &gate};

static void
begin(void)
{
    repo_fixture_begin(&self, false);
    self.bucket.refuses = true;
    self.bucket.gate = &in_gate;
    in_gate = entered = 0;
}

static void
end(void)
{
    repo_fixture_end_with_files(&self);
}

static enum cpam_status
put(struct repo *repo, const char *name, bool *was_there)
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;

    CPAM_TRY(wal_item_read(io_posix(), fixture_path(name), name, 0, &item, &err));
    return wal_archive_put_how(repo, item, &absent, was_there, &err);
}

START_TEST(P1_probably_absent_is_put_at_once_where_the_store_refuses)
{
    CPAM_AUTO(repo_free) struct repo *second = NULL;
    bool was_there = true;

    wal_segment_file(SEGMENT, 3, 1);
    wal_segment_file(SECOND, 4, 1);
    ck_ok(put(self.repo, SEGMENT, &was_there), &err);
    ck_assert(!was_there);
    ck_assert_uint_eq(self.bucket.probed, 1);
    /* what was found out holds for every connection of this process */
    ck_ok(repo_another(self.repo, &second, &err), &err);
    self.bucket.requests = self.bucket.bodies = 0;
    ck_ok(put(second, SECOND, &was_there), &err);
    ck_assert(!was_there);
    ck_assert_uint_eq(self.bucket.requests, 1);
    ck_assert_uint_eq(self.bucket.bodies, 1);
    ck_assert_uint_eq(self.bucket.probed, 1);
}
END_TEST

START_TEST(P1_probably_absent_is_looked_for_where_the_store_may_overwrite)
{
    bool was_there = true;

    self.bucket.refuses = false;
    wal_segment_file(SEGMENT, 3, 1);
    ck_ok(put(self.repo, SEGMENT, &was_there), &err);
    for (int again = 0; again < 2; again++)
    {
        self.bucket.requests = self.bucket.bodies = 0;
        ck_ok(put(self.repo, SEGMENT, &was_there), &err);
        ck_assert(was_there);
        ck_assert_uint_eq(self.bucket.bodies, 0);
        ck_assert_uint_eq(self.bucket.requests, 1);
    }
    ck_assert_uint_eq(self.bucket.probed, 1);
}
END_TEST

START_TEST(P1_P2_a_wrong_guess_compares_as_ever)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf before = {0};
    bool was_there = false;

    wal_segment_file(SEGMENT, 3, 1);
    ck_ok(put(self.repo, SEGMENT, &was_there), &err);
    struct memory_version *stored = memory_current(&self.bucket, KEY);
    ck_ok(cpam_buf_append(&before, stored->data, stored->size, 1 << 24, &err), &err);
    self.bucket.settled = 0;
    ck_ok(put(self.repo, SEGMENT, &was_there), &err);
    ck_assert(was_there);
    ck_assert_uint_eq(self.bucket.settled, 1);
    wal_segment_file(SEGMENT, 3, 2);
    ck_fails(put(self.repo, SEGMENT, &was_there), CPAM_EXISTS, "is archived with other content",
             &err);
    stored = memory_current(&self.bucket, KEY);
    ck_assert_uint_eq(stored->size, before.size);
    ck_assert_mem_eq(stored->data, before.data, before.size);
}
END_TEST

START_TEST(P3_lost_answer_to_a_put_made_at_once_is_no_conflict)
{
    bool was_there = true;

    wal_segment_file(SEGMENT, 3, 1);
    self.bucket.lose_put_answer = true;
    ck_ok(put(self.repo, SEGMENT, &was_there), &err);
    ck_assert(!was_there);
}
END_TEST

START_TEST(P6_cluster_is_asked_for_until_it_is_registered)
{
    uint8_t *data = wal_bytes(99, 1, 3 << 20, 1 << 20, 1);
    struct cluster_record record = {99, 15, 1 << 20};
    bool was_there;

    wal_file(SEGMENT, data, 1 << 20);
    free(data);
    for (int again = 0; again < 2; again++)
        ck_fails(put(self.repo, SEGMENT, &was_there), CPAM_FOREIGN, "99 is not registered", &err);
    ck_assert_int_eq(entered, 0); /* nothing was sealed for it */
    ck_ok(cluster_record_put(self.repo, &record, &err), &err);
    ck_ok(put(self.repo, SEGMENT, &was_there), &err);
}
END_TEST

/* The store asserts that nobody is in the gate (memory_store.c). */
START_TEST(gate_is_held_while_sealing_and_never_for_the_store)
{
    bool was_there;

    wal_segment_file(SEGMENT, 3, 1);
    ck_ok(put(self.repo, SEGMENT, &was_there), &err);
    ck_assert_int_eq(entered, 1);
    ck_assert_int_eq(in_gate, 0);
    wal_segment_file(SECOND, 4, 1);
    self.bucket.fail_all = CPAM_TRANSIENT;
    ck_assert_int_eq(put(self.repo, SECOND, &was_there), CPAM_TRANSIENT);
    ck_assert_int_eq(in_gate, 0);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/wal_put");
    TCase *tcase = tcase_create("wal_put");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, P1_probably_absent_is_put_at_once_where_the_store_refuses);
    tcase_add_test(tcase, P1_probably_absent_is_looked_for_where_the_store_may_overwrite);
    tcase_add_test(tcase, P1_P2_a_wrong_guess_compares_as_ever);
    tcase_add_test(tcase, P3_lost_answer_to_a_put_made_at_once_is_no_conflict);
    tcase_add_test(tcase, P6_cluster_is_asked_for_until_it_is_registered);
    tcase_add_test(tcase, gate_is_held_while_sealing_and_never_for_the_store);
    suite_add_tcase(suite, tcase);
    return suite;
}
