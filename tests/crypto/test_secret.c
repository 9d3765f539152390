/*
 * test_secret.c - secrets come from files that only their owner can read, and leave no traces.
 */
#include "object/fixture.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "io/file.h"

static const char *
put(const char *text, size_t size, mode_t mode)
{
    const char *path = fixture_path("key");
    struct cpam_err err;

    unlink(path);
    ck_ok(file_write_all(io_posix(), path, 0600, text, size, &err), &err);
    ck_assert_int_eq(chmod(path, mode), 0);
    return path;
}

START_TEST(file_without_its_last_newline)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    struct cpam_err err;

    ck_ok(secret_read_file(io_posix(), put("a b\n\n", 5, 0600), &secret, &err), &err);
    ck_assert_uint_eq(secret_size(secret), 4);
    ck_assert_mem_eq(secret_data(secret), "a b\n", 4);
}
END_TEST

START_TEST(E8_modes_of_others_are_refused)
{
    static const mode_t modes[] = {0640, 0604, 0660, 0610, 0601, 0644, 0777};
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    struct cpam_err err;

    for (size_t at = 0; at < sizeof(modes) / sizeof(modes[0]); at++)
    {
        ck_fails(secret_read_file(io_posix(), put("x", 1, modes[at]), &secret, &err), CPAM_USAGE,
                 "others than its owner can use it", &err);
        ck_assert_ptr_nonnull(strstr(err.hint, "chmod 0600"));
    }
    ck_ok(secret_read_file(io_posix(), put("x", 1, 0400), &secret, &err), &err);
}
END_TEST

START_TEST(E8_file_of_another_user_is_refused)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    const char *path = put("x", 1, 0600);
    struct cpam_err err;

    if (geteuid() != 0)
        return; /* nobody else can give a file away */
    ck_assert_int_eq(chown(path, 12345, 12345), 0);
    ck_fails(secret_read_file(io_posix(), path, &secret, &err), CPAM_USAGE, "belongs to user 12345",
             &err);
    /* root is not told to take the key from the server that archives with it */
    ck_assert_ptr_nonnull(strstr(err.hint, "call this program as user 12345"));
    ck_assert_ptr_null(strstr(err.hint, "chown"));
}
END_TEST

START_TEST(what_is_no_secret_file_is_refused)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    CPAM_AUTO(free) char *big = calloc(1, SECRET_MAX + 2);
    struct cpam_err err;

    memset(big, 'x', SECRET_MAX + 1);
    ck_fails(secret_read_file(io_posix(), put("", 0, 0600), &secret, &err), CPAM_USAGE, "is empty",
             &err);
    ck_fails(secret_read_file(io_posix(), put("\n", 1, 0600), &secret, &err), CPAM_USAGE,
             "is empty", &err);
    ck_fails(secret_read_file(io_posix(), put(big, SECRET_MAX + 1, 0600), &secret, &err),
             CPAM_USAGE, "more than 4096 bytes", &err);
    ck_fails(secret_read_file(io_posix(), fixture_path("absent"), &secret, &err), CPAM_NOT_FOUND,
             "No such file", &err);
    ck_fails(secret_read_file(io_posix(), fixture_dir, &secret, &err), CPAM_USAGE,
             "no regular file", &err);
    unlink(fixture_path("key"));
    ck_assert_int_eq(mkfifo(fixture_path("key"), 0600), 0); /* and it does not hang */
    ck_fails(secret_read_file(io_posix(), fixture_path("key"), &secret, &err), CPAM_USAGE,
             "no regular file", &err);
    ck_fails(secret_new("", 0, &secret, &err), CPAM_INVALID, "1 to 4096", &err);
    ck_ok(secret_read_file(io_posix(), put(big, SECRET_MAX, 0600), &secret, &err), &err);
    ck_assert_uint_eq(secret_size(secret), SECRET_MAX);
}
END_TEST

START_TEST(secrets_are_compared_by_content)
{
    CPAM_AUTO(secret_free) struct secret *a = NULL;
    CPAM_AUTO(secret_free) struct secret *b = NULL;
    CPAM_AUTO(secret_free) struct secret *c = NULL;
    CPAM_AUTO(secret_free) struct secret *d = NULL;
    struct cpam_err err;

    ck_ok(secret_new("abc", 3, &a, &err), &err);
    ck_ok(secret_new("abc", 3, &b, &err), &err);
    ck_ok(secret_new("abd", 3, &c, &err), &err);
    ck_ok(secret_new("ab", 2, &d, &err), &err);
    ck_assert(secret_equal(a, b) && !secret_equal(a, c) && !secret_equal(a, d));
}
END_TEST

START_TEST(E8_secret_pages_are_left_out_of_dumps)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    struct cpam_err err;
    char line[512];
    unsigned long from, to, at;
    bool inside = false, left_out = false;
    FILE *maps = fopen("/proc/self/smaps", "re");

    ck_assert_ptr_nonnull(maps);
    ck_ok(secret_new("abc", 3, &secret, &err), &err);
    at = (unsigned long) (uintptr_t) secret_data(secret);
    while (fgets(line, sizeof(line), maps) != NULL)
    {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from <= at && at < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            left_out = strstr(line, " dd") != NULL;
    }
    fclose(maps);
    ck_assert(left_out);
}
END_TEST

START_TEST(E8_process_makes_no_core)
{
    struct rlimit limit;

    secrets_protect_process();
    ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_max, 0);
}
END_TEST

static const struct
{
    const char *text;
    enum key_text_kind kind;
    const char *words; /* NULL: good */
} files[] = {
    {"cpam1secaebaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibafnetyw6q\n",
     KEY_TEXT_X25519_SECRET, NULL},
    {"# comment\n\n  secret cpam1secaebaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibafnetyw6q "
     "\r\n# end",
     KEY_TEXT_X25519_SECRET, NULL},
    {"# only a comment\n", KEY_TEXT_KEYFILE, "there is no key in it"},
    {"cpam1secaebaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibafnetyw6q\nmore\n",
     KEY_TEXT_X25519_SECRET, "more than one key"},
    {"cpam1secaebaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibafnetyw6q\n", KEY_TEXT_KEYFILE,
     "wanted a keyfile's key (cpam1key...), found an x25519 private key"},
    {"locked scrypt 17 00 00\n", KEY_TEXT_X25519_SECRET, "locked by a passphrase"},
    {"hunter2\n", KEY_TEXT_KEYFILE, "found no key of this suite"},
};

START_TEST(key_files_hold_one_key)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    const char *path = put(files[_i].text, strlen(files[_i].text), 0600);
    struct cpam_err err;

    if (files[_i].words != NULL)
    {
        ck_fails(key_file_read(io_posix(), path, files[_i].kind, &secret, &err), CPAM_USAGE,
                 files[_i].words, &err);
        ck_assert_ptr_nonnull(strstr(err.text, path));
        ck_assert_ptr_null(strstr(err.text, "hunter2"));
        return;
    }
    ck_ok(key_file_read(io_posix(), path, files[_i].kind, &secret, &err), &err);
    ck_assert_uint_eq(secret_data(secret)[31], 2);
}
END_TEST

START_TEST(key_file_is_new_and_its_owners_alone)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    struct cpam_err err;
    struct stat stat;

    ck_ok(secret_random(io_posix(), 32, &secret, &err), &err);
    ck_ok(key_file_write(io_posix(), fixture_path("key"), KEY_TEXT_KEYFILE, secret, "", &err),
          &err);
    ck_ok(file_stat(io_posix(), fixture_path("key"), &stat, &err), &err);
    ck_assert_uint_eq(stat.st_mode & 07777, 0600);
    ck_assert_int_eq(
        key_file_write(io_posix(), fixture_path("key"), KEY_TEXT_KEYFILE, secret, "", &err),
        CPAM_EXISTS);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("crypto/secret");
    TCase *tcase = tcase_create("secret");

    tcase_add_checked_fixture(tcase, fixture_begin, fixture_end);
    tcase_add_test(tcase, file_without_its_last_newline);
    tcase_add_test(tcase, E8_modes_of_others_are_refused);
    tcase_add_test(tcase, E8_file_of_another_user_is_refused);
    tcase_add_test(tcase, what_is_no_secret_file_is_refused);
    tcase_add_test(tcase, secrets_are_compared_by_content);
    tcase_add_test(tcase, E8_secret_pages_are_left_out_of_dumps);
    tcase_add_test(tcase, E8_process_makes_no_core);
    tcase_add_loop_test(tcase, key_files_hold_one_key, 0, sizeof(files) / sizeof(files[0]));
    tcase_add_test(tcase, key_file_is_new_and_its_owners_alone);
    suite_add_tcase(suite, tcase);
    return suite;
}
