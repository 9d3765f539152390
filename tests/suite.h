/*
 * suite.h - how every unit test program runs: Check's cases, reported as TAP on stdout.
 *
 * A test file defines one function, `Suite *suite(void)`, and nothing named main.
 * A test that proves a requirement carries the row's id in its name: START_TEST(P7_short_file_...).
 */
#ifndef CPAM_TESTS_SUITE_H
#define CPAM_TESTS_SUITE_H

/* check.h first needs these */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

Suite *suite(void);

/* Fails the test with the sentence of err unless status is CPAM_OK. */
#define ck_ok(call, err)                                                                           \
    do                                                                                             \
    {                                                                                              \
        enum cpam_status ck_ok_status_ = (call);                                                   \
        ck_assert_msg(ck_ok_status_ == CPAM_OK, "%s: %s: %s", #call,                               \
                      cpam_status_name(ck_ok_status_), (err)->text);                               \
    } while (0)

/* The call fails with this status, and its sentence holds these words. */
#define ck_fails(call, expected, words, err)                                                       \
    do                                                                                             \
    {                                                                                              \
        enum cpam_status ck_fails_status_ = (call);                                                \
        ck_assert_msg(ck_fails_status_ == (expected), "%s: got %s, wanted %s (%s)", #call,         \
                      cpam_status_name(ck_fails_status_), cpam_status_name(expected),              \
                      ck_fails_status_ == CPAM_OK ? "no failure" : (err)->text);                   \
        ck_assert_msg(strstr((err)->text, (words)) != NULL, "\"%s\" is not in: %s", (words),       \
                      (err)->text);                                                                \
    } while (0)

#endif
