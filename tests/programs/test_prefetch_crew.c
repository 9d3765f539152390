/*
 * test_prefetch_crew.c - the threads that fetch ahead, on a real repository: what ThreadSanitizer is
 * to look at.
 */
#include "backlog_world.h"

#include <pthread.h>
#include <stdatomic.h>

#include "prefetch_crew.h"

enum
{
    SEGMENTS = 12,
    PATIENCE = 200 * 1000000 /* us */
};

static struct backlog_world w;
static struct prefetch_folder *folder;
static struct prefetch_source *source;
static struct prefetch_crew *crew;
static atomic_uint woken;
static struct cpam_err err;

static void
wake(void *arg)
{
    atomic_fetch_add((atomic_uint *) arg, 1);
}

/* Odd ones are in the first repository only, even ones in the second only, and the last is nowhere. */
static void
make_crew(void)
{
    struct prefetch_crew_spec spec = {
        .io = io_posix(),
        .bounds = {.workers = 2, .ahead = 8, .segment_size = 1 << 20},
        .wake = wake,
        .arg = &woken,
    };

    backlog_world_begin(&w, io_posix(), "");
    for (unsigned number = 1; number < SEGMENTS; number++)
    {
        CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
        bool was_there;

        ck_ok(wal_item_read(io_posix(), backlog_world_file(&w, number, number),
                            backlog_world_segment(number), REPO_SYSID, &item, &err),
              &err);
        ck_ok(wal_archive_put(repository_repo(w.opened[number % 2 == 0]), item, &was_there, &err),
              &err);
    }
    ck_ok(prefetch_folder_open(io_posix(), fixture_dir, &folder, &err), &err);
    ck_ok(prefetch_source_new(io_posix(), w.settings, REPO_SYSID, &source, &err), &err);
    spec.folder = folder;
    spec.source = source;
    ck_ok(prefetch_crew_new(&spec, &crew, &err), &err);
}

static void
remove_crew(void)
{
    ck_assert(prefetch_crew_stop(crew, PATIENCE));
    prefetch_crew_free(crew);
    prefetch_source_free(source);
    prefetch_folder_empty(folder);
    prefetch_folder_free(folder);
    backlog_world_end(&w);
}

static struct segment
segment(unsigned number)
{
    return (struct segment){{1}, number};
}

static enum cpam_status
fetch(unsigned number, char path[PREFETCH_PATH_MAX])
{
    struct deadline end = deadline_after(io_posix(), PATIENCE);
    enum cpam_status status;

    prefetch_crew_ask(crew, segment(number), end);
    while ((status = prefetch_crew_take(crew, segment(number), path, &err)) == CPAM_TRANSIENT)
    {
        ck_assert(deadline_left(io_posix(), end) > 0);
        io_posix()->ops->sleep(io_posix(), 1000);
    }
    return status;
}

static void
fetch_right(unsigned number)
{
    uint8_t *wanted = wal_bytes(REPO_SYSID, 1, (uint64_t) number << 20, 1 << 20, number);
    uint8_t *found = malloc(1 << 20);
    char path[PREFETCH_PATH_MAX];

    ck_ok(fetch(number, path), &err);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(found, 1, 1 << 20, file), 1 << 20);
    ck_assert_int_eq(fgetc(file), EOF);
    fclose(file);
    ck_assert_mem_eq(found, wanted, 1 << 20);
    ck_assert_int_eq(unlink(path), 0);
    free(found);
    free(wanted);
}

START_TEST(threads_fetch_ahead_from_two_repositories)
{
    make_crew();
    for (unsigned number = 1; number < SEGMENTS; number++)
    {
        prefetch_source_prefer(source, number % 3 == 0 ? "behind" : "");
        fetch_right(number);
    }
    remove_crew();
}
END_TEST

START_TEST(a_jump_drops_what_is_under_way)
{
    static const unsigned order[] = {1, 7, 2, 3, 9, 4, 5, 1};

    make_crew();
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        fetch_right(order[i]);
    remove_crew();
}
END_TEST

START_TEST(what_is_nowhere_is_told_and_a_stop_ends_the_rest)
{
    char path[PREFETCH_PATH_MAX];

    make_crew();
    fetch_right(SEGMENTS - 1);
    ck_assert_int_eq(fetch(SEGMENTS, path), CPAM_NOT_FOUND);
    ck_assert_uint_ge(atomic_load(&woken), 1);
    prefetch_crew_ask(crew, segment(1), deadline_after(io_posix(), PATIENCE));
    remove_crew();
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/prefetch_crew");
    TCase *all = tcase_create("threads");

    tcase_set_timeout(all, 280);
    tcase_add_test(all, threads_fetch_ahead_from_two_repositories);
    tcase_add_test(all, a_jump_drops_what_is_under_way);
    tcase_add_test(all, what_is_nowhere_is_told_and_a_stop_ends_the_rest);
    suite_add_tcase(suite, all);
    return suite;
}
