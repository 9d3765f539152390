/*
 * test_push_copy.c - files read by workers: what is told when one of them can't be (B8).
 */
#include "push_copy.h"

#include "repo/repo_fixture.h"

enum
{
    FILES =
        3000, /* more than may wait: the main thread is still handing out when the first fails */
    ROUNDS = 10
};

static volatile sig_atomic_t stopped;

static enum cpam_status
copy_all(struct repo_fixture *repo, struct cpam_err *err)
{
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    CPAM_AUTO(pack_set_free) struct pack_set *packs = NULL;
    CPAM_AUTO(push_copy_free) struct push_copy *copy = NULL;
    struct pack_set_spec set = {.label = "cpam_backup_20261123_160349",
                                .attempt = 1,
                                .sysid = REPO_SYSID,
                                .pack_size = PACK_SIZE_MIN,
                                .state = fixture_dir,
                                .repos = 1};
    struct repo *repos[PACK_REPOS_MAX] = {repo->repo};
    char name[16];

    CPAM_TRY(plan_new(io_posix(), fixture_dir, &plan, err));
    for (int i = 0; i < FILES; i++)
    {
        snprintf(name, sizeof(name), i == FILES / 2 ? "bad" : "gone-%05d", i);
        struct source_entry entry = {.kind = MANIFEST_FILE, .path = name, .size = 10};

        CPAM_TRY(plan_add(plan, &entry, NULL, err));
    }
    CPAM_TRY(pack_set_new(io_posix(), &set, &packs, err));
    struct push_copy_spec spec = {.repos = repos,
                                  .plan = plan,
                                  .packs = packs,
                                  .data = fixture_dir,
                                  .workers = 4,
                                  .stopped = &stopped};
    CPAM_TRY(push_copy_new(io_posix(), &spec, &copy, err));
    return push_copy_files(copy, err);
}

/* One file can't be read: that is said, and not that the others were given up for it. */
START_TEST(B8_the_reason_of_a_failed_copy_is_told)
{
    static struct repo_fixture repo;
    struct cpam_err err;

    repo_fixture_begin(&repo, false);
    ck_assert_int_eq(mkdir(fixture_path("bad"), 0700), 0); /* opens, and can't be read */
    for (int i = 0; i < ROUNDS; i++)
        ck_fails(copy_all(&repo, &err), CPAM_IO, "could not read \"", &err);
    ck_assert_int_eq(rmdir(fixture_path("bad")), 0);
    repo_fixture_end(&repo);
}
END_TEST

START_TEST(B8_a_signal_is_told_as_one)
{
    static struct repo_fixture repo;
    struct cpam_err err;

    repo_fixture_begin(&repo, false);
    stopped = 1;
    ck_fails(copy_all(&repo, &err), CPAM_CANCELLED, "the backup was stopped", &err);
    stopped = 0;
    repo_fixture_end(&repo);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("archive/push_copy");
    TCase *tcase = tcase_create("push_copy");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, B8_the_reason_of_a_failed_copy_is_told);
    tcase_add_test(tcase, B8_a_signal_is_told_as_one);
    suite_add_tcase(suite, tcase);
    return suite;
}
