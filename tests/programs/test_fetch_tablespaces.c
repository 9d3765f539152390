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

static struct fetch_situation *situation;
static struct cpam_err err;
static char space[200], place[256];
static uint8_t *wal;

/* A record of this kind with `size` bytes in it; how much of the stream it takes. */
static size_t
record_put(uint8_t *at, uint8_t manager, const void *data, size_t size)
{
    size_t length = 24 + 2 + size;

    ck_assert_uint_le(size, 255);
    memset(at, 0, 24);
    le32_put(at, (uint32_t) length);
    at[17] = manager;
    at[24] = 255;
    at[25] = (uint8_t) size;
    memcpy(at + 26, data, size);
    uint32_t crc = crc32c(0, at + 24, length - 24);
    le32_put(at + 20, crc32c(crc, at, 20));
    return (length + 7) / 8 * 8;
}

/* XLOG_TBLSPC_CREATE as the server writes it. */
static size_t
create_put(uint8_t *at, uint32_t oid, const char *path)
{
    uint8_t data[255];

    le32_put(data, oid);
    memcpy(data + 4, path, strlen(path) + 1);
    return record_put(at, 5, data, 4 + strlen(path) + 1);
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
    wal = calloc(1, FOLDER_SEGMENT);
    ck_assert_ptr_nonnull(wal);
    folder_first_page(wal, 1, 5, FOLDER_SYSID);
}

static void
end(void)
{
    free(wal);
    fetch_situation_free(situation);
    folder_remove();
}

/* A record or two, then the statement. */
static void
statement(const char *path)
{
    size_t at = 40 + record_put(wal + 40, 10, "other", 6);

    at += create_put(wal + at, 16400, path);
    (void) record_put(wal + at, 10, "more", 5);
}

static enum cpam_status
judge(void)
{
    folder_write("offered", wal, FOLDER_SEGMENT);
    return tablespaces_judge(io_posix(), situation, "offered", &err);
}

/* Does the sink in front of the file's tell of it?  Every byte goes on. */
static bool
passes(void)
{
    CPAM_AUTO(tablespace_watch_free) struct tablespace_watch *watch = NULL;
    CPAM_AUTO(sink_free) struct sink *to = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf passed = {0};
    struct sink *over;

    ck_ok(tablespace_watch_new(&watch, &err), &err);
    ck_ok(sink_buf_push(&to, &passed, FOLDER_SEGMENT, &err), &err);
    for (int again = 0; again < 2; again++)
    {
        passed.size = 0;
        over = tablespace_watch_over(watch, to);
        ck_assert(!tablespace_watch_any(watch));
        for (size_t at = 0; at < FOLDER_SEGMENT; at += 100000)
            ck_ok(sink_write(over, wal + at,
                             FOLDER_SEGMENT - at < 100000 ? FOLDER_SEGMENT - at : 100000, &err),
                  &err);
        ck_assert_uint_eq(passed.size, FOLDER_SEGMENT);
        ck_assert_int_eq(memcmp(passed.data, wal, FOLDER_SEGMENT), 0);
    }
    return tablespace_watch_any(watch);
}

START_TEST(trap6_a_place_that_is_not_this_servers_is_held_back)
{
    statement(space);
    ck_assert(passes());
    ck_ok(judge(), &err); /* nothing there */
    ck_assert_int_eq(mkdir(place, 0700), 0);
    /* empty as well: another server made it a moment ago, and fills it later */
    ck_fails(judge(), CPAM_EXISTS, "which it is not", &err);
    ck_assert_ptr_nonnull(strstr(err.text, place));
    ck_assert_ptr_nonnull(strstr(err.text, "0/500048"));
    ck_assert_ptr_nonnull(strstr(err.hint, "mv '"));
    ck_assert_ptr_nonnull(strstr(err.hint, "--any-tablespace"));
}
END_TEST

START_TEST(trap6_other_majors_and_other_segments_are_no_harm)
{
    char other[256];

    snprintf(other, sizeof(other), "%s/PG_14_202107181", space);
    ck_assert_int_eq(mkdir(other, 0700), 0);
    statement(space);
    ck_ok(judge(), &err);
    memset(wal + 40, 0, 1000);
    (void) record_put(wal + 40, 10, "other", 6);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    ck_assert(!passes());
    ck_ok(judge(), &err);
}
END_TEST

START_TEST(trap6_what_this_server_made_is_made_again)
{
    statement(space);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    ck_assert_int_eq(symlink(space, "pg_tblspc/16400"), 0);
    ck_ok(judge(), &err);
    /* dropped since, and made again under another number */
    ck_assert_int_eq(rename("pg_tblspc/16400", "pg_tblspc/16455"), 0);
    ck_ok(judge(), &err);
    /* a link that leads elsewhere: base-fetch put the tablespace into another place */
    ck_assert_int_eq(unlink("pg_tblspc/16455"), 0);
    ck_assert_int_eq(symlink("/elsewhere", "pg_tblspc/16400"), 0);
    ck_fails(judge(), CPAM_EXISTS, "which it is not", &err);
    ck_assert_int_eq(unlink("pg_tblspc/16400"), 0);
    ck_assert_int_eq(rmdir("pg_tblspc"), 0);
    ck_fails(judge(), CPAM_EXISTS, "which it is not", &err);
}
END_TEST

/* Debian's administrator moved it, and left a link where it was. */
START_TEST(trap6_the_same_place_by_another_path_is_this_servers)
{
    char moved[220];

    statement(space);
    snprintf(moved, sizeof(moved), "%s/moved", folder_path);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    ck_assert_int_eq(rename(space, moved), 0);
    ck_assert_int_eq(symlink(moved, space), 0);
    ck_assert_int_eq(symlink(moved, "pg_tblspc/16400"), 0);
    ck_ok(judge(), &err);
}
END_TEST

/* What lies before the redo is in the backup, and not replayed. */
START_TEST(trap6_what_is_not_replayed_holds_nothing_back)
{
    char label[300];

    statement(space);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    for (unsigned redo = 0x500048; redo <= 0x500050; redo += 8)
    {
        snprintf(label, sizeof(label),
                 "START WAL LOCATION: 0/%X (file " SEGMENT ")\nCHECKPOINT LOCATION: 0/%X\n"
                 "BACKUP METHOD: streamed\nBACKUP FROM: standby\n"
                 "START TIME: 2026-11-30 04:00:00 UTC\nLABEL: x\nSTART TIMELINE: 1\n",
                 redo, redo);
        folder_text("backup_label", label);
        if (redo == 0x500048)
            ck_fails(judge(), CPAM_EXISTS, "which it is not", &err);
        else
            ck_ok(judge(), &err);
    }
    /* a label that can't be read says nothing */
    folder_text("backup_label", "nothing of the kind");
    ck_fails(judge(), CPAM_EXISTS, "which it is not", &err);
    ck_assert_int_eq(unlink("backup_label"), 0);
    situation->control.redo.at = 0x500050;
    ck_ok(judge(), &err);
}
END_TEST

/* Links that the server is yet to make. */
START_TEST(trap6_a_place_of_the_tablespace_map_is_this_servers)
{
    char map[300];

    statement(space);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    folder_text("tablespace_map", "16399 /elsewhere\n");
    ck_fails(judge(), CPAM_EXISTS, "which it is not", &err);
    snprintf(map, sizeof(map), "16399 /elsewhere\n16400 %s\n", space);
    folder_text("tablespace_map", map);
    ck_ok(judge(), &err);
}
END_TEST

START_TEST(trap6_one_in_place_lies_in_the_data_directory)
{
    statement("");
    ck_assert(passes());
    ck_ok(judge(), &err);
}
END_TEST

/* Anybody may have put it into a table. */
START_TEST(trap6_a_forged_record_holds_nothing_back)
{
    uint8_t forged[255] = {0};

    ck_assert_int_eq(mkdir(place, 0700), 0);
    size_t size = create_put(forged + 6, 16400, space);
    (void) record_put(wal + 40, 10, forged, 6 + size);
    ck_assert(passes());
    ck_ok(judge(), &err);
}
END_TEST

/* Begun in the segment before, which lies in pg_wal under its name by then. */
static void
cut_in_two(uint32_t timeline)
{
    uint8_t whole[300] = {0};
    uint8_t *before = calloc(1, FOLDER_SEGMENT);
    size_t size = create_put(whole, 16400, space), first = 16;
    char name[64];

    ck_assert_ptr_nonnull(before);
    folder_first_page(before, timeline, 4, FOLDER_SYSID);
    /* one record over all of it, up to where the statement begins */
    for (size_t page = 8192; page < FOLDER_SEGMENT; page += 8192)
    {
        le16_put(before + page, 0xD110);
        le16_put(before + page + 2, 1);
        le64_put(before + page + 8, 4 * FOLDER_SEGMENT + page);
    }
    size_t stream = FOLDER_SEGMENT - 40 - 127 * 24 - first, done = 8192 - 40;
    le32_put(before + 40, (uint32_t) stream);
    for (size_t page = 8192; page < FOLDER_SEGMENT; page += 8192, done += 8192 - 24)
        le32_put(before + page + 16, (uint32_t) (stream - done));
    memcpy(before + FOLDER_SEGMENT - first, whole, first);
    memcpy(wal + 40, whole + first, size - first);
    le16_put(wal + 2, 3);
    le32_put(wal + 16, (uint32_t) (le32_get(whole) - first));
    (void) record_put(wal + 40 + size - first, 10, "more", 5);
    snprintf(name, sizeof(name), "pg_wal/%08X0000000000000004", timeline);
    folder_write(name, before, FOLDER_SEGMENT);
    folder_write("offered", wal, FOLDER_SEGMENT);
    free(before);
}

START_TEST(trap6_a_record_over_the_edge_of_two_segments)
{
    cut_in_two(1);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    ck_assert(!passes()); /* not by itself */
    ck_assert(tablespaces_cross(io_posix(), situation, "offered"));
    ck_fails(judge(), CPAM_EXISTS, "which it is not", &err);
    ck_assert(tablespaces_cross(io_posix(), situation, "absent"));
    ck_assert_int_eq(truncate("offered", 1000), 0);
    ck_assert(tablespaces_cross(io_posix(), situation, "offered"));
    ck_fails(tablespaces_judge(io_posix(), situation, "offered", &err), CPAM_IO, "ended while",
             &err);
    ck_fails(tablespaces_judge(io_posix(), situation, "absent", &err), CPAM_NOT_FOUND, "", &err);
    /* without the beginning the server could not read it either */
    ck_assert_int_eq(truncate("pg_wal/000000010000000000000004", 8192), 0);
    ck_ok(judge(), &err);
    ck_assert(!tablespaces_cross(io_posix(), situation, "offered"));
    ck_assert_int_eq(unlink("pg_wal/000000010000000000000004"), 0);
    ck_assert(!tablespaces_cross(io_posix(), situation, "offered"));
    ck_ok(judge(), &err);
}
END_TEST

/* The new timeline's first segment follows the parent's. */
START_TEST(trap6_a_record_over_the_edge_from_an_older_timeline)
{
    fetch_situation_free(situation);
    ck_ok(fetch_situation_read(io_posix(), "000000030000000000000005", "pg_wal/RECOVERYXLOG",
                               &situation, &err),
          &err);
    cut_in_two(2);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    ck_assert(tablespaces_cross(io_posix(), situation, "offered"));
    ck_fails(judge(), CPAM_EXISTS, "which it is not", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/fetch_tablespaces");
    TCase *tcase = tcase_create("fetch_tablespaces");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, trap6_a_place_that_is_not_this_servers_is_held_back);
    tcase_add_test(tcase, trap6_other_majors_and_other_segments_are_no_harm);
    tcase_add_test(tcase, trap6_what_this_server_made_is_made_again);
    tcase_add_test(tcase, trap6_the_same_place_by_another_path_is_this_servers);
    tcase_add_test(tcase, trap6_what_is_not_replayed_holds_nothing_back);
    tcase_add_test(tcase, trap6_a_place_of_the_tablespace_map_is_this_servers);
    tcase_add_test(tcase, trap6_one_in_place_lies_in_the_data_directory);
    tcase_add_test(tcase, trap6_a_forged_record_holds_nothing_back);
    tcase_add_test(tcase, trap6_a_record_over_the_edge_of_two_segments);
    tcase_add_test(tcase, trap6_a_record_over_the_edge_from_an_older_timeline);
    suite_add_tcase(suite, tcase);
    return suite;
}
