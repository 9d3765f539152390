/*
 * test_blocks.c - tags of pages, stored and read again (format-1.md 2.7, fault 22).
 */
#include "repo/repo_fixture.h"

#include "repo/blocks.h"

static struct repo_fixture self;
static struct cpam_err err;
static uint8_t key[BLOCK_KEY_SIZE] = {9};

START_TEST(B3_T6_a_tag_is_of_its_key_file_page_and_content)
{
    static uint8_t page[BLOCK_PAGE], other[BLOCK_PAGE];
    uint8_t tags[7][BLOCK_TAG_SIZE];
    uint8_t second[BLOCK_KEY_SIZE] = {8};
    CPAM_AUTO(block_tagger_free) struct block_tagger *tagger = NULL;
    CPAM_AUTO(block_tagger_free) struct block_tagger *foreign = NULL;

    other[8000] = 1;
    ck_ok(block_tagger_new(key, &tagger, &err), &err);
    ck_ok(block_tagger_new(second, &foreign, &err), &err);
    ck_ok(block_tag(tagger, 5, 7, page, sizeof(page), tags[0], &err), &err);
    ck_ok(block_tag(tagger, 5, 8, page, sizeof(page), tags[1], &err), &err);
    ck_ok(block_tag(tagger, 6, 7, page, sizeof(page), tags[2], &err), &err);
    ck_ok(block_tag(tagger, 5, 7, other, sizeof(other), tags[3], &err), &err);
    ck_ok(block_tag(tagger, 5, 7, page, sizeof(page) - 1, tags[4], &err), &err);
    ck_ok(block_tag(foreign, 5, 7, page, sizeof(page), tags[5], &err), &err);
    ck_ok(block_tag(tagger, 5, 7, page, sizeof(page), tags[6], &err), &err);
    ck_assert_int_eq(memcmp(tags[0], tags[6], BLOCK_TAG_SIZE), 0);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++)
            ck_assert_msg(memcmp(tags[i], tags[k], BLOCK_TAG_SIZE) != 0, "%d and %d", i, k);
    ck_assert_uint_eq(block_count(0), 0);
    ck_assert_uint_eq(block_count(1), 1);
    ck_assert_uint_eq(block_count(BLOCK_PAGE), 1);
    ck_assert_uint_eq(block_count(BLOCK_PAGE + 1), 2);
}
END_TEST

static struct backup_summary
put(void)
{
    struct backup_summary summary = repo_summary("label", 0x20);
    CPAM_AUTO(blocks_writer_free) struct blocks_writer *writer = NULL;
    static uint8_t tags[200 * BLOCK_TAG_SIZE];

    for (size_t i = 0; i < sizeof(tags); i++)
        tags[i] = (uint8_t) (i * 7);
    ck_ok(blocks_writer_new(self.repo, &summary, key, &writer, &err), &err);
    ck_ok(blocks_writer_file(writer, 1, &err), &err);
    ck_ok(blocks_writer_tags(writer, tags, sizeof(tags), &err), &err);
    ck_ok(blocks_writer_file(writer, UINT64_C(0x123456789a), &err), &err);
    ck_ok(blocks_writer_finish(writer, &summary, &err), &err);
    return summary;
}

/* As every push does first. */
static void
reserve(const char *label)
{
    enum cpam_status status =
        backup_reserve(self.repo, label, REPO_SYSID, "", io_posix()->ops->now(io_posix()), &err);

    ck_assert(status == CPAM_OK || status == CPAM_EXISTS);
}

static enum cpam_status
read_all(const struct backup_summary *summary, struct cpam_buf *out)
{
    CPAM_AUTO(sink_free) struct sink *sink = NULL;

    out->size = 0;
    CPAM_TRY(sink_buf_push(&sink, out, 1 << 20, &err));
    return blocks_read(self.repo, summary, sink, &err);
}

START_TEST(B3_T6_what_was_stored_is_read_by_the_summary)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf content = {0};
    struct backup_summary found;

    repo_fixture_begin(&self, false);
    struct backup_summary summary = put();
    ck_assert(summary.has_blocks);
    reserve(summary.label);
    ck_ok(backup_commit(self.repo, &summary, &err), &err);
    ck_ok(backup_summary_read(self.repo, "label", &found, &err), &err);
    ck_assert(found.has_blocks);
    ck_assert_uint_eq(found.blocks_size, summary.blocks_size);
    ck_ok(read_all(&found, &content), &err);
    ck_assert_uint_eq(content.size, BLOCK_KEY_SIZE + 2 * BLOCK_NUMBER_SIZE + 200 * BLOCK_TAG_SIZE);
    ck_assert_int_eq(memcmp(content.data, key, BLOCK_KEY_SIZE), 0);
    ck_assert_uint_eq(be64_get(content.data + BLOCK_KEY_SIZE), 1);
    ck_assert_uint_eq(be64_get(content.data + content.size - 8), UINT64_C(0x123456789a));
    /* tags are secret: no run of them in the bucket */
    struct memory_version *version = memory_current(&self.bucket, "backup/label/blocks");
    ck_assert_ptr_null(memmem(version->data, version->size, content.data + 64, 32));
    found.has_blocks = false;
    ck_fails(read_all(&found, &content), CPAM_NOT_FOUND, "no tags", &err);
    repo_fixture_end(&self);
}
END_TEST

START_TEST(E1_altered_tags_are_refused)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf content = {0};

    repo_fixture_begin(&self, false);
    struct backup_summary summary = put();
    struct memory_version *version = memory_current(&self.bucket, "backup/label/blocks");
    for (size_t at = 3; at < version->size; at += 97)
    {
        version->data[at] ^= 4;
        ck_assert_msg(read_all(&summary, &content) != CPAM_OK, "byte %zu", at);
        ck_assert_ptr_nonnull(strstr(err.text, "backup/label/blocks"));
        version->data[at] ^= 4;
    }
    /* the tags of another backup, by the same writer */
    summary.blocks_h[0] ^= 1;
    ck_assert_int_ne(read_all(&summary, &content), CPAM_OK);
    summary.blocks_h[0] ^= 1;
    summary.blocks_d[0] ^= 1;
    ck_assert_int_ne(read_all(&summary, &content), CPAM_OK);
    repo_fixture_end(&self);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/blocks");
    TCase *tcase = tcase_create("blocks");

    tcase_add_test(tcase, B3_T6_a_tag_is_of_its_key_file_page_and_content);
    tcase_add_test(tcase, B3_T6_what_was_stored_is_read_by_the_summary);
    tcase_add_test(tcase, E1_altered_tags_are_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
