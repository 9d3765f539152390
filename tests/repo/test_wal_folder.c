/*
 * test_wal_folder.c - one listing instead of a request for each segment (P9, F5, F13).
 */
#include "repo/repo_fixture.h"

#include "repo/wal_folder.h"

static struct repo_fixture self;
static struct cpam_err err;

static struct archive_name
named(const char *text)
{
    struct archive_name name;

    ck_ok(archive_name_parse(text, &name, &err), &err);
    return name;
}

static void
put(const char *key)
{
    ck_ok(store_put_new(repo_store(self.repo), key, "x", 1, STORE_CLASS_WAL, &err), &err);
}

#define FOLDER "wal/7301234567890123456/00000001/00000002/"

START_TEST(P9_a_listing_shows_which_segments_are_there)
{
    struct archive_name first = named("0000000100000002000000FE"),
                        second = named("000000010000000200000003");
    struct wal_folder folder;

    repo_fixture_begin(&self, false);
    put(FOLDER "0000000100000002000000FE");
    put(FOLDER "000000010000000200000003.partial");
    put("wal/7301234567890123456/00000001/00000003/000000010000000300000003");
    put("wal/7301234567890123456/00000002/00000002/000000020000000200000003");
    ck_ok(wal_folder_list(self.repo, REPO_SYSID, &first, &folder, &err), &err);
    ck_assert(wal_folder_has(&folder, &first));
    ck_assert(!wal_folder_has(&folder, &second));
    ck_assert(!folder.conflicts);
    put(FOLDER "000000010000000200000003.0123456789abcdef");
    ck_ok(wal_folder_list(self.repo, REPO_SYSID, &first, &folder, &err), &err);
    ck_assert(folder.conflicts); /* F13 */
    ck_assert(!wal_folder_has(&folder, &second));
    repo_fixture_end(&self);
}
END_TEST

START_TEST(F13_a_listing_is_believed_for_its_time_and_folder_only)
{
    struct wal_folders folders = {0};
    struct archive_name name = named("000000010000000200000003");

    ck_assert_ptr_null(wal_folders_find(&folders, &name, 0));
    wal_folders_keep(&folders, &(struct wal_folder){.timeline = {1}, .log = 2, .listed = 100});
    ck_assert_ptr_nonnull(wal_folders_find(&folders, &name, 100));
    ck_assert_ptr_null(wal_folders_find(&folders, &name, 101));
    static const char *const others[] = {"000000020000000200000003", "000000010000000300000003",
                                         "000000010000000200000003.partial", "00000002.history"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
    {
        name = named(others[i]);
        ck_assert_ptr_null(wal_folders_find(&folders, &name, 0));
    }
}
END_TEST

START_TEST(P9_the_oldest_listing_gives_way)
{
    struct wal_folders folders = {0};
    struct archive_name two = named("000000010000000200000003"),
                        three = named("000000010000000300000003"),
                        four = named("000000010000000400000003");

    wal_folders_keep(&folders, &(struct wal_folder){.timeline = {1}, .log = 2, .listed = 100});
    wal_folders_keep(&folders, &(struct wal_folder){.timeline = {1}, .log = 3, .listed = 200});
    wal_folders_keep(&folders, &(struct wal_folder){.timeline = {1}, .log = 2, .listed = 300});
    wal_folders_keep(&folders, &(struct wal_folder){.timeline = {1}, .log = 4, .listed = 400});
    ck_assert_ptr_nonnull(wal_folders_find(&folders, &two, 300));
    ck_assert_ptr_null(wal_folders_find(&folders, &three, 0));
    ck_assert_ptr_nonnull(wal_folders_find(&folders, &four, 0));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/wal_folder");
    TCase *tcase = tcase_create("wal_folder");

    tcase_add_test(tcase, P9_a_listing_shows_which_segments_are_there);
    tcase_add_test(tcase, F13_a_listing_is_believed_for_its_time_and_folder_only);
    tcase_add_test(tcase, P9_the_oldest_listing_gives_way);
    suite_add_tcase(suite, tcase);
    return suite;
}
