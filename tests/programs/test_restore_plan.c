/*
 * test_restore_plan.c - what a person is told: the plan (T12), and the commands that follow (trap
 * 18, 33).
 */
#include "suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scope.h"
#include "restore_next.h"
#include "restore_plan.h"

struct told
{
    struct backup_summary backup;
    struct target target;
    struct target_plan plan;
    struct recovery_settings settings;
    struct restore_survey survey;
    struct restore_places *places;
};

static void
begin(struct told *self, const char *data)
{
    struct cpam_err err;
    struct option_list maps = {.count = 1, .items = {"/old/space=/new/space"}};

    memset(self, 0, sizeof(*self));
    snprintf(self->backup.label, sizeof(self->backup.label), "cpam_backup_20261123_160349");
    self->backup.timeline.id = 1;
    self->backup.stop_time = INT64_C(1795449829000000);
    self->backup.segment_size = 16 << 20;
    self->backup.sysid = UINT64_C(7711398296912974126);
    self->target = (struct target){.kind = TARGET_TIME, .time = INT64_C(1795449900000000)};
    self->plan = (struct target_plan){.backup = &self->backup,
                                      .timeline = {2},
                                      .first = {{1}, 9},
                                      .last = {{2}, 12},
                                      .segments = 4,
                                      .latest_reachable = INT64_C(1795450000000000)};
    self->settings = (struct recovery_settings){
        .target = &self->target, .action = "pause", .major = 15, .timeline = {2}};
    self->survey = (struct restore_survey){
        .files = 970, .bytes = 24 << 20, .stored = 3 << 20, .pack_count = 2};
    ck_ok(restore_places_new(io_posix(), data, &self->places, &err), &err);
    ck_ok(restore_places_add(self->places, "pg_tblspc/16384", "/old/space", &maps, &err), &err);
}

static void
text_of(const struct told *self, bool dry_run, bool json, struct cpam_buf *out)
{
    struct restore_plan plan = {.repo_name = "primary",
                                .target = &self->plan,
                                .settings = &self->settings,
                                .places = self->places,
                                .survey = &self->survey,
                                .dry_run = dry_run};
    struct cpam_err err;

    out->size = 0;
    ck_ok(json ? restore_plan_json(&plan, out, &err) : restore_plan_text(&plan, out, &err), &err);
}

static void
says(struct cpam_buf *text, const char *words)
{
    ck_assert_msg(strstr(cpam_buf_text(text), words) != NULL, "\"%s\" is not in\n%s", words,
                  cpam_buf_text(text));
}

START_TEST(T12_plan_says_what_and_where)
{
    static struct told told;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    begin(&told, "/srv/data");
    text_of(&told, false, false, &text);
    says(&text, "backup         cpam_backup_20261123_160349 of repository \"primary\", ended "
                "2026-11-23T16:03:49Z on timeline 1\n");
    says(&text, "content        970 files, 24 MiB; 3 MiB to fetch in 2 packs\n");
    says(&text, "target         2026-11-23T16:05:00Z, inclusive; then pause\n");
    says(&text, "timeline       2\n");
    says(&text, "WAL            4 segments of 16 MiB, 000000010000000000000009 to "
                "00000002000000000000000C; nothing in them is later than 2026-11-23T16:06:40Z\n");
    says(&text, "restore to     /srv/data: ");
    says(&text, "pg_tblspc/16384 /new/space (was /old/space): ");
    says(&text, "not checked    whether a transaction ended after that moment");
    /* up to an LSN no object's time is known */
    told.target = (struct target){.kind = TARGET_LSN, .lsn = {0x16000000}};
    text_of(&told, false, false, &text);
    says(&text, "to 00000002000000000000000C\n");
    says(&text, "not checked    whether WAL was written up to that LSN");
    restore_places_free(told.places);
}
END_TEST

START_TEST(T2_hole_and_rival_are_said)
{
    static struct told told;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    begin(&told, "/srv/data");
    told.plan.hole = true;
    told.plan.missing = (struct segment){{2}, 13};
    told.plan.rival.id = 1;
    told.plan.rival_created = INT64_C(1795460000000000);
    text_of(&told, false, false, &text);
    says(&text, "hole           segment 00000002000000000000000D is missing");
    says(&text, "recovery can't go past it");
    says(&text,
         "attention      timeline 1 has WAL up to 2026-11-23T18:53:20Z, and what you look for "
         "may be there, off this way; --target-timeline 1 takes it\n");
    told.settings.end_before = "000000000000000D";
    text_of(&told, false, false, &text);
    says(&text, "ends in front of it, as you accepted");
    told.plan.overrun = true;
    text_of(&told, false, false, &text);
    says(&text, "is missing though an older timeline has its own: recovery ends in front of it\n");
    restore_places_free(told.places);
}
END_TEST

static const struct
{
    struct target target;
    const char *text;
} targets[] = {
    {{.kind = TARGET_LATEST}, "the end of the archive"},
    {{.kind = TARGET_BACKUP}, "the state of that backup"},
    {{.kind = TARGET_IMMEDIATE}, "as soon as the backup is consistent"},
    {{.kind = TARGET_NAME, .name = "x y"}, "restore point \"x y\""},
    {{.kind = TARGET_XID, .xid = 5, .exclusive = true}, "transaction 5, just before it"},
    {{.kind = TARGET_LSN, .lsn = {0x16}}, "LSN 0/16, inclusive"},
};

START_TEST(T12_target_in_words)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct cpam_err err;

    ck_ok(restore_target_text(&targets[_i].target, &text, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&text), targets[_i].text);
}
END_TEST

START_TEST(T12_plan_as_json)
{
    static struct told told;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    begin(&told, "/srv/data");
    text_of(&told, true, true, &text);
    says(&text, "\"schema\": 1");
    says(&text, "\"system_identifier\": \"7711398296912974126\"");
    says(&text, "\"kind\": \"time\"");
    says(&text, "\"time\": \"2026-11-23T16:05:00Z\"");
    says(&text, "\"path\": \"/new/space\"");
    says(&text, "\"dry_run\": true");
    restore_places_free(told.places);
}
END_TEST

static char folder[] = "/tmp/cpam-next-XXXXXX";

static void
file_of(const char *name, const char *content)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(content, out);
    fclose(out);
}

static bool
next_of(const struct recovery_settings *settings, bool has_config, const char *config_file,
        struct cpam_buf *out)
{
    static struct restore_tally tally;
    struct restore_next next = {.io = io_posix(),
                                .tally = &tally,
                                .data = folder,
                                .has_config = has_config,
                                .config_file = config_file,
                                .settings = settings};
    struct cpam_err err;
    bool attention = false;

    out->size = 0;
    ck_ok(restore_next_text(&next, out, &attention, &err), &err);
    return attention;
}

static void
folder_end(void)
{
    static const char *const names[] = {"postgresql.conf", "postgresql.auto.conf",
                                        "elsewhere.conf"};
    char path[256];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

START_TEST(T5_trap33_next_commands)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct recovery_settings settings = {.action = "pause", .major = 99};
    char line[256];

    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert(!next_of(&settings, true, NULL, &text));
    snprintf(line, sizeof(line),
             "start          pg_ctl -D %s -w -l %s/restored.log -o '-c "
             "port=15432 -c external_pid_file=%s/restored.pid' start\n",
             folder, folder, folder);
    says(&text, line);
    says(&text, "open           psql -p 15432 -c 'select pg_wal_replay_resume()'\n");
    says(&text, "a query that waits"); /* on the lock of a DROP that is not committed yet */
    snprintf(line, sizeof(line), "cpam-repo claim %s\n", folder);
    says(&text, line);
    /* where the server could not pause, a person has to know */
    file_of("postgresql.conf", "hot_standby = off\n");
    ck_assert(next_of(&settings, true, NULL, &text));
    says(&text, "hot_standby is off");
    file_of("postgresql.auto.conf", "hot_standby = 'on'\n");
    ck_assert(!next_of(&settings, true, NULL, &text));
    settings.action = "promote";
    settings.recover = true;
    ck_assert(!next_of(&settings, true, NULL, &text));
    says(&text, "it opens by itself");
    says(&text, "it archives as soon as it is open");
    settings.recover = false;
    settings.action = "shutdown";
    ck_assert(!next_of(&settings, true, NULL, &text));
    says(&text, "remove recovery.signal");
    settings.standby = true;
    ck_assert(!next_of(&settings, true, NULL, &text));
    says(&text, "primary_conninfo");
    folder_end();
}
END_TEST

START_TEST(trap18_configuration_elsewhere)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct recovery_settings settings = {.action = "promote", .major = 99};
    char config[256];
    char line[600];

    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert(next_of(&settings, false, NULL, &text));
    says(&text, "none at /etc/postgresql/99/main/postgresql.conf");
    snprintf(config, sizeof(config), "%s/elsewhere.conf", folder);
    file_of("elsewhere.conf", "data_directory = '/production'\n");
    ck_assert(!next_of(&settings, false, config, &text)); /* it is there: nobody has to look */
    snprintf(line, sizeof(line),
             "start          pg_ctl -D %s -w -l %s/restored.log -o '-c config_file=%s -c "
             "data_directory=%s -c port=15432 -c external_pid_file=%s/restored.pid' start\n",
             folder, folder, config, folder, folder);
    says(&text, line);
    says(&text, "watch          psql -p 15432 -c ");
    /* in place: the port is the configuration's own, unless it is what psql takes anyway */
    snprintf(line, sizeof(line), "data_directory = '%s'\nport = 5433\n", folder);
    file_of("elsewhere.conf", line);
    ck_assert(!next_of(&settings, false, config, &text));
    says(&text, "watch          psql -p 5433 -c ");
    ck_assert_ptr_null(strstr(cpam_buf_text(&text), "-c port="));
    snprintf(line, sizeof(line), "data_directory = '%s'\nport = 5432\n", folder);
    file_of("elsewhere.conf", line);
    ck_assert(!next_of(&settings, false, config, &text));
    says(&text, "watch          psql -c ");
    folder_end();
}
END_TEST

START_TEST(B13_trap18_the_backup_holds_what_is_missing)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct recovery_settings settings = {.action = "promote", .major = 99};
    struct restore_next next = {.io = io_posix(),
                                .data = "/nowhere/data",
                                .config_file = "/nowhere/postgresql.conf",
                                .backup = "cpam_1",
                                .settings = &settings};
    struct cpam_err err;
    bool attention = false;

    ck_ok(restore_next_text(&next, &text, &attention, &err), &err);
    ck_assert(attention);
    says(&text, "cpam-base-fetch --config-files /nowhere/data.config --backup cpam_1\n");
    says(&text, "-c config_file=/nowhere/postgresql.conf -c data_directory=/nowhere/data");
}
END_TEST

START_TEST(root_is_told_to_become_the_owner)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct recovery_settings settings = {.action = "pause", .major = 99};
    static struct restore_tally tally;
    struct restore_next next = {.io = io_posix(),
                                .tally = &tally,
                                .data = "/nowhere",
                                .has_config = true,
                                .in_place = true,
                                .user = "postgres",
                                .settings = &settings};
    struct cpam_err err;
    bool attention = false;

    ck_ok(restore_next_text(&next, &text, &attention, &err), &err);
    says(&text, "start          sudo -u postgres pg_ctl -D /nowhere ");
    says(&text, "watch          sudo -u postgres psql -c ");
    says(&text, "open           sudo -u postgres psql -c ");
}
END_TEST

START_TEST(T5_lines_are_typed_as_they_are)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct recovery_settings settings = {.action = "pause", .major = 99};
    static struct restore_tally tally;
    char data[256], command[600];
    struct restore_next next = {.io = io_posix(),
                                .tally = &tally,
                                .data = data,
                                .has_config = true,
                                .in_place = true,
                                .settings = &settings};
    struct cpam_err err;
    bool attention = false;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(data, sizeof(data), "%s/it's 100%% mine", folder);
    ck_assert_int_eq(mkdir(data, 0700), 0);
    snprintf(command, sizeof(command), "%s/postgresql.conf", data);
    FILE *out = fopen(command, "w");
    ck_assert_ptr_nonnull(out);
    fputs("unix_socket_directories = '/run/my sockets, /tmp'\nport = 5433\n", out);
    fclose(out);
    ck_ok(restore_next_text(&next, &text, &attention, &err), &err);
    says(&text, "psql -h '/run/my sockets' -p 5433 -c ");
    snprintf(command, sizeof(command), " -D '%s/it'\\''s 100%% mine' -w ", folder);
    says(&text, command);
    snprintf(command, sizeof(command), "claim '%s/it'\\''s 100%% mine'\n", folder);
    says(&text, command);
    ck_assert_ptr_null(strstr(cpam_buf_text(&text), " -o "));
    /* what -o says goes through two shells */
    text.size = 0;
    next.in_place = false;
    ck_ok(restore_next_text(&next, &text, &attention, &err), &err);
    const char *options = strstr(cpam_buf_text(&text), " -o ");
    ck_assert_ptr_nonnull(options);
    snprintf(command, sizeof(command),
             "set -- %.*s; eval \"set -- $2\"; test \"$4\" = 'external_pid_file=%s/it'\\''s 100%% "
             "mine/restored.pid'",
             (int) (strstr(options, " start\n") - options), options, folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof(command), "%s/postgresql.conf", data);
    unlink(command);
    rmdir(data);
    folder_end();
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("restore/restore_plan");
    TCase *tcase = tcase_create("restore_plan");

    tcase_add_test(tcase, T12_plan_says_what_and_where);
    tcase_add_test(tcase, T2_hole_and_rival_are_said);
    tcase_add_loop_test(tcase, T12_target_in_words, 0,
                        (int) (sizeof(targets) / sizeof(targets[0])));
    tcase_add_test(tcase, T12_plan_as_json);
    tcase_add_test(tcase, T5_trap33_next_commands);
    tcase_add_test(tcase, trap18_configuration_elsewhere);
    tcase_add_test(tcase, B13_trap18_the_backup_holds_what_is_missing);
    tcase_add_test(tcase, root_is_told_to_become_the_owner);
    tcase_add_test(tcase, T5_lines_are_typed_as_they_are);
    suite_add_tcase(suite, tcase);
    return suite;
}
