/*
 * test_target_gap.c - WAL that was given up on purpose: which targets are refused for it, and in which
 * words (requirements row P12).
 */
#include "suite.h"

#include <stdio.h>

#include "repo/target.h"

#define SIZE   (UINT64_C(16) << 20)
#define AT(s)  ((struct lsn){(uint64_t) (s) *SIZE})
#define SEC(s) ((int64_t) (s) *1000000)

enum
{
    SYSID = 77
};

/* One backup of segments 5 and 6, and WAL of 2 to 50. */
struct picture
{
    struct backup_summary backup;
    struct wal_run runs[1];
    struct recovery_map map;
};

static void
paint(struct picture *self)
{
    self->backup = (struct backup_summary){
        .sysid = SYSID,
        .timeline = {1},
        .start = {5 * SIZE + 0x28},
        .stop = {6 * SIZE + 0x100},
        .start_time = SEC(50),
        .stop_time = SEC(61),
        .segment_size = (uint32_t) SIZE,
    };
    snprintf(self->backup.label, sizeof(self->backup.label), "b10");
    self->runs[0] = (struct wal_run){{1}, 2, 50, SEC(509)};
    self->map = (struct recovery_map){
        .sysid = SYSID,
        .segment_size = (uint32_t) SIZE,
        .backups = &self->backup,
        .backup_count = 1,
        .runs = self->runs,
        .run_count = 1,
    };
}

/* Behind segment 50 of timeline 1 nothing is archived, because it was given up. */
START_TEST(P12_ask8_targets_in_and_behind_a_gap_are_refused)
{
    struct picture own, *picture = &own;
    struct gap gap = {.sysid = SYSID,
                      .first = {{1}, 51},
                      .last = {{1}, 53},
                      .segment_size = (uint32_t) SIZE,
                      .created = SEC(600)};
    struct target target = {.kind = TARGET_LATEST, .timeline = {1}};
    struct target_plan plan;
    struct cpam_err err;

    paint(picture);
    ck_ok(target_select(&picture->map, &target, &plan, &err), &err);
    picture->map.gaps = &gap;
    picture->map.gap_count = 1;
    ck_fails(
        target_select(&picture->map, &target, &plan, &err), CPAM_UNREACHABLE,
        "segments 000000010000000000000033 to 000000010000000000000035 were given up on purpose "
        "on 1970-01-01T00:10:00Z",
        &err);
    target.accept_end = true;
    ck_ok(target_select(&picture->map, &target, &plan, &err), &err);
    ck_assert(plan.hole);
    ck_assert_ptr_eq(plan.gap, &gap);
    target = (struct target){.kind = TARGET_TIME, .time = SEC(520), .timeline = {1}};
    ck_fails(target_select(&picture->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "given up on purpose", &err);
    target = (struct target){.kind = TARGET_LSN, .lsn = AT(52), .timeline = {1}};
    ck_fails(target_select(&picture->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "given up on purpose", &err);
    /* in front of it, and where the file is there all the same */
    target = (struct target){.kind = TARGET_TIME, .time = SEC(450), .timeline = {1}};
    ck_ok(target_select(&picture->map, &target, &plan, &err), &err);
    picture->runs[0].last = 60;
    picture->runs[0].last_created = SEC(700);
    target = (struct target){.kind = TARGET_LATEST, .timeline = {1}};
    ck_ok(target_select(&picture->map, &target, &plan, &err), &err);
}
END_TEST

START_TEST(P12_a_backup_inside_a_gap_is_no_backup)
{
    struct picture own, *picture = &own;
    struct gap gap = {.first = {{1}, 5}, .last = {{1}, 5}, .segment_size = (uint32_t) SIZE};
    struct target target = {.kind = TARGET_BACKUP, .backup = "b10"};
    struct target_plan plan;
    struct cpam_err err;

    paint(picture);
    picture->runs[0].first = 6;
    picture->map.gaps = &gap;
    picture->map.gap_count = 1;
    ck_fails(target_select(&picture->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "segment 000000010000000000000005 was given up on purpose", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/target_gap");
    TCase *tcase = tcase_create("target_gap");

    tcase_add_test(tcase, P12_ask8_targets_in_and_behind_a_gap_are_refused);
    tcase_add_test(tcase, P12_a_backup_inside_a_gap_is_no_backup);
    suite_add_tcase(suite, tcase);
    return suite;
}
