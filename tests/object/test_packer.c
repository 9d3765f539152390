/*
 * test_packer.c - an object made of content that is read once is, byte for byte, the one a writer
 * makes that knew the content id before.
 */
#include "object/fixture.h"

#include "base/room.h"
#include "object/object_internal.h"

static struct fixture_io io;
static struct cpam_err err;

static void
begin(void)
{
    fixture_begin();
    fixture_io_init(&io);
    io.now = INT64_C(1767225600000000);
}

/* Sizes around frames of 64 KiB; every third frame is noise, which is not compressed. */
static const size_t sizes[] = {1, 40, 65535, 65536, 65537, 3 * 65536, 900000};

static void
fill(uint8_t *data, size_t size)
{
    uint32_t noise = 1;

    for (size_t i = 0; i < size; i++)
    {
        noise = noise * 1664525 + 1013904223;
        data[i] = (i >> 16) % 3 == 2 ? (uint8_t) (noise >> 24) : (uint8_t) (i >> 5);
    }
}

static void
pack_all(struct object_packer *packer, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size; at += 65536)
        ck_ok(object_packer_frame(packer, data + at, size - at < 65536 ? size - at : 65536, &err),
              &err);
}

START_TEST(P8_one_pass_makes_the_same_bytes)
{
    static const uint8_t salt[OBJECT_SALT_SIZE] = {5}, id[CONTENT_ID_SIZE] = {6};
    bool sealed = _i % 2 == 0;
    size_t size = sizes[_i / 2];
    CPAM_AUTO(keyring_free)
    struct keyring *keyring =
        sealed ? fixture_keyfile(&io.base, "key", 7) : fixture_unsealed(&io.base);
    CPAM_AUTO(seal_session_free) struct seal_session *session = NULL;
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    CPAM_AUTO(room_give) struct cpam_buf held = {0};
    CPAM_AUTO(object_packer_free) struct object_packer *packer = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf written = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct object_digest one, other;
    uint8_t *data = malloc(size);

    ck_assert_ptr_nonnull(data);
    fill(data, size);
    spec.frame_log2 = 16;
    spec.raw_length = size;
    spec.codec = CODEC_LZ4;
    ck_ok(seal_session_new(&io.base, keyring, &session, &err), &err);
    ck_ok(room_take(ROOM_FRAME, &held, &err), &err);
    ck_ok(object_packer_new(session, &spec, &held, &packer, &err), &err);
    pack_all(packer, data, size);
    ck_ok(object_packer_seal_salted(packer, salt, id, &one, &err), &err);

    spec.content_id = id;
    ck_ok(sink_buf_push(&chain, &written, 1 << 24, &err), &err);
    ck_ok(object_writer_new_salted(session, &spec, salt, chain, &writer, &err), &err);
    ck_ok(object_writer_write(writer, data, size, &err), &err);
    ck_ok(object_writer_finish(writer, &other, &err), &err);
    ck_assert_uint_eq(held.size, written.size);
    ck_assert_mem_eq(held.data, written.data, written.size);
    ck_assert_mem_eq(one.h, other.h, SHA256_SIZE);
    ck_assert_mem_eq(one.d, other.d, SHA256_SIZE);
    ck_assert_uint_eq(one.size, other.size);
    ck_assert_uint_eq(one.raw_size, other.raw_size);
    ck_assert_uint_eq(one.body_offset, other.body_offset);
    free(data);
}
END_TEST

START_TEST(packer_refuses_what_it_can_not_hold)
{
    static const uint8_t id[CONTENT_ID_SIZE];
    static uint8_t noise[65536];
    CPAM_AUTO(keyring_free) struct keyring *keyring = fixture_keyfile(&io.base, "key", 7);
    CPAM_AUTO(seal_session_free) struct seal_session *session = NULL;
    CPAM_AUTO(room_give) struct cpam_buf held = {0};
    CPAM_AUTO(object_packer_free) struct object_packer *packer = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct object_digest digest;
    unsigned taken = 0;
    enum cpam_status status;

    spec.frame_log2 = 16;
    spec.raw_length = 65536;
    ck_ok(seal_session_new(&io.base, keyring, &session, &err), &err);
    ck_ok(room_take(ROOM_FRAME, &held, &err), &err);
    ck_ok(object_packer_new(session, &spec, &held, &packer, &err), &err);
    while ((status = object_packer_frame(packer, noise, sizeof(noise), &err)) == CPAM_OK)
        taken++;
    ck_assert_int_eq(status, CPAM_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "does not fit"));
    ck_assert_uint_eq(taken, 15); /* of 16, with header, overhead and end */
    ck_fails(object_packer_seal(packer, id, &digest, &err), CPAM_INVALID, "was to have 65536",
             &err);
    /* one short frame is the last */
    ck_ok(object_packer_frame(packer, noise, 1, &err), &err);
    ck_fails(object_packer_frame(packer, noise, 1, &err), CPAM_INTERNAL, "can't come here", &err);
    spec.kind = OBJECT_PACK;
    object_packer_free(CPAM_STEAL(packer));
    ck_fails(object_packer_new(session, &spec, &held, &packer, &err), CPAM_INTERNAL, "a pack",
             &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("object/packer");
    TCase *tcase = tcase_create("packer");

    tcase_add_checked_fixture(tcase, begin, fixture_end);
    tcase_add_loop_test(tcase, P8_one_pass_makes_the_same_bytes, 0,
                        2 * (int) (sizeof(sizes) / sizeof(sizes[0])));
    tcase_add_test(tcase, packer_refuses_what_it_can_not_hold);
    suite_add_tcase(suite, tcase);
    return suite;
}
