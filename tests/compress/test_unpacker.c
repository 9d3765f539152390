/*
 * test_unpacker.c - streams as PostgreSQL compresses them, in pieces of any size, and their endings.
 */
#include "suite.h"

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include "compress/unpacker.h"

enum
{
    PLAIN = 300 * 1000 /* more than one piece that comes out */
};

static uint8_t plain[PLAIN], packed[PLAIN + 4096], seen[PLAIN];
static size_t packed_size, seen_size;
static struct cpam_err err;

static enum cpam_status
take(void *arg, const uint8_t *data, size_t size, struct cpam_err *e)
{
    (void) arg;
    (void) e;
    ck_assert_uint_le(size, 128 << 10);
    ck_assert_uint_le(seen_size + size, sizeof(seen));
    memcpy(seen + seen_size, data, size);
    seen_size += size;
    return CPAM_OK;
}

static void
pack(enum codec_id codec)
{
    uint32_t state = 1;

    for (size_t i = 0; i < PLAIN; i++)
    {
        state = state * 1664525 + 1013904223;
        plain[i] = i < PLAIN / 2 ? (uint8_t) (state >> 24) : (uint8_t) (i / 1000);
    }
    if (codec == CODEC_ZSTD)
        packed_size = ZSTD_compress(packed, sizeof(packed), plain, PLAIN, 1);
    else if (codec == CODEC_LZ4)
        packed_size = LZ4F_compressFrame(packed, sizeof(packed), plain, PLAIN, NULL);
    else
    {
        z_stream stream = {
            .next_in = plain, .avail_in = PLAIN, .next_out = packed, .avail_out = sizeof(packed)};

        ck_assert_int_eq(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
                         Z_OK);
        ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
        packed_size = sizeof(packed) - stream.avail_out;
        deflateEnd(&stream);
    }
    ck_assert_uint_le(packed_size, sizeof(packed) - 1);
}

static enum cpam_status
unpack(enum codec_id codec, size_t piece)
{
    CPAM_AUTO(unpacker_free) struct unpacker *unpacker = NULL;

    seen_size = 0;
    CPAM_TRY(unpacker_new(codec, take, NULL, &unpacker, &err));
    for (size_t at = 0; at < packed_size; at += piece)
        CPAM_TRY(unpacker_write(unpacker, packed + at,
                                packed_size - at < piece ? packed_size - at : piece, &err));
    return unpacker_end(unpacker, &err);
}

static const enum codec_id codecs[] = {CODEC_LZ4, CODEC_ZSTD, CODEC_GZIP};

START_TEST(B1_a_stream_comes_out_as_it_went_in)
{
    static const size_t pieces[] = {1, 1000, 8192, sizeof(packed)};

    pack(codecs[_i]);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
    {
        ck_ok(unpack(codecs[_i], pieces[i]), &err);
        ck_assert_uint_eq(seen_size, PLAIN);
        ck_assert_int_eq(memcmp(seen, plain, PLAIN), 0);
    }
}
END_TEST

START_TEST(B1_a_stream_has_exactly_one_end)
{
    pack(codecs[_i]);
    size_t whole = packed_size;

    for (size_t cut = 1; cut < whole; cut = cut * 3 + 1)
    {
        packed_size = whole - cut;
        ck_fails(unpack(codecs[_i], sizeof(packed)), CPAM_CORRUPT, "is cut short", &err);
    }
    packed_size = whole + 1;
    packed[whole] = 0;
    ck_fails(unpack(codecs[_i], 8192), CPAM_CORRUPT, "behind the end of the", &err);
    packed_size = whole;
    memset(packed, 0x55, 64);
    ck_fails(unpack(codecs[_i], 8192), CPAM_CORRUPT, "is damaged", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("compress/unpacker");
    TCase *tcase = tcase_create("unpacker");

    tcase_add_loop_test(tcase, B1_a_stream_comes_out_as_it_went_in, 0, 3);
    tcase_add_loop_test(tcase, B1_a_stream_has_exactly_one_end, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite;
}
