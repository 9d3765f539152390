/*
 * test_file.c - files through the real door: whole or not at all, new or refused, limits, deadlines.
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "io/file.h"

static char dir[64];
static char path[128];

static void
make_place(void)
{
    snprintf(dir, sizeof(dir), "/tmp/cpam-test-file.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a", dir);
}

static void
remove_place(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* Entries of the test's directory, "." and ".." left out. */
static int
entries(void)
{
    int count = 0;
    DIR *list = opendir(dir);

    ck_assert_ptr_nonnull(list);
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count - 2;
}

static void
content_is(const char *text)
{
    struct cpam_err err;
    struct cpam_buf buf = {0};

    ck_ok(file_read_all(io_posix(), path, 1000, &buf, &err), &err);
    ck_assert_str_eq(cpam_buf_text(&buf), text);
    cpam_buf_clear(&buf);
}

START_TEST(write_new_makes_a_whole_file_with_its_mode)
{
    struct cpam_err err;
    struct stat about;

    ck_ok(file_write_new(io_posix(), path, 0400, "hello", 5, &err), &err);
    content_is("hello");
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_mode & 07777, 0400);
    ck_assert_uint_eq(about.st_nlink, 1);
    ck_assert_int_eq(entries(), 1);
}
END_TEST

START_TEST(write_new_never_overwrites)
{
    struct cpam_err err;

    ck_ok(file_write_new(io_posix(), path, 0400, "one", 3, &err), &err);
    ck_fails(file_write_new(io_posix(), path, 0400, "two", 3, &err), CPAM_EXISTS,
             "is there already", &err);
    content_is("one");
    ck_assert_int_eq(entries(), 1);
}
END_TEST

START_TEST(write_all_replaces)
{
    struct cpam_err err;

    ck_ok(file_write_all(io_posix(), path, 0600, "one", 3, &err), &err);
    ck_ok(file_write_all(io_posix(), path, 0600, "three", 5, &err), &err);
    content_is("three");
    ck_assert_int_eq(entries(), 1);
}
END_TEST

START_TEST(a_freed_sink_leaves_nothing)
{
    struct cpam_err err;
    struct sink *chain = NULL;

    ck_ok(sink_file_new_push(&chain, io_posix(), path, 0600, &err), &err);
    ck_ok(sink_write(chain, "half", 4, &err), &err);
    ck_assert_int_eq(entries(), 1);
    sink_free(chain);
    ck_assert_int_eq(entries(), 0);
}
END_TEST

START_TEST(a_pumped_file_arrives)
{
    struct cpam_err err;
    struct sink *chain = NULL;
    size_t size = (1 << 20) + 17;
    char *data = malloc(size);
    char other[140];
    struct cpam_buf buf = {0};
    int fd;

    for (size_t i = 0; i < size; i++)
        data[i] = (char) (i * 7 >> 3);
    ck_ok(file_write_all(io_posix(), path, 0600, data, size, &err), &err);
    snprintf(other, sizeof(other), "%s-copy", path);
    ck_ok(sink_file_new_push(&chain, io_posix(), other, 0600, &err), &err);
    ck_ok(file_open(io_posix(), path, O_RDONLY, 0, &fd, &err), &err);
    ck_ok(pump_fd(io_posix(), fd, path, chain, &err), &err);
    ck_ok(sink_finish(chain, &err), &err);
    sink_free(chain);
    ck_ok(file_close(io_posix(), fd, path, &err), &err);
    ck_ok(file_read_all(io_posix(), other, size, &buf, &err), &err);
    ck_assert_uint_eq(buf.size, size);
    ck_assert_int_eq(memcmp(buf.data, data, size), 0);
    cpam_buf_clear(&buf);
    free(data);
}
END_TEST

START_TEST(read_all_keeps_its_limit)
{
    struct cpam_err err;
    struct cpam_buf buf = {0};

    ck_ok(file_write_all(io_posix(), path, 0600, "12345", 5, &err), &err);
    ck_ok(file_read_all(io_posix(), path, 5, &buf, &err), &err);
    ck_assert_uint_eq(buf.size, 5);
    ck_fails(file_read_all(io_posix(), path, 4, &buf, &err), CPAM_INVALID,
             "larger than the allowed 4 bytes", &err);
    cpam_buf_clear(&buf);
}
END_TEST

START_TEST(refusals_have_their_status)
{
    struct cpam_err err;
    int fd;

    ck_fails(file_open(io_posix(), path, O_RDONLY, 0, &fd, &err), CPAM_NOT_FOUND, "could not open",
             &err);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(err.sys, ENOENT);
    ck_ok(file_write_all(io_posix(), path, 0600, "", 0, &err), &err);
    ck_fails(file_open(io_posix(), path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, &err), CPAM_EXISTS,
             "could not create", &err);
    ck_fails(file_open(io_posix(), dir, O_WRONLY, 0, &fd, &err), CPAM_IO, "Is a directory", &err);
    ck_fails(file_rename(io_posix(), "/nonexistent/a", path, &err), CPAM_NOT_FOUND,
             "could not rename", &err);
    ck_fails(file_sync_parent(io_posix(), "/nonexistent/a", &err), CPAM_NOT_FOUND, "/nonexistent",
             &err);
    ck_fails(file_write_new(io_posix(), "/nonexistent/a", 0600, "x", 1, &err), CPAM_NOT_FOUND,
             "could not create", &err);
}
END_TEST

START_TEST(make_dirs_makes_all_parents)
{
    struct cpam_err err;
    char deep[160];
    struct stat about;

    snprintf(deep, sizeof(deep), "%s/x//y/z/", dir);
    ck_ok(file_make_dirs(io_posix(), deep, 0700, &err), &err);
    ck_ok(file_make_dirs(io_posix(), deep, 0700, &err), &err);
    ck_assert_int_eq(stat(deep, &about), 0);
    ck_assert(S_ISDIR(about.st_mode));

    ck_ok(file_write_all(io_posix(), path, 0600, "", 0, &err), &err);
    snprintf(deep, sizeof(deep), "%s/under", path);
    ck_fails(file_make_dirs(io_posix(), deep, 0700, &err), CPAM_IO, "Not a directory", &err);
}
END_TEST

START_TEST(open_beneath_stays_beneath)
{
    struct io *io = io_posix();
    int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct cpam_err err;
    static const char *const outside[] = {"../etc/passwd", "/etc/passwd", "x/../../etc", "link/a"};

    ck_ok(file_write_all(io, path, 0600, "in", 2, &err), &err);
    ck_assert_int_eq(symlinkat("/etc", at, "link"), 0);
    int fd = io->ops->open_beneath(io, at, "a", O_RDONLY, 0);
    ck_assert_int_ge(fd, 0);
    close(fd);
    for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++)
        ck_assert_msg(io->ops->open_beneath(io, at, outside[i], O_RDONLY, 0) == -1, "%s",
                      outside[i]);
    ck_assert_int_eq(io->ops->open_beneath(io, at, "link", O_RDONLY, 0), -1);
    ck_assert_int_eq(errno, ELOOP);
    close(at);
}
END_TEST

START_TEST(deadlines)
{
    struct io *io = io_posix();
    struct deadline never = {0}, soon = deadline_after(io, 1000000), late = {INT64_MAX},
                    past = deadline_after(io, 0);

    ck_assert_int_eq(deadline_left(io, never), INT64_MAX);
    ck_assert_int_eq(deadline_left(io, past), 0);
    ck_assert_int_eq(deadline_left(io, deadline_after(io, -5)), 0);
    ck_assert_int_gt(deadline_left(io, soon), 0);
    ck_assert_int_le(deadline_left(io, soon), 1000000);
    ck_assert_int_eq(deadline_sooner(never, soon).at, soon.at);
    ck_assert_int_eq(deadline_sooner(soon, never).at, soon.at);
    ck_assert_int_eq(deadline_sooner(late, soon).at, soon.at);
    ck_assert_int_eq(deadline_sooner(past, soon).at, past.at);
    ck_assert_int_eq(deadline_later(never, soon).at, never.at);
    ck_assert_int_eq(deadline_later(soon, never).at, never.at);
    ck_assert_int_eq(deadline_later(late, soon).at, late.at);
    ck_assert_int_eq(deadline_later(past, soon).at, soon.at);
    ck_assert_int_eq(deadline_after(io, INT64_MAX).at, INT64_MAX);
}
END_TEST

START_TEST(the_real_clock_and_random)
{
    struct io *io = io_posix();
    uint8_t a[32] = {0}, b[32] = {0};
    int64_t before = io->ops->monotonic(io);

    io->ops->sleep(io, 1000);
    ck_assert_int_gt(io->ops->monotonic(io), before);
    ck_assert_int_gt(io->ops->now(io), INT64_C(1600000000) * 1000000);
    ck_assert_int_eq(io->ops->random(io, a, sizeof(a)), 0);
    ck_assert_int_eq(io->ops->random(io, b, sizeof(b)), 0);
    ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
}
END_TEST

START_TEST(a_buffer_sink_keeps_its_limit)
{
    struct cpam_err err;
    struct cpam_buf buf = {0};
    struct sink *chain = NULL;

    ck_ok(sink_buf_push(&chain, &buf, 4, &err), &err);
    ck_ok(sink_write(chain, "abcd", 4, &err), &err);
    ck_ok(sink_write(chain, NULL, 0, &err), &err);
    ck_fails(sink_write(chain, "e", 1, &err), CPAM_INVALID, "more than the allowed 4", &err);
    sink_free(chain);
    ck_assert_str_eq(cpam_buf_text(&buf), "abcd");
    cpam_buf_clear(&buf);
    sink_free(NULL);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("io/file");
    TCase *tcase = tcase_create("file");

    tcase_add_checked_fixture(tcase, make_place, remove_place);
    tcase_add_test(tcase, write_new_makes_a_whole_file_with_its_mode);
    tcase_add_test(tcase, write_new_never_overwrites);
    tcase_add_test(tcase, write_all_replaces);
    tcase_add_test(tcase, a_freed_sink_leaves_nothing);
    tcase_add_test(tcase, a_pumped_file_arrives);
    tcase_add_test(tcase, read_all_keeps_its_limit);
    tcase_add_test(tcase, refusals_have_their_status);
    tcase_add_test(tcase, make_dirs_makes_all_parents);
    tcase_add_test(tcase, open_beneath_stays_beneath);
    tcase_add_test(tcase, deadlines);
    tcase_add_test(tcase, the_real_clock_and_random);
    tcase_add_test(tcase, a_buffer_sink_keeps_its_limit);
    suite_add_tcase(suite, tcase);
    return suite;
}
