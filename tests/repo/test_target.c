/*
 * test_target.c - which backup and WAL a target needs, and what is refused (T1, T2, traps 10, 11,
 * 19).
 */
#include "target_picture.h"

static const struct
{
    const char *what;
    struct target target;
    const char *backup;
    uint32_t timeline;
    const char *first, *last; /* segments */
    bool unchecked;
} chosen[] = {
    {"latest follows the newest timeline",
     {.kind = TARGET_LATEST},
     "b40",
     3,
     "000000020000000000000028",
     "00000003000000000000002F",
     false},
    {"latest of timeline 1 needs no fork",
     {.kind = TARGET_LATEST, .timeline = {1}},
     "b20",
     1,
     "000000010000000000000014",
     "000000010000000000000027",
     false},
    {"latest of timeline 2",
     {.kind = TARGET_LATEST, .timeline = {2}},
     "b40",
     2,
     "000000020000000000000028",
     "000000020000000000000032",
     false},
    {"latest from an older backup",
     {.kind = TARGET_LATEST, .backup = "b10"},
     "b10",
     3,
     "000000010000000000000005",
     "00000003000000000000002F",
     false},
    {"a backup alone",
     {.kind = TARGET_BACKUP, .backup = "b20"},
     "b20",
     1,
     "000000010000000000000014",
     "000000010000000000000015",
     false},
    {"a backup alone is on its own timeline",
     {.kind = TARGET_BACKUP, .backup = "b40"},
     "b40",
     2,
     "000000020000000000000028",
     "000000020000000000000029",
     false},
    {"immediate takes the newest",
     {.kind = TARGET_IMMEDIATE},
     "b40",
     2,
     "000000020000000000000028",
     "000000020000000000000029",
     false},
    {"immediate on timeline 1",
     {.kind = TARGET_IMMEDIATE, .timeline = {1}},
     "b20",
     1,
     "000000010000000000000014",
     "000000010000000000000015",
     false},
    {"LSN before the fork",
     {.kind = TARGET_LSN, .lsn = {29 * SIZE}},
     "b20",
     3,
     "000000010000000000000014",
     "00000001000000000000001D",
     false},
    {"LSN in the fork's segment, before the switch",
     {.kind = TARGET_LSN, .lsn = {30 * SIZE + 0xF0}},
     "b20",
     3,
     "000000010000000000000014",
     "00000002000000000000001E",
     false},
    {"LSN in the fork's segment, behind the switch",
     {.kind = TARGET_LSN, .lsn = {30 * SIZE + 0x100}},
     "b20",
     3,
     "000000010000000000000014",
     "00000002000000000000001E",
     false},
    {"LSN at the stop of a backup",
     {.kind = TARGET_LSN, .lsn = {21 * SIZE + 0x100}},
     "b20",
     3,
     "000000010000000000000014",
     "000000010000000000000015",
     false},
    {"LSN a byte before the stop of a backup",
     {.kind = TARGET_LSN, .lsn = {21 * SIZE + 0xFF}},
     "b10",
     3,
     "000000010000000000000005",
     "000000010000000000000015",
     false},
    {"LSN on timeline 1 past the fork of 2",
     {.kind = TARGET_LSN, .lsn = {39 * SIZE}, .timeline = {1}},
     "b20",
     1,
     "000000010000000000000014",
     "000000010000000000000027",
     false},
    {"LSN past the fork on the edge",
     {.kind = TARGET_LSN, .lsn = {45 * SIZE}},
     "b40",
     3,
     "000000020000000000000028",
     "00000003000000000000002D",
     false},
    {"time at the stop of a backup",
     {.kind = TARGET_TIME, .time = SEC(211)},
     "b20",
     3,
     "000000010000000000000014",
     "00000003000000000000002F",
     false},
    {"time a moment before it",
     {.kind = TARGET_TIME, .time = SEC(211) - 1},
     "b10",
     3,
     "000000010000000000000005",
     "00000003000000000000002F",
     false},
    {"time of the last segment's creation",
     {.kind = TARGET_TIME, .time = SEC(479)},
     "b40",
     3,
     "000000020000000000000028",
     "00000003000000000000002F",
     false},
    {"time on timeline 1",
     {.kind = TARGET_TIME, .time = SEC(399), .timeline = {1}},
     "b20",
     1,
     "000000010000000000000014",
     "000000010000000000000027",
     false},
    {"xid that ran at the end of the oldest",
     {.kind = TARGET_XID, .xid = 103},
     "b10",
     3,
     "000000010000000000000005",
     "00000003000000000000002F",
     true},
    {"xid that had not begun",
     {.kind = TARGET_XID, .xid = 105},
     "b10",
     3,
     "000000010000000000000005",
     "00000003000000000000002F",
     true},
    {"xid at the xmax of a newer one",
     {.kind = TARGET_XID, .xid = 200},
     "b20",
     3,
     "000000010000000000000014",
     "00000003000000000000002F",
     true},
    {"xid of 64 bits",
     {.kind = TARGET_XID, .xid = UINT64_C(0x100000001)},
     "b40",
     3,
     "000000020000000000000028",
     "00000003000000000000002F",
     true},
    {"restore point: the oldest backup",
     {.kind = TARGET_NAME, .name = "x"},
     "b10",
     3,
     "000000010000000000000005",
     "00000003000000000000002F",
     true},
    {"restore point from a named backup",
     {.kind = TARGET_NAME, .name = "x", .backup = "b20"},
     "b20",
     3,
     "000000010000000000000014",
     "00000003000000000000002F",
     true},
};

START_TEST(T1_backup_is_chosen_from_the_target)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;
    char name[SEGMENT_NAME_MAX];

    ck_ok(target_select(&self->map, &chosen[_i].target, &plan, &err), &err);
    ck_assert_msg(strcmp(plan.backup->label, chosen[_i].backup) == 0, "%s: took %s",
                  chosen[_i].what, plan.backup->label);
    ck_assert_msg(plan.timeline.id == chosen[_i].timeline, "%s: timeline %u", chosen[_i].what,
                  plan.timeline.id);
    segment_format(plan.first, (uint32_t) SIZE, name);
    ck_assert_str_eq(name, chosen[_i].first);
    segment_format(plan.last, (uint32_t) SIZE, name);
    ck_assert_msg(strcmp(name, chosen[_i].last) == 0, "%s: last %s", chosen[_i].what, name);
    ck_assert_int_eq(plan.unchecked_target, chosen[_i].unchecked);
    ck_assert_uint_eq(plan.segments, plan.last.number - plan.first.number + 1);
}
END_TEST

static const struct
{
    struct target target;
    enum cpam_status status;
    const char *why, *also;
} refused[] = {
    /* never silently another one: the sentence has the earliest and the latest */
    {{.kind = TARGET_TIME, .time = SEC(60)},
     CPAM_UNREACHABLE,
     "no usable backup ended before it",
     "from 1970-01-01T00:01:01Z (backup b10) to 1970-01-01T00:07:59Z"},
    {{.kind = TARGET_TIME, .time = SEC(479) + 1},
     CPAM_UNREACHABLE,
     "the archive ends before WAL segment 000000030000000000000030",
     "to 1970-01-01T00:07:59Z"},
    {{.kind = TARGET_TIME, .time = SEC(400), .timeline = {1}},
     CPAM_UNREACHABLE,
     "the archive ends before WAL segment 000000010000000000000028",
     "on timeline 1"},
    {{.kind = TARGET_TIME, .time = SEC(211) - 1, .backup = "b20"},
     CPAM_UNREACHABLE,
     "no usable backup ended before it",
     "(backup b20)"},
    {{.kind = TARGET_LSN, .lsn = {6 * SIZE}},
     CPAM_UNREACHABLE,
     "LSN 0/6000000 can't be reached",
     "from 0/6000100 (backup b10) to 0/30000000"},
    {{.kind = TARGET_LSN, .lsn = {48 * SIZE}},
     CPAM_UNREACHABLE,
     "WAL segment 000000030000000000000030 is not in the archive",
     "to 0/30000000"},
    /* trap 11: a backup that ended behind the fork is of no use for the child */
    {{.kind = TARGET_LATEST, .backup = "b40", .timeline = {1}},
     CPAM_UNREACHABLE,
     "no backup can be used on the way to timeline 1",
     "or, before the fork"},
    {{.kind = TARGET_XID, .xid = 99}, CPAM_UNREACHABLE, "it had finished before", "(backup b10)"},
    {{.kind = TARGET_XID, .xid = 102}, CPAM_UNREACHABLE, "it had finished before", ""},
    {{.kind = TARGET_XID, .xid = 199, .backup = "b20"}, CPAM_UNREACHABLE, "it had finished", ""},
    {{.kind = TARGET_LATEST, .timeline = {4}},
     CPAM_UNREACHABLE,
     "the archive does not hold 00000004.history",
     "timeline 4 can't be reached"},
    {{.kind = TARGET_BACKUP, .backup = "nope"}, CPAM_NOT_FOUND, "no backup \"nope\"", ""},
};

START_TEST(T1_unreachable_target_is_refused)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;

    ck_fails(target_select(&self->map, &refused[_i].target, &plan, &err), refused[_i].status,
             refused[_i].why, &err);
    ck_assert_msg(strstr(err.text, refused[_i].also) != NULL, "%s", err.text);
}
END_TEST

START_TEST(T1_trap11_backup_behind_the_fork)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;
    struct target target = {.kind = TARGET_LATEST, .timeline = {2}};

    self->backups[1] = backup("b29", 1, 29, 30, ""); /* ends at the very switch point */
    self->map.backup_count = 2;
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_str_eq(plan.backup->label, "b29");
    self->backups[1].stop.at++; /* a byte behind it */
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_str_eq(plan.backup->label, "b10");
}
END_TEST

START_TEST(T2_hole_is_named)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;

    /* segment 25 of timeline 1 is missing */
    self->map.backup_count = 2;
    self->runs[3] = self->runs[2];
    self->runs[2] = self->runs[1];
    self->runs[0] = run(1, 2, 24);
    self->runs[1] = run(1, 26, 39);
    self->map.run_count = 4;
    struct target target = {.kind = TARGET_LATEST};
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "WAL segment 000000010000000000000019 is missing from the archive though later ones "
             "are there",
             &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "--accept-end"));
    target.accept_end = true;
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert(plan.hole);
    ck_assert_uint_eq(plan.last.number, 24);
    ck_assert_int_eq(plan.latest_reachable, SEC(249));
    target = (struct target){.kind = TARGET_TIME, .time = SEC(260)};
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "the archive has a hole at WAL segment 000000010000000000000019", &err);
    target.time = SEC(249);
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    target = (struct target){.kind = TARGET_LSN, .lsn = AT(26)};
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "WAL segment 000000010000000000000019 is not in the archive", &err);
    target.lsn = IN(24);
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    target = (struct target){.kind = TARGET_NAME, .name = "x"};
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "there is a hole in the WAL behind every backup", &err);
    /* a backup that lost its own WAL is no backup: the one before it is taken */
    self->runs[0] = run(1, 2, 20);
    self->runs[1] = run(1, 22, 39);
    target = (struct target){.kind = TARGET_LSN, .lsn = AT(20)};
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_str_eq(plan.backup->label, "b10");
    target = (struct target){.kind = TARGET_BACKUP, .backup = "b20"};
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "WAL segment 000000010000000000000015, which backup b20 needs, is not in the archive",
             &err);
}
END_TEST

START_TEST(T2_fork_segment_of_the_ancestor_is_not_taken_past_the_fork)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;
    struct target target = {.kind = TARGET_LATEST, .timeline = {2}};

    /* just promoted: the history is archived, no segment of timeline 2 yet; 1 went on.  PostgreSQL
       would replay 1's segment 30 and all behind it, and call that timeline 2. */
    self->map.backup_count = 2;
    self->runs[0] = run(1, 2, 29);
    self->runs[1] = run(1, 30, 39);
    self->map.run_count = 2;
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "WAL segment 00000002000000000000001E is not in the archive, and recovery would take "
             "an older timeline's instead",
             &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "--target-timeline"));
    target.accept_end = true;
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert(plan.hole && plan.overrun);
    ck_assert_uint_eq(plan.last.number, 29);
    ck_assert_uint_eq(plan.missing.number, 30);
    ck_assert_int_eq(plan.latest_reachable, SEC(299));
    ck_assert_uint_eq(plan.rival.id, 1);
    ck_assert_int_eq(plan.rival_created, SEC(399));
    /* what lies in front of that segment can be reached all the same */
    target = (struct target){.kind = TARGET_TIME, .time = SEC(299), .timeline = {2}};
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert(plan.overrun);
    target.time++;
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "the archive has a hole at WAL segment 00000002000000000000001E", &err);
    target = (struct target){.kind = TARGET_LSN, .lsn = {30 * SIZE + 0xFF}, .timeline = {2}};
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert(!plan.overrun);
    target.lsn.at++;
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "WAL segment 00000002000000000000001E is not in the archive", &err);
    /* the same where the fork is the edge of a segment */
    history_free(self->histories[0]);
    self->histories[0] = history(2, "1\t0/1E000000\tx\n");
    target = (struct target){.kind = TARGET_LATEST, .timeline = {2}};
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "recovery would take an older timeline's instead", &err);
    /* 1 ended in front of the fork: nothing can be taken for what is missing */
    self->map.run_count = 1;
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert(!plan.hole);
    ck_assert_uint_eq(plan.last.number, 29);
}
END_TEST

START_TEST(T2_fork_segment_of_the_child_will_do)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;
    struct target target = {.kind = TARGET_LATEST, .timeline = {2}};

    self->map.backup_count = 2;
    self->runs[0] = run(1, 2, 29);
    self->runs[1] = run(2, 30, 31);
    self->map.run_count = 2;
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_uint_eq(plan.last.number, 31);
    ck_assert_uint_eq(plan.rival.id, 0);
    /* behind the end of 2, 1 is not looked at any more, however far it went on */
    self->runs[0] = run(1, 2, 39);
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_uint_eq(plan.last.number, 31);
    ck_assert(!plan.hole);
}
END_TEST

START_TEST(T2_later_wal_of_another_timeline_is_told)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;
    struct target target = {.kind = TARGET_LATEST};

    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_uint_eq(plan.rival.id, 2); /* it went on to 50 while 3 ended at 47 */
    ck_assert_int_eq(plan.rival_created, SEC(509));
}
END_TEST

START_TEST(T1_nothing_to_restore_from)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;
    struct target target = {.kind = TARGET_LATEST};

    self->map.sysid = 78;
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "no backup can be used", &err);
    self->map.backup_count = 0;
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "the repository holds no backup", &err);
    self->map.history_count = 1;
    ck_fails(target_select(&self->map, &target, &plan, &err), CPAM_UNREACHABLE,
             "the archive does not hold 00000003.history", &err);
}
END_TEST

START_TEST(T1_xids_go_round)
{
    struct cpam_err err;
    CPAM_AUTO(picture_free) struct picture *self = picture_new();
    struct target_plan plan;
    struct target target = {.kind = TARGET_XID, .xid = 5};

    self->backups[0] = backup("old", 1, 5, 6, "4294967290:4294967295:");
    self->backups[1] = backup("new", 1, 20, 21, "4294967300:4294967300:");
    self->map.backup_count = 2;
    ck_ok(target_select(&self->map, &target, &plan, &err), &err); /* 5 means 2^32 + 5 */
    ck_assert_str_eq(plan.backup->label, "new");
    target.xid = UINT32_MAX; /* finished before the newer one ended */
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_str_eq(plan.backup->label, "old");
    /* a backup that can't tell is taken only when it is named */
    self->backups[1].snapshot[0] = '\0';
    target.xid = 5;
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_str_eq(plan.backup->label, "old");
    target.backup = "new";
    ck_ok(target_select(&self->map, &target, &plan, &err), &err);
    ck_assert_str_eq(plan.backup->label, "new");
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/target");
    TCase *tcase = tcase_create("target");

    tcase_add_loop_test(tcase, T1_backup_is_chosen_from_the_target, 0, ROWS(chosen));
    tcase_add_loop_test(tcase, T1_unreachable_target_is_refused, 0, ROWS(refused));
    tcase_add_test(tcase, T1_trap11_backup_behind_the_fork);
    tcase_add_test(tcase, T2_hole_is_named);
    tcase_add_test(tcase, T2_fork_segment_of_the_ancestor_is_not_taken_past_the_fork);
    tcase_add_test(tcase, T2_fork_segment_of_the_child_will_do);
    tcase_add_test(tcase, T2_later_wal_of_another_timeline_is_told);
    tcase_add_test(tcase, T1_nothing_to_restore_from);
    tcase_add_test(tcase, T1_xids_go_round);
    suite_add_tcase(suite, tcase);
    return suite;
}
