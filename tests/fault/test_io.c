/*
 * test_io.c - every call of every pipeline in common/io fails once: the status comes back, nothing
 * is left over, no descriptor stays open, and the trace has the order that makes a file durable.
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "io_twin.h"

static struct io_twin *twin;
static char dir[64];
static char path[128];
static struct cpam_err err;

static void
make_place(void)
{
    twin = io_twin_new();
    snprintf(dir, sizeof(dir), "/tmp/cpam-fault-io.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/object", dir);
}

static void
empty_place(void)
{
    char command[128];

    snprintf(command, sizeof(command), "cd '%s' && rm -rf ..?* .[!.]* *", dir);
    ck_assert_int_eq(system(command), 0);
}

static void
remove_place(void)
{
    empty_place();
    ck_assert_int_eq(rmdir(dir), 0);
    io_twin_free(twin);
}

/* How many names are here besides `name`. */
static int
others(const char *name)
{
    int count = 0;
    DIR *list = opendir(dir);
    struct dirent *entry;

    ck_assert_ptr_nonnull(list);
    while ((entry = readdir(list)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strcmp(entry->d_name, name) != 0;
    closedir(list);
    return count;
}

static bool
holds(const char *text)
{
    struct cpam_buf buf = {0};
    struct cpam_err ignored;
    bool same = file_read_all(io_posix(), path, 1000, &buf, &ignored) == CPAM_OK &&
                buf.size == strlen(text) && memcmp(buf.data, text, buf.size) == 0;

    cpam_buf_clear(&buf);
    return same;
}

/* The pipelines: each stores "content" at path. */
static enum cpam_status
write_new(void)
{
    return file_write_new(io_twin_io(twin), path, 0400, "content", 7, &err);
}

static enum cpam_status
write_all(void)
{
    return file_write_all(io_twin_io(twin), path, 0600, "content", 7, &err);
}

static enum cpam_status
pump(void)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct io *io = io_twin_io(twin);
    char source[140];
    int fd;

    snprintf(source, sizeof(source), "%s/source", dir);
    CPAM_TRY(sink_file_new_push(&chain, io, path, 0400, &err));
    CPAM_TRY(file_open(io, source, O_RDONLY, 0, &fd, &err));
    enum cpam_status status = pump_fd(io, fd, source, chain, &err);
    if (io->ops->close(io, fd) != 0 && status == CPAM_OK)
        status = cpam_fail(&err, CPAM_IO, errno, "could not close");
    CPAM_TRY(status);
    return sink_finish(chain, &err);
}

static const struct
{
    const char *name;
    enum cpam_status (*run)(void);
    bool replaces;
} pipelines[] = {
    {"write_new", write_new, false},
    {"write_all", write_all, true},
    {"pump", pump, false},
};

static void
prepare(int row)
{
    struct cpam_err ignored;
    char source[140];

    empty_place();
    snprintf(source, sizeof(source), "%s/source", dir);
    ck_ok(file_write_all(io_posix(), source, 0600, "content", 7, &ignored), &ignored);
    if (pipelines[row].replaces)
        ck_ok(file_write_all(io_posix(), path, 0600, "old", 3, &ignored), &ignored);
}

static unsigned
count_calls(int row)
{
    prepare(row);
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_ok(pipelines[row].run(), &err);
    ck_assert(holds("content"));
    ck_assert_int_eq(io_twin_open_fds(twin), 0);
    return io_twin_calls(twin);
}

/* Call N is the unlink of the temporary or what only reads: its failure is no failure. */
static bool
may_be_forgiven(unsigned call)
{
    int at = (int) call - 1;

    for (int nth = 1;; nth++)
    {
        int found = io_twin_find(twin, "unlink", nth);

        if (found == at)
            return true;
        if (found < 0)
            return false;
    }
}

START_TEST(T10_each_call_failing_comes_back)
{
    static const int numbers[] = {EIO, ENOSPC, EINVAL};
    unsigned calls = count_calls(_i);

    for (size_t number = 0; number < 3; number++)
        for (unsigned call = 1; call <= calls; call++)
        {
            prepare(_i);
            io_twin_plan(twin,
                         &(struct io_twin_plan){.fail_call = call, .fail_errno = numbers[number]});
            enum cpam_status status = pipelines[_i].run();

            if (status == CPAM_OK)
                ck_assert_msg(may_be_forgiven(call), "call %u failed and nobody said so:\n%s", call,
                              io_twin_trace(twin));
            else
                ck_assert_msg(status == CPAM_IO, "call %u: %s: %s", call, cpam_status_name(status),
                              err.text);
            ck_assert_msg(io_twin_open_fds(twin) == 0, "call %u leaves a descriptor:\n%s", call,
                          io_twin_trace(twin));
            ck_assert_msg(others("object") == 1, "call %u leaves something:\n%s", call,
                          io_twin_trace(twin));
            bool whole = holds("content");
            bool as_before = pipelines[_i].replaces ? holds("old") : access(path, F_OK) != 0;
            ck_assert_msg(whole || as_before, "call %u leaves half a file", call);
            ck_assert(whole || status != CPAM_OK);
        }
}
END_TEST

START_TEST(a_call_interrupted_is_made_again)
{
    static const char *const kinds[] = {"open", "read", "write"};
    unsigned calls = count_calls(_i);

    for (size_t kind = 0; kind < 3; kind++)
        for (unsigned call = 1; call <= calls; call++)
        {
            prepare(_i);
            io_twin_plan(twin, &(struct io_twin_plan){.fail_call = call,
                                                      .fail_kind = kinds[kind],
                                                      .fail_errno = EINTR});
            ck_ok(pipelines[_i].run(), &err);
            ck_assert(holds("content"));
        }
}
END_TEST

START_TEST(short_reads_and_writes_are_continued)
{
    prepare(_i);
    io_twin_plan(twin, &(struct io_twin_plan){.short_bytes = 2});
    ck_ok(pipelines[_i].run(), &err);
    ck_assert(holds("content"));
    ck_assert_int_ge(io_twin_find(twin, "write", 4), 0);
}
END_TEST

START_TEST(T10_written_then_synced_then_named_then_synced)
{
    count_calls(_i);
    int written = io_twin_find(twin, "write .cpam-", 1);
    int synced = io_twin_find(twin, "fsync .cpam-", 1);
    int closed = io_twin_find(twin, "close .cpam-", 1);
    int named = pipelines[_i].replaces ? io_twin_find(twin, "rename .cpam- object", 1)
                                       : io_twin_find(twin, "link .cpam- object", 1);
    char words[80];
    snprintf(words, sizeof(words), "fsync %s", dir);
    int last = -1;
    for (int nth = 1, at; (at = io_twin_find(twin, words, nth)) >= 0; nth++)
        last = at;

    ck_assert_int_ge(written, 0);
    ck_assert_int_lt(written, synced);
    ck_assert_int_lt(synced, closed);
    ck_assert_int_lt(closed, named);
    ck_assert_int_lt(named, last);
}
END_TEST

START_TEST(P3_a_lost_reply_to_link_is_seen_through)
{
    static const int numbers[] = {EIO, ETIMEDOUT, EEXIST};

    for (size_t i = 0; i < 3; i++)
    {
        empty_place();
        io_twin_plan(twin, &(struct io_twin_plan){.fail_call = 1,
                                                  .fail_kind = "link",
                                                  .fail_errno = numbers[i],
                                                  .fail_after = true});
        ck_ok(write_new(), &err);
        ck_assert(holds("content"));
        ck_assert_int_eq(others("object"), 0);
    }
}
END_TEST

START_TEST(P3_without_hard_links_a_rename_that_refuses)
{
    struct io_twin_plan no_links = {
        .fail_call = 1, .fail_on = true, .fail_kind = "link", .fail_errno = EPERM};

    empty_place();
    io_twin_plan(twin, &no_links);
    ck_ok(write_new(), &err);
    ck_assert(holds("content"));
    ck_assert_int_eq(others("object"), 0);
    io_twin_plan(twin, &no_links);
    ck_fails(file_write_new(io_twin_io(twin), path, 0400, "other", 5, &err), CPAM_EXISTS,
             "is there already", &err);
    ck_assert(holds("content"));
    ck_assert_int_eq(others("object"), 0);
}
END_TEST

START_TEST(P3_taken_is_answered_after_an_fsync_of_the_directory)
{
    char words[80];

    empty_place();
    ck_ok(write_all(), &err);
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_fails(write_new(), CPAM_EXISTS, "is there already", &err);
    snprintf(words, sizeof(words), "fsync %s", dir);
    int refused = io_twin_find(twin, "link", 1);
    int synced = -1;
    for (int nth = 1, at; (at = io_twin_find(twin, words, nth)) >= 0; nth++)
        synced = at;
    ck_assert_int_lt(refused, synced);
    ck_assert_int_eq(io_twin_open_fds(twin), 0);

    /* and when that fsync fails, nobody is told that the file is safe */
    io_twin_plan(twin,
                 &(struct io_twin_plan){.fail_call = 2, .fail_kind = "fsync", .fail_errno = EIO});
    ck_fails(write_new(), CPAM_IO, "could not flush", &err);
}
END_TEST

START_TEST(making_directories_fails_as_a_value)
{
    char deep[140];

    snprintf(deep, sizeof(deep), "%s/a/b/c", dir);
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_ok(file_make_dirs(io_twin_io(twin), deep, 0700, &err), &err);
    unsigned calls = io_twin_calls(twin);
    int made = io_twin_find(twin, "mkdir /a/b/c", 1);
    char words[160];
    snprintf(words, sizeof(words), "fsync %s/a/b", dir);
    ck_assert_int_gt(io_twin_find(twin, words, 1), made);
    for (unsigned call = 1; call <= calls; call++)
    {
        empty_place();
        io_twin_plan(twin, &(struct io_twin_plan){.fail_call = call, .fail_errno = EIO});
        ck_fails(file_make_dirs(io_twin_io(twin), deep, 0700, &err), CPAM_IO, "could not", &err);
        ck_assert_int_eq(io_twin_open_fds(twin), 0);
    }
}
END_TEST

START_TEST(reading_fails_as_a_value)
{
    struct cpam_buf buf = {0};

    ck_ok(write_all(), &err);
    io_twin_plan(twin, &(struct io_twin_plan){0});
    ck_ok(file_read_all(io_twin_io(twin), path, 1000, &buf, &err), &err);
    unsigned calls = io_twin_calls(twin);
    for (unsigned call = 1; call <= calls; call++)
    {
        io_twin_plan(twin, &(struct io_twin_plan){.fail_call = call, .fail_errno = EIO});
        enum cpam_status status = file_read_all(io_twin_io(twin), path, 1000, &buf, &err);
        ck_assert(status == CPAM_IO || io_twin_find(twin, "close", 1) == (int) call - 1);
        ck_assert_int_eq(io_twin_open_fds(twin), 0);
    }
    cpam_buf_clear(&buf);
}
END_TEST

START_TEST(the_twin_has_a_clock_of_its_own)
{
    struct io *io = io_twin_io(twin);

    io_twin_plan(twin, &(struct io_twin_plan){0});
    struct deadline deadline = deadline_after(io, 1000000);
    int64_t before = io->ops->now(io);
    io->ops->sleep(io, 400000);
    ck_assert_int_eq(deadline_left(io, deadline), 600000);
    ck_assert_int_eq(io->ops->now(io) - before, 400000);
    io_twin_advance(twin, 700000);
    ck_assert_int_eq(deadline_left(io, deadline), 0);
    ck_assert_int_eq(io_twin_slept(twin), 400000);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("fault/io");
    TCase *tcase = tcase_create("io");
    int rows = sizeof(pipelines) / sizeof(*pipelines);

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, make_place, remove_place);
    tcase_add_loop_test(tcase, T10_each_call_failing_comes_back, 0, rows);
    tcase_add_loop_test(tcase, a_call_interrupted_is_made_again, 0, rows);
    tcase_add_loop_test(tcase, short_reads_and_writes_are_continued, 0, rows);
    tcase_add_loop_test(tcase, T10_written_then_synced_then_named_then_synced, 0, rows);
    tcase_add_test(tcase, P3_a_lost_reply_to_link_is_seen_through);
    tcase_add_test(tcase, P3_without_hard_links_a_rename_that_refuses);
    tcase_add_test(tcase, P3_taken_is_answered_after_an_fsync_of_the_directory);
    tcase_add_test(tcase, making_directories_fails_as_a_value);
    tcase_add_test(tcase, reading_fails_as_a_value);
    tcase_add_test(tcase, the_twin_has_a_clock_of_its_own);
    suite_add_tcase(suite, tcase);
    return suite;
}
