/*
 * test_progress.c - T12: bytes, rate and time left, in a line of the width there is.
 */
#include "suite.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/progress.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))
#define MIB             ((uint64_t) 1 << 20)
#define SECOND          ((int64_t) 1000000)

static const struct
{
    uint64_t done, total;
    int64_t elapsed;
    int width;
    const char *line;
} lines[] = {
    {0, 0, 3 * SECOND, 0, "restoring: 0 B, 0 B/s"},
    {30 * MIB, 0, 3 * SECOND, 0, "restoring: 30 MiB, 10 MiB/s"},
    {0, 90 * MIB, 3 * SECOND, 0, "restoring: 0 % of 90 MiB"},
    {30 * MIB, 90 * MIB, 3 * SECOND, 0, "restoring: 33 %, 30 MiB of 90 MiB, 10 MiB/s, 6 s left"},
    {3, 90 * MIB, 3 * SECOND, 0, "restoring: 0 % of 90 MiB"},
    {90 * MIB, 90 * MIB, 3 * SECOND, 0, "restoring: 100 %, 90 MiB of 90 MiB, 30 MiB/s, 0 ms left"},
    {45 * MIB, 90 * MIB, 3 * SECOND, 79,
     "restoring: [##########..........] 50 %, 45 MiB of 90 MiB, 15 MiB/s, 3 s left"},
    {45 * MIB, 90 * MIB, 3 * SECOND, 60, "restoring: 50 %, 45 MiB of 90 MiB, 15 MiB/s, 3 s left"},
    {45 * MIB, 90 * MIB, 3 * SECOND, 20, "restoring: 50 %, 45 "},
    {91 * MIB, 90 * MIB, SECOND, 0, "restoring: 91 MiB, 91 MiB/s"},
    {5, 10, 0, 0, "restoring: 50 %, 5 B of 10 B, 5 B/s, 1 s left"},
};

START_TEST(T12_line_has_bytes_rate_and_time_left)
{
    char line[PROGRESS_LINE_MAX];

    progress_line("restoring", lines[_i].done, lines[_i].total, lines[_i].elapsed, lines[_i].width,
                  line);
    if (lines[_i].width == 79) /* how long the bar is, is a matter of taste: its share is not */
    {
        ck_assert_uint_le(strlen(line), 79);
        size_t full = strspn(strchr(line, '[') + 1, "#");
        size_t empty = strspn(strchr(line, '[') + 1 + full, ".");
        ck_assert_uint_ge(full + empty, 10);
        ck_assert_uint_le(full, empty + 1);
        ck_assert_uint_le(empty, full + 1);
        return;
    }
    ck_assert_str_eq(line, lines[_i].line);
}
END_TEST

START_TEST(progress_of_nothing_is_allowed)
{
    progress_add(NULL, 5);
    progress_total(NULL, 5);
    progress_free(NULL);
}
END_TEST

/* --- drawing, on a clock of its own ---------------------------------------------------------- */

static int64_t clock_us;
static struct io_ops slow_ops;
static struct io slow = {&slow_ops};
static int shown; /* what stderr got can be read here */

static int64_t
slow_monotonic(struct io *io)
{
    (void) io;
    return clock_us;
}

/* stderr goes to a terminal of `columns` (0: to a pipe) for the rest of this process. */
static void
show_on(unsigned short columns)
{
    int ends[2];

    if (columns == 0)
        ck_assert_int_eq(pipe(ends), 0);
    else
    {
        struct winsize size = {.ws_row = 25, .ws_col = columns};

        ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
        ck_assert_int_ge(ends[0], 0);
        ck_assert_int_eq(grantpt(ends[0]), 0);
        ck_assert_int_eq(unlockpt(ends[0]), 0);
        ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY);
        ck_assert_int_ge(ends[1], 0);
        ck_assert_int_eq(ioctl(ends[1], TIOCSWINSZ, &size), 0);
    }
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    shown = ends[0];
    slow_ops = *io_posix()->ops;
    slow_ops.monotonic = slow_monotonic;
    clock_us = 1000 * SECOND;
    log_start("cpam-test", LOG_INFO);
}

/* What has been shown since the last look.  A terminal hands on what was written to it when the
   kernel gets round to it, so a mark is written behind it and waited for. */
static const char *
look(void)
{
    static const char mark = '\x1e';
    static char text[4096];
    struct pollfd wait = {.fd = shown, .events = POLLIN};
    size_t got = 0;

    ck_assert_int_eq(write(STDERR_FILENO, &mark, 1), 1);
    while (got == 0 || text[got - 1] != mark)
    {
        ck_assert_int_eq(poll(&wait, 1, 60 * 1000), 1);
        ssize_t more = read(shown, text + got, sizeof(text) - 1 - got);
        ck_assert_int_gt(more, 0);
        got += (size_t) more;
    }
    text[got - 1] = '\0';
    return text;
}

START_TEST(T12_in_a_log_a_line_every_half_minute)
{
    struct progress *progress = NULL;
    struct cpam_err err;

    show_on(0);
    ck_ok(progress_new(&slow, "restoring", 0, &progress, &err), &err);
    progress_total(progress, 90 * MIB);
    clock_us += SECOND;
    progress_add(progress, 10 * MIB);
    ck_assert_str_eq(look(), ""); /* what takes a second is not worth a line */
    clock_us += 2 * SECOND;
    progress_add(progress, 20 * MIB);
    ck_assert_str_eq(look(), "cpam-test: restoring: 33 %, 30 MiB of 90 MiB, 10 MiB/s, 6 s left\n");
    clock_us += 29 * SECOND;
    progress_add(progress, 0);
    ck_assert_str_eq(look(), "");
    clock_us += SECOND;
    progress_add(progress, 0);
    ck_assert_ptr_nonnull(strstr(look(), "restoring: 33 %, 30 MiB of 90 MiB"));
    progress_free(progress);
    ck_assert_str_eq(look(), ""); /* there is no bar to take away */
}
END_TEST

START_TEST(T12_on_a_terminal_a_bar_of_its_width)
{
    static const unsigned short widths[] = {60, 100, 5}; /* a terminal of 5 columns is none */
    struct progress *progress = NULL;
    struct cpam_err err;

    show_on(widths[_i]);
    ck_ok(progress_new(&slow, "restoring", 90 * MIB, &progress, &err), &err);
    clock_us += 3 * SECOND;
    progress_add(progress, 45 * MIB);
    const char *text = look();
    ck_assert_int_eq(strncmp(text, "\r\x1b[K", 4), 0);
    ck_assert_uint_le(strlen(text + 4), widths[_i] < 20 ? 79 : widths[_i] - 1u);
    ck_assert_ptr_nonnull(strstr(text, "50 %, 45 MiB of 90 MiB"));
    ck_assert_int_eq(strchr(text + 4, '[') != NULL, widths[_i] != 60);
    clock_us += SECOND / 10;
    progress_add(progress, MIB);
    ck_assert_str_eq(look(), ""); /* five times a second */
    clock_us += SECOND / 10;
    progress_add(progress, MIB);
    ck_assert_ptr_nonnull(strstr(look(), "52 %, 47 MiB"));
    cpam_log(LOG_WARNING, "beware");
    ck_assert_str_eq(look(), "\r\x1b[Kcpam-test: warning: beware\r\n");
    clock_us += SECOND;
    progress_add(progress, 0);
    ck_assert_ptr_nonnull(strstr(look(), "52 %"));
    progress_free(progress);
    ck_assert_str_eq(look(), "\r\x1b[K"); /* nothing of it stays */
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("cli/progress");
    TCase *tcase = tcase_create("progress");

    tcase_add_loop_test(tcase, T12_line_has_bytes_rate_and_time_left, 0, COUNT_OF(lines));
    tcase_add_test(tcase, T12_in_a_log_a_line_every_half_minute);
    tcase_add_loop_test(tcase, T12_on_a_terminal_a_bar_of_its_width, 0, 3);
    tcase_add_test(tcase, progress_of_nothing_is_allowed);
    suite_add_tcase(suite, tcase);
    return suite;
}
