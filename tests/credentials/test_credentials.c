/*
 * test_credentials.c - who signs: static, environment, shared file, and the order of "auto".
 *
 * Check runs each case in a process of its own, so that the environment is the case's.
 */
#include "suite.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "credentials/credentials.h"
#include "io/file.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))

static char folder[] = "/tmp/cpam-credentials-XXXXXX";
static char path[64];

static void
start(void)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_PROFILE",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI"};

    for (int i = 0; i < COUNT_OF(names); i++)
        unsetenv(names[i]);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/credentials", folder);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    setenv("HOME", folder, 1);
}

static void
finish(void)
{
    char inner[128];

    unlink(path);
    snprintf(inner, sizeof(inner), "%s/.aws/credentials", folder);
    unlink(inner);
    snprintf(inner, sizeof(inner), "%s/.aws", folder);
    rmdir(inner);
    rmdir(folder);
}

static void
write_file(const char *to, const char *text, mode_t mode)
{
    struct cpam_err err;

    ck_ok(file_write_all(io_posix(), to, mode, text, strlen(text), &err), &err);
    ck_assert_int_eq(chmod(to, mode), 0);
}

static void
ck_secret(const struct secret *secret, const char *text)
{
    if (text == NULL)
    {
        ck_assert_ptr_null(secret);
        return;
    }
    ck_assert_ptr_nonnull(secret);
    ck_assert_uint_eq(secret_size(secret), strlen(text));
    ck_assert_mem_eq(secret_data(secret), text, strlen(text));
}

/* --- environment ------------------------------------------------------------------------------ */

static const struct
{
    const char *id, *secret, *token;
    enum cpam_status status;
    const char *why;
} environments[] = {
    {"AKID", "topsecret", NULL, CPAM_OK, ""},
    {"AKID", "topsecret", "tok/en==", CPAM_OK, ""},
    {"AKID", "topsecret", "", CPAM_OK, ""},
    {NULL, NULL, NULL, CPAM_NOT_FOUND, "AWS_ACCESS_KEY_ID is not set"},
    {"", "", NULL, CPAM_NOT_FOUND, "is not set"},
    {"AKID", NULL, NULL, CPAM_USAGE,
     "AWS_ACCESS_KEY_ID is set in the environment, but "
     "AWS_SECRET_ACCESS_KEY is not"},
    {NULL, "topsecret", NULL, CPAM_USAGE, "AWS_SECRET_ACCESS_KEY is set"},
    {"AK ID", "topsecret", NULL, CPAM_USAGE, "is not a word"},
    {"AKID\n", "topsecret", NULL, CPAM_USAGE, "is not a word"},
    {"AKID", "topsecret\n", NULL, CPAM_USAGE, "a space or a control character"},
    {"AKID", "topsecret", "topsecret token", CPAM_USAGE, "session token"},
};

START_TEST(S9_environment_is_read)
{
    struct credentials *credentials = NULL;
    struct cpam_err err;

    if (environments[_i].id != NULL)
        setenv("AWS_ACCESS_KEY_ID", environments[_i].id, 1);
    if (environments[_i].secret != NULL)
        setenv("AWS_SECRET_ACCESS_KEY", environments[_i].secret, 1);
    if (environments[_i].token != NULL)
        setenv("AWS_SESSION_TOKEN", environments[_i].token, 1);
    if (environments[_i].status != CPAM_OK)
    {
        ck_fails(credentials_environment(io_posix(), &credentials, &err), environments[_i].status,
                 environments[_i].why, &err);
        ck_assert_ptr_null(strstr(err.text, "topsecret"));
        return;
    }
    ck_ok(credentials_environment(io_posix(), &credentials, &err), &err);
    ck_assert_str_eq(credentials->access_key_id, "AKID");
    ck_secret(credentials->secret_key, "topsecret");
    ck_secret(credentials->session_token,
              environments[_i].token != NULL && environments[_i].token[0] != '\0'
                  ? environments[_i].token
                  : NULL);
    credentials_free(credentials);
}
END_TEST

/* --- shared file ------------------------------------------------------------------------------ */

#define KEYS(n) "aws_access_key_id = ID" n "\naws_secret_access_key=topsecret/" n "+=\n"

static const struct
{
    const char *text; /* NULL: no file */
    const char *profile;
    mode_t mode;
    enum cpam_status status;
    const char *words; /* the access key id, or the sentence */
} files[] = {
    {"[default]\n" KEYS("1"), NULL, 0600, CPAM_OK, "ID1"},
    {"[default]\r\naws_access_key_id=ID1\r\naws_secret_access_key=x\r\n", NULL, 0600, CPAM_OK,
     "ID1"},
    {"# c\n; c\n\n[other]\n" KEYS("2") "[default]\n" KEYS("1"), NULL, 0600, CPAM_OK, "ID1"},
    {"[default]\n" KEYS("1") "[ other ]\n" KEYS("2"), "other", 0600, CPAM_OK, "ID2"},
    {"[profile other]\n" KEYS("2"), "other", 0600, CPAM_OK, "ID2"},
    {"[default]\ns3 =\n  aws_access_key_id = nested\n" KEYS("1"), NULL, 0400, CPAM_OK, "ID1"},
    {"[default]\naws_session_token = tok\n" KEYS("1"), NULL, 0600, CPAM_OK, "ID1"},
    {NULL, NULL, 0, CPAM_NOT_FOUND, "is not there"},
    {"", NULL, 0600, CPAM_NOT_FOUND, "has no key in its section [default]"},
    {"[default]\nregion = x\n", NULL, 0600, CPAM_NOT_FOUND, "has no key"},
    {"[other]\n" KEYS("2"), NULL, 0600, CPAM_NOT_FOUND, "has no key"},
    {KEYS("1"), NULL, 0600, CPAM_NOT_FOUND, "has no key"},
    {"[default]\n" KEYS("1"), "missing", 0600, CPAM_USAGE,
     "has no section [missing], which AWS_PROFILE names"},
    {"[default]\naws_access_key_id = ID1\n", NULL, 0600, CPAM_USAGE,
     "has aws_access_key_id but not aws_secret_access_key"},
    {"[default]\naws_secret_access_key = topsecret\n", NULL, 0600, CPAM_USAGE,
     "has aws_secret_access_key but not"},
    {"[default]\naws_access_key_id =\naws_secret_access_key = topsecret\n", NULL, 0600, CPAM_USAGE,
     "is not a word"},
    {"[default]\n" KEYS("1"), NULL, 0644, CPAM_USAGE, "can be read by others (mode 0644)"},
    {"[default]\n" KEYS("1"), NULL, 0640, CPAM_USAGE, "can be read by others (mode 0640)"},
    {"[default]\ncredential_process = /bin/x\n", NULL, 0600, CPAM_REFUSED, "credential_process"},
};

START_TEST(S9_shared_file_is_read)
{
    struct credentials *credentials = NULL;
    struct cpam_err err;

    if (files[_i].text != NULL)
        write_file(path, files[_i].text, files[_i].mode);
    if (files[_i].profile != NULL)
        setenv("AWS_PROFILE", files[_i].profile, 1);
    if (files[_i].status != CPAM_OK)
    {
        ck_fails(credentials_shared_file(io_posix(), &credentials, &err), files[_i].status,
                 files[_i].words, &err);
        ck_assert_ptr_null(strstr(err.text, "topsecret"));
        return;
    }
    ck_ok(credentials_shared_file(io_posix(), &credentials, &err), &err);
    ck_assert_str_eq(credentials->access_key_id, files[_i].words);
    ck_assert_int_eq(credentials->session_token != NULL,
                     strstr(files[_i].text, "session_token") != NULL);
    credentials_free(credentials);
}
END_TEST

START_TEST(S9_home_is_where_the_shared_file_is)
{
    char inner[128];
    struct credentials *credentials = NULL;
    struct cpam_err err;

    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    snprintf(inner, sizeof(inner), "%s/.aws", folder);
    ck_assert_int_eq(mkdir(inner, 0700), 0);
    snprintf(inner, sizeof(inner), "%s/.aws/credentials", folder);
    write_file(inner, "[default]\n" KEYS("1"), 0600);
    ck_ok(credentials_shared_file(io_posix(), &credentials, &err), &err);
    ck_assert_str_eq(credentials->source, inner);
    ck_secret(credentials->secret_key, "topsecret/1+=");
    credentials_free(credentials);
}
END_TEST

/* --- static, auto ----------------------------------------------------------------------------- */

START_TEST(E8_static_reads_a_file_only_its_owner_reads)
{
    char named[80];
    struct credentials *credentials = NULL;
    struct cpam_err err;

    snprintf(named, sizeof(named), "@%s", path);
    write_file(path, "topsecret\n", 0600);
    ck_ok(credentials_static(io_posix(), "AKID", named, &credentials, &err), &err);
    ck_secret(credentials->secret_key, "topsecret");
    credentials_free(credentials);

    ck_ok(credentials_static(io_posix(), "AKID", "inline", &credentials, &err), &err);
    ck_secret(credentials->secret_key, "inline");
    credentials_free(credentials);

    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_fails(credentials_static(io_posix(), "AKID", named, &credentials, &err), CPAM_USAGE, path,
             &err);
    ck_assert_ptr_null(strstr(err.text, "topsecret"));
    ck_fails(credentials_static(io_posix(), "AKID", NULL, &credentials, &err), CPAM_USAGE,
             "needs both", &err);
    ck_fails(credentials_static(io_posix(), NULL, "inline", &credentials, &err), CPAM_USAGE,
             "needs both", &err);
    ck_fails(credentials_static(io_posix(), "AKID", "@/nonexistent", &credentials, &err),
             CPAM_NOT_FOUND, "/nonexistent", &err);
}
END_TEST

START_TEST(S9_auto_takes_the_first_that_has_something)
{
    struct credentials *credentials = NULL;
    struct cpam_err err;

    ck_fails(credentials_auto(io_posix(), &credentials, &err), CPAM_REFUSED,
             "AWS_ACCESS_KEY_ID is not set; ", &err);
    ck_assert_ptr_nonnull(strstr(err.text, "not built yet"));
    ck_assert_ptr_nonnull(strstr(err.hint, "credentials: static"));
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/x", 1);
    ck_fails(credentials_auto(io_posix(), &credentials, &err), CPAM_REFUSED,
             "can't use web identity yet", &err);

    write_file(path, "[default]\n" KEYS("1"), 0600);
    ck_ok(credentials_auto(io_posix(), &credentials, &err), &err);
    ck_assert_str_eq(credentials->access_key_id, "ID1");
    credentials_free(credentials);

    setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    ck_fails(credentials_auto(io_posix(), &credentials, &err), CPAM_USAGE, /* never passed over */
             "AWS_SECRET_ACCESS_KEY is not", &err);
    setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    ck_ok(credentials_auto(io_posix(), &credentials, &err), &err);
    ck_assert_str_eq(credentials->access_key_id, "AKID");
    ck_assert_str_eq(credentials->source, "the environment");
    credentials_free(credentials);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("credentials");
    TCase *tcase = tcase_create("credentials");

    tcase_add_checked_fixture(tcase, start, finish);
    tcase_add_loop_test(tcase, S9_environment_is_read, 0, COUNT_OF(environments));
    tcase_add_loop_test(tcase, S9_shared_file_is_read, 0, COUNT_OF(files));
    tcase_add_test(tcase, S9_home_is_where_the_shared_file_is);
    tcase_add_test(tcase, E8_static_reads_a_file_only_its_owner_reads);
    tcase_add_test(tcase, S9_auto_takes_the_first_that_has_something);
    suite_add_tcase(suite, tcase);
    return suite;
}
