/*
 * test_page.c - B6: checksums as PostgreSQL takes them.
 */
#include "suite.h"

#include "pg/page.h"

/* What storage/checksum_impl.h of PostgreSQL 15 says of the page below, as blocks 0 and 131077. */
static const struct
{
    uint32_t block;
    uint16_t sum;
} known[] = {{0, 55969}, {131077, 55970}};

static void
fill(uint8_t page[PAGE_SIZE])
{
    for (int i = 0; i < PAGE_SIZE; i++)
        page[i] = (uint8_t) (i * 7 + i / 256 * 13 + 1);
}

START_TEST(B6_the_sum_is_postgresqls)
{
    uint8_t page[PAGE_SIZE];

    fill(page);
    ck_assert_uint_eq(page_checksum(page, known[_i].block), known[_i].sum);
}
END_TEST

START_TEST(B6_wide_registers_and_narrow_ones_agree)
{
    static uint8_t room[PAGE_SIZE + 64];
    uint32_t state = 1;

    for (int round = 0; round < 50; round++)
    {
        uint8_t *page = room + round; /* at any place in memory */

        for (int i = 0; i < PAGE_SIZE; i++)
            page[i] = (uint8_t) ((state = state * 1664525 + 1013904223) >> 24);
        ck_assert_uint_eq(page_checksum(page, state), page_checksum_portable(page, state));
    }
    fill(room);
    ck_assert_uint_eq(page_checksum_portable(room, known[1].block), known[1].sum);
}
END_TEST

START_TEST(B6_a_flipped_bit_and_a_moved_page_are_damage)
{
    uint8_t page[PAGE_SIZE];

    fill(page);
    uint16_t sum = page_checksum(page, 7);
    memcpy(page + 8, &sum, sizeof(sum));
    ck_assert_int_eq(page_verify(page, 7), PAGE_GOOD);
    ck_assert_int_eq(page_verify(page, 8), PAGE_DAMAGED);
    for (int byte = 0; byte < PAGE_SIZE; byte += 61)
    {
        page[byte] ^= 4;
        ck_assert_int_eq(page_verify(page, 7), PAGE_DAMAGED);
        page[byte] ^= 4;
    }
}
END_TEST

START_TEST(B6_a_new_page_is_all_zeros)
{
    uint8_t page[PAGE_SIZE] = {0};

    ck_assert_int_eq(page_verify(page, 3), PAGE_NEW);
    page[5000] = 1;
    ck_assert_int_eq(page_verify(page, 3), PAGE_DAMAGED);
}
END_TEST

START_TEST(page_lsn_is_high_then_low)
{
    uint8_t page[PAGE_SIZE] = {0};
    const uint32_t high = 0x16, low = 0xB374D848;

    memcpy(page, &high, 4);
    memcpy(page + 4, &low, 4);
    ck_assert(page_lsn(page).at == UINT64_C(0x16B374D848));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/page");
    TCase *tcase = tcase_create("page");

    tcase_add_loop_test(tcase, B6_the_sum_is_postgresqls, 0, 2);
    tcase_add_test(tcase, B6_wide_registers_and_narrow_ones_agree);
    tcase_add_test(tcase, B6_a_flipped_bit_and_a_moved_page_are_damage);
    tcase_add_test(tcase, B6_a_new_page_is_all_zeros);
    tcase_add_test(tcase, page_lsn_is_high_then_low);
    suite_add_tcase(suite, tcase);
    return suite;
}
