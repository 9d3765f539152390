/*
 * object_writer.c - plaintext in, one sealed object out.
 *
 * A frame is compressed and sealed in the session's one scratch buffer and leaves at once; a writer
 * itself keeps a frame of plaintext only while frames come in pieces.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "object/object_internal.h"

struct object_writer
{
    struct seal_session *session;
    enum object_kind kind;
    enum codec_id codec;
    int level;
    uint64_t raw_length; /* as the header tells it */
    uint32_t frame_size;
    struct sink *to;
    struct frame_seal seal;
    struct sha256 *frames_digest; /* d */
    uint8_t *plain;               /* a frame that is not full yet */
    size_t plain_size;
    struct codec_trial *trial; /* or NULL */
    struct cpam_buf list;      /* kind 7: clen and rlen of each frame */
    uint32_t frame_count;
    uint64_t raw_total, size;
    uint32_t body_offset;
    bool ended;
};

static bool
frames_of_any_size(enum object_kind kind)
{
    return kind == OBJECT_PACK || kind == OBJECT_BLOCKS;
}

/* salt = SHA-256(random || monotonic clock || counter || content id): new even for a cloned VM
   whose random generator repeats itself */
enum cpam_status
object_salt(struct seal_session *session, const struct object_spec *spec,
            uint8_t salt[OBJECT_SALT_SIZE], struct cpam_err *err)
{
    uint8_t text[32 + 8 + 8 + CONTENT_ID_SIZE] = {0};

    if (session->io->ops->random(session->io, text, 32) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not get random bytes for a salt");
    be64_put(text + 32, (uint64_t) session->io->ops->monotonic(session->io));
    be64_put(text + 40, session->objects);
    if (spec->content_id != NULL)
        memcpy(text + 48, spec->content_id, CONTENT_ID_SIZE);
    return sha256_of(text, sizeof(text), salt, err);
}

enum cpam_status
object_header_make(struct seal_session *session, const struct object_spec *spec,
                   const uint8_t *salt, uint8_t out[OBJECT_HEADER_SIZE], struct cpam_err *err)
{
    struct header header = {.kind = spec->kind,
                            .sealed = session->key != NULL,
                            .frame_log2 =
                                spec->frame_log2 != 0 ? spec->frame_log2 : OBJECT_FRAME_LOG2,
                            .stanzas_size = (uint16_t) session->stanzas.size,
                            .sysid = spec->sysid,
                            .created = session->io->ops->now(session->io),
                            .commit_min = spec->commit_min,
                            .commit_max = spec->commit_max,
                            .raw_length = spec->raw_length};

    memcpy(header.uuid, keyring_uuid(session->keyring), 16);
    memcpy(header.salt, salt, OBJECT_SALT_SIZE);
    memcpy(header.commitment, session->commitment, COMMITMENT_SIZE);
    if (spec->content_id != NULL)
        memcpy(header.content_id, spec->content_id, CONTENT_ID_SIZE);
    keyring_authority(session->keyring, &header.authority);
    CPAM_TRY(sha256_of(spec->name, strlen(spec->name), header.name, err));
    CPAM_TRY(sha256_of(session->stanzas.data != NULL ? session->stanzas.data : (uint8_t *) out,
                       session->stanzas.size, header.stanzas, err));
    header_encode(&header, out);
    return keyring_prove(session->keyring, AUTHORITY_OBJECT_KEY, "CPAM/1 header", out,
                         HEADER_SIGNED_SIZE, out + HEADER_SIGNED_SIZE, err);
}

enum cpam_status
object_spec_check(const struct object_spec *spec, struct cpam_err *err)
{
    size_t name = strlen(spec->name);
    unsigned log2 = spec->frame_log2;

    if (name == 0 || name > OBJECT_NAME_MAX || spec->name[0] == '/')
        return cpam_fail(err, CPAM_INTERNAL, 0, "\"%s\" can't be an object's name", spec->name);
    if (log2 != 0 && (log2 < 16 || log2 > 24))
        return cpam_fail(err, CPAM_INTERNAL, 0, "frames of 2^%u bytes are not allowed", log2);
    return CPAM_OK;
}

enum cpam_status
object_writer_new_salted(struct seal_session *session, const struct object_spec *spec,
                         const uint8_t salt[OBJECT_SALT_SIZE], struct sink *to,
                         struct object_writer **out, struct cpam_err *err)
{
    CPAM_AUTO(object_writer_free) struct object_writer *writer = calloc(1, sizeof(*writer));
    uint8_t header[OBJECT_HEADER_SIZE];

    if (writer == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an object");
    CPAM_TRY(object_spec_check(spec, err));
    writer->session = session;
    writer->kind = spec->kind;
    writer->codec = spec->codec;
    writer->level = spec->level;
    writer->raw_length = spec->raw_length;
    writer->frame_size = UINT32_C(1)
                         << (spec->frame_log2 != 0 ? spec->frame_log2 : OBJECT_FRAME_LOG2);
    writer->to = to;
    session->objects++;
    CPAM_TRY(object_header_make(session, spec, salt, header, err));
    CPAM_TRY(frame_seal_init(session->key, header, true, &writer->seal, err));
    CPAM_TRY(sha256_new(&writer->frames_digest, err));
    CPAM_TRY(sink_write(to, header, sizeof(header), err));
    if (session->stanzas.size > 0)
        CPAM_TRY(sink_write(to, session->stanzas.data, session->stanzas.size, err));
    writer->body_offset = (uint32_t) (sizeof(header) + session->stanzas.size);
    writer->size = writer->body_offset;
    *out = CPAM_STEAL(writer);
    return CPAM_OK;
}

enum cpam_status
object_writer_new(struct seal_session *session, const struct object_spec *spec, struct sink *to,
                  struct object_writer **out, struct cpam_err *err)
{
    uint8_t salt[OBJECT_SALT_SIZE];

    CPAM_TRY(seal_session_refresh(session, err));
    CPAM_TRY(object_salt(session, spec, salt, err));
    return object_writer_new_salted(session, spec, salt, to, out, err);
}

/* Seal what stands in `coded` (maybe the scratch buffer itself) and send the frame on its way. */
static enum cpam_status
writer_send(struct object_writer *writer, const struct frame_header *frame, const void *coded,
            struct cpam_err *err)
{
    uint8_t *out = writer->session->out.data;
    size_t size = frame->clen + FRAME_OVERHEAD;

    frame_header_encode(frame, out);
    CPAM_TRY(frame_seal(&writer->seal, writer->frame_count, out, coded, frame->clen,
                        out + OBJECT_FRAME_HEADER_SIZE,
                        out + OBJECT_FRAME_HEADER_SIZE + frame->clen, err));
    CPAM_TRY(sha256_add(writer->frames_digest, out, size, err));
    writer->size += size;
    return sink_write(writer->to, out, size, err);
}

static enum cpam_status
writer_room(struct object_writer *writer, struct cpam_err *err)
{
    return opener_scratch(&writer->session->out, writer->frame_size + FRAME_OVERHEAD, err);
}

/* *packed is 0 when the frame is to be stored as it is. */
static enum cpam_status
writer_pack(struct object_writer *writer, const void *data, size_t size, uint8_t *coded,
            size_t *packed, struct cpam_err *err)
{
    struct codec_work *work;

    *packed = 0;
    if (writer->trial != NULL && !codec_trial_wanted(writer->trial))
        return CPAM_OK;
    CPAM_TRY(seal_session_work(writer->session, writer->codec, writer->level, &work, err));
    CPAM_TRY(codec_pack(work, data, size, coded, writer->frame_size, packed, err));
    if (writer->trial != NULL)
        codec_trial_note(writer->trial, size, *packed > 0 ? *packed : size);
    return CPAM_OK;
}

static enum cpam_status
writer_frame(struct object_writer *writer, const void *data, size_t size, uint32_t *clen,
             struct cpam_err *err)
{
    struct frame_header frame = {.clen = (uint32_t) size, .rlen = (uint32_t) size};
    uint8_t *coded, entry[FINAL_ENTRY_SIZE];
    size_t packed;

    if (writer->frame_count >= (writer->kind == OBJECT_PACK ? OBJECT_PACK_FRAMES_MAX : FRAMES_MAX))
        return cpam_fail(err, CPAM_INVALID, 0, "an object can't have more than %u frames",
                         writer->frame_count);
    CPAM_TRY(writer_room(writer, err));
    coded = writer->session->out.data + OBJECT_FRAME_HEADER_SIZE;
    CPAM_TRY(writer_pack(writer, data, size, coded, &packed, err));
    if (packed > 0)
    {
        frame.clen = (uint32_t) packed;
        frame.codec = (uint8_t) writer->codec;
    }
    CPAM_TRY(writer_send(writer, &frame, packed > 0 ? coded : data, err));
    if (writer->kind == OBJECT_PACK)
    {
        be32_put(entry, frame.clen);
        be32_put(entry + 4, frame.rlen);
        CPAM_TRY(cpam_buf_append(&writer->list, entry, sizeof(entry),
                                 (size_t) OBJECT_PACK_FRAMES_MAX * FINAL_ENTRY_SIZE, err));
    }
    writer->frame_count++;
    writer->raw_total += size;
    if (clen != NULL)
        *clen = frame.clen;
    return CPAM_OK;
}

enum cpam_status
object_writer_frame(struct object_writer *writer, const void *data, size_t size, uint32_t *clen,
                    struct cpam_err *err)
{
    if (writer->ended || !frames_of_any_size(writer->kind) || writer->plain_size > 0 || size == 0 ||
        size > writer->frame_size)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a frame of %zu bytes can't be written by itself",
                         size);
    return writer_frame(writer, data, size, clen, err);
}

void
object_writer_of_file(struct object_writer *writer, struct codec_trial *trial)
{
    writer->trial = trial;
}

enum cpam_status
object_writer_write(struct object_writer *writer, const void *data, size_t size,
                    struct cpam_err *err)
{
    const uint8_t *at = data;

    if (writer->ended)
        return cpam_fail(err, CPAM_INTERNAL, 0, "an object was written to after its end");
    while (size > 0)
    {
        size_t take = writer->frame_size - writer->plain_size;

        if (writer->plain_size == 0 && size >= writer->frame_size)
        {
            CPAM_TRY(writer_frame(writer, at, writer->frame_size, NULL, err));
            at += writer->frame_size;
            size -= writer->frame_size;
            continue;
        }
        if (writer->plain == NULL && (writer->plain = malloc(writer->frame_size)) == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a frame");
        take = take < size ? take : size;
        memcpy(writer->plain + writer->plain_size, at, take);
        writer->plain_size += take;
        at += take;
        size -= take;
        if (writer->plain_size == writer->frame_size)
        {
            CPAM_TRY(writer_frame(writer, writer->plain, writer->plain_size, NULL, err));
            writer->plain_size = 0;
        }
    }
    return CPAM_OK;
}

uint64_t
object_writer_size(const struct object_writer *writer)
{
    uint64_t pending = writer->plain_size > 0 ? writer->plain_size + FRAME_OVERHEAD : 0;

    if (writer->ended)
        return writer->size;
    return writer->size + pending + FRAME_OVERHEAD + FINAL_SIZE + writer->list.size +
           OBJECT_TAIL_SIZE;
}

/* Totals, and for a pack the list by which a lost catalogue can be made again. */
static enum cpam_status
writer_final(struct object_writer *writer, struct cpam_err *err)
{
    size_t size = FINAL_SIZE + writer->list.size;
    struct frame_header frame = {.clen = (uint32_t) size, .rlen = (uint32_t) size, .final = true};
    uint8_t *text;

    if (size > writer->frame_size)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the list of %u frames does not fit a final frame of %u bytes",
                         writer->frame_count, writer->frame_size);
    CPAM_TRY(writer_room(writer, err));
    text = writer->session->out.data + OBJECT_FRAME_HEADER_SIZE;
    be64_put(text, writer->raw_total);
    be32_put(text + 8, writer->frame_count);
    be32_put(text + 12, 0);
    if (writer->list.size > 0)
        memcpy(text + FINAL_SIZE, writer->list.data, writer->list.size);
    return writer_send(writer, &frame, text, err);
}

enum cpam_status
object_tail(const struct seal_session *session, const struct frame_seal *seal,
            struct sha256 *frames_digest, struct object_digest *out, uint8_t tail[OBJECT_TAIL_SIZE],
            struct cpam_err *err)
{
    uint8_t digests[2 * SHA256_SIZE];

    memcpy(digests, seal->h, SHA256_SIZE);
    CPAM_TRY(sha256_end(frames_digest, digests + SHA256_SIZE, err));
    memcpy(out->h, digests, SHA256_SIZE);
    memcpy(out->d, digests + SHA256_SIZE, SHA256_SIZE);
    return keyring_prove(session->keyring, AUTHORITY_OBJECT_KEY, "CPAM/1 tail", digests,
                         sizeof(digests), tail, err);
}

enum cpam_status
object_writer_finish(struct object_writer *writer, struct object_digest *out, struct cpam_err *err)
{
    uint8_t tail[OBJECT_TAIL_SIZE];

    if (writer->ended)
        return cpam_fail(err, CPAM_INTERNAL, 0, "an object was finished twice");
    if (writer->plain_size > 0)
        CPAM_TRY(writer_frame(writer, writer->plain, writer->plain_size, NULL, err));
    writer->plain_size = 0;
    if (writer->raw_length != OBJECT_LENGTH_UNKNOWN && writer->raw_length != writer->raw_total)
        return cpam_fail(
            err, CPAM_INVALID, 0, "%llu bytes came for an object that was to have %llu",
            (unsigned long long) writer->raw_total, (unsigned long long) writer->raw_length);
    CPAM_TRY(writer_final(writer, err));
    CPAM_TRY(object_tail(writer->session, &writer->seal, writer->frames_digest, out, tail, err));
    CPAM_TRY(sink_write(writer->to, tail, sizeof(tail), err));
    writer->size += sizeof(tail);
    writer->ended = true;
    out->size = writer->size;
    out->raw_size = writer->raw_total;
    out->body_offset = writer->body_offset;
    return CPAM_OK;
}

uint32_t
object_body_offset(const struct seal_session *session)
{
    return (uint32_t) (OBJECT_HEADER_SIZE + session->stanzas.size);
}

/* Every frame, the final one too, from one key under another; their headers and indices stay. */
static enum cpam_status
reseal_frames(struct object_writer *writer, const struct frame_seal *from,
              const struct frame_seal *to, uint8_t *at, struct sha256 *frames_digest,
              struct cpam_err *err)
{
    for (uint32_t index = 0; index <= writer->frame_count; index++)
    {
        uint32_t clen = be32_get(at);
        uint8_t *coded = at + OBJECT_FRAME_HEADER_SIZE;

        CPAM_TRY(frame_open(from, index, at, coded, clen, coded + clen, coded, err));
        CPAM_TRY(frame_seal(to, index, at, coded, clen, coded, coded + clen, err));
        CPAM_TRY(sha256_add(frames_digest, at, (size_t) clen + FRAME_OVERHEAD, err));
        at += clen + FRAME_OVERHEAD;
    }
    return CPAM_OK;
}

/* header: of the object that *held becomes, whose stanzas are the session's. */
static enum cpam_status
reseal_held(struct object_writer *writer, const struct seal_session *session,
            const uint8_t header[OBJECT_HEADER_SIZE], const struct frame_seal *from,
            const struct frame_seal *to, struct cpam_buf *held, struct object_digest *out,
            struct cpam_err *err)
{
    CPAM_AUTO(sha256_free) struct sha256 *frames_digest = NULL;
    uint32_t offset = object_body_offset(session);
    size_t frames = held->size - writer->body_offset - OBJECT_TAIL_SIZE;

    CPAM_TRY(sha256_new(&frames_digest, err));
    writer->ended = false; /* from here on *held is half of each */
    memmove(held->data + offset, held->data + writer->body_offset, frames);
    memcpy(held->data, header, OBJECT_HEADER_SIZE);
    if (session->stanzas.size > 0)
        memcpy(held->data + OBJECT_HEADER_SIZE, session->stanzas.data, session->stanzas.size);
    CPAM_TRY(reseal_frames(writer, from, to, held->data + offset, frames_digest, err));
    held->size = offset + frames;
    CPAM_TRY(object_tail(session, to, frames_digest, out, held->data + held->size, err));
    held->size += OBJECT_TAIL_SIZE;
    out->size = held->size;
    out->raw_size = writer->raw_total;
    out->body_offset = offset;
    writer->size = held->size;
    writer->body_offset = offset;
    writer->ended = true;
    return CPAM_OK;
}

enum cpam_status
object_writer_reseal(struct object_writer *writer, struct seal_session *session,
                     const struct object_spec *spec, struct cpam_buf *held,
                     struct object_digest *out, struct cpam_err *err)
{
    uint8_t salt[OBJECT_SALT_SIZE], header[OBJECT_HEADER_SIZE];
    struct frame_seal from = {.aead = NULL}, to = {.aead = NULL};
    enum cpam_status status;

    if (!writer->ended || held->size != writer->size)
        return cpam_fail(err, CPAM_INTERNAL, 0, "an object that is not whole can't be sealed anew");
    CPAM_TRY(object_spec_check(spec, err));
    /* what *held is sealed with comes first: the session may be the same one, and get a new key */
    CPAM_TRY(frame_seal_init(writer->session->key, held->data, false, &from, err));
    status = seal_session_refresh(session, err);
    if (status == CPAM_OK)
        status = object_salt(session, spec, salt, err);
    session->objects++;
    if (status == CPAM_OK &&
        held->cap < held->size - writer->body_offset + object_body_offset(session))
        status = cpam_fail(err, CPAM_INVALID, 0, "no room for another header of an object");
    if (status == CPAM_OK)
        status = object_header_make(session, spec, salt, header, err);
    if (status == CPAM_OK)
        status = frame_seal_init(session->key, header, true, &to, err);
    if (status == CPAM_OK)
        status = reseal_held(writer, session, header, &from, &to, held, out, err);
    if (status == CPAM_OK)
        writer->session = session;
    aead_free(from.aead);
    aead_free(to.aead);
    return status;
}

void
object_writer_free(struct object_writer *writer)
{
    if (writer == NULL)
        return;
    aead_free(writer->seal.aead);
    sha256_free(writer->frames_digest);
    if (writer->plain != NULL)
        OPENSSL_cleanse(writer->plain, writer->frame_size);
    free(writer->plain);
    cpam_buf_clear(&writer->list);
    free(writer);
}
