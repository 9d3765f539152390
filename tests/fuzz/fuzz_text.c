/*
 * fuzz_text.c - numbers, sizes, times, UUIDs, and the dates of HTTP.
 */
#include "fuzz.h"

#include "base/text.h"
#include "http/http.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CPAM_AUTO(free) char *text = fuzz_text(data, size);
    char shown[TEXT_UUID_MAX], when[TEXT_TIME_MAX];
    int64_t us, again;
    uint64_t number;
    uint8_t uuid[16];
    struct cpam_err err;

    (void) http_parse_date(text);
    (void) !text_parse_u64(text, UINT64_MAX, &number, &err);
    (void) !text_parse_size(text, INT64_MAX, &number, &err);
    (void) !text_parse_duration(text, INT64_MAX, &us, &err);
    if (text_parse_time(text, &us, &err) == CPAM_OK)
    {
        text_format_time(us, when);
        MUST(text_parse_time(when, &again, &err) == CPAM_OK && again == us);
    }
    if (text_parse_uuid(text, uuid, &err) == CPAM_OK)
    {
        text_format_uuid(uuid, shown);
        MUST(strcmp(shown, text) == 0);
    }
    return 0;
}
