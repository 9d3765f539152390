/*
 * value_check.h - what command line and configuration hold a value against, in the same words.
 */
#ifndef CPAM_CLI_VALUE_CHECK_H
#define CPAM_CLI_VALUE_CHECK_H

#include <stdint.h>

#include "base/err.h"

enum value_unit
{
    VALUE_COUNT,
    VALUE_SIZE,    /* bytes */
    VALUE_DURATION /* us */
};

/* One of "a|b|c" (at most 16 words of 31 bytes); CPAM_USAGE, with the nearest as a hint, otherwise. */
enum cpam_status value_check_choice(const char *value, const char *choices,
                                    struct cpam_err *err) CPAM_CHECK;

/* got, which was written as `value`, is at least `least`; CPAM_USAGE otherwise. */
enum cpam_status value_check_least(const char *value, uint64_t got, uint64_t least,
                                   enum value_unit unit, struct cpam_err *err) CPAM_CHECK;

#endif
