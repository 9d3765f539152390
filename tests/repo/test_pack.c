/*
 * test_pack.c - content into shared frames and packs, and every byte of it found again.
 */
#include "repo/repo_fixture.h"

#include "pg/crc32c.h"
#include "repo/object_read.h"
#include "repo/pack_fill.h"

enum
{
    PARTS = 400
};

static struct repo_fixture self;
static struct cpam_err err;
static struct pack_set *packs;
static struct pack_fill *fill;

/* What was told of the parts. */
static struct
{
    bool told;
    uint64_t size;
    uint32_t crc;
    struct manifest_extent *extents;
    size_t count;
} results[PARTS];

static enum cpam_status
done(void *arg, const struct pack_part *part, struct cpam_err *e)
{
    (void) arg;
    (void) e;
    ck_assert_uint_lt(part->id, PARTS);
    ck_assert(!results[part->id].told);
    results[part->id].told = true;
    results[part->id].size = part->size;
    results[part->id].crc = part->crc;
    results[part->id].count = part->extent_count;
    results[part->id].extents = malloc(part->extent_count * sizeof(*part->extents) + 1);
    if (part->extent_count > 0)
        memcpy(results[part->id].extents, part->extents,
               part->extent_count * sizeof(*part->extents));
    return CPAM_OK;
}

static void
begin(void)
{
    struct pack_set_spec spec = {.label = "label",
                                 .attempt = 1,
                                 .sysid = REPO_SYSID,
                                 .pack_size = PACK_SIZE_MIN,
                                 .repos = 1};

    repo_fixture_begin(&self, false);
    spec.state = fixture_dir;
    memset(results, 0, sizeof(results));
    ck_ok(pack_set_new(io_posix(), &spec, &packs, &err), &err);
    ck_ok(pack_fill_new(&self.repo, packs, done, NULL, &fill, &err), &err);
}

static void
end(void)
{
    pack_fill_free(fill);
    pack_set_free(packs);
    for (int i = 0; i < PARTS; i++)
        free(results[i].extents);
    repo_fixture_end(&self);
}

/* Content of part id: sizes from nothing to some frames, some of it zeros, none of it compressible. */
static size_t
content(unsigned id, uint8_t **out)
{
    static const size_t sizes[] = {0, 1, 100, 8192, 70000, 300000, 1 << 20, (5 << 20) + 17};
    size_t size = sizes[id % 8];
    uint32_t state = id * 2654435761u + 1;
    uint8_t *data = malloc(size + 1);

    for (size_t i = 0; i < size; i++)
    {
        state = state * 1664525u + 1013904223u;
        data[i] = (uint8_t) (state >> 24);
    }
    if (id % 8 == 7)
        memset(data + (2 << 20), 0, 2 << 20);
    *out = data;
    return size;
}

static void
put_noted(unsigned id, const uint8_t *data, size_t size, const void *note, size_t note_size)
{
    ck_ok(pack_fill_begin(fill, id, &err), &err);
    for (size_t at = 0; at < size;)
    {
        uint8_t *to;
        size_t room;

        ck_ok(pack_fill_room(fill, &to, &room, &err), &err);
        if (room > size - at)
            room = size - at;
        memcpy(to, data + at, room);
        ck_ok(pack_fill_take(fill, room, &err), &err);
        at += room;
    }
    ck_ok(pack_fill_end(fill, note, note_size, &err), &err);
}

static void
put_bytes(unsigned id, const uint8_t *data, size_t size)
{
    put_noted(id, data, size, NULL, 0);
}

static void
put_part(unsigned id)
{
    uint8_t *data;
    size_t size = content(id, &data);

    put_bytes(id, data, size);
    free(data);
}

/* The plaintext of every pack, as a reader of the whole object gets it. */
struct whole_pack
{
    struct cpam_buf plain;
    uint64_t *starts; /* of each frame in plain */
    uint32_t frames;
};
static struct whole_pack opened[64];
static uint32_t pack_count;

static enum cpam_status
read_pack(void *arg, const struct manifest_pack *pack, struct cpam_err *e)
{
    struct object_want want = {
        .kind = OBJECT_PACK, .sysid = REPO_SYSID, .name = pack->key, .h = pack->h, .d = pack->d};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct whole_pack *into = &opened[pack->index];

    (void) arg;
    ck_assert_uint_eq(pack->index, pack_count++);
    ck_assert_uint_le(pack->size, PACK_SIZE_MIN);
    ck_assert_uint_eq(memory_current(&self.bucket, pack->key)->size, pack->size);
    ck_ok(sink_buf_push(&chain, &into->plain, 1 << 28, e), e);
    ck_ok(object_read(self.repo, &want, 1 << 28, chain, NULL, e), e);
    into->frames = pack->frame_count;
    into->starts = calloc(pack->frame_count + 1, sizeof(uint64_t));
    for (uint32_t i = 0; i < pack->frame_count; i++)
        into->starts[i + 1] = into->starts[i] + pack->rlen[i];
    ck_assert_uint_eq(into->starts[pack->frame_count], into->plain.size);
    return CPAM_OK;
}

static void
check_part(unsigned id)
{
    uint8_t *data;
    size_t size = content(id, &data), at = 0;

    ck_assert_msg(results[id].told, "part %u was never told", id);
    ck_assert_uint_eq(results[id].size, size);
    ck_assert_uint_eq(results[id].crc, crc32c(0, data, size));
    for (size_t i = 0; i < results[id].count; i++)
    {
        const struct manifest_extent *extent = &results[id].extents[i];

        ck_assert_uint_le(extent->size, size - at);
        if (extent->pack < 0)
            for (uint64_t k = 0; k < extent->size; k++)
                ck_assert_uint_eq(data[at + k], 0);
        else
        {
            const struct whole_pack *pack = &opened[extent->pack];
            uint64_t from = pack->starts[extent->frame] + extent->offset;

            ck_assert_uint_lt(extent->frame, pack->frames);
            ck_assert_uint_le(from + extent->size, pack->plain.size);
            ck_assert_mem_eq(pack->plain.data + from, data + at, extent->size);
        }
        at += extent->size;
    }
    ck_assert_uint_eq(at, size);
    free(data);
}

START_TEST(B2_every_byte_is_found_again_in_few_packs)
{
    uint64_t bytes = 0;

    for (unsigned id = 0; id < 120; id++)
        put_part(id);
    ck_ok(pack_fill_finish(fill, &err), &err);
    pack_count = 0;
    ck_ok(pack_set_each(packs, 0, read_pack, NULL, &err), &err);
    for (unsigned id = 0; id < 120; id++)
    {
        check_part(id);
        bytes += results[id].size;
    }
    ck_assert_uint_eq(pack_set_count(packs), pack_count);
    /* holes are not stored; what is stored fills its packs but for a frame each */
    ck_assert_uint_le(pack_count,
                      pack_set_stored(packs, 0) / (PACK_SIZE_MIN - PACK_FRAME_SIZE) + 2);
    ck_assert_uint_lt(pack_set_stored(packs, 0), bytes);
    for (uint32_t i = 0; i < pack_count; i++)
    {
        cpam_buf_clear(&opened[i].plain);
        free(opened[i].starts);
    }
}
END_TEST

START_TEST(large_part_has_few_extents)
{
    put_part(7);
    ck_ok(pack_fill_finish(fill, &err), &err);
    /* 2 MiB, a hole of 2 MiB, the rest */
    ck_assert_uint_eq(results[7].count, 3);
}
END_TEST

/* Nothing of a hole goes into a frame, so that none is ever full. */
START_TEST(B9_notes_do_not_gather_behind_a_frame_that_does_not_fill)
{
    static const uint8_t zeros[64 << 10], note[128 << 10];
    unsigned told = 0;

    for (unsigned id = 0; id < PARTS; id++)
        put_noted(id, zeros, sizeof(zeros), note, sizeof(note));
    for (unsigned id = 0; id < PARTS; id++)
        told += results[id].told;
    ck_assert_uint_ge(told, PARTS - 5);
    ck_ok(pack_fill_finish(fill, &err), &err);
    for (unsigned id = 0; id < PARTS; id++)
        ck_assert(results[id].told && results[id].size == sizeof(zeros) && results[id].count == 1);
}
END_TEST

static unsigned pieces_of[64];

static enum cpam_status
count_pieces(void *arg, const struct pack_part *part, struct cpam_err *e)
{
    (void) arg, (void) e;
    ck_assert_uint_eq(part->extent_count, 1);
    ck_assert_int_ge(part->extents[0].pack, 0);
    ck_assert_int_lt(part->extents[0].pack, 64);
    pieces_of[part->extents[0].pack]++;
    return CPAM_OK;
}

/* Millions of files of a few bytes would all fit into one pack, and a restore holds a line for each. */
START_TEST(B9_a_pack_has_no_more_pieces_than_a_restore_should_hold)
{
    unsigned all = 0, most = 2 * PACK_FILL_PIECES + 10;

    pack_fill_free(fill);
    ck_ok(pack_fill_new(&self.repo, packs, count_pieces, NULL, &fill, &err), &err);
    for (unsigned i = 0; i < most; i++)
        put_bytes(i, (const uint8_t *) "x", 1);
    ck_ok(pack_fill_finish(fill, &err), &err);
    for (size_t i = 0; i < 64; i++)
    {
        ck_assert_uint_le(pieces_of[i], PACK_FILL_PIECES);
        all += pieces_of[i];
    }
    ck_assert_uint_eq(all, most);
    ck_assert_uint_eq(pieces_of[0], PACK_FILL_PIECES);
}
END_TEST

/* A letter a frame, of all packs in their order: 'C' compressed, '-' as it is. */
static char frames_seen[64];
static size_t frames_count;

static enum cpam_status
see_frames(void *arg, const struct manifest_pack *pack, struct cpam_err *e)
{
    (void) arg, (void) e;
    for (uint32_t i = 0; i < pack->frame_count; i++)
    {
        ck_assert_uint_le(pack->clen[i], pack->rlen[i]);
        frames_seen[frames_count++] = pack->clen[i] < pack->rlen[i] ? 'C' : '-';
    }
    frames_seen[frames_count] = '\0';
    return CPAM_OK;
}

START_TEST(a_file_that_does_not_shrink_is_not_tried_on_and_on)
{
    enum
    {
        NOISE = 4 << 20,
        WHOLE = 12 << 20
    };
    uint8_t *data = malloc(WHOLE);
    uint32_t state = 1;
    struct cpam_buf plain = {0};

    memset(data, 'A', WHOLE);
    for (size_t i = 0; i < NOISE; i++)
        data[i] = (uint8_t) ((state = state * 1664525u + 1013904223u) >> 24);
    put_bytes(7, data, WHOLE);
    /* another file is another trial: its first frame is compressed at once */
    put_bytes(6, data + NOISE, PACK_FRAME_SIZE);
    ck_ok(pack_fill_finish(fill, &err), &err);
    frames_count = 0;
    ck_ok(pack_set_each(packs, 0, see_frames, NULL, &err), &err);
    /* two tries, seven spared (of which five would have shrunk), then it is noticed */
    ck_assert_str_eq(frames_seen, "---------CCCC");
    pack_count = 0;
    ck_ok(pack_set_each(packs, 0, read_pack, NULL, &err), &err);
    for (uint32_t i = 0; i < pack_count; i++)
    {
        ck_ok(cpam_buf_append(&plain, opened[i].plain.data, opened[i].plain.size, 1 << 28, &err),
              &err);
        cpam_buf_clear(&opened[i].plain);
        free(opened[i].starts);
    }
    ck_assert_uint_eq(plain.size, WHOLE + PACK_FRAME_SIZE);
    ck_assert_mem_eq(plain.data, data, WHOLE);
    ck_assert_uint_eq(results[7].size, WHOLE);
    ck_assert_uint_eq(results[7].crc, crc32c(0, data, WHOLE));
    cpam_buf_clear(&plain);
    free(data);
}
END_TEST

START_TEST(small_files_in_one_frame_are_always_tried)
{
    uint8_t *data = malloc(PACK_FRAME_SIZE);

    memset(data, 'A', PACK_FRAME_SIZE);
    for (unsigned id = 0; id < 16; id++)
        put_bytes(id, data, PACK_FRAME_SIZE / 2);
    ck_ok(pack_fill_finish(fill, &err), &err);
    frames_count = 0;
    ck_ok(pack_set_each(packs, 0, see_frames, NULL, &err), &err);
    ck_assert_str_eq(frames_seen, "CCCCCCCC");
    free(data);
}
END_TEST

START_TEST(fault31_other_content_under_a_packs_name_is_never_success)
{
    memory_overwrite(&self.bucket, "backup/label/pack/01000000", "junk", 4);
    put_part(3);
    ck_assert_int_ne(pack_fill_finish(fill, &err), CPAM_OK);
}
END_TEST

START_TEST(fault31_pack_of_another_attempt_is_never_success)
{
    struct pack_set_spec spec = {.label = "label",
                                 .attempt = 1,
                                 .sysid = REPO_SYSID,
                                 .pack_size = PACK_SIZE_MIN,
                                 .state = fixture_dir,
                                 .repos = 1};
    CPAM_AUTO(pack_set_free) struct pack_set *again = NULL;
    CPAM_AUTO(pack_writer_free) struct pack_writer *writer = NULL;
    struct pack_place place;

    put_part(3);
    ck_ok(pack_fill_finish(fill, &err), &err);
    ck_ok(pack_set_new(io_posix(), &spec, &again, &err), &err);
    ck_ok(pack_writer_new(&self.repo, again, &writer, &err), &err);
    ck_ok(pack_writer_frame(writer, "x", 1, &place, &err), &err);
    ck_fails(pack_writer_finish(writer, &err), CPAM_EXISTS, "is taken by something", &err);
}
END_TEST

START_TEST(lost_answer_to_a_pack_is_success)
{
    self.bucket.lose_put_answer = true;
    put_part(3);
    ck_ok(pack_fill_finish(fill, &err), &err);
    ck_assert(results[3].told);
}
END_TEST

START_TEST(store_that_fails_ends_it)
{
    self.bucket.fail_all = CPAM_TRANSIENT;
    put_part(3);
    ck_fails(pack_fill_finish(fill, &err), CPAM_TRANSIENT, "does not want to", &err);
    ck_assert_int_ne(pack_set_each(packs, 0, read_pack, NULL, &err), CPAM_OK);
}
END_TEST

START_TEST(pack_size_has_bounds)
{
    static const uint64_t sizes[] = {0, PACK_SIZE_MIN - 1, (uint64_t) PACK_SIZE_MAX + 1};
    struct pack_set_spec spec = {
        .label = "label", .attempt = 1, .pack_size = sizes[_i], .state = fixture_dir};
    struct pack_set *set = NULL;

    ck_fails(pack_set_new(io_posix(), &spec, &set, &err), CPAM_USAGE, "base.pack_size", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/pack");
    TCase *tcase = tcase_create("pack");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, B2_every_byte_is_found_again_in_few_packs);
    tcase_add_test(tcase, large_part_has_few_extents);
    tcase_add_test(tcase, B9_notes_do_not_gather_behind_a_frame_that_does_not_fill);
    tcase_add_test(tcase, B9_a_pack_has_no_more_pieces_than_a_restore_should_hold);
    tcase_add_test(tcase, a_file_that_does_not_shrink_is_not_tried_on_and_on);
    tcase_add_test(tcase, small_files_in_one_frame_are_always_tried);
    tcase_add_test(tcase, fault31_other_content_under_a_packs_name_is_never_success);
    tcase_add_test(tcase, fault31_pack_of_another_attempt_is_never_success);
    tcase_add_test(tcase, lost_answer_to_a_pack_is_success);
    tcase_add_test(tcase, store_that_fails_ends_it);
    tcase_add_loop_test(tcase, pack_size_has_bounds, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite;
}
