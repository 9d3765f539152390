/*
 * object_packer.c - one pass over the plaintext, one buffer: frames compressed into their place in
 * the object, and sealed there when its header can be written.
 *
 * Until then the buffer holds compressed plaintext, so it is memory only, and wiped when it does
 * not come to a seal.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "object/object_internal.h"

struct object_packer
{
    struct seal_session *session;
    struct object_spec spec;
    struct cpam_buf *held;
    uint32_t frame_size, frame_count, body_offset;
    uint64_t raw_total;
    bool short_frame, ended;
};

enum
{
    END_SIZE = FRAME_OVERHEAD + FINAL_SIZE + OBJECT_TAIL_SIZE
};

enum cpam_status
object_packer_new(struct seal_session *session, const struct object_spec *spec,
                  struct cpam_buf *held, struct object_packer **out, struct cpam_err *err)
{
    CPAM_AUTO(object_packer_free) struct object_packer *packer = calloc(1, sizeof(*packer));

    if (packer == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an object");
    packer->held = held;
    packer->session = session;
    packer->spec = *spec;
    CPAM_TRY(object_spec_check(spec, err));
    if (spec->kind == OBJECT_PACK || spec->kind == OBJECT_BLOCKS)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a pack can't be held until its content is known");
    CPAM_TRY(seal_session_refresh(session, err));
    packer->frame_size = UINT32_C(1)
                         << (spec->frame_log2 != 0 ? spec->frame_log2 : OBJECT_FRAME_LOG2);
    packer->body_offset = (uint32_t) (OBJECT_HEADER_SIZE + session->stanzas.size);
    if (held->cap < packer->body_offset)
        return cpam_fail(err, CPAM_INVALID, 0, "no room for an object's header");
    held->size = packer->body_offset;
    *out = CPAM_STEAL(packer);
    return CPAM_OK;
}

enum cpam_status
object_packer_frame(struct object_packer *packer, const void *data, size_t size,
                    struct cpam_err *err)
{
    struct frame_header frame = {.clen = (uint32_t) size, .rlen = (uint32_t) size};
    struct cpam_buf *held = packer->held;
    uint8_t *at = held->data + held->size;
    struct codec_work *work;
    size_t packed;

    if (packer->ended || packer->short_frame || size == 0 || size > packer->frame_size)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a frame of %zu bytes can't come here", size);
    if (packer->frame_count >= FRAMES_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "an object can't have more than %u frames",
                         packer->frame_count);
    if (held->cap - held->size < END_SIZE || /* compared so that nothing can wrap around */
        held->cap - held->size - END_SIZE < size + FRAME_OVERHEAD)
        return cpam_fail(err, CPAM_INVALID, 0, "the object does not fit into %zu bytes", held->cap);
    CPAM_TRY(
        seal_session_work(packer->session, packer->spec.codec, packer->spec.level, &work, err));
    CPAM_TRY(codec_pack(work, data, size, at + OBJECT_FRAME_HEADER_SIZE, size, &packed, err));
    if (packed > 0)
    {
        frame.clen = (uint32_t) packed;
        frame.codec = (uint8_t) packer->spec.codec;
    }
    else
        memcpy(at + OBJECT_FRAME_HEADER_SIZE, data, size);
    frame_header_encode(&frame, at);
    held->size += frame.clen + FRAME_OVERHEAD;
    packer->short_frame = size != packer->frame_size;
    packer->frame_count++;
    packer->raw_total += size;
    return CPAM_OK;
}

static enum cpam_status
seal_frame(const struct frame_seal *seal, uint32_t index, uint8_t *at, uint32_t clen,
           struct sha256 *frames_digest, struct cpam_err *err)
{
    uint8_t *coded = at + OBJECT_FRAME_HEADER_SIZE;

    CPAM_TRY(frame_seal(seal, index, at, coded, clen, coded, coded + clen, err));
    /* while it is still near the CPU */
    return sha256_add(frames_digest, at, (size_t) clen + FRAME_OVERHEAD, err);
}

static enum cpam_status
seal_frames(struct object_packer *packer, const struct frame_seal *seal,
            struct sha256 *frames_digest, struct cpam_err *err)
{
    struct frame_header final = {.clen = FINAL_SIZE, .rlen = FINAL_SIZE, .final = true};
    struct cpam_buf *held = packer->held;
    uint8_t *at = held->data + packer->body_offset;

    for (uint32_t index = 0; index < packer->frame_count; index++)
    {
        uint32_t clen = be32_get(at);

        CPAM_TRY(seal_frame(seal, index, at, clen, frames_digest, err));
        at += clen + FRAME_OVERHEAD;
    }
    frame_header_encode(&final, at);
    be64_put(at + OBJECT_FRAME_HEADER_SIZE, packer->raw_total);
    be32_put(at + OBJECT_FRAME_HEADER_SIZE + 8, packer->frame_count);
    be32_put(at + OBJECT_FRAME_HEADER_SIZE + 12, 0);
    held->size += FINAL_SIZE + FRAME_OVERHEAD;
    return seal_frame(seal, packer->frame_count, at, FINAL_SIZE, frames_digest, err);
}

static enum cpam_status
seal_all(struct object_packer *packer, const uint8_t *salt, const uint8_t *content_id,
         struct frame_seal *seal, struct object_digest *out, struct cpam_err *err)
{
    CPAM_AUTO(sha256_free) struct sha256 *frames_digest = NULL;
    struct seal_session *session = packer->session;
    struct cpam_buf *held = packer->held;

    packer->spec.content_id = content_id;
    CPAM_TRY(object_header_make(session, &packer->spec, salt, held->data, err));
    if (session->stanzas.size > 0)
        memcpy(held->data + OBJECT_HEADER_SIZE, session->stanzas.data, session->stanzas.size);
    CPAM_TRY(frame_seal_init(session->key, held->data, true, seal, err));
    CPAM_TRY(sha256_new(&frames_digest, err));
    CPAM_TRY(seal_frames(packer, seal, frames_digest, err));
    CPAM_TRY(object_tail(session, seal, frames_digest, out, held->data + held->size, err));
    held->size += OBJECT_TAIL_SIZE;
    out->size = held->size;
    out->raw_size = packer->raw_total;
    out->body_offset = packer->body_offset;
    return CPAM_OK;
}

enum cpam_status
object_packer_seal_salted(struct object_packer *packer, const uint8_t salt[OBJECT_SALT_SIZE],
                          const uint8_t content_id[CONTENT_ID_SIZE], struct object_digest *out,
                          struct cpam_err *err)
{
    struct frame_seal seal = {.aead = NULL};
    uint64_t promised = packer->spec.raw_length;
    enum cpam_status status;

    if (packer->ended)
        return cpam_fail(err, CPAM_INTERNAL, 0, "an object was finished twice");
    if (promised != OBJECT_LENGTH_UNKNOWN && promised != packer->raw_total)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "%llu bytes came for an object that was to have %llu",
                         (unsigned long long) packer->raw_total, (unsigned long long) promised);
    packer->session->objects++;
    status = seal_all(packer, salt, content_id, &seal, out, err);
    aead_free(seal.aead);
    packer->ended = status == CPAM_OK;
    return status;
}

enum cpam_status
object_packer_seal(struct object_packer *packer, const uint8_t content_id[CONTENT_ID_SIZE],
                   struct object_digest *out, struct cpam_err *err)
{
    uint8_t salt[OBJECT_SALT_SIZE];

    packer->spec.content_id = content_id;
    CPAM_TRY(object_salt(packer->session, &packer->spec, salt, err));
    return object_packer_seal_salted(packer, salt, content_id, out, err);
}

void
object_packer_free(struct object_packer *packer)
{
    if (packer == NULL)
        return;
    if (!packer->ended && packer->held->size > packer->body_offset)
        OPENSSL_cleanse(packer->held->data, packer->held->size);
    free(packer);
}
