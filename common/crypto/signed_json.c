/*
 * signed_json.c - clear JSON with its proof as the last members (docs/format.md, "Signed JSON").
 *
 * There is no canonical form: the bytes before ,"alg": are what is signed, whatever a JSON parser
 * would make of them, and the end is compared byte by byte with the one way to write it.  In an
 * unsealed repository the proof is a plain digest, which finds accidents only.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "base/text.h"
#include "crypto/authority.h"
#include "crypto/digest.h"
#include "crypto/keyring_internal.h"

enum
{
    SIGNED_JSON_MAX = 1 << 20 /* bytes with the proof */
};

static const char json_domain[] = "CPAM/1 json";

/* By algorithm: the word, and the bytes of proof that are written. */
static const struct
{
    const char *word;
    size_t size;
} proofs[] = {
    [AUTHORITY_NONE] = {"none", SHA256_SIZE},
    [AUTHORITY_ED25519] = {"ed25519", AUTHORITY_PROOF_SIZE},
    [AUTHORITY_P256] = {"p256", AUTHORITY_PROOF_SIZE},
    [AUTHORITY_HMAC] = {"hmac", SHA256_SIZE},
};

enum
{
    PROOF_COUNT = sizeof(proofs) / sizeof(proofs[0])
};

/* UUID || logical name || NUL || body: what the domain stands in front of. */
static enum cpam_status
json_message(const struct keyring *keyring, const char *logical_name, const void *body, size_t size,
             struct cpam_buf *out, struct cpam_err *err)
{
    size_t limit = SIGNED_JSON_MAX + 1024;

    if (!keyring->bound)
        return cpam_fail(err, CPAM_INTERNAL, 0, "signed JSON before its repository was known");
    CPAM_TRY(cpam_buf_append(out, keyring->uuid, 16, limit, err));
    CPAM_TRY(cpam_buf_append(out, logical_name, strlen(logical_name) + 1, limit, err));
    return cpam_buf_append(out, body, size, limit, err);
}

/* The digest that stands for a proof in an unsealed repository. */
static enum cpam_status
json_digest(const struct cpam_buf *message, uint8_t out[AUTHORITY_PROOF_SIZE], struct cpam_err *err)
{
    CPAM_AUTO(sha256_free) struct sha256 *sha = NULL;

    memset(out, 0, AUTHORITY_PROOF_SIZE);
    CPAM_TRY(sha256_new(&sha, err));
    CPAM_TRY(sha256_add(sha, json_domain, sizeof(json_domain), err));
    CPAM_TRY(sha256_add(sha, message->data, message->size, err));
    return sha256_end(sha, out, err);
}

/* The end of the text for this proof. */
static enum cpam_status
json_end(const struct authority *authority, const uint8_t proof[AUTHORITY_PROOF_SIZE],
         struct cpam_buf *out, struct cpam_err *err)
{
    char writer[2 * AUTHORITY_WRITER_SIZE + 1], hex[2 * AUTHORITY_PROOF_SIZE + 1];

    text_hex(authority->writer, AUTHORITY_WRITER_SIZE, writer);
    text_hex(proof, proofs[authority->algorithm].size, hex);
    return cpam_buf_printf(out, SIGNED_JSON_MAX, err,
                           ",\"alg\":\"%s\",\"writer\":\"%s\",\"sig\":\"%s\"}\n",
                           proofs[authority->algorithm].word, writer, hex);
}

enum cpam_status
keyring_sign_json(const struct keyring *keyring, const char *logical_name, struct cpam_buf *json,
                  struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf message = {0};
    uint8_t proof[AUTHORITY_PROOF_SIZE];
    struct authority authority;

    if (json->size < 3 || json->data[0] != '{' || json->data[json->size - 1] != '}')
        return cpam_fail(err, CPAM_INTERNAL, 0, "only a JSON object with members can be signed");
    json->size--; /* the proof's members come before the brace */
    keyring_authority(keyring, &authority);
    CPAM_TRY(json_message(keyring, logical_name, json->data, json->size, &message, err));
    if (authority.algorithm != AUTHORITY_NONE)
        CPAM_TRY(keyring_prove(keyring, AUTHORITY_JSON_KEY, json_domain, message.data, message.size,
                               proof, err));
    else if (keyring->none)
        CPAM_TRY(json_digest(&message, proof, err));
    else
        return cpam_fail(err, CPAM_USAGE, 0, "there is no key here to sign with");
    return json_end(&authority, proof, json, err);
}

/* Take the end of the text apart: which algorithm, whose, and where the body ends. */
static bool
json_split(const char *text, size_t size, struct authority *authority,
           uint8_t proof[AUTHORITY_PROOF_SIZE], size_t *body_size)
{
    for (unsigned algorithm = 0; algorithm < PROOF_COUNT; algorithm++)
    {
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf end = {0};
        char writer[2 * AUTHORITY_WRITER_SIZE + 1] = "", hex[2 * AUTHORITY_PROOF_SIZE + 1] = "";
        size_t hex_size = 2 * proofs[algorithm].size;
        /* ,"alg":"W","writer":"16","sig":"hex"} LF */
        size_t end_size = 8 + strlen(proofs[algorithm].word) + 12 + 16 + 9 + hex_size + 3;
        struct cpam_err err;

        if (size < end_size + 2)
            continue;
        memcpy(hex, text + size - 3 - hex_size, hex_size);
        memcpy(writer, text + size - 3 - hex_size - 9 - 16, 16);
        memset(proof, 0, AUTHORITY_PROOF_SIZE);
        authority->algorithm = (uint8_t) algorithm;
        if (text_unhex(hex, proof, hex_size / 2, false, &err) != CPAM_OK ||
            text_unhex(writer, authority->writer, AUTHORITY_WRITER_SIZE, false, &err) != CPAM_OK ||
            json_end(authority, proof, &end, &err) != CPAM_OK || end.size != end_size ||
            memcmp(end.data, text + size - end_size, end_size) != 0)
            continue;
        *body_size = size - end_size;
        return true;
    }
    return false;
}

static enum cpam_status
json_check(const struct keyring *keyring, const struct authority *authority,
           const struct cpam_buf *message, const uint8_t proof[AUTHORITY_PROOF_SIZE],
           struct cpam_err *err)
{
    static const uint8_t nobody[AUTHORITY_WRITER_SIZE];
    uint8_t digest[AUTHORITY_PROOF_SIZE];

    CPAM_TRY(keyring_believes(keyring, authority, err));
    if (authority->algorithm != AUTHORITY_NONE)
        return keyring_verify(keyring, authority, AUTHORITY_JSON_KEY, json_domain, message->data,
                              message->size, proof, err);
    CPAM_TRY(json_digest(message, digest, err));
    if (memcmp(digest, proof, sizeof(digest)) != 0 ||
        memcmp(authority->writer, nobody, sizeof(nobody)) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its digest does not match: it was changed");
    return CPAM_OK;
}

enum cpam_status
keyring_verify_json(const struct keyring *keyring, const char *logical_name, const void *text,
                    size_t size, struct cpam_buf *out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf message = {0};
    uint8_t proof[AUTHORITY_PROOF_SIZE];
    struct authority authority = {0};
    size_t body_size = 0;
    enum cpam_status status;

    if (size > SIGNED_JSON_MAX)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" has %zu bytes, more than the %d allowed",
                         logical_name, size, SIGNED_JSON_MAX);
    if (!json_split(text, size, &authority, proof, &body_size))
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" does not end in a signature", logical_name);
    CPAM_TRY(json_message(keyring, logical_name, text, body_size, &message, err));
    status = json_check(keyring, &authority, &message, proof, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "\"%s\"", logical_name);
        return status;
    }
    out->size = 0;
    CPAM_TRY(cpam_buf_append(out, text, body_size, SIGNED_JSON_MAX, err));
    CPAM_TRY(cpam_buf_append(out, "}", 1, SIGNED_JSON_MAX, err));
    if (cpam_buf_text(out) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for \"%s\"", logical_name);
    return CPAM_OK;
}
