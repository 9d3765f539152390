/*
 * test_backlog.c - what is kept for a repository that is behind, in which order it goes, and what
 * becomes of entries that can't.
 */
#include "backlog_world.h"

#include <utime.h>

#include "backlog.h"

static struct backlog_world w;
static struct backlog *backlog;
static struct cpam_err err;

static void
make_world(void)
{
    backlog_world_begin(&w, io_posix(), "");
    ck_ok(backlog_open(io_posix(), w.settings, w.behind, REPO_SYSID, &backlog, &err), &err);
}

static void
remove_world(void)
{
    backlog_free(backlog);
    backlog = NULL;
    backlog_world_end(&w);
}

static void
keep(unsigned number)
{
    ck_ok(backlog_keep(backlog, backlog_world_file(&w, number, number),
                       backlog_world_segment(number), &err),
          &err);
}

static const char *
entry_path(const char *name)
{
    static char path[320];

    snprintf(path, sizeof(path), "%s/%s", w.dir, name);
    return path;
}

static uint64_t
drain(void)
{
    const struct backlog_limits limits = {.most = 0};
    uint64_t left = 99;

    ck_ok(backlog_drain(backlog, repository_repo(w.opened[1]), w.data, &limits, &left, &err), &err);
    return left;
}

static struct backlog_size
size_now(void)
{
    struct backlog_size size;

    ck_ok(backlog_size(backlog, &size, &err), &err);
    return size;
}

static void
history_file(unsigned timeline, char path[200])
{
    char text[64];

    snprintf(path, 200, "%s/pg_wal/%08X.history", w.data, timeline);
    snprintf(text, sizeof(text), "1\t0/580000\tno recovery target specified\n");
    ck_ok(file_write_all(io_posix(), path, 0600, text, strlen(text), &err), &err);
}

/* The first segment of timeline 2 begins with a page of timeline 1: only the history explains it. */
static void
segment_of_the_switch(char path[200])
{
    uint8_t *data = wal_bytes(REPO_SYSID, 1, UINT64_C(5) << 20, 1 << 20, 1);

    snprintf(path, 200, "%s/pg_wal/000000020000000000000005", w.data);
    ck_ok(file_write_all(io_posix(), path, 0600, data, 1 << 20, &err), &err);
    free(data);
}

START_TEST(P13_what_is_kept_is_a_private_copy)
{
    struct stat found;

    ck_assert_uint_eq(size_now().entries, 0);
    keep(3);
    ck_assert_int_eq(stat(w.dir, &found), 0);
    ck_assert_uint_eq(found.st_mode & 07777, 0700);
    ck_assert_int_eq(stat(entry_path(backlog_world_segment(3)), &found), 0);
    ck_assert_uint_eq(found.st_mode & 07777, 0600);
    ck_assert_int_eq(found.st_size, 1 << 20);

    struct backlog_size size = size_now();
    ck_assert_uint_eq(size.entries, 1);
    ck_assert_uint_eq(size.bytes, 1 << 20);
    ck_assert_uint_eq(size.without_copy, 0);
    ck_assert_str_eq(size.first, backlog_world_segment(3));
    ck_assert_int_gt(size.oldest, 0);
}
END_TEST

START_TEST(P13_kept_again_is_no_second_entry_and_no_other_content)
{
    keep(3);
    keep(3);
    ck_assert_uint_eq(size_now().entries, 1);
    ck_fails(backlog_keep(backlog, backlog_world_file(&w, 3, 9), backlog_world_segment(3), &err),
             CPAM_EXISTS, "with another content", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "two servers"));
    ck_assert_uint_eq(drain(), 0);
    ck_assert(backlog_world_has(&w, 1, backlog_world_segment(3)));
}
END_TEST

/* pg_wal has it afterwards */
static const char *
partial_file(unsigned seed)
{
    static char path[200];
    uint8_t *data = wal_bytes(REPO_SYSID, 1, UINT64_C(3) << 20, 1 << 20, seed);

    snprintf(path, sizeof(path), "%s/pg_wal/000000010000000000000003.partial", w.data);
    ck_ok(file_write_all(io_posix(), path, 0600, data, 1 << 20, &err), &err);
    free(data);
    return path;
}

static unsigned
objects_of(const char *name)
{
    char command[400];
    unsigned count = 0;

    snprintf(command, sizeof(command), "find '%s/behind' -type f -name '%s*' | wc -l", fixture_dir,
             name);
    FILE *found = popen(command, "r");
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(fscanf(found, "%u", &count), 1);
    ck_assert_int_eq(pclose(found), 0);
    return count;
}

START_TEST(P13_trap9_other_contents_of_a_partial_are_kept_beside)
{
    static const char name[] = "000000010000000000000003.partial";

    for (unsigned seed = 1; seed <= 3; seed++)
        for (unsigned again = 0; again < 2; again++)
            ck_ok(backlog_keep(backlog, partial_file(seed), name, &err), &err);
    ck_assert_uint_eq(size_now().entries, 3);
    ck_assert_uint_eq(size_now().bytes, 3 << 20);
    /* names alone could not be told apart: there is a copy where the limit would not allow one */
    w.settings->wal.backlog_max = 0;
    ck_ok(backlog_keep(backlog, partial_file(4), name, &err), &err);
    ck_assert_uint_eq(size_now().without_copy, 0);
    ck_assert_int_eq(unlink(partial_file(5)), 0);
    ck_assert_uint_eq(drain(), 0);
    ck_assert_uint_eq(objects_of(name), 4);
}
END_TEST

START_TEST(P13_trap9_other_contents_of_a_backup_file_are_kept_beside)
{
    static const char name[] = "000000010000000000000003.00000028.backup";
    char path[200];

    snprintf(path, sizeof(path), "%s/pg_wal/%s", w.data, name);
    for (unsigned i = 0; i < 3; i++)
    {
        char text[200];

        snprintf(text, sizeof(text),
                 "START WAL LOCATION: 0/300028 (file 000000010000000000000003)\nLABEL: %u\n", i);
        ck_ok(file_write_all(io_posix(), path, 0600, text, strlen(text), &err), &err);
        ck_ok(backlog_keep(backlog, path, name, &err), &err);
    }
    ck_assert_uint_eq(size_now().entries, 3);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_uint_eq(drain(), 0);
    ck_assert_uint_eq(objects_of(name), 3);
}
END_TEST

START_TEST(P13_histories_go_first_and_then_the_oldest)
{
    static const char *const order[] = {"00000002.history", "000000010000000000000003",
                                        "000000010000000000000007", "000000010000000000000008"};
    struct archive_name name;
    char history[200], *path;
    bool any;

    keep(8);
    keep(3);
    history_file(2, history);
    ck_ok(backlog_keep(backlog, history, "00000002.history", &err), &err);
    keep(7);
    ck_assert_str_eq(size_now().first, order[0]);
    for (size_t i = 0; i < 4; i++)
    {
        ck_ok(backlog_next(backlog, &any, &name, &path, &err), &err);
        ck_assert(any);
        ck_assert_str_eq(name.text, order[i]);
        ck_assert_ptr_nonnull(path);
        free(path);
        ck_ok(backlog_done(backlog, name.text, &err), &err);
    }
    ck_ok(backlog_next(backlog, &any, &name, &path, &err), &err);
    ck_assert(!any);
    ck_assert_ptr_null(path);
}
END_TEST

START_TEST(P13_a_long_backlog_comes_in_order)
{
    char folder[340], last[ARCHIVE_NAME_MAX] = "";
    unsigned seen = 0;

    keep(1);
    for (unsigned i = 0; i < 9000; i++) /* more than one listing keeps */
    {
        unsigned number = 2 + (i * 7919) % 9000;

        snprintf(folder, sizeof(folder), "%s", entry_path(backlog_world_segment(number)));
        FILE *file = fopen(folder, "w");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_eq(fclose(file), 0);
    }
    for (;; seen++)
    {
        struct archive_name name;
        char *path;
        bool any;

        ck_ok(backlog_next(backlog, &any, &name, &path, &err), &err);
        free(path);
        if (!any)
            break;
        ck_assert_int_gt(strcmp(name.text, last), 0);
        memcpy(last, name.text, sizeof(last));
        if (seen % 2 == 0)
            ck_ok(backlog_done(backlog, name.text, &err), &err);
        else
            backlog_pass(backlog);
    }
    ck_assert_uint_eq(seen, 9001);
    ck_assert_uint_eq(size_now().entries, 4500);
}
END_TEST

START_TEST(P13_drained_entries_are_in_the_repository_and_gone)
{
    char history[200], segment[200];

    keep(3);
    keep(4);
    history_file(2, history);
    segment_of_the_switch(segment);
    ck_ok(backlog_keep(backlog, history, "00000002.history", &err), &err);
    ck_ok(backlog_keep(backlog, segment, "000000020000000000000005", &err), &err);
    ck_assert_int_eq(unlink(segment), 0);
    ck_assert_int_eq(unlink(history), 0);
    ck_assert_uint_eq(drain(), 0);
    ck_assert(backlog_world_has(&w, 1, backlog_world_segment(3)));
    ck_assert(backlog_world_has(&w, 1, backlog_world_segment(4)));
    ck_assert(backlog_world_has(&w, 1, "00000002.history"));
    ck_assert(backlog_world_has(&w, 1, "000000020000000000000005"));
    ck_assert(!backlog_world_has(&w, 0, backlog_world_segment(3)));
    ck_assert_uint_eq(size_now().entries, 0);
}
END_TEST

/* Interrupted between the two: the segment can't be checked without its history. */
START_TEST(P13_a_history_stays_as_long_as_a_segment_of_its_timeline)
{
    const struct backlog_limits one = {.most = 1};
    char history[200], segment[200];
    uint64_t left;

    history_file(2, history);
    segment_of_the_switch(segment);
    ck_ok(backlog_keep(backlog, history, "00000002.history", &err), &err);
    ck_ok(backlog_keep(backlog, segment, "000000020000000000000005", &err), &err);
    ck_assert_int_eq(unlink(segment), 0);
    ck_assert_int_eq(unlink(history), 0);
    ck_ok(backlog_drain(backlog, repository_repo(w.opened[1]), NULL, &one, &left, &err), &err);
    ck_assert(backlog_world_has(&w, 1, "00000002.history"));
    ck_assert_uint_eq(left, 2);
    ck_assert_uint_eq(drain(), 0);
    ck_assert(backlog_world_has(&w, 1, "000000020000000000000005"));
}
END_TEST

static void
only_names(void)
{
    w.settings->wal.backlog_max = (uint64_t) 3 << 19; /* one and a half segments */
}

START_TEST(P13_beyond_the_limit_only_names_are_kept)
{
    only_names();
    keep(3);
    keep(4);
    keep(5);

    struct backlog_size size = size_now();
    ck_assert_uint_eq(size.entries, 3);
    ck_assert_uint_eq(size.without_copy, 2);
    ck_assert_uint_eq(size.bytes, 1 << 20);
    /* what drains makes room again */
    ck_assert_uint_eq(drain(), 0);
    keep(6);
    ck_assert_uint_eq(size_now().without_copy, 0);
}
END_TEST

START_TEST(P13_a_name_alone_is_read_from_pg_wal)
{
    w.settings->wal.backlog_max = 0;
    keep(3);
    ck_assert_uint_eq(size_now().without_copy, 1);
    ck_assert_uint_eq(drain(), 0);
    ck_assert(backlog_world_has(&w, 1, backlog_world_segment(3)));
}
END_TEST

/* A standby that was made of this host: the segment is coming in, and only its beginning is there. */
START_TEST(P13_a_name_alone_is_not_read_from_a_file_that_is_being_written)
{
    w.settings->wal.backlog_max = 0;
    keep(3);
    ck_assert_int_eq(unlink(backlog_world_done(&w, 3)), 0);
    ck_assert_uint_eq(drain(), 1);
    ck_assert(!backlog_world_has(&w, 1, backlog_world_segment(3)));
}
END_TEST

/* The server has renamed the file to the next name it needs: another repository has the content. */
START_TEST(P13_a_name_alone_is_read_from_another_repository)
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    char old[200];
    bool was_there;

    w.settings->wal.backlog_max = 0;
    keep(3);
    strcpy(old, backlog_world_file(&w, 3, 3));
    ck_ok(wal_item_read(io_posix(), old, backlog_world_segment(3), REPO_SYSID, &item, &err), &err);
    ck_ok(wal_archive_put(repository_repo(w.opened[0]), item, &was_there, &err), &err);
    ck_assert_int_eq(rename(backlog_world_file(&w, 9, 9), old), 0); /* another one's content */
    ck_assert_uint_eq(drain(), 0);
    ck_assert(backlog_world_has(&w, 1, backlog_world_segment(3)));

    struct object_header there, here;
    ck_ok(wal_archive_header(repository_repo(w.opened[0]), REPO_SYSID, backlog_world_segment(3),
                             &there, &err),
          &err);
    ck_ok(wal_archive_header(repository_repo(w.opened[1]), REPO_SYSID, backlog_world_segment(3),
                             &here, &err),
          &err);
    ck_assert_uint_eq(here.raw_length, there.raw_length);
}
END_TEST

START_TEST(P13_what_cannot_be_had_stays_and_stops_nothing)
{
    w.settings->wal.backlog_max = 0;
    keep(3);
    ck_assert_int_eq(unlink(backlog_world_file(&w, 3, 3)), 0);
    w.settings->wal.backlog_max = UINT64_C(1) << 30;
    keep(4);
    ck_assert_uint_eq(drain(), 1);
    ck_assert(backlog_world_has(&w, 1, backlog_world_segment(4)));
    ck_assert_str_eq(size_now().first, backlog_world_segment(3));
    /* it comes back, and goes */
    backlog_world_file(&w, 3, 3);
    ck_assert_uint_eq(drain(), 0);
}
END_TEST

START_TEST(P13_a_damaged_copy_stays_and_stops_nothing)
{
    keep(3);
    keep(4);
    ck_assert_int_eq(truncate(entry_path(backlog_world_segment(3)), 5000), 0);
    ck_assert_uint_eq(drain(), 1);
    ck_assert(!backlog_world_has(&w, 1, backlog_world_segment(3)));
    ck_assert(backlog_world_has(&w, 1, backlog_world_segment(4)));
}
END_TEST

START_TEST(P13_other_content_in_the_repository_stays_and_is_not_overwritten)
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    bool was_there;

    keep(3);
    keep(4);
    ck_ok(wal_item_read(io_posix(), backlog_world_file(&w, 3, 77), backlog_world_segment(3),
                        REPO_SYSID, &item, &err),
          &err);
    ck_ok(wal_archive_put(repository_repo(w.opened[1]), item, &was_there, &err), &err);
    ck_assert_uint_eq(drain(), 1);
    ck_assert(backlog_world_has(&w, 1, backlog_world_segment(4)));
    ck_assert_str_eq(size_now().first, backlog_world_segment(3));
}
END_TEST

START_TEST(P13_the_limits_end_it)
{
    const struct backlog_limits two = {.most = 2};
    const struct backlog_limits over = {.begin = deadline_after(io_posix(), -1)};
    uint64_t left;

    for (unsigned i = 1; i <= 5; i++)
        keep(i);
    ck_ok(backlog_drain(backlog, repository_repo(w.opened[1]), NULL, &over, &left, &err), &err);
    ck_assert_uint_eq(left, 5);
    ck_ok(backlog_drain(backlog, repository_repo(w.opened[1]), NULL, &two, &left, &err), &err);
    ck_assert_uint_eq(left, 3);
    ck_assert(backlog_world_has(&w, 1, backlog_world_segment(2)));
    ck_assert(!backlog_world_has(&w, 1, backlog_world_segment(3)));
}
END_TEST

/* When another one is begun is one matter, how long a large one takes over a slow link another. */
START_TEST(P13_an_entry_that_was_begun_has_time_of_its_own)
{
    const struct backlog_limits late = {.begin = deadline_after(io_posix(), 60 * 1000000),
                                        .end = deadline_after(io_posix(), -1)};
    const struct backlog_limits early = {.begin = late.begin};
    struct store *store = repo_store(repository_repo(w.opened[1]));
    const struct deadline before = deadline_after(io_posix(), -1);
    uint64_t left;

    keep(1);
    ck_fails(backlog_drain(backlog, repository_repo(w.opened[1]), NULL, &late, &left, &err),
             CPAM_DEADLINE, "", &err);
    ck_assert_uint_eq(left, 1);
    store->deadline = before; /* of the file that was pushed before, and took all of it */
    ck_ok(backlog_drain(backlog, repository_repo(w.opened[1]), NULL, &early, &left, &err), &err);
    ck_assert_uint_eq(left, 0);
    ck_assert(store->deadline.at == before.at);
    store->deadline = (struct deadline){0};
}
END_TEST

START_TEST(P13_strays_are_no_entries_and_old_temporaries_go)
{
    static const char *const strays[] = {".cpam-0011", "README", "core"};
    struct utimbuf yesterday = {1, 1};

    keep(3);
    for (size_t i = 0; i < 3; i++)
    {
        FILE *file = fopen(entry_path(strays[i]), "w");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_eq(fclose(file), 0);
    }
    ck_assert_uint_eq(size_now().entries, 1);
    ck_assert_int_eq(access(entry_path(".cpam-0011"), F_OK), 0); /* somebody writes it just now */
    ck_assert_int_eq(utime(entry_path(".cpam-0011"), &yesterday), 0);
    ck_assert_uint_eq(size_now().entries, 1);
    ck_assert_int_ne(access(entry_path(".cpam-0011"), F_OK), 0);
    ck_assert_int_eq(access(entry_path("README"), F_OK), 0);
}
END_TEST

START_TEST(P13_an_entry_that_is_gone_is_passed)
{
    struct archive_name name;
    char *path;
    bool any;

    keep(3);
    keep(4);
    ck_ok(backlog_next(backlog, &any, &name, &path, &err), &err);
    free(path);
    ck_assert_int_eq(unlink(entry_path(backlog_world_segment(3))), 0); /* another process */
    ck_ok(backlog_next(backlog, &any, &name, &path, &err), &err);
    free(path);
    ck_assert_str_eq(name.text, backlog_world_segment(4));
    ck_ok(backlog_done(backlog, backlog_world_segment(3), &err), &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/backlog");
    TCase *tcase = tcase_create("backlog");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, make_world, remove_world);
    tcase_add_test(tcase, P13_what_is_kept_is_a_private_copy);
    tcase_add_test(tcase, P13_kept_again_is_no_second_entry_and_no_other_content);
    tcase_add_test(tcase, P13_trap9_other_contents_of_a_partial_are_kept_beside);
    tcase_add_test(tcase, P13_trap9_other_contents_of_a_backup_file_are_kept_beside);
    tcase_add_test(tcase, P13_histories_go_first_and_then_the_oldest);
    tcase_add_test(tcase, P13_a_long_backlog_comes_in_order);
    tcase_add_test(tcase, P13_drained_entries_are_in_the_repository_and_gone);
    tcase_add_test(tcase, P13_a_history_stays_as_long_as_a_segment_of_its_timeline);
    tcase_add_test(tcase, P13_beyond_the_limit_only_names_are_kept);
    tcase_add_test(tcase, P13_a_name_alone_is_read_from_pg_wal);
    tcase_add_test(tcase, P13_a_name_alone_is_not_read_from_a_file_that_is_being_written);
    tcase_add_test(tcase, P13_a_name_alone_is_read_from_another_repository);
    tcase_add_test(tcase, P13_what_cannot_be_had_stays_and_stops_nothing);
    tcase_add_test(tcase, P13_a_damaged_copy_stays_and_stops_nothing);
    tcase_add_test(tcase, P13_other_content_in_the_repository_stays_and_is_not_overwritten);
    tcase_add_test(tcase, P13_the_limits_end_it);
    tcase_add_test(tcase, P13_an_entry_that_was_begun_has_time_of_its_own);
    tcase_add_test(tcase, P13_strays_are_no_entries_and_old_temporaries_go);
    tcase_add_test(tcase, P13_an_entry_that_is_gone_is_passed);
    suite_add_tcase(suite, tcase);
    return suite;
}
