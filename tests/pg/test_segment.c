/*
 * test_segment.c - LSNs, segment names and the grammar of the archive's names.
 */
#include "suite.h"

#include "pg/segment.h"

#define MIB(n) ((uint32_t) (n) << 20)

static const struct
{
    const char *text;
    uint64_t at;
} lsns[] = {
    {"0/0", 0},
    {"0/1", 1},
    {"16/B374D848", UINT64_C(0x16B374D848)},
    {"16/b374d848", UINT64_C(0x16B374D848)},
    {"FFFFFFFF/FFFFFFFF", UINT64_MAX},
    {"1/00000010", UINT64_C(0x100000010)},
};

START_TEST(lsn_is_read)
{
    struct cpam_err err;
    struct lsn lsn;

    ck_ok(lsn_parse(lsns[_i].text, &lsn, &err), &err);
    ck_assert_uint_eq(lsn.at, lsns[_i].at);
}
END_TEST

static const char *const not_lsns[] = {"",      "/",    "0",   "0/",          "/0",          "0/0 ",
                                       " 0/0",  "g/0",  "0/g", "000000001/0", "0/123456789", "-1/0",
                                       "0/0/0", "0x1/0"};

START_TEST(not_an_lsn)
{
    struct cpam_err err;
    struct lsn lsn;

    ck_fails(lsn_parse(not_lsns[_i], &lsn, &err), CPAM_INVALID, "is not an LSN", &err);
}
END_TEST

START_TEST(lsn_is_written_as_postgresql_does)
{
    char text[LSN_TEXT_MAX];

    lsn_format((struct lsn){UINT64_C(0x16B374D848)}, text);
    ck_assert_str_eq(text, "16/B374D848");
    lsn_format((struct lsn){UINT64_MAX}, text);
    ck_assert_str_eq(text, "FFFFFFFF/FFFFFFFF");
    lsn_format((struct lsn){UINT64_C(0x100000010)}, text);
    ck_assert_str_eq(text, "1/10");
}
END_TEST

static const struct
{
    const char *name;
    uint32_t size;
    uint32_t timeline;
    uint64_t start;
} segments[] = {
    {"000000010000000000000001", MIB(16), 1, UINT64_C(0x1000000)},
    {"0000000100000000000000FF", MIB(16), 1, UINT64_C(0xFF000000)},
    {"0000000A0000000100000000", MIB(16), 10, UINT64_C(0x100000000)},
    {"FFFFFFFF0000000A000000FE", MIB(16), UINT32_MAX, UINT64_C(0xAFE000000)},
    {"000000010000000000000FFF", MIB(1), 1, UINT64_C(0xFFF00000)},
    {"000000010000000200000003", MIB(1024), 1, UINT64_C(0x2C0000000)},
    {"00000001000000010000003F", MIB(64), 1, UINT64_C(0x1FC000000)},
};

START_TEST(segment_name_goes_both_ways)
{
    struct cpam_err err;
    struct segment segment;
    char name[SEGMENT_NAME_MAX];

    ck_ok(segment_parse(segments[_i].name, segments[_i].size, &segment, &err), &err);
    ck_assert_uint_eq(segment.timeline.id, segments[_i].timeline);
    ck_assert_uint_eq(segment_start(segment, segments[_i].size).at, segments[_i].start);
    segment_format(segment, segments[_i].size, name);
    ck_assert_str_eq(name, segments[_i].name);
    struct segment same =
        segment_of(segment.timeline, (struct lsn){segments[_i].start + 5}, segments[_i].size);
    ck_assert_uint_eq(same.number, segment.number);
}
END_TEST

static const struct
{
    const char *name;
    uint32_t size;
    const char *why;
} not_segments[] = {
    {"0000000100000000000000fe", MIB(16), "is not a WAL segment name"},
    {"00000001000000000000000", MIB(16), "is not a WAL segment name"},
    {"0000000100000000000000010", MIB(16), "is not a WAL segment name"},
    {"000000010000000000000001 ", MIB(16), "is not a WAL segment name"},
    {"00000001-000000000000001", MIB(16), "is not a WAL segment name"},
    {"", MIB(16), "is not a WAL segment name"},
    {"000000000000000000000001", MIB(16), "has timeline 0"},
    {"000000010000000000000100", MIB(16), "does not fit segments of 16 MiB"},
    {"000000010000000000000004", MIB(1024), "does not fit segments of 1024 MiB"},
    {"000000010000000000001000", MIB(1), "does not fit segments of 1 MiB"},
    {"000000010000000000000001", 12345, "is not a size of WAL segments"},
};

START_TEST(segment_name_is_refused)
{
    struct cpam_err err;
    struct segment segment;

    ck_fails(segment_parse(not_segments[_i].name, not_segments[_i].size, &segment, &err),
             CPAM_INVALID, not_segments[_i].why, &err);
}
END_TEST

START_TEST(byte_before_an_edge_is_in_the_segment_before)
{
    struct timeline one = {1};

    ck_assert_uint_eq(segment_before(one, (struct lsn){MIB(32)}, MIB(16)).number, 1);
    ck_assert_uint_eq(segment_before(one, (struct lsn){MIB(32) + 1}, MIB(16)).number, 2);
    ck_assert_uint_eq(segment_of(one, (struct lsn){MIB(32)}, MIB(16)).number, 2);
    ck_assert_uint_eq(segment_before(one, (struct lsn){0}, MIB(16)).number, 0);
    ck_assert_uint_eq(segment_next(segment_of(one, (struct lsn){MIB(32)}, MIB(16))).number, 3);
}
END_TEST

/* P5: the names the archive takes, and every near miss we could think of. */
static const struct
{
    const char *name;
    enum archive_name_kind kind;
    uint32_t timeline, offset;
} names[] = {
    {"000000010000000000000001", ARCHIVE_SEGMENT, 1, 0},
    {"0000000A0000000000000001", ARCHIVE_SEGMENT, 0x0A, 0},
    {"000000FF00000001000000FF", ARCHIVE_SEGMENT, 0xFF, 0},
    {"FFFFFFFFFFFFFFFF00000FFF", ARCHIVE_SEGMENT, UINT32_MAX, 0},
    {"00000001.history", ARCHIVE_HISTORY, 1, 0},
    {"00000002.history", ARCHIVE_HISTORY, 2, 0},
    {"0000000A.history", ARCHIVE_HISTORY, 0x0A, 0},
    {"000000FF.history", ARCHIVE_HISTORY, 0xFF, 0},
    {"000000010000000000000002.00000028.backup", ARCHIVE_BACKUP_HISTORY, 1, 0x28},
    {"0000000A00000000000000FE.00FFFFF8.backup", ARCHIVE_BACKUP_HISTORY, 0x0A, 0xFFFFF8},
    {"000000010000000000000002.00000000.backup", ARCHIVE_BACKUP_HISTORY, 1, 0},
    {"000000010000000000000002.partial", ARCHIVE_PARTIAL, 1, 0},
    {"000000FF0000000000000002.partial", ARCHIVE_PARTIAL, 0xFF, 0},
};

START_TEST(P5_name_of_the_archive_is_known)
{
    struct cpam_err err;
    struct archive_name name;

    ck_ok(archive_name_parse(names[_i].name, &name, &err), &err);
    ck_assert_int_eq(name.kind, names[_i].kind);
    ck_assert_uint_eq(name.timeline.id, names[_i].timeline);
    ck_assert_uint_eq(name.offset, names[_i].offset);
    ck_assert_str_eq(name.text, names[_i].name);
}
END_TEST

static const char *const not_names[] = {
    "",
    ".",
    "..",
    "/",
    "000000010000000000000001/",
    "../000000010000000000000001",
    "pg_wal/000000010000000000000001",
    "00000001000000000000000",
    "0000000100000000000000010",
    "0000000100000000000000fe",
    "0000000a.history",
    "000000ff.history",
    "0000000A.History",
    "0000000A.history.gz",
    "0000000A.histor",
    "A.history",
    "000000000.history",
    "00000000.history",
    "000000000000000000000001",
    "000000000000000000000001.partial",
    "000000010000000000000002.Partial",
    "000000010000000000000002.partial.partial",
    "000000010000000000000002.partia",
    "000000010000000000000002.28.backup",
    "000000010000000000000002.0000002g.backup",
    "000000010000000000000002.00000028.backup~",
    "000000010000000000000002.00000028",
    "000000010000000000000002.backup",
    "000000010000000000000002.FFFFFFFF.backup",
    "000000010000000000000002.0000000A.BACKUP",
    "000000010000000000000002.gz",
    "000000010000000000000002 ",
    " 000000010000000000000002",
    "000000010000000000001000",
    "RECOVERYXLOG",
    "RECOVERYHISTORY",
    "archive_status",
    "xlogtemp.123",
    "000000010000000000000002.ready",
    "000000010000000000000002.done",
    "00000001\xc3\xa9",
    "0000000100000000000000010000000000000000000000000000000000000000000001",
    "%f",
    "-000000100000000000000001",
};

START_TEST(P5_anything_else_is_refused)
{
    struct cpam_err err;
    struct archive_name name;

    ck_fails(archive_name_parse(not_names[_i], &name, &err), CPAM_INVALID,
             "is not a name of PostgreSQL's WAL archive", &err);
}
END_TEST

START_TEST(segment_of_a_name)
{
    struct cpam_err err;
    struct archive_name name;
    struct segment segment;

    ck_ok(archive_name_parse("000000010000000100000002.00000028.backup", &name, &err), &err);
    ck_ok(archive_name_segment(&name, MIB(16), &segment, &err), &err);
    ck_assert_uint_eq(segment.number, 258);
    ck_ok(archive_name_parse("000000010000000100000002.00200000.backup", &name, &err), &err);
    ck_fails(archive_name_segment(&name, MIB(1), &segment, &err), CPAM_INVALID,
             "its offset lies behind", &err);
    ck_ok(archive_name_parse("000000010000000100000100", &name, &err), &err);
    ck_fails(archive_name_segment(&name, MIB(16), &segment, &err), CPAM_INVALID, "does not fit",
             &err);
    ck_ok(archive_name_parse("00000002.history", &name, &err), &err);
    ck_fails(archive_name_segment(&name, MIB(16), &segment, &err), CPAM_INVALID,
             "speaks of no segment", &err);
}
END_TEST

START_TEST(segment_sizes_are_powers_of_two)
{
    ck_assert(segment_size_valid(MIB(1)));
    ck_assert(segment_size_valid(MIB(16)));
    ck_assert(segment_size_valid(MIB(1024)));
    ck_assert(!segment_size_valid(0));
    ck_assert(!segment_size_valid(512 * 1024));
    ck_assert(!segment_size_valid(MIB(3)));
    ck_assert(!segment_size_valid(UINT64_C(1) << 31));
}
END_TEST

#define ROWS(table) ((int) (sizeof(table) / sizeof((table)[0])))

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/segment");
    TCase *tcase = tcase_create("segment");

    tcase_add_loop_test(tcase, lsn_is_read, 0, ROWS(lsns));
    tcase_add_loop_test(tcase, not_an_lsn, 0, ROWS(not_lsns));
    tcase_add_test(tcase, lsn_is_written_as_postgresql_does);
    tcase_add_loop_test(tcase, segment_name_goes_both_ways, 0, ROWS(segments));
    tcase_add_loop_test(tcase, segment_name_is_refused, 0, ROWS(not_segments));
    tcase_add_test(tcase, byte_before_an_edge_is_in_the_segment_before);
    tcase_add_loop_test(tcase, P5_name_of_the_archive_is_known, 0, ROWS(names));
    tcase_add_loop_test(tcase, P5_anything_else_is_refused, 0, ROWS(not_names));
    tcase_add_test(tcase, segment_of_a_name);
    tcase_add_test(tcase, segment_sizes_are_powers_of_two);
    suite_add_tcase(suite, tcase);
    return suite;
}
