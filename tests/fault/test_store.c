/*
 * test_store.c - the directory store with each of its calls failing, and the order of calls that
 * makes an object durable before it is acknowledged.
 */
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "io_twin.h"
#include "store/dir_store.h"

static struct io_twin *twin;
static struct store *store;
static char root[64];
static struct cpam_err err;

static void
open_store(void)
{
    twin = io_twin_new();
    snprintf(root, sizeof(root), "/tmp/cpam-fault-store.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    io_twin_plan(twin, &(struct io_twin_plan){0});
}

/* An empty directory and a store that knows nothing of it yet. */
static void
fresh(void)
{
    char command[160];

    snprintf(command, sizeof(command), "rm -rf '%s' && mkdir '%s'", root, root);
    ck_assert_int_eq(system(command), 0);
    store_free(store);
    store = NULL;
    ck_ok(dir_store_open(io_twin_io(twin), root, &store, &err), &err);
}

static void
close_store(void)
{
    char command[128];

    store_free(store);
    store = NULL;
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
    io_twin_free(twin);
}

static bool
leftovers(void)
{
    char command[128];

    snprintf(command, sizeof(command), "test -n \"$(find '%s' -name '.cpam-*')\"", root);
    return system(command) == 0;
}

/* 'a' absent, 'w' whole, 'h' anything else: seen through the real door. */
static char
state_of(const char *key, const char *content)
{
    CPAM_AUTO(store_free) struct store *real = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf body = {0};
    struct cpam_err ignored;

    ck_ok(dir_store_open(io_posix(), root, &real, &ignored), &ignored);
    enum cpam_status status = store_get_buf(real, key, NULL, NULL, &body, 1000, NULL, &ignored);
    if (status == CPAM_NOT_FOUND)
        return 'a';
    return status == CPAM_OK && strcmp(cpam_buf_text(&body), content) == 0 ? 'w' : 'h';
}

static enum cpam_status
put(void)
{
    return store_put_new(store, "wal/1/a", "content", 7, STORE_CLASS_WAL, &err);
}

static enum cpam_status
put_fd(void)
{
    FILE *file = tmpfile();

    fputs("content", file);
    fflush(file);
    enum cpam_status status =
        store_put_new_fd(store, "wal/1/a", fileno(file), 7, STORE_CLASS_WAL, &err);
    fclose(file);
    return status;
}

static enum cpam_status
put_stream(void)
{
    CPAM_AUTO(sink_free) struct sink *sink = NULL;

    CPAM_TRY(store_put_stream(store, "wal/1/a", STORE_CLASS_WAL, &sink, &err));
    CPAM_TRY(sink_write(sink, "con", 3, &err));
    CPAM_TRY(sink_write(sink, "tent", 4, &err));
    return sink_finish(sink, &err);
}

static enum cpam_status (*const puts_of[])(void) = {put, put_fd, put_stream};

START_TEST(P1_a_put_with_each_call_failing)
{
    fresh();
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_ok(puts_of[_i](), &err);
    unsigned calls = io_twin_calls(twin);
    ck_assert_uint_gt(calls, 15);
    for (unsigned call = 1; call <= calls; call++)
    {
        fresh();
        io_twin_plan(twin, &(struct io_twin_plan){.fail_call = call, .fail_errno = EIO});
        enum cpam_status status = puts_of[_i]();
        char state = state_of("wal/1/a", "content");

        ck_assert_msg(status == CPAM_OK ? state == 'w' : state != 'h', "call %u: %s, state %c",
                      call, cpam_status_name(status), state);
        ck_assert_msg(status != CPAM_NOT_FOUND && status != CPAM_EXISTS, "call %u: %s", call,
                      err.text);
        ck_assert_msg(!leftovers(), "call %u leaves a temporary", call);
        ck_assert_msg(io_twin_open_fds(twin) == 0, "call %u leaves a descriptor", call);
        if (status != CPAM_OK && state == 'a')
            ck_ok(puts_of[_i](), &err); /* and the next push works, with the same store */
    }
}
END_TEST

START_TEST(T10_every_fsync_that_fails_is_told)
{
    for (unsigned nth = 1;; nth++)
    {
        fresh();
        io_twin_plan(twin, &(struct io_twin_plan){
                               .fail_call = nth, .fail_kind = "fsync", .fail_errno = EIO});
        enum cpam_status status = put();
        if (io_twin_find(twin, "fsync", (int) nth) < 0)
        {
            ck_assert_int_eq(status, CPAM_OK);
            ck_assert_uint_eq(nth, 5); /* root, wal, the file, wal/1: four of them */
            return;
        }
        ck_fails(status, CPAM_IO, "could not flush to disk", &err);
    }
}
END_TEST

START_TEST(directories_are_made_durable_from_the_root_down)
{
    char words[100];

    fresh();
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_ok(put(), &err);
    int made_wal = io_twin_find(twin, "mkdir wal", 1);
    int root_synced = io_twin_find(twin, "fsync", 1);
    int made_1 = io_twin_find(twin, "mkdir wal/1", 1);
    int wal_synced = io_twin_find(twin, "fsync", 2);
    int file_synced = io_twin_find(twin, "fsync .cpam-", 1);
    int linked = io_twin_find(twin, "link wal/1/a", 1);
    int unlinked = io_twin_find(twin, "unlink .cpam-", 1);
    int last = io_twin_find(twin, "fsync", 4);

    ck_assert_int_lt(made_wal, root_synced);
    ck_assert_int_lt(root_synced, made_1);
    ck_assert_int_lt(made_1, wal_synced);
    ck_assert_int_lt(wal_synced, file_synced);
    ck_assert_int_lt(file_synced, linked);
    ck_assert_int_lt(linked, unlinked);
    ck_assert_int_lt(unlinked, last);
    snprintf(words, sizeof(words), "fsync %s/wal/1", root);
    ck_assert_int_eq(io_twin_find(twin, words, 2), last);

    /* the second object of a folder costs two fsyncs: its own and the folder's */
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_ok(store_put_new(store, "wal/1/b", "x", 1, STORE_CLASS_WAL, &err), &err);
    ck_assert_int_ge(io_twin_find(twin, "fsync", 2), 0);
    ck_assert_int_lt(io_twin_find(twin, "fsync", 3), 0);
}
END_TEST

START_TEST(P1_what_another_put_is_settled_before_it_is_acknowledged)
{
    CPAM_AUTO(store_free) struct store *second = NULL;

    fresh();
    ck_ok(put(), &err);
    ck_ok(dir_store_open(io_twin_io(twin), root, &second, &err), &err);
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_ok(store_settle(second, "wal/1/a", &err), &err);
    unsigned calls = io_twin_calls(twin);
    /* the object, root, wal, wal/1 */
    ck_assert_int_ge(io_twin_find(twin, "fsync", 4), 0);
    ck_assert_int_ge(io_twin_find(twin, "fsync wal/1/a", 1), 0);
    ck_fails(store_settle(second, "wal/1/b", &err), CPAM_NOT_FOUND, "is not in", &err);
    for (unsigned call = 1; call <= calls; call++)
    {
        store_free(CPAM_STEAL(second));
        ck_ok(dir_store_open(io_twin_io(twin), root, &second, &err), &err);
        io_twin_plan(twin, &(struct io_twin_plan){.fail_call = call, .fail_errno = EIO});
        enum cpam_status status = store_settle(second, "wal/1/a", &err);
        /* of a descriptor that was only read from, a failing close says nothing */
        ck_assert(status != CPAM_OK || strstr(io_twin_trace(twin), "close") != NULL);
        ck_assert_int_eq(io_twin_open_fds(twin), 0);
    }
    for (unsigned nth = 1; nth <= 4; nth++)
    {
        store_free(CPAM_STEAL(second));
        ck_ok(dir_store_open(io_twin_io(twin), root, &second, &err), &err);
        io_twin_plan(twin, &(struct io_twin_plan){
                               .fail_call = nth, .fail_kind = "fsync", .fail_errno = EIO});
        ck_fails(store_settle(second, "wal/1/a", &err), CPAM_IO, "could not flush", &err);
    }
}
END_TEST

/* Reading: a failure of any call is never an absence. */
static enum cpam_status
stop_at_none(void *arg, const struct store_entry *entry, struct cpam_err *e)
{
    (void) entry;
    (void) e;
    ++*(int *) arg;
    return CPAM_OK;
}

static enum cpam_status
head_present(void)
{
    struct store_info info;

    return store_head(store, "wal/1/a", &info, &err);
}

static enum cpam_status
head_absent(void)
{
    struct store_info info;

    return store_head(store, "wal/1/b", &info, &err);
}

static enum cpam_status
get(void)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf body = {0};

    CPAM_TRY(store_get_buf(store, "wal/1/a", NULL, NULL, &body, 100, NULL, &err));
    ck_assert_str_eq(cpam_buf_text(&body), "content");
    return CPAM_OK;
}

static enum cpam_status
list(void)
{
    int count = 0;

    CPAM_TRY(store_list(store, "wal/", NULL, false, stop_at_none, &count, &err));
    ck_assert_int_eq(count, 2);
    return CPAM_OK;
}

static enum cpam_status
versions(void)
{
    struct store_version version;
    size_t count;

    CPAM_TRY(store_versions(store, "wal/1/a", &version, 1, &count, &err));
    ck_assert_uint_eq(count, 1);
    return CPAM_OK;
}

static const struct
{
    enum cpam_status (*run)(void);
    enum cpam_status plain;
} reads[] = {{head_present, CPAM_OK},
             {head_absent, CPAM_NOT_FOUND},
             {get, CPAM_OK},
             {list, CPAM_OK},
             {versions, CPAM_OK}};

START_TEST(F2_no_failure_of_a_call_is_an_absence)
{
    static const int numbers[] = {EIO, ESTALE, EACCES, ENOMEM, EMFILE, ETIMEDOUT};

    fresh();
    ck_ok(put(), &err);
    ck_ok(store_put_new(store, "wal/2/a", "x", 1, STORE_CLASS_WAL, &err), &err);
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_assert_int_eq(reads[_i].run(), reads[_i].plain);
    unsigned calls = io_twin_calls(twin);
    for (size_t number = 0; number < sizeof(numbers) / sizeof(*numbers); number++)
        for (unsigned call = 1; call <= calls; call++)
        {
            io_twin_plan(twin,
                         &(struct io_twin_plan){.fail_call = call, .fail_errno = numbers[number]});
            enum cpam_status status = reads[_i].run();
            bool closed = status == reads[_i].plain; /* only a close may fail unseen */

            ck_assert_msg(closed || status == CPAM_UNKNOWN || status == CPAM_REFUSED, "call %u: %s",
                          call, cpam_status_name(status));
            if (closed)
            {
                const char *line = io_twin_trace(twin);
                for (unsigned i = 1; i < call; i++)
                    line = strchr(line, '\n') + 1;
                ck_assert_msg(strncmp(line, "close", 5) == 0, "failed unseen: %.60s", line);
            }
            ck_assert_int_eq(io_twin_open_fds(twin), 0);
        }
}
END_TEST

START_TEST(F2_absence_is_asked_for_anew_on_the_way_down)
{
    fresh();
    ck_ok(put(), &err);
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_assert_int_eq(head_absent(), CPAM_NOT_FOUND);
    /* root, the object at once, then wal, 1 and the object again */
    ck_assert_int_ge(io_twin_find(twin, "open", 5), 0);
    ck_assert_int_lt(io_twin_find(twin, "open", 6), 0);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("fault/store");
    TCase *tcase = tcase_create("store");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, open_store, close_store);
    tcase_add_loop_test(tcase, P1_a_put_with_each_call_failing, 0, 3);
    tcase_add_test(tcase, T10_every_fsync_that_fails_is_told);
    tcase_add_test(tcase, directories_are_made_durable_from_the_root_down);
    tcase_add_test(tcase, P1_what_another_put_is_settled_before_it_is_acknowledged);
    tcase_add_loop_test(tcase, F2_no_failure_of_a_call_is_an_absence, 0,
                        sizeof(reads) / sizeof(*reads));
    tcase_add_test(tcase, F2_absence_is_asked_for_anew_on_the_way_down);
    suite_add_tcase(suite, tcase);
    return suite;
}
