/*
 * err.c - building the one sentence of a failure.
 *
 * What comes from outside (names, server answers) ends up in these sentences, and they end up on
 * terminals and in one-line logs: so control characters never leave here as they are.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#undef cpam_fail /* the analyzer's view of it, see err.h */

static void
copy_printable(char *to, size_t cap, const char *from)
{
    size_t at = 0;

    while (*from != '\0')
    {
        char one[TEXT_SHOWN_MAX];

        from += text_shown(from, one);
        size_t len = strlen(one);
        if (len > cap - 1 - at)
        {
            static const char dots[] = "...";

            at = at < cap - sizeof(dots) ? at : cap - sizeof(dots);
            memcpy(to + at, dots, sizeof(dots));
            return;
        }
        memcpy(to + at, one, len);
        at += len;
    }
    to[at] = '\0';
}

static void __attribute__((format(printf, 3, 0)))
format_into(char *to, size_t cap, const char *fmt, va_list args)
{
    char raw[CPAM_ERR_TEXT_MAX * 2];

    vsnprintf(raw, sizeof(raw), fmt, args);
    copy_printable(to, cap, raw);
}

enum cpam_status
cpam_fail(struct cpam_err *err, enum cpam_status status, int sys, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    format_into(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    err->status = status;
    err->sys = sys;
    err->hint[0] = '\0';
    if (sys != 0)
    {
        char reason[128];
        size_t len = strlen(err->text);

        /* GNU strerror_r may return a static text and leave the buffer alone. */
        snprintf(err->text + len, sizeof(err->text) - len, ": %s",
                 strerror_r(sys, reason, sizeof(reason)));
    }
    return status;
}

void
cpam_err_prefix(struct cpam_err *err, const char *fmt, ...)
{
    char front[CPAM_ERR_TEXT_MAX];
    char whole[CPAM_ERR_TEXT_MAX * 2 + 2];
    va_list args;

    va_start(args, fmt);
    format_into(front, sizeof(front), fmt, args);
    va_end(args);
    snprintf(whole, sizeof(whole), "%s: %s", front, err->text);
    copy_printable(err->text, sizeof(err->text), whole);
}

void
cpam_err_hint(struct cpam_err *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    format_into(err->hint, sizeof(err->hint), fmt, args);
    va_end(args);
}
