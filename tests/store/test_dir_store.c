/*
 * test_dir_store.c - a directory store keeps the store's promises: names taken once, absence proven,
 * ranges exact, listings in the byte order of whole keys.
 */
#include "dir_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static void
put(const char *key, const char *body)
{
    ck_ok(store_put_new(store, key, body, strlen(body), STORE_CLASS_WAL, &err), &err);
}

static void
body_is(const char *key, const char *body)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};

    ck_ok(store_get_buf(store, key, NULL, NULL, &buf, 100, NULL, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&buf), body);
}

static const char *const keys_refused[] = {
    "",    "/",      "/a",  "a/",   "a//b",      ".",   "..",  "a/..", "../a", "a/./b",
    "./a", "a/../b", "a b", "a\nb", "a\xc3\xa4", "a+b", "a:b", "a\\b", "a\"b",
};

START_TEST(a_key_that_is_none_is_refused)
{
    const char *key = keys_refused[_i];
    struct store_info info;

    ck_fails(store_put_new(store, key, "x", 1, STORE_CLASS_WAL, &err), CPAM_INVALID,
             "is not a valid key", &err);
    ck_fails(store_head(store, key, &info, &err), CPAM_INVALID, "is not a valid key", &err);
    ck_fails(store_remove(store, key, &err), CPAM_INVALID, "is not a valid key", &err);
}
END_TEST

static const char *const keys_accepted[] = {
    "a",   "repo.json", "a/b", "wal/7301234567890123456/00000001/0000000A/000000010000000A000000FE",
    "...", "a/...",     ".x",  "-",
    "_",   "a..b/c..",
};

START_TEST(a_key_is_taken_once)
{
    const char *key = keys_accepted[_i];
    struct store_info info;
    struct stat about;
    char path[256];

    put(key, "first");
    ck_fails(store_put_new(store, key, "other", 5, STORE_CLASS_WAL, &err), CPAM_EXISTS, "already",
             &err);
    body_is(key, "first");
    ck_ok(store_head(store, key, &info, &err), &err);
    ck_assert_uint_eq(info.size, 5);
    ck_assert_int_gt(info.modified, INT64_C(1600000000000000));
    ck_assert_str_eq(info.version, "");
    snprintf(path, sizeof(path), "%s/%s", root, key);
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_mode & 07777, 0400);
}
END_TEST

START_TEST(a_key_too_long_is_refused)
{
    char key[STORE_KEY_MAX + 2];

    for (size_t i = 0; i < sizeof(key) - 1; i++)
        key[i] = i % 100 == 99 ? '/' : 'a';
    key[sizeof(key) - 1] = '\0';
    ck_fails(store_put_new(store, key, "x", 1, STORE_CLASS_WAL, &err), CPAM_INVALID,
             "is not a valid key", &err);
    key[STORE_KEY_MAX - 1] = 'b';
    key[STORE_KEY_MAX] = '\0';
    put(key, "x");
    body_is(key, "x");
}
END_TEST

START_TEST(F2_absent_only_when_the_root_is_there)
{
    struct store_info info;
    struct store_version version;
    size_t count = 7;
    CPAM_AUTO(store_free) struct store *gone = NULL;
    char path[128];

    ck_fails(store_head(store, "wal/1", &info, &err), CPAM_NOT_FOUND, "is not in file:///tmp",
             &err);
    put("wal/1", "x");
    ck_fails(store_head(store, "wal/2", &info, &err), CPAM_NOT_FOUND, "\"wal/2\" is not in", &err);
    ck_fails(store_head(store, "wal", &info, &err), CPAM_NOT_FOUND, "\"wal\" is not in", &err);
    ck_ok(store_versions(store, "wal/2", &version, 1, &count, &err), &err);
    ck_assert_uint_eq(count, 0);
    ck_ok(store_versions(store, "wal/1", &version, 1, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(version.id, "");
    ck_assert(!version.is_marker);

    snprintf(path, sizeof(path), "%s/unmounted", root);
    ck_ok(dir_store_open(io_posix(), path, &gone, &err), &err);
    ck_fails(store_head(gone, "wal/1", &info, &err), CPAM_REFUSED, "could not open the repository",
             &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "mounted"));
    ck_fails(store_put_new(gone, "wal/1", "x", 1, STORE_CLASS_WAL, &err), CPAM_REFUSED,
             "No such file or directory", &err);
    ck_fails(store_remove(gone, "wal/1", &err), CPAM_REFUSED, "could not open", &err);
    ck_fails(store_versions(gone, "wal/1", &version, 1, &count, &err), CPAM_REFUSED,
             "could not open", &err);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(F2_what_is_no_object_is_not_absent)
{
    struct store_info info;

    put("wal/1", "x");
    shell("mkfifo pipe && ln -s loop loop && mkdir closed && touch closed/a");
    ck_fails(store_head(store, "pipe", &info, &err), CPAM_CORRUPT, "is not a regular file", &err);
    ck_fails(store_head(store, "wal/1/2", &info, &err), CPAM_UNKNOWN, "Not a directory", &err);
    ck_fails(store_head(store, "loop", &info, &err), CPAM_UNKNOWN, "symbolic links", &err);
    if (geteuid() == 0)
        return; /* root reads everything; F2_no_permission_is_not_absence drops to nobody */
    shell("chmod 000 closed");
    ck_fails(store_head(store, "closed/a", &info, &err), CPAM_REFUSED, "Permission denied", &err);
}
END_TEST

START_TEST(F2_no_permission_is_not_absence)
{
    struct store_info info;
    struct store_version version;
    size_t count;

    put("wal/1", "x");
    shell("chmod 711 . && chmod 000 wal");
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    enum cpam_status status = store_head(store, "wal/2", &info, &err);
    /* the root itself can't be read by that user either: both ways it is a refusal */
    ck_assert_int_eq(status, CPAM_REFUSED);
    ck_assert_int_eq(store_versions(store, "wal/2", &version, 1, &count, &err), CPAM_REFUSED);
    ck_assert_int_eq(store_put_new(store, "wal/2", "x", 1, STORE_CLASS_WAL, &err), CPAM_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "Permission denied"));
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

static const struct
{
    uint64_t offset, size;
    const char *body; /* NULL: refused */
} ranges[] = {
    {0, 0, "0123456789"},  {0, 10, "0123456789"}, {0, 1, "0"},   {9, 1, "9"},
    {3, 4, "3456"},        {7, 0, "789"},         {10, 0, NULL}, {10, 1, NULL},
    {11, 0, NULL},         {9, 2, NULL},          {0, 11, NULL}, {UINT64_MAX, 1, NULL},
    {1, UINT64_MAX, NULL},
};

START_TEST(a_range_is_exact_or_refused)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    struct store_range range = {ranges[_i].offset, ranges[_i].size};
    struct store_info info;

    put("a", "0123456789");
    if (ranges[_i].body == NULL)
    {
        ck_fails(store_get_buf(store, "a", NULL, &range, &buf, 100, &info, &err), CPAM_CORRUPT,
                 "cut short", &err);
        return;
    }
    ck_ok(store_get_buf(store, "a", "", &range, &buf, 100, &info, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&buf), ranges[_i].body);
    ck_assert_uint_eq(info.size, 10);
}
END_TEST

START_TEST(get_refuses_what_it_should)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};

    put("a", "0123456789");
    put("empty", "");
    body_is("empty", "");
    ck_fails(store_get_buf(store, "a", NULL, NULL, &buf, 9, NULL, &err), CPAM_CORRUPT,
             "larger than the allowed 9 bytes", &err);
    ck_fails(store_get_buf(store, "a", "v1", NULL, &buf, 100, NULL, &err), CPAM_INVALID,
             "no versions", &err);
    ck_fails(store_get_buf(store, "b", NULL, NULL, &buf, 9, NULL, &err), CPAM_NOT_FOUND,
             "is not in", &err);
    store->deadline = deadline_after(io_posix(), -1);
    ck_fails(store_get_buf(store, "a", NULL, NULL, &buf, 100, NULL, &err), CPAM_DEADLINE,
             "is used up", &err);
    ck_fails(store_put_new(store, "c", "x", 1, STORE_CLASS_WAL, &err), CPAM_DEADLINE, "is used up",
             &err);
}
END_TEST

START_TEST(a_body_from_a_descriptor)
{
    FILE *file = tmpfile();
    size_t size = (2 << 20) + 5;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};

    for (size_t i = 0; i < size; i++)
        putc((int) (i * 31 >> 4 & 255), file);
    ck_assert_int_eq(fflush(file), 0);
    ck_ok(store_put_new_fd(store, "w/a", fileno(file), size, STORE_CLASS_WAL, &err), &err);
    ck_ok(store_get_buf(store, "w/a", NULL, NULL, &buf, size, NULL, &err), &err);
    ck_assert_uint_eq(buf.size, size);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(buf.data[i], (uint8_t) (i * 31 >> 4));
    ck_fails(store_put_new_fd(store, "w/a", fileno(file), size, STORE_CLASS_WAL, &err), CPAM_EXISTS,
             "already", &err);
    ck_fails(store_put_new_fd(store, "w/b", fileno(file), size + 1, STORE_CLASS_WAL, &err),
             CPAM_INVALID, "ended after", &err);
    ck_fails(store_get_buf(store, "w/b", NULL, NULL, &buf, size, NULL, &err), CPAM_NOT_FOUND,
             "is not in", &err);
    ck_assert_int_eq(fclose(file), 0);
}
END_TEST

START_TEST(a_stream_appears_at_its_finish)
{
    struct sink *sink = NULL;
    struct store_info info;

    ck_ok(store_put_stream(store, "backup/l/manifest", STORE_CLASS_BASE, &sink, &err), &err);
    ck_ok(sink_write(sink, "one ", 4, &err), &err);
    ck_fails(store_head(store, "backup/l/manifest", &info, &err), CPAM_NOT_FOUND, "is not in",
             &err);
    ck_ok(sink_write(sink, "two", 3, &err), &err);
    ck_ok(sink_finish(sink, &err), &err);
    sink_free(sink);
    body_is("backup/l/manifest", "one two");

    sink = NULL;
    ck_ok(store_put_stream(store, "backup/l/blocks", STORE_CLASS_BASE, &sink, &err), &err);
    ck_ok(sink_write(sink, "half", 4, &err), &err);
    sink_free(sink);
    ck_fails(store_head(store, "backup/l/blocks", &info, &err), CPAM_NOT_FOUND, "is not in", &err);
    shell("test -z \"$(find . -name '.cpam-*')\"");

    sink = NULL;
    ck_ok(store_put_stream(store, "backup/l/manifest", STORE_CLASS_BASE, &sink, &err), &err);
    ck_fails(sink_finish(sink, &err), CPAM_EXISTS, "already", &err);
    sink_free(sink);
    body_is("backup/l/manifest", "one two");
}
END_TEST

START_TEST(a_removed_directory_is_made_again)
{
    put("a/b/1", "x");
    shell("rm -rf a");
    put("a/b/1", "y");
    body_is("a/b/1", "y");
}
END_TEST

START_TEST(removing)
{
    struct store_info info;

    put("a/b", "x");
    ck_ok(store_remove(store, "a/b", &err), &err);
    ck_ok(store_remove(store, "a/b", &err), &err);
    ck_ok(store_remove(store, "z", &err), &err);
    ck_fails(store_head(store, "a/b", &info, &err), CPAM_NOT_FOUND, "is not in", &err);
}
END_TEST

/* What a listing says, joined by blanks; a prefix as it is. */
static struct cpam_buf listed;

static enum cpam_status
note(void *arg, const struct store_entry *entry, struct cpam_err *e)
{
    size_t *stop = arg;

    if (stop != NULL && (*stop)-- == 0)
        return CPAM_CANCELLED;
    ck_assert(entry->is_prefix == (entry->key[strlen(entry->key) - 1] == '/'));
    ck_assert(entry->is_prefix || (entry->size == 1 && entry->modified > 0));
    return cpam_buf_printf(&listed, 10000, e, listed.size == 0 ? "%s" : " %s", entry->key);
}

static const struct
{
    const char *prefix, *after;
    bool delimited;
    const char *keys;
} listings[] = {
    {"", NULL, false, "a-b a.x a/1 a/2/x a/2/y a/3 a0 b/c/d repo.json"},
    {"a", NULL, false, "a-b a.x a/1 a/2/x a/2/y a/3 a0"},
    {"a/", NULL, false, "a/1 a/2/x a/2/y a/3"},
    {"a/2", NULL, false, "a/2/x a/2/y"},
    {"a/2/", NULL, false, "a/2/x a/2/y"},
    {"a/2/x", NULL, false, "a/2/x"},
    {"nothing", NULL, false, ""},
    {"nothing/at/all", NULL, false, ""},
    {"", NULL, true, "a-b a.x a/ a0 b/ repo.json"},
    {"a", NULL, true, "a-b a.x a/ a0"},
    {"a/", NULL, true, "a/1 a/2/ a/3"},
    {"b/", NULL, true, "b/c/"},
    {"", "a/2/x", false, "a/2/y a/3 a0 b/c/d repo.json"},
    {"", "a/2", false, "a/2/x a/2/y a/3 a0 b/c/d repo.json"},
    {"", "a/", false, "a/1 a/2/x a/2/y a/3 a0 b/c/d repo.json"},
    {"", "a.x", false, "a/1 a/2/x a/2/y a/3 a0 b/c/d repo.json"},
    {"", "a/9", false, "a0 b/c/d repo.json"},
    {"", "zzz", false, ""},
    {"a/", "a/2/x", false, "a/2/y a/3"},
    {"a/", "a/1", true, "a/2/ a/3"},
    {"a/", "a/2/x", true, "a/2/ a/3"},
    {"a/", "a/2/y", true, "a/3"},
    {"a/", "a/2/~", true, "a/3"},
    {"", "b/", true, "b/ repo.json"},
};

static void
fill(void)
{
    static const char *const keys[] = {"a/3",   "a0",  "a/2/y", "a-b",      "a/1",
                                       "a/2/x", "a.x", "b/c/d", "repo.json"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        put(keys[i], "x");
    shell("mkdir -p empty/deeper a/4 'lost+found' && touch .cpam-1 a/.cpam-2 'b/c/no key' && "
          "touch empty/.cpam-3 && mkfifo a/pipe");
}

START_TEST(a_listing_is_in_byte_order)
{
    fill();
    listed.size = 0;
    ck_ok(store_list(store, listings[_i].prefix, listings[_i].after, listings[_i].delimited, note,
                     NULL, &err),
          &err);
    ck_assert_str_eq(cpam_buf_text(&listed), listings[_i].keys);
}
END_TEST

START_TEST(a_listing_stops_or_fails_when_told)
{
    size_t two = 2;

    fill();
    listed.size = 0;
    ck_ok(store_list(store, "", NULL, false, note, &two, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&listed), "a-b a.x");
    ck_fails(store_list(store, "a/../b", NULL, false, note, NULL, &err), CPAM_INVALID,
             "is not a valid prefix", &err);
    ck_fails(store_list(store, "/", NULL, false, note, NULL, &err), CPAM_INVALID,
             "is not a valid prefix", &err);
    ck_fails(store_list(store, "repo.json/", NULL, false, note, NULL, &err), CPAM_UNKNOWN,
             "Not a directory", &err);
    store->deadline = deadline_after(io_posix(), -1);
    ck_fails(store_list(store, "", NULL, false, note, NULL, &err), CPAM_DEADLINE, "used up", &err);
    store->deadline.at = 0;
    shell("chmod 711 . && chmod 000 b");
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_eq(store_list(store, "", NULL, false, note, NULL, &err), CPAM_REFUSED);
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
    shell("mv \"$PWD\" \"$PWD-away\"");
    ck_fails(store_list(store, "", NULL, false, note, NULL, &err), CPAM_REFUSED,
             "could not open the repository", &err);
    char from[80];
    snprintf(from, sizeof(from), "%s-away", root);
    ck_assert_int_eq(rename(from, root), 0);
}
END_TEST

START_TEST(prepare_makes_and_proves)
{
    CPAM_AUTO(store_free) struct store *fresh = NULL;
    char path[128];

    snprintf(path, sizeof(path), "%s/backups/cpam/demo/", root);
    ck_ok(dir_store_open(io_posix(), path, &fresh, &err), &err);
    ck_ok(store_prepare(fresh, &err), &err);
    ck_ok(store_prepare(fresh, &err), &err);
    listed.size = 0;
    ck_ok(store_list(fresh, "", NULL, false, note, NULL, &err), &err);
    ck_assert_uint_eq(listed.size, 0);

    CPAM_AUTO(store_free) struct store *bad = NULL;
    shell("touch file");
    snprintf(path, sizeof(path), "%s/file/demo", root);
    ck_ok(dir_store_open(io_posix(), path, &bad, &err), &err);
    ck_fails(store_prepare(bad, &err), CPAM_IO, "Not a directory", &err);
}
END_TEST

START_TEST(a_root_must_be_absolute)
{
    struct store *none = NULL;

    ck_fails(dir_store_open(io_posix(), "backups", &none, &err), CPAM_USAGE, "absolute path", &err);
    ck_fails(dir_store_open(io_posix(), "", &none, &err), CPAM_USAGE, "absolute path", &err);
    ck_fails(dir_store_open(io_posix(), "///", &none, &err), CPAM_USAGE, "absolute path", &err);
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(the_sooner_deadline_counts)
{
    struct io *io = io_posix();

    ck_assert_int_eq(store_operation_deadline(store).at, 0);
    store->patience = 1000000;
    int64_t left = deadline_left(io, store_operation_deadline(store));
    ck_assert(left > 0 && left <= 1000000);
    store->deadline = deadline_after(io, 1000);
    ck_assert_int_le(deadline_left(io, store_operation_deadline(store)), 1000);
}
END_TEST

#define COUNT(table) (int) (sizeof(table) / sizeof(*(table)))

Suite *
suite(void)
{
    Suite *suite = suite_create("store/dir_store");
    TCase *tcase = tcase_create("dir_store");

    tcase_add_checked_fixture(tcase, open_store, close_store);
    tcase_add_loop_test(tcase, a_key_that_is_none_is_refused, 0, COUNT(keys_refused));
    tcase_add_loop_test(tcase, a_key_is_taken_once, 0, COUNT(keys_accepted));
    tcase_add_test(tcase, a_key_too_long_is_refused);
    tcase_add_test(tcase, F2_absent_only_when_the_root_is_there);
    tcase_add_test(tcase, F2_what_is_no_object_is_not_absent);
    tcase_add_test(tcase, F2_no_permission_is_not_absence);
    tcase_add_loop_test(tcase, a_range_is_exact_or_refused, 0, COUNT(ranges));
    tcase_add_test(tcase, get_refuses_what_it_should);
    tcase_add_test(tcase, a_body_from_a_descriptor);
    tcase_add_test(tcase, a_stream_appears_at_its_finish);
    tcase_add_test(tcase, a_removed_directory_is_made_again);
    tcase_add_test(tcase, removing);
    tcase_add_loop_test(tcase, a_listing_is_in_byte_order, 0, COUNT(listings));
    tcase_add_test(tcase, a_listing_stops_or_fails_when_told);
    tcase_add_test(tcase, prepare_makes_and_proves);
    tcase_add_test(tcase, a_root_must_be_absolute);
    tcase_add_test(tcase, the_sooner_deadline_counts);
    suite_add_tcase(suite, tcase);
    return suite;
}
