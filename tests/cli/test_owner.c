/*
 * test_owner.c - who owns what a program works on, and giving root up for a while or for good.
 */
#include "suite.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/owner.h"

static char dir[64], path[128];
static struct owner owner;
static struct cpam_err err;
static const struct passwd *server; /* some user of this host who is not root */

static void
make_place(void)
{
    snprintf(dir, sizeof(dir), "/tmp/cpam-owner.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chmod(dir, 0755), 0);
    snprintf(path, sizeof(path), "%s/data", dir);
    server = getpwnam("postgres");
    if (server == NULL)
        server = getpwnam("nobody");
    ck_assert_ptr_nonnull(server);
    memset(&owner, 0, sizeof(owner));
}

static void
remove_place(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* A folder below the place that this user and group own. */
static void
make_dir(const char *name, uid_t uid, gid_t gid)
{
    ck_assert_int_eq(mkdir(name, 0750), 0);
    if (owner_is_root())
        ck_assert_int_eq(chown(name, uid, gid), 0);
}

START_TEST(the_owner_of_the_data_directory_is_found)
{
    if (!owner_is_root())
        return;
    make_dir(path, server->pw_uid, server->pw_gid);
    ck_ok(owner_of(io_posix(), path, &owner, &err), &err);
    ck_assert_uint_eq(owner.uid, server->pw_uid);
    ck_assert_uint_eq(owner.gid, server->pw_gid);
    ck_assert_str_eq(owner.name, server->pw_name);
}
END_TEST

START_TEST(a_destroyed_data_directory_was_its_folders_owners)
{
    char gone[160];

    if (!owner_is_root())
        return;
    make_dir(path, server->pw_uid, server->pw_gid);
    snprintf(gone, sizeof(gone), "%s/15/main", path);
    ck_ok(owner_of(io_posix(), gone, &owner, &err), &err);
    ck_assert_uint_eq(owner.uid, server->pw_uid);
}
END_TEST

START_TEST(where_only_root_owns_it_is_postgres)
{
    struct passwd *postgres = getpwnam("postgres");
    enum cpam_status status = owner_of(io_posix(), "/nowhere/at/all", &owner, &err);

    if (postgres == NULL)
        ck_fails(status, CPAM_USAGE, "there is no user \"postgres\" on this host", &err);
    else
    {
        ck_ok(status, &err);
        ck_assert_uint_eq(owner.uid, getpwnam("postgres")->pw_uid);
    }
}
END_TEST

START_TEST(a_data_directory_of_roots_is_refused)
{
    if (!owner_is_root())
        return;
    make_dir(path, 0, 0);
    ck_fails(owner_of(io_posix(), path, &owner, &err), CPAM_USAGE, "belongs to root", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "chown -R postgres:"));
}
END_TEST

START_TEST(an_owner_without_a_name_is_refused)
{
    if (!owner_is_root())
        return;
    make_dir(path, 3999999, 3999999);
    ck_fails(owner_of(io_posix(), path, &owner, &err), CPAM_USAGE,
             "user 3999999 has no entry in the user database", &err);
}
END_TEST

START_TEST(a_path_through_a_file_is_refused)
{
    char through[160];
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fclose(file);
    snprintf(through, sizeof(through), "%s/main", path);
    enum cpam_status status = owner_of(io_posix(), through, &owner, &err);
    ck_assert_int_ne(status, CPAM_OK);
    ck_assert_ptr_nonnull(strstr(err.text, through));
}
END_TEST

/* /etc/cpam may be the server's user's, root's for a group of that name, or root's alone. */
START_TEST(who_reads_a_folder)
{
    if (!owner_is_root())
        return;
    make_dir(path, server->pw_uid, 0);
    ck_ok(owner_of_folder(io_posix(), path, &owner, &err), &err);
    ck_assert_uint_eq(owner.uid, server->pw_uid);
    if (strcmp(server->pw_name, "postgres") == 0) /* whose group has its name */
    {
        ck_assert_int_eq(chown(path, 0, server->pw_gid), 0);
        ck_ok(owner_of_folder(io_posix(), path, &owner, &err), &err);
        ck_assert_uint_eq(owner.uid, server->pw_uid);
        ck_assert_str_eq(owner.name, "postgres");
    }
    ck_assert_int_eq(chown(path, 0, 3999999), 0); /* a group of nobody's */
    ck_ok(owner_of_folder(io_posix(), path, &owner, &err), &err);
    ck_assert_uint_eq(owner.uid, 0);
    ck_assert_int_eq(chown(path, 0, 0), 0);
    ck_ok(owner_of_folder(io_posix(), path, &owner, &err), &err);
    ck_assert_uint_eq(owner.uid, 0);
    ck_fails(owner_of_folder(io_posix(), "/nowhere/at/all", &owner, &err), CPAM_NOT_FOUND,
             "/nowhere/at/all", &err);
}
END_TEST

static struct owner
server_owner(void)
{
    struct owner made = {.uid = server->pw_uid, .gid = server->pw_gid};

    snprintf(made.name, sizeof(made.name), "%s", server->pw_name);
    return made;
}

START_TEST(root_is_given_up_for_a_while)
{
    struct owner other = server_owner();
    struct stat found;

    if (!owner_is_root())
        return;
    make_dir(path, other.uid, other.gid);
    char made[160];
    snprintf(made, sizeof(made), "%s/spool", path);
    ck_ok(owner_enter(&other, &err), &err);
    ck_assert_uint_eq(geteuid(), other.uid);
    ck_assert_uint_eq(getegid(), other.gid);
    ck_assert_int_eq(mkdir(made, 0700), 0);
    ck_ok(owner_leave(&err), &err);
    ck_assert_uint_eq(geteuid(), 0);
    ck_assert_uint_eq(getegid(), 0);
    ck_assert_int_eq(stat(made, &found), 0);
    ck_assert_uint_eq(found.st_uid, other.uid);
    ck_assert_uint_eq(found.st_gid, other.gid);
    ck_ok(owner_leave(&err), &err); /* nothing to give back */
}
END_TEST

START_TEST(root_is_given_up_for_good)
{
    struct owner other = server_owner();

    if (!owner_is_root())
        return;
    ck_ok(owner_become(&other, &err), &err);
    ck_assert_uint_eq(getuid(), other.uid);
    ck_assert_uint_eq(geteuid(), other.uid);
    ck_assert_uint_eq(getgid(), other.gid);
    ck_assert_int_ne(setuid(0), 0);
    ck_assert_int_ne(seteuid(0), 0);
    ck_assert_str_eq(getenv("USER"), other.name);
    ck_assert_str_eq(getenv("LOGNAME"), other.name);
    ck_assert_str_eq(getenv("HOME"), server->pw_dir);
    /* nobody but root gives anything up */
    ck_ok(owner_become(&(struct owner){.uid = 3999999, .name = "x"}, &err), &err);
    ck_ok(owner_enter(&(struct owner){.uid = 3999999, .name = "x"}, &err), &err);
    ck_ok(owner_leave(&err), &err);
    ck_assert_uint_eq(geteuid(), other.uid);
}
END_TEST

START_TEST(becoming_root_is_nothing_to_do)
{
    uid_t before = geteuid();

    ck_ok(owner_become(&owner, &err), &err);
    ck_ok(owner_enter(&owner, &err), &err);
    ck_assert_uint_eq(geteuid(), before);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("cli/owner");
    TCase *tcase = tcase_create("owner");

    tcase_add_checked_fixture(tcase, make_place, NULL);
    tcase_add_test(tcase, root_is_given_up_for_good); /* could not take its place away as root */
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("place");
    tcase_add_checked_fixture(tcase, make_place, remove_place);
    tcase_add_test(tcase, the_owner_of_the_data_directory_is_found);
    tcase_add_test(tcase, a_destroyed_data_directory_was_its_folders_owners);
    tcase_add_test(tcase, where_only_root_owns_it_is_postgres);
    tcase_add_test(tcase, a_data_directory_of_roots_is_refused);
    tcase_add_test(tcase, an_owner_without_a_name_is_refused);
    tcase_add_test(tcase, a_path_through_a_file_is_refused);
    tcase_add_test(tcase, who_reads_a_folder);
    tcase_add_test(tcase, root_is_given_up_for_a_while);
    tcase_add_test(tcase, becoming_root_is_nothing_to_do);
    suite_add_tcase(suite, tcase);
    return suite;
}
