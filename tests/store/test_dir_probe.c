/*
 * test_dir_probe.c - a directory that does not keep what a repository needs is refused before the
 * first backup: a directory store whose answers one wrapper turns into lies.
 */
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/dir_probe.h"
#include "store/dir_store.h"
#include "store/store.h"

enum lie
{
    TAKES_A_SECOND_WRITER,
    LOSES_A_BYTE,
    LISTS_NOTHING,
    LISTS_TOO_MUCH,
    LISTS_ANOTHER_NAME,
    CANNOT_WRITE,
    CANNOT_REFUSE,
    CANNOT_READ,
    CANNOT_LIST,
    CANNOT_REMOVE,
    NO_LIE
};

static char dir[64], root[80];
static struct store *real;
static const struct store_ops *real_ops;
static struct store_ops lying_ops;
static enum lie lie;
static unsigned puts_seen;
static struct cpam_err err;

static enum cpam_status
lying_put(struct store *store, const char *key, const void *data, size_t size,
          enum store_class class, struct cpam_err *out)
{
    puts_seen++;
    if (lie == CANNOT_WRITE)
        return cpam_fail(out, CPAM_IO, ENOSPC, "could not write \"%s\"", key);
    enum cpam_status status = real_ops->put_new(store, key, data, size, class, out);
    if (status == CPAM_EXISTS && lie == TAKES_A_SECOND_WRITER)
        return CPAM_OK;
    if (status == CPAM_EXISTS && lie == CANNOT_REFUSE)
        return cpam_fail(out, CPAM_IO, EIO, "could not link \"%s\"", key);
    return status;
}

static enum cpam_status
lying_get(struct store *store, const char *key, const char *version,
          const struct store_range *range, struct sink *to, struct store_info *info,
          struct cpam_err *out)
{
    if (lie == CANNOT_READ)
        return cpam_fail(out, CPAM_IO, EIO, "could not read \"%s\"", key);
    if (lie == LOSES_A_BYTE)
        return sink_write(to, "firs", 4, out);
    return real_ops->get(store, key, version, range, to, info, out);
}

static enum cpam_status
lying_list(struct store *store, const char *prefix, const char *after, bool delimited,
           store_list_fn fn, void *arg, struct cpam_err *out)
{
    struct store_entry stranger = {.key = "probe/not/ours"};

    if (lie == CANNOT_LIST)
        return cpam_fail(out, CPAM_IO, EIO, "could not list \"%s\"", prefix);
    if (lie == LISTS_NOTHING)
        return CPAM_OK;
    if (lie == LISTS_ANOTHER_NAME)
        return fn(arg, &stranger, out);
    CPAM_TRY(real_ops->list(store, prefix, after, delimited, fn, arg, out));
    return lie == LISTS_TOO_MUCH ? fn(arg, &stranger, out) : CPAM_OK;
}

static enum cpam_status
lying_remove(struct store *store, const char *key, struct cpam_err *out)
{
    if (lie == CANNOT_REMOVE)
        return cpam_fail(out, CPAM_IO, EROFS, "could not remove \"%s\"", key);
    return real_ops->remove(store, key, out);
}

static void
make_place(void)
{
    snprintf(dir, sizeof(dir), "/tmp/cpam-probe.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(root, sizeof(root), "%s/repo", dir);
    ck_assert_int_eq(mkdir(root, 0750), 0);
    ck_ok(dir_store_open(io_posix(), root, &real, &err), &err);
    real_ops = real->ops;
    lying_ops = *real_ops;
    lying_ops.put_new = lying_put;
    lying_ops.get = lying_get;
    lying_ops.list = lying_list;
    lying_ops.remove = lying_remove;
    real->ops = &lying_ops;
    lie = NO_LIE;
    puts_seen = 0;
}

static void
remove_place(void)
{
    char command[128];

    real->ops = real_ops;
    store_free(real);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static bool
probes_left(void)
{
    char command[128];

    snprintf(command, sizeof(command), "find '%s' -type f | grep -q probe", root);
    return system(command) == 0;
}

static const struct
{
    enum lie lie;
    enum cpam_status status;
    const char *words, *hint;
} lies[] = {
    {TAKES_A_SECOND_WRITER, CPAM_REFUSED, "lets a second writer take a name that is taken",
     "hard links"},
    {LOSES_A_BYTE, CPAM_CORRUPT, "gives back other bytes than were stored", ""},
    {LISTS_NOTHING, CPAM_UNKNOWN, "does not show \"probe/", ""},
    {LISTS_TOO_MUCH, CPAM_UNKNOWN, "\"probe/not/ours\", which nobody wrote", ""},
    {LISTS_ANOTHER_NAME, CPAM_UNKNOWN, "does not show \"probe/", ""},
    {CANNOT_WRITE, CPAM_IO, "No space left on device", ""},
    {CANNOT_REFUSE, CPAM_IO, "could not link", ""},
    {CANNOT_READ, CPAM_IO, "could not read", ""},
    {CANNOT_LIST, CPAM_IO, "could not list", ""},
};

START_TEST(a_lie_is_found_out_and_nothing_is_left_over)
{
    lie = lies[_i].lie;
    ck_fails(dir_probe(real, root, 0750, &err), lies[_i].status, lies[_i].words, &err);
    ck_assert_ptr_nonnull(strstr(err.hint, lies[_i].hint));
    ck_assert(!probes_left());
}
END_TEST

START_TEST(an_honest_directory_passes_and_is_as_before)
{
    ck_ok(dir_probe(real, root, 0750, &err), &err);
    ck_assert_uint_ge(puts_seen, 4);
    ck_assert(!probes_left());
}
END_TEST

START_TEST(a_probe_that_stays_is_told)
{
    lie = CANNOT_REMOVE;
    ck_fails(dir_probe(real, root, 0750, &err), CPAM_IO, "could not remove \"probe/", &err);
}
END_TEST

START_TEST(a_place_that_cannot_be_made_says_what_to_do)
{
    char inside[128];

    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    snprintf(inside, sizeof(inside), "%s/deeper/still", root);
    enum cpam_status status = dir_probe(real, inside, 0750, &err);
    if (getuid() == 0)
    {
        ck_assert_int_eq(seteuid(0), 0);
        ck_fails(status, CPAM_REFUSED, "Permission denied", &err);
        ck_assert_ptr_nonnull(strstr(err.hint, "give it to the user this program runs as"));
    }
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("store/dir_probe");
    TCase *tcase = tcase_create("probe");

    tcase_add_checked_fixture(tcase, make_place, remove_place);
    tcase_add_loop_test(tcase, a_lie_is_found_out_and_nothing_is_left_over, 0,
                        sizeof(lies) / sizeof(lies[0]));
    tcase_add_test(tcase, an_honest_directory_passes_and_is_as_before);
    tcase_add_test(tcase, a_probe_that_stays_is_told);
    tcase_add_test(tcase, a_place_that_cannot_be_made_says_what_to_do);
    suite_add_tcase(suite, tcase);
    return suite;
}
