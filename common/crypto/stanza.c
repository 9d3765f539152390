/*
 * stanza.c - x25519 and keyfile stanzas, wrapped and unwrapped; others are stepped over.
 */
#include "crypto/stanza.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/digest.h"
#include "crypto/keyring_internal.h"

enum
{
    STANZA_HEADER_SIZE = 12,
    WRAP_SIZE = SESSION_KEY_SIZE + AEAD_TAG_SIZE,
    STANZA_BODY_SIZE = 32 + WRAP_SIZE /* of both kinds: ephemeral key or salt, then the wrap */
};

static const char wrap_label[] = "CPAM/1 wrap"; /* used with its NUL, as is the next */
static const char commit_label[] = "CPAM/1 commit";
static const char x25519_label[] = "CPAM/1 x25519"; /* without it */
static const char keyfile_label[] = "CPAM/1 keyfile";
static const char keyfile_id_label[] = "CPAM/1 keyfile id";

enum cpam_status
stanza_commitment(const struct secret *session_key, const uint8_t uuid[16],
                  uint8_t out[COMMITMENT_SIZE], struct cpam_err *err)
{
    uint8_t info[sizeof(commit_label) + 16];

    memcpy(info, commit_label, sizeof(commit_label));
    memcpy(info + sizeof(commit_label), uuid, 16);
    return hkdf_sha256(secret_data(session_key), SESSION_KEY_SIZE, NULL, 0, info, sizeof(info), out,
                       COMMITMENT_SIZE, err);
}

static enum cpam_status
recipient_id(uint8_t type, const uint8_t x[32], uint8_t out[STANZA_ID_SIZE], struct cpam_err *err)
{
    uint8_t text[33] = {type}, digest[SHA256_SIZE];

    memcpy(text + 1, x, 32);
    CPAM_TRY(sha256_of(text, sizeof(text), digest, err));
    memcpy(out, digest, STANZA_ID_SIZE);
    return CPAM_OK;
}

enum cpam_status
stanza_x25519_id(const uint8_t public_key[32], uint8_t out[STANZA_ID_SIZE], struct cpam_err *err)
{
    return recipient_id(STANZA_X25519, public_key, out, err);
}

enum cpam_status
stanza_keyfile_id(const uint8_t key[32], uint8_t out[STANZA_ID_SIZE], struct cpam_err *err)
{
    uint8_t x[32];

    CPAM_TRY(hkdf_sha256(key, 32, NULL, 0, keyfile_id_label, sizeof(keyfile_id_label) - 1, x,
                         sizeof(x), err));
    return recipient_id(STANZA_KEYFILE, x, out, err);
}

static uint8_t
stanza_type(const struct key_entry *entry)
{
    return entry->kind == KEY_X25519 ? STANZA_X25519 : STANZA_KEYFILE;
}

/* "CPAM/1 wrap\0" || type || UUID || C */
struct wrap_place
{
    uint8_t bytes[sizeof(wrap_label) + 1 + 16 + COMMITMENT_SIZE];
};

static struct wrap_place
wrap_place(uint8_t type, const uint8_t uuid[16], const uint8_t commitment[COMMITMENT_SIZE])
{
    struct wrap_place place;

    memcpy(place.bytes, wrap_label, sizeof(wrap_label));
    place.bytes[sizeof(wrap_label)] = type;
    memcpy(place.bytes + sizeof(wrap_label) + 1, uuid, 16);
    memcpy(place.bytes + sizeof(wrap_label) + 17, commitment, COMMITMENT_SIZE);
    return place;
}

/* The key-encryption key of an x25519 stanza, from either side's private key. */
static enum cpam_status
x25519_kek(const uint8_t private_key[32], const uint8_t other[32], const uint8_t ephemeral[32],
           const uint8_t recipient[32], uint8_t kek[32], struct cpam_err *err)
{
    uint8_t shared[32], salt[64];
    enum cpam_status status;

    memcpy(salt, ephemeral, 32);
    memcpy(salt + 32, recipient, 32);
    CPAM_TRY(x25519_shared(private_key, other, shared, err));
    status = hkdf_sha256(shared, sizeof(shared), salt, sizeof(salt), x25519_label,
                         sizeof(x25519_label) - 1, kek, 32, err);
    OPENSSL_cleanse(shared, sizeof(shared));
    return status;
}

static enum cpam_status
keyfile_kek(const struct secret *key, const uint8_t salt[32], uint8_t kek[32], struct cpam_err *err)
{
    return hkdf_sha256(secret_data(key), 32, salt, 32, keyfile_label, sizeof(keyfile_label) - 1,
                       kek, 32, err);
}

/* A fresh KEK for one recipient, and the 32 bytes the stanza shows of it. */
static enum cpam_status
fresh_kek(const struct key_entry *entry, struct io *io, uint8_t shown[32], uint8_t kek[32],
          struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *fresh = NULL;

    CPAM_TRY(secret_random(io, 32, &fresh, err));
    if (entry->kind == KEY_X25519)
    {
        CPAM_TRY(x25519_public(secret_data(fresh), shown, err));
        return x25519_kek(secret_data(fresh), entry->public_key, shown, entry->public_key, kek,
                          err);
    }
    memcpy(shown, secret_data(fresh), 32);
    return keyfile_kek(entry->key, shown, kek, err);
}

static enum cpam_status
stanza_make(const struct keyring *keyring, struct io *io, const struct key_entry *entry,
            const struct secret *session_key, const uint8_t *commitment, struct cpam_buf *out,
            struct cpam_err *err)
{
    static const uint8_t nonce[AEAD_NONCE_SIZE];
    CPAM_AUTO(aead_free) struct aead *aead = NULL;
    uint8_t stanza[STANZA_HEADER_SIZE + STANZA_BODY_SIZE] = {0}, kek[32];
    uint8_t *body = stanza + STANZA_HEADER_SIZE;
    struct wrap_place place = wrap_place(stanza_type(entry), keyring->uuid, commitment);
    enum cpam_status status;

    stanza[0] = stanza_type(entry);
    be16_put(stanza + 2, STANZA_BODY_SIZE);
    memcpy(stanza + 4, entry->id, STANZA_ID_SIZE);
    CPAM_TRY(fresh_kek(entry, io, body, kek, err));
    status = aead_new(kek, 1, &aead, err);
    OPENSSL_cleanse(kek, sizeof(kek));
    CPAM_TRY(status);
    CPAM_TRY(aead_seal(aead, nonce, place.bytes, sizeof(place.bytes), secret_data(session_key),
                       SESSION_KEY_SIZE, body + 32, body + 32 + SESSION_KEY_SIZE, err));
    return cpam_buf_append(out, stanza, sizeof(stanza), STANZAS_MAX, err);
}

enum cpam_status
stanzas_make(const struct keyring *keyring, struct io *io, const struct secret *session_key,
             const uint8_t commitment[COMMITMENT_SIZE], struct cpam_buf *out, struct cpam_err *err)
{
    for (size_t at = 0; at < keyring->entry_count; at++)
    {
        if (keyring->entries[at].recipient)
            CPAM_TRY(
                stanza_make(keyring, io, &keyring->entries[at], session_key, commitment, out, err));
    }
    if (out->size == 0)
        return cpam_fail(err, CPAM_USAGE, 0, "there is no recipient to seal for");
    return CPAM_OK;
}

static const struct key_entry *
find_identity(const struct keyring *keyring, uint8_t type, const uint8_t id[STANZA_ID_SIZE])
{
    for (size_t at = 0; at < keyring->entry_count; at++)
    {
        const struct key_entry *entry = &keyring->entries[at];

        if (entry->identity && entry->key != NULL && stanza_type(entry) == type &&
            memcmp(entry->id, id, STANZA_ID_SIZE) == 0)
            return entry;
    }
    return NULL;
}

static enum cpam_status
stanza_open(const struct keyring *keyring, const struct key_entry *entry, const uint8_t *body,
            size_t size, const uint8_t *commitment, struct secret **out, struct cpam_err *err)
{
    static const uint8_t nonce[AEAD_NONCE_SIZE];
    CPAM_AUTO(aead_free) struct aead *aead = NULL;
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    uint8_t kek[32], plain[SESSION_KEY_SIZE], found[COMMITMENT_SIZE];
    struct wrap_place place = wrap_place(stanza_type(entry), keyring->uuid, commitment);
    enum cpam_status status;

    if (size != STANZA_BODY_SIZE)
        return cpam_fail(err, CPAM_CORRUPT, 0, "a stanza has %zu bytes, not %d", size,
                         STANZA_BODY_SIZE);
    if (entry->kind == KEY_X25519)
        CPAM_TRY(x25519_kek(secret_data(entry->key), body, body, entry->public_key, kek, err));
    else
        CPAM_TRY(keyfile_kek(entry->key, body, kek, err));
    status = aead_new(kek, 0, &aead, err);
    OPENSSL_cleanse(kek, sizeof(kek));
    CPAM_TRY(status);
    if (aead_open(aead, nonce, place.bytes, sizeof(place.bytes), body + 32, SESSION_KEY_SIZE,
                  body + 32 + SESSION_KEY_SIZE, plain, err) != CPAM_OK)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "its session key can't be unwrapped: the stanza for this key is damaged");
    status = secret_new(plain, sizeof(plain), &key, err);
    OPENSSL_cleanse(plain, sizeof(plain));
    CPAM_TRY(status);
    CPAM_TRY(stanza_commitment(key, keyring->uuid, found, err));
    if (CRYPTO_memcmp(found, commitment, COMMITMENT_SIZE) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "its session key is not the one the header commits to: other recipients"
                         " would read something else");
    *out = CPAM_STEAL(key);
    return CPAM_OK;
}

/* "1 92ab...", "5 77cd...": whom the object is sealed for, for a person to compare. */
static enum cpam_status
refuse_without_key(const uint8_t *stanzas, size_t size, struct cpam_err *err)
{
    char list[STANZA_COUNT_MAX * 20 + 1] = "", id[2 * STANZA_ID_SIZE + 1];
    size_t at = 0, used = 0;

    while (at < size)
    {
        text_hex(stanzas + at + 4, STANZA_ID_SIZE, id);
        if (used + sizeof(id) + 2 < sizeof(list))
        {
            list[used++] = ' ';
            memcpy(list + used, id, sizeof(id));
            used += sizeof(id) - 1;
        }
        at += STANZA_HEADER_SIZE + be16_get(stanzas + at + 2);
    }
    cpam_fail(err, CPAM_USAGE, 0, "no key held here opens it: it is sealed for%s", list);
    cpam_err_hint(err, "add the key file of one of them to encryption.identities"
                       " (\"cpam-keys public FILE\" tells which key a file has)");
    return CPAM_USAGE;
}

enum cpam_status
stanzas_open(const struct keyring *keyring, const uint8_t *stanzas, size_t size,
             const uint8_t commitment[COMMITMENT_SIZE], struct secret **out, struct cpam_err *err)
{
    const struct key_entry *entry = NULL;
    const uint8_t *body = NULL;
    size_t at = 0, body_size = 0;
    unsigned count = 0;

    /* All of them are checked for their form before one is opened. */
    while (at < size)
    {
        size_t length;

        if (size - at < STANZA_HEADER_SIZE || stanzas[at + 1] != 0 || ++count > STANZA_COUNT_MAX)
            return cpam_fail(err, CPAM_CORRUPT, 0, "its stanzas are malformed at byte %zu", at);
        length = be16_get(stanzas + at + 2);
        if (length > size - at - STANZA_HEADER_SIZE)
            return cpam_fail(err, CPAM_CORRUPT, 0, "its stanzas are cut short at byte %zu", at);
        if (entry == NULL)
        {
            entry = find_identity(keyring, stanzas[at], stanzas + at + 4);
            body = stanzas + at + STANZA_HEADER_SIZE;
            body_size = length;
        }
        at += STANZA_HEADER_SIZE + length;
    }
    if (count == 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it is sealed for nobody");
    if (entry == NULL)
        return refuse_without_key(stanzas, size, err);
    return stanza_open(keyring, entry, body, body_size, commitment, out, err);
}
