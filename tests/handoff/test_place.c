/*
 * test_place.c - the worker's folder is made and opened, and where it must not be, refused.
 */
#include "handoff/small_world.h"

#include "handoff/place.h"

static struct handoff_key key;

static enum cpam_status
open_place(struct io *io, const char *spool, bool create, struct cpam_err *err)
{
    CPAM_AUTO(handoff_place_free) struct handoff_place *place = NULL;

    return handoff_place_open(io, spool, &key, create, &place, err);
}

static void
begin(void)
{
    struct cpam_err err;

    world_make();
    ck_ok(handoff_key_of(io_posix(), world_data, "small", &key, &err), &err);
}

START_TEST(folder_is_made_for_its_owner_alone)
{
    CPAM_AUTO(handoff_place_free) struct handoff_place *place = NULL;
    struct cpam_err err;
    struct stat named, opened;
    char path[600];

    world_place(NULL, path, sizeof(path));
    ck_fails(open_place(io_posix(), world_spool, false, &err), CPAM_NOT_FOUND, path, &err);
    ck_ok(handoff_place_open(io_posix(), world_spool, &key, true, &place, &err), &err);
    ck_assert_str_eq(handoff_place_path(place), path);
    ck_assert_int_eq(lstat(path, &named), 0);
    ck_assert_int_eq(fstat(handoff_place_fd(place), &opened), 0);
    ck_assert_uint_eq(named.st_ino, opened.st_ino);
    ck_assert_uint_eq(named.st_mode & 07777, 0700);
    ck_ok(open_place(io_posix(), world_spool, false, &err), &err);
}
END_TEST

START_TEST(trap15_every_data_directory_has_its_own)
{
    struct handoff_key other = key;
    struct cpam_err err;
    CPAM_AUTO(handoff_place_free) struct handoff_place *one = NULL;
    CPAM_AUTO(handoff_place_free) struct handoff_place *two = NULL;

    other.inode++;
    ck_ok(handoff_place_open(io_posix(), world_spool, &key, true, &one, &err), &err);
    ck_ok(handoff_place_open(io_posix(), world_spool, &other, true, &two, &err), &err);
    ck_assert_str_ne(handoff_place_path(one), handoff_place_path(two));
}
END_TEST

START_TEST(key_is_the_directorys_own)
{
    struct stat about;
    struct handoff_key other;
    struct cpam_err err;

    ck_assert_int_eq(stat(world_data, &about), 0);
    ck_assert_uint_eq(key.inode, about.st_ino);
    ck_assert_uint_eq(key.device, about.st_dev);
    ck_assert_uint_ne(key.sysid, 0);
    ck_fails(handoff_key_of(io_posix(), world_spool, "small", &other, &err), CPAM_NOT_FOUND,
             "is not a data directory", &err);
    ck_fails(handoff_key_of(io_posix(), "/nowhere", "small", &other, &err), CPAM_NOT_FOUND,
             "/nowhere", &err);
}
END_TEST

START_TEST(spool_that_is_not_there)
{
    struct cpam_err err;

    ck_fails(open_place(io_posix(), "/nowhere/spool", true, &err), CPAM_NOT_FOUND, "/nowhere/spool",
             &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "wal.spool"));
    ck_fails(open_place(io_posix(), world_config, true, &err), CPAM_REFUSED, world_config, &err);
}
END_TEST

START_TEST(folder_that_others_may_enter_is_refused)
{
    static const mode_t modes[] = {0770, 0720, 0710, 0701, 0777, 01777};
    struct cpam_err err;
    char path[600];

    world_place(NULL, path, sizeof(path));
    ck_ok(open_place(io_posix(), world_spool, true, &err), &err);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
    {
        ck_assert_int_eq(chmod(path, modes[i]), 0);
        ck_fails(open_place(io_posix(), world_spool, true, &err), CPAM_REFUSED, "others", &err);
    }
}
END_TEST

START_TEST(link_in_its_place_is_refused)
{
    struct cpam_err err;
    char path[600], elsewhere[128];

    world_place(NULL, path, sizeof(path));
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", world_dir);
    ck_assert_int_eq(mkdir(elsewhere, 0700), 0);
    ck_assert_int_eq(symlink(elsewhere, path), 0);
    ck_fails(open_place(io_posix(), world_spool, true, &err), CPAM_REFUSED, path, &err);
}
END_TEST

static int
foreign_fstat(struct io *io, int fd, struct stat *out)
{
    int result = io_posix()->ops->fstat(io, fd, out);

    out->st_uid++;
    return result;
}

START_TEST(folder_of_another_user_is_refused)
{
    struct io_ops ops = *io_posix()->ops;
    struct io io = {&ops};
    struct cpam_err err;

    ops.fstat = foreign_fstat;
    ck_fails(open_place(&io, world_spool, true, &err), CPAM_REFUSED, "belongs to user", &err);
}
END_TEST

START_TEST(F9_spool_in_pg_wal_is_refused)
{
    static const char *const spools[] = {"data/pg_wal", "data/pg_wal/spool", "data/pg_xlog/a/b",
                                         "through_a_link", "wal/spool"};
    char path[256];
    struct cpam_err err;

    static const char *const folders[] = {"data/pg_wal",        "data/pg_wal/spool", "data/pg_xlog",
                                          "data/pg_xlog/a",     "data/pg_xlog/a/b",  "wal",
                                          "wal/archive_status", "wal/spool"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
    {
        snprintf(path, sizeof(path), "%s/%s", world_dir, folders[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    snprintf(path, sizeof(path), "%s/through_a_link", world_dir);
    ck_assert_int_eq(symlink("data/pg_wal/spool", path), 0);
    for (size_t i = 0; i < sizeof(spools) / sizeof(spools[0]); i++)
    {
        snprintf(path, sizeof(path), "%s/%s", world_dir, spools[i]);
        ck_fails(open_place(io_posix(), path, true, &err), CPAM_REFUSED, "which is the server's",
                 &err);
        ck_assert_ptr_nonnull(strstr(err.hint, "outside of the data directory"));
    }
    /* a name that only looks like it */
    snprintf(path, sizeof(path), "%s/my_pg_wal", world_dir);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_ok(open_place(io_posix(), path, true, &err), &err);
}
END_TEST

START_TEST(name_that_leads_elsewhere_is_refused)
{
    struct cpam_err err;

    key.cluster = "../../etc";
    ck_fails(open_place(io_posix(), world_spool, true, &err), CPAM_INVALID, "../../etc", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("handoff/place");
    TCase *tcase = tcase_create("place");

    tcase_add_checked_fixture(tcase, begin, world_remove);
    tcase_add_test(tcase, folder_is_made_for_its_owner_alone);
    tcase_add_test(tcase, trap15_every_data_directory_has_its_own);
    tcase_add_test(tcase, key_is_the_directorys_own);
    tcase_add_test(tcase, spool_that_is_not_there);
    tcase_add_test(tcase, folder_that_others_may_enter_is_refused);
    tcase_add_test(tcase, link_in_its_place_is_refused);
    tcase_add_test(tcase, folder_of_another_user_is_refused);
    tcase_add_test(tcase, F9_spool_in_pg_wal_is_refused);
    tcase_add_test(tcase, name_that_leads_elsewhere_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
