/*
 * test_push_config.c - which configuration files go into a backup: those outside of the data directory,
 * with what they include, each once (B13).
 */
#include "suite.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "push_config.h"

static char root[64];
static struct cpam_err err;

static void
shell(const char *line)
{
    char command[4096];

    snprintf(command, sizeof(command), "cd %s && { %s; }", root, line);
    ck_assert_int_eq(system(command), 0);
}

static void
begin(void)
{
    snprintf(root, sizeof(root), "/tmp/cpam-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    shell("mkdir data etc etc/conf.d");
}

static void
end(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

/* The three main files, in this directory below root. */
static struct push_config *
read_from(const char *dir, unsigned major)
{
    static char paths[3][256];
    static const char *const names[3] = {"hba_file", "config_file", "ident_file"};
    static const char *const files[3] = {"pg_hba.conf", "postgresql.conf", "pg_ident.conf"};
    const char *values[8] = {"port", "5432"};
    struct pgrows rows = {.rows = 4, .columns = 2, .values = values};
    struct push_config *config = NULL;
    char data[128];

    for (int i = 0; i < 3; i++)
    {
        snprintf(paths[i], sizeof(paths[i]), "%s/%s/%s", root, dir, files[i]);
        values[2 * i + 2] = names[i];
        values[2 * i + 3] = paths[i];
    }
    snprintf(data, sizeof(data), "%s/data", root);
    ck_ok(push_config_read(io_posix(), data, major, &rows, &config, &err), &err);
    return config;
}

/* Its settings as one text, the paths without root. */
static const char *
told(const struct push_config *config)
{
    static struct manifest_setting settings[PUSH_CONFIG_SETTINGS_MAX];
    static char text[1 << 16];
    size_t count = push_config_settings(config, settings), size = strlen(root);

    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
    {
        const char *name = settings[i].name;
        size_t used = strlen(text);

        ck_assert(strncmp(name + 5, root, size) == 0);
        snprintf(text + used, sizeof(text) - used, "%.5s%s=%.40s;", name, name + 5 + size,
                 settings[i].value);
    }
    return text;
}

START_TEST(B13_files_and_their_includes_are_captured)
{
    begin();
    shell("printf \"include_dir 'conf.d'\\ninclude_if_exists 'none'\\ninclude '../more'\\n\" "
          "> etc/postgresql.conf; chmod 644 etc/postgresql.conf");
    shell("printf 'local @dbs all peer' > etc/pg_hba.conf; chmod 640 etc/pg_hba.conf; "
          "printf a,b > etc/dbs; chmod 600 etc/dbs; printf '' > etc/pg_ident.conf; "
          "chmod 640 etc/pg_ident.conf");
    shell(
        "printf b=1 > etc/conf.d/b.conf; printf a=1 > etc/conf.d/a.conf; "
        "printf x=1 > etc/conf.d/.c.conf; printf x=1 > etc/conf.d/d.bak; mkdir etc/conf.d/e.conf; "
        "printf \"include 'etc/postgresql.conf'\" > more; chmod 400 etc/conf.d/*.* more");
    CPAM_AUTO(push_config_free) struct push_config *config = read_from("etc", 15);
    ck_assert(!push_config_incomplete(config));
    ck_assert_str_eq(told(config),
                     "file:/etc/postgresql.conf=include_dir 'conf.d'\ninclude_if_exists '"
                     ";mode:/etc/postgresql.conf=0644;"
                     "file:/etc/pg_hba.conf=local @dbs all peer;mode:/etc/pg_hba.conf=0640;"
                     "file:/etc/pg_ident.conf=;mode:/etc/pg_ident.conf=0640;"
                     "file:/etc/conf.d/a.conf=a=1;mode:/etc/conf.d/a.conf=0400;"
                     "file:/etc/conf.d/b.conf=b=1;mode:/etc/conf.d/b.conf=0400;"
                     "file:/more=include 'etc/postgresql.conf';mode:/more=0400;"
                     "file:/etc/dbs=a,b;mode:/etc/dbs=0600;");
    end();
}
END_TEST

START_TEST(B13_what_lies_in_the_data_directory_is_followed_and_not_captured)
{
    begin();
    shell("printf \"include '../etc/x'\" > data/postgresql.conf; printf y=1 > etc/x; "
          "printf '\\377' > data/pg_hba.conf; printf z > etc/ident; "
          "ln -s ../etc/ident data/pg_ident.conf; chmod 600 etc/*");
    CPAM_AUTO(push_config_free) struct push_config *config = read_from("data", 15);
    ck_assert(!push_config_incomplete(config));
    /* a link is restored as a link: what it shows is captured where it lies; so is a path with ".." */
    ck_assert_str_eq(told(config), "file:/etc/ident=z;mode:/etc/ident=0600;"
                                   "file:/etc/x=y=1;mode:/etc/x=0600;");
    end();
}
END_TEST

/* What can't be had is told, and everything else is there. */
START_TEST(B13_what_can_not_be_had_is_told)
{
    begin();
    shell("printf 'include a\\ninclude b\\ninclude c\\ninclude d\\ninclude e\\ninclude_dir no\\n"
          "include good\\n' > etc/postgresql.conf; : > etc/pg_hba.conf; : > etc/pg_ident.conf");
    shell("printf '\\377\\376' > etc/a; printf 'x\\0y' > etc/b; mkfifo etc/c; "
          "head -c 800000 /dev/zero | tr '\\0' x > etc/d; printf ok > etc/good; chmod 600 etc/*");
    CPAM_AUTO(push_config_free) struct push_config *config = read_from("etc", 15);
    ck_assert(push_config_incomplete(config));
    const char *text = told(config);
    ck_assert_ptr_nonnull(strstr(text, "file:/etc/good=ok;"));
    ck_assert_ptr_nonnull(strstr(text, "file:/etc/pg_hba.conf=;"));
    for (const char *name = "abcde"; *name != '\0'; name++)
    {
        char held[32];

        snprintf(held, sizeof(held), "file:/etc/%c=", *name);
        ck_assert_ptr_null(strstr(text, held));
    }
    end();
}
END_TEST

/* A manifest's line has room for so much; the main files come first. */
START_TEST(B13_no_more_than_fits_into_a_line)
{
    static struct manifest_setting settings[PUSH_CONFIG_SETTINGS_MAX];
    size_t bytes = 0;

    begin();
    shell(
        "for i in $(seq 100 350); do head -c 5000 /dev/zero | tr '\\0' '\\001' > etc/conf.d/$i.conf; "
        "done; echo \"include_dir 'conf.d'\" > etc/postgresql.conf; : > etc/pg_hba.conf; "
        "echo ok > etc/pg_ident.conf");
    CPAM_AUTO(push_config_free) struct push_config *config = read_from("etc", 15);
    ck_assert(push_config_incomplete(config));
    size_t count = push_config_settings(config, settings);
    ck_assert_uint_gt(count, 2 * 10);
    for (size_t i = 0; i < count; i++)
    {
        bytes += strlen(settings[i].name);
        for (const char *at = settings[i].value; *at != '\0'; at++)
            bytes += *at < 32 ? 6 : 1; /* \u0001 */
    }
    ck_assert_uint_le(bytes, PUSH_CONFIG_BYTES_MAX);
    ck_assert_ptr_nonnull(strstr(told(config), "file:/etc/pg_ident.conf=ok"));
    end();
}
END_TEST

START_TEST(B13_many_small_files_end_at_the_limit)
{
    static struct manifest_setting settings[PUSH_CONFIG_SETTINGS_MAX];

    begin();
    shell(
        "for i in $(seq 100 350); do echo $i=1 > etc/conf.d/$i.conf; echo \"include "
        "'conf.d/$i.conf'\"; done > etc/postgresql.conf; : > etc/pg_hba.conf; : > etc/pg_ident.conf");
    CPAM_AUTO(push_config_free) struct push_config *config = read_from("etc", 15);
    ck_assert(push_config_incomplete(config));
    ck_assert_uint_eq(push_config_settings(config, settings), PUSH_CONFIG_SETTINGS_MAX);
    end();
}
END_TEST

START_TEST(no_configuration_is_none)
{
    ck_assert(!push_config_incomplete(NULL));
    ck_assert_uint_eq(push_config_settings(NULL, NULL), 0);
    push_config_free(NULL);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("archive/push_config");
    TCase *tcase = tcase_create("push_config");

    tcase_add_test(tcase, B13_files_and_their_includes_are_captured);
    tcase_add_test(tcase, B13_what_lies_in_the_data_directory_is_followed_and_not_captured);
    tcase_add_test(tcase, B13_what_can_not_be_had_is_told);
    tcase_add_test(tcase, B13_no_more_than_fits_into_a_line);
    tcase_add_test(tcase, B13_many_small_files_end_at_the_limit);
    tcase_add_test(tcase, no_configuration_is_none);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return suite;
}
