/*
 * test_restore.c - a restore with its calls failing one after the other (T9, T10): no failure is
 * passed over, no descriptor stays open, and a directory that PostgreSQL could start on is whole.
 */
#include "programs/restore_world.h"

#include "fault/io_twin.h"

static unsigned
calls_of(struct world *world, struct io_twin *twin, const char *kind)
{
    struct io_twin_plan plan = {.real_clock = true};
    struct cpam_err err;

    io_twin_plan(twin, &plan);
    ck_ok(world_restore(world, io_twin_io(twin), true, true, &err), &err);
    ck_assert_int_eq(io_twin_open_fds(twin), 0);
    unsigned count = 0;
    while (io_twin_find(twin, kind, (int) count + 1) >= 0)
        count++;
    world_remove(world->target);
    world_remove(world->new_space);
    return count;
}

static const char *const kinds[] = {"fsync",   "close",  "pwrite",    "rename",      "mkdir",
                                    "symlink", "fchmod", "ftruncate", "open_beneath"};

START_TEST(T10_every_failed_call_fails_the_restore)
{
    static struct world world;
    struct io_twin *twin = io_twin_new();
    struct cpam_err err;

    world_begin(&world);
    unsigned calls = calls_of(&world, twin, kinds[_i]);
    ck_assert_uint_gt(calls, 0);
    unsigned step = calls > 60 ? calls / 40 : 1;
    for (unsigned call = 1; call <= calls; call += step)
    {
        struct io_twin_plan plan = {
            .fail_call = call, .fail_kind = kinds[_i], .fail_errno = ENOSPC, .real_clock = true};

        io_twin_plan(twin, &plan);
        enum cpam_status status = world_restore(&world, io_twin_io(twin), true, true, &err);
        ck_assert_msg(io_twin_open_fds(twin) == 0, "%s %u left %d descriptors open", kinds[_i],
                      call, io_twin_open_fds(twin));
        if (status == CPAM_OK)
        {
            /* only what does not matter may fail unseen: closing what was read */
            ck_assert_msg(strcmp(kinds[_i], "close") == 0, "%s %u was passed over", kinds[_i],
                          call);
            ck_assert(world_has(&world, "global/pg_control"));
        }
        world_remove(world.target);
        world_remove(world.new_space);
    }
    io_twin_free(twin);
    world_end(&world);
}
END_TEST

/* pg_control takes its name after everything else is on disk; nothing but markers goes behind. */
START_TEST(T9_T10_pg_control_is_last)
{
    static struct world world;
    struct io_twin *twin = io_twin_new();
    struct io_twin_plan plan = {.real_clock = true};
    struct cpam_err err;

    world_begin(&world);
    io_twin_plan(twin, &plan);
    ck_ok(world_restore(&world, io_twin_io(twin), true, true, &err), &err);
    int named = io_twin_find(twin, "rename global/pg_control" RESTORE_MARKER, 1);
    ck_assert_int_gt(named, 0);
    static const char *const before[] = {"fsync", "pwrite", "symlink", "ftruncate"};
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        ck_assert_msg(io_twin_find(twin, before[i], 1) < named, "%s", before[i]);
    ck_assert_int_lt(io_twin_find(twin, "fsync global/pg_control" RESTORE_MARKER, 1), named);
    ck_assert_int_lt(io_twin_find(twin, "backup_manifest rename", 1), named);
    io_twin_free(twin);
    world_end(&world);
}
END_TEST

static int
count(const struct io_twin *twin, const char *words)
{
    int found = 0;

    while (io_twin_find(twin, words, found + 1) >= 0)
        found++;
    return found;
}

/* A large file is not read back at the end: whoever wrote a part of it, however small, has to hear
   of a write that failed.  Of this one a few hundred bytes lie in its last pack. */
START_TEST(T10_each_part_of_a_large_file_is_fsynced_by_its_writer)
{
    static struct world world;
    struct io_twin *twin = io_twin_new();
    struct io_twin_plan plan = {.real_clock = true};
    struct cpam_err err;

    world_begin(&world);
    ck_assert_uint_ge(world.files[2].extent_count, 4);
    io_twin_plan(twin, &plan);
    ck_ok(world_restore(&world, io_twin_io(twin), true, true, &err), &err);
    int opened = count(twin, "open_beneath base/5/1259");
    ck_assert_int_ge(opened, 2 + 4); /* to be made, for each part, and for the last passage */
    ck_assert_int_eq(count(twin, "fsync base/5/1259"), opened - 1);
    io_twin_free(twin);
    world_end(&world);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("fault/restore");
    TCase *tcase = tcase_create("restore");

    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, T10_every_failed_call_fails_the_restore, 0,
                        (int) (sizeof(kinds) / sizeof(kinds[0])));
    tcase_add_test(tcase, T9_T10_pg_control_is_last);
    tcase_add_test(tcase, T10_each_part_of_a_large_file_is_fsynced_by_its_writer);
    suite_add_tcase(suite, tcase);
    return suite;
}
