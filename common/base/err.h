/*
 * err.h - one failure, with the sentence a person reads.
 *
 * The lowest function that knows what went wrong writes the sentence with cpam_fail(); callers
 * that know more ("segment 0000...01") put it in front with cpam_err_prefix(); only the program
 * prints it, once.  A sentence says what was tried, on what, what the other side answered, and,
 * through cpam_err_hint(), what a person can do next.  It starts in lower case, has no full stop,
 * and names things in double quotes.
 *
 * Every function that takes an err accepts only a valid pointer.  After CPAM_OK the content of
 * *err is not to be looked at.
 */
#ifndef CPAM_BASE_ERR_H
#define CPAM_BASE_ERR_H

#include <stddef.h>

#include "base/status.h"

enum
{
    CPAM_ERR_TEXT_MAX = 2048, /* bytes with the NUL; a longer sentence ends in "..." */
    CPAM_ERR_HINT_MAX = 1024
};

struct cpam_err
{
    enum cpam_status status;
    int sys;                      /* errno of the failed call, 0 if none */
    char text[CPAM_ERR_TEXT_MAX]; /* one sentence, one line: see text_shown() */
    char hint[CPAM_ERR_HINT_MAX]; /* what to do next, or "" */
};

/*
 * Fill *err and return status.  With sys other than 0, ": " and strerror(sys) follow the text.
 * Clears the hint.  Reads nothing from *err, so that it need not be initialised before.
 */
enum cpam_status cpam_fail(struct cpam_err *err, enum cpam_status status, int sys, const char *fmt,
                           ...) __attribute__((format(printf, 4, 5)));

#ifdef __clang_analyzer__
/* The analyzer looks at one file at a time: tell it that the status comes back unchanged. */
#define cpam_fail(err, status, ...)                                                                \
    __extension__({                                                                                \
        enum cpam_status cpam_fail_status_ = (status);                                             \
        if ((cpam_fail) ((err), cpam_fail_status_, __VA_ARGS__) != cpam_fail_status_)              \
            __builtin_unreachable();                                                               \
        cpam_fail_status_;                                                                         \
    })
#endif

/* Put "<text>: " in front of the sentence. */
void cpam_err_prefix(struct cpam_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Say what a person can do next; the last call wins. */
void cpam_err_hint(struct cpam_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Return from the function with the failure of `call`, if it failed. */
#define CPAM_TRY(call)                                                                             \
    do                                                                                             \
    {                                                                                              \
        enum cpam_status cpam_try_status_ = (call);                                                \
        if (cpam_try_status_ != CPAM_OK)                                                           \
            return cpam_try_status_;                                                               \
    } while (0)

#endif
