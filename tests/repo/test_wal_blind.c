/*
 * test_wal_blind.c - the archive seen by a host that can seal and sign, and open nothing.
 */
#include "repo/repo_fixture.h"

#define SEGMENT "000000010000000000000003"
#define KEY     "wal/7301234567890123456/00000001/00000000/" SEGMENT

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

/* The database's host may hold no key that opens: the content id and the signature have to do. */
START_TEST(P1_P2_a_writer_that_cannot_read_knows_its_own)
{
    char recipient[KEY_TEXT_MAX];
    struct key_setting recipients[] = {
        {KEY_X25519, fixture_public(KEY_TEXT_X25519_SECRET, 2, recipient)}};
    struct keyring_settings blind = {.recipients = recipients,
                                     .recipient_count = 1,
                                     .writer_key =
                                         fixture_key("writer", KEY_TEXT_WRITER_SECRET, 1)};
    CPAM_AUTO(keyring_free) struct keyring *keyring = NULL;
    CPAM_AUTO(repo_free) struct repo *repo = NULL;
    struct cluster_record record = {REPO_SYSID, 15, 1 << 20};
    struct repo_settings settings = self.settings;
    struct memory_bucket bucket;
    bool was_there = true;

    memory_bucket_init(&bucket);
    struct store_opener opener = memory_opener(&bucket, io_posix());
    settings.opener = &opener;
    ck_ok(keyring_new(io_posix(), &blind, true, false, &keyring, &err), &err);
    ck_assert(!keyring_can_open(keyring));
    ck_ok(repo_create(io_posix(), &settings, keyring, &err), &err);
    ck_ok(repo_open(io_posix(), &settings, keyring, (struct deadline){0}, &repo, &err), &err);
    ck_ok(cluster_record_put(repo, &record, &err), &err);

    wal_segment_file(SEGMENT, 3, 1);
    ck_ok(wal_push(repo, SEGMENT, REPO_SYSID, &was_there, &err), &err);
    ck_assert(!was_there);
    bucket.bodies = 0;
    ck_ok(wal_push(repo, SEGMENT, REPO_SYSID, &was_there, &err), &err);
    ck_assert(was_there);
    ck_assert_uint_eq(bucket.bodies, 0);
    wal_segment_file(SEGMENT, 3, 2);
    ck_fails(wal_push(repo, SEGMENT, REPO_SYSID, &was_there, &err), CPAM_EXISTS,
             "is archived with other content", &err);
    ck_assert_ptr_nonnull(strstr(err.text, "timeline not looked at"));
    /* damaged, it is not taken for what is being pushed */
    wal_segment_file(SEGMENT, 3, 1);
    struct memory_version *stored = memory_current(&bucket, KEY);
    stored->data[stored->size / 2] ^= 1;
    ck_fails(wal_push(repo, SEGMENT, REPO_SYSID, &was_there, &err), CPAM_CORRUPT, "", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "move it out of the way"));
    memory_bucket_clear(&bucket);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/wal_blind");
    TCase *tcase = tcase_create("blind");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, P1_P2_a_writer_that_cannot_read_knows_its_own);
    suite_add_tcase(suite, tcase);
    return suite;
}
