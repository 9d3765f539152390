/*
 * test_wal_page.c - first pages against names (P7), with the page a real promotion left (trap 2).
 */
#include "suite.h"

#include "base/bytes.h"
#include "pg/wal_page.h"

/* 00000002000000000000000A of a PostgreSQL 15 promoted at 0/A000A0, segments of 1 MiB: timeline 1
   stands in the first page of a segment of timeline 2. */
static const uint8_t fork_page[WAL_LONG_HEADER_SIZE] = {
    0x10, 0xd1, 0x06, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2e, 0xd1, 0x0c, 0xf1,
    0xe4, 0x63, 0x04, 0x6b, 0x00, 0x00, 0x10, 0x00, 0x00, 0x20, 0x00, 0x00};
static const char fork_history[] = "1\t0/A000A0\tno recovery target specified\n";

#define SYSID UINT64_C(0x6b0463e4f10cd12e)

static void
parse(struct wal_page *page)
{
    struct cpam_err err;

    ck_ok(wal_page_parse(fork_page, sizeof(fork_page), page, &err), &err);
}

static enum cpam_status
check(const struct wal_page *page, const char *text, uint64_t size, uint64_t sysid,
      const struct history *history, bool *needs, struct cpam_err *err)
{
    struct archive_name name;

    ck_ok(archive_name_parse(text, &name, err), err);
    return wal_page_check(page, &name, size, sysid, history, needs, err);
}

START_TEST(P7_header_is_read)
{
    struct wal_page page;

    parse(&page);
    ck_assert_uint_eq(page.major, 15);
    ck_assert_uint_eq(page.timeline.id, 1);
    ck_assert_uint_eq(page.address.at, 0xA00000);
    ck_assert_uint_eq(page.sysid, SYSID);
    ck_assert_uint_eq(page.segment_size, 1 << 20);
}
END_TEST

START_TEST(P7_trap2_fork_segment_is_accepted_by_its_history)
{
    struct cpam_err err;
    struct wal_page page;
    CPAM_AUTO(history_free) struct history *history = NULL;
    bool needs = true;

    parse(&page);
    ck_ok(history_parse((struct timeline){2}, fork_history, strlen(fork_history), &history, &err),
          &err);
    ck_ok(check(&page, "00000002000000000000000A", 1 << 20, SYSID, history, &needs, &err), &err);
    ck_assert(!needs);
    ck_ok(check(&page, "00000002000000000000000A.partial", 1 << 20, 0, history, &needs, &err),
          &err);
    /* without the history it can't be told */
    ck_fails(check(&page, "00000002000000000000000A", 1 << 20, SYSID, NULL, &needs, &err),
             CPAM_INVALID, "is not known", &err);
    ck_assert(needs);
    /* two forks in one segment: 1 -> 2 -> 3 */
    history_free(CPAM_STEAL(history));
    static const char twice[] = "1\t0/A000A0\tx\n2\t0/A00100\ty\n";
    ck_ok(history_parse((struct timeline){3}, twice, strlen(twice), &history, &err), &err);
    ck_ok(check(&page, "00000003000000000000000A", 1 << 20, SYSID, history, &needs, &err), &err);
}
END_TEST

START_TEST(P7_own_name_is_accepted)
{
    struct cpam_err err;
    struct wal_page page;
    bool needs;

    parse(&page);
    ck_ok(check(&page, "00000001000000000000000A", 1 << 20, SYSID, NULL, &needs, &err), &err);
}
END_TEST

static const struct
{
    uint32_t own; /* timeline of the history given; 0: none */
    const char *history;
    const char *why;
} not_forks[] = {
    {2, "1\t0/A00000\tx\n", "which is not in this segment"}, /* on the edge: nothing is copied */
    {2, "1\t0/B00000\tx\n", "which is not in this segment"},
    {2, "1\t0/B00001\tx\n", "which is not in this segment"},
    {2, "1\t0/900000\tx\n", "which is not in this segment"},
    {3, "2\t0/A000A0\tx\n", "is not known"}, /* a history of another timeline */
};

START_TEST(P7_trap2_other_pages_of_the_parent_are_refused)
{
    struct cpam_err err;
    struct wal_page page;
    CPAM_AUTO(history_free) struct history *history = NULL;
    bool needs;

    parse(&page);
    ck_ok(history_parse((struct timeline){not_forks[_i].own}, not_forks[_i].history,
                        strlen(not_forks[_i].history), &history, &err),
          &err);
    ck_fails(check(&page, "00000002000000000000000A", 1 << 20, SYSID, history, &needs, &err),
             CPAM_INVALID, not_forks[_i].why, &err);
}
END_TEST

START_TEST(P7_timeline_that_is_no_ancestor_is_refused)
{
    struct cpam_err err;
    struct wal_page page;
    CPAM_AUTO(history_free) struct history *history = NULL;
    bool needs;

    parse(&page);
    page.timeline.id = 2;
    ck_ok(history_parse((struct timeline){3}, "1\t0/A000A0\tx\n", 13, &history, &err), &err);
    ck_fails(check(&page, "00000003000000000000000A", 1 << 20, SYSID, history, &needs, &err),
             CPAM_INVALID, "which is no ancestor of timeline 3", &err);
    ck_assert(!needs);
}
END_TEST

static const struct
{
    const char *name;
    uint64_t size, sysid;
    uint32_t timeline;
    enum cpam_status status;
    const char *why;
} misfits[] = {
    {"00000001000000000000000B", 1 << 20, SYSID, 1, CPAM_INVALID,
     "its first page is of 0/A00000, but the name says 0/B00000"},
    {"00000001000000010000000A", 1 << 20, SYSID, 1, CPAM_INVALID, "a recycled or renamed segment"},
    {"00000001000000000000000A", (1 << 20) - 1, SYSID, 1, CPAM_INVALID,
     "is 1048575 bytes long, but its page header says 1048576"},
    {"00000001000000000000000A", 16 << 20, SYSID, 1, CPAM_INVALID, "is 16777216 bytes long"},
    {"00000001000000000000000A", 1 << 20, SYSID + 1, 1, CPAM_FOREIGN, "is WAL of the system"},
    {"00000001000000000000000A", 1 << 20, SYSID, 2, CPAM_INVALID, "later than the name's"},
    {"00000002.history", 1 << 20, SYSID, 1, CPAM_INVALID, "is not the name of a WAL segment"},
};

START_TEST(P7_misfit_is_refused)
{
    struct cpam_err err;
    struct wal_page page;
    bool needs;

    parse(&page);
    page.timeline.id = misfits[_i].timeline;
    ck_fails(
        check(&page, misfits[_i].name, misfits[_i].size, misfits[_i].sysid, NULL, &needs, &err),
        misfits[_i].status, misfits[_i].why, &err);
    ck_assert(!needs);
}
END_TEST

START_TEST(P7_short_file_is_refused)
{
    struct cpam_err err;
    struct wal_page page;

    for (size_t size = 0; size < WAL_LONG_HEADER_SIZE; size++)
        ck_fails(wal_page_parse(fork_page, size, &page, &err), CPAM_INVALID, "too few", &err);
}
END_TEST

static const struct
{
    uint16_t magic;
    unsigned major;
} magics[] = {{0xD10D, 14}, {0xD110, 15}, {0xD113, 16}, {0xD116, 17}, {0xD118, 18}};

START_TEST(magic_names_the_major)
{
    struct cpam_err err;
    struct wal_page page;
    uint8_t data[WAL_LONG_HEADER_SIZE];

    memcpy(data, fork_page, sizeof(data));
    le16_put(data, magics[_i].magic);
    ck_ok(wal_page_parse(data, sizeof(data), &page, &err), &err);
    ck_assert_uint_eq(page.major, magics[_i].major);
}
END_TEST

static const struct
{
    size_t at;
    uint32_t value; /* put as 16 bits below 4, else as 32 */
    const char *why;
} broken[] = {
    {0, 0x0000, "its page magic is 0000"},
    {0, 0xD10B, "its page magic is D10B, known are D10D (PostgreSQL 14) to D118"},
    {0, 0xD119, "its page magic is D119"},
    {2, 0x0005, "no long header"},
    {4, 0, "timeline 0"},
    {32, 0, "segment size of 0 bytes"},
    {32, 3 << 20, "segment size of 3145728 bytes"},
    {32, UINT32_C(1) << 31, "segment size of 2147483648 bytes"},
    {36, 0, "block size of 0 bytes"},
    {36, 8191, "block size of 8191 bytes"},
    {36, 131072, "block size of 131072 bytes"},
};

START_TEST(P7_broken_header_is_refused)
{
    struct cpam_err err;
    struct wal_page page;
    uint8_t data[WAL_LONG_HEADER_SIZE];

    memcpy(data, fork_page, sizeof(data));
    if (broken[_i].at < 4)
        le16_put(data + broken[_i].at, (uint16_t) broken[_i].value);
    else
        le32_put(data + broken[_i].at, broken[_i].value);
    ck_fails(wal_page_parse(data, sizeof(data), &page, &err), CPAM_INVALID, broken[_i].why, &err);
}
END_TEST

#define ROWS(table) ((int) (sizeof(table) / sizeof((table)[0])))

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/wal_page");
    TCase *tcase = tcase_create("wal_page");

    tcase_add_test(tcase, P7_header_is_read);
    tcase_add_test(tcase, P7_trap2_fork_segment_is_accepted_by_its_history);
    tcase_add_test(tcase, P7_own_name_is_accepted);
    tcase_add_loop_test(tcase, P7_trap2_other_pages_of_the_parent_are_refused, 0, ROWS(not_forks));
    tcase_add_test(tcase, P7_timeline_that_is_no_ancestor_is_refused);
    tcase_add_loop_test(tcase, P7_misfit_is_refused, 0, ROWS(misfits));
    tcase_add_test(tcase, P7_short_file_is_refused);
    tcase_add_loop_test(tcase, magic_names_the_major, 0, ROWS(magics));
    tcase_add_loop_test(tcase, P7_broken_header_is_refused, 0, ROWS(broken));
    suite_add_tcase(suite, tcase);
    return suite;
}
