/*
 * test_wal_archive.c - WAL files into the archive and out of it, and everything that is refused.
 */
#include "repo/wal_stores.h"

#define SEGMENT "000000010000000000000003"
#define KEY     "wal/7301234567890123456/00000001/00000000/" SEGMENT

START_TEST(round_trip)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    uint8_t *data = wal_bytes(REPO_SYSID, 1, 3 << 20, 1 << 20, 1);
    struct object_header header;

    wal_file(SEGMENT, data, 1 << 20);
    wal_push_ok(self.repo, SEGMENT, false);
    ck_ok(wal_pull(self.repo, SEGMENT, &back, &err), &err);
    ck_assert_uint_eq(back.size, 1 << 20);
    ck_assert_mem_eq(back.data, data, 1 << 20);
    ck_ok(wal_archive_header(self.repo, REPO_SYSID, SEGMENT, &header, &err), &err);
    ck_assert_int_eq(header.kind, OBJECT_WAL);
    ck_assert_uint_eq(header.raw_length, 1 << 20);
    free(data);
}
END_TEST

START_TEST(P1_same_content_again_sends_no_body)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf before = {0};

    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    struct memory_version *stored = memory_current(&self.bucket, KEY);
    ck_ok(cpam_buf_append(&before, stored->data, stored->size, 1 << 24, &err), &err);
    int64_t modified = stored->modified;

    /* a process of its own, as PostgreSQL calls it */
    repo_free(self.repo);
    self.repo = NULL;
    self.bucket.requests = self.bucket.bodies = 0;
    repo_fixture_open(&self);
    wal_push_ok(self.repo, SEGMENT, true);
    ck_assert_uint_le(self.bucket.requests, 2);
    ck_assert_uint_eq(self.bucket.bodies, 0);
    ck_assert_uint_eq(self.bucket.settled, 1); /* what can be read may not be durable yet */
    stored = memory_current(&self.bucket, KEY);
    ck_assert_uint_eq(stored->size, before.size);
    ck_assert_mem_eq(stored->data, before.data, before.size);
    ck_assert_int_eq(stored->modified, modified);
}
END_TEST

START_TEST(P2_other_content_is_refused_and_nothing_changes)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf before = {0};
    bool was_there;
    const char *ids;

    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    struct memory_version *stored = memory_current(&self.bucket, KEY);
    ck_ok(cpam_buf_append(&before, stored->data, stored->size, 1 << 24, &err), &err);
    wal_segment_file(SEGMENT, 3, 2);
    ck_fails(wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err), CPAM_EXISTS,
             "is archived with other content", &err);
    stored = memory_current(&self.bucket, KEY);
    ck_assert_uint_eq(stored->size, before.size);
    ck_assert_mem_eq(stored->data, before.data, before.size);
    /* both content ids, both system identifiers, both timelines */
    ids = strstr(err.text, "content id ");
    ck_assert_ptr_nonnull(ids);
    const char *second = strstr(ids + 1, "content id ");
    ck_assert_ptr_nonnull(second);
    ck_assert_int_ne(strncmp(ids, second, 11 + 64), 0);
    const char *sysid = strstr(err.text, "system identifier 7301234567890123456, timeline 1");
    ck_assert_ptr_nonnull(sysid);
    ck_assert_ptr_nonnull(strstr(sysid + 1, "system identifier 7301234567890123456, timeline 1"));
}
END_TEST

START_TEST(P3_lost_answer_is_told_from_a_conflict)
{
    bool was_there = true;

    wal_segment_file(SEGMENT, 3, 1);
    self.bucket.lose_put_answer = true;
    ck_ok(wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err), &err);
    ck_assert(!was_there);
}
END_TEST

struct racer
{
    pthread_barrier_t *start;
    struct repo *repo;
    struct wal_item *item;
    enum cpam_status status;
    bool was_there;
};

static void *
race(void *arg)
{
    struct racer *racer = arg;
    struct cpam_err ignored;

    pthread_barrier_wait(racer->start);
    racer->status = wal_archive_put(racer->repo, racer->item, &racer->was_there, &ignored);
    return NULL;
}

START_TEST(P3_of_two_racing_pushers_one_wins)
{
    CPAM_AUTO(repo_free) struct repo *second = NULL;
    int conflicts = 0;

    ck_ok(repo_another(self.repo, &second, &err), &err);
    for (unsigned round = 0; round < 100; round++)
    {
        struct racer racers[2] = {{.repo = self.repo}, {.repo = second}};
        pthread_barrier_t start;
        pthread_t threads[2];
        char name[SEGMENT_NAME_MAX];

        snprintf(name, sizeof(name), "0000000100000000%08X", round);
        pthread_barrier_init(&start, NULL, 2);
        for (unsigned i = 0; i < 2; i++)
        {
            /* two hosts, each with a file of its own */
            const char *path = wal_segment_other(i == 0 ? "one" : "two", round, i);
            ck_ok(wal_item_read(io_posix(), path, name, 0, &racers[i].item, &err), &err);
            racers[i].start = &start;
            ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
        }
        for (unsigned i = 0; i < 2; i++)
        {
            pthread_join(threads[i], NULL);
            wal_item_free(racers[i].item);
        }
        pthread_barrier_destroy(&start);
        conflicts += racers[0].status == CPAM_EXISTS || racers[1].status == CPAM_EXISTS;
        ck_assert_msg((racers[0].status == CPAM_OK) != (racers[1].status == CPAM_OK),
                      "round %u: %s and %s", round, cpam_status_name(racers[0].status),
                      cpam_status_name(racers[1].status));
    }
    ck_assert_int_eq(conflicts, 100);
}
END_TEST

START_TEST(P4_history_is_immutable)
{
    static const uint32_t timelines[] = {2, 0x0A, 0xFF};
    char name[ARCHIVE_NAME_MAX], text[64], key[LAYOUT_KEY_MAX];
    bool was_there;
    CPAM_AUTO(history_free) struct history *history = NULL;

    snprintf(name, sizeof(name), "%08" PRIX32 ".history", timelines[_i]);
    snprintf(key, sizeof(key), "wal/%" PRIu64 "/%s", REPO_SYSID, name);
    snprintf(text, sizeof(text), "1\t0/3000180\tno recovery target specified\n");
    wal_file(name, text, strlen(text));
    wal_push_ok(self.repo, name, false);
    wal_push_ok(self.repo, name, true);
    memory_current(&self.bucket, key);
    snprintf(text, sizeof(text), "1\t0/4000180\tno recovery target specified\n");
    wal_file(name, text, strlen(text));
    ck_fails(wal_push(self.repo, name, REPO_SYSID, &was_there, &err), CPAM_EXISTS,
             "is archived with other content", &err);
    ck_ok(wal_archive_history(self.repo, REPO_SYSID, (struct timeline){timelines[_i]}, &history,
                              &err),
          &err);
    ck_assert_uint_eq(history->entries[0].switch_point.at, 0x3000180);
}
END_TEST

START_TEST(trap9_other_partial_goes_beside)
{
    static const char name[] = "000000010000000000000003.partial";
    unsigned found = 0;

    wal_segment_file(name, 3, 1);
    wal_push_ok(self.repo, name, false);
    wal_segment_file(name, 3, 2);
    wal_push_ok(self.repo, name, false);
    wal_push_ok(self.repo, name, true); /* and the second one again is there */
    for (size_t i = 0; i < self.bucket.count; i++)
        found += strncmp(self.bucket.objects[i].key, KEY ".partial", strlen(KEY ".partial")) == 0;
    ck_assert_uint_eq(found, 2);
}
END_TEST

START_TEST(P5_backup_history_is_taken)
{
    static const char name[] = "000000010000000000000003.00000028.backup";
    static const char text[] = "START WAL LOCATION: 0/300028 (file 000000010000000000000003)\n"
                               "STOP WAL LOCATION: 0/300100 (file 000000010000000000000003)\n";
    static const char wrong[] = "START WAL LOCATION: 0/400028 (file 000000010000000000000004)\n";
    bool was_there;

    wal_file(name, text, sizeof(text) - 1);
    wal_push_ok(self.repo, name, false);
    wal_push_ok(self.repo, name, true);
    wal_file(name, wrong, sizeof(wrong) - 1);
    ck_fails(wal_push(self.repo, name, REPO_SYSID, &was_there, &err), CPAM_INVALID,
             "is no backup history file of its segment", &err);
}
END_TEST

START_TEST(P6_unregistered_system_identifier_is_refused)
{
    uint8_t *data = wal_bytes(99, 1, 3 << 20, 1 << 20, 1);
    bool was_there;

    wal_file(SEGMENT, data, 1 << 20);
    free(data);
    ck_fails(wal_push(self.repo, SEGMENT, 0, &was_there, &err), CPAM_FOREIGN,
             "system identifier 99 is not registered", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "cpam-repo create"));
    ck_fails(wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err), CPAM_FOREIGN, "99", &err);
}
END_TEST

/* Files that are not what their name says: none of these sends anything. */
static const struct
{
    const char *name, *words;
    uint64_t address;
    uint32_t timeline, size, file_size;
} misfits[] = {
    {"000000010000000000000004", "", 3 << 20, 1, 1 << 20, 1 << 20},       /* recycled */
    {"000000010000000000000003", "", 3 << 20, 2, 1 << 20, 1 << 20},       /* later timeline */
    {"000000010000000000000003", "", 3 << 20, 1, 1 << 20, (1 << 20) - 1}, /* cut short */
    {"000000010000000000000003", "", 3 << 20, 1, 2 << 20, 1 << 20},       /* other size */
    {"000000010000000000000003", "", 3 << 20, 1, 1 << 20, 39},            /* no header */
    {"000000010000000000000003", "is empty", 3 << 20, 1, 1 << 20, 0},
    {"000000020000000000000003", "could not be checked", 3 << 20, 1, 1 << 20, 1 << 20},
    {"00000001.history", "timeline 1 has no history", 0, 1, 1 << 20, 50},
    {"00000002.history", "", 0, 1, 1 << 20, 50},
};

START_TEST(P7_file_that_is_not_what_its_name_says_is_refused)
{
    uint8_t *data =
        wal_bytes(REPO_SYSID, misfits[_i].timeline, misfits[_i].address, misfits[_i].size, 1);
    bool was_there;
    unsigned before = self.bucket.requests;

    wal_file(misfits[_i].name, data, misfits[_i].file_size);
    free(data);
    ck_fails(wal_push(self.repo, misfits[_i].name, REPO_SYSID, &was_there, &err), CPAM_INVALID,
             misfits[_i].words, &err);
    ck_assert_uint_eq(self.bucket.requests, before);
}
END_TEST

START_TEST(P7_what_cannot_be_a_wal_file_is_refused)
{
    char path[256];
    static const char none[] = "# nothing but a comment\n";
    struct wal_item *item = NULL;
    unsigned before = self.bucket.requests;

    ck_fails(wal_item_read(io_posix(), fixture_dir, SEGMENT, 0, &item, &err), CPAM_INVALID,
             "is no regular file", &err);
    ck_fails(wal_item_read(io_posix(), "/nowhere/at/all", SEGMENT, 0, &item, &err), CPAM_NOT_FOUND,
             "/nowhere/at/all", &err);
    snprintf(path, sizeof(path), "%s", wal_file("00000002.history", none, sizeof(none) - 1));
    ck_fails(wal_item_read(io_posix(), path, "00000002.history", 0, &item, &err), CPAM_USAGE,
             "does not say which cluster it is of", &err);
    ck_fails(wal_item_read(io_posix(), path, "00000002.history", REPO_SYSID, &item, &err),
             CPAM_INVALID, "names no ancestor", &err);
    ck_assert_int_eq(truncate(path, (off_t) 4 << 20), 0);
    ck_fails(wal_item_read(io_posix(), path, "00000002.history", REPO_SYSID, &item, &err),
             CPAM_INVALID, "more than any file of its kind", &err);
    ck_assert_ptr_null(item);
    ck_assert_uint_eq(self.bucket.requests, before);
}
END_TEST

START_TEST(P5_unknown_name_sends_no_request)
{
    unsigned before = self.bucket.requests;
    struct wal_item *item = NULL;

    ck_fails(wal_item_read(io_posix(), "/dev/null", "pg_wal", REPO_SYSID, &item, &err),
             CPAM_INVALID, "pg_wal", &err);
    ck_assert_uint_eq(self.bucket.requests, before);
    ck_assert_ptr_null(item);
}
END_TEST

/* Trap 2: after a promotion the first segment of the new timeline begins as the parent's. */
START_TEST(trap2_fork_segment_needs_its_history)
{
    static const char name[] = "000000020000000000000003";
    static const char history[] = "1\t0/380000\tno recovery target specified\n";
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    bool was_there;

    wal_segment_file(name, 3, 1);
    wal_file("00000002.history", "1\t0/480000\telsewhere\n", 22);
    ck_assert_int_eq(wal_push(self.repo, name, REPO_SYSID, &was_there, &err), CPAM_INVALID);
    wal_file("00000002.history", history, sizeof(history) - 1);
    wal_push_ok(self.repo, name, false);
    /* out again only when the archive has the history too */
    ck_fails(wal_pull(self.repo, name, &back, &err), CPAM_UNKNOWN, "is needed to check", &err);
    wal_push_ok(self.repo, "00000002.history", false);
    ck_ok(wal_pull(self.repo, name, &back, &err), &err);
}
END_TEST

START_TEST(F3_every_changed_byte_is_refused_and_writes_nothing_wrong)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf plain = {0};

    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    ck_ok(wal_pull(self.repo, SEGMENT, &plain, &err), &err);
    struct memory_version *stored = memory_current(&self.bucket, KEY);
    for (size_t i = 0; i < stored->size; i += i < 600 ? 1 : 97)
    {
        stored->data[i] ^= (uint8_t) (1 << (i % 8));
        enum cpam_status status = wal_pull(self.repo, SEGMENT, &back, &err);
        ck_assert_msg(status == CPAM_CORRUPT || status == CPAM_FOREIGN, "byte %zu: %s", i,
                      cpam_status_name(status));
        ck_assert_mem_eq(back.data == NULL ? plain.data : back.data, plain.data, back.size);
        stored->data[i] ^= (uint8_t) (1 << (i % 8));
    }
}
END_TEST

START_TEST(F3_truncated_object_is_refused)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    bool was_there;

    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    struct memory_version *stored = memory_current(&self.bucket, KEY);
    size_t whole = stored->size;
    for (size_t size = 0; size < whole; size += size < 500 ? 1 : 1013)
    {
        stored->size = size;
        enum cpam_status status = wal_pull(self.repo, SEGMENT, &back, &err);
        ck_assert_msg(status == CPAM_CORRUPT, "%zu bytes: %s", size, cpam_status_name(status));
    }
    /* and, whole header or not, it is not "there" for a push */
    for (size_t size = whole - 1; size >= 330; size /= 2)
    {
        stored->size = size;
        ck_fails(wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err), CPAM_CORRUPT,
                 "cut short", &err);
        ck_assert_ptr_nonnull(strstr(err.hint, "move it out of the way"));
    }
    stored->size = whole;
    stored->data[whole / 2] ^= 1;
    ck_fails(wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err), CPAM_CORRUPT, "frame",
             &err);
    stored->data[whole / 2] ^= 1;
    stored->size = whole;
}
END_TEST

START_TEST(E2_object_under_another_name_is_refused)
{
    static const char other[] =
        "wal/7301234567890123456/00000001/00000000/000000010000000000000004";
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};

    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    struct memory_version *stored = memory_current(&self.bucket, KEY);
    memory_overwrite(&self.bucket, other, stored->data, stored->size);
    ck_assert_int_eq(wal_pull(self.repo, "000000010000000000000004", &back, &err), CPAM_CORRUPT);
    ck_assert_uint_eq(back.size, 0);
}
END_TEST

START_TEST(F1_absent_and_unknown_are_told_apart)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    static const enum cpam_status failures[] = {CPAM_REFUSED, CPAM_DEADLINE, CPAM_TRANSIENT,
                                                CPAM_UNKNOWN};

    ck_fails(wal_pull(self.repo, SEGMENT, &back, &err), CPAM_NOT_FOUND, "", &err);
    for (size_t i = 0; i < 4; i++)
    {
        self.bucket.fail_all = failures[i];
        ck_fails(wal_pull(self.repo, SEGMENT, &back, &err), failures[i], "", &err);
    }
}
END_TEST

START_TEST(fault5_oldest_genuine_version_is_the_object)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf plain = {0};

    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    ck_ok(wal_pull(self.repo, SEGMENT, &plain, &err), &err);
    /* junk on top, then a marker on top of that */
    memory_overwrite(&self.bucket, KEY, "junk", 4);
    ck_ok(wal_pull(self.repo, SEGMENT, &back, &err), &err);
    ck_assert_mem_eq(back.data, plain.data, plain.size);
    memory_delete(&self.bucket, KEY);
    ck_ok(wal_pull(self.repo, SEGMENT, &back, &err), &err);
    ck_assert_mem_eq(back.data, plain.data, plain.size);
    wal_push_ok(self.repo, SEGMENT, true);
    /* a genuine one of other content, written later by a stolen key, does not win */
    bool was_there;
    wal_segment_file(SEGMENT, 3, 2);
    ck_fails(wal_push(self.repo, SEGMENT, REPO_SYSID, &was_there, &err), CPAM_EXISTS, "", &err);
}
END_TEST

START_TEST(fault5_marker_alone_is_unknown_not_absent)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};

    memory_overwrite(&self.bucket, KEY, "junk", 4);
    memory_delete(&self.bucket, KEY);
    ck_fails(wal_pull(self.repo, SEGMENT, &back, &err), CPAM_UNKNOWN, "marker", &err);
}
END_TEST

/* The versions were listed, and then the store has not got the genuine one: no end of the archive. */
START_TEST(F1_version_that_is_listed_and_not_there_is_unknown)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};

    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    struct memory_version *genuine = memory_current(&self.bucket, KEY);
    self.bucket.lost = genuine->id;
    memory_delete(&self.bucket, KEY);
    ck_fails(wal_pull(self.repo, SEGMENT, &back, &err), CPAM_UNKNOWN, "is listed, but not there",
             &err);
    self.bucket.lost = NULL;
    ck_ok(wal_pull(self.repo, SEGMENT, &back, &err), &err);
}
END_TEST

/* x-amz-version-id comes with each answer, and the question for versions is not known to the store. */
START_TEST(F5_store_that_names_versions_and_lists_none_is_read_once)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};

    self.bucket.untold = true;
    wal_segment_file(SEGMENT, 3, 1);
    wal_push_ok(self.repo, SEGMENT, false);
    unsigned before = self.bucket.requests;
    ck_ok(wal_pull(self.repo, SEGMENT, &back, &err), &err);
    ck_assert_uint_eq(self.bucket.requests - before, 2); /* the object, and its versions */
    wal_push_ok(self.repo, SEGMENT, true);
}
END_TEST

START_TEST(F1_large_segment_that_goes_behind_its_header_is_unknown)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    uint32_t size = 128 << 20;
    uint8_t *data = wal_bytes(REPO_SYSID, 1, (uint64_t) 3 * size, size, 1);

    repo_free(self.repo);
    self.settings.wal_codec = CODEC_NONE;
    repo_fixture_open(&self);
    wal_file(SEGMENT, data, size);
    free(data);
    wal_push_ok(self.repo, SEGMENT, false);
    self.bucket.lose_large_at = 2; /* the first tells that it is too large to be held */
    ck_fails(wal_pull(self.repo, SEGMENT, &back, &err), CPAM_UNKNOWN, "vanished while", &err);
}
END_TEST

static TCase *
case_of(Suite *suite, const char *name, SFun before)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, before, end);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void
add_plain(TCase *tcase)
{
    tcase_add_test(tcase, round_trip);
    tcase_add_test(tcase, P1_same_content_again_sends_no_body);
    tcase_add_test(tcase, P2_other_content_is_refused_and_nothing_changes);
    tcase_add_test(tcase, P3_lost_answer_is_told_from_a_conflict);
    tcase_add_test(tcase, P3_of_two_racing_pushers_one_wins);
    tcase_add_loop_test(tcase, P4_history_is_immutable, 0, 3);
    tcase_add_test(tcase, trap9_other_partial_goes_beside);
    tcase_add_test(tcase, P7_what_cannot_be_a_wal_file_is_refused);
    tcase_add_test(tcase, P5_backup_history_is_taken);
    tcase_add_test(tcase, P5_unknown_name_sends_no_request);
    tcase_add_test(tcase, P6_unregistered_system_identifier_is_refused);
    tcase_add_loop_test(tcase, P7_file_that_is_not_what_its_name_says_is_refused, 0,
                        sizeof(misfits) / sizeof(misfits[0]));
    tcase_add_test(tcase, trap2_fork_segment_needs_its_history);
    tcase_add_test(tcase, F3_every_changed_byte_is_refused_and_writes_nothing_wrong);
    tcase_add_test(tcase, F3_truncated_object_is_refused);
    tcase_add_test(tcase, E2_object_under_another_name_is_refused);
    tcase_add_test(tcase, F1_absent_and_unknown_are_told_apart);
}

static void
add_versioned(TCase *tcase)
{
    tcase_add_test(tcase, fault5_oldest_genuine_version_is_the_object);
    tcase_add_test(tcase, fault5_marker_alone_is_unknown_not_absent);
    tcase_add_test(tcase, F1_version_that_is_listed_and_not_there_is_unknown);
}

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/wal_archive");
    TCase *plain = case_of(suite, "plain", begin);
    TCase *versioned = case_of(suite, "versioned", begin_versioned);
    TCase *told = case_of(suite, "told", begin_told);
    TCase *versioned_told = case_of(suite, "versioned_told", begin_versioned_told);

    add_plain(plain);
    tcase_add_test(plain, F1_large_segment_that_goes_behind_its_header_is_unknown);
    add_versioned(versioned);
    tcase_add_test(versioned, F5_store_that_names_versions_and_lists_none_is_read_once);
    add_plain(told);
    add_versioned(versioned_told);
    return suite;
}
