/*
 * test_fetch_tablespaces.c - trap 6: WAL is held back where its replay would remove what is not this
 * server's, and only there.
 */
#include "suite.h"

#include "fetch_folder.h"
#include "fetch_tablespaces.h"
#include "io/sink.h"
#include "pg/crc32c.h"

#define SEGMENT "000000010000000000000005"
#define BEFORE  "pg_wal/000000010000000000000004"

static struct fetch_situation *situation;
static struct tablespace_watch *watch;
static struct cpam_err err;
static char space[200], place[256];
static uint8_t *wal;
static struct cpam_buf passed;

static void
record_first_page(uint8_t *at, uint64_t number)
{
    le16_put(at, 0xD110);
    le16_put(at + 2, 2);
    le32_put(at + 4, 1);
    le64_put(at + 8, number * FOLDER_SEGMENT);
    le64_put(at + 24, FOLDER_SYSID);
    le32_put(at + 32, FOLDER_SEGMENT);
    le32_put(at + 36, 8192);
}

/* XLOG_TBLSPC_CREATE as the server writes it; within a page. */
static void
record_put(uint8_t *at, uint32_t oid, const char *path)
{
    size_t size = 4 + strlen(path) + 1, length = 24 + 2 + size;

    ck_assert_uint_le(size, 255);
    memset(at, 0, 24);
    le32_put(at, (uint32_t) length);
    at[17] = 5;
    at[24] = 255;
    at[25] = (uint8_t) size;
    le32_put(at + 26, oid);
    memcpy(at + 30, path, strlen(path) + 1);
    uint32_t crc = crc32c(0, at + 24, length - 24);
    le32_put(at + 20, crc32c(crc, at, 20));
}

static void
begin(void)
{
    folder_make(CONTROL_IN_ARCHIVE_RECOVERY);
    folder_text("recovery.signal", "");
    folder_server(getpid(), 1700000000);
    ck_assert_int_eq(mkdir("pg_tblspc", 0700), 0);
    snprintf(space, sizeof(space), "%s/space", folder_path);
    snprintf(place, sizeof(place), "%s/PG_15_202209061", space);
    ck_assert_int_eq(mkdir(space, 0700), 0);
    ck_ok(fetch_situation_read(io_posix(), SEGMENT, "pg_wal/RECOVERYXLOG", &situation, &err), &err);
    ck_ok(tablespace_watch_new(io_posix(), situation, &watch, &err), &err);
    wal = calloc(1, FOLDER_SEGMENT);
    ck_assert_ptr_nonnull(wal);
    record_first_page(wal, 5);
}

static void
end(void)
{
    free(wal);
    cpam_buf_clear(&passed);
    tablespace_watch_free(watch);
    fetch_situation_free(situation);
    folder_remove();
}

/* The segment as it comes from the archive; every byte goes on. */
static enum cpam_status
pass(void)
{
    CPAM_AUTO(sink_free) struct sink *to = NULL;
    struct sink *over;

    passed.size = 0;
    ck_ok(sink_buf_push(&to, &passed, FOLDER_SEGMENT, &err), &err);
    over = tablespace_watch_over(watch, to);
    for (size_t at = 0; at < FOLDER_SEGMENT; at += 100000)
        ck_ok(sink_write(over, wal + at,
                         FOLDER_SEGMENT - at < 100000 ? FOLDER_SEGMENT - at : 100000, &err),
              &err);
    ck_assert_uint_eq(passed.size, FOLDER_SEGMENT);
    ck_assert_int_eq(memcmp(passed.data, wal, FOLDER_SEGMENT), 0);
    return tablespace_watch_verdict(watch, &err);
}

static void
somebodys_files(void)
{
    char path[300];

    ck_assert_int_eq(mkdir(place, 0700), 0);
    snprintf(path, sizeof(path), "%s/5", place);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(trap6_a_place_with_files_is_held_back)
{
    record_put(wal + 3 * 8192 + 24, 16400, space);
    somebodys_files();
    ck_fails(pass(), CPAM_EXISTS, "replay would remove", &err);
    ck_assert_ptr_nonnull(strstr(err.text, place));
    ck_assert_ptr_nonnull(strstr(err.hint, "mv "));
    ck_assert(tablespace_watch_any(watch));
    /* another segment, without: the watch knows nothing of the one before */
    memset(wal + 3 * 8192 + 24, 0, 1104);
    ck_ok(pass(), &err);
    ck_assert(!tablespace_watch_any(watch));
}
END_TEST

START_TEST(trap6_an_empty_place_and_other_majors_are_no_harm)
{
    char other[256];

    record_put(wal + 8192 + 24, 16400, space);
    ck_ok(pass(), &err); /* nothing there */
    snprintf(other, sizeof(other), "%s/PG_14_202107181", space);
    ck_assert_int_eq(mkdir(other, 0700), 0);
    strcat(other, "/5");
    ck_assert_int_eq(mkdir(other, 0700), 0);
    ck_ok(pass(), &err);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    ck_ok(pass(), &err); /* made, and empty */
    ck_assert(tablespace_watch_any(watch));
}
END_TEST

START_TEST(trap6_what_this_server_made_is_made_again)
{
    record_put(wal + 8192 + 24, 16400, space);
    somebodys_files();
    ck_assert_int_eq(symlink(space, "pg_tblspc/16400"), 0);
    ck_ok(pass(), &err);
    /* a link that leads elsewhere: base-fetch put the tablespace into another place */
    ck_assert_int_eq(unlink("pg_tblspc/16400"), 0);
    ck_assert_int_eq(symlink("/elsewhere", "pg_tblspc/16400"), 0);
    ck_fails(pass(), CPAM_EXISTS, "replay would remove", &err);
    ck_assert_int_eq(unlink("pg_tblspc/16400"), 0);
    strcat(space, " longer");
    ck_assert_int_eq(symlink(space, "pg_tblspc/16400"), 0);
    ck_fails(pass(), CPAM_EXISTS, "replay would remove", &err);
}
END_TEST

START_TEST(trap6_one_in_place_lies_in_the_data_directory)
{
    record_put(wal + 8192 + 24, 16400, "");
    ck_ok(pass(), &err);
    ck_assert(tablespace_watch_any(watch));
}
END_TEST

/* Begun in the segment before, which lies in pg_wal under its name by then. */
static void
cut_in_two(void)
{
    uint8_t whole[1104] = {0};
    uint8_t *before = calloc(1, FOLDER_SEGMENT);
    size_t first = 16;

    ck_assert_ptr_nonnull(before);
    record_first_page(before, 4);
    record_put(whole, 16400, space);
    memcpy(before + FOLDER_SEGMENT - first, whole, first);
    memcpy(wal + 40, whole + first, sizeof(whole) - first);
    folder_write(BEFORE, before, FOLDER_SEGMENT);
    folder_write("offered", wal, FOLDER_SEGMENT);
    free(before);
}

START_TEST(trap6_a_record_over_the_edge_of_two_segments)
{
    cut_in_two();
    somebodys_files();
    ck_assert(tablespace_crosses(io_posix(), situation, "offered"));
    ck_fails(pass(), CPAM_EXISTS, "replay would remove", &err);
    ck_assert(tablespace_crosses(io_posix(), situation, "absent"));
    ck_assert_int_eq(truncate("offered", 1000), 0);
    ck_assert(tablespace_crosses(io_posix(), situation, "offered"));
    /* without the beginning the server could not read it either */
    ck_assert_int_eq(truncate(BEFORE, 8192), 0);
    ck_assert(!tablespace_crosses(io_posix(), situation, "offered"));
    ck_ok(pass(), &err);
    ck_assert_int_eq(unlink(BEFORE), 0);
    ck_assert(!tablespace_crosses(io_posix(), situation, "offered"));
    ck_ok(pass(), &err);
}
END_TEST

START_TEST(trap6_without_anybodys_directories_it_is_only_told)
{
    tablespace_watch_free(watch);
    ck_ok(tablespace_watch_new(io_posix(), NULL, &watch, &err), &err);
    somebodys_files();
    record_put(wal + 8192 + 24, 16400, space);
    ck_ok(pass(), &err);
    ck_assert(tablespace_watch_any(watch));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/fetch_tablespaces");
    TCase *tcase = tcase_create("fetch_tablespaces");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, trap6_a_place_with_files_is_held_back);
    tcase_add_test(tcase, trap6_an_empty_place_and_other_majors_are_no_harm);
    tcase_add_test(tcase, trap6_what_this_server_made_is_made_again);
    tcase_add_test(tcase, trap6_one_in_place_lies_in_the_data_directory);
    tcase_add_test(tcase, trap6_a_record_over_the_edge_of_two_segments);
    tcase_add_test(tcase, trap6_without_anybodys_directories_it_is_only_told);
    suite_add_tcase(suite, tcase);
    return suite;
}
