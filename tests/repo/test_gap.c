/*
 * test_gap.c - WAL that was given up: its record, who asks for it, and records that are not ours.
 */
#include "repo/repo_fixture.h"

#include "repo/gap.h"

static struct repo_fixture fixture;
static struct cpam_err err;

static void
begin(void)
{
    repo_fixture_begin(&fixture, false);
}

static void
end(void)
{
    repo_fixture_end(&fixture);
}

static struct gap
a_gap(uint64_t first, uint64_t last)
{
    return (struct gap){.sysid = REPO_SYSID,
                        .first = {{1}, first},
                        .last = {{1}, last},
                        .segment_size = 1 << 20,
                        .backlog = UINT64_C(5) << 30,
                        .created = INT64_C(1790000000000000)};
}

static bool
covers(const char *name, struct gap *out)
{
    struct archive_name parsed;
    bool covered;

    ck_ok(archive_name_parse(name, &parsed, &err), &err);
    ck_ok(gap_covers(fixture.repo, REPO_SYSID, &parsed, &covered, out, &err), &err);
    return covered;
}

START_TEST(P12_a_gap_comes_back_as_it_was_put)
{
    struct gap gap = a_gap(5, 5), run = a_gap(8, 11), out;
    char text[GAP_TEXT_MAX];

    ck_ok(gap_put(fixture.repo, &gap, &err), &err);
    ck_ok(gap_put(fixture.repo, &run, &err), &err);
    ck_assert(!covers("000000010000000000000004", &out));
    ck_assert(covers("000000010000000000000005", &out));
    ck_assert_uint_eq(out.backlog, gap.backlog);
    ck_assert_int_eq(out.created, gap.created);
    ck_assert(!covers("000000010000000000000006", &out));
    ck_assert(covers("00000001000000000000000A", &out));
    ck_assert(!covers("00000001000000000000000C", &out));
    ck_assert(!covers("000000020000000000000005", &out));
    ck_assert(!covers("00000002.history", &out));
    gap_format(&run, text);
    ck_assert_str_eq(text,
                     "segments 000000010000000000000008 to 00000001000000000000000B were given "
                     "up on purpose on 2026-09-21T14:13:20Z (wal.push.queue_max)");
}
END_TEST

START_TEST(P12_the_same_again_is_no_second_record)
{
    struct gap gap = a_gap(5, 5), later = a_gap(5, 5), other = a_gap(5, 7);

    later.created++;
    later.backlog++;
    ck_ok(gap_put(fixture.repo, &gap, &err), &err);
    ck_ok(gap_put(fixture.repo, &later, &err), &err);
    ck_fails(gap_put(fixture.repo, &other, &err), CPAM_EXISTS, "records another gap", &err);
}
END_TEST

struct listed
{
    uint64_t first[4];
    size_t count;
};

static enum cpam_status
note(void *arg, const struct gap *gap, struct cpam_err *unused)
{
    struct listed *listed = arg;

    (void) unused;
    ck_assert_uint_lt(listed->count, 4);
    listed->first[listed->count++] = gap->first.number;
    return CPAM_OK;
}

START_TEST(P12_records_of_others_make_no_gap)
{
    static const char key[] = "gap/7301234567890123456/00000001/000000010000000000000006";
    struct gap one = a_gap(9, 9), two = a_gap(5, 5), out;
    struct listed listed = {.count = 0};

    ck_ok(gap_put(fixture.repo, &one, &err), &err);
    ck_ok(gap_put(fixture.repo, &two, &err), &err);
    struct memory_version *stored = memory_current(
        &fixture.bucket, "gap/7301234567890123456/00000001/000000010000000000000005");
    memory_overwrite(&fixture.bucket, key, stored->data, stored->size); /* of another name */
    memory_overwrite(&fixture.bucket, "gap/7301234567890123456/00000001/README", "x", 1);
    ck_ok(gap_list(fixture.repo, REPO_SYSID, (struct timeline){1}, note, &listed, &err), &err);
    ck_assert_uint_eq(listed.count, 2);
    ck_assert_uint_eq(listed.first[0], 5);
    ck_assert_uint_eq(listed.first[1], 9);
    ck_assert(!covers("000000010000000000000006", &out));
    ck_assert(covers("000000010000000000000005", &out));
}
END_TEST

START_TEST(P12_what_could_not_be_asked_is_no_answer)
{
    struct archive_name name;
    struct gap gap = a_gap(5, 5), out;
    bool covered;

    fixture.bucket.fail_all = CPAM_TRANSIENT;
    ck_ok(archive_name_parse("000000010000000000000005", &name, &err), &err);
    ck_assert_int_eq(gap_covers(fixture.repo, REPO_SYSID, &name, &covered, &out, &err),
                     CPAM_TRANSIENT);
    ck_assert_int_eq(gap_put(fixture.repo, &gap, &err), CPAM_TRANSIENT);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/gap");
    TCase *tcase = tcase_create("gap");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, P12_a_gap_comes_back_as_it_was_put);
    tcase_add_test(tcase, P12_the_same_again_is_no_second_record);
    tcase_add_test(tcase, P12_records_of_others_make_no_gap);
    tcase_add_test(tcase, P12_what_could_not_be_asked_is_no_answer);
    suite_add_tcase(suite, tcase);
    return suite;
}
