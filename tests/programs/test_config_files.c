/*
 * test_config_files.c - the configuration of a backup written out, and nowhere else (B13).
 */
#include "repo/repo_fixture.h"

#include <stdio.h>
#include <sys/stat.h>

#include "config_files.h"

static struct repo_fixture self;
static struct cpam_err err;
static struct backup_list list;
static char target[128];

static void
begin(void)
{
    repo_fixture_begin(&self, false);
    snprintf(target, sizeof(target), "%s/out", fixture_dir);
}

/* A backup with these settings and nothing else, listed as the newest. */
static void
backup(const char *label, const struct manifest_setting *settings, size_t count)
{
    static struct backup_summary summaries[4];
    struct backup_summary *summary = &summaries[list.count];
    CPAM_AUTO(manifest_writer_free) struct manifest_writer *writer = NULL;

    *summary = (struct backup_summary){.sysid = REPO_SYSID, .kind = "full", .major = 15};
    snprintf(summary->label, sizeof(summary->label), "%s", label);
    snprintf(summary->epoch, sizeof(summary->epoch), "%s", label);
    summary->timeline.id = 1;
    summary->segment_size = 1 << 20;
    ck_ok(manifest_writer_new(self.repo, summary, settings, count, &writer, &err), &err);
    ck_ok(manifest_writer_finish(writer, summary, &err), &err);
    list.items = summaries;
    list.count++;
}

/* What is printed lies in fixture_dir/said. */
static enum cpam_status
fetch(const char *label, bool dry_run, bool json)
{
    char said[128];

    snprintf(said, sizeof(said), "%s/said", fixture_dir);
    ck_assert_ptr_nonnull(freopen(said, "w", stdout));
    struct config_files_request request = {.io = io_posix(),
                                           .repo = self.repo,
                                           .backups = &list,
                                           .label = label,
                                           .directory = target,
                                           .dry_run = dry_run,
                                           .json = json};

    return config_files_fetch(&request, &err);
}

static void
said(const char *words)
{
    char path[128], got[4096] = "";

    fflush(stdout);
    snprintf(path, sizeof(path), "%s/said", fixture_dir);
    FILE *in = fopen(path, "rb");
    ck_assert_ptr_nonnull(in);
    got[fread(got, 1, sizeof(got) - 1, in)] = '\0';
    fclose(in);
    ck_assert_msg(strstr(got, words) != NULL, "\"%s\" is not in: %s", words, got);
}

static void
holds(const char *path, const char *text, unsigned mode)
{
    char full[512], got[256] = "";
    struct stat about;

    snprintf(full, sizeof(full), "%s%s", target, path);
    ck_assert_msg(stat(full, &about) == 0, "%s is not there", full);
    ck_assert_uint_eq(about.st_mode & 07777, mode);
    FILE *in = fopen(full, "rb");
    ck_assert_ptr_nonnull(in);
    got[fread(got, 1, sizeof(got) - 1, in)] = '\0';
    fclose(in);
    ck_assert_str_eq(got, text);
}

START_TEST(B13_files_come_back_with_their_modes)
{
    static const struct manifest_setting old[] = {{"file:/etc/old.conf", "old"}};
    static const struct manifest_setting settings[] = {{"config_file", "/etc/pg/postgresql.conf"},
                                                       {"file:/etc/pg/postgresql.conf", "a=1\n"},
                                                       {"mode:/etc/pg/postgresql.conf", "0644"},
                                                       {"file:/etc/pg/pg_hba.conf", "secret"},
                                                       {"mode:/etc/pg/pg_hba.conf", "0407"},
                                                       {"file:/etc/no-mode", ""},
                                                       {"mode:/etc/other", "0777"},
                                                       {"port", "5432"}};
    struct stat about;

    begin();
    backup("old", old, 1);
    backup("new", settings, 8);
    ck_ok(fetch(NULL, true, false), &err);
    said("/out/etc/pg/pg_hba.conf (0600)\n");
    ck_assert_int_ne(stat(target, &about), 0); /* a dry run writes nothing */
    ck_ok(fetch(NULL, false, false), &err);
    said("begins at /etc/pg/postgresql.conf\n");
    holds("/etc/pg/postgresql.conf", "a=1\n", 0640);
    holds("/etc/pg/pg_hba.conf", "secret", 0600);
    holds("/etc/no-mode", "", 0600);
    ck_assert_int_eq(stat(target, &about), 0);
    ck_assert_uint_eq(about.st_mode & 07777, 0700);
    /* nothing is overwritten */
    ck_fails(fetch("old", false, false), CPAM_USAGE, "is not empty", &err);
    snprintf(target, sizeof(target), "%s/out2", fixture_dir);
    ck_assert_int_eq(mkdir(target, 0755), 0);
    ck_ok(fetch("old", false, true), &err);
    said("\"label\": \"old\"");
    holds("/etc/old.conf", "old", 0600);
    snprintf(target, sizeof(target), "%s/out3", fixture_dir);
    ck_fails(fetch("none", false, false), CPAM_UNREACHABLE, "holds no backup none", &err);
}
END_TEST

START_TEST(B13_a_backup_without_says_so)
{
    static const struct manifest_setting settings[] = {{"port", "5432"}};

    begin();
    ck_fails(fetch(NULL, false, false), CPAM_UNREACHABLE, "holds no backup", &err);
    backup("one", settings, 1);
    ck_fails(fetch(NULL, false, false), CPAM_UNREACHABLE, "holds no configuration files", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "data directory"));
}
END_TEST

static const char *const elsewhere[] = {"file:",           "file:/",     "file:relative",
                                        "file:/a/../../b", "file:/..",   "file:/a//b",
                                        "file:/a/./b",     "file:/a/b/", "file:../x"};

START_TEST(B13_nothing_is_written_outside_of_the_directory)
{
    const struct manifest_setting settings[] = {{"file:/fine", "x"}, {elsewhere[_i], "x"}};
    struct stat about;

    begin();
    backup("one", settings, 2);
    ck_fails(fetch(NULL, false, false), CPAM_CORRUPT, "no place for one", &err);
    ck_assert_int_ne(stat(target, &about), 0);
}
END_TEST

/* Nothing of a manifest that fails its checks is written. */
START_TEST(B13_an_altered_manifest_writes_nothing)
{
    static const struct manifest_setting settings[] = {{"file:/fine", "x"}};
    struct stat about;

    begin();
    backup("one", settings, 1);
    list.items[0].manifest_d[0] ^= 1;
    ck_assert_int_ne(fetch(NULL, false, false), CPAM_OK);
    ck_assert_int_ne(stat(target, &about), 0);
}
END_TEST

START_TEST(a_place_that_is_no_directory_is_refused)
{
    static const struct manifest_setting settings[] = {{"file:/fine", "x"}};

    begin();
    backup("one", settings, 1);
    snprintf(target, sizeof(target), "/dev/null");
    ck_fails(fetch(NULL, false, false), CPAM_USAGE, "could not look into", &err);
}
END_TEST

static void
clear(void)
{
    list = (struct backup_list){.count = 0};
    repo_fixture_end(&self);
}

Suite *
suite(void)
{
    Suite *suite = suite_create("restore/config_files");
    TCase *tcase = tcase_create("config_files");

    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_test(tcase, B13_files_come_back_with_their_modes);
    tcase_add_test(tcase, B13_a_backup_without_says_so);
    tcase_add_loop_test(tcase, B13_nothing_is_written_outside_of_the_directory, 0,
                        sizeof(elsewhere) / sizeof(elsewhere[0]));
    tcase_add_test(tcase, B13_an_altered_manifest_writes_nothing);
    tcase_add_test(tcase, a_place_that_is_no_directory_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
