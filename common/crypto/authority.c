/*
 * authority.c - proofs made and checked, by one policy for objects and JSON.
 */
#include "crypto/authority.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/keyring_internal.h"

/* HKDF(key, "", label || UUID, 32) */
static enum cpam_status
derive(const struct keyring *keyring, const uint8_t *key, const char *label, uint8_t out[32],
       struct cpam_err *err)
{
    uint8_t info[64 + 16];
    size_t size = strlen(label);

    if (!keyring->bound || size > 64)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a key was asked for before its repository");
    memcpy(info, label, size);
    memcpy(info + size, keyring->uuid, 16);
    return hkdf_sha256(key, 32, NULL, 0, info, size + 16, out, 32, err);
}

static const struct key_entry *
first_shared_recipient(const struct keyring *keyring)
{
    for (size_t at = 0; at < keyring->entry_count; at++)
    {
        const struct key_entry *entry = &keyring->entries[at];

        if (entry->recipient && key_entry_shared(entry) && entry->key != NULL)
            return entry;
    }
    return NULL;
}

void
keyring_authority(const struct keyring *keyring, struct authority *out)
{
    const struct key_entry *shared = first_shared_recipient(keyring);

    memset(out, 0, sizeof(*out));
    if (keyring->writer != NULL)
    {
        out->algorithm = AUTHORITY_ED25519;
        memcpy(out->writer, keyring->own.id, AUTHORITY_WRITER_SIZE);
    }
    else if (shared != NULL)
    {
        out->algorithm = AUTHORITY_HMAC;
        memcpy(out->writer, shared->id, AUTHORITY_WRITER_SIZE);
    }
}

static enum cpam_status
hmac_proof(const struct keyring *keyring, const struct key_entry *entry, const char *key_label,
           const void *message, size_t size, uint8_t out[AUTHORITY_PROOF_SIZE],
           struct cpam_err *err)
{
    uint8_t key[32];
    enum cpam_status status;

    memset(out, 0, AUTHORITY_PROOF_SIZE);
    CPAM_TRY(derive(keyring, secret_data(entry->key), key_label, key, err));
    status = hmac_sha256(key, sizeof(key), message, size, out, err);
    OPENSSL_cleanse(key, sizeof(key));
    return status;
}

/* domain with its NUL || data, as one piece: Ed25519 takes its message whole. */
static enum cpam_status
message_of(const char *domain, const void *data, size_t size, struct cpam_buf *out,
           struct cpam_err *err)
{
    size_t limit = strlen(domain) + 1 + size;

    CPAM_TRY(cpam_buf_append(out, domain, strlen(domain) + 1, limit, err));
    return cpam_buf_append(out, data, size, limit, err);
}

enum cpam_status
keyring_prove(const struct keyring *keyring, const char *key_label, const char *domain,
              const void *data, size_t size, uint8_t out[AUTHORITY_PROOF_SIZE],
              struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf message = {0};
    const struct key_entry *shared = first_shared_recipient(keyring);

    CPAM_TRY(message_of(domain, data, size, &message, err));
    if (keyring->writer != NULL)
        return signature_make(keyring->writer, message.data, message.size, out, err);
    if (shared != NULL)
        return hmac_proof(keyring, shared, key_label, message.data, message.size, out, err);
    memset(out, 0, AUTHORITY_PROOF_SIZE);
    return CPAM_OK;
}

static const struct trusted_writer *
find_writer(const struct keyring *keyring, const uint8_t id[AUTHORITY_WRITER_SIZE])
{
    for (size_t at = 0; at < keyring->trusted_count; at++)
    {
        if (memcmp(keyring->trusted[at].id, id, AUTHORITY_WRITER_SIZE) == 0)
            return &keyring->trusted[at];
    }
    return NULL;
}

static const struct key_entry *
find_shared(const struct keyring *keyring, const uint8_t id[AUTHORITY_WRITER_SIZE])
{
    for (size_t at = 0; at < keyring->entry_count; at++)
    {
        const struct key_entry *entry = &keyring->entries[at];

        if (key_entry_shared(entry) && entry->key != NULL &&
            memcmp(entry->id, id, AUTHORITY_WRITER_SIZE) == 0)
            return entry;
    }
    return NULL;
}

static enum cpam_status
refuse_unknown(const struct authority *authority, const char *by, const char *hint,
               struct cpam_err *err)
{
    char id[2 * AUTHORITY_WRITER_SIZE + 1];

    text_hex(authority->writer, AUTHORITY_WRITER_SIZE, id);
    cpam_fail(err, CPAM_FOREIGN, 0, "it is signed by %s %s, which the configuration does not %s",
              by, id, authority->algorithm == AUTHORITY_HMAC ? "hold" : "trust");
    cpam_err_hint(err, "%s", hint);
    return CPAM_FOREIGN;
}

enum cpam_status
keyring_believes(const struct keyring *keyring, const struct authority *authority,
                 struct cpam_err *err)
{
    switch (authority->algorithm)
    {
    case AUTHORITY_NONE:
        if (keyring->none || keyring->accept_unsigned)
            return CPAM_OK;
        cpam_fail(err, CPAM_CORRUPT, 0, "it is not signed, and unsigned data is refused");
        cpam_err_hint(err, "anyone who can write to the store could have made it");
        return CPAM_CORRUPT;
    case AUTHORITY_ED25519:
        if (find_writer(keyring, authority->writer) != NULL)
            return CPAM_OK;
        return refuse_unknown(authority, "writer",
                              "if that writer is yours, add its cpam1wpub... key to"
                              " encryption.trusted_writers",
                              err);
    case AUTHORITY_HMAC:
        if (keyring->trusted_count > 0 && !keyring->accept_unsigned)
            return cpam_fail(err, CPAM_CORRUPT, 0,
                             "it is signed with a keyfile, but the configuration names trusted"
                             " writers: only their signatures count");
        if (find_shared(keyring, authority->writer) != NULL)
            return CPAM_OK;
        return refuse_unknown(authority, "keyfile",
                              "is the right key file in place (the paper copy tells)? if"
                              " it is of an older keyfile or passphrase, add that one to"
                              " encryption.identities",
                              err);
    default:
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "it is signed with algorithm %u, which this version does not know",
                         authority->algorithm);
    }
}

enum cpam_status
keyring_verify(const struct keyring *keyring, const struct authority *authority,
               const char *key_label, const char *domain, const void *data, size_t size,
               const uint8_t proof[AUTHORITY_PROOF_SIZE], struct cpam_err *err)
{
    static const uint8_t nothing[AUTHORITY_PROOF_SIZE];
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf message = {0};
    uint8_t made[AUTHORITY_PROOF_SIZE];
    bool good = false;

    CPAM_TRY(keyring_believes(keyring, authority, err));
    CPAM_TRY(message_of(domain, data, size, &message, err));
    if (authority->algorithm == AUTHORITY_NONE)
        good = memcmp(proof, nothing, sizeof(nothing)) == 0;
    else if (authority->algorithm == AUTHORITY_ED25519)
        CPAM_TRY(signature_check(find_writer(keyring, authority->writer)->public_key, message.data,
                                 message.size, proof, &good, err));
    else
    {
        CPAM_TRY(hmac_proof(keyring, find_shared(keyring, authority->writer), key_label,
                            message.data, message.size, made, err));
        good = CRYPTO_memcmp(made, proof, sizeof(made)) == 0;
    }
    if (!good)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its signature does not match: it was changed");
    return CPAM_OK;
}

static const char match_root_label[] = "CPAM/1 match root";

/* Number 0 decides what is written: it must not depend on which further identities are held. */
static const uint8_t *
match_secret(const struct keyring *keyring, size_t number)
{
    static const uint8_t nothing[32];

    for (int recipients = 1; recipients >= 0; recipients--)
    {
        for (size_t at = 0; at < keyring->entry_count; at++)
        {
            const struct key_entry *entry = &keyring->entries[at];

            if (key_entry_shared(entry) && entry->key != NULL &&
                entry->recipient == (recipients == 1) && number-- == 0)
                return secret_data(entry->key);
        }
        if (recipients == 1 && keyring->writer != NULL && number-- == 0)
            return secret_data(keyring->writer);
    }
    /* nothing is secret in an unsealed repository: the ids only find accidents there */
    return number == 0 && keyring->none ? nothing : NULL;
}

size_t
keyring_match_roots(const struct keyring *keyring)
{
    size_t count = 0;

    while (match_secret(keyring, count) != NULL)
        count++;
    return count;
}

enum cpam_status
keyring_match_root(const struct keyring *keyring, size_t number, uint8_t out[32],
                   struct cpam_err *err)
{
    const uint8_t *secret = match_secret(keyring, number);

    if (secret == NULL)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "content ids need a keyfile, a passphrase or a writer key");
    return derive(keyring, secret, match_root_label, out, err);
}
