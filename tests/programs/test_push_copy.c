/*
 * test_push_copy.c - files read by workers: what is told when one of them can't be (B8).
 */
#include "push_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pg/crc32c.h"
#include "repo/repo_fixture.h"

enum
{
    FILES =
        3000, /* more than may wait: the main thread is still handing out when the first fails */
    ROUNDS = 10
};

static volatile sig_atomic_t stopped;

static enum cpam_status
copy_all(struct repo_fixture *repo, struct cpam_err *err)
{
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    CPAM_AUTO(pack_set_free) struct pack_set *packs = NULL;
    CPAM_AUTO(push_copy_free) struct push_copy *copy = NULL;
    struct pack_set_spec set = {.label = "cpam_backup_20261123_160349",
                                .attempt = 1,
                                .sysid = REPO_SYSID,
                                .pack_size = PACK_SIZE_MIN,
                                .state = fixture_dir,
                                .repos = 1};
    struct repo *repos[PACK_REPOS_MAX] = {repo->repo};
    char name[16];

    CPAM_TRY(plan_new(io_posix(), fixture_dir, &plan, err));
    for (int i = 0; i < FILES; i++)
    {
        snprintf(name, sizeof(name), i == FILES / 2 ? "bad" : "gone-%05d", i);
        struct source_entry entry = {.kind = MANIFEST_FILE, .path = name, .size = 10};

        CPAM_TRY(plan_add(plan, &entry, NULL, err));
    }
    CPAM_TRY(pack_set_new(io_posix(), &set, &packs, err));
    struct push_copy_spec spec = {.repos = repos,
                                  .plan = plan,
                                  .packs = packs,
                                  .data = fixture_dir,
                                  .workers = 4,
                                  .stopped = &stopped};
    CPAM_TRY(push_copy_new(io_posix(), &spec, &copy, err));
    return push_copy_files(copy, err);
}

/* One file can't be read: that is said, and not that the others were given up for it. */
START_TEST(B8_the_reason_of_a_failed_copy_is_told)
{
    static struct repo_fixture repo;
    struct cpam_err err;

    repo_fixture_begin(&repo, false);
    ck_assert_int_eq(mkdir(fixture_path("bad"), 0700), 0); /* opens, and can't be read */
    for (int i = 0; i < ROUNDS; i++)
        ck_fails(copy_all(&repo, &err), CPAM_IO, "could not read \"", &err);
    ck_assert_int_eq(rmdir(fixture_path("bad")), 0);
    repo_fixture_end(&repo);
}
END_TEST

START_TEST(B8_a_signal_is_told_as_one)
{
    static struct repo_fixture repo;
    struct cpam_err err;

    repo_fixture_begin(&repo, false);
    stopped = 1;
    ck_fails(copy_all(&repo, &err), CPAM_CANCELLED, "the backup was stopped", &err);
    stopped = 0;
    repo_fixture_end(&repo);
}
END_TEST

/* --- content that comes in pieces --------------------------------------------------------------- */

enum
{
    PIECE = 128 << 10,
    BIG = 3 * PIECE + 17
};

static enum cpam_status
push_piece(struct push_copy *copy, const char *path, uint64_t part, uint64_t offset, size_t size,
           struct cpam_err *err)
{
    struct push_piece piece = {path, part, offset, malloc(size + 1), size};

    ck_assert_ptr_nonnull(piece.content);
    for (size_t i = 0; i < size; i++)
        piece.content[i] = (uint8_t) ((offset + i) * 7 + 1);
    return push_copy_piece(copy, &piece, err);
}

/* A large file and an empty one, in pieces; the plan's content of both. */
static enum cpam_status
copy_pieces(struct repo_fixture *repo, struct plan_content *big, struct plan_content *empty,
            struct cpam_err *err)
{
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    CPAM_AUTO(pack_set_free) struct pack_set *packs = NULL;
    CPAM_AUTO(push_copy_free) struct push_copy *copy = NULL;
    struct pack_set_spec set = {.label = "cpam_backup_20261123_160349",
                                .attempt = 1,
                                .sysid = REPO_SYSID,
                                .pack_size = PACK_SIZE_MIN,
                                .state = fixture_dir,
                                .repos = 1};
    struct repo *repos[PACK_REPOS_MAX] = {repo->repo};
    uint64_t part, first = 0;

    CPAM_TRY(plan_new(io_posix(), fixture_dir, &plan, err));
    plan_set_part_size(plan, PIECE);
    ck_assert_uint_eq(plan_part_size(plan), PIECE);
    CPAM_TRY(pack_set_new(io_posix(), &set, &packs, err));
    struct push_copy_spec spec = {
        .repos = repos, .plan = plan, .packs = packs, .workers = 2, .stopped = &stopped};
    CPAM_TRY(push_copy_new(io_posix(), &spec, &copy, err));
    for (uint64_t at = 0; at < BIG; at += PIECE)
    {
        CPAM_TRY(plan_extra_part(plan, &part, err));
        CPAM_TRY(push_piece(copy, "big", part, at, at + PIECE < BIG ? PIECE : BIG - at, err));
        first = at == 0 ? part : first;
    }
    CPAM_TRY(plan_extra_part(plan, &part, err));
    CPAM_TRY(push_piece(copy, "empty", part, 0, 0, err));
    struct source_entry entry = {.kind = MANIFEST_FILE, .path = "big", .size = BIG};
    CPAM_TRY(plan_add_read(plan, &entry, first, 4, err));
    CPAM_TRY(push_copy_pieces_end(copy, err));
    CPAM_TRY(push_copy_finish(copy, err));
    CPAM_TRY(plan_content(plan, first, 4, big, err));
    return plan_content(plan, part, 1, empty, err);
}

START_TEST(B5_pieces_are_put_together)
{
    static struct repo_fixture repo;
    struct plan_content big, empty;
    static uint8_t whole[BIG];
    struct cpam_err err;

    repo_fixture_begin(&repo, false);
    ck_ok(copy_pieces(&repo, &big, &empty, &err), &err);
    for (size_t i = 0; i < BIG; i++)
        whole[i] = (uint8_t) (i * 7 + 1);
    ck_assert_uint_eq(big.size, BIG);
    ck_assert_uint_eq(big.crc, crc32c(0, whole, BIG));
    ck_assert_uint_ge(big.extent_count, 1);
    ck_assert_uint_eq(empty.size, 0);
    ck_assert(!empty.vanished);
    free(big.extents);
    free(empty.extents);
    stopped = 1;
    ck_fails(copy_pieces(&repo, &big, &empty, &err), CPAM_CANCELLED, "the backup was stopped",
             &err);
    stopped = 0;
    repo_fixture_end(&repo);
}
END_TEST

/* --- a limited rate, on a clock that only moves when somebody sleeps -------------------------- */

#define SECOND INT64_C(1000000)

static int64_t clock_us, longest_sleep;
static struct io_ops slow_ops;
static struct io slow = {.ops = &slow_ops};

static int64_t
slow_monotonic(struct io *io)
{
    (void) io;
    return clock_us;
}

static void
slow_sleep(struct io *io, int64_t us)
{
    (void) io;
    clock_us += us;
    longest_sleep = us > longest_sleep ? us : longest_sleep;
}

static enum cpam_status
copy_paced(struct repo_fixture *repo, struct pace *read, uint64_t size, struct cpam_err *err)
{
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    CPAM_AUTO(pack_set_free) struct pack_set *packs = NULL;
    CPAM_AUTO(push_copy_free) struct push_copy *copy = NULL;
    struct pack_set_spec set = {.label = "cpam_backup_20261123_160349",
                                .attempt = 1,
                                .sysid = REPO_SYSID,
                                .pack_size = PACK_SIZE_MIN,
                                .state = fixture_dir,
                                .repos = 1};
    struct repo *repos[PACK_REPOS_MAX] = {repo->repo};
    struct source_entry entry = {.kind = MANIFEST_FILE, .path = "paced", .size = size};
    struct push_copy_spec spec = {
        .repos = repos, .data = fixture_dir, .workers = 1, .read = read, .stopped = &stopped};

    CPAM_TRY(plan_new(io_posix(), fixture_dir, &plan, err));
    CPAM_TRY(plan_add(plan, &entry, NULL, err));
    CPAM_TRY(pack_set_new(io_posix(), &set, &packs, err));
    spec.plan = plan;
    spec.packs = packs;
    CPAM_TRY(push_copy_new(&slow, &spec, &copy, err));
    CPAM_TRY(push_copy_files(copy, err));
    return push_copy_finish(copy, err);
}

START_TEST(B10_reading_keeps_the_rate_within_five_percent)
{
    static struct repo_fixture repo;
    CPAM_AUTO(pace_free) struct pace *read = NULL;
    const uint64_t size = 4 << 20, rate = 200 << 10;
    struct cpam_err err;

    repo_fixture_begin(&repo, false);
    int fd = open(fixture_path("paced"), O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t) size), 0);
    close(fd);
    slow_ops = *io_posix()->ops;
    slow_ops.monotonic = slow_monotonic;
    slow_ops.sleep = slow_sleep;
    clock_us = 77 * SECOND;
    ck_ok(pace_new(&slow, rate, NULL, &read, &err), &err);
    ck_ok(copy_paced(&repo, read, size, &err), &err);
    double wanted = (double) size / (double) rate * (double) SECOND;
    double spent = (double) (clock_us - 77 * SECOND);
    ck_assert_double_ge(spent, wanted * 0.95);
    ck_assert_double_le(spent, wanted * 1.05);
    ck_assert_int_le(longest_sleep, SECOND / 5); /* a signal is seen soon */
    repo_fixture_end(&repo);
}
END_TEST

/* A pipe has no end that anybody would write, and a backup that waits for it keeps backup mode. */
START_TEST(B11_what_became_a_pipe_on_the_way_holds_nothing_up)
{
    static struct repo_fixture repo;
    struct cpam_err err;

    repo_fixture_begin(&repo, false);
    slow_ops = *io_posix()->ops;
    ck_assert_int_eq(mkfifo(fixture_path("paced"), 0600), 0);
    ck_fails(copy_paced(&repo, NULL, 100, &err), CPAM_IO, "paced\": it is no file any more", &err);
    repo_fixture_end(&repo);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("archive/push_copy");
    TCase *tcase = tcase_create("push_copy");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, B8_the_reason_of_a_failed_copy_is_told);
    tcase_add_test(tcase, B8_a_signal_is_told_as_one);
    tcase_add_test(tcase, B5_pieces_are_put_together);
    tcase_add_test(tcase, B10_reading_keeps_the_rate_within_five_percent);
    tcase_add_test(tcase, B11_what_became_a_pipe_on_the_way_holds_nothing_up);
    suite_add_tcase(suite, tcase);
    return suite;
}
