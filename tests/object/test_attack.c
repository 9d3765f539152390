/*
 * test_attack.c - somebody who can write to the bucket makes, moves and changes objects.
 *
 * Each test builds what the attacker could build with what he holds (public keys, other objects, a
 * reader's key) and shows that it is refused, and with which words.
 */
#include "object/fixture.h"

#include "base/bytes.h"

enum
{
    FRAME = 1 << 16,
    CONTENT = 5 * FRAME / 2 /* two full frames and a half */
};

#define PACK_NAME "backup/b1/pack/00000001"

struct scene
{
    struct fixture_io io;
    struct keyring *writer, *reader;
    struct object_opener *opener;
    struct cpam_buf object, plain;
    struct object_want want;
    struct object_digest digest;
    uint8_t content[CONTENT];
    struct cpam_err err;
};

/* A signed, sealed object of a kind whose frames are all full, and somebody who may read it. */
static void
scene_begin(struct scene *scene)
{
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);

    memset(scene, 0, sizeof(*scene));
    fixture_io_init(&scene->io);
    for (size_t at = 0; at < CONTENT; at++)
        scene->content[at] = (uint8_t) (at * 131 >> 3 ^ at >> 9);
    scene->writer = fixture_x25519_writer(&scene->io.base);
    scene->reader = fixture_x25519_reader(&scene->io.base, 2, 1, fixture_uuid);
    ck_ok(object_opener_new(&scene->io.base, scene->reader, &scene->opener, &scene->err),
          &scene->err);
    fixture_write(&scene->io.base, scene->writer, &spec, scene->content, CONTENT, &scene->object,
                  &scene->digest);
    scene->want = fixture_want(OBJECT_WAL, FIXTURE_NAME);
}

static void
scene_end(struct scene *scene)
{
    object_opener_free(scene->opener);
    keyring_free(scene->writer);
    keyring_free(scene->reader);
    cpam_buf_clear(&scene->object);
    cpam_buf_clear(&scene->plain);
}

static enum cpam_status
scene_read(struct scene *scene)
{
    return fixture_read(scene->opener, &scene->want, scene->object.data, scene->object.size, 4096,
                        &scene->plain, &scene->err);
}

/* What a keyring other than the scene's says of the scene's object. */
static enum cpam_status
read_as(struct scene *scene, struct keyring *keyring)
{
    CPAM_AUTO(object_opener_free) struct object_opener *opener = NULL;

    ck_ok(object_opener_new(&scene->io.base, keyring, &opener, &scene->err), &scene->err);
    return fixture_read(opener, &scene->want, scene->object.data, scene->object.size, 4096,
                        &scene->plain, &scene->err);
}

/* Where frame `index` stands: content is not compressed (codec none), so sizes are known. */
static size_t
frame_at(size_t index)
{
    return 320 + 92 + index * (FRAME + FRAME_OVERHEAD);
}

START_TEST(E1_untouched_object_is_read)
{
    struct scene scene;

    scene_begin(&scene);
    ck_ok(scene_read(&scene), &scene.err);
    ck_assert_uint_eq(scene.plain.size, CONTENT);
    ck_assert_mem_eq(scene.plain.data, scene.content, CONTENT);
    scene_end(&scene);
}
END_TEST

START_TEST(E1_swapped_frames_are_refused)
{
    CPAM_AUTO(free) uint8_t *first = malloc(FRAME + FRAME_OVERHEAD);
    struct scene scene;
    uint8_t *frames;

    scene_begin(&scene);
    frames = scene.object.data + frame_at(0);
    memcpy(first, frames, FRAME + FRAME_OVERHEAD);
    memmove(frames, frames + FRAME + FRAME_OVERHEAD, FRAME + FRAME_OVERHEAD);
    memcpy(frames + FRAME + FRAME_OVERHEAD, first, FRAME + FRAME_OVERHEAD);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "frame 0: the authentication tag does not match",
             &scene.err);
    ck_assert_uint_eq(scene.plain.size, 0);
    scene_end(&scene);
}
END_TEST

START_TEST(E1_left_out_frame_is_refused)
{
    struct scene scene;
    size_t cut = FRAME + FRAME_OVERHEAD;

    scene_begin(&scene);
    memmove(scene.object.data + frame_at(1), scene.object.data + frame_at(2),
            scene.object.size - frame_at(2));
    scene.object.size -= cut;
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "frame 1: the authentication tag", &scene.err);
    scene_end(&scene);
}
END_TEST

START_TEST(E1_doubled_frame_is_refused)
{
    struct scene scene;

    scene_begin(&scene);
    memcpy(scene.object.data + frame_at(1), scene.object.data + frame_at(0),
           FRAME + FRAME_OVERHEAD);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "frame 1: the authentication tag", &scene.err);
    scene_end(&scene);
}
END_TEST

START_TEST(E1_doubled_final_frame_is_refused)
{
    struct scene scene;
    size_t final = FRAME_OVERHEAD + FINAL_SIZE, tail = OBJECT_TAIL_SIZE;
    uint8_t copy[FRAME_OVERHEAD + FINAL_SIZE];

    scene_begin(&scene);
    memcpy(copy, scene.object.data + scene.object.size - tail - final, final);
    scene.object.size -= tail;
    ck_ok(cpam_buf_append(&scene.object, copy, final, 1 << 20, &scene.err), &scene.err);
    ck_ok(cpam_buf_append(&scene.object, copy, tail - final, 1 << 20, &scene.err), &scene.err);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "its end: its signature does not match", &scene.err);
    scene_end(&scene);
}
END_TEST

START_TEST(E1_object_cut_at_a_frame_is_refused)
{
    struct scene scene;

    scene_begin(&scene);
    scene.object.size = frame_at(2);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "cut short: it ends after", &scene.err);
    scene.object.size -= 0;
    scene_end(&scene);
}
END_TEST

/* Same session, same length, same index: only the object key differs. */
START_TEST(E2_frame_of_another_object_is_refused)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf other = {0};
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct scene scene;

    scene_begin(&scene);
    fixture_write(&scene.io.base, scene.writer, &spec, scene.content, CONTENT, &other, NULL);
    memcpy(scene.object.data + frame_at(1), other.data + frame_at(1), FRAME + FRAME_OVERHEAD);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "frame 1: the authentication tag", &scene.err);
    scene_end(&scene);
}
END_TEST

START_TEST(fault_1_forged_with_the_public_keys_alone_is_refused)
{
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    char recipient[KEY_TEXT_MAX];
    struct key_setting recipients[] = {
        {KEY_X25519, fixture_public(KEY_TEXT_X25519_SECRET, 2, recipient)}};
    struct keyring_settings settings = {.recipients = recipients, .recipient_count = 1};
    CPAM_AUTO(keyring_free) struct keyring *forger = NULL;
    struct scene scene;

    scene_begin(&scene);
    /* without a writer key the library itself does not write */
    ck_fails(keyring_new(&scene.io.base, &settings, true, false, &forger, &scene.err), CPAM_USAGE,
             "must be signed", &scene.err);
    ck_assert_ptr_nonnull(strstr(scene.err.hint, "cpam-keys generate writer"));
    /* with a writer key of his own he is not the writer */
    settings.writer_key = fixture_key("writer2", KEY_TEXT_WRITER_SECRET, 9);
    ck_ok(keyring_new(&scene.io.base, &settings, true, false, &forger, &scene.err), &scene.err);
    ck_ok(keyring_bind(forger, fixture_uuid, &scene.err), &scene.err);
    fixture_write(&scene.io.base, forger, &spec, "trojan", 6, &scene.object, NULL);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "which the configuration does not trust",
             &scene.err);
    /* and under the true writer's id the signature does not hold */
    memcpy(scene.object.data + 208, "\xd2\xdd\x6e\x81\xa0\x01\xb7\x0a", 8);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "its signature does not match", &scene.err);
    ck_assert_uint_eq(scene.plain.size, 0);
    scene_end(&scene);
}
END_TEST

START_TEST(fault_1_unsigned_object_is_refused)
{
    struct scene scene;

    scene_begin(&scene);
    scene.object.data[10] = HEADER_FLAG_SEALED;
    memset(scene.object.data + 208, 0, 8);
    scene.object.data[240] = AUTHORITY_NONE;
    memset(scene.object.data + 256, 0, 64);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "not signed, and unsigned data is refused",
             &scene.err);
    scene.object.data[10] |= HEADER_FLAG_SIGNED;
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "contradicts itself", &scene.err);
    scene.object.data[240] = AUTHORITY_P256;
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "algorithm 2, which this version does not know",
             &scene.err);
    scene_end(&scene);
}
END_TEST

/* Who may read everything (the drill host) can't write: his key opens, it does not sign. */
START_TEST(fault_1_holder_of_a_reading_key_cannot_forge)
{
    CPAM_AUTO(keyring_free) struct keyring *thief = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct scene scene;

    scene_begin(&scene);
    thief = fixture_keyfile(&scene.io.base, "key", 2); /* the reader's 32 bytes as a keyfile */
    fixture_write(&scene.io.base, thief, &spec, "trojan", 6, &scene.object, NULL);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "only their signatures count", &scene.err);
    scene_end(&scene);
}
END_TEST

START_TEST(fault_12_ranged_reader_refuses_the_final_frame)
{
    CPAM_AUTO(object_key_free) struct object_key *key = NULL;
    CPAM_AUTO(free) uint8_t *out = malloc(FRAME);
    size_t final = FRAME_OVERHEAD + FINAL_SIZE, got = 0;
    const uint8_t *frame, *last;
    struct scene scene;

    scene_begin(&scene);
    frame = scene.object.data + frame_at(1);
    last = scene.object.data + scene.object.size - OBJECT_TAIL_SIZE - final;
    ck_ok(object_key_open(scene.opener, &scene.want, scene.object.data, 412, &key, &scene.err),
          &scene.err);
    ck_ok(object_key_frame(key, 1, frame, FRAME + FRAME_OVERHEAD, out, FRAME, &got, &scene.err),
          &scene.err);
    ck_assert_uint_eq(got, FRAME);
    ck_assert_mem_eq(out, scene.content + FRAME, FRAME);
    ck_fails(object_key_frame(key, 3, last, final, out, FRAME, &got, &scene.err), CPAM_CORRUPT,
             "final frame, which holds no data", &scene.err);
    /* its mark is under the tag: it can't be passed off as data */
    scene.object.data[last - scene.object.data + 9] = 0;
    ck_fails(object_key_frame(key, 3, last, final, out, FRAME, &got, &scene.err), CPAM_CORRUPT,
             "tag does not match", &scene.err);
    scene_end(&scene);
}
END_TEST

START_TEST(fault_12_ranged_reader_refuses_a_frame_out_of_place)
{
    CPAM_AUTO(object_key_free) struct object_key *key = NULL;
    CPAM_AUTO(free) uint8_t *out = malloc(FRAME);
    size_t whole = FRAME + FRAME_OVERHEAD, got = 0;
    const uint8_t *frame;
    struct scene scene;

    scene_begin(&scene);
    frame = scene.object.data + frame_at(1);
    ck_ok(object_key_open(scene.opener, &scene.want, scene.object.data, 412, &key, &scene.err),
          &scene.err);
    ck_fails(object_key_frame(key, 0, frame, whole, out, FRAME, &got, &scene.err), CPAM_CORRUPT,
             "frame 0: the authentication tag", &scene.err);
    ck_fails(object_key_frame(key, 1, frame, whole - 1, out, FRAME, &got, &scene.err), CPAM_CORRUPT,
             "but 65535 stand here", &scene.err);
    ck_fails(object_key_frame(key, 1, frame, 20, out, FRAME, &got, &scene.err), CPAM_CORRUPT,
             "cut short", &scene.err);
    ck_fails(object_key_frame(key, 1, frame, whole, out, FRAME - 1, &got, &scene.err), CPAM_CORRUPT,
             "more than the 65535 expected", &scene.err);
    scene_end(&scene);
}
END_TEST

/* The trusted writer made both packs; the manifest means one of them. */
START_TEST(fault_13_substituted_pack_is_refused)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf other = {0};
    CPAM_AUTO(object_key_free) struct object_key *key = NULL;
    struct object_spec spec = fixture_spec(OBJECT_PACK, PACK_NAME);
    struct object_digest digest;
    struct scene scene;

    scene_begin(&scene);
    fixture_write(&scene.io.base, scene.writer, &spec, scene.content, CONTENT, &scene.object,
                  &digest);
    fixture_write(&scene.io.base, scene.writer, &spec, scene.content, CONTENT, &other, NULL);
    scene.want = fixture_want(OBJECT_PACK, PACK_NAME);
    scene.want.h = digest.h;
    scene.want.d = digest.d;
    ck_ok(scene_read(&scene), &scene.err);
    ck_ok(object_key_open(scene.opener, &scene.want, scene.object.data, 412, &key, &scene.err),
          &scene.err);
    object_key_free(CPAM_STEAL(key));
    ck_fails(object_key_open(scene.opener, &scene.want, other.data, 412, &key, &scene.err),
             CPAM_CORRUPT, "another object than the one that was recorded", &scene.err);
    ck_fails(fixture_read(scene.opener, &scene.want, other.data, other.size, 4096, &scene.plain,
                          &scene.err),
             CPAM_CORRUPT, "another object than the one that was recorded", &scene.err);
    /* a reader who holds the session key can make frames that open, but not with this digest */
    scene.want.h = NULL;
    ck_fails(fixture_read(scene.opener, &scene.want, other.data, other.size, 4096, &scene.plain,
                          &scene.err),
             CPAM_CORRUPT, "the frames' digest differs", &scene.err);
    scene_end(&scene);
}
END_TEST

/*
 * The trusted host is taken: it wraps one key for the drill and another for the disaster, and
 * would craft frames that open under both.  The header commits to one key, so the second
 * recipient finds out at unwrapping.
 */
START_TEST(fault_14_two_keys_under_one_header_are_refused)
{
    CPAM_AUTO(seal_session_free) struct seal_session *session = NULL;
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    CPAM_AUTO(secret_free) struct secret *second = NULL;
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct object_digest digest;
    struct scene scene;

    scene_begin(&scene);
    ck_ok(seal_session_new(&scene.io.base, scene.writer, &session, &scene.err), &scene.err);
    ck_ok(secret_random(&scene.io.base, SESSION_KEY_SIZE, &second, &scene.err), &scene.err);
    cpam_buf_clear(&session->stanzas);
    ck_ok(stanzas_make(scene.writer, &scene.io.base, second, session->commitment, &session->stanzas,
                       &scene.err),
          &scene.err);
    scene.object.size = 0;
    ck_ok(sink_buf_push(&chain, &scene.object, 1 << 20, &scene.err), &scene.err);
    ck_ok(object_writer_new(session, &spec, chain, &writer, &scene.err), &scene.err);
    ck_ok(object_writer_write(writer, "salamander", 10, &scene.err), &scene.err);
    ck_ok(object_writer_finish(writer, &digest, &scene.err), &scene.err);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "not the one the header commits to", &scene.err);
    ck_assert_uint_eq(scene.plain.size, 0);
    scene_end(&scene);
}
END_TEST

START_TEST(fault_20_unsealed_object_is_refused_where_sealing_is_the_rule)
{
    CPAM_AUTO(keyring_free) struct keyring *none = NULL;
    CPAM_AUTO(keyring_free) struct keyring *keyfile = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct scene scene;

    scene_begin(&scene);
    none = fixture_unsealed(&scene.io.base);
    keyfile = fixture_keyfile(&scene.io.base, "key", 5);
    ck_fails(read_as(&scene, none), CPAM_USAGE, "says \"encryption: none\"", &scene.err);
    fixture_write(&scene.io.base, none, &spec, "plain", 5, &scene.object, NULL);
    ck_fails(scene_read(&scene), CPAM_CORRUPT, "does not say \"encryption: none\"", &scene.err);
    ck_fails(read_as(&scene, keyfile), CPAM_CORRUPT, "is not encrypted", &scene.err);
    ck_ok(read_as(&scene, none), &scene.err);
    ck_assert_mem_eq(scene.plain.data, "plain", 5);
    scene_end(&scene);
}
END_TEST

START_TEST(fault_20_no_encryption_section_means_no_keys_not_no_encryption)
{
    CPAM_AUTO(keyring_free) struct keyring *empty = NULL;
    CPAM_AUTO(keyring_free) struct keyring *none = NULL;
    struct keyring_settings settings = {0};
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct scene scene;

    scene_begin(&scene);
    none = fixture_unsealed(&scene.io.base);
    fixture_write(&scene.io.base, none, &spec, "plain", 5, &scene.object, NULL);
    ck_fails(keyring_new(&scene.io.base, &settings, true, false, &empty, &scene.err), CPAM_USAGE,
             "nobody could open what is written", &scene.err);
    ck_ok(keyring_new(&scene.io.base, &settings, false, true, &empty, &scene.err), &scene.err);
    ck_ok(keyring_bind(empty, fixture_uuid, &scene.err), &scene.err);
    ck_fails(read_as(&scene, empty), CPAM_CORRUPT, "is not encrypted", &scene.err);
    scene_end(&scene);
}
END_TEST

START_TEST(E5_writer_cannot_open_what_it_wrote)
{
    struct scene scene;

    scene_begin(&scene);
    ck_assert(!keyring_can_open(scene.writer));
    ck_fails(read_as(&scene, scene.writer), CPAM_USAGE,
             "no key held here opens it: it is sealed for 0853d4b6a2c1bd95", &scene.err);
    ck_assert_ptr_nonnull(strstr(scene.err.hint, "encryption.identities"));
    scene_end(&scene);
}
END_TEST

START_TEST(E1_other_keyfile_neither_opens_nor_forges)
{
    CPAM_AUTO(keyring_free) struct keyring *own = NULL;
    CPAM_AUTO(keyring_free) struct keyring *other = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct scene scene;

    scene_begin(&scene);
    own = fixture_keyfile(&scene.io.base, "key", 5);
    other = fixture_keyfile(&scene.io.base, "key2", 6);
    fixture_write(&scene.io.base, own, &spec, "mine", 4, &scene.object, NULL);
    ck_ok(read_as(&scene, own), &scene.err);
    ck_fails(read_as(&scene, other), CPAM_CORRUPT, "which the configuration does not hold",
             &scene.err);
    fixture_write(&scene.io.base, other, &spec, "forged", 6, &scene.object, NULL);
    ck_fails(read_as(&scene, own), CPAM_CORRUPT, "which the configuration does not hold",
             &scene.err);
    scene_end(&scene);
}
END_TEST

/* In the simple default and in unsealed repositories (against accidents) alike. */
START_TEST(E1_every_flipped_bit_without_a_writer_key_is_refused)
{
    CPAM_AUTO(keyring_free) struct keyring *keyring = NULL;
    CPAM_AUTO(object_opener_free) struct object_opener *opener = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct scene scene;

    scene_begin(&scene);
    keyring =
        _i == 0 ? fixture_keyfile(&scene.io.base, "key", 5) : fixture_unsealed(&scene.io.base);
    ck_ok(object_opener_new(&scene.io.base, keyring, &opener, &scene.err), &scene.err);
    fixture_write(&scene.io.base, keyring, &spec, scene.content, 100, &scene.object, NULL);
    for (size_t bit = 0; bit < scene.object.size * 8; bit++)
    {
        enum cpam_status status;

        scene.object.data[bit / 8] ^= (uint8_t) (1u << bit % 8);
        status = fixture_read(opener, &scene.want, scene.object.data, scene.object.size, SIZE_MAX,
                              &scene.plain, &scene.err);
        ck_assert_msg(status == CPAM_CORRUPT || status == CPAM_FOREIGN || status == CPAM_USAGE,
                      "bit %zu: %s", bit, cpam_status_name(status));
        ck_assert_msg(status != CPAM_USAGE || bit / 8 == 10, "bit %zu: usage", bit);
        scene.object.data[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    for (size_t size = 0; size < scene.object.size; size++)
        ck_fails(fixture_read(opener, &scene.want, scene.object.data, size, SIZE_MAX, &scene.plain,
                              &scene.err),
                 CPAM_CORRUPT, "cut short", &scene.err);
    ck_ok(fixture_read(opener, &scene.want, scene.object.data, scene.object.size, SIZE_MAX,
                       &scene.plain, &scene.err),
          &scene.err);
    scene_end(&scene);
}
END_TEST

/* The header alone is authentic in the simple default too: readers of 320 bytes act on it. */
START_TEST(E2_header_of_a_keyfile_object_is_authentic_by_itself)
{
    CPAM_AUTO(keyring_free) struct keyring *keyring = NULL;
    CPAM_AUTO(object_opener_free) struct object_opener *opener = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct object_header header;
    struct scene scene;

    scene_begin(&scene);
    keyring = fixture_keyfile(&scene.io.base, "key", 5);
    ck_ok(object_opener_new(&scene.io.base, keyring, &opener, &scene.err), &scene.err);
    spec.commit_min = 1000;
    spec.commit_max = 2000;
    fixture_write(&scene.io.base, keyring, &spec, "x", 1, &scene.object, NULL);
    ck_ok(object_header_check(opener, &scene.want, scene.object.data, 320, &header, &scene.err),
          &scene.err);
    ck_assert_int_eq(header.commit_max, 2000);
    be64_put(scene.object.data + 224, 3000); /* the archive seems to reach further */
    ck_fails(object_header_check(opener, &scene.want, scene.object.data, 320, &header, &scene.err),
             CPAM_CORRUPT, "its signature does not match", &scene.err);
    scene_end(&scene);
}
END_TEST

START_TEST(E3_objects_under_five_keys_are_read)
{
    CPAM_AUTO(keyring_free) struct keyring *reader = NULL;
    CPAM_AUTO(object_opener_free) struct object_opener *opener = NULL;
    static const char *const names[] = {"key", "key2", "pass", "pass2", "x25519b"};
    struct key_setting identities[5];
    struct keyring_settings settings = {.identities = identities, .identity_count = 5};
    struct cpam_buf objects[5] = {{0}};
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct scene scene;

    scene_begin(&scene);
    for (int at = 0; at < 5; at++)
    {
        CPAM_AUTO(keyring_free)
        struct keyring *writer = fixture_keyfile(&scene.io.base, names[at], 0x40 + at);

        identities[at] = (struct key_setting){KEY_KEYFILE, fixture_path(names[at])};
        fixture_write(&scene.io.base, writer, &spec, names[at], 3, &objects[at], NULL);
    }
    ck_ok(keyring_new(&scene.io.base, &settings, false, true, &reader, &scene.err), &scene.err);
    ck_ok(keyring_bind(reader, fixture_uuid, &scene.err), &scene.err);
    ck_ok(object_opener_new(&scene.io.base, reader, &opener, &scene.err), &scene.err);
    for (int round = 0; round < 2; round++)
    {
        for (int at = 0; at < 5; at++)
        {
            ck_ok(fixture_read(opener, &scene.want, objects[at].data, objects[at].size, 999,
                               &scene.plain, &scene.err),
                  &scene.err);
            ck_assert_mem_eq(scene.plain.data, names[at], 3);
        }
    }
    for (int at = 0; at < 5; at++)
        cpam_buf_clear(&objects[at]);
    scene_end(&scene);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("object/attack");
    TCase *tcase = tcase_create("attack");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, fixture_begin, fixture_end);
    tcase_add_test(tcase, E1_untouched_object_is_read);
    tcase_add_test(tcase, E1_swapped_frames_are_refused);
    tcase_add_test(tcase, E1_left_out_frame_is_refused);
    tcase_add_test(tcase, E1_doubled_frame_is_refused);
    tcase_add_test(tcase, E1_doubled_final_frame_is_refused);
    tcase_add_test(tcase, E1_object_cut_at_a_frame_is_refused);
    tcase_add_test(tcase, E2_frame_of_another_object_is_refused);
    tcase_add_test(tcase, fault_1_forged_with_the_public_keys_alone_is_refused);
    tcase_add_test(tcase, fault_1_unsigned_object_is_refused);
    tcase_add_test(tcase, fault_1_holder_of_a_reading_key_cannot_forge);
    tcase_add_test(tcase, fault_12_ranged_reader_refuses_the_final_frame);
    tcase_add_test(tcase, fault_12_ranged_reader_refuses_a_frame_out_of_place);
    tcase_add_test(tcase, fault_13_substituted_pack_is_refused);
    tcase_add_test(tcase, fault_14_two_keys_under_one_header_are_refused);
    tcase_add_test(tcase, fault_20_unsealed_object_is_refused_where_sealing_is_the_rule);
    tcase_add_test(tcase, fault_20_no_encryption_section_means_no_keys_not_no_encryption);
    tcase_add_test(tcase, E5_writer_cannot_open_what_it_wrote);
    tcase_add_test(tcase, E1_other_keyfile_neither_opens_nor_forges);
    tcase_add_loop_test(tcase, E1_every_flipped_bit_without_a_writer_key_is_refused, 0, 2);
    tcase_add_test(tcase, E2_header_of_a_keyfile_object_is_authentic_by_itself);
    tcase_add_test(tcase, E3_objects_under_five_keys_are_read);
    suite_add_tcase(suite, tcase);
    return suite;
}
