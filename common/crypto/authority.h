/*
 * authority.h - who wrote something, and whether to believe it: signatures by writer keys, and
 * HMACs by those who share a keyfile.
 *
 * Objects and clear JSON carry the same three things: an algorithm, the id of a writer, 64 bytes.
 * With only keyfile and passphrase recipients the repository's shared key proves the writer
 * (AUTHORITY_HMAC); with any public-key recipient a writer key does (AUTHORITY_ED25519).
 *
 * The HMAC stands in headers too, where the first design had zeros: who reads 320 bytes only (the
 * content id after a lost put, commit times when a restore is planned, which version of an object
 * is the true one) would otherwise act on bytes that nothing authenticates.
 */
#ifndef CPAM_CRYPTO_AUTHORITY_H
#define CPAM_CRYPTO_AUTHORITY_H

#include "crypto/keyring.h"

enum
{
    AUTHORITY_NONE = 0,
    AUTHORITY_ED25519 = 1,
    AUTHORITY_P256 = 2, /* reserved */
    AUTHORITY_HMAC = 3,

    AUTHORITY_WRITER_SIZE = 8,
    AUTHORITY_PROOF_SIZE = 64
};

struct authority
{
    uint8_t algorithm;
    uint8_t writer[AUTHORITY_WRITER_SIZE];
};

/* What this keyring writes with: its writer key, else its first shared key, else nothing. */
void keyring_authority(const struct keyring *keyring, struct authority *out);

/*
 * Proof over domain (with its NUL) || data: Ed25519, or HMAC-SHA256 and 32 zeros; 64 zeros for
 * AUTHORITY_NONE.  key_label separates the HMAC keys of objects and of JSON.
 */
enum cpam_status keyring_prove(const struct keyring *keyring, const char *key_label,
                               const char *domain, const void *data, size_t size,
                               uint8_t out[AUTHORITY_PROOF_SIZE], struct cpam_err *err) CPAM_CHECK;

/* Is this authority one that the configuration believes at all?  Needs no cryptography.
   CPAM_FOREIGN: an unknown writer; CPAM_CORRUPT: against the policy. */
enum cpam_status keyring_believes(const struct keyring *keyring, const struct authority *authority,
                                  struct cpam_err *err) CPAM_CHECK;

/* keyring_believes, and the proof holds; else CPAM_CORRUPT. */
enum cpam_status keyring_verify(const struct keyring *keyring, const struct authority *authority,
                                const char *key_label, const char *domain, const void *data,
                                size_t size, const uint8_t proof[AUTHORITY_PROOF_SIZE],
                                struct cpam_err *err) CPAM_CHECK;

#define AUTHORITY_OBJECT_KEY "CPAM/1 object proof key"
#define AUTHORITY_JSON_KEY   "CPAM/1 json key"

/*
 * Match roots (content ids): number 0 makes new ids, the others are of further keys held, tried
 * when a name is taken after a rotation.  CPAM_USAGE when there is none.
 */
size_t keyring_match_roots(const struct keyring *keyring);
enum cpam_status keyring_match_root(const struct keyring *keyring, size_t number, uint8_t out[32],
                                    struct cpam_err *err) CPAM_CHECK;

#endif
