/*
 * test_repo.c - the identity of a repository, its cluster records, and what a bucket's owner may
 * try with them.
 */
#include "repo/repo_fixture.h"

static struct repo_fixture self;

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
    repo_fixture_end(&self);
}

static enum cpam_status
open_again(struct keyring *keyring, struct cpam_err *err)
{
    CPAM_AUTO(repo_free) struct repo *repo = NULL;

    return repo_open(io_posix(), &self.settings, keyring, (struct deadline){0}, &repo, err);
}

START_TEST(S8_identity_is_proven_at_open)
{
    struct cpam_err err;

    ck_ok(open_again(self.keyring, &err), &err);
    ck_assert_str_eq(repo_name(self.repo), "primary");
    ck_assert_str_eq(repo_cluster(self.repo), "test");
}
END_TEST

START_TEST(absent_repository_is_told_with_the_command)
{
    struct cpam_err err;

    memory_delete(&self.bucket, LAYOUT_IDENTITY);
    ck_fails(open_again(self.keyring, &err), CPAM_NOT_FOUND, "there is no repository of cluster",
             &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "cpam-repo create"));
}
END_TEST

START_TEST(second_create_names_what_is_there)
{
    struct cpam_err err;
    char uuid[TEXT_UUID_MAX];
    CPAM_AUTO(keyring_free) struct keyring *other = repo_keyfile("key2", 9);

    text_format_uuid(keyring_uuid(self.keyring), uuid);
    ck_fails(repo_create(io_posix(), &self.settings, other, &err), CPAM_EXISTS, uuid, &err);
    ck_assert_ptr_nonnull(strstr(err.text, "of cluster \"test\""));
}
END_TEST

START_TEST(create_leaves_what_it_does_not_understand)
{
    struct cpam_err err;
    CPAM_AUTO(keyring_free) struct keyring *other = repo_keyfile("key2", 9);

    memory_overwrite(&self.bucket, LAYOUT_IDENTITY, "hello", 5);
    ck_fails(repo_create(io_posix(), &self.settings, other, &err), CPAM_EXISTS,
             "already, and it makes no sense", &err);
    ck_assert_uint_eq(memory_current(&self.bucket, LAYOUT_IDENTITY)->size, 5);
    self.bucket.fail_all = CPAM_REFUSED;
    ck_fails(repo_create(io_posix(), &self.settings, other, &err), CPAM_REFUSED, "does not want to",
             &err);
}
END_TEST

START_TEST(lost_answer_of_create_is_success)
{
    struct memory_bucket bucket;
    struct cpam_err err;
    CPAM_AUTO(keyring_free) struct keyring *other = repo_keyfile("key2", 9);
    struct repo_settings settings = self.settings;

    memory_bucket_init(&bucket);
    bucket.lose_put_answer = true;
    struct store_opener opener = memory_opener(&bucket, io_posix());
    settings.opener = &opener;
    ck_ok(repo_create(io_posix(), &settings, other, &err), &err);
    memory_bucket_clear(&bucket);
}
END_TEST

START_TEST(another_key_does_not_open)
{
    struct cpam_err err;
    CPAM_AUTO(keyring_free) struct keyring *other = repo_keyfile("key2", 9);
    enum cpam_status status = open_again(other, &err);

    ck_assert_msg(status == CPAM_FOREIGN || status == CPAM_CORRUPT, "%s", cpam_status_name(status));
}
END_TEST

START_TEST(every_changed_byte_of_identity_is_refused)
{
    struct memory_version *stored = memory_current(&self.bucket, LAYOUT_IDENTITY);
    struct cpam_err err;

    for (size_t i = 0; i < stored->size; i++)
    {
        stored->data[i] ^= 1;
        ck_assert_int_ne(open_again(self.keyring, &err), CPAM_OK);
        stored->data[i] ^= 1;
    }
    ck_ok(open_again(self.keyring, &err), &err);
}
END_TEST

START_TEST(fault20_policy_does_not_come_from_the_repository)
{
    struct keyring_settings none = {.none = true};
    struct memory_bucket bucket;
    struct cpam_err err;
    struct repo_settings settings = self.settings;
    CPAM_AUTO(keyring_free) struct keyring *open = NULL;
    CPAM_AUTO(repo_free) struct repo *repo = NULL;

    /* a configuration that encrypts does not take an unsealed repository */
    memory_bucket_init(&bucket);
    struct store_opener opener = memory_opener(&bucket, io_posix());
    settings.opener = &opener;
    ck_ok(keyring_new(io_posix(), &none, true, true, &open, &err), &err);
    ck_ok(repo_create(io_posix(), &settings, open, &err), &err);
    ck_fails(repo_open(io_posix(), &settings, self.keyring, (struct deadline){0}, &repo, &err),
             CPAM_CORRUPT, "it is not signed, and unsigned data is refused", &err);
    memory_bucket_clear(&bucket);
    /* nor the other way round */
    ck_fails(open_again(open, &err), CPAM_FOREIGN, "which the configuration does not hold", &err);
}
END_TEST

/* "unsigned: accept" takes what nobody signed, and still nothing that is not sealed. */
START_TEST(fault20_accepting_unsigned_data_is_not_accepting_clear_data)
{
    struct key_setting recipients[] = {{KEY_KEYFILE, fixture_key("key2", KEY_TEXT_KEYFILE, 9)}};
    struct keyring_settings sealed = {
        .recipients = recipients, .recipient_count = 1, .accept_unsigned = true};
    struct keyring_settings none = {.none = true};
    CPAM_AUTO(keyring_free) struct keyring *maker = NULL;
    CPAM_AUTO(keyring_free) struct keyring *other = NULL;
    CPAM_AUTO(repo_free) struct repo *repo = NULL;
    struct repo_settings settings = self.settings;
    struct memory_bucket bucket;
    struct cpam_err err;

    memory_bucket_init(&bucket);
    struct store_opener opener = memory_opener(&bucket, io_posix());
    settings.opener = &opener;
    ck_ok(keyring_new(io_posix(), &none, true, true, &maker, &err), &err);
    ck_ok(keyring_new(io_posix(), &sealed, true, true, &other, &err), &err);
    ck_ok(repo_create(io_posix(), &settings, maker, &err), &err);
    ck_fails(repo_open(io_posix(), &settings, other, (struct deadline){0}, &repo, &err), CPAM_USAGE,
             "made without encryption, but the configuration names keys to encrypt with", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "\"encryption\" section"));
    ck_assert_ptr_null(repo);
    memory_bucket_clear(&bucket);
}
END_TEST

START_TEST(fault5_newer_identity_and_marker_hide_nothing)
{
    struct cpam_err err;
    static const char forged[] = "{\"format\":1,\"repo\":\"00000000-0000-4000-8000-000000000000\","
                                 "\"cluster\":\"evil\",\"sealed\":false}\n";

    memory_overwrite(&self.bucket, LAYOUT_IDENTITY, forged, sizeof(forged) - 1);
    ck_ok(open_again(self.keyring, &err), &err);
    memory_delete(&self.bucket, LAYOUT_IDENTITY);
    ck_ok(open_again(self.keyring, &err), &err);
}
END_TEST

START_TEST(store_that_fails_is_not_an_absent_repository)
{
    static const enum cpam_status failures[] = {CPAM_REFUSED, CPAM_DEADLINE, CPAM_TRANSIENT,
                                                CPAM_IO};
    struct cpam_err err;

    self.bucket.fail_all = failures[_i];
    ck_fails(open_again(self.keyring, &err), failures[_i], "repository \"primary\"", &err);
}
END_TEST

START_TEST(P6_cluster_record_comes_back)
{
    struct cluster_record record;
    uint64_t known[4];
    size_t count;
    struct cpam_err err;

    ck_ok(cluster_record_get(self.repo, REPO_SYSID, &record, &err), &err);
    ck_assert_uint_eq(record.major, 15);
    ck_assert_uint_eq(record.segment_size, 1 << 20);
    ck_ok(cluster_record_put(self.repo, &record, &err), &err);
    record.segment_size = 16 << 20;
    ck_fails(cluster_record_put(self.repo, &record, &err), CPAM_EXISTS, "is registered in", &err);
    ck_fails(cluster_record_get(self.repo, 5, &record, &err), CPAM_NOT_FOUND, "is not registered",
             &err);
    ck_ok(cluster_record_list(self.repo, known, 4, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(known[0], REPO_SYSID);
}
END_TEST

START_TEST(P6_forged_cluster_record_does_not_count)
{
    static const char forged[] = "{\"format\":1,\"repo\":\"x\",\"sysid\":\"5\",\"major\":15,"
                                 "\"segment_size\":16777216,\"since\":\"2026-01-01T00:00:00Z\"}\n";
    struct memory_version *stored;
    struct cluster_record record;
    uint64_t known[4];
    size_t count;
    struct cpam_err err;

    memory_overwrite(&self.bucket, "cluster/5.json", forged, sizeof(forged) - 1);
    ck_assert_int_ne(cluster_record_get(self.repo, 5, &record, &err), CPAM_OK);
    /* nor a genuine one under another name */
    stored = memory_current(&self.bucket, "cluster/7301234567890123456.json");
    memory_overwrite(&self.bucket, "cluster/6.json", stored->data, stored->size);
    ck_assert_int_ne(cluster_record_get(self.repo, 6, &record, &err), CPAM_OK);
    ck_ok(cluster_record_list(self.repo, known, 4, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(another_repo_for_a_worker)
{
    CPAM_AUTO(repo_free) struct repo *worker = NULL;
    struct cluster_record record;
    struct cpam_err err;

    ck_ok(repo_another(self.repo, &worker, &err), &err);
    ck_assert_ptr_ne(repo_store(worker), repo_store(self.repo));
    ck_ok(cluster_record_get(worker, REPO_SYSID, &record, &err), &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/repo");
    TCase *plain = tcase_create("plain");
    TCase *versioned = tcase_create("versioned");

    tcase_add_checked_fixture(plain, begin, end);
    tcase_add_checked_fixture(versioned, begin_versioned, end);
    tcase_add_test(plain, S8_identity_is_proven_at_open);
    tcase_add_test(plain, absent_repository_is_told_with_the_command);
    tcase_add_test(plain, second_create_names_what_is_there);
    tcase_add_test(plain, create_leaves_what_it_does_not_understand);
    tcase_add_test(plain, lost_answer_of_create_is_success);
    tcase_add_test(plain, another_key_does_not_open);
    tcase_add_test(plain, every_changed_byte_of_identity_is_refused);
    tcase_add_test(plain, fault20_policy_does_not_come_from_the_repository);
    tcase_add_test(plain, fault20_accepting_unsigned_data_is_not_accepting_clear_data);
    tcase_add_loop_test(plain, store_that_fails_is_not_an_absent_repository, 0, 4);
    tcase_add_test(plain, P6_cluster_record_comes_back);
    tcase_add_test(plain, P6_forged_cluster_record_does_not_count);
    tcase_add_test(plain, another_repo_for_a_worker);
    tcase_add_test(versioned, fault5_newer_identity_and_marker_hide_nothing);
    suite_add_tcase(suite, plain);
    suite_add_tcase(suite, versioned);
    return suite;
}
