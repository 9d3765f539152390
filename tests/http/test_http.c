/*
 * test_http.c - headers of a reply, dates, and the retry loop on a clock of its own.
 */
#include "suite.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../s3/fake_http.h"
#include "base/log.h"
#include "http/client.h"
#include "http/retry.h"
#include "http/transfer.h"

START_TEST(header_is_found_in_any_case)
{
    struct http_reply reply = {0};
    struct cpam_err err;

    ck_assert_ptr_null(http_reply_header(&reply, "ETag"));
    ck_ok(http_reply_add_header(&reply, "ETag", 4, "\"a\"", 3, &err), &err);
    ck_ok(http_reply_add_header(&reply, "X-Empty", 7, "", 0, &err), &err);
    ck_ok(http_reply_add_header(&reply, "etag", 4, "second", 6, &err), &err);
    ck_assert_str_eq(http_reply_header(&reply, "etag"), "\"a\"");
    ck_assert_str_eq(http_reply_header(&reply, "x-empty"), "");
    ck_assert_ptr_null(http_reply_header(&reply, "ETa"));
    ck_assert_ptr_null(http_reply_header(&reply, "second"));
    http_reply_clear(&reply);
}
END_TEST

START_TEST(headers_have_a_limit)
{
    char value[1024];
    struct http_reply reply = {0};
    struct cpam_err err;
    enum cpam_status status = CPAM_OK;

    memset(value, 'x', sizeof(value));
    for (int i = 0; i < 100 && status == CPAM_OK; i++)
        status = http_reply_add_header(&reply, "a", 1, value, 1000, &err);
    ck_assert_int_eq(status, CPAM_INVALID);
    ck_fails(http_reply_add_header(&reply, "a", 1, "b\0c", 3, &err), CPAM_CORRUPT, "zero byte",
             &err);
    http_reply_clear(&reply);
}
END_TEST

static const struct
{
    const char *text;
    int64_t seconds;
} dates[] = {
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Mon, 23 Nov 2026 15:40:08 GMT", 1795448408},
    {"Thu, 29 Feb 2024 23:59:59 GMT", 1709251199},
    {"Fri, 24 May 2013 00:00:00 GMT", 1369353600},
    {NULL, 0},
    {"", 0},
    {"2026-11-23T15:40:08Z", 0},
    {"Mon, 23 Nov 2026 15:40:08 CET", 0},
    {"Mon, 23 Nov 2026 15:40:08 GMT+1", 0},
    {"Mon, 23 Foo 2026 15:40:08 GMT", 0},
    {"Mon, 23 anF 2026 15:40:08 GMT", 0},
    {"Mon, 32 Nov 2026 15:40:08 GMT", 0},
    {"Mon, 23 Nov 2026 25:40:08 GMT", 0},
    {"120", 0},
};

START_TEST(date_is_read)
{
    ck_assert_int_eq(http_parse_date(dates[_i].text), dates[_i].seconds * 1000000);
}
END_TEST

/* --- rate ------------------------------------------------------------------------------------ */

static int64_t slept_us;

static int64_t
slept_monotonic(struct io *unused)
{
    (void) unused;
    return slept_us;
}

static void
slept_sleep(struct io *unused, int64_t us)
{
    (void) unused;
    slept_us += us;
}

START_TEST(B10_a_body_is_sent_and_received_at_the_rate)
{
    static char body[1 << 20], into[1 << 18];
    struct io_ops ops = *io_posix()->ops;
    struct io io = {.ops = &ops};
    struct cpam_err err;
    struct http_reply reply = {.status = 200};
    struct sink *nowhere = sink_nowhere();
    struct http_request request = {.body = {.data = body, .size = sizeof(body)}, .to = nowhere};
    struct transfer transfer = {.io = &io, .request = &request, .reply = &reply, .err = &err};

    ops.monotonic = slept_monotonic;
    ops.sleep = slept_sleep;
    slept_us = 0;
    ck_ok(pace_new(&io, sizeof(body) / 8, NULL, &transfer.send, &err), &err);
    for (size_t sent = 0; sent < sizeof(body);)
    {
        size_t some = transfer_give_body(into, 1, sizeof(into), &transfer);

        /* in pieces, so that the connection does not stand still for long */
        ck_assert_uint_gt(some, 0);
        ck_assert_uint_le(some, PACE_TAKE_MAX);
        sent += some;
    }
    ck_assert_int_gt(slept_us, 7000000);
    ck_assert_int_lt(slept_us, 8100000);

    slept_us = 0;
    ck_ok(pace_new(&io, sizeof(body) / 8, NULL, &transfer.receive, &err), &err);
    for (size_t got = 0; got < sizeof(body); got += 16384)
        ck_assert_uint_eq(transfer_take_body(body + got, 1, 16384, &transfer), 16384);
    ck_assert_int_gt(slept_us, 7000000);
    ck_assert_int_lt(slept_us, 8100000);
    pace_free(transfer.send);
    pace_free(transfer.receive);
}
END_TEST

/* --- retry ---------------------------------------------------------------------------------- */

/* Fails so often with a status, each attempt taking its time. */
struct failing
{
    struct fake_io *io;
    enum cpam_status status;
    unsigned times, calls;
    int64_t takes, after;
};

static enum cpam_status
fail_for_a_while(void *arg, struct retry *retry, struct cpam_err *err)
{
    struct failing *failing = arg;

    failing->calls++;
    ck_assert_uint_eq(retry->attempt, failing->calls);
    failing->io->clock += failing->takes;
    retry->after_us = failing->after;
    if (failing->calls <= failing->times)
        return cpam_fail(err, failing->status, 0, "failure %u", failing->calls);
    return CPAM_OK;
}

START_TEST(S1_a_passing_failure_is_waited_over)
{
    struct fake_io io;
    struct failing failing = {.io = &io, .status = CPAM_TRANSIENT, .times = 5};
    struct cpam_err err;

    fake_io_init(&io, 1000000);
    ck_ok(retry_run(&io.base, deadline_after(&io.base, 60000000), fail_for_a_while, &failing, &err),
          &err);
    ck_assert_uint_eq(failing.calls, 6);
    ck_assert_uint_eq(io.sleeps, 5);
    for (unsigned i = 0; i < 5; i++) /* the request rate backs off: each wait is the double */
        ck_assert_int_eq(io.slept[i], 100000 << i);
}
END_TEST

START_TEST(S1_waits_are_spread_and_capped)
{
    struct fake_io io;
    struct failing failing = {.io = &io, .status = CPAM_TRANSIENT, .times = 15};
    struct cpam_err err;

    fake_io_init(&io, 1000000);
    ck_ok(retry_run(&io.base, (struct deadline){0}, fail_for_a_while, &failing, &err), &err);
    for (unsigned i = 0; i < io.sleeps; i++)
        ck_assert_int_le(io.slept[i], RETRY_WAIT_MAX);
    ck_assert_int_eq(io.slept[14], RETRY_WAIT_MAX);
}
END_TEST

START_TEST(only_transient_failures_are_tried_again)
{
    struct fake_io io;
    struct cpam_err err;

    if (_i == CPAM_OK || _i == CPAM_TRANSIENT)
        return;
    struct failing failing = {.io = &io, .status = (enum cpam_status) _i, .times = 99};
    fake_io_init(&io, 1000000);
    ck_fails(
        retry_run(&io.base, deadline_after(&io.base, 60000000), fail_for_a_while, &failing, &err),
        (enum cpam_status) _i, "failure 1", &err);
    ck_assert_uint_eq(failing.calls, 1);
    ck_assert_uint_eq(io.sleeps, 0);
}
END_TEST

START_TEST(P11_retries_end_by_the_deadline)
{
    struct fake_io io;
    struct failing failing = {.io = &io, .status = CPAM_TRANSIENT, .times = 9999, .takes = 50000};
    struct cpam_err err;

    fake_io_init(&io, 1000000);
    ck_fails(
        retry_run(&io.base, deadline_after(&io.base, 15000000), fail_for_a_while, &failing, &err),
        CPAM_DEADLINE, "attempts in 1", &err);
    ck_assert_ptr_nonnull(strstr(err.text, "failure "));
    ck_assert_int_le(io.clock, 1000000 + 15000000);
    ck_assert_uint_gt(failing.calls, 5);
}
END_TEST

/* How much has been logged while a call failed so often. */
static size_t
logged(unsigned times, char text[4096])
{
    struct fake_io io;
    struct failing failing = {.io = &io, .status = CPAM_TRANSIENT, .times = times};
    struct cpam_err err;
    int ends[2], saved = dup(STDERR_FILENO);

    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    log_start("cpam-test", LOG_INFO);
    fake_io_init(&io, 1000000);
    ck_ok(retry_run(&io.base, (struct deadline){0}, fail_for_a_while, &failing, &err), &err);
    ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    ssize_t got = read(ends[0], text, 4095);
    close(ends[0]);
    close(ends[1]);
    close(saved);
    text[got < 0 ? 0 : got] = '\0';
    return strlen(text);
}

START_TEST(who_waits_for_long_is_told_why_once)
{
    char text[4096];

    /* 100, 200, 400, 800, 1600 ms: silent until three seconds are over */
    ck_assert_uint_eq(logged(5, text), 0);
    ck_assert_uint_gt(logged(12, text), 0);
    ck_assert_str_eq(text, "cpam-test: warning: failure 6; trying again\n");
}
END_TEST

START_TEST(P11_an_attempt_cut_by_the_deadline_tells_what_failed_before)
{
    struct fake_io io;
    struct cpam_err err;
    struct failing failing = {.io = &io, .status = CPAM_DEADLINE, .times = 9};

    /* the first attempt of all: its own words */
    fake_io_init(&io, 1000000);
    ck_fails(retry_run(&io.base, deadline_after(&io.base, 10), fail_for_a_while, &failing, &err),
             CPAM_DEADLINE, "failure 1", &err);
}
END_TEST

static enum cpam_status
fail_then_expire(void *arg, struct retry *retry, struct cpam_err *err)
{
    (void) arg;
    if (retry->attempt == 1)
        return cpam_fail(err, CPAM_TRANSIENT, 0, "503 SlowDown");
    return cpam_fail(err, CPAM_DEADLINE, 0, "the time is used up");
}

START_TEST(P11_the_failure_before_the_cut_is_what_is_told)
{
    struct fake_io io;
    struct cpam_err err;

    fake_io_init(&io, 1000000);
    ck_fails(retry_run(&io.base, deadline_after(&io.base, 5000000), fail_then_expire, NULL, &err),
             CPAM_DEADLINE, "gave up after 1 attempt in 0.1 s: 503 SlowDown", &err);
}
END_TEST

START_TEST(without_a_deadline_attempts_are_counted)
{
    struct fake_io io;
    struct failing failing = {.io = &io, .status = CPAM_TRANSIENT, .times = 9999};
    struct cpam_err err;

    fake_io_init(&io, 1000000);
    ck_fails(retry_run(&io.base, (struct deadline){0}, fail_for_a_while, &failing, &err),
             CPAM_TRANSIENT, "gave up after 20 attempts", &err);
    ck_assert_uint_eq(failing.calls, RETRY_ATTEMPTS_MAX);
}
END_TEST

static const struct
{
    int64_t after, waited;
} afters[] = {{5000000, 5000000}, {3600000000, RETRY_AFTER_MAX}, {-1, 0}, {0, RETRY_FIRST_WAIT}};

START_TEST(S1_retry_after_is_honoured_up_to_a_cap)
{
    struct fake_io io;
    struct failing failing = {
        .io = &io, .status = CPAM_TRANSIENT, .times = 1, .after = afters[_i].after};
    struct cpam_err err;

    fake_io_init(&io, 1000000);
    ck_ok(retry_run(&io.base, (struct deadline){0}, fail_for_a_while, &failing, &err), &err);
    ck_assert_int_eq(io.clock - 1000000, afters[_i].waited);
}
END_TEST

/* --- the client's refusals (its behaviour with servers: tests/peer) --------------------------- */

static const struct
{
    const char *url, *name, *value;
    enum cpam_status status;
    const char *why;
} requests[] = {
    {"ftp://127.0.0.1/", "a", "b", CPAM_CORRUPT, "ftp"},
    {"file:///etc/passwd", "a", "b", CPAM_CORRUPT, "file"},
    {"http://127.0.0.1:1/", "a", "b\r\nc: d", CPAM_USAGE, "line break"},
    {"http://127.0.0.1:1/", "a\nb", "c", CPAM_USAGE, "line break"},
    {"http://127.0.0.1:1/", "a", "b", CPAM_TRANSIENT, "connect"},
    {"http://nosuchhost.invalid/", "a", "b", CPAM_TRANSIENT, "resolve"},
};

START_TEST(request_is_refused)
{
    const struct http_options options = {.connect_us = 2000000};
    const struct http_header header = {requests[_i].name, requests[_i].value};
    const struct http_request request = {
        .method = "GET", .url = requests[_i].url, .headers = &header, .header_count = 1};
    struct http_reply reply = {0};
    struct http *http = NULL;
    struct cpam_err err;

    ck_ok(http_client_new(io_posix(), &options, &http, &err), &err);
    ck_fails(http_send(http, &request, &reply, &err), requests[_i].status, requests[_i].why, &err);
    http_reply_clear(&reply);
    http_free(http);
}
END_TEST

START_TEST(P11_a_passed_deadline_sends_nothing)
{
    const struct http_options options = {0};
    struct http_request request = {.method = "GET", .url = "http://127.0.0.1:1/"};
    struct http_reply reply = {0};
    struct http *http = NULL;
    struct cpam_err err;

    ck_ok(http_client_new(io_posix(), &options, &http, &err), &err);
    request.deadline = deadline_after(io_posix(), 0);
    ck_fails(http_send(http, &request, &reply, &err), CPAM_DEADLINE, "is used up", &err);
    http_free(http);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("http");
    TCase *tcase = tcase_create("http");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, header_is_found_in_any_case);
    tcase_add_test(tcase, headers_have_a_limit);
    tcase_add_test(tcase, B10_a_body_is_sent_and_received_at_the_rate);
    tcase_add_loop_test(tcase, date_is_read, 0, sizeof(dates) / sizeof(dates[0]));
    tcase_add_test(tcase, S1_a_passing_failure_is_waited_over);
    tcase_add_test(tcase, S1_waits_are_spread_and_capped);
    tcase_add_loop_test(tcase, only_transient_failures_are_tried_again, 0, CPAM_STATUS_COUNT);
    tcase_add_test(tcase, P11_retries_end_by_the_deadline);
    tcase_add_test(tcase, who_waits_for_long_is_told_why_once);
    tcase_add_test(tcase, P11_an_attempt_cut_by_the_deadline_tells_what_failed_before);
    tcase_add_test(tcase, P11_the_failure_before_the_cut_is_what_is_told);
    tcase_add_test(tcase, without_a_deadline_attempts_are_counted);
    tcase_add_loop_test(tcase, S1_retry_after_is_honoured_up_to_a_cap, 0,
                        sizeof(afters) / sizeof(afters[0]));
    tcase_add_loop_test(tcase, request_is_refused, 0, sizeof(requests) / sizeof(requests[0]));
    tcase_add_test(tcase, P11_a_passed_deadline_sends_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}
