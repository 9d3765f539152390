/*
 * keyring_internal.h - the members of a keyring, for the files of this layer alone.
 */
#ifndef CPAM_CRYPTO_KEYRING_INTERNAL_H
#define CPAM_CRYPTO_KEYRING_INTERNAL_H

#include "crypto/authority.h"
#include "crypto/keyring.h"
#include "crypto/secret.h"
#include "crypto/signature.h"
#include "crypto/stanza.h"

/* One recipient, one identity, or both. */
struct key_entry
{
    enum key_kind kind;
    bool recipient, identity;
    char *path;                /* of the file; NULL for a public key */
    struct secret *passphrase; /* KEY_PASSPHRASE */
    struct secret *key;        /* 32 bytes: keyfile, derived from the passphrase, x25519 private */
    uint8_t public_key[32];    /* x25519 */
    uint8_t id[STANZA_ID_SIZE];
};

struct trusted_writer
{
    uint8_t public_key[SIGNATURE_PUBLIC_SIZE];
    uint8_t id[AUTHORITY_WRITER_SIZE];
};

enum
{
    KEYRING_ENTRIES_MAX = 2 * KEYRING_RECIPIENTS_MAX
};

struct keyring
{
    struct io *io;
    bool none, accept_unsigned, bound;
    char *state_dir;
    uint8_t uuid[16];
    struct key_entry entries[KEYRING_ENTRIES_MAX];
    size_t entry_count;
    struct secret *writer; /* seed, or NULL */
    struct trusted_writer own;
    struct trusted_writer trusted[KEYRING_WRITERS_MAX + 1]; /* own one included */
    size_t trusted_count;
};

/* A keyfile, or a passphrase whose key has been derived: both ends hold the same secret. */
static inline bool
key_entry_shared(const struct key_entry *entry)
{
    return entry->kind == KEY_KEYFILE || entry->kind == KEY_PASSPHRASE;
}

#endif
