/*
 * test_crc32c.c - CRC-32C against published vectors, the CPU's way against the table's.
 */
#include "suite.h"

#include "pg/crc32c.h"

#include <pthread.h>

START_TEST(known_vectors)
{
    /* RFC 3720, B.4 */
    uint8_t data[32];

    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xE3069283);
    memset(data, 0, sizeof(data));
    ck_assert_uint_eq(crc32c(0, data, sizeof(data)), 0x8A9136AA);
    memset(data, 0xFF, sizeof(data));
    ck_assert_uint_eq(crc32c(0, data, sizeof(data)), 0x62A8AB43);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t) i;
    ck_assert_uint_eq(crc32c(0, data, sizeof(data)), 0x46DD794E);
    ck_assert_uint_eq(crc32c(0, NULL, 0), 0);
}
END_TEST

static void
fill(uint8_t *data, size_t size)
{
    uint32_t state = 1;

    for (size_t i = 0; i < size; i++)
    {
        state = state * 1664525 + 1013904223;
        data[i] = (uint8_t) (state >> 24);
    }
}

/* All ways that this CPU knows, beside the plainest one. */
static void
check_ways(const uint8_t *data, size_t size)
{
    uint32_t plain = 0, other = 0;

    ck_assert(crc32c_by(CRC32C_BY_TABLE, 7, data, size, &plain));
    for (int way = CRC32C_BY_TABLE + 1; way < CRC32C_WAYS; way++)
        if (crc32c_by((enum crc32c_way) way, 7, data, size, &other))
            ck_assert_msg(other == plain, "way %d, %zu bytes", way, size);
    ck_assert_uint_eq(crc32c(7, data, size), plain);
}

START_TEST(all_ways_agree_at_every_length_and_offset)
{
    static uint8_t data[300];

    fill(data, sizeof(data));
    for (size_t from = 0; from < 9; from++)
        for (size_t size = 0; size <= 270; size++)
            check_ways(data + from, size);
}
END_TEST

/* Folded from 1 KiB on, 256 bytes at once: around each multiple, and in what is left over. */
START_TEST(all_ways_agree_in_folds)
{
    static uint8_t data[2800];

    fill(data, sizeof(data));
    for (size_t size = 1000; size <= 2700; size++)
        check_ways(data + size % 67, size);
}
END_TEST

/* Side by side from three times 2 KiB on. */
START_TEST(all_ways_agree_in_long_runs)
{
    static uint8_t data[(6 << 10) * 3 + 300];

    fill(data, sizeof(data));
    for (size_t times = 1; times <= 3; times++)
        for (size_t more = 0; more < 40; more++)
            check_ways(data + more % 9, times * (6 << 10) + more - 20);
}
END_TEST

enum
{
    CALLERS = 4
};

static pthread_barrier_t together;

static void *
first_call(void *arg)
{
    static const uint8_t zeros[8192]; /* all ways' tables are looked into */

    pthread_barrier_wait(&together);
    *(uint32_t *) arg = crc32c(0, zeros, sizeof(zeros));
    return NULL;
}

/* Each test is a process: nothing has called crc32c() in this one.  A race for its tables is seen
   under TSan. */
START_TEST(threads_may_make_the_first_call_at_once)
{
    pthread_t threads[CALLERS];
    uint32_t found[CALLERS];

    ck_assert_int_eq(pthread_barrier_init(&together, NULL, CALLERS), 0);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, first_call, &found[i]), 0);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_uint_eq(found[i], crc32c_zeros(0, 8192));
    pthread_barrier_destroy(&together);
}
END_TEST

START_TEST(feeding_in_pieces_is_the_same)
{
    static uint8_t data[5000];

    fill(data, sizeof(data));
    uint32_t whole = crc32c(0, data, sizeof(data));
    for (size_t cut = 0; cut <= sizeof(data); cut += 123)
    {
        uint32_t front = crc32c(0, data, cut);

        ck_assert_uint_eq(crc32c(front, data + cut, sizeof(data) - cut), whole);
        uint32_t back = crc32c(0, data + cut, sizeof(data) - cut);
        ck_assert_uint_eq(crc32c_combine(front, back, sizeof(data) - cut), whole);
    }
}
END_TEST

START_TEST(zeros_are_as_if_fed)
{
    static const uint8_t zeros[4096];

    for (size_t size = 0; size <= sizeof(zeros); size += 31)
        ck_assert_uint_eq(crc32c_zeros(0x1234, size), crc32c(0x1234, zeros, size));
    /* 5 GiB in pieces of 1 GiB: the exponent passes 2^31 without going round */
    uint32_t once = crc32c_zeros(0, UINT64_C(5) << 30);
    uint32_t steps = 0;
    for (int i = 0; i < 5; i++)
        steps = crc32c_zeros(steps, UINT64_C(1) << 30);
    ck_assert_uint_eq(once, steps);
    ck_assert_uint_ne(once, crc32c_zeros(0, UINT64_C(1) << 30));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/crc32c");
    TCase *tcase = tcase_create("crc32c");

    tcase_add_test(tcase, known_vectors);
    tcase_add_test(tcase, all_ways_agree_at_every_length_and_offset);
    tcase_add_test(tcase, all_ways_agree_in_long_runs);
    tcase_add_test(tcase, all_ways_agree_in_folds);
    tcase_add_test(tcase, threads_may_make_the_first_call_at_once);
    tcase_add_test(tcase, feeding_in_pieces_is_the_same);
    tcase_add_test(tcase, zeros_are_as_if_fed);
    suite_add_tcase(suite, tcase);
    return suite;
}
