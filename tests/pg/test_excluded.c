/*
 * test_excluded.c - what stays out of a base backup, and what must not.
 */
#include "suite.h"

#include "pg/excluded.h"

static const struct
{
    const char *path;
    bool is_directory;
    enum excluded expected;
} paths[] = {
    {"base", true, EXCLUDED_NOT},
    {"base/5/1259", false, EXCLUDED_NOT},
    {"global/pg_control", false, EXCLUDED_NOT},
    {"global/pg_filenode.map", false, EXCLUDED_NOT},
    {"PG_VERSION", false, EXCLUDED_NOT},
    {"postgresql.auto.conf", false, EXCLUDED_NOT},
    {"current_logfiles", false, EXCLUDED_NOT},
    {"pg_xact/0000", false, EXCLUDED_NOT},
    {"pg_twophase", true, EXCLUDED_NOT},
    {"pg_tblspc", true, EXCLUDED_NOT},
    {"pg_tblspc/16384", true, EXCLUDED_NOT},
    {"pg_stat/pgstat.stat", false, EXCLUDED_NOT},
    {"pg_logical/mappings", true, EXCLUDED_NOT},
    {"base/5/16384_init", false, EXCLUDED_NOT},
    {"base/pg_wal", true, EXCLUDED_NOT},
    {"base/5/standby.signal", false, EXCLUDED_NOT},
    {"t3_16384", false, EXCLUDED_NOT}, /* not where relations are */
    {"pg_walking", true, EXCLUDED_NOT},
    {"pg_wal", true, EXCLUDED_CONTENT},
    {"pg_wal/archive_status", true, EXCLUDED_CONTENT},
    {"pg_wal/summaries", true, EXCLUDED_CONTENT},
    {"pg_replslot", true, EXCLUDED_CONTENT},
    {"pg_dynshmem", true, EXCLUDED_CONTENT},
    {"pg_notify", true, EXCLUDED_CONTENT},
    {"pg_serial", true, EXCLUDED_CONTENT},
    {"pg_snapshots", true, EXCLUDED_CONTENT},
    {"pg_stat_tmp", true, EXCLUDED_CONTENT},
    {"pg_subtrans", true, EXCLUDED_CONTENT},
    {"pg_wal/000000010000000000000001", false, EXCLUDED_WHOLE},
    {"pg_wal/archive_status/000000010000000000000001.done", false, EXCLUDED_WHOLE},
    {"pg_replslot/s", true, EXCLUDED_WHOLE},
    {"pg_stat_tmp/global.stat", false, EXCLUDED_WHOLE},
    {"postmaster.pid", false, EXCLUDED_WHOLE},
    {"postmaster.opts", false, EXCLUDED_WHOLE},
    {"backup_label", false, EXCLUDED_WHOLE},
    {"tablespace_map", false, EXCLUDED_WHOLE},
    {"backup_manifest", false, EXCLUDED_WHOLE},
    {"postgresql.auto.conf.tmp", false, EXCLUDED_WHOLE},
    {"current_logfiles.tmp", false, EXCLUDED_WHOLE},
    {"standby.signal", false, EXCLUDED_WHOLE},
    {"recovery.signal", false, EXCLUDED_WHOLE},
    {"promote", false, EXCLUDED_WHOLE},
    {"base/5/pg_internal.init", false, EXCLUDED_WHOLE},
    {"base/5/pg_internal.init.123", false, EXCLUDED_WHOLE},
    {"base/pgsql_tmp", true, EXCLUDED_WHOLE},
    {"base/pgsql_tmp/pgsql_tmp123.0", false, EXCLUDED_WHOLE},
    {"pg_tblspc/16384/PG_15_202209061/pgsql_tmp", true, EXCLUDED_WHOLE},
    {"base/5/t3_16384", false, EXCLUDED_WHOLE},
    {"base/5/t3_16384_fsm.1", false, EXCLUDED_WHOLE},
    {"pg_tblspc/16384/PG_15_202209061/5/t12_16384", false, EXCLUDED_WHOLE},
};

START_TEST(path_is_classed)
{
    ck_assert_msg(excluded_path(paths[_i].path, paths[_i].is_directory) == paths[_i].expected, "%s",
                  paths[_i].path);
}
END_TEST

static const struct
{
    const char *path;
    struct relation_name name;
} relations[] = {
    {"base/5/1259", {false, 1259, RELATION_MAIN, 0}},
    {"base/5/1259_vm", {false, 1259, RELATION_VM, 0}},
    {"global/1262_fsm", {false, 1262, RELATION_FSM, 0}},
    {"base/16384/4294967295.17", {false, UINT32_MAX, RELATION_MAIN, 17}},
    {"base/5/16384_init.1", {false, 16384, RELATION_INIT, 1}},
    {"base/5/t3_16384", {true, 16384, RELATION_MAIN, 0}},
    {"pg_tblspc/16384/PG_15_202209061/5/16400", {false, 16400, RELATION_MAIN, 0}},
};

START_TEST(relation_file_is_known)
{
    struct relation_name name;

    ck_assert(relation_path_parse(relations[_i].path, &name));
    ck_assert_int_eq(name.temporary, relations[_i].name.temporary);
    ck_assert_uint_eq(name.number, relations[_i].name.number);
    ck_assert_int_eq(name.fork, relations[_i].name.fork);
    ck_assert_uint_eq(name.segment, relations[_i].name.segment);
}
END_TEST

static const char *const not_relations[] = {
    "global/pg_control",
    "global/pg_filenode.map",
    "base/5/PG_VERSION",
    "base/5/pg_internal.init",
    "base/1259",
    "base/x/1259",
    "base/5/01259",
    "base/5/1259.0",
    "base/5/1259.",
    "base/5/1259_",
    "base/5/1259_foo",
    "base/5/1259_fsm_vm",
    "base/5/0",
    "base/5/4294967296",
    "base/5/t_16384",
    "base/5/t3_",
    "base/5/1259/1",
    "pg_xact/0000",
    "pg_tblspc/16384/5/16400",
    "pg_tblspc/x/PG_15/5/1",
    "1259",
    "base/5/1259~",
};

START_TEST(other_files_are_no_relations)
{
    struct relation_name name;

    ck_assert_msg(!relation_path_parse(not_relations[_i], &name), "%s", not_relations[_i]);
}
END_TEST

START_TEST(unlogged_keeps_only_its_init_fork)
{
    struct relation_name name = {.number = 5, .fork = RELATION_MAIN};

    ck_assert(relation_unlogged(&name, true));
    ck_assert(!relation_unlogged(&name, false));
    name.fork = RELATION_INIT;
    ck_assert(!relation_unlogged(&name, true));
}
END_TEST

#define ROWS(table) ((int) (sizeof(table) / sizeof((table)[0])))

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/excluded");
    TCase *tcase = tcase_create("excluded");

    tcase_add_loop_test(tcase, path_is_classed, 0, ROWS(paths));
    tcase_add_loop_test(tcase, relation_file_is_known, 0, ROWS(relations));
    tcase_add_loop_test(tcase, other_files_are_no_relations, 0, ROWS(not_relations));
    tcase_add_test(tcase, unlogged_keeps_only_its_init_fork);
    suite_add_tcase(suite, tcase);
    return suite;
}
