/*
 * test_control.c - pg_control of a real PostgreSQL 15, and of 14 to 18 made from its offsets.
 */
#include "suite.h"

#include "base/bytes.h"
#include "control_15.h"
#include "pg/control.h"
#include "pg/crc32c.h"

static void
load(uint8_t data[CONTROL_FILE_SIZE])
{
    memset(data, 0, CONTROL_FILE_SIZE);
    memcpy(data, control_15, sizeof(control_15));
}

START_TEST(control_of_a_real_15_is_read)
{
    static uint8_t data[CONTROL_FILE_SIZE];
    struct cpam_err err;
    struct control control;

    load(data);
    ck_ok(control_parse(data, sizeof(data), &control, &err), &err);
    ck_assert_uint_eq(control.sysid, UINT64_C(0x6b0463e4f10cd12e));
    ck_assert_uint_eq(control.major, 15);
    ck_assert_uint_eq(control.version, 1300);
    ck_assert_int_eq(control.state, CONTROL_SHUTDOWNED);
    ck_assert_str_eq(control_state_name(control.state), "shut down");
    ck_assert_uint_eq(control.checkpoint.at, 0xA00028);
    ck_assert_uint_eq(control.redo.at, 0xA00028);
    ck_assert_uint_eq(control.timeline.id, 1);
    ck_assert_uint_eq(control.min_recovery_point.at, 0);
    ck_assert_uint_eq(control.backup_start.at, 0);
    ck_assert_uint_eq(control.wal_level, 1);
    ck_assert_uint_eq(control.max_connections, 100);
    ck_assert_uint_eq(control.max_worker_processes, 8);
    ck_assert_uint_eq(control.max_wal_senders, 10);
    ck_assert_uint_eq(control.max_prepared_xacts, 0);
    ck_assert_uint_eq(control.max_locks_per_xact, 64);
    ck_assert_uint_eq(control.block_size, 8192);
    ck_assert_uint_eq(control.relation_segment_blocks, 131072);
    ck_assert_uint_eq(control.wal_block_size, 8192);
    ck_assert_uint_eq(control.segment_size, 1 << 20);
    ck_assert_uint_eq(control.data_checksum_version, 1);
}
END_TEST

static const struct
{
    uint32_t version, catalog, crc_at;
    unsigned major;
} majors[] = {
    {1300, 202107181, 288, 14}, {1300, 202209061, 288, 15}, {1300, 202307071, 288, 16},
    {1700, 202406281, 288, 17}, {1800, 202506291, 292, 18},
};

static void
synthesise(uint8_t *data, uint32_t version, uint32_t catalog, uint32_t crc_at)
{
    load(data);
    le32_put(data + 8, version);
    le32_put(data + 12, catalog);
    le32_put(data + 16, CONTROL_IN_ARCHIVE_RECOVERY);
    memset(data + 256, 0x5a, 36);
    le32_put(data + crc_at, crc32c(0, data, crc_at));
}

START_TEST(every_major_is_read)
{
    static uint8_t data[CONTROL_FILE_SIZE];
    struct cpam_err err;
    struct control control;

    synthesise(data, majors[_i].version, majors[_i].catalog, majors[_i].crc_at);
    ck_ok(control_parse(data, sizeof(data), &control, &err), &err);
    ck_assert_uint_eq(control.major, majors[_i].major);
    ck_assert_int_eq(control.state, CONTROL_IN_ARCHIVE_RECOVERY);
    ck_assert_uint_eq(control.data_checksum_version, 1);
}
END_TEST

START_TEST(torn_read_is_seen)
{
    static uint8_t data[CONTROL_FILE_SIZE];
    struct cpam_err err;
    struct control control;

    for (size_t at = 16; at < 292; at++)
    {
        load(data);
        data[at] ^= 0x10;
        ck_fails(control_parse(data, sizeof(data), &control, &err), CPAM_CORRUPT,
                 "was read while it was written", &err);
    }
}
END_TEST

static const struct
{
    uint32_t version, catalog;
} unknown[] = {{1201, 201909212}, {1300, 202007201}, {1900, 202706291}, {1700, 202307071}, {0, 0}};

START_TEST(unknown_version_is_refused)
{
    static uint8_t data[CONTROL_FILE_SIZE];
    struct cpam_err err;
    struct control control;

    synthesise(data, unknown[_i].version, unknown[_i].catalog, 288);
    ck_fails(control_parse(data, sizeof(data), &control, &err), CPAM_INVALID,
             "is of no PostgreSQL from 14 to 18", &err);
}
END_TEST

START_TEST(wrong_size_is_refused)
{
    static uint8_t data[CONTROL_FILE_SIZE];
    struct cpam_err err;
    struct control control;

    load(data);
    ck_fails(control_parse(data, 0, &control, &err), CPAM_INVALID, "0 bytes instead of 8192", &err);
    ck_fails(control_parse(data, 8191, &control, &err), CPAM_INVALID, "instead of 8192", &err);
}
END_TEST

START_TEST(every_state_has_words)
{
    for (int state = 0; state <= CONTROL_IN_PRODUCTION; state++)
        ck_assert_str_ne(control_state_name((enum control_state) state), "unknown");
    ck_assert_str_eq(control_state_name((enum control_state) 99), "unknown");
}
END_TEST

#define ROWS(table) ((int) (sizeof(table) / sizeof((table)[0])))

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/control");
    TCase *tcase = tcase_create("control");

    tcase_add_test(tcase, control_of_a_real_15_is_read);
    tcase_add_loop_test(tcase, every_major_is_read, 0, ROWS(majors));
    tcase_add_test(tcase, torn_read_is_seen);
    tcase_add_loop_test(tcase, unknown_version_is_refused, 0, ROWS(unknown));
    tcase_add_test(tcase, wrong_size_is_refused);
    tcase_add_test(tcase, every_state_has_words);
    suite_add_tcase(suite, tcase);
    return suite;
}
