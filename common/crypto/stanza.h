/*
 * stanza.h - the session key, wrapped once for each recipient (docs/format.md, "Stanzas").
 *
 * A stanza's bytes come from outside: they are looked at only after the header's signature over
 * their digest has held.
 */
#ifndef CPAM_CRYPTO_STANZA_H
#define CPAM_CRYPTO_STANZA_H

#include "crypto/keyring.h"
#include "crypto/secret.h"

enum
{
    STANZA_X25519 = 1,
    STANZA_P256 = 2,
    STANZA_SCRYPT = 3,
    STANZA_KMS = 4,
    STANZA_KEYFILE = 5,
    STANZA_COMMAND = 6,

    STANZA_COUNT_MAX = 16,
    STANZA_ID_SIZE = 8,
    SESSION_KEY_SIZE = 32,
    COMMITMENT_SIZE = 32
};

/* C = HKDF(K, "", "CPAM/1 commit\0" || UUID, 32): what every recipient must find. */
enum cpam_status stanza_commitment(const struct secret *session_key, const uint8_t uuid[16],
                                   uint8_t out[COMMITMENT_SIZE], struct cpam_err *err) CPAM_CHECK;

/* Wraps for all recipients of the (bound) keyring, in their order. */
enum cpam_status stanzas_make(const struct keyring *keyring, struct io *io,
                              const struct secret *session_key,
                              const uint8_t commitment[COMMITMENT_SIZE], struct cpam_buf *out,
                              struct cpam_err *err) CPAM_CHECK;

/*
 * Unwraps with the first identity held that a stanza names, and compares the key with the
 * commitment.  CPAM_USAGE: no key held here opens it (naming the recipients); CPAM_CORRUPT:
 * malformed, or the stanza holds another key than the one committed to.
 */
enum cpam_status stanzas_open(const struct keyring *keyring, const uint8_t *stanzas, size_t size,
                              const uint8_t commitment[COMMITMENT_SIZE], struct secret **out,
                              struct cpam_err *err) CPAM_CHECK;

/* Recipient ids: the first 8 bytes of SHA-256(type || x). */
enum cpam_status stanza_x25519_id(const uint8_t public_key[32], uint8_t out[STANZA_ID_SIZE],
                                  struct cpam_err *err) CPAM_CHECK;
enum cpam_status stanza_keyfile_id(const uint8_t key[32], uint8_t out[STANZA_ID_SIZE],
                                   struct cpam_err *err) CPAM_CHECK;

#endif
