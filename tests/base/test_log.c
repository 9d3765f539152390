/*
 * test_log.c - one line a message, whatever is in it.
 */
#include "suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static int kept_stderr;
static char path[] = "/tmp/cpam-log-XXXXXX";

/* stderr goes to a file until said() */
static void
listen_to_stderr(void)
{
    int fd;

    strcpy(path, "/tmp/cpam-log-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    kept_stderr = dup(STDERR_FILENO);
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
}

static const char *
said(void)
{
    static char text[20000];
    FILE *file = fopen(path, "r");

    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    ck_assert_ptr_nonnull(file);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    text[size] = '\0';
    fclose(file);
    unlink(path);
    return text;
}

static char handed[256];

static void
take_line(enum log_level level, const char *line)
{
    snprintf(handed + strlen(handed), sizeof(handed) - strlen(handed), "%d %s;", (int) level, line);
}

START_TEST(P15_a_server_takes_the_lines_itself)
{
    listen_to_stderr();
    log_start("cpam-test", LOG_INFO);
    log_hand_to(take_line);
    cpam_log(LOG_WARNING, "one");
    cpam_log(LOG_DEBUG, "not at this level");
    cpam_log(LOG_INFO, "two");
    ck_assert_str_eq(said(), "");
    ck_assert_str_eq(handed, "1 one;2 two;");
}
END_TEST

START_TEST(a_detached_worker_says_nothing_on_stderr)
{
    struct cpam_err err;

    listen_to_stderr();
    log_start("cpam-test", LOG_INFO);
    log_to_syslog();
    cpam_log(LOG_WARNING, "a \x01 byte");
    cpam_fail(&err, CPAM_IO, 0, "no");
    cpam_err_hint(&err, "why");
    log_failure(&err);
    ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(levels_have_their_words)
{
    unsetenv("JOURNAL_STREAM");
    listen_to_stderr();
    log_start("cpam-test", LOG_INFO);
    cpam_log(LOG_ERROR, "one %d", 1);
    cpam_log(LOG_WARNING, "two");
    cpam_log(LOG_INFO, "three");
    cpam_log(LOG_DEBUG, "never");
    log_start("cpam-test", LOG_ERROR);
    cpam_log(LOG_WARNING, "never");
    ck_assert_str_eq(said(),
                     "cpam-test: error: one 1\ncpam-test: warning: two\ncpam-test: three\n");
}
END_TEST

START_TEST(warnings_of_a_thread_are_kept_for_who_asked)
{
    struct log_kept kept = {.text = ""};

    listen_to_stderr();
    log_start("cpam-test", LOG_INFO);
    cpam_log(LOG_WARNING, "before");
    log_keep(&kept);
    cpam_log(LOG_WARNING, "one %d", 1);
    cpam_log(LOG_INFO, "no warning");
    cpam_log(LOG_WARNING, "two");
    ck_assert_str_eq(kept.text, "one 1; two");
    for (int i = 0; i < LOG_KEPT_MAX; i++)
        cpam_log(LOG_WARNING, "more");
    ck_assert_uint_eq(strlen(kept.text), LOG_KEPT_MAX - 1);
    kept.text[0] = '\0';
    log_keep(NULL);
    cpam_log(LOG_WARNING, "behind");
    ck_assert_str_eq(kept.text, "");
    ck_assert_ptr_nonnull(strstr(said(), "warning: one 1\n"));
}
END_TEST

START_TEST(failure_is_two_lines_at_most)
{
    struct cpam_err err;

    unsetenv("JOURNAL_STREAM");
    listen_to_stderr();
    log_start("cpam-test", LOG_ERROR);
    cpam_fail(&err, CPAM_IO, 0, "could not");
    log_failure(&err);
    cpam_err_hint(&err, "do this");
    log_failure(&err);
    ck_assert_str_eq(said(), "cpam-test: error: could not\ncpam-test: error: could not\n"
                             "cpam-test: hint: do this\n");
}
END_TEST

START_TEST(nothing_from_outside_forges_a_line)
{
    unsetenv("JOURNAL_STREAM");
    listen_to_stderr();
    log_start("cpam-test", LOG_INFO);
    cpam_log(LOG_INFO, "name %s", "a\ncpam-test: error: fake\x1b[2J");
    cpam_log(LOG_INFO, "name %s",
             "\xc3\xbc\xc2\x9b"
             "2J\xff");
    ck_assert_str_eq(said(), "cpam-test: name a\\x0acpam-test: error: fake\\x1b[2J\n"
                             "cpam-test: name \xc3\xbc\\xc2\\x9b2J\\xff\n");
}
END_TEST

START_TEST(long_line_is_cut_and_ends)
{
    static char text[10000];

    unsetenv("JOURNAL_STREAM");
    memset(text, 1, sizeof(text) - 1);
    listen_to_stderr();
    log_start("cpam-test", LOG_INFO);
    cpam_log(LOG_INFO, "%s", text);
    const char *line = said();
    ck_assert_uint_le(strlen(line), 4096);
    ck_assert_uint_eq(strcspn(line, "\n"), strlen(line) - 1);
}
END_TEST

START_TEST(journal_gets_priorities)
{
    struct stat file;
    char stream[64];

    listen_to_stderr();
    ck_assert_int_eq(fstat(STDERR_FILENO, &file), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t) file.st_dev, (uintmax_t) file.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_start("cpam-test", LOG_INFO);
    cpam_log(LOG_WARNING, "two");
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_start("cpam-test", LOG_INFO);
    cpam_log(LOG_INFO, "three");
    ck_assert_str_eq(said(), "<4>cpam-test: warning: two\ncpam-test: three\n");
}
END_TEST

START_TEST(T12_message_takes_the_bar_away)
{
    unsetenv("JOURNAL_STREAM");
    listen_to_stderr();
    log_start("cpam-test", LOG_INFO);
    log_bar("50 %");
    cpam_log(LOG_INFO, "hello");
    cpam_log(LOG_INFO, "again");
    ck_assert_str_eq(said(), "\r\x1b[K50 %\r\x1b[Kcpam-test: hello\ncpam-test: again\n");
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("base/log");
    TCase *tcase = tcase_create("log");

    tcase_add_test(tcase, P15_a_server_takes_the_lines_itself);
    tcase_add_test(tcase, a_detached_worker_says_nothing_on_stderr);
    tcase_add_test(tcase, levels_have_their_words);
    tcase_add_test(tcase, warnings_of_a_thread_are_kept_for_who_asked);
    tcase_add_test(tcase, failure_is_two_lines_at_most);
    tcase_add_test(tcase, nothing_from_outside_forges_a_line);
    tcase_add_test(tcase, long_line_is_cut_and_ends);
    tcase_add_test(tcase, journal_gets_priorities);
    tcase_add_test(tcase, T12_message_takes_the_bar_away);
    suite_add_tcase(suite, tcase);
    return suite;
}
