/*
 * header.h - the 320 bytes an object starts with, taken apart and put together.
 *
 * Decoding refuses reserved bytes that are not zero and values this version does not know; what a
 * header means for a reader (whose, which name, whom to believe) is object_opener.c's matter.
 */
#ifndef CPAM_OBJECT_HEADER_H
#define CPAM_OBJECT_HEADER_H

#include "crypto/authority.h"
#include "crypto/stanza.h"
#include "object/object.h"

enum
{
    HEADER_SIGNED_SIZE = 256, /* bytes the signature covers */
    HEADER_FLAG_SEALED = 1,
    HEADER_FLAG_SIGNED = 2,
    HEADER_AEAD_GCM = 1,
    OBJECT_NAME_MAX = 512,
    OBJECT_SALT_SIZE = 32
};

struct header
{
    enum object_kind kind;
    bool sealed;
    unsigned frame_log2;
    uint16_t stanzas_size;
    uint8_t uuid[16];
    uint64_t sysid;
    int64_t created;
    uint8_t salt[OBJECT_SALT_SIZE];
    uint8_t commitment[COMMITMENT_SIZE];
    uint8_t name[SHA256_SIZE]; /* SHA-256 of the logical name */
    uint8_t content_id[CONTENT_ID_SIZE];
    uint8_t stanzas[SHA256_SIZE];
    struct authority authority; /* AUTHORITY_NONE: not signed */
    int64_t commit_min, commit_max;
    uint64_t raw_length;
    uint8_t proof[AUTHORITY_PROOF_SIZE];
};

/* All but the proof, whose 64 bytes are zeros. */
void header_encode(const struct header *header, uint8_t out[OBJECT_HEADER_SIZE]);

/* Is it an object of this format and version at all? */
enum cpam_status header_magic(const uint8_t data[OBJECT_HEADER_SIZE],
                              struct cpam_err *err) CPAM_CHECK;
enum cpam_status header_decode(const uint8_t data[OBJECT_HEADER_SIZE], struct header *out,
                               struct cpam_err *err) CPAM_CHECK;

/* "WAL segment", "pack", ...; "unknown kind" for another number. */
const char *object_kind_name(unsigned kind);

#endif
