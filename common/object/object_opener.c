/*
 * object_opener.c - may this object be believed, and with which key is it opened?
 *
 * Cheap and public checks come first, signatures before any key is touched, keys before any frame,
 * decompression last.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "object/object_internal.h"

enum
{
    SESSION_KEYS_MAX = 256 /* unwrapped keys remembered; a busy repository has a few a day */
};

struct session_key
{
    uint8_t commitment[COMMITMENT_SIZE];
    struct secret *key;
    struct session_key *next;
};

enum cpam_status
object_opener_new(struct io *io, const struct keyring *keyring, struct object_opener **out,
                  struct cpam_err *err)
{
    CPAM_AUTO(object_opener_free) struct object_opener *opener = calloc(1, sizeof(*opener));

    if (opener == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for reading objects");
    opener->io = io;
    opener->keyring = keyring;
    CPAM_TRY(codec_work_new(CODEC_NONE, 0, &opener->work, err));
    *out = CPAM_STEAL(opener);
    return CPAM_OK;
}

static void
session_keys_free(struct session_key *keys)
{
    while (keys != NULL)
    {
        struct session_key *next = keys->next;

        secret_free(keys->key);
        free(keys);
        keys = next;
    }
}

static void
scratch_free(struct cpam_buf *buf)
{
    if (buf->data != NULL)
        OPENSSL_cleanse(buf->data, buf->cap);
    cpam_buf_clear(buf);
}

void
object_opener_free(struct object_opener *opener)
{
    if (opener == NULL)
        return;
    session_keys_free(opener->keys);
    codec_work_free(opener->work);
    scratch_free(&opener->sealed);
    scratch_free(&opener->plain);
    free(opener);
}

enum cpam_status
opener_scratch(struct cpam_buf *buf, size_t size, struct cpam_err *err)
{
    buf->size = 0;
    return cpam_buf_reserve(buf, size, size, err);
}

/* Is it of the repository and the cluster that were asked for? */
static enum cpam_status
check_place(const struct object_opener *opener, const struct object_want *want,
            const struct header *header, struct cpam_err *err)
{
    char found[TEXT_UUID_MAX], own[TEXT_UUID_MAX];

    if (memcmp(header->uuid, keyring_uuid(opener->keyring), 16) != 0)
    {
        text_format_uuid(header->uuid, found);
        text_format_uuid(keyring_uuid(opener->keyring), own);
        return cpam_fail(err, CPAM_FOREIGN, 0, "it belongs to repository %s, not to this one, %s",
                         found, own);
    }
    if (header->sysid != want->sysid)
        return cpam_fail(err, CPAM_FOREIGN, 0,
                         "it is of the cluster with system identifier %llu, not %llu",
                         (unsigned long long) header->sysid, (unsigned long long) want->sysid);
    return CPAM_OK;
}

/* Is it the very object that was asked for? */
static enum cpam_status
check_identity(const struct object_want *want, const uint8_t *data, const struct header *header,
               struct cpam_err *err)
{
    uint8_t digest[SHA256_SIZE];

    CPAM_TRY(sha256_of(want->name, strlen(want->name), digest, err));
    if (memcmp(digest, header->name, SHA256_SIZE) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "it was written under another name: somebody renamed or swapped it");
    if (header->kind != want->kind)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it is a %s, not a %s",
                         object_kind_name(header->kind), object_kind_name(want->kind));
    if (want->h == NULL)
        return CPAM_OK;
    CPAM_TRY(sha256_of(data, OBJECT_HEADER_SIZE, digest, err));
    if (memcmp(digest, want->h, SHA256_SIZE) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "it is another object than the one that was recorded: its header's digest"
                         " differs");
    return CPAM_OK;
}

/* Sealed and signed as the configuration, and nobody else, demands. */
static enum cpam_status
check_policy(const struct object_opener *opener, const uint8_t *data, const struct header *header,
             struct cpam_err *err)
{
    if (!header->sealed && keyring_sealed(opener->keyring))
    {
        cpam_fail(err, CPAM_CORRUPT, 0,
                  "it is not encrypted, and the configuration does not say"
                  " \"encryption: none\"");
        cpam_err_hint(err, "anyone who can write to the store could have made it");
        return CPAM_CORRUPT;
    }
    if (header->sealed && !keyring_sealed(opener->keyring))
        return cpam_fail(err, CPAM_USAGE, 0,
                         "it is encrypted, but the configuration says \"encryption: none\"");
    /* a writer that is not trusted is no "other repository": the object is not to be believed */
    if (keyring_verify(opener->keyring, &header->authority, AUTHORITY_OBJECT_KEY, "CPAM/1 header",
                       data, HEADER_SIGNED_SIZE, header->proof, err) != CPAM_OK)
        return err->status = CPAM_CORRUPT;
    return CPAM_OK;
}

enum cpam_status
opener_check_header(struct object_opener *opener, const struct object_want *want,
                    const uint8_t data[OBJECT_HEADER_SIZE], struct header *out,
                    struct cpam_err *err)
{
    enum cpam_status form = header_decode(data, out, err);
    struct cpam_err found;

    /* Of another repository, cluster or name: say that rather than what else is odd. */
    if (form != CPAM_OK && header_magic(data, &found) != CPAM_OK)
        return form;
    if (check_place(opener, want, out, &found) != CPAM_OK ||
        check_identity(want, data, out, &found) != CPAM_OK)
    {
        *err = found;
        return found.status;
    }
    CPAM_TRY(form);
    return check_policy(opener, data, out, err);
}

static struct session_key *
find_session_key(const struct object_opener *opener, const uint8_t *commitment)
{
    struct session_key *key = opener->keys;

    while (key != NULL && memcmp(key->commitment, commitment, COMMITMENT_SIZE) != 0)
        key = key->next;
    return key;
}

/* Keeps the key; forgets the oldest when there are too many. */
static enum cpam_status
remember_session_key(struct object_opener *opener, const uint8_t *commitment, struct secret **key,
                     struct cpam_err *err)
{
    struct session_key *entry = calloc(1, sizeof(*entry)), *at;
    unsigned count = 0;

    if (entry == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a session key");
    memcpy(entry->commitment, commitment, COMMITMENT_SIZE);
    entry->key = CPAM_STEAL(*key);
    entry->next = opener->keys;
    opener->keys = entry;
    for (at = entry; at != NULL; at = at->next)
    {
        if (++count < SESSION_KEYS_MAX)
            continue;
        session_keys_free(at->next);
        at->next = NULL;
    }
    return CPAM_OK;
}

static enum cpam_status
check_stanzas(const uint8_t *stanzas, struct opened *opened, struct cpam_err *err)
{
    const struct header *header = &opened->header;
    uint8_t digest[SHA256_SIZE];

    opened->frame_size = UINT32_C(1) << header->frame_log2;
    CPAM_TRY(sha256_of(stanzas, header->stanzas_size, digest, err));
    if (memcmp(digest, header->stanzas, SHA256_SIZE) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its stanzas are not those of its header");
    return CPAM_OK;
}

enum cpam_status
opener_no_key(const uint8_t data[OBJECT_HEADER_SIZE], const uint8_t *stanzas, struct opened *opened,
              struct cpam_err *err)
{
    if (opened->header.authority.algorithm != AUTHORITY_ED25519)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "it has no writer's signature: without an identity that opens it nobody"
                         " can tell whether it is whole");
    CPAM_TRY(check_stanzas(stanzas, opened, err));
    return sha256_of(data, OBJECT_HEADER_SIZE, opened->seal.h, err);
}

enum cpam_status
opener_unlock(struct object_opener *opener, const uint8_t data[OBJECT_HEADER_SIZE],
              const uint8_t *stanzas, struct opened *opened, struct cpam_err *err)
{
    const struct header *header = &opened->header;
    CPAM_AUTO(secret_free) struct secret *key = NULL;

    CPAM_TRY(check_stanzas(stanzas, opened, err));
    if (!header->sealed)
        return frame_seal_init(NULL, data, false, &opened->seal, err);
    if (find_session_key(opener, header->commitment) == NULL)
    {
        CPAM_TRY(stanzas_open(opener->keyring, stanzas, header->stanzas_size, header->commitment,
                              &key, err));
        CPAM_TRY(remember_session_key(opener, header->commitment, &key, err));
    }
    return frame_seal_init(find_session_key(opener, header->commitment)->key, data, false,
                           &opened->seal, err);
}

enum cpam_status
opener_frame(struct object_opener *opener, const struct opened *opened, uint32_t index,
             const struct frame_header *frame, const uint8_t *header, const uint8_t *data,
             const uint8_t *tag, void *scratch, void *out, struct cpam_err *err)
{
    if (frame->codec == CODEC_NONE)
        return frame_open(&opened->seal, index, header, data, frame->clen, tag, out, err);
    CPAM_TRY(frame_open(&opened->seal, index, header, data, frame->clen, tag, scratch, err));
    return codec_unpack(opener->work, frame->codec, scratch, frame->clen, out, frame->rlen, err);
}

void
header_tell(const struct header *header, const uint8_t h[SHA256_SIZE], struct object_header *out)
{
    memset(out, 0, sizeof(*out));
    out->kind = header->kind;
    out->sealed = header->sealed;
    out->has_signature = header->authority.algorithm != AUTHORITY_NONE;
    out->sysid = header->sysid;
    out->created = header->created;
    memcpy(out->uuid, header->uuid, 16);
    memcpy(out->content_id, header->content_id, CONTENT_ID_SIZE);
    out->commit_min = header->commit_min;
    out->commit_max = header->commit_max;
    out->raw_length = header->raw_length;
    memcpy(out->writer, header->authority.writer, sizeof(out->writer));
    memcpy(out->h, h, SHA256_SIZE);
    out->frame_size = UINT32_C(1) << header->frame_log2;
    out->stanzas_size = header->stanzas_size;
}

enum cpam_status
object_header_check(struct object_opener *opener, const struct object_want *want, const void *data,
                    size_t size, struct object_header *out, struct cpam_err *err)
{
    struct header header;
    uint8_t h[SHA256_SIZE];
    enum cpam_status status;

    if (size < OBJECT_HEADER_SIZE)
        status = cpam_fail(err, CPAM_CORRUPT, 0,
                           "it is cut short: %zu bytes, fewer than the %d of"
                           " a header",
                           size, OBJECT_HEADER_SIZE);
    else
        status = opener_check_header(opener, want, data, &header, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "object \"%s\"", want->name);
        return status;
    }
    CPAM_TRY(sha256_of(data, OBJECT_HEADER_SIZE, h, err));
    header_tell(&header, h, out);
    return CPAM_OK;
}
