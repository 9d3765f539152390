/*
 * signature.c - Ed25519 signatures and X25519 agreement over OpenSSL's raw keys.
 */
#include "crypto/signature.h"

#include <openssl/evp.h>
#include <string.h>

#include "crypto/openssl_err.h"

static inline void
pkey_free(EVP_PKEY *key)
{
    EVP_PKEY_free(key);
}
CPAM_SCOPED(pkey_free, EVP_PKEY);

static inline void
md_context_free(EVP_MD_CTX *context)
{
    EVP_MD_CTX_free(context);
}
CPAM_SCOPED(md_context_free, EVP_MD_CTX);

static inline void
pkey_context_free(EVP_PKEY_CTX *context)
{
    EVP_PKEY_CTX_free(context);
}
CPAM_SCOPED(pkey_context_free, EVP_PKEY_CTX);

/* The public half of a raw private key of the given type. */
static enum cpam_status
raw_public(int type, const uint8_t *private_key, uint8_t out[32], struct cpam_err *err)
{
    CPAM_AUTO(pkey_free)
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(type, NULL, private_key, 32);
    size_t size = 32;

    if (key == NULL || EVP_PKEY_get_raw_public_key(key, out, &size) != 1 || size != 32)
        return openssl_fail(err, "make a public key");
    return CPAM_OK;
}

enum cpam_status
signature_public(const struct secret *seed, uint8_t out[SIGNATURE_PUBLIC_SIZE],
                 struct cpam_err *err)
{
    return raw_public(EVP_PKEY_ED25519, secret_data(seed), out, err);
}

enum cpam_status
signature_make(const struct secret *seed, const void *data, size_t size,
               uint8_t out[SIGNATURE_SIZE], struct cpam_err *err)
{
    CPAM_AUTO(pkey_free)
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret_data(seed),
                                                 SIGNATURE_SEED_SIZE);
    CPAM_AUTO(md_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t length = SIGNATURE_SIZE;

    if (key == NULL || context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(context, out, &length, data, size) != 1 || length != SIGNATURE_SIZE)
        return openssl_fail(err, "sign with Ed25519");
    return CPAM_OK;
}

enum cpam_status
signature_check(const uint8_t public_key[SIGNATURE_PUBLIC_SIZE], const void *data, size_t size,
                const uint8_t signature[SIGNATURE_SIZE], bool *good, struct cpam_err *err)
{
    CPAM_AUTO(pkey_free)
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SIGNATURE_PUBLIC_SIZE);
    CPAM_AUTO(md_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (key == NULL || context == NULL || EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1)
        return openssl_fail(err, "check an Ed25519 signature");
    *good = EVP_DigestVerify(context, signature, SIGNATURE_SIZE, data, size) == 1;
    ERR_clear_error();
    return CPAM_OK;
}

enum cpam_status
x25519_public(const uint8_t private_key[32], uint8_t out[32], struct cpam_err *err)
{
    return raw_public(EVP_PKEY_X25519, private_key, out, err);
}

enum cpam_status
x25519_shared(const uint8_t private_key[32], const uint8_t public_key[32], uint8_t out[32],
              struct cpam_err *err)
{
    static const uint8_t zeros[32];
    CPAM_AUTO(pkey_free)
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, 32);
    CPAM_AUTO(pkey_free)
    EVP_PKEY *other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, 32);
    CPAM_AUTO(pkey_context_free)
    EVP_PKEY_CTX *context = own != NULL ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    size_t size = 32;

    if (other == NULL || context == NULL || EVP_PKEY_derive_init(context) != 1)
        return openssl_fail(err, "agree on a key with X25519");
    /* OpenSSL 3.0 checks neither here nor always in derive: compare ourselves */
    if (EVP_PKEY_derive_set_peer(context, other) != 1 ||
        EVP_PKEY_derive(context, out, &size) != 1 || size != 32 ||
        CRYPTO_memcmp(out, zeros, 32) == 0)
    {
        ERR_clear_error();
        return cpam_fail(err, CPAM_CORRUPT, 0, "an X25519 public key has a small order");
    }
    return CPAM_OK;
}
