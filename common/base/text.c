/*
 * text.c - numbers, sizes, durations, hex and UUIDs from and to text.
 *
 * Everything is written by hand over plain bytes: strtoull() skips blanks, takes signs and depends
 * on errno; isdigit() depends on the locale.  Moments are in text_time.c.
 */
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct unit
{
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},
    {"KiB", (uint64_t) 1 << 10},
    {"MiB", (uint64_t) 1 << 20},
    {"GiB", (uint64_t) 1 << 30},
    {"TiB", (uint64_t) 1 << 40},
};

static const struct unit duration_units[] = {
    {"ms", 1000},
    {"s", 1000000},
    {"m", (uint64_t) 60 * 1000000},
    {"h", (uint64_t) 3600 * 1000000},
    {"d", (uint64_t) 86400 * 1000000},
};

/* Leading digits of text; false when there are none or they pass 2^64 - 1. */
static bool
leading_number(const char *text, uint64_t *out, const char **rest)
{
    uint64_t value = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++)
    {
        uint64_t digit = (uint64_t) (*at - '0');

        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    *rest = at;
    return at != text;
}

enum cpam_status
text_parse_u64(const char *text, uint64_t max, uint64_t *out, struct cpam_err *err)
{
    const char *rest;
    uint64_t value;

    if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text) &&
        (!leading_number(text, &value, &rest) || value > max))
        return cpam_fail(err, CPAM_INVALID, 0, "%s is more than the allowed %" PRIu64, text, max);
    if (!leading_number(text, &value, &rest) || *rest != '\0')
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is not a number", text);
    *out = value;
    return CPAM_OK;
}

/* A number and one of the units; *out is the product. */
static bool
number_with_unit(const char *text, const struct unit *units, size_t count, uint64_t max,
                 uint64_t *out, bool *too_much)
{
    const char *rest;
    uint64_t value;

    *too_much = false;
    if (!leading_number(text, &value, &rest))
        return false;
    for (size_t i = 0; i < count; i++)
    {
        if (strcmp(rest, units[i].name) != 0)
            continue;
        if (value > max / units[i].factor)
        {
            *too_much = true;
            return false;
        }
        *out = value * units[i].factor;
        return true;
    }
    return false;
}

enum cpam_status
text_parse_size(const char *text, uint64_t max, uint64_t *out, struct cpam_err *err)
{
    bool too_much;

    if (number_with_unit(text, size_units, COUNT_OF(size_units), max, out, &too_much))
        return CPAM_OK;
    if (too_much)
    {
        char most[TEXT_SIZE_MAX];

        text_format_size(max, most);
        return cpam_fail(err, CPAM_INVALID, 0, "%s is more than the allowed %s", text, most);
    }
    return cpam_fail(err, CPAM_INVALID, 0,
                     "\"%s\" is not a size (a number, then nothing, KiB, MiB, GiB or TiB)", text);
}

enum cpam_status
text_parse_duration(const char *text, int64_t max_us, int64_t *out_us, struct cpam_err *err)
{
    uint64_t value;
    bool too_much;

    if (strcmp(text, "0") == 0)
    {
        *out_us = 0;
        return CPAM_OK;
    }
    if (number_with_unit(text, duration_units, COUNT_OF(duration_units), (uint64_t) max_us, &value,
                         &too_much))
    {
        *out_us = (int64_t) value;
        return CPAM_OK;
    }
    if (too_much)
    {
        char most[TEXT_DURATION_MAX];

        text_format_duration(max_us, most);
        return cpam_fail(err, CPAM_INVALID, 0, "%s is more than the allowed %s", text, most);
    }
    return cpam_fail(err, CPAM_INVALID, 0,
                     "\"%s\" is not a duration (a number and ms, s, m, h or d)", text);
}

void
text_format_size(uint64_t bytes, char out[TEXT_SIZE_MAX])
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;

    if (bytes < 1024)
    {
        snprintf(out, TEXT_SIZE_MAX, "%u B", (unsigned) bytes);
        return;
    }
    /* tenths of the unit, rounded down: never "1024.0 KiB", and a whole number stays whole */
    while (unit + 1 < COUNT_OF(names) && bytes >> (10 * (unit + 2)) != 0)
        unit++;
    uint16_t whole = (uint16_t) (bytes >> (10 * (unit + 1)));
    uint16_t tenths = (uint16_t) ((bytes >> (10 * unit) & 1023) * 10 / 1024);
    if (tenths == 0)
        snprintf(out, TEXT_SIZE_MAX, "%u %s", whole, names[unit]);
    else
        snprintf(out, TEXT_SIZE_MAX, "%u.%u %s", whole, tenths, names[unit]);
}

void
text_format_duration(int64_t us, char out[TEXT_DURATION_MAX])
{
    static const struct
    {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};

    if (us < 0)
        us = 0;
    if (us < 1000000)
    {
        snprintf(out, TEXT_DURATION_MAX, "%u ms", (unsigned) (us / 1000));
        return;
    }
    int64_t seconds = us / 1000000;
    if (seconds < 60)
    {
        unsigned tenths = (unsigned) (us % 1000000 / 100000);

        if (tenths != 0 && seconds < 10)
            snprintf(out, TEXT_DURATION_MAX, "%u.%u s", (unsigned) seconds, tenths);
        else
            snprintf(out, TEXT_DURATION_MAX, "%u s", (unsigned) seconds);
        return;
    }
    for (size_t i = 0; i + 1 < COUNT_OF(units); i++)
    {
        if (seconds < units[i].seconds)
            continue;
        unsigned whole = (unsigned) (seconds / units[i].seconds);
        unsigned rest = (unsigned) (seconds % units[i].seconds / units[i + 1].seconds);

        if (rest == 0)
            snprintf(out, TEXT_DURATION_MAX, "%u %s", whole, units[i].name);
        else
            snprintf(out, TEXT_DURATION_MAX, "%u %s %u %s", whole, units[i].name, rest,
                     units[i + 1].name);
        return;
    }
}

void
text_hex(const void *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++)
    {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * size] = '\0';
}

static int
hex_digit(char c, bool any_case)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (any_case && c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum cpam_status
text_unhex(const char *text, void *out, size_t size, bool any_case, struct cpam_err *err)
{
    uint8_t *bytes = out;
    size_t length = strlen(text);

    if (length != 2 * size)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.80s\" has %zu digits instead of %zu", text,
                         length, 2 * size);
    for (size_t i = 0; i < size; i++)
    {
        int high = hex_digit(text[2 * i], any_case);
        int low = hex_digit(text[2 * i + 1], any_case);

        if (high < 0 || low < 0)
            return cpam_fail(err, CPAM_INVALID, 0, "\"%.80s\" is not %shexadecimal", text,
                             any_case ? "" : "lower-case ");
        bytes[i] = (uint8_t) (high << 4 | low);
    }
    return CPAM_OK;
}

void
text_format_uuid(const uint8_t uuid[16], char out[TEXT_UUID_MAX])
{
    char hex[33];

    text_hex(uuid, 16, hex);
    snprintf(out, TEXT_UUID_MAX, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

enum cpam_status
text_parse_uuid(const char *text, uint8_t out[16], struct cpam_err *err)
{
    char hex[33];
    size_t at = 0;

    if (strlen(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' ||
        text[23] != '-')
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.80s\" is not a UUID", text);
    for (size_t i = 0; i < 36; i++)
        if (i != 8 && i != 13 && i != 18 && i != 23)
            hex[at++] = text[i];
    hex[at] = '\0';
    if (text_unhex(hex, out, 16, false, err) != CPAM_OK)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is not a UUID in lower-case", text);
    return CPAM_OK;
}

/* Bytes of the sequence at `at`, 0 if it is not well-formed (Unicode 15, table 3-7). */
static size_t
utf8_sequence(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    uint8_t low = 0x80, high = 0xbf;
    size_t length;

    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        length = 2;
    else if (first >= 0xe0 && first <= 0xef)
        length = 3;
    else if (first >= 0xf0 && first <= 0xf4)
        length = 4;
    else
        return 0;
    if (length > left)
        return 0;
    if (first == 0xe0)
        low = 0xa0; /* overlong */
    else if (first == 0xed)
        high = 0x9f; /* surrogates */
    else if (first == 0xf0)
        low = 0x90; /* overlong */
    else if (first == 0xf4)
        high = 0x8f; /* past U+10FFFF */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return length;
}

size_t
text_shown(const char *text, char out[TEXT_SHOWN_MAX])
{
    const uint8_t *bytes = (const uint8_t *) text;
    size_t length = utf8_sequence(bytes, strnlen(text, 4));
    bool control = bytes[0] < 0x20 || bytes[0] == 0x7f || (bytes[0] == 0xc2 && bytes[1] < 0xa0);

    if (length == 0 || control)
    {
        snprintf(out, TEXT_SHOWN_MAX, "\\x%02x", bytes[0]);
        return 1;
    }
    memcpy(out, text, length);
    out[length] = '\0';
    return length;
}

bool
text_is_utf8(const char *text, size_t size)
{
    const uint8_t *bytes = (const uint8_t *) text;

    for (size_t at = 0; at < size;)
    {
        size_t length = utf8_sequence(bytes + at, size - at);

        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

enum
{
    NEAREST_MAX = 64 /* longer words have no near ones */
};

/* Insertions, deletions, changes and swaps of neighbours that lead from a to b. */
static size_t
edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t row[3][NEAREST_MAX + 1];

    for (size_t j = 0; j <= b_len; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= a_len; i++)
    {
        size_t *now = row[i % 3], *before = row[(i + 2) % 3], *two_before = row[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= b_len; j++)
        {
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);

            if (before[j] + 1 < best)
                best = before[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two_before[j - 2] + 1 < best)
                best = two_before[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[a_len % 3][b_len];
}

const char *
text_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t word_len = strlen(word);
    size_t best = word_len / 3 + 1;

    if (word_len > NEAREST_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++)
    {
        size_t len = strlen(candidates[i]);

        if (len > NEAREST_MAX)
            continue;
        size_t distance = edit_distance(word, word_len, candidates[i], len);
        if (distance < best)
        {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
