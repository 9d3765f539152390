/*
 * test_codec.c - frames come back as they were; whatever is not exactly a frame is refused.
 */
#include "suite.h"

#include <stdio.h>

#include <zlib.h>
#include <zstd.h>

#include "compress/codec.h"

enum
{
    FRAME = 1 << 20
};

/* Text-like bytes that compress, from a fixed linear congruence. */
static void
fill(uint8_t *data, size_t size, unsigned seed)
{
    uint32_t state = seed * 2654435761u + 1;

    for (size_t at = 0; at < size; at++)
    {
        state = state * 1664525u + 1013904223u;
        data[at] = (uint8_t) (at % 32 < 24 ? at / 32 % 7 : state >> 28);
    }
}

static void
noise(uint8_t *data, size_t size)
{
    uint64_t state = 88172645463325252u;

    for (size_t at = 0; at < size; at++)
    {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data[at] = (uint8_t) (state >> 32);
    }
}

static const struct
{
    enum codec_id id;
    int level;
    size_t size;
} round_trips[] = {
    {CODEC_LZ4, 0, FRAME},    {CODEC_LZ4, 1, 100},       {CODEC_LZ4, 9, FRAME},
    {CODEC_LZ4, 12, 70000},   {CODEC_ZSTD, 0, FRAME},    {CODEC_ZSTD, 1, 100},
    {CODEC_ZSTD, 19, 300000}, {CODEC_GZIP, 0, FRAME},    {CODEC_GZIP, 9, 5000},
    {CODEC_GZIP, 1, 100},     {CODEC_ZSTD, 3, 16 << 20}, {CODEC_LZ4, 1, 16 << 20},
};

START_TEST(frame_comes_back)
{
    CPAM_AUTO(codec_work_free) struct codec_work *work = NULL;
    size_t size = round_trips[_i].size;
    CPAM_AUTO(free) uint8_t *data = malloc(size);
    CPAM_AUTO(free) uint8_t *packed = malloc(size);
    CPAM_AUTO(free) uint8_t *back = malloc(size + 1);
    size_t packed_size;
    struct cpam_err err;

    ck_ok(codec_work_new(round_trips[_i].id, round_trips[_i].level, &work, &err), &err);
    for (unsigned round = 0; round < 3; round++) /* the work is used again */
    {
        fill(data, size, round);
        ck_ok(codec_pack(work, data, size, packed, size, &packed_size, &err), &err);
        ck_assert_uint_gt(packed_size, 0);
        ck_assert_uint_lt(packed_size, size);
        ck_ok(codec_unpack(work, round_trips[_i].id, packed, packed_size, back, size, &err), &err);
        ck_assert_mem_eq(data, back, size);
        ck_ok(codec_unpack(NULL, round_trips[_i].id, packed, packed_size, back, size, &err), &err);
        ck_assert_mem_eq(data, back, size);
    }
    /* neither a byte less nor a byte more, nor another length than the frame's own */
    ck_assert_int_eq(
        codec_unpack(work, round_trips[_i].id, packed, packed_size - 1, back, size, &err),
        CPAM_CORRUPT);
    ck_assert_int_eq(
        codec_unpack(work, round_trips[_i].id, packed, packed_size, back, size - 1, &err),
        CPAM_CORRUPT);
    ck_assert_int_eq(codec_unpack(work, round_trips[_i].id, packed, packed_size, back,
                                  size == 16 << 20 ? size - 2 : size + 1, &err),
                     CPAM_CORRUPT);
    packed[packed_size] = 0;
    ck_assert_int_eq(
        codec_unpack(work, round_trips[_i].id, packed, packed_size + 1, back, size, &err),
        CPAM_CORRUPT);
}
END_TEST

START_TEST(noise_is_not_packed)
{
    CPAM_AUTO(codec_work_free) struct codec_work *work = NULL;
    CPAM_AUTO(free) uint8_t *data = malloc(FRAME);
    CPAM_AUTO(free) uint8_t *packed = malloc(2 * FRAME);
    size_t packed_size = 1;
    struct cpam_err err;

    noise(data, FRAME);
    ck_ok(codec_work_new((enum codec_id) _i, 0, &work, &err), &err);
    ck_ok(codec_pack(work, data, FRAME, packed, 2 * FRAME, &packed_size, &err), &err);
    ck_assert_uint_eq(packed_size, 0);
    fill(data, FRAME, 1); /* and the work is as good as before */
    ck_ok(codec_pack(work, data, FRAME, packed, 2 * FRAME, &packed_size, &err), &err);
    ck_assert(_i == CODEC_NONE ? packed_size == 0 : packed_size > 0);
}
END_TEST

START_TEST(wide_zstd_window_is_refused)
{
    CPAM_AUTO(free) uint8_t *data = calloc(1, FRAME);
    CPAM_AUTO(free) uint8_t *packed = malloc(FRAME);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_inBuffer in = {data, FRAME, 0};
    ZSTD_outBuffer out = {packed, FRAME, 0};
    struct cpam_err err;

    /* streamed, so that the encoder does not know how little is to come */
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
    ck_assert_uint_ne(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush), 1);
    ck_assert_uint_eq(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0);
    ZSTD_freeCCtx(context);
    ck_fails(codec_unpack(NULL, CODEC_ZSTD, packed, out.pos, data, FRAME, &err), CPAM_CORRUPT,
             "window of 134217728 bytes", &err);
}
END_TEST

START_TEST(second_zstd_frame_is_refused)
{
    uint8_t data[1000] = {0}, packed[1000], back[1000];
    size_t one = ZSTD_compress(packed, 500, data, 500, 1);
    size_t two = ZSTD_compress(packed + one, 500, data, 500, 1);
    static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    struct cpam_err err;

    ck_fails(codec_unpack(NULL, CODEC_ZSTD, packed, one + two, back, 500, &err), CPAM_CORRUPT,
             "does not end where it should", &err);
    ck_fails(codec_unpack(NULL, CODEC_ZSTD, skippable, sizeof(skippable), back, 500, &err),
             CPAM_CORRUPT, "no valid header", &err);
}
END_TEST

START_TEST(garbage_is_refused)
{
    uint8_t data[400], back[1000];
    struct cpam_err err;

    noise(data, sizeof(data));
    ck_assert_int_eq(codec_unpack(NULL, (unsigned) _i, data, sizeof(data), back, 1000, &err),
                     CPAM_CORRUPT);
}
END_TEST

START_TEST(names_are_known)
{
    enum codec_id id;
    struct cpam_err err;

    for (int number = CODEC_NONE; number <= CODEC_GZIP; number++)
    {
        ck_ok(codec_by_name(codec_name((enum codec_id) number), &id, &err), &err);
        ck_assert_int_eq(id, number);
    }
    ck_fails(codec_by_name("brotli", &id, &err), CPAM_USAGE, "none, lz4, zstd and gzip", &err);
    ck_fails(codec_by_name("", &id, &err), CPAM_USAGE, "\"\" is not a compression method", &err);
}
END_TEST

START_TEST(levels_are_bounded)
{
    CPAM_AUTO(codec_work_free) struct codec_work *work = NULL;
    struct cpam_err err;

    ck_fails(codec_work_new(CODEC_ZSTD, 20, &work, &err), CPAM_USAGE, "within 1 to 19", &err);
    ck_fails(codec_work_new(CODEC_LZ4, -1, &work, &err), CPAM_USAGE, "within 1 to 12", &err);
    ck_fails(codec_work_new(CODEC_GZIP, 10, &work, &err), CPAM_USAGE, "within 1 to 9", &err);
}
END_TEST

/* Rows of a table, more or less: numbers that go up, words that come again. */
static size_t
rows(uint8_t *out, size_t size)
{
    uint32_t state = 1;
    size_t used = 0;

    for (unsigned row = 0; used + 80 < size; row++)
    {
        state = state * 1664525u + 1013904223u;
        used += (size_t) snprintf(
            (char *) out + used, size - used, "%u|%08x|%s|%u\n", row, state >> 8 & 0xFFFF,
            row % 7 < 3 ? "shipped to the customer" : "waits for payment", state >> 28);
    }
    return used;
}

START_TEST(a_higher_level_compresses_harder)
{
    static const struct
    {
        enum codec_id id;
        int from, to;
    } levels[] = {{CODEC_LZ4, 1, 3}, {CODEC_LZ4, 3, 12}, {CODEC_ZSTD, 1, 19}, {CODEC_GZIP, 1, 9}};
    static uint8_t data[256 << 10], out[256 << 10], back[256 << 10];
    size_t size = rows(data, sizeof(data)), packed[2];
    struct cpam_err err;

    for (int i = 0; i < 2; i++)
    {
        CPAM_AUTO(codec_work_free) struct codec_work *work = NULL;

        ck_ok(codec_work_new(levels[_i].id, i == 0 ? levels[_i].from : levels[_i].to, &work, &err),
              &err);
        ck_ok(codec_pack(work, data, size, out, sizeof(out), &packed[i], &err), &err);
        ck_ok(codec_unpack(NULL, levels[_i].id, out, packed[i], back, size, &err), &err);
        ck_assert_mem_eq(back, data, size);
    }
    ck_assert_uint_gt(packed[1], 0);
    ck_assert_uint_lt(packed[1], packed[0]);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    uint8_t data[10] = {0}, back[10];
    struct cpam_err err;

    ck_fails(codec_unpack(NULL, CODEC_NONE, data, 9, back, 10, &err), CPAM_CORRUPT,
             "has 9 bytes, not 10", &err);
    ck_fails(codec_unpack(NULL, CODEC_LZ4, data, 0, back, 10, &err), CPAM_CORRUPT, "not possible",
             &err);
    ck_fails(codec_unpack(NULL, CODEC_LZ4, data, 10, back, (16 << 20) + 1, &err), CPAM_CORRUPT,
             "not possible", &err);
    ck_fails(codec_unpack(NULL, 4, data, 10, back, 10, &err), CPAM_CORRUPT, "method 4", &err);
    ck_fails(codec_unpack(NULL, 0x81, data, 10, back, 10, &err), CPAM_CORRUPT, "method 129", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("compress/codec");
    TCase *tcase = tcase_create("codec");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, frame_comes_back, 0, sizeof(round_trips) / sizeof(round_trips[0]));
    tcase_add_loop_test(tcase, noise_is_not_packed, CODEC_NONE, CODEC_GZIP + 1);
    tcase_add_loop_test(tcase, garbage_is_refused, CODEC_NONE, CODEC_GZIP + 1);
    tcase_add_test(tcase, wide_zstd_window_is_refused);
    tcase_add_test(tcase, second_zstd_frame_is_refused);
    tcase_add_test(tcase, names_are_known);
    tcase_add_test(tcase, levels_are_bounded);
    tcase_add_loop_test(tcase, a_higher_level_compresses_harder, 0, 4);
    tcase_add_test(tcase, impossible_sizes_are_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
