/*
 * test_direct.c - the same bytes whether or not they can pass the page cache by, and errors that are
 * not taken for the inability to.
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "io/direct.h"
#include "io/file.h"

enum
{
    PAGE = DIRECT_LEAST, /* what is called a page here is as much as is worth it */
    SIZE = 5 * PAGE + 123,
    ROOM = 8 * PAGE
};

/* A disk that insists on pages while the descriptor is set to it; says how much passed by. */
static struct io_ops ops;
static struct io strict = {&ops};
static bool is_on, refuses_setting, refuses_calls, refuses_back;
static bool is_gone;       /* reads fail, either way */
static int fails_with;     /* errno of the next call that passes by, once */
static ssize_t goes_short; /* bytes after which the next call that passes by ends, once; -1: no */
static size_t passed;

static char path[] = "/tmp/cpam-test-direct.XXXXXX";
static int fd;
static uint8_t *data, *back; /* ROOM bytes, on a page */
static struct cpam_err err;

static int
set_direct(struct io *io, int where, bool on)
{
    (void) io;
    (void) where;
    if (on ? refuses_setting : refuses_back)
    {
        errno = on ? EINVAL : EIO;
        return -1;
    }
    is_on = on;
    return 0;
}

/* 0: go on with *size bytes; else what the call returns. */
static ssize_t
gate(const void *memory, size_t *size, off_t at)
{
    if (!is_on)
        return 0;
    ck_assert_msg((uintptr_t) memory % DIRECT_BLOCK == 0 && *size % DIRECT_BLOCK == 0 &&
                      at % DIRECT_BLOCK == 0,
                  "%p, %zu bytes at %lld can't pass by", memory, *size, (long long) at);
    if (refuses_calls || fails_with != 0)
    {
        errno = refuses_calls ? EINVAL : fails_with;
        fails_with = 0;
        return -1;
    }
    if (goes_short >= 0)
    {
        *size = (size_t) goes_short;
        goes_short = -1;
    }
    return 0;
}

static ssize_t
strict_pwrite(struct io *io, int where, const void *from, size_t size, off_t at)
{
    (void) io;
    ssize_t stopped = gate(from, &size, at);
    if (stopped != 0)
        return stopped;
    passed += is_on ? size : 0;
    return pwrite(where, from, size, at);
}

static ssize_t
strict_pread(struct io *io, int where, void *to, size_t size, off_t at)
{
    (void) io;
    if (is_gone)
    {
        errno = EIO;
        return -1;
    }
    ssize_t stopped = gate(to, &size, at);
    if (stopped != 0)
        return stopped;
    ssize_t got = pread(where, to, size, at);
    passed += is_on && got > 0 ? (size_t) got : 0;
    return got;
}

static void
begin(void)
{
    ops = *io_posix()->ops;
    ops.direct = set_direct;
    ops.pwrite = strict_pwrite;
    ops.pread = strict_pread;
    is_on = refuses_setting = refuses_calls = refuses_back = is_gone = false;
    fails_with = 0;
    goes_short = -1;
    passed = 0;
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    data = aligned_alloc(PAGE, ROOM);
    back = aligned_alloc(PAGE, ROOM);
    ck_assert(data != NULL && back != NULL);
    for (size_t i = 0; i < ROOM; i++)
        data[i] = (uint8_t) (i * 31 >> 4);
}

static void
end(void)
{
    close(fd);
    unlink(path);
    free(data);
    free(back);
}

static void
holds(const uint8_t *wanted, size_t size)
{
    ck_assert_int_eq(pread(fd, back, ROOM, 0), (ssize_t) size);
    ck_assert_int_eq(memcmp(back, wanted, size), 0);
}

static void
written(struct direct *direct, const uint8_t *from, size_t size, uint64_t at)
{
    ck_ok(direct_write_at(&strict, fd, path, direct, from, size, at, &err), &err);
}

START_TEST(whole_pages_pass_by_and_the_rest_follows)
{
    struct direct direct = {.able = true};

    written(&direct, data, SIZE, 0);
    holds(data, SIZE);
    ck_assert_uint_eq(passed, 5 * PAGE);
    ck_assert(!is_on);
    /* a few pages by themselves are not worth a wait */
    written(&direct, data + PAGE, PAGE - DIRECT_BLOCK, 0);
    ck_assert_uint_eq(passed, 5 * PAGE);
}
END_TEST

START_TEST(pieces_pass_by_as_far_as_they_begin_on_pages)
{
    struct direct direct = {.able = true};

    written(&direct, data, 2 * PAGE, 0);
    written(&direct, data + 2 * PAGE, PAGE + 7, 2 * PAGE);
    ck_assert_uint_eq(passed, 3 * PAGE);
    /* neither this place is on a page, nor that memory */
    written(&direct, data + 3 * PAGE + 7, 2 * PAGE, 3 * PAGE + 7);
    written(&direct, data + 5 * PAGE + 7, PAGE - 7, 5 * PAGE + 7);
    written(&direct, data + 6 * PAGE, PAGE, 6 * PAGE);
    ck_assert_uint_eq(passed, 4 * PAGE);
    memmove(back + 1, data + 7 * PAGE, PAGE);
    written(&direct, back + 1, PAGE, 7 * PAGE);
    ck_assert_uint_eq(passed, 4 * PAGE);
    holds(data, ROOM);
}
END_TEST

START_TEST(a_file_system_that_can_not_is_written_to_as_ever)
{
    struct direct direct = {.able = true};

    refuses_setting = true;
    written(&direct, data, SIZE, 0);
    ck_assert(!direct.able);
    holds(data, SIZE);
    direct = (struct direct){.able = true};
    refuses_setting = false;
    refuses_calls = true;
    written(&direct, data + PAGE, SIZE, 0);
    ck_assert(!direct.able && !is_on);
    holds(data + PAGE, SIZE);
    ck_assert_uint_eq(passed, 0);
}
END_TEST

START_TEST(a_short_write_is_continued)
{
    struct direct direct = {.able = true};

    goes_short = 2 * PAGE;
    written(&direct, data, SIZE, 0);
    ck_assert_uint_eq(passed, 5 * PAGE);
    goes_short = PAGE + 512; /* off a page: the rest in the other way */
    written(&direct, data + PAGE, SIZE, 0);
    ck_assert_uint_eq(passed, 6 * PAGE + 512);
    holds(data + PAGE, SIZE);
}
END_TEST

START_TEST(a_failing_disk_is_no_unable_one)
{
    struct direct direct = {.able = true};
    size_t got;

    fails_with = EINTR;
    written(&direct, data, 2 * PAGE, 0);
    fails_with = ENOSPC;
    ck_fails(direct_write_at(&strict, fd, path, &direct, data, 2 * PAGE, 0, &err), CPAM_IO,
             "could not write", &err);
    ck_assert_int_eq(err.sys, ENOSPC);
    /* of a read the other way says what it is, if it is anything */
    fails_with = EIO;
    ck_ok(direct_read_at(&strict, fd, path, &direct, back, 2 * PAGE, 0, &got, &err), &err);
    ck_assert_uint_eq(got, 2 * PAGE);
    ck_assert_int_eq(memcmp(back, data, 2 * PAGE), 0);
    direct = (struct direct){.able = true};
    is_gone = true;
    ck_fails(direct_read_at(&strict, fd, path, &direct, back, 2 * PAGE, 0, &got, &err), CPAM_IO,
             "could not read", &err);
    ck_assert_int_eq(err.sys, EIO);
    is_gone = false;
    direct = (struct direct){.able = true};
    written(&direct, data, 2 * PAGE, 0);
    refuses_back = true;
    ck_fails(direct_write_at(&strict, fd, path, &direct, data, PAGE + 1, 0, &err), CPAM_IO,
             "page cache", &err);
}
END_TEST

START_TEST(reads_end_where_the_file_does)
{
    struct direct direct = {.able = true};
    size_t got;

    written(&direct, data, SIZE, 0);
    passed = 0;
    ck_ok(direct_read_at(&strict, fd, path, &direct, back, ROOM, 0, &got, &err), &err);
    ck_assert_uint_eq(got, SIZE);
    ck_assert_uint_eq(passed, SIZE);
    ck_assert_int_eq(memcmp(back, data, SIZE), 0);
    ck_ok(direct_read_at(&strict, fd, path, &direct, back, PAGE, ROOM, &got, &err), &err);
    ck_assert_uint_eq(got, 0);
    for (ssize_t few = PAGE; few > 0; few -= PAGE - 100) /* off a page as well: no end of it */
    {
        goes_short = few;
        ck_ok(direct_read_at(&strict, fd, path, &direct, back, 2 * PAGE, PAGE, &got, &err), &err);
        ck_assert_uint_eq(got, 2 * PAGE);
        ck_assert_int_eq(memcmp(back, data + PAGE, 2 * PAGE), 0);
    }
}
END_TEST

START_TEST(what_can_not_pass_by_is_read_as_ever)
{
    struct direct direct = {.able = true};
    size_t got;

    written(&direct, data, SIZE, 0);
    passed = 0;
    ck_ok(direct_read_at(&strict, fd, path, &direct, back, 2 * PAGE, 100, &got, &err), &err);
    ck_assert_uint_eq(got, 2 * PAGE);
    ck_assert_int_eq(memcmp(back, data + 100, 2 * PAGE), 0);
    ck_assert_uint_eq(passed, 0);
    refuses_calls = true;
    ck_ok(direct_read_at(&strict, fd, path, &direct, back, ROOM, 0, &got, &err), &err);
    ck_assert_uint_eq(got, SIZE);
    ck_assert(!direct.able && !is_on);
    ck_assert_int_eq(memcmp(back, data, SIZE), 0);
}
END_TEST

START_TEST(the_real_one_keeps_every_byte)
{
    struct direct direct = {.able = true}; /* whatever /tmp is able to */
    struct sink *chain = NULL;
    char other[64];
    size_t got;

    ck_ok(direct_write_at(io_posix(), fd, path, &direct, data, SIZE, 0, &err), &err);
    ck_ok(direct_read_at(io_posix(), fd, path, &direct, back, ROOM, 0, &got, &err), &err);
    ck_assert_uint_eq(got, SIZE);
    ck_assert_int_eq(memcmp(back, data, SIZE), 0);
    snprintf(other, sizeof(other), "%s.new", path);
    ck_ok(sink_file_new_push(&chain, io_posix(), other, 0600, &err), &err);
    sink_file_direct(chain);
    ck_ok(sink_write(chain, data, 3 * PAGE, &err), &err);
    ck_ok(sink_write(chain, data + 3 * PAGE, SIZE - 3 * PAGE, &err), &err);
    ck_ok(sink_finish(chain, &err), &err);
    sink_free(chain);
    close(fd);
    fd = open(other, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    holds(data, SIZE);
    unlink(other);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("io/direct");
    TCase *tcase = tcase_create("direct");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, whole_pages_pass_by_and_the_rest_follows);
    tcase_add_test(tcase, pieces_pass_by_as_far_as_they_begin_on_pages);
    tcase_add_test(tcase, a_file_system_that_can_not_is_written_to_as_ever);
    tcase_add_test(tcase, a_short_write_is_continued);
    tcase_add_test(tcase, a_failing_disk_is_no_unable_one);
    tcase_add_test(tcase, reads_end_where_the_file_does);
    tcase_add_test(tcase, what_can_not_pass_by_is_read_as_ever);
    tcase_add_test(tcase, the_real_one_keeps_every_byte);
    suite_add_tcase(suite, tcase);
    return suite;
}
