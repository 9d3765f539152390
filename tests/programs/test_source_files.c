/*
 * test_source_files.c - what of a data directory is walked, and how files are cut and put together.
 */
#include "suite.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pg/crc32c.h"
#include "push_plan.h"

static char root[64];
static char told[1 << 14];
static char last[512];
static struct cpam_err err;

static void
begin(void)
{
    snprintf(root, sizeof(root), "/tmp/cpam-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    told[0] = last[0] = '\0';
}

static void
end(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

static void
shell(const char *line)
{
    char command[4096];

    snprintf(command, sizeof(command), "cd %s && { %s; }", root, line);
    ck_assert_int_eq(system(command), 0);
}

static enum cpam_status
note(void *arg, const struct source_entry *entry, struct cpam_err *e)
{
    size_t at = strlen(told);

    (void) arg;
    (void) e;
    ck_assert_int_lt(manifest_path_compare(last, entry->path), 0);
    snprintf(last, sizeof(last), "%s", entry->path);
    snprintf(told + at, sizeof(told) - at, "%s%s%s%s ",
             entry->kind == MANIFEST_DIRECTORY ? "d:"
             : entry->kind == MANIFEST_LINK    ? "l:"
                                               : "",
             entry->path, entry->target != NULL ? ">" : "",
             entry->target != NULL ? entry->target : "");
    return CPAM_OK;
}

static enum cpam_status
walk(void)
{
    struct source source = {.io = io_posix(), .data = root, .version_dir = "PG_15_1", .fn = note};

    return source_walk(&source, &err);
}

/* What stands in the directory, and what of it belongs into a backup. */
static const struct
{
    const char *name, *made, *walked;
} rows[] = {
    {"order", "mkdir -p base/1 base/13; touch base/1/5 base/1/12 base/13/5 base.x PG_VERSION",
     "PG_VERSION d:base d:base/1 base/1/12 base/1/5 d:base/13 base/13/5 base.x "},
    {"trap17_emptied_directories",
     "mkdir -p pg_notify pg_replslot/slot pg_stat_tmp pg_wal/archive_status pg_wal/other; touch "
     "pg_notify/0000 pg_stat_tmp/x pg_wal/000000010000000000000001 pg_wal/archive_status/x",
     "d:pg_notify d:pg_replslot d:pg_stat_tmp d:pg_wal d:pg_wal/archive_status "},
    {"server_files",
     "mkdir -p global; touch postmaster.pid postmaster.opts backup_label tablespace_map "
     "standby.signal recovery.signal promote global/pg_internal.init.123 global/1262 "
     "current_logfiles.tmp postgresql.conf",
     "d:global global/1262 postgresql.conf "},
    {"temporary_and_unlogged",
     "mkdir -p base/5 base/pgsql_tmp; touch base/5/t3_16384 base/5/16385 base/5/16385_fsm "
     "base/5/16385_init base/5/16385.1 base/5/16386 base/5/16386_vm base/5/163850 "
     "base/pgsql_tmp/pgsql_tmp1.0",
     "d:base d:base/5 base/5/163850 base/5/16385_init base/5/16386 base/5/16386_vm "},
    {"trap17_tablespaces",
     "mkdir -p pg_tblspc/17000/PG_15_1/5 space/PG_15_1/5 space/PG_14_1; touch "
     "pg_tblspc/17000/PG_15_1/5/1 space/PG_15_1/5/2 space/PG_14_1/3 pg_tblspc/odd; mv space "
     "/tmp/$(basename $PWD)-space; ln -s /tmp/$(basename $PWD)-space pg_tblspc/16999",
     "d:pg_tblspc d:pg_tblspc/16999>/tmp/@-space d:pg_tblspc/16999/PG_15_1 "
     "d:pg_tblspc/16999/PG_15_1/5 pg_tblspc/16999/PG_15_1/5/2 d:pg_tblspc/17000 "
     "d:pg_tblspc/17000/PG_15_1 d:pg_tblspc/17000/PG_15_1/5 pg_tblspc/17000/PG_15_1/5/1 "},
    {"trap17_linked_pg_wal",
     "mkdir -p /tmp/$(basename $PWD)-space/archive_status; touch /tmp/$(basename $PWD)-space/"
     "000000010000000000000001; ln -s /tmp/$(basename $PWD)-space pg_wal",
     "d:pg_wal>/tmp/@-space d:pg_wal/archive_status "},
    {"special_files", "mkfifo pipe; touch file; ln -s /nowhere link; mkdir lost+found",
     "file l:link>/nowhere "},
};

START_TEST(B11_what_belongs_into_a_backup)
{
    char wanted[2048] = "", command[128];
    const char *at = rows[_i].walked, *hole;

    shell(rows[_i].made);
    ck_ok(walk(), &err);
    /* '@' stands for the name of the directory */
    for (; (hole = strchr(at, '@')) != NULL; at = hole + 1)
        snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "%.*s%s",
                 (int) (hole - at), at, root + strlen("/tmp/"));
    snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "%s", at);
    ck_assert_msg(strcmp(told, wanted) == 0, "%s:\ngot    %s\nwanted %s", rows[_i].name, told,
                  wanted);
    snprintf(command, sizeof(command), "rm -rf %s-space", root);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

static const struct
{
    const char *made, *words;
} refused[] = {
    {"mkdir -p base /tmp/$(basename $PWD)/hidden; ln -s $PWD/hidden base/5", "is a link to a"},
    {"mkdir -p pg_tblspc; ln -s /nowhere/at/all pg_tblspc/16999", "which can't be read"},
    {"ln -s /nowhere/at/all pg_wal", "which can't be read"},
    {"mkdir -p $(seq -s/ 1 40)", "directories deep"},
    {"rmdir $PWD", "there is no data directory"},
    {"mkdir -p base/5; touch moved; ln -s ../../moved base/5/16384", "would be missing"},
    {"mkdir -p base/5; ln -s /nowhere/16384.1 base/5/16384.1", "would be missing"},
    {"mkdir pg_xact; touch moved; ln -s ../moved pg_xact/0000", "would be missing"},
    {"mkdir global; touch moved; ln -s ../moved global/pg_filenode.map", "would be missing"},
};

START_TEST(walk_that_would_miss_data_is_refused)
{
    shell(refused[_i].made);
    ck_assert_int_ne(walk(), CPAM_OK);
    ck_assert_msg(strstr(err.text, refused[_i].words) != NULL, "%s", err.text);
    if (access(root, F_OK) != 0)
        ck_assert_int_eq(mkdir(root, 0700), 0);
}
END_TEST

static struct plan *plan;

static void
part(uint64_t id, uint64_t size, uint32_t crc)
{
    struct manifest_extent extent = {size, 0, (uint32_t) id, 0};
    struct pack_part done = {id, size, crc, &extent, size > 0};

    ck_ok(plan_part_done(plan, &done, &err), &err);
}

static uint64_t
add_file(const char *path, uint64_t size)
{
    struct source_entry entry = {.kind = MANIFEST_FILE, .path = path, .size = size};
    uint64_t first;

    ck_ok(plan_add(plan, &entry, &first, &err), &err);
    return first;
}

START_TEST(large_files_are_cut_into_parts_and_put_together)
{
    struct plan_content content;
    uint64_t first, whole = PLAN_PART_SIZE;

    ck_ok(plan_new(io_posix(), root, &plan, &err), &err);
    ck_assert_uint_eq(add_file("a", 0), 0);
    first = add_file("b", 2 * whole + 5);
    ck_assert_uint_eq(first, 1);
    ck_assert_uint_eq(add_file("c", 7), 4);
    ck_assert_uint_eq(plan_bytes(plan), 2 * whole + 12);
    /* in any order, as workers come to their end */
    part(3, 5, 0x33);
    part(1, whole, 0x11);
    part(2, whole, 0x22);
    ck_ok(plan_content(plan, first, 3, &content, &err), &err);
    ck_assert_uint_eq(content.size, 2 * whole + 5);
    ck_assert_uint_eq(content.extent_count, 3);
    ck_assert_uint_eq(content.extents[1].frame, 2);
    ck_assert_uint_eq(content.crc, crc32c_combine(crc32c_combine(0x11, 0x22, whole), 0x33, 5));
    free(content.extents);
    ck_fails(plan_content(plan, 4, 1, &content, &err), CPAM_INTERNAL, "was never read", &err);
    plan_free(plan);
}
END_TEST

START_TEST(files_that_shrink_or_vanish_end_there)
{
    struct plan_content content;
    uint64_t whole = PLAN_PART_SIZE;

    ck_ok(plan_new(io_posix(), root, &plan, &err), &err);
    add_file("cut", 3 * whole);
    add_file("cut later", 3 * whole);
    add_file("gone", 10);
    part(0, 100, 1);
    part(1, whole, 2); /* read before the cut: does not count any more */
    part(2, whole, 3);
    ck_ok(plan_content(plan, 0, 3, &content, &err), &err);
    ck_assert_uint_eq(content.size, 100);
    ck_assert_uint_eq(content.extent_count, 1);
    free(content.extents);
    part(3, whole, 4);
    ck_ok(plan_part_vanished(plan, 4, &err), &err);
    part(5, whole, 5);
    ck_ok(plan_content(plan, 3, 3, &content, &err), &err);
    ck_assert(!content.vanished);
    ck_assert_uint_eq(content.size, whole);
    free(content.extents);
    ck_ok(plan_part_vanished(plan, 6, &err), &err);
    ck_ok(plan_content(plan, 6, 1, &content, &err), &err);
    ck_assert(content.vanished);
    free(content.extents);
    plan_free(plan);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/source_files");
    TCase *tcase = tcase_create("source_files");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, B11_what_belongs_into_a_backup, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(tcase, walk_that_would_miss_data_is_refused, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, large_files_are_cut_into_parts_and_put_together);
    tcase_add_test(tcase, files_that_shrink_or_vanish_end_there);
    suite_add_tcase(suite, tcase);
    return suite;
}
