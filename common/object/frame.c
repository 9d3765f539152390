/*
 * frame.c - frames sealed and opened, and the key of the object they are in.
 */
#include "object/frame.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/bytes.h"

enum
{
    AT_SALT = 48 /* of the object's header */
};

static const char object_label[] = "CPAM/1 object"; /* with its NUL */

void
frame_header_encode(const struct frame_header *frame, uint8_t out[OBJECT_FRAME_HEADER_SIZE])
{
    be32_put(out, frame->clen);
    be32_put(out + 4, frame->rlen);
    out[8] = frame->codec;
    out[9] = frame->final;
    be16_put(out + 10, 0);
}

enum cpam_status
frame_header_decode(const uint8_t data[OBJECT_FRAME_HEADER_SIZE], uint32_t frame_size,
                    struct frame_header *out, struct cpam_err *err)
{
    *out = (struct frame_header){.clen = be32_get(data),
                                 .rlen = be32_get(data + 4),
                                 .codec = data[8],
                                 .final = data[9] == 1};
    if (data[9] > 1 || be16_get(data + 10) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its header has reserved bits that are not zero");
    if ((out->codec & 0x80) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it is padded, which this version can't read");
    if (out->codec > CODEC_GZIP)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it has compression method %u, which is not known",
                         out->codec);
    if (out->rlen == 0 || out->rlen > frame_size)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it has %u bytes of content, allowed are 1 to %u",
                         out->rlen, frame_size);
    if (out->codec == CODEC_NONE ? out->clen != out->rlen
                                 : out->clen == 0 || out->clen >= out->rlen)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it has %u bytes for %u of content", out->clen,
                         out->rlen);
    if (out->final && out->codec != CODEC_NONE)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it is the final one and compressed");
    return CPAM_OK;
}

static void
frame_nonce(uint32_t index, const uint8_t *header, uint8_t nonce[AEAD_NONCE_SIZE])
{
    memset(nonce, 0, 7);
    be32_put(nonce + 7, index);
    nonce[11] = header[9];
}

/* The tag of an unsealed frame: the first 16 bytes of SHA(H || nonce || header || content). */
static enum cpam_status
clear_tag(const struct frame_seal *seal, const uint8_t *nonce, const uint8_t *header,
          const void *data, size_t size, uint8_t tag[OBJECT_TAG_SIZE], struct cpam_err *err)
{
    CPAM_AUTO(sha256_free) struct sha256 *sha = NULL;
    uint8_t digest[SHA256_SIZE];

    CPAM_TRY(sha256_new(&sha, err));
    CPAM_TRY(sha256_add(sha, seal->h, SHA256_SIZE, err));
    CPAM_TRY(sha256_add(sha, nonce, AEAD_NONCE_SIZE, err));
    CPAM_TRY(sha256_add(sha, header, OBJECT_FRAME_HEADER_SIZE, err));
    CPAM_TRY(sha256_add(sha, data, size, err));
    CPAM_TRY(sha256_end(sha, digest, err));
    memcpy(tag, digest, OBJECT_TAG_SIZE);
    return CPAM_OK;
}

enum cpam_status
frame_seal(const struct frame_seal *seal, uint32_t index, const uint8_t *header, const void *data,
           size_t size, void *out, uint8_t tag[OBJECT_TAG_SIZE], struct cpam_err *err)
{
    uint8_t nonce[AEAD_NONCE_SIZE];

    frame_nonce(index, header, nonce);
    if (seal->aead != NULL)
        return aead_seal(seal->aead, nonce, header, OBJECT_FRAME_HEADER_SIZE, data, size, out, tag,
                         err);
    if (out != data)
        memcpy(out, data, size);
    return clear_tag(seal, nonce, header, data, size, tag, err);
}

enum cpam_status
frame_open(const struct frame_seal *seal, uint32_t index, const uint8_t *header, const void *data,
           size_t size, const uint8_t tag[OBJECT_TAG_SIZE], void *out, struct cpam_err *err)
{
    uint8_t nonce[AEAD_NONCE_SIZE], found[OBJECT_TAG_SIZE];

    frame_nonce(index, header, nonce);
    if (seal->aead != NULL)
        return aead_open(seal->aead, nonce, header, OBJECT_FRAME_HEADER_SIZE, data, size, tag, out,
                         err);
    CPAM_TRY(clear_tag(seal, nonce, header, data, size, found, err));
    if (memcmp(found, tag, OBJECT_TAG_SIZE) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the digest does not match");
    if (out != data)
        memcpy(out, data, size);
    return CPAM_OK;
}

enum cpam_status
frame_seal_init(const struct secret *session_key, const uint8_t *header, bool seals,
                struct frame_seal *out, struct cpam_err *err)
{
    uint8_t info[sizeof(object_label) + HEADER_SIGNED_SIZE], key[AEAD_KEY_SIZE];
    enum cpam_status status;

    out->aead = NULL;
    CPAM_TRY(sha256_of(header, OBJECT_HEADER_SIZE, out->h, err));
    if (session_key == NULL)
        return CPAM_OK;
    memcpy(info, object_label, sizeof(object_label));
    memcpy(info + sizeof(object_label), header, HEADER_SIGNED_SIZE);
    CPAM_TRY(hkdf_sha256(secret_data(session_key), SESSION_KEY_SIZE, header + AT_SALT,
                         OBJECT_SALT_SIZE, info, sizeof(info), key, sizeof(key), err));
    status = aead_new(key, seals, &out->aead, err);
    OPENSSL_cleanse(key, sizeof(key));
    return status;
}
