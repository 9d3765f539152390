/*
 * test_writer.c - what comes out is what went in, whatever the codec, the pieces and the threads;
 * limits of writer and reader; content ids.
 */
#include "object/fixture.h"

#include <pthread.h>

#include "base/bytes.h"
#include "object/content_id.h"

enum
{
    FRAME = 1 << 16
};

struct place
{
    struct fixture_io io;
    struct keyring *keyring;
    struct object_opener *opener;
    struct seal_session *session;
    struct cpam_buf object, plain;
    struct cpam_err err;
};

static void
place_begin(struct place *place)
{
    memset(place, 0, sizeof(*place));
    fixture_io_init(&place->io);
    place->keyring = fixture_keyfile(&place->io.base, "key", 5);
    ck_ok(object_opener_new(&place->io.base, place->keyring, &place->opener, &place->err),
          &place->err);
    ck_ok(seal_session_new(&place->io.base, place->keyring, &place->session, &place->err),
          &place->err);
}

static void
place_end(struct place *place)
{
    seal_session_free(place->session);
    object_opener_free(place->opener);
    keyring_free(place->keyring);
    cpam_buf_clear(&place->object);
    cpam_buf_clear(&place->plain);
}

static uint8_t *
sample(size_t size)
{
    uint8_t *data = malloc(size + 1);

    for (size_t at = 0; at < size; at++)
        data[at] = (uint8_t) (at % 40 < 32 ? at >> 12 : at * 2654435761u >> 24);
    return data;
}

static const struct
{
    size_t size, piece;
    enum codec_id codec;
} trips[] = {
    {0, 1, CODEC_NONE},
    {1, 1, CODEC_LZ4},
    {FRAME, FRAME, CODEC_LZ4},
    {FRAME, 1000, CODEC_ZSTD},
    {FRAME - 1, 77, CODEC_GZIP},
    {FRAME + 1, FRAME, CODEC_LZ4},
    {2 * FRAME, 2 * FRAME, CODEC_ZSTD},
    {7 * FRAME + 5, 3 * FRAME + 1, CODEC_LZ4},
    {7 * FRAME + 5, 4096, CODEC_NONE},
};

START_TEST(E1_object_comes_back)
{
    CPAM_AUTO(free) uint8_t *data = sample(trips[_i].size);
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct object_want want = fixture_want(OBJECT_WAL, FIXTURE_NAME);
    struct object_digest digest;
    struct place place;

    place_begin(&place);
    spec.codec = trips[_i].codec;
    ck_ok(sink_buf_push(&chain, &place.object, 1 << 24, &place.err), &place.err);
    ck_ok(object_writer_new(place.session, &spec, chain, &writer, &place.err), &place.err);
    for (size_t at = 0; at < trips[_i].size; at += trips[_i].piece)
    {
        size_t left = trips[_i].size - at;

        ck_ok(object_writer_write(writer, data + at,
                                  left < trips[_i].piece ? left : trips[_i].piece, &place.err),
              &place.err);
    }
    ck_ok(object_writer_finish(writer, &digest, &place.err), &place.err);
    ck_assert_uint_eq(digest.size, place.object.size);
    ck_assert_uint_eq(digest.raw_size, trips[_i].size);
    ck_assert_uint_eq(object_writer_size(writer), place.object.size);
    if (spec.codec != CODEC_NONE && trips[_i].size >= FRAME - 1)
        ck_assert_uint_lt(digest.size, trips[_i].size);
    want.h = digest.h;
    want.d = digest.d;
    ck_ok(fixture_read(place.opener, &want, place.object.data, place.object.size, 5000,
                       &place.plain, &place.err),
          &place.err);
    ck_assert_uint_eq(place.plain.size, trips[_i].size);
    if (trips[_i].size > 0)
        ck_assert_mem_eq(place.plain.data, data, trips[_i].size);
    place_end(&place);
}
END_TEST

START_TEST(pack_lists_its_frames)
{
    CPAM_AUTO(free) uint8_t *data = sample(FRAME);
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    CPAM_AUTO(object_key_free) struct object_key *key = NULL;
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_spec spec = fixture_spec(OBJECT_PACK, "backup/b/pack/00000001");
    struct object_want want = fixture_want(OBJECT_PACK, "backup/b/pack/00000001");
    static const uint32_t sizes[] = {100, FRAME, 1, 8192, FRAME};
    uint32_t clen[5], at = 0;
    uint8_t out[FRAME];
    struct object_digest digest;
    struct place place;
    size_t got;

    place_begin(&place);
    spec.codec = CODEC_ZSTD;
    ck_ok(sink_buf_push(&chain, &place.object, 1 << 24, &place.err), &place.err);
    ck_ok(object_writer_new(place.session, &spec, chain, &writer, &place.err), &place.err);
    for (int frame = 0; frame < 5; frame++)
        ck_ok(object_writer_frame(writer, data, sizes[frame], &clen[frame], &place.err),
              &place.err);
    ck_assert_uint_eq(object_writer_size(writer), place.object.size + 28 + 16 + 5 * 8 + 64);
    ck_ok(object_writer_finish(writer, &digest, &place.err), &place.err);
    ck_ok(fixture_read(place.opener, &want, place.object.data, place.object.size, 700, &place.plain,
                       &place.err),
          &place.err);
    ck_assert_uint_eq(place.plain.size, digest.raw_size);
    at = digest.body_offset;
    want.h = digest.h;
    ck_ok(object_key_open(place.opener, &want, place.object.data, at, &key, &place.err),
          &place.err);
    for (uint32_t frame = 0; frame < 5; frame++)
    {
        ck_ok(object_key_frame(key, frame, place.object.data + at, clen[frame] + 28, out, FRAME,
                               &got, &place.err),
              &place.err);
        ck_assert_uint_eq(got, sizes[frame]);
        ck_assert_mem_eq(out, data, got);
        at += clen[frame] + 28;
    }
    place_end(&place);
}
END_TEST

START_TEST(writer_holds_its_limits)
{
    CPAM_AUTO(free) uint8_t *data = sample(2 * FRAME);
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct object_digest digest;
    struct place place;
    char name[600];

    place_begin(&place);
    ck_ok(sink_buf_push(&chain, &place.object, 1 << 24, &place.err), &place.err);
    memset(name, 'n', sizeof(name));
    name[OBJECT_NAME_MAX + 1] = '\0';
    spec.name = name;
    ck_fails(object_writer_new(place.session, &spec, chain, &writer, &place.err), CPAM_INTERNAL,
             "can't be an object's name", &place.err);
    spec.name = "/absolute";
    ck_fails(object_writer_new(place.session, &spec, chain, &writer, &place.err), CPAM_INTERNAL,
             "can't be an object's name", &place.err);
    spec.name = FIXTURE_NAME;
    spec.frame_log2 = 15;
    ck_fails(object_writer_new(place.session, &spec, chain, &writer, &place.err), CPAM_INTERNAL,
             "2^15", &place.err);
    spec.frame_log2 = 16;
    spec.raw_length = 10;
    ck_ok(object_writer_new(place.session, &spec, chain, &writer, &place.err), &place.err);
    ck_fails(object_writer_frame(writer, data, 5, NULL, &place.err), CPAM_INTERNAL, "by itself",
             &place.err);
    ck_ok(object_writer_write(writer, data, 9, &place.err), &place.err);
    ck_fails(object_writer_finish(writer, &digest, &place.err), CPAM_INVALID,
             "9 bytes came for an object that was to have 10", &place.err);
    place_end(&place);
}
END_TEST

/* An unsealed object put together by hand: anyone can, so the reader's own sums are what counts. */
struct made_frame
{
    uint32_t size;
    bool final;
    uint64_t total; /* of a final frame */
    uint32_t count, extra;
};

static void
make_object(struct cpam_buf *out, enum object_kind kind, uint64_t raw_length,
            const struct made_frame *frames, size_t count)
{
    struct header header = {.kind = kind,
                            .frame_log2 = 16,
                            .sysid = FIXTURE_SYSID,
                            .created = 1,
                            .raw_length = raw_length};
    static const uint8_t tail[OBJECT_TAIL_SIZE];
    uint8_t bytes[OBJECT_HEADER_SIZE];
    struct frame_seal seal;
    struct cpam_err err;

    memcpy(header.uuid, fixture_uuid, 16);
    ck_ok(sha256_of(FIXTURE_NAME, strlen(FIXTURE_NAME), header.name, &err), &err);
    ck_ok(sha256_of("", 0, header.stanzas, &err), &err);
    header_encode(&header, bytes);
    ck_ok(frame_seal_init(NULL, bytes, true, &seal, &err), &err);
    out->size = 0;
    ck_ok(cpam_buf_append(out, bytes, sizeof(bytes), 1 << 24, &err), &err);
    for (uint32_t at = 0; at < count; at++)
    {
        CPAM_AUTO(free) uint8_t *content = calloc(1, frames[at].size + 1);
        struct frame_header frame = {
            .clen = frames[at].size, .rlen = frames[at].size, .final = frames[at].final};
        uint8_t tag[OBJECT_TAG_SIZE];

        if (frame.final && frame.rlen >= 16)
        {
            be64_put(content, frames[at].total);
            be32_put(content + 8, frames[at].count);
            be32_put(content + 12, frames[at].extra);
        }
        frame_header_encode(&frame, bytes);
        ck_ok(frame_seal(&seal, at, bytes, content, frame.clen, content, tag, &err), &err);
        ck_ok(cpam_buf_append(out, bytes, 12, 1 << 24, &err), &err);
        ck_ok(cpam_buf_append(out, content, frame.clen, 1 << 24, &err), &err);
        ck_ok(cpam_buf_append(out, tag, sizeof(tag), 1 << 24, &err), &err);
    }
    ck_ok(cpam_buf_append(out, tail, sizeof(tail), 1 << 24, &err), &err);
}

static const struct
{
    enum object_kind kind;
    uint64_t raw_length;
    struct made_frame frames[4];
    size_t count;
    const char *words; /* NULL: good */
} made[] = {
    {OBJECT_WAL, UINT64_MAX, {{FRAME}, {10}, {16, true, FRAME + 10, 2}}, 3, NULL},
    {OBJECT_WAL, FRAME + 10, {{FRAME}, {10}, {16, true, FRAME + 10, 2}}, 3, NULL},
    {OBJECT_WAL, 0, {{16, true, 0, 0}}, 1, NULL},
    {OBJECT_WAL, UINT64_MAX, {{10}, {40, true, 10, 1}}, 2, NULL}, /* an index this one skips */
    {OBJECT_BLOCKS, UINT64_MAX, {{10}, {10}, {16, true, 20, 2}}, 3, NULL},
    {OBJECT_WAL,
     UINT64_MAX,
     {{10}, {10}, {16, true, 20, 2}},
     3,
     "frame 1: a frame stands behind one that had to be the last"},
    {OBJECT_WAL, 11, {{10}, {16, true, 10, 1}}, 2, "10 bytes of content, its header says 11"},
    {OBJECT_WAL, UINT64_MAX, {{10}, {16, true, 11, 1}}, 2, "does not sum up"},
    {OBJECT_WAL, UINT64_MAX, {{10}, {16, true, 10, 2}}, 2, "does not sum up"},
    {OBJECT_WAL, UINT64_MAX, {{10}, {16, true, 10, 1, 1}}, 2, "does not sum up"},
    {OBJECT_WAL, UINT64_MAX, {{10}, {15, true}}, 2, "does not sum up"},
    {OBJECT_HISTORY, UINT64_MAX, {{10}, {40, true, 10, 1}}, 2, "lists other frames than it has"},
    {OBJECT_PACK, UINT64_MAX, {{10}, {16, true, 10, 1}}, 2, "lists other frames than it has"},
    {OBJECT_PACK, UINT64_MAX, {{10}, {24, true, 10, 1}}, 2, "lists other frames than it has"},
    {OBJECT_WAL,
     UINT64_MAX,
     {{16, true, 0, 0}, {16, true, 0, 0}},
     2,
     "its end: its signature does not match"},
    {OBJECT_WAL,
     UINT64_MAX,
     {{10}},
     1,
     "frame 1: it has 0 bytes of content"}, /* its tail is read as a frame */
};

START_TEST(E1_reader_sums_up_for_itself)
{
    CPAM_AUTO(keyring_free) struct keyring *keyring = NULL;
    CPAM_AUTO(object_opener_free) struct object_opener *opener = NULL;
    struct object_want want = fixture_want(made[_i].kind, FIXTURE_NAME);
    struct place place;

    place_begin(&place);
    keyring = fixture_unsealed(&place.io.base);
    ck_ok(object_opener_new(&place.io.base, keyring, &opener, &place.err), &place.err);
    make_object(&place.object, made[_i].kind, made[_i].raw_length, made[_i].frames, made[_i].count);
    if (made[_i].words == NULL)
        ck_ok(fixture_read(opener, &want, place.object.data, place.object.size, 999, &place.plain,
                           &place.err),
              &place.err);
    else
        ck_fails(fixture_read(opener, &want, place.object.data, place.object.size, 999,
                              &place.plain, &place.err),
                 CPAM_CORRUPT, made[_i].words, &place.err);
    place_end(&place);
}
END_TEST

static const struct
{
    unsigned at, bytes;
    uint64_t value;
    const char *words;
} bad_frames[] = {
    {0, 4, 0, "has 0 bytes for 100 of content"},
    {0, 4, 0xffffffff, "has 4294967295 bytes for 100"},
    {4, 4, 0, "has 0 bytes of content, allowed are 1 to 65536"},
    {4, 4, 65537, "has 65537 bytes of content"},
    {8, 1, 4, "compression method 4"},
    {8, 1, 0x80, "is padded, which this version can't read"},
    {8, 1, 1, "has 100 bytes for 100 of content"},
    {9, 1, 2, "reserved bits"},
    {9, 1, 255, "reserved bits"},
    {10, 2, 1, "reserved bits"},
};

START_TEST(impossible_frame_headers_are_refused)
{
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct object_want want = fixture_want(OBJECT_WAL, FIXTURE_NAME);
    CPAM_AUTO(free) uint8_t *data = sample(100);
    struct place place;
    uint8_t *at;

    place_begin(&place);
    fixture_write(&place.io.base, place.keyring, &spec, data, 100, &place.object, NULL);
    at = place.object.data + 320 + 92 + bad_frames[_i].at;
    if (bad_frames[_i].bytes == 1)
        *at = (uint8_t) bad_frames[_i].value;
    else if (bad_frames[_i].bytes == 2)
        be16_put(at, (uint16_t) bad_frames[_i].value);
    else
        be32_put(at, (uint32_t) bad_frames[_i].value);
    ck_fails(fixture_read(place.opener, &want, place.object.data, place.object.size, 64,
                          &place.plain, &place.err),
             CPAM_CORRUPT, bad_frames[_i].words, &place.err);
    ck_assert_ptr_nonnull(strstr(place.err.text, "frame 0"));
    place_end(&place);
}
END_TEST

static void
content_id_of(struct place *place, size_t root, const char *name, const void *data, size_t size,
              size_t piece, uint8_t out[CONTENT_ID_SIZE])
{
    CPAM_AUTO(content_id_free) struct content_id *id = NULL;

    ck_ok(content_id_new_root(place->keyring, root, name, &id, &place->err), &place->err);
    for (size_t at = 0; at < size; at += piece)
        ck_ok(content_id_add(id, (const uint8_t *) data + at, size - at < piece ? size - at : piece,
                             &place->err),
              &place->err);
    ck_ok(content_id_end(id, out, &place->err), &place->err);
}

START_TEST(P1_content_id_knows_content_under_its_name)
{
    size_t size = 3 * 1048576 + 17;
    CPAM_AUTO(free) uint8_t *data = sample(size);
    uint8_t one[CONTENT_ID_SIZE], other[CONTENT_ID_SIZE];
    struct place place;

    place_begin(&place);
    content_id_of(&place, 0, "a", data, size, size, one);
    content_id_of(&place, 0, "a", data, size, 4097, other);
    ck_assert_mem_eq(one, other, CONTENT_ID_SIZE);
    content_id_of(&place, 0, "b", data, size, size, other);
    ck_assert_mem_ne(one, other, CONTENT_ID_SIZE);
    content_id_of(&place, 0, "a", data, size - 1, size, other);
    ck_assert_mem_ne(one, other, CONTENT_ID_SIZE);
    for (size_t at = 0; at < size; at += 300007)
    {
        data[at] ^= 1;
        content_id_of(&place, 0, "a", data, size, size, other);
        ck_assert_mem_ne(one, other, CONTENT_ID_SIZE);
        data[at] ^= 1;
    }
    place_end(&place);
}
END_TEST

START_TEST(P1_content_id_of_an_older_key_is_found)
{
    CPAM_AUTO(keyring_free) struct keyring *rotated = NULL;
    struct key_setting recipients[] = {{KEY_KEYFILE, NULL}}, identities[] = {{KEY_KEYFILE, NULL}};
    struct keyring_settings settings = {.recipients = recipients,
                                        .recipient_count = 1,
                                        .identities = identities,
                                        .identity_count = 1};
    uint8_t before[CONTENT_ID_SIZE], after[CONTENT_ID_SIZE];
    struct keyring *first;
    struct place place;

    place_begin(&place);
    content_id_of(&place, 0, "a", "x", 1, 1, before);
    recipients[0].value = fixture_key("key2", KEY_TEXT_KEYFILE, 6);
    identities[0].value = fixture_path("key");
    ck_ok(keyring_new(&place.io.base, &settings, true, true, &rotated, &place.err), &place.err);
    ck_ok(keyring_bind(rotated, fixture_uuid, &place.err), &place.err);
    ck_assert_uint_eq(keyring_match_roots(rotated), 2);
    first = place.keyring;
    place.keyring = rotated;
    content_id_of(&place, 0, "a", "x", 1, 1, after);
    ck_assert_mem_ne(before, after, CONTENT_ID_SIZE);
    content_id_of(&place, 1, "a", "x", 1, 1, after);
    ck_assert_mem_eq(before, after, CONTENT_ID_SIZE);
    place.keyring = first;
    place_end(&place);
}
END_TEST

struct worker
{
    pthread_t thread;
    struct place *place;
    unsigned seed;
};

static void *
work(void *arg)
{
    struct worker *worker = arg;
    CPAM_AUTO(object_opener_free) struct object_opener *opener = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf object = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf plain = {0};
    CPAM_AUTO(free) uint8_t *data = sample(3 * FRAME);
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    struct object_want want = fixture_want(OBJECT_WAL, FIXTURE_NAME);
    struct cpam_err err;

    data[worker->seed] ^= 0xff;
    spec.codec = CODEC_LZ4;
    ck_ok(object_opener_new(&worker->place->io.base, worker->place->keyring, &opener, &err), &err);
    for (int round = 0; round < 20; round++)
    {
        fixture_write(&worker->place->io.base, worker->place->keyring, &spec, data, 3 * FRAME,
                      &object, NULL);
        ck_ok(fixture_read(opener, &want, object.data, object.size, 9999, &plain, &err), &err);
        ck_assert_mem_eq(plain.data, data, 3 * FRAME);
    }
    return NULL;
}

START_TEST(one_keyring_serves_several_threads)
{
    struct worker workers[4];
    struct place place;

    place_begin(&place);
    for (unsigned at = 0; at < 4; at++)
    {
        workers[at] = (struct worker){.place = &place, .seed = at};
        ck_assert_int_eq(pthread_create(&workers[at].thread, NULL, work, &workers[at]), 0);
    }
    for (unsigned at = 0; at < 4; at++)
        ck_assert_int_eq(pthread_join(workers[at].thread, NULL), 0);
    place_end(&place);
}
END_TEST

static int64_t later;

static int64_t
monotonic_later(struct io *io)
{
    (void) io;
    return later;
}

START_TEST(session_key_is_renewed_after_a_day)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf one = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    uint8_t keys[3][32];
    struct place place;

    place_begin(&place);
    seal_session_free(place.session);
    place.session = NULL;
    place.io.ops.monotonic = monotonic_later;
    ck_ok(seal_session_new(&place.io.base, place.keyring, &place.session, &place.err), &place.err);
    ck_ok(sink_buf_push(&chain, &one, 1 << 20, &place.err), &place.err);
    for (int at = 0; at < 3; at++)
    {
        CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;

        later = at == 0 ? 1 : at == 1 ? INT64_C(86399000000) : INT64_C(86400000001);
        one.size = 0;
        ck_ok(object_writer_new(place.session, &spec, chain, &writer, &place.err), &place.err);
        memcpy(keys[at], one.data + 80, 32);
    }
    ck_assert_mem_eq(keys[0], keys[1], 32);
    ck_assert_mem_ne(keys[1], keys[2], 32);
    place_end(&place);
}
END_TEST

START_TEST(no_salt_is_used_twice_even_if_random_repeats_itself)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf one = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_spec spec = fixture_spec(OBJECT_WAL, FIXTURE_NAME);
    static const uint8_t same[32] = {7};
    uint8_t salts[2][32];
    struct place place;

    place_begin(&place);
    ck_ok(sink_buf_push(&chain, &one, 1 << 20, &place.err), &place.err);
    for (int at = 0; at < 2; at++)
    {
        CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;

        place.io.fed = same; /* a clone of this machine would get the same */
        place.io.fed_size = 32;
        place.io.ops.monotonic = monotonic_later;
        one.size = 0;
        ck_ok(object_writer_new(place.session, &spec, chain, &writer, &place.err), &place.err);
        memcpy(salts[at], one.data + 48, 32);
    }
    ck_assert_mem_ne(salts[0], salts[1], 32);
    place_end(&place);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("object/writer");
    TCase *tcase = tcase_create("writer");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, fixture_begin, fixture_end);
    tcase_add_loop_test(tcase, E1_object_comes_back, 0, sizeof(trips) / sizeof(trips[0]));
    tcase_add_test(tcase, pack_lists_its_frames);
    tcase_add_test(tcase, writer_holds_its_limits);
    tcase_add_loop_test(tcase, E1_reader_sums_up_for_itself, 0, sizeof(made) / sizeof(made[0]));
    tcase_add_loop_test(tcase, impossible_frame_headers_are_refused, 0,
                        sizeof(bad_frames) / sizeof(bad_frames[0]));
    tcase_add_test(tcase, P1_content_id_knows_content_under_its_name);
    tcase_add_test(tcase, P1_content_id_of_an_older_key_is_found);
    tcase_add_test(tcase, one_keyring_serves_several_threads);
    tcase_add_test(tcase, session_key_is_renewed_after_a_day);
    tcase_add_test(tcase, no_salt_is_used_twice_even_if_random_repeats_itself);
    suite_add_tcase(suite, tcase);
    return suite;
}
