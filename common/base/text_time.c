/*
 * text_time.c - moments from and to text.
 *
 * The calendar is the proleptic Gregorian one, counted by hand: mktime() and timegm() look at the
 * time zone database, and a recovery target must not depend on it.  Leap seconds do not exist here,
 * as they do not in PostgreSQL.
 */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum
{
    MICROS = 1000000,
    DAY = 86400
};

static bool
is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to the first day of the year. */
static int64_t
days_before_year(int year)
{
    int64_t past = year - 1;

    return past * 365 + past / 4 - past / 100 + past / 400 - 719162;
}

/* Exactly `digits` digits at *at, at most max; moves *at behind them. */
static bool
take_number(const char **at, int digits, int max, int *out)
{
    int value = 0;

    for (int i = 0; i < digits; i++)
    {
        char c = (*at)[i];

        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *at += digits;
    *out = value;
    return value <= max;
}

static bool
take(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* [:SS[.fraction]] */
static bool
take_seconds(const char **at, int *second, int *micros)
{
    *second = 0;
    *micros = 0;
    if (!take(at, ':'))
        return true;
    if (!take_number(at, 2, 59, second))
        return false;
    if (!take(at, '.'))
        return true;

    int scale = MICROS / 10;
    const char *start = *at;
    for (; **at >= '0' && **at <= '9' && scale > 0; (*at)++, scale /= 10)
        *micros += (**at - '0') * scale;
    return *at != start && !(**at >= '0' && **at <= '9');
}

/* "Z", "UTC" or a signed offset; false when there is something else.  *offset in seconds. */
static bool
take_offset(const char **at, int *offset)
{
    int hours, minutes = 0;

    *offset = 0;
    if (take(at, 'Z') || take(at, 'z'))
        return true;
    if (strncmp(*at, "UTC", 3) == 0)
    {
        *at += 3;
        return true;
    }
    int sign = **at == '-' ? -1 : 1;
    if (!take(at, '+') && !take(at, '-'))
        return false;
    if (!take_number(at, 2, 15, &hours)) /* PostgreSQL takes offsets up to 15:59 */
        return false;
    if ((take(at, ':') || (**at >= '0' && **at <= '9')) && !take_number(at, 2, 59, &minutes))
        return false;
    *offset = sign * (hours * 3600 + minutes * 60);
    return true;
}

enum cpam_status
text_parse_time(const char *text, int64_t *out_us, struct cpam_err *err)
{
    const char *at = text;
    int year, month, day, hour, minute, second, micros, offset;

    if (!take_number(&at, 4, 9999, &year) || !take(&at, '-') || !take_number(&at, 2, 12, &month) ||
        !take(&at, '-') || !take_number(&at, 2, 31, &day) || !(take(&at, 'T') || take(&at, ' ')) ||
        !take_number(&at, 2, 23, &hour) || !take(&at, ':') || !take_number(&at, 2, 59, &minute) ||
        !take_seconds(&at, &second, &micros))
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%.80s\" is not a time such as \"2026-11-23 15:40:00+00\"", text);
    if (month == 0 || day == 0 || day > days_of_month(year, month))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.80s\" is a day the calendar does not have",
                         text);
    if (*at == '\0')
    {
        cpam_fail(
            err, CPAM_INVALID, 0,
            "\"%.80s\" has no offset from UTC: it names a different moment in every time zone",
            text);
        cpam_err_hint(err, "write \"%.80s+00\" for UTC, or the offset of your clock (date +%%:z)",
                      text);
        return CPAM_INVALID;
    }
    if (*at == ' ')
        at++;
    if (!take_offset(&at, &offset) || *at != '\0')
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%.80s\" does not end in an offset from UTC: Z, UTC, +HH, +HH:MM", text);

    int64_t days = days_before_year(year) + day - 1;
    for (int m = 1; m < month; m++)
        days += days_of_month(year, m);
    int64_t seconds = days * DAY + hour * 3600 + minute * 60 + second - offset;
    if (seconds < 0 || seconds >= (days_before_year(10000)) * DAY)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.80s\" is not between 1970 and 9999 (UTC)",
                         text);
    *out_us = seconds * MICROS + micros;
    return CPAM_OK;
}

void
text_format_time(int64_t us, char out[TEXT_TIME_MAX])
{
    int64_t seconds = us / MICROS;
    int64_t micros = us % MICROS;

    if (micros < 0)
    {
        micros += MICROS;
        seconds--;
    }
    int64_t days = seconds / DAY;
    int rest = (int) (seconds % DAY);
    if (rest < 0)
    {
        rest += DAY;
        days--;
    }
    int year = (int) (1970 + days / 366); /* near the year meant */
    while (days_before_year(year) > days)
        year--;
    while (days_before_year(year + 1) <= days)
        year++;
    int day = (int) (days - days_before_year(year));
    int month = 1;
    while (day >= days_of_month(year, month))
        day -= days_of_month(year, month++);
    char whole[128]; /* room for any int, so that the compiler need not know the calendar */
    int size = snprintf(whole, sizeof(whole), "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day + 1,
                        rest / 3600, rest / 60 % 60, rest % 60);
    if (micros != 0)
        size += snprintf(whole + size, sizeof(whole) - (size_t) size, ".%06d", (int) micros);
    snprintf(whole + size, sizeof(whole) - (size_t) size, "Z");
    snprintf(out, TEXT_TIME_MAX, "%.31s", whole);
}
