/*
 * aead.h - AES-256-GCM with one key and many nonces, without setting the key up each time.
 *
 * The caller answers for nonces that never repeat under one key.  One thread at a time.
 */
#ifndef CPAM_CRYPTO_AEAD_H
#define CPAM_CRYPTO_AEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/scope.h"

enum
{
    AEAD_KEY_SIZE = 32,
    AEAD_NONCE_SIZE = 12,
    AEAD_TAG_SIZE = 16
};

struct aead;
/* A context that seals, or one that opens; the key is copied into OpenSSL's schedule. */
enum cpam_status aead_new(const uint8_t key[AEAD_KEY_SIZE], int seals, struct aead **out,
                          struct cpam_err *err) CPAM_CHECK;
void aead_free(struct aead *aead);
CPAM_SCOPED(aead_free, struct aead);

/* out may be data itself.  size 0 with additional data is GMAC. */
enum cpam_status aead_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE],
                           const void *additional, size_t additional_size, const void *data,
                           size_t size, void *out, uint8_t tag[AEAD_TAG_SIZE],
                           struct cpam_err *err) CPAM_CHECK;
/* CPAM_CORRUPT when the tag does not match; out is then wiped. */
enum cpam_status aead_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE],
                           const void *additional, size_t additional_size, const void *data,
                           size_t size, const uint8_t tag[AEAD_TAG_SIZE], void *out,
                           struct cpam_err *err) CPAM_CHECK;

#endif
