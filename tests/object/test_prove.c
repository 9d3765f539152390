/*
 * test_prove.c - a host that can write and not read tells whether what is stored is whole.
 */
#include "fixture.h"

enum
{
    CONTENT = 200000,
    HEAD = 420,  /* header and stanzas: every byte of them is tried */
    STRIDE = 997 /* of the rest, every so many */
};

static struct fixture_io io;
static struct cpam_err err;

static enum cpam_status
prove(const struct keyring *keyring, const uint8_t *data, size_t size)
{
    CPAM_AUTO(object_opener_free) struct object_opener *opener = NULL;
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf nothing = {0};
    struct object_want want = fixture_want(OBJECT_WAL, FIXTURE_NAME);

    ck_ok(object_opener_new(&io.base, keyring, &opener, &err), &err);
    ck_ok(sink_buf_push(&chain, &nothing, 1, &err), &err);
    ck_ok(object_prove_push(&chain, opener, &want, NULL, &err), &err);
    CPAM_TRY(sink_write(chain, data, size, &err));
    CPAM_TRY(sink_finish(chain, &err));
    ck_assert_uint_eq(nothing.size, 0);
    return CPAM_OK;
}

static void
write_object(const struct keyring *keyring, struct cpam_buf *out)
{
    static uint8_t content[CONTENT];
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);

    for (size_t at = 0; at < CONTENT; at++)
        content[at] = (uint8_t) (at * 131 >> 3 ^ at >> 9);
    fixture_write(&io.base, keyring, &spec, content, CONTENT, out, NULL);
}

START_TEST(E5_writer_proves_what_it_cannot_open)
{
    CPAM_AUTO(keyring_free) struct keyring *writer = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf object = {0};

    fixture_io_init(&io);
    writer = fixture_x25519_writer(&io.base);
    ck_assert(!keyring_can_open(writer));
    write_object(writer, &object);
    ck_ok(prove(writer, object.data, object.size), &err);
    for (size_t cut = 0; cut < object.size; cut += cut < HEAD ? 1 : STRIDE)
        ck_assert_msg(prove(writer, object.data, cut) == CPAM_CORRUPT, "cut to %zu bytes", cut);
    for (size_t at = 0; at < object.size; at += at < HEAD || at > object.size - 130 ? 1 : STRIDE)
    {
        object.data[at] ^= 0x10;
        ck_assert_msg(prove(writer, object.data, object.size) != CPAM_OK, "byte %zu", at);
        object.data[at] ^= 0x10;
    }
    ck_ok(prove(writer, object.data, object.size), &err);
}
END_TEST

START_TEST(E5_nobody_tells_without_signature_or_identity)
{
    CPAM_AUTO(keyring_free) struct keyring *shared = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf object = {0};

    fixture_io_init(&io);
    shared = fixture_keyfile(&io.base, "key", 5);
    write_object(shared, &object);
    ck_fails(prove(shared, object.data, object.size), CPAM_UNKNOWN, "no writer's signature", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("object/prove");
    TCase *tcase = tcase_create("prove");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, fixture_begin, fixture_end);
    tcase_add_test(tcase, E5_writer_proves_what_it_cannot_open);
    tcase_add_test(tcase, E5_nobody_tells_without_signature_or_identity);
    suite_add_tcase(suite, tcase);
    return suite;
}
