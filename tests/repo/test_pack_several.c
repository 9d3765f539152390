/*
 * test_pack_several.c - one pass of content into the packs of several repositories (D4): the same
 * frames in the same places, each repository whole by itself, and one that fails is left behind.
 */
#include "repo/repo_fixture.h"

#include "repo/object_read.h"
#include "repo/pack_fill.h"

enum
{
    REPOS = 3,
    PARTS = 14,
    PART_SIZE = 1500000
};

static struct repo_fixture first;
static struct memory_bucket buckets[REPOS]; /* but the first, which is the fixture's */
static struct store_opener openers[REPOS];
static struct repo_settings settings[REPOS];
static struct keyring *keyrings[REPOS];
static struct repo *repos[PACK_REPOS_MAX];
static struct pack_set *packs;
static struct pack_fill *fill;
static struct cpam_err err;
static size_t told;

static struct memory_bucket *
bucket(size_t at)
{
    return at == 0 ? &first.bucket : &buckets[at];
}

static enum cpam_status
done(void *arg, const struct pack_part *part, struct cpam_err *e)
{
    (void) arg;
    (void) e;
    ck_assert_uint_eq(part->size, PART_SIZE);
    told++;
    return CPAM_OK;
}

static void
begin(void)
{
    struct pack_set_spec spec = {.label = "label",
                                 .attempt = 1,
                                 .sysid = REPO_SYSID,
                                 .pack_size = PACK_SIZE_MIN,
                                 .repos = REPOS};

    repo_fixture_begin(&first, false);
    repos[0] = first.repo;
    told = 0;
    for (size_t i = 1; i < REPOS; i++)
    {
        memory_bucket_init(&buckets[i]);
        openers[i] = memory_opener(&buckets[i], io_posix());
        settings[i] = first.settings;
        settings[i].opener = &openers[i];
        settings[i].name = i == 1 ? "second" : "third";
        keyrings[i] = repo_keyfile("key2", 20 + (int) i);
        ck_ok(repo_create(io_posix(), &settings[i], keyrings[i], &err), &err);
        ck_ok(
            repo_open(io_posix(), &settings[i], keyrings[i], (struct deadline){0}, &repos[i], &err),
            &err);
    }
    spec.state = fixture_dir;
    ck_ok(pack_set_new(io_posix(), &spec, &packs, &err), &err);
    ck_ok(pack_fill_new(repos, packs, done, NULL, &fill, &err), &err);
}

static void
end(void)
{
    pack_fill_free(fill);
    pack_set_free(packs);
    for (size_t i = 1; i < REPOS; i++)
    {
        repo_free(repos[i]);
        keyring_free(keyrings[i]);
        memory_bucket_clear(&buckets[i]);
    }
    repo_fixture_end(&first);
}

/* Noise, so that packs fill up: more than four of them. */
static enum cpam_status
put_all(void)
{
    uint32_t noise = 4711;

    for (uint64_t id = 0; id < PARTS; id++)
    {
        CPAM_TRY(pack_fill_begin(fill, id, &err));
        for (size_t at = 0; at < PART_SIZE;)
        {
            uint8_t *to;
            size_t room;

            CPAM_TRY(pack_fill_room(fill, &to, &room, &err));
            room = room < PART_SIZE - at ? room : PART_SIZE - at;
            for (size_t i = 0; i < room; i++)
            {
                noise = noise * 1664525 + 1013904223;
                to[i] = (uint8_t) (noise >> 24);
            }
            CPAM_TRY(pack_fill_take(fill, room, &err));
            at += room;
        }
        CPAM_TRY(pack_fill_end(fill, NULL, 0, &err));
    }
    return pack_fill_finish(fill, &err);
}

/* What a repository has of its packs: read whole, with its keys, against its own H and d. */
struct seen
{
    struct repo *repo;
    struct cpam_buf plain;  /* of all packs, one behind the other */
    struct cpam_buf places; /* clen and rlen of all frames */
    uint32_t count;
    uint64_t stored;
    uint8_t h[64][SHA256_SIZE];
};

static enum cpam_status
read_pack(void *arg, const struct manifest_pack *pack, struct cpam_err *e)
{
    struct seen *seen = arg;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf plain = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_want want = {
        .kind = OBJECT_PACK, .sysid = REPO_SYSID, .name = pack->key, .h = pack->h, .d = pack->d};
    size_t lengths = pack->frame_count * sizeof(uint32_t);

    ck_assert_uint_eq(pack->index, seen->count);
    ck_assert_uint_le(pack->size, PACK_SIZE_MIN);
    memcpy(seen->h[seen->count++], pack->h, SHA256_SIZE);
    seen->stored += pack->size;
    ck_ok(sink_buf_push(&chain, &plain, 1 << 28, e), e);
    ck_ok(object_read(seen->repo, &want, 1 << 28, chain, NULL, e), e);
    ck_ok(cpam_buf_append(&seen->plain, plain.data, plain.size, 1 << 30, e), e);
    ck_ok(cpam_buf_append(&seen->places, pack->clen, lengths, 1 << 30, e), e);
    return cpam_buf_append(&seen->places, pack->rlen, lengths, 1 << 30, e);
}

static enum cpam_status
pass_over(void *arg, const struct manifest_pack *pack, struct cpam_err *e)
{
    (void) arg;
    (void) pack;
    (void) e;
    return CPAM_OK;
}

static void
look(size_t at, struct seen *out)
{
    memset(out, 0, sizeof(*out));
    out->repo = repos[at];
    ck_ok(pack_set_each(packs, at, read_pack, out, &err), &err);
    ck_assert_uint_eq(out->count, pack_set_count(packs));
    ck_assert_uint_eq(out->stored, pack_set_stored(packs, at));
    ck_assert_uint_eq(out->plain.size, (size_t) PARTS * PART_SIZE);
}

static void
look_away(struct seen *seen)
{
    cpam_buf_clear(&seen->plain);
    cpam_buf_clear(&seen->places);
}

/* All that are not left out have the same, under their own keys. */
static void
all_have_it(size_t left_out)
{
    struct seen one = {0}, other;
    bool found = false;

    ck_assert_uint_eq(told, PARTS);
    for (size_t i = 0; i < REPOS; i++)
    {
        if (i == left_out)
            continue;
        if (!found)
            look(i, &one);
        else
        {
            look(i, &other);
            ck_assert_uint_ge(other.count, 4);
            ck_assert_mem_eq(one.plain.data, other.plain.data, one.plain.size);
            ck_assert_uint_eq(one.places.size, other.places.size);
            ck_assert_mem_eq(one.places.data, other.places.data, one.places.size);
            for (uint32_t pack = 0; pack < one.count; pack++)
                ck_assert_int_ne(memcmp(one.h[pack], other.h[pack], SHA256_SIZE), 0);
            look_away(&other);
        }
        found = true;
    }
    look_away(&one);
}

START_TEST(D4_one_pass_fills_every_repository)
{
    ck_ok(put_all(), &err);
    ck_assert_uint_eq(pack_set_left(packs), REPOS);
    all_have_it(REPOS);
}
END_TEST

/* Whichever it is, and whether at its first pack, later, or at the last one. */
START_TEST(D4_one_that_fails_is_left_behind_and_the_others_go_on)
{
    size_t which = (size_t) _i % REPOS;
    struct cpam_err reason;

    bucket(which)->fail_all = CPAM_REFUSED;
    bucket(which)->fail_after = 2 * (_i / REPOS);
    ck_ok(put_all(), &err);
    ck_assert_uint_eq(pack_set_left(packs), REPOS - 1);
    ck_assert_int_eq(pack_set_reason(packs, which, &reason), CPAM_REFUSED);
    ck_assert_ptr_nonnull(strstr(reason.text, "does not want to"));
    /* nobody makes a manifest of it */
    ck_fails(pack_set_each(packs, which, pass_over, NULL, &err), CPAM_INTERNAL, "never put here",
             &err);
    all_have_it(which);
}
END_TEST

START_TEST(D4_when_all_have_failed_it_ends)
{
    struct cpam_err reason;

    for (size_t i = 0; i < REPOS; i++)
    {
        bucket(i)->fail_all = i == 1 ? CPAM_REFUSED : CPAM_TRANSIENT;
        bucket(i)->fail_after = (int) i;
    }
    ck_assert_int_ne(put_all(), CPAM_OK);
    ck_assert_uint_eq(pack_set_left(packs), 0);
    ck_assert_int_eq(pack_set_reason(packs, 1, &reason), CPAM_REFUSED);
    ck_assert_int_eq(pack_set_reason(packs, 2, &reason), CPAM_TRANSIENT);
    ck_assert_uint_lt(pack_set_count(packs), 5);
}
END_TEST

START_TEST(D4_one_dropped_by_another_worker_gets_nothing_more)
{
    struct cpam_err reason;

    cpam_fail(&reason, CPAM_DEADLINE, 0, "the other worker waited");
    pack_set_drop(packs, 0, &reason);
    cpam_fail(&reason, CPAM_IO, 0, "a later reason");
    pack_set_drop(packs, 0, &reason);
    unsigned before = first.bucket.requests;
    ck_ok(put_all(), &err);
    ck_assert_uint_eq(first.bucket.requests, before);
    ck_assert_int_eq(pack_set_reason(packs, 0, &reason), CPAM_DEADLINE);
    all_have_it(0);
}
END_TEST

/* A taken name is the failure of the repository it is taken in (format-1.md fault 31). */
START_TEST(fault31_D4_a_taken_name_fails_one_repository)
{
    struct cpam_err reason;

    memory_overwrite(&buckets[2], "backup/label/pack/01000001", "junk", 4);
    ck_ok(put_all(), &err);
    ck_assert_int_ne(pack_set_reason(packs, 2, &reason), CPAM_OK);
    all_have_it(2);
}
END_TEST

START_TEST(D4_repositories_have_bounds)
{
    struct pack_set_spec spec = {.label = "label",
                                 .attempt = 1,
                                 .pack_size = PACK_SIZE_MIN,
                                 .state = fixture_dir,
                                 .repos = _i == 0 ? 0 : PACK_REPOS_MAX + 1};
    struct pack_set *set = NULL;

    ck_fails(pack_set_new(io_posix(), &spec, &set, &err), CPAM_INTERNAL, "repositories", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/pack_several");
    TCase *tcase = tcase_create("pack_several");

    tcase_set_timeout(tcase, 240);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, D4_one_pass_fills_every_repository);
    tcase_add_loop_test(tcase, D4_one_that_fails_is_left_behind_and_the_others_go_on, 0, 9);
    tcase_add_test(tcase, D4_when_all_have_failed_it_ends);
    tcase_add_test(tcase, D4_one_dropped_by_another_worker_gets_nothing_more);
    tcase_add_test(tcase, fault31_D4_a_taken_name_fails_one_repository);
    tcase_add_loop_test(tcase, D4_repositories_have_bounds, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}
