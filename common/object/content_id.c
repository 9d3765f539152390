/*
 * content_id.c - a GMAC of each MiB of plaintext, and an HMAC over them all.
 */
#include "object/content_id.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/authority.h"
#include "crypto/digest.h"
#include "io/io.h"

enum
{
    CHUNK_SIZE = 1 << 20,
    TAGS_MAX = 1 << 28 /* bytes of tags: 16 TiB of content */
};

static const char match_label[] = "CPAM/1 match"; /* with its NUL */

struct content_id
{
    struct aead *aead;
    uint8_t hmac_key[32];
    uint8_t *chunk; /* one that is not full yet; NULL while all came whole */
    size_t chunk_size;
    struct cpam_buf message; /* length, filled in last, then the tags */
    uint64_t size;
    uint32_t index;
};

/* k = HKDF(match root, "", "CPAM/1 match\0" || UUID || SHA(logical name), 64) */
static enum cpam_status
content_id_keys(const struct keyring *keyring, size_t root, const char *logical_name,
                uint8_t keys[64], struct cpam_err *err)
{
    uint8_t info[sizeof(match_label) + 16 + SHA256_SIZE], match[32];
    enum cpam_status status;

    memcpy(info, match_label, sizeof(match_label));
    memcpy(info + sizeof(match_label), keyring_uuid(keyring), 16);
    CPAM_TRY(sha256_of(logical_name, strlen(logical_name), info + sizeof(match_label) + 16, err));
    CPAM_TRY(keyring_match_root(keyring, root, match, err));
    status = hkdf_sha256(match, sizeof(match), NULL, 0, info, sizeof(info), keys, 64, err);
    OPENSSL_cleanse(match, sizeof(match));
    return status;
}

enum cpam_status
content_id_new_root(const struct keyring *keyring, size_t root, const char *logical_name,
                    struct content_id **out, struct cpam_err *err)
{
    CPAM_AUTO(content_id_free) struct content_id *id = calloc(1, sizeof(*id));
    uint8_t keys[64], length[8] = {0};
    enum cpam_status status;

    if (id == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a content id");
    CPAM_TRY(content_id_keys(keyring, root, logical_name, keys, err));
    memcpy(id->hmac_key, keys + 32, sizeof(id->hmac_key));
    status = aead_new(keys, 1, &id->aead, err);
    OPENSSL_cleanse(keys, sizeof(keys));
    CPAM_TRY(status);
    CPAM_TRY(cpam_buf_append(&id->message, length, sizeof(length), TAGS_MAX, err));
    *out = CPAM_STEAL(id);
    return CPAM_OK;
}

enum cpam_status
content_id_new(const struct keyring *keyring, const char *logical_name, struct content_id **out,
               struct cpam_err *err)
{
    return content_id_new_root(keyring, 0, logical_name, out, err);
}

static enum cpam_status
content_id_chunk(struct content_id *id, const uint8_t *data, size_t size, struct cpam_err *err)
{
    uint8_t nonce[AEAD_NONCE_SIZE] = {0}, tag[AEAD_TAG_SIZE];

    be32_put(nonce + 8, id->index++);
    CPAM_TRY(aead_seal(id->aead, nonce, data, size, NULL, 0, NULL, tag, err));
    return cpam_buf_append(&id->message, tag, sizeof(tag), TAGS_MAX, err);
}

/* Bytes of a chunk that comes in parts. */
static enum cpam_status
content_id_part(struct content_id *id, const uint8_t *data, size_t size, struct cpam_err *err)
{
    if (id->chunk == NULL && (id->chunk = malloc(CHUNK_SIZE)) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a content id");
    memcpy(id->chunk + id->chunk_size, data, size);
    id->chunk_size += size;
    if (id->chunk_size < CHUNK_SIZE)
        return CPAM_OK;
    id->chunk_size = 0;
    return content_id_chunk(id, id->chunk, CHUNK_SIZE, err);
}

enum cpam_status
content_id_add(struct content_id *id, const void *data, size_t size, struct cpam_err *err)
{
    const uint8_t *at = data;

    id->size += size;
    while (size > 0)
    {
        size_t take = CHUNK_SIZE - id->chunk_size;

        if (id->chunk_size == 0 && size >= CHUNK_SIZE)
        {
            CPAM_TRY(content_id_chunk(id, at, CHUNK_SIZE, err));
            at += CHUNK_SIZE;
            size -= CHUNK_SIZE;
            continue;
        }
        take = take < size ? take : size;
        CPAM_TRY(content_id_part(id, at, take, err));
        at += take;
        size -= take;
    }
    return CPAM_OK;
}

enum cpam_status
content_id_end(struct content_id *id, uint8_t out[CONTENT_ID_SIZE], struct cpam_err *err)
{
    if (id->chunk_size > 0)
        CPAM_TRY(content_id_chunk(id, id->chunk, id->chunk_size, err));
    id->chunk_size = 0;
    be64_put(id->message.data, id->size);
    return hmac_sha256(id->hmac_key, sizeof(id->hmac_key), id->message.data, id->message.size, out,
                       err);
}

void
content_id_free(struct content_id *id)
{
    if (id == NULL)
        return;
    aead_free(id->aead);
    if (id->chunk != NULL)
        OPENSSL_cleanse(id->chunk, CHUNK_SIZE);
    free(id->chunk);
    cpam_buf_clear(&id->message);
    OPENSSL_cleanse(id, sizeof(*id));
    free(id);
}
