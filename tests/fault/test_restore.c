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

/* A directory that --delta has everything to do in: damage, foreign things, WAL, a hole filled. */
static void
damage(const struct world *world)
{
    static const struct
    {
        const char *path;
        off_t at;
    } marks[] = {
        {"base/5/1259", 8192 * 5}, {"base/5/2000", 8192},          {"base/5/foreign", 0},
        {"base/5/3", 0},           {"pg_wal/00000002.history", 0},
    };

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
    {
        char path[512];

        snprintf(path, sizeof(path), "%s/%s", world->target, marks[i].path);
        FILE *out = fopen(path, "r+b");
        if (out == NULL)
            out = fopen(path, "w");
        ck_assert_ptr_nonnull(out);
        ck_assert_int_eq(fseeko(out, marks[i].at, SEEK_SET), 0);
        fputs("damage", out);
        fclose(out);
    }
}

static bool
is_right(const struct world *world, size_t i)
{
    const struct world_file *file = &world->files[i];
    CPAM_AUTO(free) uint8_t *data = malloc(file->size + 1);
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", world->target, file->path);
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        return false;
    size_t got = fread(data, 1, file->size + 1, in);
    fclose(in);
    return got == file->size && memcmp(data, file->data, got) == 0;
}

static bool
all_right(const struct world *world)
{
    bool right = !world_has(world, "base/5/foreign");

    for (size_t i = 0; i < WORLD_FILES; i++)
        right = right && is_right(world, i) == world->files[i].back;
    return right;
}

static const char *const delta_kinds[] = {"fsync",     "pwrite",       "rename", "rename_new",
                                          "unlink",    "open_beneath", "punch",  "opendir",
                                          "ftruncate", "symlink",      "fchmod", "readdir"};

START_TEST(T6_T9_T10_every_failed_call_fails_a_delta_restore)
{
    static struct world world;
    const char *kind = delta_kinds[_i];
    struct io_twin *twin = io_twin_new();
    struct io_twin_plan plan = {.real_clock = true};
    struct cpam_err err;
    unsigned calls = 0;

    world_begin(&world);
    world_blocks(&world);
    ck_ok(world_restore(&world, io_posix(), false, true, &err), &err);
    world.delta = true;
    damage(&world);
    io_twin_plan(twin, &plan);
    ck_ok(world_restore(&world, io_twin_io(twin), false, true, &err), &err);
    ck_assert_int_eq(io_twin_open_fds(twin), 0);
    ck_assert(all_right(&world));
    while (io_twin_find(twin, kind, (int) calls + 1) >= 0)
        calls++;
    ck_assert_uint_gt(calls, 0);
    for (unsigned call = 1; call <= calls; call += calls > 40 ? calls / 25 : 1)
    {
        damage(&world);
        plan.fail_call = call;
        plan.fail_kind = kind;
        plan.fail_errno = ENOSPC;
        io_twin_plan(twin, &plan);
        enum cpam_status status = world_restore(&world, io_twin_io(twin), false, true, &err);
        ck_assert_msg(io_twin_open_fds(twin) == 0, "%s %u left %d descriptors open", kind, call,
                      io_twin_open_fds(twin));
        /* passed over only where it did no harm: a page that could not be looked at is fetched */
        if (status == CPAM_OK)
            ck_assert_msg(all_right(&world), "%s %u was passed over", kind, call);
        else if (world_has(&world, RESTORE_CONTROL) && !all_right(&world))
            ck_assert_msg(world_has(&world, "base/5/foreign"), "%s %u: half, and it would start",
                          kind, call);
        ck_ok(world_restore(&world, io_posix(), false, true, &err), &err);
        ck_assert_msg(all_right(&world), "after %s %u", kind, call);
    }
    io_twin_free(twin);
    world_end(&world);
}
END_TEST

/* trap 20: pg_control goes, durably, before anything but the markers is touched. */
START_TEST(trap20_pg_control_goes_before_anything_else)
{
    static struct world world;
    struct io_twin *twin = io_twin_new();
    struct io_twin_plan plan = {.real_clock = true};
    struct cpam_err err;

    world_begin(&world);
    world_blocks(&world);
    ck_ok(world_restore(&world, io_posix(), false, true, &err), &err);
    world.delta = true;
    damage(&world);
    io_twin_plan(twin, &plan);
    ck_ok(world_restore(&world, io_twin_io(twin), false, true, &err), &err);
    int gone = io_twin_find(twin, "unlink global/pg_control", 1);
    if (gone < 0)
        gone = io_twin_find(twin, "/global/pg_control", 1);
    int synced = io_twin_find(twin, "fsync", 1);
    for (int i = 2; synced >= 0 && synced < gone; i++)
        synced = io_twin_find(twin, "fsync", i);
    ck_assert_int_gt(gone, 0);
    static const char *const after[] = {"rename_new", "pwrite", "ftruncate", "open_beneath",
                                        "punch"};
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++)
    {
        int at = io_twin_find(twin, after[i], 1);

        ck_assert_msg(at > synced, "%s at %d, pg_control gone at %d and synced at %d", after[i], at,
                      gone, synced);
    }
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
   of a write that failed.  Of this one a page lies in its last pack. */
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
    tcase_add_loop_test(tcase, T6_T9_T10_every_failed_call_fails_a_delta_restore, 0,
                        (int) (sizeof(delta_kinds) / sizeof(delta_kinds[0])));
    tcase_add_test(tcase, trap20_pg_control_goes_before_anything_else);
    tcase_add_test(tcase, T9_T10_pg_control_is_last);
    tcase_add_test(tcase, T10_each_part_of_a_large_file_is_fsynced_by_its_writer);
    suite_add_tcase(suite, tcase);
    return suite;
}
