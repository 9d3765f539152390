/*
 * name.c - decoding and comparing names.
 */
#include "s3/name.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

enum cpam_status
s3_url_decode(char *text, struct cpam_err *err)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    char *to = text;

    for (const char *at = text; *at != '\0'; at++)
    {
        if (*at != '%')
        {
            *to++ = *at == '+' ? ' ' : *at;
            continue;
        }
        const char *high = at[1] != '\0' ? strchr(digits, at[1]) : NULL;
        const char *low = high != NULL && at[2] != '\0' ? strchr(digits, at[2]) : NULL;
        if (low == NULL)
            return cpam_fail(err, CPAM_UNKNOWN, 0, "the listing has a key that can't be decoded");
        char byte = (char) (((high - digits) & 15) << 4 | ((low - digits) & 15));
        if (byte == '\0')
            return cpam_fail(err, CPAM_UNKNOWN, 0, "the listing has a key with a zero byte in it");
        *to++ = byte;
        at += 2;
    }
    *to = '\0';
    return CPAM_OK;
}

/* Is the shorter one the end of the longer one? */
static bool
is_tail(const char *one, const char *other, const char *between)
{
    size_t one_size = strlen(one), other_size = strlen(other);
    const char *longer = one_size > other_size ? one : other;
    const char *shorter = one_size > other_size ? other : one;
    const char *at = longer + strlen(longer) - strlen(shorter);

    if (at == longer || shorter[0] == '\0')
        return strcmp(longer, shorter) == 0;
    return strcmp(at, shorter) == 0 && strchr(between, at[-1]) != NULL;
}

bool
s3_is_named(const char *theirs, const char *ours, const char *between)
{
    CPAM_AUTO(free) char *decoded = strdup(theirs);
    struct cpam_err ignored;

    if (theirs[0] == '\0' || is_tail(theirs, ours, between))
        return true;
    /* without memory for more it is not known to be ours */
    return decoded != NULL && s3_url_decode(decoded, &ignored) == CPAM_OK &&
           is_tail(decoded, ours, between);
}
