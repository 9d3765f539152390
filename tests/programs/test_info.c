/*
 * test_info.c - what cpam-info makes of a repository: the JSON letter by letter (golden/info.json),
 * the text, and what it tells a person to look at.
 */
#include "suite.h"

#include <limits.h>
#include <stdio.h>

#include "info_report.h"
#include "io/file.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))
#define T0              ((int64_t) 1795448408 * 1000000) /* 2026-11-23T15:40:08Z */
#define MINUTE          ((int64_t) 60 * 1000000)
#define SEGMENT         ((uint32_t) 16 << 20)
#define SYSID           UINT64_C(7711406119383387457)

struct sample
{
    struct settings settings;
    struct info_repository repositories[2];
    struct backup_summary backups[2];
    struct backup_list list;
    struct info_wal wal[2];
    struct info_report report;
};

static void
make_backup(struct backup_summary *backup, const char *label, uint64_t seq, uint64_t start,
            uint64_t stop, int64_t at)
{
    struct timeline one = {1};

    *backup = (struct backup_summary){
        .sysid = SYSID,
        .seq = seq,
        .kind = "full",
        .major = 15,
        .pg_version = "15.10 (Debian 15.10-0+deb12u1)",
        .timeline = one,
        .start = {start},
        .stop = {stop},
        .start_time = at,
        .stop_time = at + 2 * MINUTE,
        .segment_size = SEGMENT,
        .files = 950,
        .bytes = 25270000,
        .packs = 1,
        .stored_bytes = 3355443,
        .has_checksums = true,
    };
    snprintf(backup->label, sizeof(backup->label), "%s", label);
    snprintf(backup->epoch, sizeof(backup->epoch), "%s", label);
    segment_format(segment_of(one, backup->start, SEGMENT), SEGMENT, backup->wal_first);
    segment_format(segment_before(one, backup->stop, SEGMENT), SEGMENT, backup->wal_last);
}

/* Two backups, in segments 2 and 6; WAL 1 to 5 and 7 to 8 on timeline 1, 8 to 9 on timeline 2. */
static void
make(struct sample *sample)
{
    static const uint64_t one[] = {1, 2, 3, 4, 5, 7, 8}, two[] = {8, 9};
    struct cpam_err err;

    memset(sample, 0, sizeof(*sample));
    sample->settings.cluster = "demo";
    sample->settings.targets.full_age = 25 * 60 * MINUTE;
    sample->settings.repositories[0] = (struct repository_settings){
        .name = "primary", .url = "file:///var/backups/cpam", .required = true};
    sample->settings.repositories[1] =
        (struct repository_settings){.name = "dr", .url = "s3://dr/cpam"};
    make_backup(&sample->backups[0], "cpam_backup_20261123_154008", 1, 2 * (uint64_t) SEGMENT + 40,
                2 * (uint64_t) SEGMENT + 312, T0);
    make_backup(&sample->backups[1], "cpam_backup_20261123_164008", 2, 6 * (uint64_t) SEGMENT + 40,
                7 * (uint64_t) SEGMENT, T0 + 60 * MINUTE);
    snprintf(sample->backups[1].kind, sizeof(sample->backups[1].kind), BACKUP_INCREMENTAL);
    snprintf(sample->backups[1].epoch, BACKUP_LABEL_MAX, "%s", sample->backups[0].label);
    snprintf(sample->backups[1].parents, BACKUP_PARENTS_MAX, "%s 1\n", sample->backups[0].label);
    sample->list = (struct backup_list){.items = sample->backups, .count = 2};
    sample->wal[0] = (struct info_wal){.sysid = SYSID,
                                       .timeline = {1},
                                       .segment_size = SEGMENT,
                                       .stored_bytes = 7 * 1234567,
                                       .last_archived = T0 + 90 * MINUTE};
    sample->wal[1] = sample->wal[0];
    sample->wal[1].timeline.id = 2;
    sample->wal[1].last_archived = T0 + 100 * MINUTE;
    for (int i = 0; i < COUNT_OF(one); i++)
        ck_ok(info_wal_add(&sample->wal[0], one[i], &err), &err);
    for (int i = 0; i < COUNT_OF(two); i++)
        ck_ok(info_wal_add(&sample->wal[1], two[i], &err), &err);
    sample->repositories[0] =
        (struct info_repository){.settings = &sample->settings.repositories[0],
                                 .readable = true,
                                 .uuid = "66ffabce-49ae-43dc-9d6f-898f3dc062c2",
                                 .backups = &sample->list,
                                 .wal = sample->wal,
                                 .wal_count = 2};
    sample->repositories[1].settings = &sample->settings.repositories[1];
    cpam_fail(&sample->repositories[1].err, CPAM_TRANSIENT, 0, "s3://dr/cpam: connection refused");
    sample->report = (struct info_report){.settings = &sample->settings,
                                          .now = T0 + 105 * MINUTE,
                                          .repositories = sample->repositories,
                                          .count = 2};
}

static void
done(struct sample *sample)
{
    for (int i = 0; i < 2; i++)
    {
        free(sample->wal[i].runs);
        for (size_t k = 0; k < sample->repositories[i].finding_count; k++)
            free(sample->repositories[i].findings[k]);
        free(sample->repositories[i].findings);
    }
}

static const char *
findings(struct info_repository *repository)
{
    static char all[4000];

    all[0] = '\0';
    for (size_t i = 0; i < repository->finding_count; i++)
    {
        strcat(all, repository->findings[i]);
        strcat(all, "\n");
    }
    return all;
}

START_TEST(O1_json_is_as_in_the_golden_file)
{
    struct cpam_err err;
    struct sample sample;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf golden = {0};
    char path[PATH_MAX];

    make(&sample);
    ck_ok(info_judge(&sample.report, &err), &err);
    ck_ok(info_json(&sample.report, &out, &err), &err);
    snprintf(path, sizeof(path), "%s/tests/golden/info.json", getenv("CPAM_SOURCE_ROOT"));
    ck_ok(file_read_all(io_posix(), path, 100000, &golden, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&out), cpam_buf_text(&golden));
    done(&sample);
}
END_TEST

START_TEST(O1_text_says_the_same_to_a_person)
{
    static const char *const wanted[] = {
        "Cluster \"demo\"\n",
        "Repository \"primary\" at file:///var/backups/cpam\n",
        "  Can be restored: every moment from 2026-11-23T15:42:08Z to the hole at "
        "000000010000000000000006\n",
        "        DAMAGED on disk when it was taken: 1 page, base/5/1259 block 7\n",
        "  LOOK: backup cpam_backup_20261123_154008 has 1 page that was damaged on disk when it was "
        "taken\n",
        "  Last archived: 2026-11-23T17:20:08Z, 5 min ago\n",
        "    cpam_backup_20261123_154008  full  2026-11-23T15:42:08Z, took 2 min\n",
        "000000010000000000000002 to 000000010000000000000002 is there\n",
        "    cpam_backup_20261123_164008  incremental  2026-11-23T16:42:08Z, took 2 min\n",
        "        needs packs of 1 other, back to cpam_backup_20261123_154008\n",
        "is INCOMPLETE: 000000010000000000000006 is not there\n",
        "    timeline 1: 000000010000000000000001 to 000000010000000000000005, 5 segments",
        "      hole of 1, then 000000010000000000000007 to 000000010000000000000008, 2 segments\n",
        "    timeline 2: 000000020000000000000008 to 000000020000000000000009, 2 segments",
        "Repository \"dr\" at s3://dr/cpam (not required)\n  LOOK: could not be read: s3://dr/cpam: "
        "connection refused\n",
    };
    struct cpam_err err;
    struct sample sample;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};

    make(&sample);
    sample.backups[0].damaged_pages = 1;
    snprintf(sample.backups[0].damaged_first, sizeof(sample.backups[0].damaged_first),
             "base/5/1259 block 7");
    ck_ok(info_judge(&sample.report, &err), &err);
    ck_ok(info_text(&sample.report, &out, &err), &err);
    for (int i = 0; i < COUNT_OF(wanted); i++)
        ck_assert_msg(strstr(cpam_buf_text(&out), wanted[i]) != NULL, "\"%s\" is not in:\n%s",
                      wanted[i], cpam_buf_text(&out));
    done(&sample);
}
END_TEST

/* A backup on each side of the hole: what lies in it is not claimed.  The newer timeline is in reach. */
START_TEST(O1_moments_on_both_sides_of_a_hole)
{
    struct cpam_err err;
    struct sample sample;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};

    make(&sample);
    sample.wal[0].runs[0] = (struct info_run){1, 4};
    sample.wal[0].runs[1] = (struct info_run){6, 8};
    ck_ok(info_text(&sample.report, &out, &err), &err);
    ck_assert_msg(strstr(cpam_buf_text(&out),
                         "  Can be restored: every moment from 2026-11-23T15:42:08Z to the hole at "
                         "000000010000000000000005\n"
                         "              and: every moment from 2026-11-23T16:42:08Z to "
                         "2026-11-23T17:20:08Z\n") != NULL,
                  "%s", cpam_buf_text(&out));
    done(&sample);
}
END_TEST

START_TEST(O1_hole_and_incomplete_backup_are_found)
{
    struct cpam_err err;
    struct sample sample;

    make(&sample);
    ck_ok(info_judge(&sample.report, &err), &err);
    ck_assert_str_eq(
        findings(&sample.repositories[0]),
        "backup cpam_backup_20261123_164008 can't be restored: segment 000000010000000000000006 is "
        "not there\na hole in the WAL: segment 000000010000000000000006 is not there\n");
    done(&sample);
}
END_TEST

/* With segment 6 there is nothing to find, and the window goes on over the fork. */
START_TEST(O1_whole_repository_has_no_finding)
{
    struct cpam_err err;
    struct sample sample;
    int64_t earliest, latest;

    make(&sample);
    sample.wal[0].runs[0].last = 8;
    sample.wal[0].run_count = 1;
    ck_ok(info_judge(&sample.report, &err), &err);
    ck_assert_str_eq(findings(&sample.repositories[0]), "");
    ck_assert(info_window(&sample.repositories[0], &earliest, &latest));
    ck_assert_int_eq(earliest, T0 + 2 * MINUTE);
    ck_assert_int_eq(latest, T0 + 100 * MINUTE);
    done(&sample);
}
END_TEST

START_TEST(hole_before_every_backup_is_no_finding)
{
    struct cpam_err err;
    struct sample sample;

    make(&sample);
    sample.list.items = &sample.backups[1]; /* in segment 6 */
    sample.list.count = 1;
    sample.wal[0].runs[0] = (struct info_run){1, 3};
    sample.wal[0].runs[1] = (struct info_run){6, 8};
    ck_ok(info_judge(&sample.report, &err), &err);
    ck_assert_str_eq(findings(&sample.repositories[0]), "");
    done(&sample);
}
END_TEST

START_TEST(other_things_to_look_at)
{
    static char chain[] = "number 2 is missing", *chain_findings[] = {chain};
    struct cpam_err err;
    struct sample sample;

    make(&sample);
    sample.wal[0].runs[0].last = 8;
    sample.wal[0].run_count = 1;
    sample.wal[1].history_missing = true;
    sample.report.now = T0 + 48 * 60 * MINUTE;
    sample.list.findings = chain_findings;
    sample.list.finding_count = 1;
    ck_ok(info_judge(&sample.report, &err), &err);
    ck_assert_str_eq(findings(&sample.repositories[0]),
                     "number 2 is missing\nthe newest backup is 1 d 22 h old, more than "
                     "targets.full_age allows\ntimeline 2 has no history file here: recovery can't "
                     "find its way to it\n");
    done(&sample);

    make(&sample);
    sample.list.count = 0;
    ck_ok(info_judge(&sample.report, &err), &err);
    ck_assert_str_eq(findings(&sample.repositories[0]),
                     "there is no backup yet (cpam-base-push makes one)\n");
    done(&sample);
}
END_TEST

START_TEST(backup_whose_stop_is_a_boundary_needs_the_segment_before)
{
    struct sample sample;
    struct segment missing;

    make(&sample);
    /* the second backup begins in segment 6 and ends with its last byte: 7 is not needed */
    sample.wal[0].runs[0] = (struct info_run){6, 6};
    sample.wal[0].run_count = 1;
    ck_assert(!info_backup_lacks(&sample.repositories[0], &sample.backups[1], &missing));
    sample.backups[1].stop.at++;
    ck_assert(info_backup_lacks(&sample.repositories[0], &sample.backups[1], &missing));
    ck_assert_uint_eq(missing.number, 7);
    ck_assert(info_backup_lacks(&sample.repositories[0], &sample.backups[0], &missing));
    ck_assert_uint_eq(missing.number, 2);
    done(&sample);
}
END_TEST

START_TEST(holes_have_a_limit)
{
    struct cpam_err err;
    struct info_wal wal = {.timeline = {1}};

    for (uint64_t i = 0; i < INFO_RUNS_MAX; i++)
        ck_ok(info_wal_add(&wal, i * 2, &err), &err);
    ck_fails(info_wal_add(&wal, INFO_RUNS_MAX * 2, &err), CPAM_INVALID, "more than 4096 holes",
             &err);
    free(wal.runs);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/info");
    TCase *tcase = tcase_create("info");

    tcase_add_test(tcase, O1_json_is_as_in_the_golden_file);
    tcase_add_test(tcase, O1_text_says_the_same_to_a_person);
    tcase_add_test(tcase, O1_moments_on_both_sides_of_a_hole);
    tcase_add_test(tcase, O1_hole_and_incomplete_backup_are_found);
    tcase_add_test(tcase, O1_whole_repository_has_no_finding);
    tcase_add_test(tcase, hole_before_every_backup_is_no_finding);
    tcase_add_test(tcase, other_things_to_look_at);
    tcase_add_test(tcase, backup_whose_stop_is_a_boundary_needs_the_segment_before);
    tcase_add_test(tcase, holes_have_a_limit);
    suite_add_tcase(suite, tcase);
    return suite;
}
