/*
 * test_reseal.c - the frames of one pack as objects of several repositories (D4): each opens with its
 * own keys only, and the plaintext and the places of the frames are the same.
 */
#include "object/fixture.h"

#include "base/bytes.h"

enum
{
    FRAMES = 9,
    CAP = 1 << 20
};

static struct fixture_io io;
static struct cpam_err err;
static uint8_t plain[FRAMES * 65536];
static size_t plain_size;
static struct cpam_buf held;
static struct sink *chain;
static struct seal_session *sessions[4];
static struct keyring *keyrings[4]; /* what objects are opened with */
static struct keyring *writers[4];
static struct object_writer *writer;
static struct object_digest digest;

static void
begin(void)
{
    fixture_begin();
    fixture_io_init(&io);
    memset(&held, 0, sizeof(held));
    /* two keyfiles, none at all, and a public key with a writer's signature (a longer header) */
    writers[0] = keyrings[0] = fixture_keyfile(&io.base, "key", 7);
    writers[1] = keyrings[1] = fixture_keyfile(&io.base, "key2", 8);
    writers[2] = keyrings[2] = fixture_unsealed(&io.base);
    writers[3] = fixture_x25519_writer(&io.base);
    keyrings[3] = fixture_x25519_reader(&io.base, 2, 1, fixture_uuid);
    for (size_t i = 0; i < 4; i++)
        ck_ok(seal_session_new(&io.base, writers[i], &sessions[i], &err), &err);
    writer = NULL;
    chain = NULL;
}

static void
end(void)
{
    object_writer_free(writer);
    sink_free(chain);
    for (size_t i = 0; i < 4; i++)
        seal_session_free(sessions[i]);
    for (size_t i = 0; i < 4; i++)
        keyring_free(keyrings[i]);
    keyring_free(writers[3]);
    cpam_buf_clear(&held);
    fixture_end();
}

/* Frames of many sizes, every third of them noise, in an object of repository `first`. */
static void
write_first(size_t first, size_t cap)
{
    struct object_spec spec = fixture_spec(OBJECT_PACK, "backup/a/pack/01000000");
    uint32_t noise = 1, clen;

    spec.codec = CODEC_ZSTD;
    spec.level = 1;
    plain_size = 0;
    ck_ok(cpam_buf_reserve(&held, cap, cap, &err), &err);
    ck_ok(sink_buf_push(&chain, &held, cap, &err), &err);
    ck_ok(object_writer_new(sessions[first], &spec, chain, &writer, &err), &err);
    for (size_t i = 0; i < FRAMES; i++)
    {
        size_t size = i == 0 ? 65536 : 1 + i * 7001;
        uint8_t *at = plain + plain_size;

        for (size_t k = 0; k < size; k++)
        {
            noise = noise * 1664525 + 1013904223;
            at[k] = i % 3 == 2 ? (uint8_t) (noise >> 24) : (uint8_t) (k >> 6);
        }
        ck_ok(object_writer_frame(writer, at, size, &clen, &err), &err);
        plain_size += size;
    }
    ck_ok(object_writer_finish(writer, &digest, &err), &err);
    ck_ok(sink_finish(chain, &err), &err);
}

static enum cpam_status
reseal(size_t to)
{
    struct object_spec spec = fixture_spec(OBJECT_PACK, "backup/a/pack/01000000");

    return object_writer_reseal(writer, sessions[to], &spec, &held, &digest, &err);
}

/* *held, whole, as a reader of this repository sees it. */
static enum cpam_status
opens(size_t with)
{
    CPAM_AUTO(object_opener_free) struct object_opener *opener = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf found = {0};
    struct object_want want = fixture_want(OBJECT_PACK, "backup/a/pack/01000000");

    want.h = digest.h;
    want.d = digest.d;
    ck_ok(object_opener_new(&io.base, keyrings[with], &opener, &err), &err);
    CPAM_TRY(fixture_read(opener, &want, held.data, held.size, 5000, &found, &err));
    ck_assert_uint_eq(found.size, plain_size);
    ck_assert_mem_eq(found.data, plain, plain_size);
    return CPAM_OK;
}

START_TEST(D4_each_repository_opens_its_own)
{
    size_t first = (size_t) _i;
    uint8_t seen[4][SHA256_SIZE];

    write_first(first, CAP);
    for (size_t step = 0; step < 4; step++)
    {
        size_t at = (first + step) % 4;
        size_t frames = digest.size - digest.body_offset;

        if (step > 0)
            ck_ok(reseal(at), &err);
        ck_assert_uint_eq(digest.size, held.size);
        ck_assert_uint_eq(digest.raw_size, plain_size);
        ck_assert_uint_eq(digest.size - digest.body_offset, frames);
        ck_assert_uint_eq(digest.body_offset, object_body_offset(sessions[at]));
        for (size_t with = 0; with < 4; with++)
        {
            if (with == at)
                ck_ok(opens(with), &err);
            else
                ck_assert_int_ne(opens(with), CPAM_OK);
        }
        memcpy(seen[step], digest.d, SHA256_SIZE);
        for (size_t before = 0; before < step; before++)
            ck_assert_int_ne(memcmp(seen[before], digest.d, SHA256_SIZE), 0);
    }
}
END_TEST

/* The same repository again is another object under another key: no nonce is used twice. */
START_TEST(fault19_sealed_anew_for_the_same_repository)
{
    uint8_t before[SHA256_SIZE];

    write_first(0, CAP);
    memcpy(before, digest.d, SHA256_SIZE);
    ck_ok(reseal(0), &err);
    ck_ok(opens(0), &err);
    ck_assert_int_ne(memcmp(before, digest.d, SHA256_SIZE), 0);
}
END_TEST

START_TEST(D4_no_room_for_the_longer_header_leaves_the_object)
{
    ck_assert_uint_gt(object_body_offset(sessions[0]), object_body_offset(sessions[2]));
    write_first(2, CAP);
    held.cap = held.size;
    ck_fails(reseal(0), CPAM_INVALID, "no room for another header", &err);
    ck_ok(opens(2), &err);
    held.cap = CAP;
    ck_ok(reseal(0), &err);
    ck_ok(opens(0), &err);
}
END_TEST

START_TEST(D4_what_was_changed_in_memory_is_never_sealed_anew)
{
    write_first(0, CAP);
    held.data[digest.body_offset + OBJECT_FRAME_HEADER_SIZE + 5] ^= 1;
    ck_assert_int_eq(reseal(1), CPAM_CORRUPT);
    ck_fails(reseal(3), CPAM_INTERNAL, "not whole", &err);
}
END_TEST

START_TEST(D4_only_a_finished_object)
{
    write_first(0, CAP);
    held.size--;
    ck_fails(reseal(1), CPAM_INTERNAL, "not whole", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("object/reseal");
    TCase *tcase = tcase_create("reseal");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, D4_each_repository_opens_its_own, 0, 4);
    tcase_add_test(tcase, fault19_sealed_anew_for_the_same_repository);
    tcase_add_test(tcase, D4_no_room_for_the_longer_header_leaves_the_object);
    tcase_add_test(tcase, D4_what_was_changed_in_memory_is_never_sealed_anew);
    tcase_add_test(tcase, D4_only_a_finished_object);
    suite_add_tcase(suite, tcase);
    return suite;
}
