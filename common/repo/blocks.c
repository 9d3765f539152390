/*
 * blocks.c - tags made, stored and read; what is done with them is others' matter.
 */
#include "repo/blocks.h"

#include <string.h>

#include "base/bytes.h"
#include "crypto/aead.h"
#include "repo/layout.h"
#include "repo/object_read.h"

_Static_assert((int) BLOCK_KEY_SIZE == (int) AEAD_KEY_SIZE, "tags are AES-256-GMAC");
_Static_assert((int) BLOCK_TAG_SIZE == (int) AEAD_TAG_SIZE, "tags are whole");

struct block_tagger
{
    struct aead *aead;
};

enum cpam_status
block_tagger_new(const uint8_t key[BLOCK_KEY_SIZE], struct block_tagger **out, struct cpam_err *err)
{
    CPAM_AUTO(block_tagger_free) struct block_tagger *tagger = calloc(1, sizeof(*tagger));

    *out = NULL;
    if (tagger == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for tags of pages");
    CPAM_TRY(aead_new(key, 1, &tagger->aead, err));
    *out = CPAM_STEAL(tagger);
    return CPAM_OK;
}

enum cpam_status
block_tag(struct block_tagger *tagger, uint64_t number, uint32_t page, const void *data,
          size_t size, uint8_t out[BLOCK_TAG_SIZE], struct cpam_err *err)
{
    uint8_t nonce[AEAD_NONCE_SIZE];

    be64_put(nonce, number);
    be32_put(nonce + 8, page);
    return aead_seal(tagger->aead, nonce, data, size, NULL, 0, NULL, out, err);
}

void
block_tagger_free(struct block_tagger *tagger)
{
    if (tagger == NULL)
        return;
    aead_free(tagger->aead);
    free(tagger);
}

struct blocks_writer
{
    struct sink *store;
    struct object_writer *object;
};

enum cpam_status
blocks_writer_new(struct repo *repo, const struct backup_summary *summary,
                  const uint8_t key[BLOCK_KEY_SIZE], struct blocks_writer **out,
                  struct cpam_err *err)
{
    CPAM_AUTO(blocks_writer_free) struct blocks_writer *writer = calloc(1, sizeof(*writer));
    struct seal_session *session;
    char name[LAYOUT_KEY_MAX];

    *out = NULL;
    if (writer == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the tags of a backup");
    layout_blocks(summary->label, name);
    struct object_spec spec = {.kind = OBJECT_BLOCKS,
                               .sysid = summary->sysid,
                               .name = name,
                               .raw_length = OBJECT_LENGTH_UNKNOWN,
                               .codec = CODEC_NONE}; /* tags are noise */

    CPAM_TRY(repo_seal(repo, &session, err));
    CPAM_TRY(store_put_stream(repo_store(repo), name, STORE_CLASS_BASE, &writer->store, err));
    CPAM_TRY(object_writer_new(session, &spec, writer->store, &writer->object, err));
    CPAM_TRY(object_writer_write(writer->object, key, BLOCK_KEY_SIZE, err));
    *out = CPAM_STEAL(writer);
    return CPAM_OK;
}

enum cpam_status
blocks_writer_file(struct blocks_writer *writer, uint64_t number, struct cpam_err *err)
{
    uint8_t bytes[BLOCK_NUMBER_SIZE];

    be64_put(bytes, number);
    return object_writer_write(writer->object, bytes, sizeof(bytes), err);
}

enum cpam_status
blocks_writer_tags(struct blocks_writer *writer, const void *tags, size_t size,
                   struct cpam_err *err)
{
    return object_writer_write(writer->object, tags, size, err);
}

enum cpam_status
blocks_writer_finish(struct blocks_writer *writer, struct backup_summary *summary,
                     struct cpam_err *err)
{
    struct object_digest digest;

    CPAM_TRY(object_writer_finish(writer->object, &digest, err));
    CPAM_TRY(sink_finish(writer->store, err));
    summary->has_blocks = true;
    memcpy(summary->blocks_h, digest.h, SHA256_SIZE);
    memcpy(summary->blocks_d, digest.d, SHA256_SIZE);
    summary->blocks_size = digest.size;
    return CPAM_OK;
}

void
blocks_writer_free(struct blocks_writer *writer)
{
    if (writer == NULL)
        return;
    object_writer_free(writer->object);
    sink_free(writer->store);
    free(writer);
}

enum cpam_status
blocks_read(struct repo *repo, const struct backup_summary *summary, struct sink *to,
            struct cpam_err *err)
{
    char name[LAYOUT_KEY_MAX];

    if (!summary->has_blocks)
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "backup \"%s\" has no tags of its pages",
                         summary->label);
    layout_blocks(summary->label, name);
    struct object_want want = {.kind = OBJECT_BLOCKS,
                               .sysid = summary->sysid,
                               .name = name,
                               .h = summary->blocks_h,
                               .d = summary->blocks_d};
    return object_read(repo, &want, 0, to, NULL, err);
}
