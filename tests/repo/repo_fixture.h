/*
 * repo_fixture.h - a repository in memory with one keyfile, and WAL files to push into it.
 */
#ifndef CPAM_TESTS_REPO_FIXTURE_H
#define CPAM_TESTS_REPO_FIXTURE_H

#include <inttypes.h>

#include "object/fixture.h"

#include "base/bytes.h"
#include "pg/wal_page.h"
#include "repo/backup.h"
#include "repo/layout.h"
#include "repo/memory_store.h"
#include "repo/wal_archive.h"

#define REPO_SYSID UINT64_C(7301234567890123456)

struct repo_fixture
{
    struct memory_bucket bucket;
    struct store_opener opener;
    struct repo_settings settings;
    struct keyring *keyring;
    struct repo *repo;
};

static inline struct keyring *
repo_keyfile(const char *name, int byte)
{
    struct key_setting recipients[] = {{KEY_KEYFILE, NULL}};
    struct keyring_settings settings = {.recipients = recipients, .recipient_count = 1};
    struct keyring *keyring = NULL;
    struct cpam_err err;

    unlink(fixture_path(name));
    recipients[0].value = fixture_key(name, KEY_TEXT_KEYFILE, byte);
    ck_ok(keyring_new(io_posix(), &settings, true, true, &keyring, &err), &err);
    return keyring;
}

static inline void
repo_fixture_open(struct repo_fixture *self)
{
    struct cpam_err err;

    ck_ok(repo_open(io_posix(), &self->settings, self->keyring, (struct deadline){0}, &self->repo,
                    &err),
          &err);
}

/* A new repository with the cluster REPO_SYSID registered. */
static inline void
repo_fixture_begin(struct repo_fixture *self, bool versioned)
{
    struct cluster_record record = {REPO_SYSID, 15, 1 << 20};
    struct cpam_err err;

    memset(self, 0, sizeof(*self));
    fixture_begin();
    memory_bucket_init(&self->bucket);
    self->bucket.versioned = versioned;
    self->opener = memory_opener(&self->bucket, io_posix());
    self->settings = (struct repo_settings){.name = "primary",
                                            .cluster = "test",
                                            .opener = &self->opener,
                                            .wal_codec = CODEC_LZ4,
                                            .base_codec = CODEC_ZSTD,
                                            .base_level = 1,
                                            .spool = fixture_dir,
                                            .state = fixture_dir};
    self->keyring = repo_keyfile("key", 7);
    ck_ok(repo_create(io_posix(), &self->settings, self->keyring, &err), &err);
    repo_fixture_open(self);
    ck_ok(cluster_record_put(self->repo, &record, &err), &err);
}

static inline void
repo_fixture_end(struct repo_fixture *self)
{
    repo_free(self->repo);
    keyring_free(self->keyring);
    memory_bucket_clear(&self->bucket);
    fixture_end();
}

/* The same for a test that left files of its own in fixture_dir. */
static inline void
repo_fixture_end_with_files(struct repo_fixture *self)
{
    char command[160];

    repo_fixture_end(self);
    snprintf(command, sizeof(command), "rm -rf %s", fixture_dir);
    ck_assert_int_eq(system(command), 0);
}

/* A full backup within the segment of 1 MiB with this number. */
static inline struct backup_summary
repo_summary(const char *label, uint64_t segment)
{
    struct backup_summary summary = {.sysid = REPO_SYSID,
                                     .kind = BACKUP_FULL,
                                     .major = 15,
                                     .pg_version = "15.4",
                                     .timeline = {1},
                                     .start = {segment << 20 | 0x28},
                                     .stop = {segment << 20 | 0x100},
                                     .start_time = INT64_C(1700000000123456),
                                     .stop_time = INT64_C(1700000001000000),
                                     .segment_size = 1 << 20,
                                     .tool_version = "cpam test"};

    snprintf(summary.label, sizeof(summary.label), "%s", label);
    snprintf(summary.epoch, sizeof(summary.epoch), "%s", label);
    segment_format((struct segment){{1}, segment}, 1 << 20, summary.wal_first);
    segment_format((struct segment){{1}, segment}, 1 << 20, summary.wal_last);
    return summary;
}

/* The bytes of a segment of `size` bytes: a long header as PostgreSQL 15 writes it, then text. */
static inline uint8_t *
wal_bytes(uint64_t sysid, uint32_t timeline, uint64_t address, uint32_t size, unsigned seed)
{
    uint8_t *data = malloc(size);

    ck_assert_ptr_nonnull(data);
    for (uint32_t i = 0; i < size; i++)
        data[i] = (uint8_t) ((i >> 6) * (seed + 3) + (i & 7));
    le16_put(data, 0xD110);
    le16_put(data + 2, 2);
    le32_put(data + 4, timeline);
    le64_put(data + 8, address);
    le32_put(data + 16, 0);
    le32_put(data + 20, 0);
    le64_put(data + 24, sysid);
    le32_put(data + 32, size);
    le32_put(data + 36, 8192);
    return data;
}

static inline const char *
wal_file(const char *name, const void *data, size_t size)
{
    const char *path = fixture_path(name);
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

/* A segment of 1 MiB on timeline 1 in a file of any name; its path. */
static inline const char *
wal_segment_other(const char *file, uint64_t number, unsigned seed)
{
    uint8_t *data = wal_bytes(REPO_SYSID, 1, number << 20, 1 << 20, seed);
    const char *path = wal_file(file, data, 1 << 20);

    free(data);
    return path;
}

/* The same in a file of its name. */
static inline void
wal_segment_file(const char *name, uint64_t number, unsigned seed)
{
    wal_segment_other(name, number, seed);
}

static inline enum cpam_status
wal_push(struct repo *repo, const char *name, uint64_t sysid, bool *was_there, struct cpam_err *err)
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;

    CPAM_TRY(wal_item_read(io_posix(), fixture_path(name), name, sysid, &item, err));
    return wal_archive_put(repo, item, was_there, err);
}

static inline void
wal_push_ok(struct repo *repo, const char *name, bool expect_there)
{
    bool was_there = !expect_there;
    struct cpam_err err;

    ck_ok(wal_push(repo, name, REPO_SYSID, &was_there, &err), &err);
    ck_assert_int_eq(was_there, expect_there);
}

static inline enum cpam_status
wal_pull(struct repo *repo, const char *name, struct cpam_buf *out, struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;

    out->size = 0;
    ck_ok(sink_buf_push(&chain, out, 1 << 28, err), err);
    return wal_archive_get(repo, REPO_SYSID, name, chain, NULL, err);
}

#endif
