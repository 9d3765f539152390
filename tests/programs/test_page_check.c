/*
 * test_page_check.c - B6, trap 24: which bad checksums are damage, and which replay mends.
 */
#include "page_check.h"

#include <fcntl.h>

#include "repo/repo_fixture.h"

#define START UINT64_C(0x1000)
#define END   UINT64_C(0x2000)

enum
{
    PAGES = 5,
    SEGMENT_BLOCKS = 131072
};

static uint8_t content[PAGES * PAGE_SIZE];

static void
make_page(int index, uint32_t block, uint64_t lsn)
{
    uint8_t *page = content + (size_t) index * PAGE_SIZE;
    uint32_t halves[2] = {(uint32_t) (lsn >> 32), (uint32_t) lsn};

    memset(page, 0x5a + index, PAGE_SIZE);
    memcpy(page, halves, sizeof(halves));
    uint16_t sum = page_checksum(page, block);
    memcpy(page + 8, &sum, sizeof(sum));
}

/* The file is checked in pieces of `piece` bytes; on disk is what `content` holds now. */
static void
check(struct page_findings *findings, const char *path, size_t piece, uint8_t *seen)
{
    CPAM_AUTO(page_check_free) struct page_check *check = NULL;
    struct cpam_err err;
    int fd = open(fixture_path("relation"), O_RDWR | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, sizeof(content)), sizeof(content));
    ck_ok(page_check_new(findings, &check, &err), &err);
    page_check_begin(check, path, fd, 0);
    for (size_t at = 0; at < sizeof(content); at += piece)
        ck_ok(page_check_feed(check, seen + at,
                              sizeof(content) - at < piece ? sizeof(content) - at : piece, &err),
              &err);
    close(fd);
}

static uint64_t
damaged(struct page_findings *findings)
{
    uint64_t count;

    page_findings_conclude(findings, (struct lsn){END}, &count);
    return count;
}

static struct page_findings *
begin(uint32_t first_block)
{
    struct page_findings *findings;
    struct cpam_err err;

    fixture_begin();
    for (int i = 0; i < PAGES; i++)
        make_page(i, first_block + (uint32_t) i, 0x500);
    ck_ok(page_findings_new(io_posix(), (struct lsn){START}, SEGMENT_BLOCKS, &findings, &err),
          &err);
    return findings;
}

static void
finish(struct page_findings *findings)
{
    page_findings_free(findings);
    unlink(fixture_path("relation"));
    fixture_end();
}

static int64_t paused; /* us */
static struct io_ops counted;
static struct io counting = {&counted};

static void
count_sleep(struct io *io, int64_t us)
{
    (void) io;
    paused += us;
}

static const size_t pieces[] = {PAGE_SIZE, 1, 1000, 3 * PAGE_SIZE + 77, sizeof(content)};

START_TEST(B6_a_damaged_page_is_told_by_file_and_block)
{
    struct page_findings *findings = begin(2 * SEGMENT_BLOCKS);

    content[3 * PAGE_SIZE + 4000] ^= 1;
    check(findings, "base/5/16384.2", pieces[_i], content);
    ck_assert_uint_eq(damaged(findings), 1);
    ck_assert_uint_eq(page_findings_count(findings), 1);
    ck_assert_str_eq(page_findings_at(findings, 0)->path, "base/5/16384.2");
    ck_assert_uint_eq(page_findings_at(findings, 0)->block, 2 * SEGMENT_BLOCKS + 3);
    finish(findings);
}
END_TEST

START_TEST(trap24_what_replay_writes_anew_is_no_damage)
{
    static const struct
    {
        uint64_t lsn, damaged;
    } rows[] = {{START - 1, 1}, {START, 0}, {END, 0}, {END + 1, 1}, {UINT64_C(0xffffffffff), 1}};
    struct page_findings *findings = begin(0);

    make_page(1, 1, rows[_i].lsn);
    content[PAGE_SIZE + 4000] ^= 1;
    check(findings, "base/5/16384", PAGE_SIZE, content);
    ck_assert_uint_eq(damaged(findings), rows[_i].damaged);
    finish(findings);
}
END_TEST

/* What was read of the third page is not what the disk has by now. */
static uint64_t
misread(uint64_t lsn, size_t piece, bool *mended)
{
    struct page_findings *findings = begin(0);
    uint8_t *seen = malloc(sizeof(content));

    ck_assert_ptr_nonnull(seen);
    make_page(2, 2, lsn);
    memcpy(seen, content, sizeof(content));
    seen[2 * PAGE_SIZE + 4096] ^= 1;
    check(findings, "base/5/16384", piece, seen);
    *mended = memcmp(seen, content, sizeof(content)) == 0;
    uint64_t count = damaged(findings);
    free(seen);
    finish(findings);
    return count;
}

START_TEST(B6_a_page_that_is_good_when_it_is_read_again_is_taken_as_it_is_then)
{
    bool mended;

    ck_assert_uint_eq(misread(START, PAGE_SIZE, &mended), 0);
    ck_assert(mended);
    ck_assert_uint_eq(misread(0x500, PAGE_SIZE, &mended), 0);
    ck_assert(mended);
    /* its first part is taken already: replay mends what was written since, and nothing older */
    ck_assert_uint_eq(misread(START, 5000, &mended), 0);
    ck_assert(!mended);
    ck_assert_uint_eq(misread(0x500, 5000, &mended), 1);
    ck_assert(!mended);
}
END_TEST

/* A device that returns rubbish must not take the night to be told. */
START_TEST(B6_very_much_damage_is_told_in_time)
{
    struct page_findings *findings = begin(0);
    struct cpam_err err;

    for (int i = 0; i < PAGES; i++)
        content[i * PAGE_SIZE + 4000] ^= 1;
    paused = 0;
    counted = *io_posix()->ops;
    counted.sleep = count_sleep;
    page_findings_free(findings);
    ck_ok(page_findings_new(&counting, (struct lsn){START}, SEGMENT_BLOCKS, &findings, &err), &err);
    for (int i = 0; i < 100; i++)
        check(findings, "base/5/16384", PAGE_SIZE, content);
    ck_assert_uint_eq(damaged(findings), 100 * PAGES);
    ck_assert_int_gt(paused, 0);
    ck_assert_int_le(paused, 60 * INT64_C(1000000));
    finish(findings);
}
END_TEST

START_TEST(trap24_free_space_maps_never_decide_and_other_files_have_no_pages)
{
    struct page_findings *findings = begin(0);

    content[4000] ^= 1;
    check(findings, "base/5/16384_fsm", PAGE_SIZE, content);
    check(findings, "global/pg_filenode.map", PAGE_SIZE, content);
    check(findings, "pg_xact/0000", PAGE_SIZE, content);
    ck_assert_uint_eq(damaged(findings), 0);
    ck_assert_uint_eq(page_findings_count(findings), 1);
    ck_assert(page_findings_at(findings, 0)->free_space_map);
    finish(findings);
}
END_TEST

/* What the server says of a page the second time: whole from the `whole_at`th question on. */
struct again
{
    unsigned asked, whole_at;
    bool gone, fails, old;
    uint64_t offset;
};

static enum cpam_status
ask_again(void *arg, const char *path, uint64_t offset, uint8_t page[PAGE_SIZE], bool *gone,
          struct cpam_err *err)
{
    struct again *again = arg;

    ck_assert_str_eq(path, "base/5/16384.1");
    if (again->fails)
        return cpam_fail(err, CPAM_REFUSED, 0, "permission denied");
    again->offset = offset;
    again->asked++;
    *gone = again->gone;
    memcpy(page, content + PAGE_SIZE, PAGE_SIZE); /* bad */
    if (again->asked >= again->whole_at)
    {
        make_page(0, SEGMENT_BLOCKS + 1, again->old ? 0x500 : START);
        memcpy(page, content, PAGE_SIZE);
    }
    return CPAM_OK;
}

static const struct
{
    struct again again;
    uint64_t damaged;
} looks[] = {
    {{.whole_at = 1}, 0},    {{.whole_at = 3}, 0},
    {{.whole_at = 1000}, 1}, {{.whole_at = 1000, .gone = true}, 0},
    {{.fails = true}, 1},    {{.whole_at = 1, .old = true}, 1}, /* it was not being written */
};

START_TEST(trap24_a_page_of_a_stream_is_asked_for_again)
{
    CPAM_AUTO(page_findings_free) struct page_findings *findings = NULL;
    CPAM_AUTO(page_check_free) struct page_check *check = NULL;
    struct again again = looks[_i].again;
    struct cpam_err err;
    uint64_t count;

    fixture_begin();
    ck_ok(page_findings_new(io_posix(), (struct lsn){START}, SEGMENT_BLOCKS, &findings, &err),
          &err);
    ck_ok(page_check_new(findings, &check, &err), &err);
    make_page(0, SEGMENT_BLOCKS, 0x500);
    make_page(1, SEGMENT_BLOCKS + 1, 0x500); /* older than the backup: no WAL mends it */
    content[PAGE_SIZE + 5000] ^= 1;
    page_check_begin(check, "base/5/16384.1", -1, 0);
    ck_ok(page_check_feed(check, content, (size_t) 2 * PAGE_SIZE, &err), &err);
    ck_assert_uint_eq(damaged(findings), 1);
    enum cpam_status status = page_findings_look_again(findings, ask_again, &again, &count, &err);
    ck_assert_int_eq(status, again.fails ? CPAM_REFUSED : CPAM_OK);
    ck_assert_uint_eq(count, looks[_i].damaged);
    ck_assert_uint_eq(page_findings_count(findings), looks[_i].damaged);
    if (!again.fails)
        ck_assert_uint_eq(again.offset, PAGE_SIZE); /* in its file, not in the relation */
    fixture_end();
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("archive/page_check");
    TCase *tcase = tcase_create("page_check");

    tcase_add_loop_test(tcase, B6_a_damaged_page_is_told_by_file_and_block, 0, 5);
    tcase_add_loop_test(tcase, trap24_what_replay_writes_anew_is_no_damage, 0, 5);
    tcase_add_test(tcase, B6_a_page_that_is_good_when_it_is_read_again_is_taken_as_it_is_then);
    tcase_add_test(tcase, B6_very_much_damage_is_told_in_time);
    tcase_add_test(tcase, trap24_free_space_maps_never_decide_and_other_files_have_no_pages);
    tcase_add_loop_test(tcase, trap24_a_page_of_a_stream_is_asked_for_again, 0,
                        sizeof(looks) / sizeof(looks[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}
