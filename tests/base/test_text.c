/*
 * test_text.c - numbers, sizes, durations, hex, UUIDs, UTF-8 and the nearest word.
 */
#include "suite.h"

#include "base/text.h"

#define COUNT_OF(array) ((int) (sizeof(array) / sizeof((array)[0])))

static const struct
{
    const char *text;
    uint64_t max, value;
} numbers[] = {
    {"0", 0, 0},
    {"7", 7, 7},
    {"007", 7, 7},
    {"18446744073709551615", UINT64_MAX, UINT64_MAX},
};

static const struct
{
    const char *text;
    uint64_t max;
    const char *why;
} numbers_refused[] = {
    {"", 9, "\"\" is not a number"},
    {"-1", 9, "is not a number"},
    {"+1", 9, "is not a number"},
    {" 1", 9, "is not a number"},
    {"1 ", 9, "is not a number"},
    {"0x10", 99, "is not a number"},
    {"1e3", 9999, "is not a number"},
    {"10", 9, "10 is more than the allowed 9"},
    {"18446744073709551616", UINT64_MAX, "is more than the allowed"},
    {"99999999999999999999999", UINT64_MAX, "is more than the allowed"},
};

START_TEST(number_is_read)
{
    struct cpam_err err;
    uint64_t value;

    ck_ok(text_parse_u64(numbers[_i].text, numbers[_i].max, &value, &err), &err);
    ck_assert_uint_eq(value, numbers[_i].value);
}
END_TEST

START_TEST(number_is_refused)
{
    struct cpam_err err;
    uint64_t value;

    ck_fails(text_parse_u64(numbers_refused[_i].text, numbers_refused[_i].max, &value, &err),
             CPAM_INVALID, numbers_refused[_i].why, &err);
}
END_TEST

static const struct
{
    const char *text;
    uint64_t bytes;
} sizes[] = {
    {"0", 0},
    {"512", 512},
    {"1KiB", 1024},
    {"32MiB", 32 << 20},
    {"3GiB", (uint64_t) 3 << 30},
    {"16777215TiB", (uint64_t) 16777215 << 40},
};

static const struct
{
    const char *text, *why;
} sizes_refused[] = {
    {"", "is not a size"},      {"MiB", "is not a size"},
    {"1 MiB", "is not a size"}, {"1MB", "is not a size"},
    {"1mib", "is not a size"},  {"1.5MiB", "is not a size"},
    {"-1KiB", "is not a size"}, {"16777216TiB", "is more than the allowed 15.9 EiB"},
    {"1MiBs", "is not a size"},
};

START_TEST(size_is_read)
{
    struct cpam_err err;
    uint64_t bytes;

    ck_ok(text_parse_size(sizes[_i].text, UINT64_MAX, &bytes, &err), &err);
    ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

START_TEST(size_is_refused)
{
    struct cpam_err err;
    uint64_t bytes;

    ck_fails(text_parse_size(sizes_refused[_i].text, UINT64_MAX, &bytes, &err), CPAM_INVALID,
             sizes_refused[_i].why, &err);
}
END_TEST

static const struct
{
    const char *text;
    int64_t us;
} durations[] = {
    {"0", 0},
    {"35ms", 35000},
    {"60s", 60000000},
    {"10m", 600000000},
    {"4h", (int64_t) 4 * 3600 * 1000000},
    {"2555d", (int64_t) 2555 * 86400 * 1000000},
};

static const struct
{
    const char *text, *why;
} durations_refused[] = {
    {"", "is not a duration"},      {"60", "is not a duration"},
    {"10 m", "is not a duration"},  {"1w", "is not a duration"},
    {"1h30m", "is not a duration"}, {"-1s", "is not a duration"},
    {"00", "is not a duration"},    {"106751992d", "is more than the allowed"},
};

START_TEST(duration_is_read)
{
    struct cpam_err err;
    int64_t us;

    ck_ok(text_parse_duration(durations[_i].text, INT64_MAX, &us, &err), &err);
    ck_assert_int_eq(us, durations[_i].us);
}
END_TEST

START_TEST(duration_is_refused)
{
    struct cpam_err err;
    int64_t us;

    ck_fails(text_parse_duration(durations_refused[_i].text, INT64_MAX, &us, &err), CPAM_INVALID,
             durations_refused[_i].why, &err);
}
END_TEST

static const struct
{
    uint64_t bytes;
    const char *text;
} shown_sizes[] = {
    {0, "0 B"},
    {1023, "1023 B"},
    {1024, "1 KiB"},
    {1536, "1.5 KiB"},
    {1048575, "1023.9 KiB"},
    {16 << 20, "16 MiB"},
    {(uint64_t) 5 << 40, "5 TiB"},
    {UINT64_MAX, "15.9 EiB"},
};

START_TEST(T12_size_is_shown)
{
    char out[TEXT_SIZE_MAX];

    text_format_size(shown_sizes[_i].bytes, out);
    ck_assert_str_eq(out, shown_sizes[_i].text);
}
END_TEST

static const struct
{
    int64_t us;
    const char *text;
} shown_durations[] = {
    {-5, "0 ms"},
    {35000, "35 ms"},
    {2100000, "2.1 s"},
    {2000000, "2 s"},
    {59999999, "59 s"},
    {185000000, "3 min 5 s"},
    {3600000000, "1 h"},
    {3660000000, "1 h 1 min"},
    {(int64_t) 86400 * 1000000 * 12 + (int64_t) 3 * 3600 * 1000000, "12 d 3 h"},
    {INT64_MAX, "106751991 d 4 h"},
};

START_TEST(T12_duration_is_shown)
{
    char out[TEXT_DURATION_MAX];

    text_format_duration(shown_durations[_i].us, out);
    ck_assert_str_eq(out, shown_durations[_i].text);
}
END_TEST

START_TEST(hex_and_uuid_go_both_ways)
{
    static const uint8_t bytes[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                      0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    struct cpam_err err;
    char hex[33], uuid[TEXT_UUID_MAX];
    uint8_t back[16];

    text_hex(bytes, 16, hex);
    ck_assert_str_eq(hex, "00112233445566778899aabbccddeeff");
    ck_ok(text_unhex(hex, back, 16, false, &err), &err);
    ck_assert_mem_eq(back, bytes, 16);
    ck_ok(text_unhex("AbCd", back, 2, true, &err), &err);
    ck_assert_uint_eq(back[0], 0xab);
    text_format_uuid(bytes, uuid);
    ck_assert_str_eq(uuid, "00112233-4455-6677-8899-aabbccddeeff");
    ck_ok(text_parse_uuid(uuid, back, &err), &err);
    ck_assert_mem_eq(back, bytes, 16);
}
END_TEST

START_TEST(hex_and_uuid_are_refused)
{
    static const char *const uuids[] = {
        "",
        "00112233-4455-6677-8899-aabbccddeef",
        "00112233-4455-6677-8899-aabbccddeefff",
        "00112233-4455-6677-8899-AABBCCDDEEFF",
        "00112233+4455-6677-8899-aabbccddeeff",
        "0011-2233-4455-6677-8899-aabbccddeef",
        "g0112233-4455-6677-8899-aabbccddeeff",
    };
    struct cpam_err err;
    uint8_t out[16];

    for (int i = 0; i < COUNT_OF(uuids); i++)
        ck_fails(text_parse_uuid(uuids[i], out, &err), CPAM_INVALID, "is not a UUID", &err);
    ck_fails(text_unhex("abc", out, 2, true, &err), CPAM_INVALID, "3 digits instead of 4", &err);
    ck_fails(text_unhex("ABCD", out, 2, false, &err), CPAM_INVALID, "lower-case hex", &err);
    ck_fails(text_unhex("ab d", out, 2, true, &err), CPAM_INVALID, "is not hex", &err);
}
END_TEST

static const struct
{
    const char *text;
    bool good;
} utf8_rows[] = {
    {"", true},
    {"plain", true},
    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
    {"\xf4\x8f\xbf\xbf", true},
    {"\xed\x9f\xbf\xee\x80\x80", true},
    {"\x80", false},
    {"\xc0\xaf", false},         /* overlong */
    {"\xc1\xbf", false},         /* overlong */
    {"\xe0\x9f\xbf", false},     /* overlong */
    {"\xf0\x8f\xbf\xbf", false}, /* overlong */
    {"\xed\xa0\x80", false},     /* surrogate */
    {"\xf4\x90\x80\x80", false}, /* past U+10FFFF */
    {"\xf5\x80\x80\x80", false},
    {"\xe2\x82", false}, /* cut short */
    {"\xe2\x82z", false},
};

START_TEST(utf8_is_told)
{
    ck_assert_int_eq(text_is_utf8(utf8_rows[_i].text, strlen(utf8_rows[_i].text)),
                     utf8_rows[_i].good);
}
END_TEST

START_TEST(nearest_word)
{
    static const char *const known[] = {"retention", "repositories", "encryption", "wal"};

    ck_assert_str_eq(text_nearest("retension", known, 4), "retention");
    ck_assert_str_eq(text_nearest("repositorise", known, 4), "repositories");
    ck_assert_str_eq(text_nearest("wla", known, 4), "wal");
    ck_assert_ptr_null(text_nearest("bananas", known, 4));
    ck_assert_ptr_null(text_nearest("", known, 4));
    ck_assert_ptr_null(text_nearest("wal", known, 0));
    ck_assert_ptr_null(text_nearest("a-word-that-is-longer-than-every-key-that-is-in-use-anywhere-"
                                    "in-this-suite",
                                    known, 4));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("base/text");
    TCase *tcase = tcase_create("text");

    tcase_add_loop_test(tcase, number_is_read, 0, COUNT_OF(numbers));
    tcase_add_loop_test(tcase, number_is_refused, 0, COUNT_OF(numbers_refused));
    tcase_add_loop_test(tcase, size_is_read, 0, COUNT_OF(sizes));
    tcase_add_loop_test(tcase, size_is_refused, 0, COUNT_OF(sizes_refused));
    tcase_add_loop_test(tcase, duration_is_read, 0, COUNT_OF(durations));
    tcase_add_loop_test(tcase, duration_is_refused, 0, COUNT_OF(durations_refused));
    tcase_add_loop_test(tcase, T12_size_is_shown, 0, COUNT_OF(shown_sizes));
    tcase_add_loop_test(tcase, T12_duration_is_shown, 0, COUNT_OF(shown_durations));
    tcase_add_test(tcase, hex_and_uuid_go_both_ways);
    tcase_add_test(tcase, hex_and_uuid_are_refused);
    tcase_add_loop_test(tcase, utf8_is_told, 0, COUNT_OF(utf8_rows));
    tcase_add_test(tcase, nearest_word);
    suite_add_tcase(suite, tcase);
    return suite;
}
