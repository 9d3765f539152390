/*
 * test_restore_databases.c - which files --database leaves empty (T7, postgresql.md trap 31).
 */
#include "suite.h"

#include "restore_databases.h"

static struct cpam_err err;
static const struct manifest_setting list = {
    "databases",
    "1 template1\n4 template0\n5 postgres\n16384 shop\n16385 the other one\n99999 third"};

static struct restore_databases *
chosen(const struct option_list *names)
{
    struct restore_databases *databases = NULL;
    struct manifest_setting other = {"port", "5432"};

    ck_ok(restore_databases_new(names, &databases, &err), &err);
    ck_ok(restore_databases_setting(databases, &other, &err), &err);
    ck_ok(restore_databases_setting(databases, &list, &err), &err);
    return databases;
}

static const struct
{
    const char *path;
    bool empty;
} paths[] = {
    {"base/16384/1259", false},
    {"base/16385/1259", true},
    {"base/16385/2619_fsm", true},
    {"base/16385/16400.12", true},
    {"base/16385/PG_VERSION", false},
    {"base/16385/pg_filenode.map", true}, /* a connection is refused, and not a PANIC */
    {"base/99999/1", true},
    {"base/77777/1", true}, /* it came while the backup ran */
    {"base/1/1259", false},
    {"base/4/1259", false},
    {"base/5/1259", false},
    {"base/16385", false},
    {"base/pgsql_tmp/16385", false},
    {"global/1262", false},
    {"global/pg_control", false},
    {"pg_xact/0000", false},
    {"backup_label", false},
    {"pg_tblspc/20000/PG_15_202209061/16384/5", false},
    {"pg_tblspc/20000/PG_15_202209061/16385/5", true},
    {"pg_tblspc/20000/PG_15_202209061", false},
    {"pg_tblspc/20000", false},
};

START_TEST(T7_trap31_files_of_the_other_databases)
{
    struct option_list names = {.count = 1, .items = {"shop"}};
    CPAM_AUTO(restore_databases_free) struct restore_databases *databases = chosen(&names);

    ck_ok(restore_databases_check(databases, &err), &err);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        ck_assert_msg(restore_databases_empties(databases, paths[i].path) == paths[i].empty, "%s",
                      paths[i].path);
    ck_assert_str_eq(restore_databases_emptied(databases), "the other one, third");
}
END_TEST

START_TEST(T7_several_of_them_and_none)
{
    struct option_list two = {.count = 2, .items = {"the other one", "shop"}};
    struct option_list none = {0};
    CPAM_AUTO(restore_databases_free) struct restore_databases *both = chosen(&two);
    CPAM_AUTO(restore_databases_free) struct restore_databases *all = chosen(&none);

    ck_ok(restore_databases_check(both, &err), &err);
    ck_assert(!restore_databases_empties(both, "base/16385/1259"));
    ck_assert_str_eq(restore_databases_emptied(both), "third");
    ck_ok(restore_databases_check(all, &err), &err);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        ck_assert(!restore_databases_empties(all, paths[i].path));
    ck_assert_str_eq(restore_databases_emptied(all), "");
}
END_TEST

START_TEST(T7_a_name_that_is_none_is_refused)
{
    struct option_list names = {.count = 2, .items = {"shop", "Shop"}};
    CPAM_AUTO(restore_databases_free) struct restore_databases *databases = chosen(&names);
    CPAM_AUTO(restore_databases_free) struct restore_databases *silent = NULL;
    struct manifest_setting broken = {"databases", "16384"};

    ck_fails(restore_databases_check(databases, &err), CPAM_USAGE, "no database \"Shop\"", &err);
    ck_ok(restore_databases_new(&names, &silent, &err), &err);
    ck_fails(restore_databases_check(silent, &err), CPAM_USAGE, "does not tell the names", &err);
    ck_fails(restore_databases_setting(silent, &broken, &err), CPAM_CORRUPT, "is none", &err);
    broken.value = "x shop";
    ck_assert_int_ne(restore_databases_setting(silent, &broken, &err), CPAM_OK);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("restore/restore_databases");
    TCase *tcase = tcase_create("restore_databases");

    tcase_add_test(tcase, T7_trap31_files_of_the_other_databases);
    tcase_add_test(tcase, T7_several_of_them_and_none);
    tcase_add_test(tcase, T7_a_name_that_is_none_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
