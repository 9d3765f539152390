/*
 * test_backup.c - labels, numbers, the chain of summaries, and what a missing one looks like.
 */
#include "repo/repo_fixture.h"

#include "repo/backup.h"
#include "repo/parents.h"
#include "repo/sequence.h"

static struct repo_fixture self;
static struct cpam_err err;

static void
begin(void)
{
    repo_fixture_begin(&self, false);
}

static void
begin_versioned(void)
{
    repo_fixture_begin(&self, true);
}

static void
end(void)
{
    repo_fixture_end_with_files(&self);
}

static struct backup_summary
summary_of(const char *label)
{
    struct backup_summary summary = repo_summary(label, 0x20);

    summary.files = 3;
    summary.bytes = 4096;
    summary.packs = 1;
    summary.stored_bytes = 2000;
    summary.has_checksums = true;
    snprintf(summary.snapshot, sizeof(summary.snapshot), "700:700:");
    summary.manifest_size = 1234;
    memset(summary.manifest_h, 0xab, SHA256_SIZE);
    memset(summary.manifest_d, 0xcd, SHA256_SIZE);
    return summary;
}

/* As every push does first. */
static void
reserve(const char *label)
{
    enum cpam_status status =
        backup_reserve(self.repo, label, REPO_SYSID, "", io_posix()->ops->now(io_posix()), &err);

    ck_assert(status == CPAM_OK || status == CPAM_EXISTS);
}

static void
commit(const char *label, struct backup_summary *out)
{
    *out = summary_of(label);
    reserve(label);
    ck_ok(backup_commit(self.repo, out, &err), &err);
}

static void
three(struct backup_summary out[3])
{
    commit("a", &out[0]);
    commit("b", &out[1]);
    commit("c", &out[2]);
}

static struct backup_list *
list(void)
{
    struct backup_list *found = NULL;

    ck_ok(backup_list_read(self.repo, &found, &err), &err);
    return found;
}

static bool
says(const struct backup_list *found, const char *words)
{
    for (size_t i = 0; i < found->finding_count; i++)
        if (strstr(found->findings[i], words) != NULL)
            return true;
    return false;
}

START_TEST(summary_comes_back_member_by_member)
{
    struct backup_summary put, got;

    commit("first", &put);
    ck_ok(backup_summary_read(self.repo, "first", &got, &err), &err);
    ck_assert_mem_eq(&put, &got, sizeof(put));
    ck_assert_uint_eq(got.seq, 1);
    ck_assert(!got.has_prev);
}
END_TEST

static struct backup_summary
incremental(void)
{
    struct backup_summary put = summary_of("third");

    snprintf(put.kind, sizeof(put.kind), BACKUP_INCREMENTAL);
    snprintf(put.epoch, sizeof(put.epoch), "first");
    put.packs = 12;
    ck_ok(parents_add(put.parents, "first", 7, &err), &err);
    ck_ok(parents_add(put.parents, "second", 2, &err), &err);
    return put;
}

START_TEST(B3_summary_of_an_incremental_names_its_parents)
{
    struct backup_summary put = incremental(), got;
    char label[BACKUP_LABEL_MAX];
    const char *at = got.parents;
    uint64_t packs;

    reserve(put.label);
    ck_ok(backup_commit(self.repo, &put, &err), &err);
    ck_ok(backup_summary_read(self.repo, "third", &got, &err), &err);
    ck_assert_mem_eq(&put, &got, sizeof(put));
    ck_assert(parents_next(&at, label, &packs));
    ck_assert_str_eq(label, "first");
    ck_assert_uint_eq(packs, 7);
    ck_assert(parents_next(&at, label, &packs));
    ck_assert(!parents_next(&at, label, &packs));
    ck_assert_uint_eq(parents_count(got.parents, &packs), 2);
    ck_assert_uint_eq(packs, 9);
    ck_assert_int_eq(parents_find(got.parents, "second"), 1);
    ck_assert_int_eq(parents_find(got.parents, "sec"), -1);
}
END_TEST

static const struct
{
    const char *kind, *epoch, *parents, *words;
} senseless[] = {
    {BACKUP_FULL, "first", "", "\"epoch\""},
    {BACKUP_INCREMENTAL, "third", "", "\"epoch\""},
    {BACKUP_INCREMENTAL, "no/label", "", "\"epoch\""},
    {"differential", "first", "", "\"kind\""},
    {BACKUP_FULL, "third", "first 1\n", "\"parents\""},
    {BACKUP_INCREMENTAL, "first", "third 1\n", "\"packs\""},
    {BACKUP_INCREMENTAL, "first", "no/label 1\n", "\"parents\""},
    {BACKUP_INCREMENTAL, "first", "first 1\nfirst 1\n", "\"packs\""},
};

START_TEST(B3_summary_that_makes_no_sense_is_refused)
{
    struct backup_summary put = summary_of("third"), got;

    snprintf(put.kind, sizeof(put.kind), "%s", senseless[_i].kind);
    snprintf(put.epoch, sizeof(put.epoch), "%s", senseless[_i].epoch);
    snprintf(put.parents, sizeof(put.parents), "%s", senseless[_i].parents);
    put.packs = 5;
    reserve(put.label);
    ck_ok(backup_commit(self.repo, &put, &err), &err);
    ck_fails(backup_summary_read(self.repo, "third", &got, &err), CPAM_CORRUPT, senseless[_i].words,
             &err);
}
END_TEST

START_TEST(B3_parents_have_an_end)
{
    char parents[BACKUP_PARENTS_MAX] = "", label[BACKUP_LABEL_MAX];
    unsigned count = 0;

    ck_ok(parents_add(parents, "twice", 1, &err), &err);
    ck_fails(parents_add(parents, "twice", 1, &err), CPAM_INVALID, "twice", &err);
    parents[0] = '\0';
    do
        snprintf(label, sizeof(label), "cpam_backup_20260101_%06u", count++);
    while (parents_add(parents, label, 1, &err) == CPAM_OK);
    ck_assert_int_eq(err.status, CPAM_INVALID);
    ck_assert_uint_gt(count, 168); /* one each hour, for a week */
    ck_assert_uint_eq(parents_count(parents, NULL), count - 1);
}
END_TEST

START_TEST(fault8_numbers_and_digests_chain)
{
    struct backup_summary made[3];
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    three(made);
    ck_assert_uint_eq(made[2].seq, 3);
    ck_assert(made[2].has_prev);
    ck_assert_mem_eq(made[2].prev, made[1].digest, SHA256_SIZE);
    found = list();
    ck_assert_uint_eq(found->count, 3);
    ck_assert_uint_eq(found->finding_count, 0);
    ck_assert(!found->proven_loss);
}
END_TEST

START_TEST(fault8_backup_taken_from_the_middle_is_proven)
{
    struct backup_summary made[3];
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    three(made);
    memory_delete(&self.bucket, "backup/b/summary.json");
    found = list();
    ck_assert_uint_eq(found->count, 2);
    ck_assert(found->proven_loss);
    ck_assert(says(found, "follows one that is not here"));
}
END_TEST

START_TEST(fault8_newest_backup_taken_away_is_proven)
{
    struct backup_summary made[3];
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    three(made);
    memory_delete(&self.bucket, "backup/c/summary.json");
    found = list();
    ck_assert_uint_eq(found->count, 2);
    ck_assert(found->proven_loss);
    ck_assert(says(found, "was numbered, and its summary is not here"));
}
END_TEST

START_TEST(fault8_newest_backup_taken_away_is_proven_after_the_next_one_too)
{
    struct backup_summary made[3], next;
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    three(made);
    memory_delete(&self.bucket, "backup/c/summary.json");
    next = made[2];
    snprintf(next.label, sizeof(next.label), "d");
    snprintf(next.epoch, sizeof(next.epoch), "d");
    reserve(next.label);
    ck_ok(backup_commit(self.repo, &next, &err), &err);
    ck_assert_uint_eq(next.seq, made[2].seq + 1);
    ck_assert_mem_eq(next.prev, made[2].digest, SHA256_SIZE);
    found = list();
    ck_assert_uint_eq(found->count, 3);
    ck_assert(found->proven_loss);
}
END_TEST

static void
bury(const struct backup_summary *summary)
{
    struct backup_mark mark = {.seq = summary->seq};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char key[LAYOUT_KEY_MAX];

    snprintf(mark.label, sizeof(mark.label), "%s", summary->label);
    memcpy(mark.digest, summary->digest, SHA256_SIZE);
    layout_tomb(summary->label, key);
    ck_ok(backup_mark_sign(self.repo, key, &mark, &text, &err), &err);
    memory_overwrite(&self.bucket, key, text.data, text.size);
}

START_TEST(fault8_lawful_removal_leaves_a_tombstone_and_no_finding)
{
    struct backup_summary made[3];
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    three(made);
    bury(&made[1]);
    found = list();
    ck_assert_uint_eq(found->count, 2); /* buried, though still there */
    backup_list_free(found);
    memory_delete(&self.bucket, "backup/b/summary.json");
    found = list();
    ck_assert_uint_eq(found->count, 2);
    ck_assert_uint_eq(found->finding_count, 0);
    ck_assert(!found->proven_loss);
}
END_TEST

START_TEST(fault9_planted_tombstone_buries_nothing)
{
    static const char forged[] = "{\"format\":1,\"label\":\"b\",\"seq\":\"2\"}\n";
    struct backup_summary made[3];
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    three(made);
    memory_overwrite(&self.bucket, "tomb/b", forged, sizeof(forged) - 1);
    found = list();
    ck_assert_uint_eq(found->count, 3);
    ck_assert(says(found, "does not count"));
    /* nor does a genuine one under another label */
    backup_list_free(found);
    bury(&made[0]);
    struct memory_version *tomb = memory_current(&self.bucket, "tomb/a");
    memory_overwrite(&self.bucket, "tomb/c", tomb->data, tomb->size);
    found = list();
    ck_assert_uint_eq(found->count, 2);
}
END_TEST

START_TEST(fault9_forged_or_moved_summary_is_no_backup)
{
    struct backup_summary made[3];
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    three(made);
    struct memory_version *stored = memory_current(&self.bucket, "backup/a/summary.json");
    memory_overwrite(&self.bucket, "backup/z/summary.json", stored->data, stored->size);
    stored = memory_current(&self.bucket, "backup/b/summary.json");
    char *major = strstr((char *) stored->data, "\"major\":15");
    ck_assert_ptr_nonnull(major);
    major[9] = '6';
    found = list();
    ck_assert_uint_eq(found->count, 2);
    ck_assert(says(found, "backup \"z\" does not count"));
    ck_assert(says(found, "backup \"b\" does not count"));
    ck_assert(found->proven_loss);
}
END_TEST

/* A repository whose newest backup was damaged takes the next one, which tells of the loss. */
START_TEST(fault8_damaged_summary_stops_no_later_backup)
{
    struct backup_summary put[3], next;

    three(put);
    for (size_t i = 0; i < self.bucket.count; i++)
    {
        struct memory_object *object = &self.bucket.objects[i];

        if (strcmp(object->key, "backup/c/summary.json") == 0)
            object->versions[object->count - 1].data[20] ^= 1;
    }
    commit("d", &next);
    ck_assert_uint_eq(next.seq, 4);
    ck_assert(next.has_prev);
    ck_assert_mem_eq(next.prev, put[2].digest, SHA256_SIZE);
    CPAM_AUTO(backup_list_free) struct backup_list *found = list();
    ck_assert_uint_eq(found->count, 3);
    ck_assert(found->proven_loss);
    ck_assert(says(found, "backup \"c\" does not count"));
    ck_assert(says(found, "backup \"d\" (number 4) follows one that is not here"));
}
END_TEST

START_TEST(planted_numbers_do_not_count)
{
    struct backup_summary made, next;
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    commit("a", &made);
    memory_overwrite(&self.bucket, "seq/18446744073709551615", "x", 1);
    memory_overwrite(&self.bucket, "seq/00000000000000000002", "x", 1);
    memory_overwrite(&self.bucket, "seq/00000000000000000077", "x", 1);
    commit("b", &next);
    ck_assert_uint_eq(next.seq, 3);
    ck_assert_mem_eq(next.prev, made.digest, SHA256_SIZE);
    found = list();
    ck_assert_uint_eq(found->count, 2);
    ck_assert(!found->proven_loss);
}
END_TEST

/* A push dies after so many requests of its commit; the next one settles what is left. */
START_TEST(B8_commit_that_dies_at_any_request)
{
    struct backup_summary made = summary_of("b"), first, next;
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    commit("a", &first);
    reserve("b");
    self.bucket.fail_all = CPAM_TRANSIENT;
    self.bucket.fail_after = _i;
    enum cpam_status status = backup_commit(self.repo, &made, &err);
    self.bucket.fail_all = CPAM_OK;
    found = list();
    ck_assert_uint_eq(found->count, status == CPAM_OK ? 2 : 1);
    backup_list_free(found);
    commit("c", &next);
    found = list();
    ck_assert(!found->proven_loss);
    ck_assert_uint_eq(found->finding_count, 0);
    /* with its number claimed and its bytes in the state directory, it was finished */
    ck_assert_uint_ge(found->count, 2);
    ck_assert_uint_le(found->count, 3);
    ck_assert_str_eq(found->items[found->count - 1].label, "c");
    ck_assert_mem_eq(next.prev, found->items[found->count - 2].digest, SHA256_SIZE);
}
END_TEST

START_TEST(number_without_a_summary_is_passed_over_provably)
{
    struct backup_summary made[3], next;
    char uuid[TEXT_UUID_MAX], committed[64];
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    three(made);
    /* its bytes are in no state directory: as if the host was lost with it */
    memory_delete(&self.bucket, "backup/c/summary.json");
    text_format_uuid(keyring_uuid(self.keyring), uuid);
    snprintf(committed, sizeof(committed), "committed-%s.json", uuid);
    ck_assert_int_eq(unlink(fixture_path(committed)), 0);
    commit("d", &next);
    ck_assert_uint_eq(next.seq, 4);
    ck_assert_mem_eq(next.prev, made[1].digest, SHA256_SIZE);
    found = list();
    ck_assert_uint_eq(found->count, 3);
    ck_assert(!found->proven_loss);
}
END_TEST

START_TEST(lost_answers_of_a_commit_are_success)
{
    struct backup_summary made = summary_of("a");
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    reserve(made.label);
    self.bucket.lose_put_answer = true;
    ck_ok(backup_commit(self.repo, &made, &err), &err);
    ck_assert_uint_eq(made.seq, 1);
    found = list();
    ck_assert_uint_eq(found->count, 1);
}
END_TEST

START_TEST(label_is_reserved_once)
{
    const int64_t now = INT64_C(1704074400999999);
    char label[BACKUP_LABEL_MAX], next[BACKUP_LABEL_MAX];

    ck_ok(backup_label_at("cpam_backup_", now, label, &err), &err);
    ck_assert_str_eq(label, "cpam_backup_20240101_020000");
    ck_ok(backup_label_at("cpam_backup_", now + 1, next, &err), &err);
    ck_assert_str_eq(next, "cpam_backup_20240101_020001");
    ck_ok(backup_reserve(self.repo, label, REPO_SYSID, "a 1\nb 2\n", now, &err), &err);
    ck_assert_int_eq(backup_reserve(self.repo, label, REPO_SYSID, "", now + 1, &err), CPAM_EXISTS);
    ck_ok(backup_reserve(self.repo, next, REPO_SYSID, "", now + 1, &err), &err);
    ck_fails(backup_label_at("not/a/label", now, label, &err), CPAM_INVALID,
             "is not a backup label", &err);
    ck_fails(backup_label_at("a_prefix_that_is_much_longer_than_a_label_may_ever_become_with_it",
                             now, label, &err),
             CPAM_USAGE, "is too long", &err);
}
END_TEST

START_TEST(fault5_backup_under_a_delete_marker_is_listed)
{
    struct backup_summary made[3];
    CPAM_AUTO(backup_list_free) struct backup_list *found = NULL;

    three(made);
    memory_delete(&self.bucket, "backup/b/summary.json");
    memory_delete(&self.bucket, "backup/c/summary.json");
    found = list();
    ck_assert_uint_eq(found->count, 3);
    ck_assert_str_eq(found->items[2].label, "c");
    ck_assert(says(found, "backup \"c\" (number 3) is hidden from listings"));
    ck_assert(!found->proven_loss);
}
END_TEST

START_TEST(backup_from_the_future_is_listed_and_told)
{
    struct backup_summary early = summary_of("a"), late = summary_of("b");

    late.start_time = io_posix()->ops->now(io_posix()) + (int64_t) 400 * 86400 * 1000000;
    late.stop_time = late.start_time + 1000000;
    reserve(early.label);
    ck_ok(backup_commit(self.repo, &early, &err), &err);
    reserve(late.label);
    ck_ok(backup_commit(self.repo, &late, &err), &err);
    CPAM_AUTO(backup_list_free) struct backup_list *found = list();
    ck_assert_uint_eq(found->count, 2);
    ck_assert(says(found, "backup \"b\" says it began in the future"));
    ck_assert(!says(found, "\"a\""));
    ck_assert(!found->proven_loss);
}
END_TEST

/* Names that no backup can have, from whoever else writes there. */
START_TEST(strange_names_among_the_backups_are_passed_over)
{
    struct backup_summary made[3];
    char longest[160];

    three(made);
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "backup/", 7);
    memcpy(longest + sizeof(longest) - 14, "/summary.json", 14);
    memory_overwrite(&self.bucket, longest, "{}", 2);
    memory_overwrite(&self.bucket, "backup/.hidden/summary.json", "{}", 2);
    memory_overwrite(&self.bucket, "backup/stray", "{}", 2);
    memory_overwrite(&self.bucket, "backup/unfinished/pack", "x", 1);
    CPAM_AUTO(backup_list_free) struct backup_list *found = list();
    ck_assert_uint_eq(found->count, 3);
    ck_assert_uint_eq(found->finding_count, 0);
}
END_TEST

START_TEST(store_that_fails_is_no_empty_list)
{
    struct backup_summary made[3];
    struct backup_list *found = NULL;

    three(made);
    self.bucket.fail_all = CPAM_TRANSIENT;
    self.bucket.fail_after = _i;
    ck_fails(backup_list_read(self.repo, &found, &err), CPAM_TRANSIENT, "does not want to", &err);
    ck_assert_ptr_null(found);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/backup");
    TCase *tcase = tcase_create("backup");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, summary_comes_back_member_by_member);
    tcase_add_test(tcase, B3_summary_of_an_incremental_names_its_parents);
    tcase_add_loop_test(tcase, B3_summary_that_makes_no_sense_is_refused, 0,
                        sizeof(senseless) / sizeof(senseless[0]));
    tcase_add_test(tcase, B3_parents_have_an_end);
    tcase_add_test(tcase, backup_from_the_future_is_listed_and_told);
    tcase_add_test(tcase, strange_names_among_the_backups_are_passed_over);
    tcase_add_test(tcase, fault8_numbers_and_digests_chain);
    tcase_add_test(tcase, fault8_backup_taken_from_the_middle_is_proven);
    tcase_add_test(tcase, fault8_newest_backup_taken_away_is_proven);
    tcase_add_test(tcase, fault8_newest_backup_taken_away_is_proven_after_the_next_one_too);
    tcase_add_test(tcase, fault8_lawful_removal_leaves_a_tombstone_and_no_finding);
    tcase_add_test(tcase, fault9_planted_tombstone_buries_nothing);
    tcase_add_test(tcase, fault9_forged_or_moved_summary_is_no_backup);
    tcase_add_test(tcase, fault8_damaged_summary_stops_no_later_backup);
    tcase_add_test(tcase, planted_numbers_do_not_count);
    tcase_add_loop_test(tcase, B8_commit_that_dies_at_any_request, 0, 14);
    tcase_add_test(tcase, number_without_a_summary_is_passed_over_provably);
    tcase_add_test(tcase, lost_answers_of_a_commit_are_success);
    tcase_add_test(tcase, label_is_reserved_once);
    tcase_add_loop_test(tcase, store_that_fails_is_no_empty_list, 0, 6);
    suite_add_tcase(suite, tcase);
    TCase *versioned = tcase_create("versioned");

    tcase_add_checked_fixture(versioned, begin_versioned, end);
    tcase_add_test(versioned, fault5_backup_under_a_delete_marker_is_listed);
    suite_add_tcase(suite, versioned);
    return suite;
}
