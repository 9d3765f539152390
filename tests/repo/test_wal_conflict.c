/*
 * test_wal_conflict.c - several contents under one name: found, listed, and made by nobody else.
 */
#include "repo/repo_fixture.h"

#include "repo/quarantine.h"
#include "repo/wal_seal.h"

#define SEGMENT "000000010000000000000003"
#define KEY     "wal/7301234567890123456/00000001/00000000/" SEGMENT

static struct repo_fixture self;
static struct cpam_err err;
static struct archive_name name;

static void
begin(void)
{
    bool was_there;

    repo_fixture_begin(&self, false);
    wal_segment_file(SEGMENT, 3, 1);
    ck_ok(wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err), &err);
    ck_ok(archive_name_parse(SEGMENT, &name, &err), &err);
}

static void
end(void)
{
    repo_fixture_end_with_files(&self);
}

/* Lay the segment with this content beside the name, as a joined archive would have it. */
static void
lay_beside(unsigned seed, char key[LAYOUT_KEY_MAX])
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    uint8_t id[CONTENT_ID_SIZE];
    struct object_digest digest;

    wal_segment_file(SEGMENT, 3, seed);
    ck_ok(wal_item_read(io_posix(), fixture_path(SEGMENT), SEGMENT, REPO_SYSID, &item, &err), &err);
    ck_ok(wal_content_id(self.repo, item, KEY, id, &err), &err);
    layout_wal_beside(REPO_SYSID, &name, id, key);
    struct wal_sealing sealing = {.repo = self.repo, .item = item, .key = key};
    ck_ok(wal_seal_put(&sealing, NULL, &digest, &err), &err);
}

static enum cpam_status
look(void)
{
    return wal_archive_conflict(self.repo, REPO_SYSID, &name, NULL, &err);
}

START_TEST(F13_another_content_beside_a_segment_is_a_conflict)
{
    char one[LAYOUT_KEY_MAX], two[LAYOUT_KEY_MAX];

    ck_ok(look(), &err);
    lay_beside(2, one);
    ck_fails(look(), CPAM_EXISTS, "several contents of \"" SEGMENT "\"", &err);
    lay_beside(3, two);
    ck_fails(look(), CPAM_EXISTS, "\"" KEY "\"", &err);
    ck_assert_ptr_nonnull(strstr(err.text, one));
    ck_assert_ptr_nonnull(strstr(err.text, two));
    /* also where the plain name has none */
    memory_delete(&self.bucket, KEY);
    ck_fails(look(), CPAM_EXISTS, one, &err);
}
END_TEST

START_TEST(F13_the_same_content_once_more_is_none)
{
    char beside[LAYOUT_KEY_MAX];

    lay_beside(1, beside);
    ck_ok(look(), &err);
}
END_TEST

START_TEST(F13_what_anybody_could_plant_is_none)
{
    struct memory_version *stored = memory_current(&self.bucket, KEY);
    uint8_t *copy = malloc(stored->size);
    size_t size = stored->size;
    char other[LAYOUT_KEY_MAX];

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, stored->data, size);
    memory_overwrite(&self.bucket, KEY ".0123456789abcdef", "rubbish", 7);
    memory_overwrite(&self.bucket, KEY ".0123456789abcde0", copy, size); /* under another name */
    memory_overwrite(&self.bucket, KEY ".0123456789ABCDEF", copy, size);
    memory_overwrite(&self.bucket, KEY ".partial", copy, size);
    ck_ok(look(), &err);
    /* and it hides no true one */
    lay_beside(2, other);
    ck_fails(look(), CPAM_EXISTS, other, &err);
    free(copy);
}
END_TEST

START_TEST(F1_a_name_that_is_listed_is_told)
{
    static const uint8_t copy[64] = {0};
    bool listed = false;

    ck_ok(wal_archive_conflict(self.repo, REPO_SYSID, &name, &listed, &err), &err);
    ck_assert(listed);
    memory_delete(&self.bucket, KEY);
    memory_overwrite(&self.bucket, KEY "0", copy, sizeof(copy)); /* names that only begin so */
    memory_overwrite(&self.bucket, KEY ".partial", copy, sizeof(copy));
    memory_overwrite(&self.bucket, KEY "/x", copy, sizeof(copy));
    ck_ok(wal_archive_conflict(self.repo, REPO_SYSID, &name, &listed, &err), &err);
    ck_assert(!listed);
    ck_ok(archive_name_parse(SEGMENT ".partial", &name, &err), &err);
    ck_ok(wal_archive_conflict(self.repo, REPO_SYSID, &name, &listed, &err), &err);
    ck_assert(!listed);
}
END_TEST

START_TEST(F13_could_not_tell_is_no_answer)
{
    char beside[LAYOUT_KEY_MAX];

    lay_beside(2, beside);
    for (int requests = 0; requests < 3; requests++)
    {
        self.bucket.fail_all = CPAM_TRANSIENT;
        self.bucket.fail_after = requests;
        ck_assert_int_eq(look(), CPAM_TRANSIENT);
        self.bucket.fail_all = CPAM_OK;
    }
}
END_TEST

START_TEST(F13_name_that_is_free_while_its_content_is_in_quarantine)
{
    struct quarantine_note note = {"", "", NULL};
    bool aside = true;

    ck_ok(wal_archive_put_aside(self.repo, REPO_SYSID, &name, &aside, &err), &err);
    ck_assert(!aside);
    ck_ok(quarantine_move(self.repo, REPO_SYSID, SEGMENT, &note, &err), &err);
    ck_ok(wal_archive_put_aside(self.repo, REPO_SYSID, &name, &aside, &err), &err);
    ck_assert(aside);
    /* its record is what counts: a name in a listing is made by anybody */
    for (size_t i = 0; i < self.bucket.count; i++)
        if (strstr(self.bucket.objects[i].key, ".json") != NULL &&
            strncmp(self.bucket.objects[i].key, "quarantine/", 11) == 0)
            memory_delete(&self.bucket, self.bucket.objects[i].key);
    ck_ok(wal_archive_put_aside(self.repo, REPO_SYSID, &name, &aside, &err), &err);
    ck_assert(!aside);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/wal_conflict");
    TCase *plain = tcase_create("plain");

    tcase_set_timeout(plain, 120);
    tcase_add_checked_fixture(plain, begin, end);
    tcase_add_test(plain, F13_another_content_beside_a_segment_is_a_conflict);
    tcase_add_test(plain, F13_the_same_content_once_more_is_none);
    tcase_add_test(plain, F13_what_anybody_could_plant_is_none);
    tcase_add_test(plain, F1_a_name_that_is_listed_is_told);
    tcase_add_test(plain, F13_could_not_tell_is_no_answer);
    tcase_add_test(plain, F13_name_that_is_free_while_its_content_is_in_quarantine);
    suite_add_tcase(suite, plain);
    return suite;
}
