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
    ck_ok(recovery_archive_read(&self->repo.repo, 1, REPO_SYSID, &self->backups, &self->archive,
                                &err),
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

/* --- two repositories that have not the same ---------------------------------------------------- */

static struct repo_fixture second;

static void
second_begin(const struct archive *self)
{
    struct cluster_record record = {REPO_SYSID, 15, (uint32_t) MIB};
    struct cpam_err err;

    memory_bucket_init(&second.bucket);
    second.opener = memory_opener(&second.bucket, io_posix());
    second.settings = self->repo.settings;
    second.settings.name = "second";
    second.settings.opener = &second.opener;
    second.keyring = self->repo.keyring;
    ck_ok(repo_create(io_posix(), &second.settings, second.keyring, &err), &err);
    repo_fixture_open(&second);
    ck_ok(cluster_record_put(second.repo, &record, &err), &err);
}

static void
second_push(uint32_t timeline, uint64_t number)
{
    uint8_t *data = wal_bytes(REPO_SYSID, timeline, number * MIB, (uint32_t) MIB, 7);
    char name[SEGMENT_NAME_MAX];
    struct cpam_err err;
    bool was_there;

    segment_format((struct segment){{timeline}, number}, (uint32_t) MIB, name);
    wal_file(name, data, MIB);
    free(data);
    ck_ok(wal_push(second.repo, name, REPO_SYSID, &was_there, &err), &err);
}

static enum cpam_status
look_at_both(struct archive *self, struct cpam_err *err)
{
    struct repo *const repos[] = {self->repo.repo, second.repo};

    recovery_archive_free(self->archive);
    self->archive = NULL;
    CPAM_TRY(recovery_archive_read(repos, 2, REPO_SYSID, &self->backups, &self->archive, err));
    self->map = recovery_archive_map(self->archive);
    return CPAM_OK;
}

static void
second_end(struct archive *self)
{
    repo_free(second.repo);
    memory_bucket_clear(&second.bucket);
    end(self);
}

static void
span_is(const struct archive *self, size_t i, uint32_t timeline, uint64_t first, uint64_t last)
{
    ck_assert_uint_lt(i, self->map->run_count);
    ck_assert_uint_eq(self->map->runs[i].timeline.id, timeline);
    ck_assert_uint_eq(self->map->runs[i].first, first);
    ck_assert_uint_eq(self->map->runs[i].last, last);
    ck_assert_int_gt(self->map->runs[i].last_created, 0);
}

/* acknowledge: any, and a failover while the first was away: the new timeline is in the second. */
START_TEST(T1_T2_what_either_repository_has_counts)
{
    static struct archive self;
    struct cpam_err err;
    bool was_there;

    begin(&self);
    second_begin(&self);
    second_push(1, 3); /* in both */
    second_push(1, 5);
    second_push(1, 7);
    ck_ok(look_at_both(&self, &err), &err);
    ck_assert_uint_eq(self.map->run_count, 2);
    span_is(&self, 0, 1, 1, 5);
    span_is(&self, 1, 1, 7, 7);
    /* one that is not genuine in the one is taken from the other */
    for (size_t i = 0; i < self.repo.bucket.count; i++)
        if (strstr(self.repo.bucket.objects[i].key, "000000010000000000000004") != NULL)
            self.repo.bucket.objects[i].versions[0].data[40] ^= 1;
    wal_file("00000002.history", "1\t0/700100\tx\n", 13);
    ck_ok(wal_push(second.repo, "00000002.history", REPO_SYSID, &was_there, &err), &err);
    second_push(2, 7);
    second_push(2, 8);
    ck_ok(look_at_both(&self, &err), &err);
    ck_assert_uint_eq(self.map->history_count, 1);
    ck_assert_uint_eq(self.map->run_count, 3);
    span_is(&self, 0, 1, 1, 5);
    span_is(&self, 1, 1, 7, 7);
    span_is(&self, 2, 2, 7, 8);
    second.bucket.fail_all = CPAM_TRANSIENT;
    ck_fails(look_at_both(&self, &err), CPAM_TRANSIENT, "", &err);
    second_end(&self);
}
END_TEST

/* The end of a run: the first repository's is damaged, the second one's counts. */
START_TEST(E1_an_end_that_is_genuine_in_the_second_repository)
{
    static struct archive self;
    struct cpam_err err;

    begin(&self);
    second_begin(&self);
    second_push(1, 4);
    for (size_t i = 0; i < self.repo.bucket.count; i++)
        if (strstr(self.repo.bucket.objects[i].key, "000000010000000000000004") != NULL)
            self.repo.bucket.objects[i].versions[0].data[40] ^= 1;
    ck_ok(look_at_both(&self, &err), &err);
    ck_assert_uint_eq(self.map->run_count, 1);
    span_is(&self, 0, 1, 1, 4);
    second_end(&self);
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
    tcase_add_test(tcase, T1_T2_what_either_repository_has_counts);
    tcase_add_test(tcase, E1_an_end_that_is_genuine_in_the_second_repository);
    tcase_add_test(tcase, E1_a_history_that_is_not_genuine_stops_only_its_timeline);
    suite_add_tcase(suite, tcase);
    return suite;
}
