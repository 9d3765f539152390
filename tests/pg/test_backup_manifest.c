/*
 * test_backup_manifest.c - the text pg_verifybackup reads (B12; the live test hands it one).
 */
#include "suite.h"

#include <stdio.h>

#include "base/buf.h"
#include "pg/backup_manifest.h"

static enum cpam_status
collect(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    return cpam_buf_append(arg, data, size, 1 << 20, err);
}

/* Not a SHA-256: shows that it is asked for once everything but its own line has passed. */
static enum cpam_status
length_as_digest(void *arg, uint8_t out[32], struct cpam_err *err)
{
    struct cpam_buf *buf = arg;

    (void) err;
    memset(out, 0, 32);
    out[30] = (uint8_t) (buf->size >> 8);
    out[31] = (uint8_t) buf->size;
    return CPAM_OK;
}

static struct backup_manifest *
begin(struct cpam_buf *buf, unsigned major, struct cpam_err *err)
{
    struct backup_manifest *manifest = NULL;
    struct backup_manifest_out out = {collect, length_as_digest, buf};

    ck_ok(backup_manifest_new(&out, major, UINT64_C(7711398296912974126), &manifest, err), err);
    return manifest;
}

START_TEST(B12_version_1_as_postgresql_writes_it)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    CPAM_AUTO(backup_manifest_free) struct backup_manifest *manifest = begin(&buf, 15, &err);

    ck_ok(backup_manifest_file(manifest, "backup_label", 225, INT64_C(1795449829000001), 0x12345678,
                               &err),
          &err);
    ck_ok(backup_manifest_file(manifest, "base/5/\"x\\y\x01", 0, 0, 0, &err), &err);
    ck_ok(backup_manifest_file(manifest, "caf\xe9", 1, 0, 0xFF, &err), &err);
    ck_ok(backup_manifest_file(manifest, "caf\xc3\xa9", 1, 0, 0xFF000000, &err), &err);
    ck_ok(backup_manifest_finish(manifest, (struct timeline){1}, (struct lsn){0x900028},
                                 (struct lsn){0x900100}, NULL, &err),
          &err);
    static const char front[] =
        "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n"
        "\"Files\": [\n"
        "{ \"Path\": \"backup_label\", \"Size\": 225, \"Last-Modified\": \"2026-11-23 16:03:49 "
        "GMT\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"78563412\" },\n"
        "{ \"Path\": \"base/5/\\\"x\\\\y\\u0001\", \"Size\": 0, \"Last-Modified\": \"1970-01-01 "
        "00:00:00 GMT\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"00000000\" },\n"
        "{ \"Encoded-Path\": \"636166e9\", \"Size\": 1, \"Last-Modified\": \"1970-01-01 00:00:00 "
        "GMT\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"ff000000\" },\n"
        "{ \"Path\": \"caf\xc3\xa9\", \"Size\": 1, \"Last-Modified\": \"1970-01-01 00:00:00 GMT\", "
        "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"000000ff\" }\n"
        "],\n"
        "\"WAL-Ranges\": [\n"
        "{ \"Timeline\": 1, \"Start-LSN\": \"0/900028\", \"End-LSN\": \"0/900100\" }\n"
        "],\n";
    char last[160];
    snprintf(last, sizeof(last), "\"Manifest-Checksum\": \"%060d%04x\"}\n", 0,
             (unsigned) strlen(front));
    ck_assert_uint_eq(buf.size, strlen(front) + strlen(last));
    ck_assert_mem_eq(buf.data, front, strlen(front));
    ck_assert_mem_eq(buf.data + strlen(front), last, strlen(last));
}
END_TEST

START_TEST(B12_version_2_names_the_system)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    CPAM_AUTO(backup_manifest_free) struct backup_manifest *manifest = begin(&buf, 17, &err);

    ck_assert_str_eq(cpam_buf_text(&buf), "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
                                          "\"System-Identifier\": 7711398296912974126,\n"
                                          "\"Files\": [");
    (void) manifest;
}
END_TEST

START_TEST(B12_ranges_follow_the_forks_newest_first)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    CPAM_AUTO(backup_manifest_free) struct backup_manifest *manifest = begin(&buf, 15, &err);
    CPAM_AUTO(history_free) struct history *history = NULL;
    static const char text[] = "1\t0/100\n2\t0/200\n4\t0/300\n";

    ck_ok(history_parse((struct timeline){5}, text, strlen(text), &history, &err), &err);
    ck_ok(backup_manifest_finish(manifest, (struct timeline){2}, (struct lsn){0x180},
                                 (struct lsn){0x400}, history, &err),
          &err);
    ck_assert_ptr_nonnull(strstr(cpam_buf_text(&buf),
                                 "[\n{ \"Timeline\": 5, \"Start-LSN\": \"0/300\", \"End-LSN\": "
                                 "\"0/400\" },\n{ \"Timeline\": 4, \"Start-LSN\": \"0/200\", "
                                 "\"End-LSN\": \"0/300\" },\n{ \"Timeline\": 2, \"Start-LSN\": "
                                 "\"0/180\", \"End-LSN\": \"0/200\" }\n]"));
}
END_TEST

START_TEST(B12_start_off_the_path_is_refused)
{
    struct cpam_err err;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    CPAM_AUTO(backup_manifest_free) struct backup_manifest *manifest = begin(&buf, 15, &err);
    CPAM_AUTO(history_free) struct history *history = NULL;

    ck_ok(history_parse((struct timeline){5}, "1\t0/100\n", 8, &history, &err), &err);
    ck_fails(backup_manifest_finish(manifest, (struct timeline){3}, (struct lsn){0x180},
                                    (struct lsn){0x400}, history, &err),
             CPAM_INVALID, "which is no ancestor of timeline 5", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/backup_manifest");
    TCase *tcase = tcase_create("backup_manifest");

    tcase_add_test(tcase, B12_version_1_as_postgresql_writes_it);
    tcase_add_test(tcase, B12_version_2_names_the_system);
    tcase_add_test(tcase, B12_ranges_follow_the_forks_newest_first);
    tcase_add_test(tcase, B12_start_off_the_path_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
