/*
 * header.c - field by field, at the offsets of docs/format.md.
 */
#include "object/header.h"

#include <string.h>

#include "base/bytes.h"

enum
{
    AT_VERSION = 8,
    AT_KIND = 9,
    AT_FLAGS = 10,
    AT_AEAD = 11,
    AT_ZERO = 12,
    AT_FRAME_LOG2 = 13,
    AT_STANZAS_SIZE = 14,
    AT_UUID = 16,
    AT_SYSID = 32,
    AT_CREATED = 40,
    AT_SALT = 48,
    AT_COMMITMENT = 80,
    AT_NAME = 112,
    AT_CONTENT_ID = 144,
    AT_STANZAS = 176,
    AT_WRITER = 208,
    AT_COMMIT_MIN = 216,
    AT_COMMIT_MAX = 224,
    AT_RAW_LENGTH = 232,
    AT_ALGORITHM = 240,
    AT_RESERVED = 241,
    FRAME_LOG2_MIN = 16,
    FRAME_LOG2_MAX = 24
};

static const uint8_t magic[8] = {'C', 'P', 'A', 'M', 'O', 'B', 'J', '1'};

static const char *const kind_names[] = {
    [OBJECT_WAL] = "WAL segment",
    [OBJECT_HISTORY] = "timeline history",
    [OBJECT_BACKUP_HISTORY] = "backup history",
    [OBJECT_PARTIAL] = "partial WAL segment",
    [OBJECT_MANIFEST] = "manifest",
    [OBJECT_BLOCKS] = "block list",
    [OBJECT_PACK] = "pack",
    [OBJECT_WALINDEX] = "WAL index",
    [OBJECT_REPORT] = "report",
};

const char *
object_kind_name(unsigned kind)
{
    if (kind == 0 || kind >= sizeof(kind_names) / sizeof(kind_names[0]))
        return "unknown kind";
    return kind_names[kind];
}

void
header_encode(const struct header *header, uint8_t out[OBJECT_HEADER_SIZE])
{
    bool is_signed = header->authority.algorithm != AUTHORITY_NONE;

    memset(out, 0, OBJECT_HEADER_SIZE);
    memcpy(out, magic, sizeof(magic));
    out[AT_VERSION] = 1;
    out[AT_KIND] = (uint8_t) header->kind;
    out[AT_FLAGS] = (uint8_t) ((header->sealed ? HEADER_FLAG_SEALED : 0) |
                               (is_signed ? HEADER_FLAG_SIGNED : 0));
    out[AT_AEAD] = header->sealed ? HEADER_AEAD_GCM : 0;
    out[AT_FRAME_LOG2] = (uint8_t) header->frame_log2;
    be16_put(out + AT_STANZAS_SIZE, header->stanzas_size);
    memcpy(out + AT_UUID, header->uuid, 16);
    be64_put(out + AT_SYSID, header->sysid);
    be64_put(out + AT_CREATED, (uint64_t) header->created);
    memcpy(out + AT_SALT, header->salt, OBJECT_SALT_SIZE);
    memcpy(out + AT_COMMITMENT, header->commitment, COMMITMENT_SIZE);
    memcpy(out + AT_NAME, header->name, SHA256_SIZE);
    memcpy(out + AT_CONTENT_ID, header->content_id, CONTENT_ID_SIZE);
    memcpy(out + AT_STANZAS, header->stanzas, SHA256_SIZE);
    memcpy(out + AT_WRITER, header->authority.writer, AUTHORITY_WRITER_SIZE);
    be64_put(out + AT_COMMIT_MIN, (uint64_t) header->commit_min);
    be64_put(out + AT_COMMIT_MAX, (uint64_t) header->commit_max);
    be64_put(out + AT_RAW_LENGTH, header->raw_length);
    out[AT_ALGORITHM] = header->authority.algorithm;
}

enum cpam_status
header_magic(const uint8_t data[OBJECT_HEADER_SIZE], struct cpam_err *err)
{
    if (memcmp(data, magic, sizeof(magic)) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "it is no object of this suite (it starts with %02x %02x %02x %02x)",
                         data[0], data[1], data[2], data[3]);
    if (data[AT_VERSION] != 1)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "it has version %u of the format, of which this program knows 1",
                         data[AT_VERSION]);
    return CPAM_OK;
}

/* Zero where the format says zero, and one way only to say each thing. */
static enum cpam_status
header_check_form(const uint8_t *data, const struct header *header, struct cpam_err *err)
{
    static const uint8_t nothing[AUTHORITY_PROOF_SIZE];
    unsigned flags = data[AT_FLAGS];
    bool is_signed = (flags & HEADER_FLAG_SIGNED) != 0;

    if ((flags & ~(unsigned) (HEADER_FLAG_SEALED | HEADER_FLAG_SIGNED)) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its header has unknown flags %02x", flags);
    if (data[AT_AEAD] != (header->sealed ? HEADER_AEAD_GCM : 0))
        return cpam_fail(err, CPAM_CORRUPT, 0, "its header has cipher %u, which is not known",
                         data[AT_AEAD]);
    if (header->frame_log2 < FRAME_LOG2_MIN || header->frame_log2 > FRAME_LOG2_MAX)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its header has a frame size of 2^%u bytes",
                         header->frame_log2);
    if (data[AT_ZERO] != 0 ||
        memcmp(data + AT_RESERVED, nothing, HEADER_SIGNED_SIZE - AT_RESERVED) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its header has reserved bytes that are not zero");
    if (header->stanzas_size > STANZAS_MAX || header->sealed != (header->stanzas_size > 0))
        return cpam_fail(err, CPAM_CORRUPT, 0, "its header has %u bytes of stanzas",
                         header->stanzas_size);
    if (header->created < 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its header has a creation time out of range");
    if (is_signed != (header->authority.algorithm != AUTHORITY_NONE) ||
        (!is_signed && (memcmp(header->authority.writer, nothing, AUTHORITY_WRITER_SIZE) != 0 ||
                        memcmp(header->proof, nothing, sizeof(nothing)) != 0)))
        return cpam_fail(err, CPAM_CORRUPT, 0, "its header contradicts itself about a signature");
    if (!header->sealed && memcmp(header->commitment, nothing, COMMITMENT_SIZE) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its header commits to a key although it is clear");
    return CPAM_OK;
}

enum cpam_status
header_decode(const uint8_t data[OBJECT_HEADER_SIZE], struct header *out, struct cpam_err *err)
{
    CPAM_TRY(header_magic(data, err));
    memset(out, 0, sizeof(*out));
    out->kind = (enum object_kind) data[AT_KIND];
    out->sealed = (data[AT_FLAGS] & HEADER_FLAG_SEALED) != 0;
    out->frame_log2 = data[AT_FRAME_LOG2];
    out->stanzas_size = be16_get(data + AT_STANZAS_SIZE);
    memcpy(out->uuid, data + AT_UUID, 16);
    out->sysid = be64_get(data + AT_SYSID);
    out->created = (int64_t) be64_get(data + AT_CREATED);
    memcpy(out->salt, data + AT_SALT, OBJECT_SALT_SIZE);
    memcpy(out->commitment, data + AT_COMMITMENT, COMMITMENT_SIZE);
    memcpy(out->name, data + AT_NAME, SHA256_SIZE);
    memcpy(out->content_id, data + AT_CONTENT_ID, CONTENT_ID_SIZE);
    memcpy(out->stanzas, data + AT_STANZAS, SHA256_SIZE);
    memcpy(out->authority.writer, data + AT_WRITER, AUTHORITY_WRITER_SIZE);
    out->commit_min = (int64_t) be64_get(data + AT_COMMIT_MIN);
    out->commit_max = (int64_t) be64_get(data + AT_COMMIT_MAX);
    out->raw_length = be64_get(data + AT_RAW_LENGTH);
    out->authority.algorithm = data[AT_ALGORITHM];
    memcpy(out->proof, data + HEADER_SIGNED_SIZE, AUTHORITY_PROOF_SIZE);
    return header_check_form(data, out, err);
}
