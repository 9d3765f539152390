/*
 * digest.h - SHA-256, HMAC, HKDF over OpenSSL; CRC32C by the CPU.
 */
#ifndef CPAM_CRYPTO_DIGEST_H
#define CPAM_CRYPTO_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/scope.h"

enum
{
    SHA256_SIZE = 32
};

struct sha256;
enum cpam_status sha256_new(struct sha256 **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status sha256_add(struct sha256 *sha, const void *data, size_t size,
                            struct cpam_err *err) CPAM_CHECK;
/* The digest; afterwards the struct starts anew. */
enum cpam_status sha256_end(struct sha256 *sha, uint8_t out[SHA256_SIZE],
                            struct cpam_err *err) CPAM_CHECK;
void sha256_free(struct sha256 *sha);
CPAM_SCOPED(sha256_free, struct sha256);

enum cpam_status sha256_of(const void *data, size_t size, uint8_t out[SHA256_SIZE],
                           struct cpam_err *err) CPAM_CHECK;
enum cpam_status hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                             uint8_t out[SHA256_SIZE], struct cpam_err *err) CPAM_CHECK;
/* RFC 5869 with SHA-256; salt may be empty. */
enum cpam_status hkdf_sha256(const void *ikm, size_t ikm_size, const void *salt, size_t salt_size,
                             const void *info, size_t info_size, void *out, size_t out_size,
                             struct cpam_err *err) CPAM_CHECK;

#endif
