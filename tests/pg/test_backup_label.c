/*
 * test_backup_label.c - the label PostgreSQL 15 wrote, what a forged one may not do, and
 * tablespace_map in both directions.
 */
#include "suite.h"

#include <stdio.h>

#include "base/scope.h"
#include "pg/backup_label.h"

#define START      "START WAL LOCATION: 0/900028 (file 000000010000000000000009)\n"
#define CHECKPOINT "CHECKPOINT LOCATION: 0/900060\n"
#define MIDDLE                                                                                     \
    "BACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-23 16:03:49 UTC\nLABEL: x\n"
#define TIMELINE "START TIMELINE: 1\n"

START_TEST(label_is_read)
{
    struct cpam_err err;
    struct backup_label label;
    static const char text[] = START CHECKPOINT MIDDLE TIMELINE;

    ck_ok(backup_label_parse(text, strlen(text), &label, &err), &err);
    ck_assert_uint_eq(label.start.at, 0x900028);
    ck_assert_uint_eq(label.checkpoint.at, 0x900060);
    ck_assert_uint_eq(label.timeline.id, 1);
    ck_assert_str_eq(label.segment, "000000010000000000000009");
    ck_assert(!label.from_standby);
    static const char standby[] = START CHECKPOINT "BACKUP FROM: standby\n" TIMELINE;
    ck_ok(backup_label_parse(standby, strlen(standby), &label, &err), &err);
    ck_assert(label.from_standby);
}
END_TEST

static const struct
{
    const char *text;
    const char *why;
} refused[] = {
    {"", "no line START WAL LOCATION"},
    {CHECKPOINT MIDDLE TIMELINE, "no line START WAL LOCATION"},
    {START MIDDLE TIMELINE, "no line CHECKPOINT LOCATION"},
    {START CHECKPOINT MIDDLE, "no line START TIMELINE"},
    {START CHECKPOINT "LABEL: a\nSTART TIMELINE: 9\n" TIMELINE, "two lines \"START TIMELINE: \""},
    {START START CHECKPOINT TIMELINE, "two lines"},
    {"START WAL LOCATION: 0/900028\n" CHECKPOINT TIMELINE, "is not \"LSN (file segment)\""},
    {"START WAL LOCATION: 0/900028 (file 00000001)\n" CHECKPOINT TIMELINE, "is not \"LSN (file"},
    {"START WAL LOCATION: 0/900028 (file 00000001000000000000000g)\n" CHECKPOINT TIMELINE,
     "is not a WAL segment name"},
    {"START WAL LOCATION: x (file 000000010000000000000009)\n" CHECKPOINT TIMELINE, "not an LSN"},
    {START "CHECKPOINT LOCATION: 9\n" TIMELINE, "is not an LSN"},
    {START CHECKPOINT "START TIMELINE: one\n", "is not a number"},
    {START CHECKPOINT "START TIMELINE: 0\n", "is not a timeline"},
    {START CHECKPOINT "START TIMELINE: 4294967296\n", "is not a timeline"},
};

START_TEST(label_is_refused)
{
    struct cpam_err err;
    struct backup_label label;

    ck_fails(backup_label_parse(refused[_i].text, strlen(refused[_i].text), &label, &err),
             CPAM_INVALID, refused[_i].why, &err);
}
END_TEST

struct seen
{
    int count;
    char oid[2][16], path[2][64];
};

static enum cpam_status
see(void *arg, const char *oid, const char *path, struct cpam_err *err)
{
    struct seen *seen = arg;

    (void) err;
    if (seen->count < 2)
    {
        snprintf(seen->oid[seen->count], sizeof(seen->oid[0]), "%s", oid);
        snprintf(seen->path[seen->count], sizeof(seen->path[0]), "%s", path);
    }
    seen->count++;
    return CPAM_OK;
}

START_TEST(map_goes_both_ways)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct seen seen = {0};

    ck_ok(tablespace_map_line(&text, "16384", "/srv/a b", &err), &err);
    ck_ok(tablespace_map_line(&text, "16385", "/srv/\\odd\nname", &err), &err);
    ck_assert_str_eq(cpam_buf_text(&text), "16384 /srv/a b\n16385 /srv/\\\\odd\\\nname\n");
    ck_ok(tablespace_map_parse((char *) text.data, text.size, see, &seen, &err), &err);
    ck_assert_int_eq(seen.count, 2);
    ck_assert_str_eq(seen.oid[0], "16384");
    ck_assert_str_eq(seen.path[0], "/srv/a b");
    ck_assert_str_eq(seen.oid[1], "16385");
    ck_assert_str_eq(seen.path[1], "/srv/\\odd\nname");
}
END_TEST

static const char *const bad_maps[] = {"16384\n",   "16384 \n", " /a\n",      "x /a\n",
                                       "16384/a\n", "16384 /a", "16384 /a\\", "12345678901 /a\n"};

START_TEST(map_is_refused)
{
    struct cpam_err err;
    struct seen seen = {0};

    ck_fails(tablespace_map_parse(bad_maps[_i], strlen(bad_maps[_i]), see, &seen, &err),
             CPAM_INVALID, "tablespace_map: ", &err);
}
END_TEST

#define ROWS(table) ((int) (sizeof(table) / sizeof((table)[0])))

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/backup_label");
    TCase *tcase = tcase_create("backup_label");

    tcase_add_test(tcase, label_is_read);
    tcase_add_loop_test(tcase, label_is_refused, 0, ROWS(refused));
    tcase_add_test(tcase, map_goes_both_ways);
    tcase_add_loop_test(tcase, map_is_refused, 0, ROWS(bad_maps));
    suite_add_tcase(suite, tcase);
    return suite;
}
