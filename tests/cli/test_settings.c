/*
 * test_settings.c - the configuration file: the samples load, and what is wrong is named with file,
 * line, key and the nearest known key.
 */
#include "suite.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/settings.h"
#include "cli/settings_parse.h"
#include "io/file.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))

static void
sample_path(const char *name, char path[PATH_MAX])
{
    const char *root = getenv("CPAM_SOURCE_ROOT");

    ck_assert_msg(root != NULL, "CPAM_SOURCE_ROOT is not set");
    snprintf(path, PATH_MAX, "%s/pgconf-samples/%s", root, name);
}

START_TEST(whole_sample_loads)
{
    struct cpam_err err;
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    char path[PATH_MAX];

    sample_path("backup-config.yaml", path);
    ck_ok(settings_load(io_posix(), path, &settings, &err), &err);
    ck_assert_str_eq(settings->file, path);
    ck_assert_str_eq(settings->cluster, "cpam-prod");
    ck_assert_str_eq(settings->postgresql.standby_connection, "");
    ck_assert_uint_eq(settings->repository_count, 2);
    const struct repository_settings *first = &settings->repositories[0];
    ck_assert_str_eq(first->url, "s3://prod-cpam-backups/cpam");
    ck_assert(first->required);
    ck_assert_int_eq(first->lock_us, (int64_t) 35 * 86400 * 1000000);
    ck_assert_str_eq(first->lock_mode, "COMPLIANCE");
    ck_assert_str_eq(first->class_base, "STANDARD_IA");
    ck_assert_str_eq(first->kms_key, "arn:aws:kms:us-east-1:111122223333:key/backup");
    ck_assert(!settings->repositories[1].required);
    ck_assert_str_eq(settings->repositories[1].region, "us-west-2");
    ck_assert_ptr_null(settings->repositories[1].lock_mode);
    ck_assert_uint_eq(settings->encryption.recipient_count, 2);
    ck_assert_int_eq(settings->encryption.recipients[0].kind, KEY_KMS);
    ck_assert_int_eq(settings->encryption.recipients[1].kind, KEY_X25519);
    ck_assert_str_eq(settings->encryption.writer_key, "/etc/cpam/writer");
    ck_assert_uint_eq(settings->encryption.trusted_writer_count, 1);
    ck_assert(!settings->encryption.accept_unsigned);
    ck_assert_int_eq(settings->wal_codec.codec, CODEC_LZ4);
    ck_assert_int_eq(settings->base_codec.codec, CODEC_ZSTD);
    ck_assert_int_eq(settings->base_codec.level, 1);
    ck_assert_uint_eq(settings->wal.push_ahead, 64);
    ck_assert_int_eq(settings->wal.push_timeout, 60000000);
    ck_assert(!settings->wal.push_direct);
    ck_assert_uint_eq(settings->base.pack_size, 32 << 20);
    ck_assert_int_eq(settings->targets.rpo, (int64_t) 900 * 1000000);
    ck_assert_uint_eq(settings->retention.weekly, 12);
}
END_TEST

START_TEST(smallest_sample_has_the_defaults)
{
    struct cpam_err err;
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    char path[PATH_MAX];

    sample_path("backup-config-minimal.yaml", path);
    ck_ok(settings_load(io_posix(), path, &settings, &err), &err);
    ck_assert_str_eq(settings->cluster, "demo");
    ck_assert_str_eq(settings->state, "/var/lib/cpam/state");
    ck_assert_str_eq(settings->encryption.state_dir, "/var/lib/cpam/state");
    ck_assert_str_eq(settings->postgresql.connection, "dbname=postgres");
    ck_assert_str_eq(settings->repositories[0].url, "file:///var/backups/cpam");
    ck_assert(settings->repositories[0].required);
    ck_assert_uint_eq(settings->encryption.recipient_count, 1);
    ck_assert_int_eq(settings->encryption.recipients[0].kind, KEY_KEYFILE);
    ck_assert_str_eq(settings->encryption.recipients[0].value, "/etc/cpam/key");
    ck_assert_ptr_null(settings->encryption.writer_key);
    ck_assert_int_eq(settings->wal_codec.codec, CODEC_LZ4);
    ck_assert_str_eq(settings->wal.spool, "/var/spool/cpam");
    ck_assert_int_eq(settings->wal.fetch_timeout, (int64_t) 600 * 1000000);
    ck_assert_str_eq(settings->wal.on_error, "auto");
    ck_assert_str_eq(settings->base.label_prefix, "cpam_backup_");
    ck_assert_uint_eq(settings->base.workers, 2);
    ck_assert_int_eq(settings->base.archive_wait, (int64_t) 600 * 1000000);
}
END_TEST

/* The minimal file has as many lines as it says: five with its comment, four keys. */
START_TEST(smallest_sample_is_five_lines)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char path[PATH_MAX];
    int lines = 0;

    sample_path("backup-config-minimal.yaml", path);
    ck_ok(file_read_all(io_posix(), path, 10000, &text, &err), &err);
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    ck_assert_int_eq(lines, 5);
}
END_TEST

/* The four needed things; each row below adds to them, or stands alone. */
#define CLUSTER         "cluster: demo\n"
#define DATA            "postgresql: { data: /d }\n"
#define REPOS           "repositories: [ { name: p, url: file:///r } ]\n"
#define KEYS            "encryption: { recipients: [ { keyfile: /k } ] }\n"
#define BASE            CLUSTER DATA REPOS KEYS
#define WITH_REPO(keys) CLUSTER DATA KEYS "repositories: [ { name: p, " keys " } ]\n"
#define THREE_REPOS                                                                                \
    CLUSTER DATA KEYS "repositories:\n- { name: p, url: file:///p }\n"                             \
                      "- { name: q, url: file:///q }\n"                                            \
                      "- { name: o, url: file:///o, required: false }\n"
#define S3              "url: \"s3://bucket/x\""
#define WITH_KEYS(keys) CLUSTER DATA REPOS "encryption: { " keys " }\n"

static const char *const accepted[] = {
    BASE,
    CLUSTER DATA REPOS "encryption: none\n",
    "cluster: a.b_c-9\npostgresql:\n  data: /d\n" REPOS KEYS,
    CLUSTER DATA KEYS "repositories:\n- name: p\n  url: file:///r/\n- name: q\n  url: s3://abc\n",
    WITH_REPO(S3 ", endpoint: \"https://h:9000\", addressing: path"),
    WITH_REPO(S3 ", credentials: static, access_key_id: A, secret_access_key: \"@/s\""),
    WITH_REPO(S3 ", credentials: static, access_key_id: A, secret_access_key: plain"),
    WITH_REPO("url: file:///r, bandwidth: 5MiB"),
    WITH_KEYS("recipients: [ { passphrase: \"@/p\" }, { keyfile: /k } ], unsigned: accept"),
    WITH_KEYS(
        "recipients: [ { x25519: cpam1pubxyz } ], writer_key: /w, trusted_writers: [cpam1wpubx]"),
    WITH_KEYS("recipients: [ { kms: some-key } ], writer_key: /w, identities: [ { x25519: /i } ]"),
    WITH_KEYS("recipients: [ { x25519: cpam1pubxyz } ], trusted_writers: [cpam1wpubx]"), /* reads */
    BASE "compression: { wal: gzip, base: none, level: 6 }\n",
    BASE "wal: { push: { mode: direct, acknowledge: 1 }, fetch: { on_error: retry } }\n",
    THREE_REPOS "wal: { push: { acknowledge: any, backlog_max: 0 } }\n",
    THREE_REPOS "wal: { push: { acknowledge: 2, backlog_max: 1GiB } }\n",
    BASE "# only a comment\n",
    "---\n" BASE "...\n",
    "\"cluster\": 'demo'\n" DATA REPOS KEYS,
};

START_TEST(configuration_is_accepted)
{
    struct cpam_err err;
    CPAM_AUTO(settings_free) struct settings *settings = NULL;

    ck_ok(settings_parse("c.yaml", accepted[_i], strlen(accepted[_i]), &settings, &err), &err);
}
END_TEST

static const struct
{
    const char *text, *why;
} refused[] = {
    {"", "c.yaml:1: \"cluster\" is missing"},
    {"- a\n", "c.yaml:1: the file must hold"},
    {"just text\n", "c.yaml:1: the file must hold"},
    {"cluster: [\n", "not valid YAML"},
    {"cluster: demo\n\tstate: /x\n", "c.yaml:2: not valid YAML"},
    {"cluster: \xff\n", "is not UTF-8"},
    {BASE "cluster: other\n", "c.yaml:5: key \"cluster\" is there twice (first on line 1)"},
    {BASE "---\n" BASE, "a second document"},
    {"cluster: &a demo\n", "anchors and tags are not used"},
    {"cluster: !!str demo\n", "anchors and tags are not used"},
    {BASE "state: *a\n", "aliases are not used"},
    {BASE "files: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n", "nested too deeply"},
    {BASE "? [a]\n: b\n", "a key has to be a plain text"},
    /* keys */
    {BASE "retension: { wal: 1d }\n",
     "c.yaml:5: unknown key \"retension\"; did you mean \"retention\"?"},
    {BASE "wal: { push: { wrokers: 1 } }\n",
     "unknown key \"wal.push.wrokers\"; did you mean \"wal.push.workers\"?"},
    {BASE "spool: /x\n", "unknown key \"spool\"; did you mean \"wal.spool\"?"},
    {BASE "bananas: 1\n", "unknown key \"bananas\""},
    {BASE "wal.spool: /x\n", "unknown key \"wal.spool\""},
    {BASE "repositories[]: 1\n", "unknown key \"repositories[]\""},
    {WITH_REPO("url: file:///r, requird: true"),
     "unknown key \"repositories[].requird\"; did you mean \"repositories[].required\"?"},
    {WITH_KEYS("recipients: [ { keyfil: /k } ]"),
     "unknown key \"encryption.recipients[].keyfil\"; did you mean"},
    {WITH_KEYS("recipient: [ { keyfile: /k } ]"), "did you mean \"encryption.recipients\"?"},
    /* missing */
    {DATA REPOS KEYS, "\"cluster\" is missing"},
    {CLUSTER REPOS KEYS, "\"postgresql.data\" is missing"},
    {CLUSTER DATA KEYS, "\"repositories\" is missing"},
    {CLUSTER DATA REPOS, "c.yaml: the section \"encryption\" is missing"},
    {CLUSTER DATA KEYS "repositories: []\n", "has 0 elements; 1 to 16 are allowed"},
    {CLUSTER DATA KEYS "repositories: [ { name: p } ]\n", "\"repositories[].url\" is missing"},
    {CLUSTER DATA KEYS "repositories: [ { url: file:///r } ]\n",
     "\"repositories[].name\" is missing"},
    {WITH_KEYS("recipients: []"), "has 0 elements"},
    {WITH_KEYS("writer_key: /w"), "\"encryption.recipients\" is missing"},
    {CLUSTER DATA REPOS "encryption: {}\n", "needs at least one recipient"},
    {WITH_REPO(S3 ", object_lock: { mode: COMPLIANCE }"), "object_lock.days\" is missing"},
    {BASE "files: [ { set: a, url: file:///x } ]\n", "\"files[].paths\" is missing"},
    /* kinds */
    {BASE "state: [ /x ]\n", "c.yaml:5: state: needs one value, not a list"},
    {BASE "state: { a: b }\n", "state: needs one value, not a section"},
    {BASE "wal: 7\n", "wal: is a section"},
    {BASE "state:\n", "state: has no value"},
    {BASE "state: \"\"\n", "state: has no value"},
    {CLUSTER DATA REPOS "encryption: yes\n", "encryption: is a section"},
    {CLUSTER DATA KEYS "repositories: { name: p }\n", "repositories: needs a list"},
    {CLUSTER DATA KEYS "repositories: [ p ]\n", "each element is a section"},
    {WITH_KEYS("recipients: [ /k ]"), "each element is one key and its value"},
    {WITH_KEYS("recipients: [ { keyfile: /k, kms: x } ]"), "each element is one key and its value"},
    {WITH_KEYS("recipients: [ { keyfile: [ /k ] } ]"), "needs one value, not a list"},
    /* values */
    {"cluster: Demo\n" DATA REPOS KEYS, "c.yaml:1: cluster: \"Demo\" is not 1 to 64 of"},
    {"cluster: .demo\n" DATA REPOS KEYS, "no dot in front"},
    {"cluster: a/b\n" DATA REPOS KEYS, "is not 1 to 64 of"},
    {"cluster: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" DATA REPOS
         KEYS,
     "is not 1 to 64 of"},
    {CLUSTER "postgresql: { data: main }\n" REPOS KEYS, "\"main\" is not an absolute path"},
    {CLUSTER "postgresql: { data: /d, connection: \"password=x\" }\n" REPOS KEYS,
     "must not hold a password"},
    {CLUSTER "postgresql: { data: /d, connection: \"postgresql://u:p@h/d\" }\n" REPOS KEYS,
     "must not hold a password"},
    {WITH_REPO("url: /r"), "is neither s3://bucket/prefix nor file:///absolute/path"},
    {WITH_REPO("url: \"file://r\""), "is neither s3://"},
    {WITH_REPO("url: \"file:///\""), "does not name a folder"},
    {WITH_REPO("url: \"file:///a/../b\""), "does not name a folder"},
    {WITH_REPO("url: \"file:///a//b\""), "does not name a folder"},
    {WITH_REPO("url: \"http://h/x\""), "is neither s3://"},
    {WITH_REPO("url: \"s3://\""), "does not name a bucket"},
    {WITH_REPO("url: \"s3://Bucket/x\""), "does not name a bucket"},
    {WITH_REPO("url: \"s3://bucket/a/../b\""), "no plain path behind its bucket"},
    {WITH_REPO("url: \"s3://bucket/a?b\""), "no plain path behind its bucket"},
    {WITH_REPO(S3 ", endpoint: \"h:9000\""), "is not https://host"},
    {WITH_REPO(S3 ", endpoint: \"https://h/path\""), "is not https://host"},
    {WITH_REPO(S3 ", addressing: vitual"), "\"vitual\" is none of auto|virtual|path"},
    {WITH_REPO(S3 ", expected_bucket_owner: 1234"), "is not an account of 12 digits"},
    {WITH_REPO(S3 ", storage_class: { wal: GLACIER }"), "no restore could begin"},
    {WITH_REPO(S3 ", storage_class: { wal: cold }"), "is not a storage class"},
    {WITH_REPO(S3 ", credentials: static"), "needs access_key_id and secret_access_key"},
    {WITH_REPO(S3 ", access_key_id: A"), "with credentials: static only"},
    {WITH_REPO(S3 ", secret_access_key: \"@s\""), "must be followed by an absolute path"},
    {WITH_REPO(S3 ", kms_key: k"), "kms_key is used with server_side_encryption: aws:kms only"},
    {WITH_REPO(S3 ", object_lock: { mode: COMPLIANCE, days: 0 }"), "0 is less than 1"},
    {WITH_REPO("url: file:///r, object_lock: { mode: COMPLIANCE, days: 3 }"),
     "object_lock.mode has no meaning for a folder"},
    {WITH_REPO("url: file:///r, required: yes"), "\"yes\" is neither true nor false"},
    {WITH_REPO("url: file:///r, required: false"), "no repository is required"},
    {CLUSTER DATA KEYS
     "repositories:\n- { name: p, url: file:///r }\n- { name: p, url: file:///s }\n",
     "c.yaml:6: repository \"p\": another repository has the same name"},
    {CLUSTER DATA KEYS
     "repositories:\n- { name: p, url: file:///r }\n- { name: q, url: file:///r/ }\n",
     "repository \"q\": another repository has the same url"},
    {WITH_KEYS("recipients: [ { keyfile: k } ]"), "\"k\" is not an absolute path"},
    {WITH_KEYS("recipients: [ { passphrase: hunter2 } ]"), "is given as \"@/path\" of a file"},
    {WITH_KEYS("recipients: [ { x25519: cpam1sec } ], writer_key: /w"), "is not a public key"},
    {WITH_KEYS("recipients: [ { x25519: cpam1pubx } ]"), "encryption.writer_key is missing"},
    {WITH_KEYS("recipients: [ { keyfile: /k }, { kms: x } ]"), "encryption.writer_key is missing"},
    {WITH_KEYS("recipients: [ { keyfile: /k } ], trusted_writers: [ cpam1pubx ]"),
     "is not a writer's public key"},
    {WITH_KEYS("recipients: [ { keyfile: /k } ], identities: [ { kms: x } ]"),
     "unknown key \"encryption.identities[].kms\""},
    {WITH_KEYS("recipients: [ { keyfile: /k } ], unsigned: maybe"), "is none of refuse|accept"},
    {BASE "compression: { wal: bz2 }\n", "\"bz2\" is none of none|lz4|zstd|gzip"},
    {BASE "compression: { wal: gzip, level: 19 }\n", "compression.level: 19 is not one of gzip's"},
    {BASE "compression: { level: 23 }\n", "23 is more than the allowed 22"},
    {BASE "compression: { level: 0 }\n", "compression.level: 0 is not one of lz4's, 1 to 12"},
    {BASE "compression: { wal: lz4, base: zstd, level: 13 }\n", "13 is not one of lz4's, 1 to 12"},
    {BASE "compression: { wal: none, base: zstd, level: 20 }\n",
     "20 is not one of zstd's, 1 to 19"},
    {BASE "compression: { wal: zstd, base: gzip, level: 10 }\n", "10 is not one of gzip's, 1 to 9"},
    {BASE "base: { nice: 20 }\n", "20 is more than the allowed 19"},
    {BASE "base: { ionice: realtime }\n", "is none of none|best-effort|idle"},
    {BASE "wal: { push: { timeout: 60 } }\n",
     "c.yaml:5: wal.push.timeout: \"60\" is not a duration"},
    {BASE "wal: { push: { timeout: 10ms } }\n", "10ms is less than 1 s"},
    {BASE "wal: { push: { workers: 0 } }\n", "0 is less than 1"},
    {BASE "wal: { push: { workers: -1 } }\n", "\"-1\" is not a number"},
    {BASE "wal: { push: { acknowledge: some } }\n", "neither all nor any nor a number"},
    {BASE "wal: { push: { acknowledge: 0 } }\n", "neither all nor any nor a number"},
    {BASE "wal: { push: { acknowledge: 2 } }\n", "only 1 of the repositories is required"},
    {THREE_REPOS "wal: { push: { acknowledge: 3 } }\n", "only 2 of the repositories are required"},
    {BASE "wal: { push: { backlog_max: 5 GB } }\n", "is not a size"},
    {BASE "base: { pack_size: 32MB }\n", "\"32MB\" is not a size"},
    {BASE "base: { pack_size: 1KiB }\n", "1KiB is less than 8 MiB"},
    {BASE "base: { pack_size: 9GiB }\n", "9GiB is more than the allowed 1 GiB"},
    {BASE "base: { label_prefix: \"a b\" }\n", "is not 1 to 32 letters"},
    {BASE "retention: { wal: 5 }\n", "\"5\" is not a duration"},
    {BASE "notify: { critical: [ { mail: x } ] }\n", "unknown key \"notify.critical[].mail\""},
    {BASE "drill: { smoke: SELECT }\n", "drill.smoke: needs a list"},
};

START_TEST(configuration_is_refused)
{
    struct cpam_err err;
    CPAM_AUTO(settings_free) struct settings *settings = NULL;

    ck_fails(settings_parse("c.yaml", refused[_i].text, strlen(refused[_i].text), &settings, &err),
             CPAM_USAGE, refused[_i].why, &err);
    ck_assert_ptr_null(settings);
    ck_assert_msg(strncmp(err.text, "c.yaml:", 7) == 0, "no file: %s", err.text);
}
END_TEST

static enum cpam_status
fails(const char *text, struct cpam_err *err)
{
    struct settings *settings;

    return settings_parse("c.yaml", text, strlen(text), &settings, err);
}

START_TEST(errors_say_what_to_do)
{
    struct cpam_err err;

    ck_assert_int_eq(fails(WITH_KEYS("recipients: [ { x25519: cpam1pubx } ]"), &err), CPAM_USAGE);
    ck_assert_ptr_nonnull(strstr(err.hint, "cpam-keys generate writer /etc/cpam/writer"));
    ck_assert_int_eq(fails(CLUSTER DATA REPOS, &err), CPAM_USAGE);
    ck_assert_ptr_nonnull(strstr(err.hint, "encryption: none"));
    ck_assert_int_eq(fails(BASE "compression: { wal: lz3 }\n", &err), CPAM_USAGE);
    ck_assert_str_eq(err.hint, "did you mean lz4?");
}
END_TEST

START_TEST(repository_is_found_by_name)
{
    static const char text[] =
        CLUSTER DATA KEYS "repositories: [{name: p, url: file:///r/}, {name: q, url: file:///s}]\n";
    struct cpam_err err;
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    const struct repository_settings *found;

    ck_ok(settings_parse("c.yaml", text, sizeof(text) - 1, &settings, &err), &err);
    ck_ok(settings_repository(settings, "q", &found, &err), &err);
    ck_assert_str_eq(found->url, "file:///s");
    ck_assert_str_eq(settings->repositories[0].url, "file:///r");
    ck_fails(settings_repository(settings, "x", &found, &err), CPAM_USAGE,
             "there is no repository \"x\" in c.yaml", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "\"p\", \"q\""));
}
END_TEST

START_TEST(E8_secret_in_an_open_file_is_refused)
{
    static const char text[] =
        WITH_REPO(S3 ", credentials: static, access_key_id: A, secret_access_key: hush");
    struct cpam_err err;
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    char path[] = "/tmp/cpam-test-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    ck_assert_int_eq(fchmod(fd, 0644), 0);
    ck_fails(settings_load(io_posix(), path, &settings, &err), CPAM_USAGE,
             "a secret in a file that everybody can read", &err);
    ck_assert_ptr_null(strstr(err.text, "hush"));
    ck_assert_ptr_nonnull(strstr(err.hint, "chmod o= "));
    ck_assert_int_eq(fchmod(fd, 0640), 0);
    ck_ok(settings_load(io_posix(), path, &settings, &err), &err);
    close(fd);
    unlink(path);
}
END_TEST

START_TEST(file_that_is_not_there)
{
    struct cpam_err err;
    struct settings *settings;

    ck_fails(settings_load(io_posix(), "/nonexistent/c.yaml", &settings, &err), CPAM_USAGE,
             "/nonexistent/c.yaml", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "--config FILE"));
}
END_TEST

/* Cut the sample anywhere, change any byte: an answer, never a crash, and errors name the file. */
START_TEST(broken_samples_never_crash)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char path[PATH_MAX];

    sample_path("backup-config.yaml", path);
    ck_ok(file_read_all(io_posix(), path, 100000, &text, &err), &err);
    for (size_t i = 0; i < text.size; i += 7)
    {
        struct settings *settings;

        if (settings_parse("c.yaml", text.data, i, &settings, &err) == CPAM_OK)
            settings_free(settings);
        uint8_t kept = text.data[i];
        text.data[i] = (uint8_t) "\n\t:{}[]\"'#&*!|>%@\x80 a"[i % 20];
        if (settings_parse("c.yaml", text.data, text.size, &settings, &err) == CPAM_OK)
            settings_free(settings);
        else
            ck_assert_msg(strncmp(err.text, "c.yaml", 6) == 0, "%s", err.text);
        text.data[i] = kept;
    }
}
END_TEST

START_TEST(table_is_in_order)
{
    ck_assert_uint_lt(settings_table_count, SETTINGS_ROWS_MAX);
    for (size_t i = 0; i < settings_table_count; i++)
    {
        ck_assert_ptr_nonnull(settings_table[i].help);
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(settings_table[i].path, settings_table[k].path);
        if (settings_table[i].type == SETTING_CHOICE)
            ck_assert_ptr_nonnull(settings_table[i].choices);
        if (settings_table[i].type == SETTING_NUMBER || settings_table[i].type == SETTING_SIZE ||
            settings_table[i].type == SETTING_DURATION)
            ck_assert_uint_lt(settings_table[i].min, settings_table[i].max);
    }
}
END_TEST

/* The manual page says of these that they have no effect: nobody must count on it. */
START_TEST(what_nothing_reads_is_marked_in_the_manual)
{
    static const char *const unread[] = {"retention.wal", "retention.daily"};

    for (size_t i = 0; i < COUNT_OF(unread); i++)
    {
        const struct setting_def *found = NULL;

        for (size_t row = 0; row < settings_table_count; row++)
            if (strcmp(settings_table[row].path, unread[i]) == 0)
                found = &settings_table[row];
        ck_assert_msg(found != NULL && found->later, "%s", unread[i]);
    }
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("cli/settings");
    TCase *tcase = tcase_create("settings");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, whole_sample_loads);
    tcase_add_test(tcase, smallest_sample_has_the_defaults);
    tcase_add_test(tcase, smallest_sample_is_five_lines);
    tcase_add_loop_test(tcase, configuration_is_accepted, 0, COUNT_OF(accepted));
    tcase_add_loop_test(tcase, configuration_is_refused, 0, COUNT_OF(refused));
    tcase_add_test(tcase, errors_say_what_to_do);
    tcase_add_test(tcase, repository_is_found_by_name);
    tcase_add_test(tcase, E8_secret_in_an_open_file_is_refused);
    tcase_add_test(tcase, file_that_is_not_there);
    tcase_add_test(tcase, broken_samples_never_crash);
    tcase_add_test(tcase, table_is_in_order);
    tcase_add_test(tcase, what_nothing_reads_is_marked_in_the_manual);
    suite_add_tcase(suite, tcase);
    return suite;
}
