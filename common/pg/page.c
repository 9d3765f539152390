/*
 * page.c - the checksum of a page, 32 words at a time so that the compiler can use wide registers.
 */
#include "pg/page.h"

#include <string.h>

enum
{
    LANES = 32,
    ROWS = PAGE_SIZE / (LANES * 4),
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

static void
mix(uint32_t lanes[LANES], const uint32_t words[LANES])
{
    for (int i = 0; i < LANES; i++)
    {
        uint32_t word = lanes[i] ^ words[i];

        lanes[i] = word * FNV_PRIME ^ (word >> 17);
    }
}

uint16_t
page_checksum(const uint8_t page[PAGE_SIZE], uint32_t block)
{
    static const uint32_t zeros[LANES] = {0};
    uint32_t lanes[LANES], words[LANES];
    uint32_t folded = 0;

    memcpy(lanes, lane_start, sizeof(lanes));
    for (int row = 0; row < ROWS; row++)
    {
        memcpy(words, page + (size_t) row * sizeof(words), sizeof(words));
        if (row == 0) /* the sum is taken as if its own place were 0 */
            memset((uint8_t *) words + CHECKSUM_AT, 0, sizeof(uint16_t));
        mix(lanes, words);
    }
    mix(lanes, zeros);
    mix(lanes, zeros);
    for (int i = 0; i < LANES; i++)
        folded ^= lanes[i];
    return (uint16_t) ((folded ^ block) % 65535 + 1);
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
