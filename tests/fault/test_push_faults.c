/*
 * test_push_faults.c - S1: five hundred pushes to a bucket that fails every fifth request, on a
 * clock of the test's own.
 */
#include "suite.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/key_text.h"
#include "fake_s3.h"
#include "io/file.h"
#include "push_item.h"
#include "store/s3_store.h"

enum
{
    PUSHES = 500,
    SEGMENT = 1 << 20,
    TIMEOUT = 60 * 1000000 /* us a push: the default of wal.push.timeout */
};

static const uint64_t sysid = UINT64_C(7301234567890123456);

struct world
{
    struct io_twin *twin;
    struct io *io;
    struct fake_s3 *s3;
    struct keyring *keyring;
    struct store_opener opener;
    struct repo_settings settings;
    struct deadline deadline; /* of the push that is under way */
    char dir[64], key[96], path[160];
    uint8_t segment[SEGMENT];
};

static struct world w;
static struct cpam_err err;

static enum cpam_status
open_store(const struct store_opener *opener, struct store **out, struct cpam_err *e)
{
    struct world *world = opener->arg;
    struct s3_store_settings settings = {
        .s3 = {.bucket = "bucket", .endpoint = "http://s3.test", .addressing = "path"},
        .prefix = "test"};
    CPAM_AUTO(credentials_free) struct credentials *credentials = NULL;
    CPAM_AUTO(http_free) struct http *http = fake_s3_connect(world->s3);

    CPAM_TRY(credentials_static(world->io, "AKIATEST", "not-a-secret", &credentials, e));
    CPAM_TRY(s3_store_open(world->io, &settings, http, credentials, out, e));
    http = NULL;
    credentials = NULL;
    (*out)->deadline = world->deadline;
    return CPAM_OK;
}

static void
make_world(void)
{
    static const uint8_t key[KEY_TEXT_KEY_SIZE] = {7};
    char text[KEY_TEXT_MAX];

    memset(&w, 0, sizeof(w));
    w.twin = io_twin_new();
    w.io = io_twin_io(w.twin);
    io_twin_plan(w.twin, &(struct io_twin_plan){0});
    io_twin_advance(w.twin, 1000000);
    w.s3 = fake_s3_new(w.twin, 0, 42);
    snprintf(w.dir, sizeof(w.dir), "/tmp/cpam-fault-push.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w.dir));
    snprintf(w.key, sizeof(w.key), "%s/key", w.dir);
    ck_ok(key_text_format(KEY_TEXT_KEYFILE, key, text, &err), &err);
    ck_ok(file_write_all(io_posix(), w.key, 0600, text, strlen(text), &err), &err);

    struct key_setting recipient = {KEY_KEYFILE, w.key};
    struct keyring_settings keys = {.recipients = &recipient, .recipient_count = 1};
    ck_ok(keyring_new(w.io, &keys, true, true, &w.keyring, &err), &err);
    w.opener = (struct store_opener){open_store, &w};
    w.settings = (struct repo_settings){.name = "primary",
                                        .cluster = "test",
                                        .required = true,
                                        .opener = &w.opener,
                                        .wal_codec = CODEC_LZ4,
                                        .wal_level = 1};
}

static void
remove_world(void)
{
    char command[128];

    keyring_free(w.keyring);
    fake_s3_free(w.s3);
    io_twin_free(w.twin);
    snprintf(command, sizeof(command), "rm -rf '%s'", w.dir);
    ck_assert_int_eq(system(command), 0);
}

static void
open_repo(struct repo **out)
{
    ck_ok(repo_open(w.io, &w.settings, w.keyring, w.deadline, out, &err), &err);
}

static void
create_repo(void)
{
    CPAM_AUTO(repo_free) struct repo *repo = NULL;
    struct cluster_record record = {sysid, 15, SEGMENT};

    ck_ok(repo_create(w.io, &w.settings, w.keyring, &err), &err);
    open_repo(&repo);
    ck_ok(cluster_record_put(repo, &record, &err), &err);
}

/* pg_wal holds segment `number`, with content of its own; returns its name. */
static const char *
make_segment(unsigned number)
{
    static char name[SEGMENT_NAME_MAX];
    struct segment segment = {{1}, number};
    uint32_t noise = number * 2654435761u + 1;

    segment_format(segment, SEGMENT, name);
    for (size_t i = 0; i < SEGMENT; i += 4)
    {
        noise = noise * 1664525 + 1013904223;
        le32_put(w.segment + i, i < SEGMENT / 4 ? noise : number);
    }
    memset(w.segment, 0, WAL_LONG_HEADER_SIZE);
    le16_put(w.segment, 0xD110);
    le16_put(w.segment + 2, 2);
    le32_put(w.segment + 4, 1);
    le64_put(w.segment + 8, (uint64_t) number * SEGMENT);
    le64_put(w.segment + 24, sysid);
    le32_put(w.segment + 32, SEGMENT);
    le32_put(w.segment + 36, 8192);
    snprintf(w.path, sizeof(w.path), "%s/%s", w.dir, name);
    return name;
}

/* One call of archive_command: reads, opens the repository, pushes. */
static enum cpam_status
push(unsigned number, bool *was_there)
{
    CPAM_AUTO(push_item_free) struct push_item *item = NULL;
    CPAM_AUTO(repo_free) struct repo *repo = NULL;

    make_segment(number);
    ck_ok(file_write_all(io_posix(), w.path, 0600, w.segment, SEGMENT, &err), &err);
    w.deadline = deadline_after(w.io, TIMEOUT);
    CPAM_TRY(push_item_read(w.io, w.path, NULL, &item, &err));
    CPAM_TRY(repo_open(w.io, &w.settings, w.keyring, w.deadline, &repo, &err));
    enum cpam_status status = push_item_put(repo, item, was_there, &err);
    unlink(w.path);
    return status;
}

static void
stored_is(struct repo *repo, unsigned number)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf got = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct object_header header;
    const char *name = make_segment(number);

    ck_ok(sink_buf_push(&chain, &got, SEGMENT, &err), &err);
    ck_ok(wal_archive_get(repo, sysid, name, chain, &header, &err), &err);
    ck_assert_uint_eq(got.size, SEGMENT);
    ck_assert_int_eq(memcmp(got.data, w.segment, SEGMENT), 0);
}

START_TEST(S1_500_pushes_with_every_fifth_request_failing)
{
    CPAM_AUTO(repo_free) struct repo *reader = NULL;
    unsigned there = 0;
    bool was_there;

    create_repo();
    fake_s3_set_percent(w.s3, 20);
    for (unsigned number = 1; number <= PUSHES; number++)
    {
        int64_t start = w.io->ops->monotonic(w.io);

        ck_ok(push(number, &was_there), &err);
        there += was_there;
        ck_assert_int_le(w.io->ops->monotonic(w.io) - start, TIMEOUT);
    }
    ck_assert_uint_eq(fake_s3_objects(w.s3, "wal/"), PUSHES);
    /* a put whose answer got lost is known again as one's own: nothing "was there" */
    ck_assert_uint_eq(there, 0);
    for (int fault = FAKE_503; fault < FAKE_COUNT; fault++)
        ck_assert_uint_gt(fake_s3_faults(w.s3, (enum fake_fault) fault), 10);
    ck_assert_int_eq(io_twin_open_fds(w.twin), 0);

    /* it backs off: the waits grow with the failures in a row */
    ck_assert_int_ge(fake_s3_longest_pause(w.s3, 3), 200000);
    ck_assert_int_ge(io_twin_slept(w.twin), 60 * 1000000);

    /* and nothing that is stored is corrupt, read through the same faults */
    w.deadline = (struct deadline){0};
    open_repo(&reader);
    for (unsigned number = 1; number <= PUSHES; number++)
        stored_is(reader, number);
}
END_TEST

START_TEST(P1_again_on_a_bucket_sends_no_body)
{
    bool was_there;

    create_repo();
    ck_ok(push(1, &was_there), &err);
    ck_assert(!was_there);
    ck_assert_uint_eq(fake_s3_bodies(w.s3, "wal/"), 1);
    unsigned before = fake_s3_requests(w.s3);
    ck_ok(push(1, &was_there), &err);
    ck_assert(was_there);
    ck_assert_uint_eq(fake_s3_bodies(w.s3, "wal/"), 1);
    /* repo.json, whether there are versions, the header */
    ck_assert_uint_le(fake_s3_requests(w.s3) - before, 3);
}
END_TEST

/* What stays open asks for repo.json, the cluster and versioning once. */
START_TEST(P1_open_repository_puts_and_looks_and_asks_nothing_else)
{
    static const struct wal_put_how absent = {.probably_absent = true};
    CPAM_AUTO(repo_free) struct repo *repo = NULL;
    bool was_there;

    create_repo();
    open_repo(&repo);
    for (unsigned number = 1; number <= 4; number++)
    {
        CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
        const char *name = make_segment(number);
        unsigned before = fake_s3_requests(w.s3);

        ck_ok(file_write_all(io_posix(), w.path, 0600, w.segment, SEGMENT, &err), &err);
        ck_ok(wal_item_read(w.io, w.path, name, 0, &item, &err), &err);
        ck_ok(wal_archive_put_how(repo, item, &absent, &was_there, &err), &err);
        ck_assert(!was_there);
        unlink(w.path);
        if (number > 1)
            ck_assert_uint_eq(fake_s3_requests(w.s3) - before, 2); /* PUT, HEAD */
        stored_is(repo, number);
    }
    ck_assert_uint_eq(fake_s3_bodies(w.s3, "wal/"), 4);
}
END_TEST

START_TEST(P11_a_bucket_that_only_fails_ends_in_time)
{
    bool was_there;

    create_repo();
    fake_s3_set_percent(w.s3, 100);
    int64_t start = w.io->ops->monotonic(w.io);
    ck_fails(push(1, &was_there), CPAM_DEADLINE, "primary", &err);
    int64_t took = w.io->ops->monotonic(w.io) - start;
    ck_assert_int_ge(took, TIMEOUT / 2);
    ck_assert_int_le(took, TIMEOUT + 1000000);
    ck_assert_uint_eq(fake_s3_objects(w.s3, "wal/"), 0);
    /* not a storm: a minute of failures is a few dozen requests */
    ck_assert_uint_le(fake_s3_requests(w.s3), 40);
    fake_s3_set_percent(w.s3, 0);
    ck_ok(push(1, &was_there), &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("fault/push_faults");
    TCase *tcase = tcase_create("push_faults");

    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, make_world, remove_world);
    tcase_add_test(tcase, S1_500_pushes_with_every_fifth_request_failing);
    tcase_add_test(tcase, P1_again_on_a_bucket_sends_no_body);
    tcase_add_test(tcase, P1_open_repository_puts_and_looks_and_asks_nothing_else);
    tcase_add_test(tcase, P11_a_bucket_that_only_fails_ends_in_time);
    suite_add_tcase(suite, tcase);
    return suite;
}
