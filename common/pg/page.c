/*
 * page.c - the checksum of a page, 32 words at a time in wide registers.
 *
 * It is compiled once more for AVX2, which multiplies eight words at once where SSE2, which is all that
 * every x86-64 has, takes several steps for four: 0.03 s a GiB instead of 0.1.
 */
#include "pg/page.h"

#include <stdbool.h>
#include <string.h>

enum
{
    LANES = 32,
    ROW_SIZE = LANES * 4, /* bytes */
    ROWS = PAGE_SIZE / ROW_SIZE,
    CHECKSUM_AT = 8, /* u16 pd_checksum */
    UPPER_AT = 14    /* u16 pd_upper: 0 on a page that was never used */
};

#define FNV_PRIME 16777619u

/* Where each lane begins; part of the format (storage/checksum_impl.h). */
static const uint32_t lane_start[LANES] = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

/* Eight lanes; narrower registers do it in several steps. */
typedef uint32_t eight __attribute__((vector_size(32)));

/* clang-format off */
#define MIX(lane, row, at)                                                                         \
    memcpy(&words, (row) + (at) * sizeof(words), sizeof(words));                                   \
    words ^= lane;                                                                                 \
    lane = words * FNV_PRIME ^ (words >> 17)
#define MIX_ROW(row) MIX(a, row, 0); MIX(b, row, 1); MIX(c, row, 2); MIX(d, row, 3)
/* clang-format on */

/* One text for every kind of register: an inlined function would be compiled for the plainest one, and
   lanes that are indexed would not stay in registers. */
#define DEFINE_FOLD(name, attribute)                                                               \
    attribute static uint32_t name(const uint8_t page[PAGE_SIZE])                                  \
    {                                                                                              \
        static const uint8_t zeros[ROW_SIZE] = {0};                                                \
        uint8_t first[ROW_SIZE];                                                                   \
        uint32_t parts[LANES / 4], sum = 0;                                                        \
        eight a, b, c, d, words;                                                                   \
                                                                                                   \
        memcpy(&a, lane_start, sizeof(a));                                                         \
        memcpy(&b, lane_start + 8, sizeof(b));                                                     \
        memcpy(&c, lane_start + 16, sizeof(c));                                                    \
        memcpy(&d, lane_start + 24, sizeof(d));                                                    \
        memcpy(first, page, sizeof(first));                                                        \
        memset(first + CHECKSUM_AT, 0, sizeof(uint16_t)); /* as if its own place were 0 */         \
        MIX_ROW(first);                                                                            \
        for (size_t row = 1; row < ROWS; row++)                                                    \
        {                                                                                          \
            MIX_ROW(page + row * ROW_SIZE);                                                        \
        }                                                                                          \
        MIX_ROW(zeros);                                                                            \
        MIX_ROW(zeros);                                                                            \
        a ^= b ^ c ^ d;                                                                            \
        memcpy(parts, &a, sizeof(parts));                                                          \
        for (int i = 0; i < LANES / 4; i++)                                                        \
            sum ^= parts[i];                                                                       \
        return sum;                                                                                \
    }

DEFINE_FOLD(fold_anywhere, )

#if defined(__x86_64__)
DEFINE_FOLD(fold_wide, __attribute__((target("avx2"))))

static bool
is_wide(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}
#else
#define fold_wide fold_anywhere

static bool
is_wide(void)
{
    return false;
}
#endif

uint16_t
page_checksum(const uint8_t page[PAGE_SIZE], uint32_t block)
{
    uint32_t folded = is_wide() ? fold_wide(page) : fold_anywhere(page);

    return (uint16_t) ((folded ^ block) % 65535 + 1);
}

uint16_t
page_checksum_portable(const uint8_t page[PAGE_SIZE], uint32_t block)
{
    return (uint16_t) ((fold_anywhere(page) ^ block) % 65535 + 1);
}

enum page_verdict
page_verify(const uint8_t page[PAGE_SIZE], uint32_t block)
{
    static const uint8_t zeros[PAGE_SIZE];
    uint16_t stored, upper;

    memcpy(&stored, page + CHECKSUM_AT, sizeof(stored));
    memcpy(&upper, page + UPPER_AT, sizeof(upper));
    if (upper == 0)
        return memcmp(page, zeros, PAGE_SIZE) == 0 ? PAGE_NEW : PAGE_DAMAGED;
    return stored == page_checksum(page, block) ? PAGE_GOOD : PAGE_DAMAGED;
}

struct lsn
page_lsn(const uint8_t page[PAGE_SIZE])
{
    uint32_t high, low;

    memcpy(&high, page, sizeof(high));
    memcpy(&low, page + sizeof(high), sizeof(low));
    return (struct lsn){(uint64_t) high << 32 | low};
}
