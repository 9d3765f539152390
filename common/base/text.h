/*
 * text.h - numbers, sizes, durations, times and hex from and to text.
 *
 * Parsers take the whole text or fail with CPAM_INVALID and a sentence that shows it; nothing is
 * skipped, guessed or cut.  No locale, no errno.
 */
#ifndef CPAM_BASE_TEXT_H
#define CPAM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A decimal number, digits only. */
enum cpam_status text_parse_u64(const char *text, uint64_t max, uint64_t *out,
                                struct cpam_err *err) CPAM_CHECK;

/* A size in bytes: a number, then nothing, KiB, MiB, GiB or TiB. */
enum cpam_status text_parse_size(const char *text, uint64_t max, uint64_t *out,
                                 struct cpam_err *err) CPAM_CHECK;

/* A duration in microseconds: a number and ms, s, m, h or d; "0" alone is allowed. */
enum cpam_status text_parse_duration(const char *text, int64_t max_us, int64_t *out_us,
                                     struct cpam_err *err) CPAM_CHECK;

/*
 * A moment, as microseconds since 1970-01-01 00:00 UTC: YYYY-MM-DD, then 'T' or a space,
 * HH:MM[:SS[.up to 6 digits]], then, without or after one space, 'Z', 'UTC' or +HH[[:]MM] /
 * -HH[[:]MM].  A text without an offset is refused, since it names 25 different moments.
 * Years 1970 to 9999.
 */
enum cpam_status text_parse_time(const char *text, int64_t *out_us,
                                 struct cpam_err *err) CPAM_CHECK;

enum
{
    TEXT_TIME_MAX = 32,     /* "2026-11-23T15:40:08.123456Z" and its NUL */
    TEXT_SIZE_MAX = 16,     /* "1023.9 MiB" */
    TEXT_DURATION_MAX = 24, /* "12 d 3 h" */
    TEXT_UUID_MAX = 37
};

/* RFC 3339 in UTC, with as few digits of a fraction as the moment needs (none, or six). */
void text_format_time(int64_t us, char out[TEXT_TIME_MAX]);

/* For people: "512 B", "1.5 MiB"; "3 min 5 s", "2.1 s", "35 ms". */
void text_format_size(uint64_t bytes, char out[TEXT_SIZE_MAX]);
void text_format_duration(int64_t us, char out[TEXT_DURATION_MAX]);

/* Lower-case hex; out has room for 2 * size + 1. */
void text_hex(const void *data, size_t size, char *out);

/* Exactly 2 * size hex digits, nothing else; upper case is refused unless any_case. */
enum cpam_status text_unhex(const char *text, void *out, size_t size, bool any_case,
                            struct cpam_err *err) CPAM_CHECK;

/* 8-4-4-4-12 lower-case hex. */
void text_format_uuid(const uint8_t uuid[16], char out[TEXT_UUID_MAX]);
enum cpam_status text_parse_uuid(const char *text, uint8_t out[16],
                                 struct cpam_err *err) CPAM_CHECK;

enum
{
    TEXT_SHOWN_MAX = 5 /* "\xNN", or a character of UTF-8, and its NUL */
};

/*
 * The beginning of a text (not "") as a terminal or a log may have it: a whole character of UTF-8, or, of a
 * control character (C0, DEL, C1) and of what is no UTF-8, one byte as \xNN.  Returns how many bytes of the
 * text that was.
 */
size_t text_shown(const char *text, char out[TEXT_SHOWN_MAX]);

/* True for UTF-8 without overlong forms, surrogates or code points past U+10FFFF. */
bool text_is_utf8(const char *text, size_t size);

/* The candidate nearest to `word` (edit distance, at most a third of its length), or NULL. */
const char *text_nearest(const char *word, const char *const *candidates, size_t count);

#endif
