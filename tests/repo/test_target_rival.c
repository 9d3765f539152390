/*
 * test_target_rival.c - a target that another timeline has, too, or alone: it is told (T1, T2).
 */
#include "target_picture.h"

/* 1 went on to 39 after 2 left it in 30, 2 to 50 after 3 left it at 45. */
static const struct
{
    const char *what;
    struct target target;
    uint32_t rival;
} rivals[] = {
    {"a moment of 1 and 2, in front of a backup of 2", {.kind = TARGET_TIME, .time = SEC(350)}, 1},
    {"a moment behind all backups, of 2 and 3", {.kind = TARGET_TIME, .time = SEC(479)}, 2},
    {"a moment of 1, off the path of 2",
     {.kind = TARGET_TIME, .time = SEC(350), .timeline = {2}},
     1},
    {"behind the end of 1", {.kind = TARGET_TIME, .time = SEC(400), .timeline = {2}}, 0},
    {"a backup in front of the fork ended later", {.kind = TARGET_TIME, .time = SEC(210)}, 0},
    {"an LSN of the common part", {.kind = TARGET_LSN, .lsn = {30 * SIZE + 0xFF}}, 0},
    {"an LSN at the fork", {.kind = TARGET_LSN, .lsn = {30 * SIZE + 0x100}}, 1},
    {"an LSN behind all of 1", {.kind = TARGET_LSN, .lsn = {42 * SIZE}}, 0},
    {"an LSN at the second fork", {.kind = TARGET_LSN, .lsn = {45 * SIZE}}, 2},
    {"a transaction behind all backups", {.kind = TARGET_XID, .xid = 400}, 2},
    {"a transaction that ended before a backup", {.kind = TARGET_XID, .xid = 103}, 0},
    {"a restore point", {.kind = TARGET_NAME, .name = "x", .timeline = {2}}, 3},
    {"a backup's own state", {.kind = TARGET_BACKUP, .backup = "b20"}, 0},
    {"the same at once", {.kind = TARGET_IMMEDIATE}, 0},
};

START_TEST(T2_wal_of_another_timeline_that_may_be_meant_is_told)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;

    ck_ok(target_select(&self->map, &rivals[_i].target, &plan, &err), &err);
    ck_assert_msg(plan.rival.id == rivals[_i].rival, "%s: timeline %u", rivals[_i].what,
                  plan.rival.id);
}
END_TEST

START_TEST(T2_a_timeline_without_its_history_may_be_meant)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;
    struct target target = {.kind = TARGET_LSN, .lsn = {46 * SIZE}, .timeline = {2}};

    self->map.history_count = 1;
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_uint_eq(plan.rival.id, 3);
}
END_TEST

/* 2 left 1 where a recovery to 360 stopped. */
START_TEST(T2_a_moment_in_front_of_the_one_that_made_the_fork_is_no_matter)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target target = {.kind = TARGET_TIME, .time = SEC(350), .timeline = {2}};
    struct target_plan plan;

    for (size_t i = 0; i < self->map.history_count; i++)
        self->map.histories[i]->entries[0].stopped = SEC(360);
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_uint_eq(plan.rival.id, 0);
    target.time = SEC(360);
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_uint_eq(plan.rival.id, 1);
}
END_TEST

static const struct
{
    struct target target;
    uint32_t elsewhere;
    const char *hint;
} astray[] = {
    {{.kind = TARGET_TIME, .time = SEC(500)}, 2, "timeline 2 reaches it: --target-timeline 2"},
    {{.kind = TARGET_LSN, .lsn = {48 * SIZE}}, 2, "timeline 2 reaches it: --target-timeline 2"},
    {{.kind = TARGET_TIME, .time = SEC(510)}, 0, "cpam-repo check"},
    {{.kind = TARGET_TIME, .time = SEC(500), .timeline = {3}}, 0, "cpam-repo check"},
    {{.kind = TARGET_TIME, .time = SEC(60)}, 0, ""},
};

START_TEST(T1_timeline_that_reaches_what_the_latest_does_not)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;

    ck_fails(target_select(&self->map, &astray[_i].target, &plan, &err), CPAM_UNREACHABLE,
             "can't be reached on timeline 3", &err);
    ck_assert_uint_eq(plan.elsewhere.id, astray[_i].elsewhere);
    ck_assert_msg(strstr(err.hint, astray[_i].hint) != NULL, "%s", err.hint);
    ck_assert_ptr_null(plan.backup);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/target_rival");
    TCase *tcase = tcase_create("target_rival");

    tcase_add_loop_test(tcase, T2_wal_of_another_timeline_that_may_be_meant_is_told, 0,
                        ROWS(rivals));
    tcase_add_test(tcase, T2_a_moment_in_front_of_the_one_that_made_the_fork_is_no_matter);
    tcase_add_test(tcase, T2_a_timeline_without_its_history_may_be_meant);
    tcase_add_loop_test(tcase, T1_timeline_that_reaches_what_the_latest_does_not, 0, ROWS(astray));
    suite_add_tcase(suite, tcase);
    return suite;
}
