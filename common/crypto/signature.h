/*
 * signature.h - Ed25519 (RFC 8032): sign with a seed, verify with a public key.
 *
 * P-256, the format's other algorithm, is reserved and refused where keys are read.
 */
#ifndef CPAM_CRYPTO_SIGNATURE_H
#define CPAM_CRYPTO_SIGNATURE_H

#include <stdbool.h>

#include "crypto/secret.h"

enum
{
    SIGNATURE_SEED_SIZE = 32,
    SIGNATURE_PUBLIC_SIZE = 32,
    SIGNATURE_SIZE = 64
};

enum cpam_status signature_public(const struct secret *seed, uint8_t out[SIGNATURE_PUBLIC_SIZE],
                                  struct cpam_err *err) CPAM_CHECK;
enum cpam_status signature_make(const struct secret *seed, const void *data, size_t size,
                                uint8_t out[SIGNATURE_SIZE], struct cpam_err *err) CPAM_CHECK;
/* *good is the answer; a failure means that OpenSSL could not tell. */
enum cpam_status signature_check(const uint8_t public_key[SIGNATURE_PUBLIC_SIZE], const void *data,
                                 size_t size, const uint8_t signature[SIGNATURE_SIZE], bool *good,
                                 struct cpam_err *err) CPAM_CHECK;

/* The public half of an X25519 private key, and the shared secret of RFC 7748 (CPAM_CORRUPT when
   it is all zeros, as a point of small order makes it). */
enum cpam_status x25519_public(const uint8_t private_key[32], uint8_t out[32],
                               struct cpam_err *err) CPAM_CHECK;
enum cpam_status x25519_shared(const uint8_t private_key[32], const uint8_t public_key[32],
                               uint8_t out[32], struct cpam_err *err) CPAM_CHECK;

#endif
