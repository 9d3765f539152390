/*
 * value_check.c - bounds and choices of one value, and the sentence when it does not keep them.
 */
#include "cli/value_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum
{
    WORDS_MAX = 16, /* of a choice */
    WORD_SIZE = 32
};

enum cpam_status
value_check_choice(const char *value, const char *choices, struct cpam_err *err)
{
    char words[WORDS_MAX][WORD_SIZE];
    const char *candidates[WORDS_MAX] = {NULL};
    size_t count = 0;

    for (const char *at = choices; *at != '\0' && count < WORDS_MAX;)
    {
        size_t size = strcspn(at, "|");

        snprintf(words[count], WORD_SIZE, "%.*s", (int) size, at);
        candidates[count] = words[count];
        if (strcmp(words[count++], value) == 0)
            return CPAM_OK;
        at += size + (at[size] == '|');
    }
    cpam_fail(err, CPAM_USAGE, 0, "\"%.80s\" is none of %s", value, choices);
    const char *nearest = text_nearest(value, candidates, count);
    if (nearest != NULL)
        cpam_err_hint(err, "did you mean %s?", nearest);
    return CPAM_USAGE;
}

enum cpam_status
value_check_least(const char *value, uint64_t got, uint64_t least, enum value_unit unit,
                  struct cpam_err *err)
{
    char text[TEXT_DURATION_MAX];

    if (got >= least)
        return CPAM_OK;
    if (unit == VALUE_DURATION)
        text_format_duration((int64_t) least, text);
    else if (unit == VALUE_SIZE)
        text_format_size(least, text);
    else
        snprintf(text, sizeof(text), "%" PRIu64, least);
    return cpam_fail(err, CPAM_USAGE, 0, "%s is less than %s", value, text);
}
