/*
 * test_recovery_map.c - what a repository holds for a recovery: runs that end in front of a fork's
 * segment (T2), and segments that can't be believed (E1).
 */
#include "repo/recovery_map.h"

#include "repo/repo_fixture.h"

#define MIB (UINT64_C(1) << 20)

struct archive
{
    struct repo_fixture repo;
    struct backup_summary backup;
    struct backup_list backups;
    struct recovery_archive *archive;
    const struct recovery_map *map;
};

static void
push(struct archive *self, const char *name)
{
    struct cpam_err err;
    bool was_there;

    ck_ok(wal_push(self->repo.repo, name, REPO_SYSID, &was_there, &err), &err);
}

/* Segments 1 to 4 of timeline 1, of which the backup needs the first. */
static void
begin(struct archive *self)
{
    memset(self, 0, sizeof(*self));
    repo_fixture_begin(&self->repo, false);
    for (uint64_t number = 1; number <= 4; number++)
    {
        char name[SEGMENT_NAME_MAX];

        segment_format((struct segment){{1}, number}, (uint32_t) MIB, name);
        wal_segment_file(name, number, (unsigned) number);
        push(self, name);
    }
    self->backup = (struct backup_summary){.label = "b",
                                           .sysid = REPO_SYSID,
                                           .timeline = {1},
                                           .start = {MIB + 0x28},
                                           .stop = {MIB + 0x100},
                                           .segment_size = (uint32_t) MIB};
    self->backups = (struct backup_list){.items = &self->backup, .count = 1};
}

static void
look(struct archive *self)
{
    struct cpam_err err;

    recovery_archive_free(self->archive);
    ck_ok(recovery_archive_read(self->repo.repo, REPO_SYSID, &self->backups, &self->archive, &err),
          &err);
    self->map = recovery_archive_map(self->archive);
}

static void
end(struct archive *self)
{
    recovery_archive_free(self->archive);
    repo_fixture_end(&self->repo);
}

static void
run_is(const struct archive *self, size_t i, uint64_t first, uint64_t last)
{
    struct object_header header;
    char name[SEGMENT_NAME_MAX];
    struct cpam_err err;

    ck_assert_uint_lt(i, self->map->run_count);
    ck_assert_uint_eq(self->map->runs[i].first, first);
    ck_assert_uint_eq(self->map->runs[i].last, last);
    segment_format((struct segment){{1}, last}, (uint32_t) MIB, name);
    ck_ok(wal_archive_header(self->repo.repo, REPO_SYSID, name, &header, &err), &err);
    ck_assert_int_eq(self->map->runs[i].last_created, header.created);
}

START_TEST(T2_a_run_ends_in_front_of_a_fork)
{
    static struct archive self;

    begin(&self);
    look(&self);
    ck_assert_uint_eq(self.map->run_count, 1);
    run_is(&self, 0, 1, 4);
    wal_file("00000002.history", "1\t0/300100\tx\n", 13);
    push(&self, "00000002.history");
    look(&self);
    ck_assert_uint_eq(self.map->run_count, 2);
    run_is(&self, 0, 1, 2);
    run_is(&self, 1, 3, 4);
    end(&self);
}
END_TEST

START_TEST(E1_a_last_segment_that_is_not_genuine_ends_the_run_before_it)
{
    static struct archive self;
    size_t altered = 0;

    begin(&self);
    for (size_t i = 0; i < self.repo.bucket.count; i++)
    {
        struct memory_object *object = &self.repo.bucket.objects[i];

        if (strstr(object->key, "000000010000000000000004") == NULL)
            continue;
        object->versions[object->count - 1].data[40] ^= 1;
        altered++;
    }
    ck_assert_uint_eq(altered, 1);
    look(&self);
    ck_assert_uint_eq(self.map->run_count, 1);
    run_is(&self, 0, 1, 3);
    end(&self);
}
END_TEST

START_TEST(E1_no_segment_is_genuine)
{
    static struct archive self;

    begin(&self);
    for (size_t i = 0; i < self.repo.bucket.count; i++)
    {
        struct memory_object *object = &self.repo.bucket.objects[i];

        if (strncmp(object->key, "wal/", 4) == 0)
            object->versions[object->count - 1].data[40] ^= 1;
    }
    look(&self);
    ck_assert_uint_eq(self.map->run_count, 0);
    end(&self);
}
END_TEST

/* Anybody who can write to the bucket can put a name there: it must not keep all others away. */
START_TEST(E1_a_history_that_is_not_genuine_stops_only_its_timeline)
{
    static struct archive self;
    struct target target = {.kind = TARGET_LATEST};
    struct target_plan plan;
    char key[LAYOUT_KEY_MAX];
    struct cpam_err err;

    begin(&self);
    snprintf(key, sizeof(key), "wal/%" PRIu64 "/00000009.history", REPO_SYSID);
    ck_ok(store_put_new(repo_store(self.repo.repo), key, "1\t0/300100\tx\n", 13, STORE_CLASS_WAL,
                        &err),
          &err);
    look(&self);
    ck_assert_uint_eq(self.map->doubtful.id, 9);
    ck_assert_uint_eq(self.map->history_count, 0);
    run_is(&self, 0, 1, 4);
    /* never silently another one, and another one when it is named */
    ck_fails(target_select(self.map, &target, &plan, &err), CPAM_UNREACHABLE,
             "timeline 9 can't be reached", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "--target-timeline"));
    target.timeline.id = 1;
    ck_ok(target_select(self.map, &target, &plan, &err), &err);
    ck_assert_uint_eq(plan.last.number, 4);
    end(&self);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/recovery_map");
    TCase *tcase = tcase_create("recovery_map");

    tcase_add_test(tcase, T2_a_run_ends_in_front_of_a_fork);
    tcase_add_test(tcase, E1_a_last_segment_that_is_not_genuine_ends_the_run_before_it);
    tcase_add_test(tcase, E1_no_segment_is_genuine);
    tcase_add_test(tcase, E1_a_history_that_is_not_genuine_stops_only_its_timeline);
    suite_add_tcase(suite, tcase);
    return suite;
}
