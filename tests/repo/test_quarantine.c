/*
 * test_quarantine.c - one side of a conflict put aside: both contents stay, whatever goes wrong.
 */
#include "repo/quarantine.h"

#include "repo/repo_fixture.h"

#define SEGMENT "000000010000000000000003"
#define KEY     "wal/7301234567890123456/00000001/00000000/" SEGMENT

static struct repo_fixture self;
static struct cpam_err err;
static uint8_t kept[CONTENT_ID_SIZE];
static const struct quarantine_note note = {"the old primary", "dba@host", kept};

static void
begin(void)
{
    repo_fixture_begin(&self, false);
    memset(kept, 0xab, sizeof(kept));
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

static struct wal_item *
item_of(const char *name)
{
    struct wal_item *item = NULL;

    ck_ok(wal_item_read(io_posix(), fixture_path(name), name, REPO_SYSID, &item, &err), &err);
    return item;
}

/* The file of this name gets other content, and is pushed: what the answer is. */
static enum cpam_status
push_other(unsigned seed)
{
    bool was_there;

    wal_segment_file(SEGMENT, 3, seed);
    return wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err);
}

static bool
archived_is(unsigned seed)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    uint8_t *data = wal_bytes(REPO_SYSID, 1, 3 << 20, 1 << 20, seed);

    ck_ok(wal_pull(self.repo, SEGMENT, &back, &err), &err);
    bool same = back.size == 1 << 20 && memcmp(back.data, data, back.size) == 0;
    free(data);
    return same;
}

static enum cpam_status
take_one(void *arg, const struct quarantined *one, struct cpam_err *unused)
{
    struct quarantined **out = arg;

    (void) unused;
    *(*out)++ = *one;
    return CPAM_OK;
}

static size_t
listed(struct quarantined out[4])
{
    struct quarantined *at = out;

    ck_ok(quarantine_list(self.repo, take_one, &at, &err), &err);
    return (size_t) (at - out);
}

/* Two contents of one name: 1 is archived, 2 is the file. */
static void
conflict(void)
{
    ck_ok(push_other(1), &err);
    ck_assert_int_eq(push_other(2), CPAM_EXISTS);
}

START_TEST(ask7_local_content_in_quarantine_counts_as_archived)
{
    struct quarantined found[4];
    struct quarantine_record record;
    bool holds = true, was_there = false;

    conflict();
    CPAM_AUTO(wal_item_free) struct wal_item *item = item_of(SEGMENT);
    ck_ok(quarantine_holds(self.repo, item, &holds, &err), &err);
    ck_assert(!holds);
    for (int twice = 0; twice < 2; twice++)
        ck_ok(quarantine_put(self.repo, item, &note, &err), &err);
    ck_ok(quarantine_holds(self.repo, item, &holds, &err), &err);
    ck_assert(holds);
    ck_ok(wal_archive_put(self.repo, item, &was_there, &err), &err);
    ck_assert(was_there);
    ck_assert(archived_is(1));
    /* a third content is as unknown as ever */
    ck_assert_int_eq(push_other(3), CPAM_EXISTS);

    ck_assert_uint_eq(listed(found), 1);
    ck_assert_str_eq(found[0].name, SEGMENT);
    ck_assert_uint_eq(found[0].sysid, REPO_SYSID);
    ck_ok(quarantine_record_get(self.repo, &found[0], &record, &err), &err);
    ck_assert(!record.was_archived && record.has_kept);
    ck_assert_mem_eq(record.kept, kept, sizeof(kept));
    ck_assert_str_eq(record.reason, "the old primary");
    ck_assert_str_eq(record.by, "dba@host");
    ck_assert_uint_eq(record.bytes, 1 << 20);
}
END_TEST

START_TEST(ask7_stored_content_is_moved_and_its_name_is_free)
{
    struct quarantined found[4];
    struct quarantine_record record;
    struct quarantine_note silent = {"", "", NULL};

    conflict();
    ck_ok(quarantine_move(self.repo, REPO_SYSID, SEGMENT, &silent, &err), &err);
    ck_assert_uint_eq(listed(found), 1);
    ck_ok(quarantine_record_get(self.repo, &found[0], &record, &err), &err);
    ck_assert(record.was_archived && !record.has_kept);
    ck_ok(push_other(2), &err);
    ck_assert(archived_is(2));
    /* now the first content is the one put aside */
    ck_ok(push_other(1), &err);
    ck_assert(archived_is(2));
    ck_fails(quarantine_move(self.repo, REPO_SYSID, "000000010000000000000004", &note, &err),
             CPAM_NOT_FOUND, "repository \"primary\"", &err);
}
END_TEST

/* The bytes under quarantine/<16 hex>/KEY, or NULL. */
static struct memory_object *
aside(void)
{
    for (size_t i = 0; i < self.bucket.count; i++)
    {
        const char *key = self.bucket.objects[i].key;

        if (self.bucket.objects[i].count > 0 && strncmp(key, "quarantine/", 11) == 0 &&
            strcmp(key + 28, KEY) == 0)
            return &self.bucket.objects[i];
    }
    return NULL;
}

/* Each request is the last one that works: the content is under one of its names, and the next run
   goes on from there. */
START_TEST(ask7_move_cut_short_at_any_request_loses_nothing)
{
    conflict();
    for (int requests = 0;; requests++)
    {
        self.bucket.fail_all = CPAM_TRANSIENT;
        self.bucket.fail_after = requests;
        enum cpam_status status = quarantine_move(self.repo, REPO_SYSID, SEGMENT, &note, &err);
        self.bucket.fail_all = CPAM_OK;
        struct memory_object *there = memory_find(&self.bucket, KEY);
        bool named = there != NULL && there->count > 0;

        ck_assert_msg(named || aside() != NULL, "after %d requests the content is gone", requests);
        if (status == CPAM_OK)
        {
            ck_assert_int_gt(requests, 4);
            break;
        }
        ck_assert_int_eq(status, CPAM_TRANSIENT);
        /* gone, and only the last look at it failed */
        if (!named)
            break;
        ck_assert(archived_is(1));
    }
    ck_ok(push_other(2), &err);
    ck_assert(archived_is(2));
    ck_ok(push_other(1), &err);
}
END_TEST

START_TEST(ask7_put_cut_short_at_any_request_goes_on)
{
    conflict();
    CPAM_AUTO(wal_item_free) struct wal_item *item = item_of(SEGMENT);
    for (int requests = 0;; requests++)
    {
        bool was_there;

        self.bucket.fail_all = CPAM_TRANSIENT;
        self.bucket.fail_after = requests;
        enum cpam_status status = quarantine_put(self.repo, item, &note, &err);
        self.bucket.fail_all = CPAM_OK;
        if (status == CPAM_OK)
            break;
        ck_assert_int_eq(status, CPAM_TRANSIENT);
        /* without its record it is not put aside */
        ck_assert_int_eq(wal_archive_put(self.repo, item, &was_there, &err), CPAM_EXISTS);
    }
    ck_ok(push_other(2), &err);
    ck_assert(archived_is(1));
}
END_TEST

START_TEST(ask7_copy_that_is_not_the_original_keeps_it_in_place)
{
    conflict();
    ck_ok(quarantine_move(self.repo, REPO_SYSID, SEGMENT, &note, &err), &err);
    ck_ok(push_other(1), &err);
    ck_assert(archived_is(1));
    /* what lies in quarantine already is no copy of it */
    struct memory_version *copy = &aside()->versions[0];
    copy->data[copy->size / 2] ^= 1;
    ck_assert_int_ne(quarantine_move(self.repo, REPO_SYSID, SEGMENT, &note, &err), CPAM_OK);
    ck_assert(archived_is(1));
    /* nor does it count as put aside */
    copy->data[copy->size / 2] ^= 1;
    ck_ok(quarantine_move(self.repo, REPO_SYSID, SEGMENT, &note, &err), &err);
    ck_ok(push_other(2), &err);
    copy = &aside()->versions[0];
    copy->data[copy->size / 2] ^= 1;
    ck_assert_int_eq(push_other(1), CPAM_EXISTS);
}
END_TEST

START_TEST(ask7_what_is_put_aside_stays_bound_to_its_name)
{
    bool holds = true;

    conflict();
    ck_ok(quarantine_move(self.repo, REPO_SYSID, SEGMENT, &note, &err), &err);
    /* somebody lays it, with its record, beside another name */
    struct memory_object *there = aside();
    ck_assert_ptr_nonnull(there);
    char key[LAYOUT_KEY_MAX], record[LAYOUT_KEY_MAX + 8];

    snprintf(key, sizeof(key), "%.190s", there->key);
    snprintf(record, sizeof(record), "%s.json", key);
    key[strlen(key) - 1] = '5';
    memory_overwrite(&self.bucket, key, there->versions[0].data, there->versions[0].size);
    /* a copy: what is overwritten next moves the objects */
    const struct memory_version text = *memory_current(&self.bucket, record);
    snprintf(record, sizeof(record), "%s.json", key);
    memory_overwrite(&self.bucket, record, text.data, text.size);

    static const char other[] = "000000010000000000000005";
    uint8_t *data = wal_bytes(REPO_SYSID, 1, 5 << 20, 1 << 20, 1);

    wal_file(other, data, 1 << 20);
    free(data);
    CPAM_AUTO(wal_item_free) struct wal_item *item = item_of(other);
    ck_ok(quarantine_holds(self.repo, item, &holds, &err), &err);
    ck_assert(!holds);
}
END_TEST

START_TEST(ask7_damaged_object_is_moved_as_it_is_and_a_planted_one_is_not)
{
    conflict();
    struct memory_version *stored = memory_current(&self.bucket, KEY);
    stored->data[stored->size - 100] ^= 1;
    ck_assert_int_eq(push_other(2), CPAM_CORRUPT);
    ck_ok(quarantine_move(self.repo, REPO_SYSID, SEGMENT, &note, &err), &err);
    ck_ok(push_other(2), &err);
    ck_assert(archived_is(2));
    stored = memory_current(&self.bucket, KEY);
    stored->data[200] ^= 1;
    ck_assert_int_eq(quarantine_move(self.repo, REPO_SYSID, SEGMENT, &note, &err), CPAM_CORRUPT);
    ck_assert_ptr_nonnull(memory_find(&self.bucket, KEY));
}
END_TEST

START_TEST(ask7_where_versions_are_kept_an_administrator_takes_the_name_away)
{
    struct quarantined found[4];

    conflict();
    ck_assert_int_eq(quarantine_move(self.repo, REPO_SYSID, SEGMENT, &note, &err), CPAM_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.hint, "delete-object"));
    ck_assert_ptr_nonnull(strstr(err.hint, memory_current(&self.bucket, KEY)->id));
    ck_assert(archived_is(1));
    ck_assert_uint_eq(listed(found), 1);
    /* the other side works as anywhere */
    CPAM_AUTO(wal_item_free) struct wal_item *item = item_of(SEGMENT);
    ck_ok(quarantine_put(self.repo, item, &note, &err), &err);
    ck_ok(push_other(2), &err);
    ck_assert(archived_is(1));
}
END_TEST

START_TEST(P6_quarantine_takes_no_foreign_file)
{
    uint8_t *data = wal_bytes(4711, 1, 3 << 20, 1 << 20, 1);
    struct wal_item *item = NULL;

    wal_file(SEGMENT, data, 1 << 20);
    free(data);
    ck_ok(wal_item_read(io_posix(), fixture_path(SEGMENT), SEGMENT, 4711, &item, &err), &err);
    ck_assert_int_eq(quarantine_put(self.repo, item, &note, &err), CPAM_FOREIGN);
    wal_item_free(item);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/quarantine");
    TCase *plain = tcase_create("plain");
    TCase *versions = tcase_create("versions");

    tcase_add_checked_fixture(plain, begin, end);
    tcase_set_timeout(plain, 300);
    tcase_add_test(plain, ask7_local_content_in_quarantine_counts_as_archived);
    tcase_add_test(plain, ask7_stored_content_is_moved_and_its_name_is_free);
    tcase_add_test(plain, ask7_move_cut_short_at_any_request_loses_nothing);
    tcase_add_test(plain, ask7_put_cut_short_at_any_request_goes_on);
    tcase_add_test(plain, ask7_copy_that_is_not_the_original_keeps_it_in_place);
    tcase_add_test(plain, ask7_what_is_put_aside_stays_bound_to_its_name);
    tcase_add_test(plain, ask7_damaged_object_is_moved_as_it_is_and_a_planted_one_is_not);
    tcase_add_test(plain, P6_quarantine_takes_no_foreign_file);
    suite_add_tcase(suite, plain);
    tcase_add_checked_fixture(versions, begin_versioned, end);
    tcase_add_test(versions, ask7_where_versions_are_kept_an_administrator_takes_the_name_away);
    suite_add_tcase(suite, versions);
    return suite;
}
