/*
 * test_wal_seal.c - P8: whatever happens to a file while it is read, the content id of an object is
 * that of the bytes in it.
 */
#include "repo/repo_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/room.h"
#include "object/content_id.h"

#define SEGMENT "000000010000000000000003"
#define KEY     "wal/7301234567890123456/00000001/00000000/" SEGMENT

static struct repo_fixture self;
static struct cpam_err err;

/* An io that changes a byte at one place, the nth time it is read. */
static struct io_ops flipping_ops;
static struct io flipping = {&flipping_ops};
static off_t flip_at;
static int flip_nth, reads;

static ssize_t
flipping_pread(struct io *io, int fd, void *data, size_t size, off_t at)
{
    ssize_t got = io_posix()->ops->pread(io_posix(), fd, data, size, at);

    (void) io;
    if (flip_at >= at && flip_at < at + got && ++reads == flip_nth)
        ((uint8_t *) data)[flip_at - at] ^= 1;
    return got;
}

static void
begin(void)
{
    repo_fixture_begin(&self, false);
    flipping_ops = *io_posix()->ops;
    flipping_ops.pread = flipping_pread;
    reads = 0;
}

static void
end(void)
{
    repo_fixture_end_with_files(&self);
}

static void
with_codec(enum codec_id codec)
{
    repo_free(self.repo);
    self.settings.wal_codec = codec;
    repo_fixture_open(&self);
}

static void
segment_file(uint32_t size)
{
    uint8_t *data = wal_bytes(REPO_SYSID, 1, (uint64_t) 3 * size, size, 1);

    wal_file(SEGMENT, data, size);
    free(data);
}

static enum cpam_status
push(struct io *io)
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    bool was_there;

    CPAM_TRY(wal_item_read(io, fixture_path(SEGMENT), SEGMENT, REPO_SYSID, &item, &err));
    return wal_archive_put(self.repo, item, &was_there, &err);
}

/* What is stored has the id its header names, whichever content that is. */
static void
id_is_of_the_bytes(uint32_t size)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    CPAM_AUTO(content_id_free) struct content_id *id = NULL;
    struct object_header header;
    uint8_t found[CONTENT_ID_SIZE];

    ck_ok(wal_pull(self.repo, SEGMENT, &back, &err), &err);
    ck_assert_uint_eq(back.size, size);
    ck_ok(wal_archive_header(self.repo, REPO_SYSID, SEGMENT, &header, &err), &err);
    ck_ok(content_id_new(self.keyring, KEY, &id, &err), &err);
    ck_ok(content_id_add(id, back.data, back.size, &err), &err);
    ck_ok(content_id_end(id, found, &err), &err);
    ck_assert_mem_eq(found, header.content_id, CONTENT_ID_SIZE);
}

/* Sizes and codecs by which a segment is held, tried to be held, and not held. */
static const struct
{
    uint32_t size;
    enum codec_id codec;
    bool twice;
} ways[] = {
    {1 << 20, CODEC_LZ4, false},
    {16 << 20, CODEC_NONE, false},
    {64 << 20, CODEC_LZ4, false},
    {32 << 20, CODEC_NONE, true},
};

START_TEST(P8_segment_comes_back_as_it_was)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    uint32_t size = ways[_i].size;
    uint8_t *data = wal_bytes(REPO_SYSID, 1, (uint64_t) 3 * size, size, 1);

    with_codec(ways[_i].codec);
    wal_file(SEGMENT, data, size);
    ck_ok(push(io_posix()), &err);
    ck_ok(push(io_posix()), &err);
    ck_assert_uint_eq(self.bucket.bodies, 3); /* two records, and the segment once */
    back.size = 0;
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    ck_ok(sink_buf_push(&chain, &back, UINT32_C(1) << 30, &err), &err);
    ck_ok(wal_archive_get(self.repo, REPO_SYSID, SEGMENT, chain, NULL, &err), &err);
    ck_assert_uint_eq(back.size, size);
    ck_assert_mem_eq(back.data, data, size);
    free(data);
}
END_TEST

/* A byte changes between two readings, or for good: one reading has one content. */
START_TEST(P8_flipped_byte_never_gives_an_object_with_another_id)
{
    static const off_t places[] = {41, 8192 + 5, (1 << 20) - 1};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (flip_nth = 1; flip_nth <= 3; flip_nth++)
        {
            flip_at = places[i];
            reads = 0;
            segment_file(ways[_i].size);
            with_codec(ways[_i].codec);
            enum cpam_status status = push(&flipping);
            if (status == CPAM_OK)
                id_is_of_the_bytes(ways[_i].size);
            else
                ck_assert_int_eq(status, CPAM_TRANSIENT);
            /* after the reading in vain, twice: for the id and for the object */
            ck_assert_int_eq(status == CPAM_OK, !ways[_i].twice || flip_nth == 1);
            memory_delete(&self.bucket, KEY);
        }
}
END_TEST

START_TEST(P8_first_page_that_was_checked_is_the_one_that_is_sent)
{
    segment_file(1 << 20);
    flip_at = 4; /* its timeline */
    flip_nth = 2;
    ck_fails(push(&flipping), CPAM_TRANSIENT, "was changed while it was read", &err);
    ck_assert_ptr_null(memory_find(&self.bucket, KEY));
}
END_TEST

START_TEST(P7_file_that_changes_its_size_after_it_was_opened_is_refused)
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    bool was_there;

    segment_file(1 << 20);
    ck_ok(wal_item_read(io_posix(), fixture_path(SEGMENT), SEGMENT, 0, &item, &err), &err);
    ck_assert_int_eq(truncate(fixture_path(SEGMENT), _i == 0 ? (1 << 20) - 1 : (1 << 20) + 1), 0);
    ck_fails(wal_archive_put(self.repo, item, &was_there, &err), CPAM_INVALID,
             "changed its size while it was read", &err);
    ck_assert_ptr_null(memory_find(&self.bucket, KEY));
}
END_TEST

/* Recycled by the server, which is filling it with the content of another segment. */
START_TEST(P8_file_that_is_written_to_after_it_was_opened_is_no_object)
{
    static const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    bool was_there;

    segment_file(1 << 20);
    ck_assert_int_eq(utimensat(AT_FDCWD, fixture_path(SEGMENT), long_ago, 0), 0);
    ck_ok(wal_item_read(io_posix(), fixture_path(SEGMENT), SEGMENT, 0, &item, &err), &err);
    int fd = open(fixture_path(SEGMENT), O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, "other", 5, 1 << 19), 5);
    ck_assert_int_eq(close(fd), 0);
    ck_fails(wal_archive_put(self.repo, item, &was_there, &err), CPAM_TRANSIENT,
             "was changed while it was read", &err);
    ck_assert_ptr_null(memory_find(&self.bucket, KEY));
}
END_TEST

/* Incompressible ones of several threads at a time: what is too much waits in files. */
struct pusher
{
    struct repo *repo;
    char name[SEGMENT_NAME_MAX];
    const char *path;
    enum cpam_status status;
};

static void *
push_one(void *arg)
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    struct pusher *pusher = arg;
    struct cpam_err why;
    bool was_there;

    pusher->status =
        wal_item_read(io_posix(), fixture_path(pusher->name), pusher->name, 0, &item, &why);
    if (pusher->status == CPAM_OK)
        pusher->status = wal_archive_put(pusher->repo, item, &was_there, &why);
    return NULL;
}

START_TEST(sealed_segments_of_many_threads_are_all_stored)
{
    enum
    {
        THREADS = 6,
        SIZE = 8 << 20
    };
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    struct pusher pushers[THREADS] = {0};
    pthread_t threads[THREADS];

    with_codec(CODEC_NONE);
    /* the second time there is no spool: they stay in memory */
    self.settings.spool = _i == 0 ? fixture_dir : "/proc/none";
    for (unsigned i = 0; i < THREADS; i++)
    {
        uint8_t *data = wal_bytes(REPO_SYSID, 1, (uint64_t) i * SIZE, SIZE, i);

        snprintf(pushers[i].name, sizeof(pushers[i].name), "0000000100000000%08X", i);
        pushers[i].path = wal_file(pushers[i].name, data, SIZE);
        free(data);
        ck_ok(repo_open(io_posix(), &self.settings, self.keyring, (struct deadline){0},
                        &pushers[i].repo, &err),
              &err);
    }
    pthread_mutex_lock(&self.bucket.lock); /* nobody is served until all are sealed or waiting */
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, push_one, &pushers[i]), 0);
    pthread_mutex_unlock(&self.bucket.lock);
    for (unsigned i = 0; i < THREADS; i++)
    {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(pushers[i].status, CPAM_OK);
        ck_ok(wal_pull(pushers[i].repo, pushers[i].name, &back, &err), &err);
        uint8_t *data = wal_bytes(REPO_SYSID, 1, (uint64_t) i * SIZE, SIZE, i);
        ck_assert_uint_eq(back.size, SIZE);
        ck_assert_mem_eq(back.data, data, SIZE);
        free(data);
        repo_free(pushers[i].repo);
    }
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/wal_seal");
    TCase *tcase = tcase_create("wal_seal");

    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, P8_segment_comes_back_as_it_was, 0,
                        (int) (sizeof(ways) / sizeof(ways[0])));
    tcase_add_loop_test(tcase, P8_flipped_byte_never_gives_an_object_with_another_id, 0,
                        (int) (sizeof(ways) / sizeof(ways[0])));
    tcase_add_test(tcase, P8_first_page_that_was_checked_is_the_one_that_is_sent);
    tcase_add_loop_test(tcase, P7_file_that_changes_its_size_after_it_was_opened_is_refused, 0, 2);
    tcase_add_test(tcase, P8_file_that_is_written_to_after_it_was_opened_is_no_object);
    tcase_add_loop_test(tcase, sealed_segments_of_many_threads_are_all_stored, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}
