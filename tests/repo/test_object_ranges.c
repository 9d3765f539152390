/*
 * test_object_ranges.c - some frames of a pack by ranged requests (format-1.md faults 12, 13, 23):
 * the right bytes, few requests, and nothing that was altered, swapped or cut.
 */
#include "repo/repo_fixture.h"

#include "repo/object_ranges.h"
#include "repo/pack.h"

enum
{
    FRAMES = 6,
    FRAME = 100 * 1000 /* bytes that do not compress */
};

static struct repo_fixture self;
static struct cpam_err err;
static struct manifest_pack pack;
static uint8_t content[FRAMES][FRAME];
static bool wanted[FRAMES];

static enum cpam_status
keep_pack(void *arg, const struct manifest_pack *found, struct cpam_err *e)
{
    size_t size = found->frame_count * sizeof(uint32_t);

    (void) arg;
    (void) e;
    ck_assert_uint_eq(found->frame_count, FRAMES);
    pack = *found;
    pack.clen = malloc(size);
    pack.rlen = malloc(size);
    memcpy(pack.clen, found->clen, size);
    memcpy(pack.rlen, found->rlen, size);
    return CPAM_OK;
}

static void
begin(bool versioned)
{
    CPAM_AUTO(pack_set_free) struct pack_set *set = NULL;
    CPAM_AUTO(pack_writer_free) struct pack_writer *writer = NULL;
    struct pack_set_spec spec = {.label = "label",
                                 .attempt = 1,
                                 .sysid = REPO_SYSID,
                                 .pack_size = PACK_SIZE_MIN,
                                 .repos = 1};
    uint32_t state = 1;

    repo_fixture_begin(&self, versioned);
    spec.state = fixture_dir;
    ck_ok(pack_set_new(io_posix(), &spec, &set, &err), &err);
    ck_ok(pack_writer_new(&self.repo, set, &writer, &err), &err);
    for (int i = 0; i < FRAMES; i++)
    {
        struct pack_place place;

        for (size_t at = 0; at < FRAME; at++)
        {
            state = state * 1664525u + 1013904223u;
            content[i][at] = (uint8_t) (state >> 24);
        }
        ck_ok(pack_writer_frame(writer, content[i], FRAME, &place, &err), &err);
        wanted[i] = false;
    }
    ck_ok(pack_writer_finish(writer, &err), &err);
    ck_ok(pack_set_each(set, 0, keep_pack, NULL, &err), &err);
}

static void
end(void)
{
    free(pack.clen);
    free(pack.rlen);
    repo_fixture_end(&self);
}

static enum cpam_status
on_frame(void *arg, uint32_t frame, const void *data, size_t size, struct cpam_err *e)
{
    (void) e;
    ck_assert_uint_lt(frame, FRAMES);
    ck_assert(wanted[frame]);
    ck_assert_uint_eq(size, FRAME);
    ck_assert_int_eq(memcmp(data, content[frame], FRAME), 0);
    *(unsigned *) arg += 1u << (4 * frame); /* a hex digit a frame: how often it came */
    return CPAM_OK;
}

static enum cpam_status
get(uint32_t first, uint32_t last, unsigned *seen)
{
    CPAM_AUTO(object_ranges_free) struct object_ranges *ranges = NULL;
    struct object_want want = {
        .kind = OBJECT_PACK, .sysid = REPO_SYSID, .name = pack.key, .h = pack.h};
    const struct object_frames frames = {pack.clen, pack.rlen, pack.frame_count, pack.body_offset};

    CPAM_TRY(object_ranges_open(self.repo, &want, &frames, &ranges, &err));
    return object_ranges_get(ranges, first, last, wanted, on_frame, seen, &err);
}

START_TEST(B3_T6_frames_come_by_two_requests)
{
    unsigned seen = 0;

    begin(false);
    wanted[1] = wanted[4] = true;
    unsigned before = self.bucket.requests;
    ck_ok(get(1, 4, &seen), &err);
    ck_assert_uint_eq(self.bucket.requests - before, 2);
    ck_assert_uint_eq(seen, 0x010010);
    wanted[5] = true;
    ck_ok(get(5, 5, &seen), &err);
    ck_assert_uint_eq(seen, 0x110010);
    end();
}
END_TEST

START_TEST(S7_the_genuine_version_is_read)
{
    unsigned seen = 0;
    static const uint8_t junk[5000];

    begin(true);
    wanted[0] = true;
    memory_overwrite(&self.bucket, pack.key, junk, sizeof(junk));
    ck_ok(get(0, 0, &seen), &err);
    memory_delete(&self.bucket, pack.key);
    ck_ok(get(0, 0, &seen), &err);
    ck_assert_uint_eq(seen, 2);
    end();
}
END_TEST

/* One bit of each part. */
START_TEST(E1_nothing_altered_is_passed_on)
{
    begin(false);
    struct memory_version *version = memory_current(&self.bucket, pack.key);
    size_t frame = OBJECT_FRAME_HEADER_SIZE + FRAME + OBJECT_TAG_SIZE;
    const size_t places[] = {
        0,                                    /* magic */
        60,                                   /* salt */
        300,                                  /* proof */
        OBJECT_HEADER_SIZE + 20,              /* stanzas */
        pack.body_offset + frame,             /* lengths of frame 1 */
        pack.body_offset + frame + 9,         /* its final flag */
        pack.body_offset + frame + 500,       /* its content */
        pack.body_offset + frame + frame - 1, /* its tag */
    };

    wanted[1] = true;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
    {
        unsigned seen = 0;

        version->data[places[i]] ^= 1;
        ck_assert_msg(get(1, 1, &seen) != CPAM_OK, "byte %zu", places[i]);
        ck_assert_msg(strstr(err.text, pack.key) != NULL, "%s", err.text);
        ck_assert_uint_eq(seen, 0);
        version->data[places[i]] ^= 1;
        ck_ok(get(1, 1, &seen), &err);
    }
    end();
}
END_TEST

/* Another pack of the same writer under this name: its own frames would all open. */
START_TEST(E3_a_swapped_pack_is_refused_by_its_header)
{
    unsigned seen = 0;

    begin(false);
    wanted[0] = true;
    pack.h[3] ^= 1;
    ck_assert_int_ne(get(0, 0, &seen), CPAM_OK);
    ck_assert_uint_eq(seen, 0);
    end();
}
END_TEST

START_TEST(E1_frames_are_where_the_manifest_says)
{
    unsigned seen = 0;

    begin(false);
    wanted[2] = true;
    ck_ok(get(2, 2, &seen), &err);
    /* lengths that shift what is read, or promise another plaintext */
    pack.clen[0] += 1;
    ck_assert_int_ne(get(2, 2, &seen), CPAM_OK);
    pack.clen[0] -= 1;
    pack.rlen[2] -= 1;
    ck_assert_int_ne(get(2, 2, &seen), CPAM_OK);
    pack.rlen[2] += 2;
    ck_assert_int_ne(get(2, 2, &seen), CPAM_OK);
    pack.rlen[2] -= 1;
    ck_fails(get(2, FRAMES, &seen), CPAM_INTERNAL, "does not list", &err);
    ck_assert_uint_eq(seen, 0x100);
    end();
}
END_TEST

/* The final frame where a data frame is asked for, and an object that is cut short. */
START_TEST(E1_a_final_frame_is_never_data)
{
    unsigned seen = 0;

    begin(false);
    struct memory_version *version = memory_current(&self.bucket, pack.key);
    uint32_t real[FRAMES];
    const uint32_t final_size = 16 + 8 * FRAMES;

    memcpy(real, pack.clen, sizeof(real));
    /* frame 0 stretched over all data frames: frame 1 is the final one */
    pack.clen[0] = FRAMES * (OBJECT_FRAME_HEADER_SIZE + FRAME + OBJECT_TAG_SIZE) -
                   OBJECT_FRAME_HEADER_SIZE - OBJECT_TAG_SIZE;
    pack.clen[1] = final_size;
    pack.rlen[1] = final_size;
    wanted[1] = true;
    ck_fails(get(1, 1, &seen), CPAM_CORRUPT, "final frame", &err);
    memcpy(pack.clen, real, sizeof(real));
    pack.rlen[1] = FRAME;
    version->size -= 100;
    wanted[1] = false;
    wanted[5] = true;
    ck_ok(get(5, 5, &seen), &err); /* the part that is asked for is there */
    ck_assert_uint_eq(seen, 0x100000);
    version->size -= FRAME;
    ck_assert_int_ne(get(5, 5, &seen), CPAM_OK);
    end();
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/object_ranges");
    TCase *tcase = tcase_create("object_ranges");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, B3_T6_frames_come_by_two_requests);
    tcase_add_test(tcase, S7_the_genuine_version_is_read);
    tcase_add_test(tcase, E1_nothing_altered_is_passed_on);
    tcase_add_test(tcase, E3_a_swapped_pack_is_refused_by_its_header);
    tcase_add_test(tcase, E1_frames_are_where_the_manifest_says);
    tcase_add_test(tcase, E1_a_final_frame_is_never_data);
    suite_add_tcase(suite, tcase);
    return suite;
}
