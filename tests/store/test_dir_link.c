/*
 * test_dir_link.c - a directory store that is spread over disks by symbolic links, one of them not mounted.
 */
#include "dir_fixture.h"

static void
put(const char *key)
{
    ck_ok(store_put_new(store, key, "x", 1, STORE_CLASS_WAL, &err), &err);
}

static enum cpam_status
count_entry(void *arg, const struct store_entry *entry, struct cpam_err *e)
{
    (void) entry, (void) e;
    (*(size_t *) arg)++;
    return CPAM_OK;
}

/* A folder or an object on a second disk that is not mounted. */
START_TEST(F2_a_link_that_leads_nowhere_is_not_absence)
{
    static const char *const unknown[] = {"wal/1", "wal/1/2", "a/b/7", "a/b/7/8"};
    static const char words[] = "is a symbolic link, and what it leads to is not there";
    struct store_info info;
    struct store_version version;
    size_t count;

    put("a/b/1");
    put("a/c");
    shell("ln -s /tmp/cpam-no-such-disk wal && ln -s ../../disk/7 a/b/7");
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
    {
        ck_fails(store_head(store, unknown[i], &info, &err), CPAM_UNKNOWN, words, &err);
        ck_assert_ptr_nonnull(strstr(err.hint, "mounted"));
        ck_fails(store_versions(store, unknown[i], &version, 1, &count, &err), CPAM_UNKNOWN, words,
                 &err);
    }
    ck_fails(store_list(store, "wal/", NULL, false, count_entry, &count, &err), CPAM_UNKNOWN, words,
             &err);
    ck_fails(store_list(store, "wal/1/2", NULL, true, count_entry, &count, &err), CPAM_UNKNOWN,
             words, &err);
    ck_fails(store_list(store, "a/", NULL, false, count_entry, &count, &err), CPAM_UNKNOWN, words,
             &err);
    ck_fails(store_list(store, "a/b/7", NULL, false, count_entry, &count, &err), CPAM_UNKNOWN,
             words, &err);
    ck_fails(store_list(store, "a/", NULL, true, count_entry, &count, &err), CPAM_UNKNOWN, words,
             &err);
    ck_fails(store_list(store, "", NULL, true, count_entry, &count, &err), CPAM_UNKNOWN, words,
             &err);
    /* what has nothing to do with it is told as ever */
    ck_fails(store_head(store, "a/b/8", &info, &err), CPAM_NOT_FOUND, "is not in", &err);
    ck_ok(store_head(store, "a/b/1", &info, &err), &err);
    ck_ok(store_list(store, "a/b/1", NULL, false, count_entry, &count, &err), &err);
    ck_ok(store_list(store, "a/c", NULL, false, count_entry, &count, &err), &err);
    shell("ln -s nowhere 'lost+found'");
    ck_ok(store_list(store, "a/c", NULL, false, count_entry, &count, &err), &err);
    /* mounted again */
    shell(
        "mkdir disk && echo x >disk/7 && mkdir -p other/1 && echo y >other/1/2 && ln -sfn other wal");
    ck_ok(store_head(store, "a/b/7", &info, &err), &err);
    ck_ok(store_head(store, "wal/1/2", &info, &err), &err);
    ck_fails(store_head(store, "wal/1/3", &info, &err), CPAM_NOT_FOUND, "is not in", &err);
    ck_ok(store_list(store, "wal/", NULL, false, count_entry, &count, &err), &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("store/dir_link");
    TCase *tcase = tcase_create("store/dir_link");

    tcase_add_checked_fixture(tcase, open_store, close_store);
    tcase_add_test(tcase, F2_a_link_that_leads_nowhere_is_not_absence);
    suite_add_tcase(suite, tcase);
    return suite;
}
