/*
 * test_repository.c - from a configuration's url to a store, and what is refused on the way.
 */
#include "suite.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/repository.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))

static const struct
{
    const char *url;
    const char *endpoint;
    const char *store; /* the store's url */
} good[] = {
    {"file:///var/backups/cpam", NULL, "file:///var/backups/cpam/demo"},
    {"file:///var/backups/cpam/", NULL, "file:///var/backups/cpam/demo"},
    {"s3://bucket", NULL, "s3://bucket/demo"},
    {"s3://bucket/", NULL, "s3://bucket/demo"},
    {"s3://bucket/folder/inner/", NULL, "s3://bucket/folder/inner/demo"},
    {"s3://bucket/folder", "http://127.0.0.1:9000", "s3://bucket/folder/demo"},
};

static const struct
{
    const char *url, *endpoint, *why;
} bad[] = {
    {"ftp://host/x", NULL, "is not the url of a repository"},
    {"/var/backups", NULL, "is not the url of a repository"},
    {"s3://", NULL, "is not a bucket name"},
    {"s3:///folder", NULL, "is not a bucket name"},
    {"s3://buck et/x", NULL, "is not a bucket name"},
    {"s3://bucket//x", NULL, "single slashes"},
    {"s3://bucket/../x", NULL, "single slashes"},
    {"s3://bucket/f\xc3\xbc", NULL, "single slashes"},
    {"s3://bucket/x", "https://s3.example.net/path", "has a path"},
};

/* What the configuration checks by itself is put past it: the layers below do not rely on it. */
static struct settings *
settings_of(const char *url, const char *endpoint)
{
    char text[2048];
    struct settings *settings = NULL;
    struct cpam_err err;
    bool folder = strncmp(url, "file:", 5) == 0;
    int size = snprintf(text, sizeof(text),
                        "cluster: demo\n"
                        "postgresql: { data: /nonexistent }\n"
                        "repositories:\n"
                        "  - name: primary\n"
                        "    url: \"%s\"\n"
                        "%s"
                        "encryption: none\n",
                        folder ? url : "s3://bucket",
                        folder ? ""
                               : "    credentials: static\n"
                                 "    access_key_id: AKID\n"
                                 "    secret_access_key: topsecret\n");

    ck_ok(settings_parse("test.yaml", text, (size_t) size, &settings, &err), &err);
    settings->repositories[0].url = url;
    if (endpoint != NULL)
        settings->repositories[0].endpoint = endpoint;
    return settings;
}

START_TEST(url_becomes_a_store)
{
    struct settings *settings = settings_of(good[_i].url, good[_i].endpoint);
    struct store *store = NULL;
    struct cpam_err err;
    const struct deadline deadline = {12345};

    ck_ok(repository_store_open(io_posix(), settings, &settings->repositories[0], deadline, &store,
                                &err),
          &err);
    ck_assert_ptr_nonnull(
        strstr(store->url,
               good[_i].store + (strncmp(good[_i].store, "file", 4) == 0 ? strlen("file://") : 0)));
    ck_assert_int_eq(store->deadline.at, deadline.at);
    ck_assert_int_gt(store->patience, 0);
    store_free(store);
    settings_free(settings);
}
END_TEST

START_TEST(url_is_refused)
{
    struct settings *settings = settings_of(bad[_i].url, bad[_i].endpoint);
    struct store *store = NULL;
    struct cpam_err err;

    ck_fails(repository_store_open(io_posix(), settings, &settings->repositories[0],
                                   (struct deadline){0}, &store, &err),
             CPAM_USAGE, bad[_i].why, &err);
    ck_assert_ptr_null(strstr(err.text, "topsecret"));
    settings_free(settings);
}
END_TEST

START_TEST(an_absent_directory_is_refused_and_an_absent_repository_not_found)
{
    char folder[] = "/tmp/cpam-repository-XXXXXX";
    char url[64];
    struct repository *repository = NULL;
    struct cpam_err err;
    const struct repository_purpose purpose = {true, true};

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(url, sizeof(url), "file://%s/none", folder);
    struct settings *settings = settings_of(url, NULL);
    enum cpam_status status =
        repository_open(io_posix(), settings, &settings->repositories[0], purpose,
                        deadline_after(io_posix(), 5000000), &repository, &err);
    ck_assert_msg(status == CPAM_REFUSED || status == CPAM_NOT_FOUND, "%s: %s",
                  cpam_status_name(status), err.text);
    ck_assert_ptr_nonnull(strstr(err.text, "repository \"primary\""));
    ck_assert_ptr_null(repository);

    /* to be made: the keys and the store are there, the identity is not */
    ck_ok(repository_open_new(io_posix(), settings, &settings->repositories[0], purpose,
                              (struct deadline){0}, &repository, &err),
          &err);
    ck_assert_ptr_null(repository_repo(repository));
    ck_assert_ptr_nonnull(repository_keyring(repository));
    ck_assert_str_eq(repository_repo_settings(repository)->cluster, "demo");
    repository_free(repository);
    settings_free(settings);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repository");
    TCase *tcase = tcase_create("repository");

    tcase_add_loop_test(tcase, url_becomes_a_store, 0, COUNT_OF(good));
    tcase_add_loop_test(tcase, url_is_refused, 0, COUNT_OF(bad));
    tcase_add_test(tcase, an_absent_directory_is_refused_and_an_absent_repository_not_found);
    suite_add_tcase(suite, tcase);
    return suite;
}
