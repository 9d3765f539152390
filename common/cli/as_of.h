/*
 * as_of.h - --as-of TIME: the repository as it was then.
 *
 * For programs that only read.  Every repository that is opened with these settings from then on is a
 * versioned bucket as it was at that moment (store/s3_store.h); others are refused when opened.
 */
#ifndef CPAM_CLI_AS_OF_H
#define CPAM_CLI_AS_OF_H

#include "cli/settings.h"

/* text NULL: now.  CPAM_USAGE for what is no moment, or lies in the future. */
enum cpam_status as_of_set(struct io *io, const char *text, struct settings *settings,
                           struct cpam_err *err) CPAM_CHECK;

/* The row of the option, for the table of a program; at: offset of its `const char *`. */
#define AS_OF_OPTION(at)                                                                           \
    {                                                                                              \
        "as-of", 0, OPTION_TEXT, "TIME", at, 0, 0, NULL,                                           \
            "read a bucket that keeps versions as it was then: 2026-01-31T12:00:00+01"             \
    }

#endif
