/*
 * http.c - what every HTTP client shares: replies and their headers.
 */
#include "http/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum cpam_status
http_send(struct http *http, const struct http_request *request, struct http_reply *reply,
          struct cpam_err *err)
{
    http_reply_clear(reply);
    return http->ops->send(http, request, reply, err);
}

void
http_free(struct http *http)
{
    if (http != NULL)
        http->ops->free(http);
}

const char *
http_reply_header(const struct http_reply *reply, const char *name)
{
    const char *at = (const char *) reply->headers.data;
    const char *end = at == NULL ? NULL : at + reply->headers.size;

    while (at < end)
    {
        const char *value = at + strlen(at) + 1;

        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

enum cpam_status
http_reply_add_header(struct http_reply *reply, const char *name, size_t name_size,
                      const char *value, size_t value_size, struct cpam_err *err)
{
    struct cpam_buf *to = &reply->headers;

    if (memchr(name, 0, name_size) != NULL || memchr(value, 0, value_size) != NULL)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the reply has a header with a zero byte in it");
    CPAM_TRY(cpam_buf_reserve(to, name_size + value_size + 2, HTTP_HEADERS_MAX, err));
    CPAM_TRY(cpam_buf_append(to, name, name_size, HTTP_HEADERS_MAX, err));
    CPAM_TRY(cpam_buf_append(to, "", 1, HTTP_HEADERS_MAX, err));
    CPAM_TRY(cpam_buf_append(to, value, value_size, HTTP_HEADERS_MAX, err));
    return cpam_buf_append(to, "", 1, HTTP_HEADERS_MAX, err);
}

void
http_reply_clear(struct http_reply *reply)
{
    cpam_buf_clear(&reply->headers);
    cpam_buf_clear(&reply->body);
    reply->status = 0;
    reply->received = 0;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t
days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

int64_t
http_parse_date(const char *text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4] = "";
    int day, year, hour, minute, second, used = 0;

    if (text == NULL)
        return 0;
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, month, &year, &hour,
               &minute, &second, &used) != 6 ||
        used == 0 || text[used] != '\0' || strlen(month) != 3)
        return 0;

    const char *at = strstr(months, month);
    if (at == NULL || (at - months) % 3 != 0 || day < 1 || day > 31 || year < 1970 || hour > 23 ||
        minute > 59 || second > 60 || hour < 0 || minute < 0 || second < 0)
        return 0;
    int64_t seconds = days_of(year, (int) (at - months) / 3 + 1, day) * 86400 + hour * 3600 +
                      minute * 60 + second;
    return seconds * 1000000;
}
