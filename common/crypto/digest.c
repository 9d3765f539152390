/*
 * digest.c - SHA-256 and what is built of it.
 */
#include "crypto/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "crypto/openssl_err.h"

struct sha256
{
    EVP_MD_CTX *context;
};

static enum cpam_status
sha256_start(struct sha256 *sha, struct cpam_err *err)
{
    if (EVP_DigestInit_ex2(sha->context, EVP_sha256(), NULL) != 1)
        return openssl_fail(err, "start SHA-256");
    return CPAM_OK;
}

enum cpam_status
sha256_new(struct sha256 **out, struct cpam_err *err)
{
    CPAM_AUTO(sha256_free) struct sha256 *sha = calloc(1, sizeof(*sha));

    if (sha == NULL || (sha->context = EVP_MD_CTX_new()) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for SHA-256");
    CPAM_TRY(sha256_start(sha, err));
    *out = CPAM_STEAL(sha);
    return CPAM_OK;
}

enum cpam_status
sha256_add(struct sha256 *sha, const void *data, size_t size, struct cpam_err *err)
{
    if (EVP_DigestUpdate(sha->context, data, size) != 1)
        return openssl_fail(err, "go on with SHA-256");
    return CPAM_OK;
}

enum cpam_status
sha256_end(struct sha256 *sha, uint8_t out[SHA256_SIZE], struct cpam_err *err)
{
    if (EVP_DigestFinal_ex(sha->context, out, NULL) != 1)
        return openssl_fail(err, "end SHA-256");
    return sha256_start(sha, err);
}

void
sha256_free(struct sha256 *sha)
{
    if (sha == NULL)
        return;
    EVP_MD_CTX_free(sha->context);
    free(sha);
}

enum cpam_status
sha256_of(const void *data, size_t size, uint8_t out[SHA256_SIZE], struct cpam_err *err)
{
    if (EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL) != 1)
        return openssl_fail(err, "make a SHA-256");
    return CPAM_OK;
}

enum cpam_status
hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
            uint8_t out[SHA256_SIZE], struct cpam_err *err)
{
    if (HMAC(EVP_sha256(), key, (int) key_size, data, size, out, NULL) == NULL)
        return openssl_fail(err, "make an HMAC");
    return CPAM_OK;
}

enum cpam_status
hkdf_sha256(const void *ikm, size_t ikm_size, const void *salt, size_t salt_size, const void *info,
            size_t info_size, void *out, size_t out_size, struct cpam_err *err)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[5], *param = params;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    int done = 0;

    /* OSSL_PARAM has no const, and OpenSSL only reads these */
    *param++ = OSSL_PARAM_construct_utf8_string("digest", digest, 0);
    *param++ = OSSL_PARAM_construct_octet_string("key", (void *) (uintptr_t) ikm, ikm_size);
    if (salt_size > 0)
        *param++ = OSSL_PARAM_construct_octet_string("salt", (void *) (uintptr_t) salt, salt_size);
    *param++ = OSSL_PARAM_construct_octet_string("info", (void *) (uintptr_t) info, info_size);
    *param = OSSL_PARAM_construct_end();
    if (context != NULL)
        done = EVP_KDF_derive(context, out, out_size, params);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    if (done != 1)
        return openssl_fail(err, "derive a key");
    return CPAM_OK;
}
