/*
 * aead.c - one EVP context a key; each call only sets the nonce.
 */
#include "crypto/aead.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "crypto/openssl_err.h"

struct aead
{
    EVP_CIPHER_CTX *context;
};

enum cpam_status
aead_new(const uint8_t key[AEAD_KEY_SIZE], int seals, struct aead **out, struct cpam_err *err)
{
    CPAM_AUTO(aead_free) struct aead *aead = calloc(1, sizeof(*aead));

    if (aead == NULL || (aead->context = EVP_CIPHER_CTX_new()) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for AES-256-GCM");
    if (EVP_CipherInit_ex2(aead->context, EVP_aes_256_gcm(), key, NULL, seals != 0, NULL) != 1)
        return openssl_fail(err, "start AES-256-GCM");
    *out = CPAM_STEAL(aead);
    return CPAM_OK;
}

void
aead_free(struct aead *aead)
{
    if (aead == NULL)
        return;
    EVP_CIPHER_CTX_free(aead->context); /* wipes the key schedule */
    free(aead);
}

/* Nonce, additional data and text: what sealing and opening have in common. */
static int
aead_pass(struct aead *aead, const uint8_t *nonce, const void *additional, size_t additional_size,
          const void *data, size_t size, void *out)
{
    int length;

    if (additional_size > INT_MAX || size > INT_MAX)
        return 0;
    if (EVP_CipherInit_ex2(aead->context, NULL, NULL, nonce, -1, NULL) != 1)
        return 0;
    if (additional_size > 0 &&
        EVP_CipherUpdate(aead->context, NULL, &length, additional, (int) additional_size) != 1)
        return 0;
    return size == 0 || EVP_CipherUpdate(aead->context, out, &length, data, (int) size) == 1;
}

enum cpam_status
aead_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *additional,
          size_t additional_size, const void *data, size_t size, void *out,
          uint8_t tag[AEAD_TAG_SIZE], struct cpam_err *err)
{
    uint8_t none[16];
    int length;

    if (!aead_pass(aead, nonce, additional, additional_size, data, size, out) ||
        EVP_CipherFinal_ex(aead->context, none, &length) != 1 ||
        EVP_CIPHER_CTX_ctrl(aead->context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, tag) != 1)
        return openssl_fail(err, "seal with AES-256-GCM");
    return CPAM_OK;
}

enum cpam_status
aead_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *additional,
          size_t additional_size, const void *data, size_t size, const uint8_t tag[AEAD_TAG_SIZE],
          void *out, struct cpam_err *err)
{
    uint8_t none[16];
    int length;

    if (!aead_pass(aead, nonce, additional, additional_size, data, size, out) ||
        EVP_CIPHER_CTX_ctrl(aead->context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE,
                            (void *) (uintptr_t) tag) != 1)
        return openssl_fail(err, "open with AES-256-GCM");
    if (EVP_CipherFinal_ex(aead->context, none, &length) != 1)
    {
        ERR_clear_error();
        if (size > 0)
            OPENSSL_cleanse(out, size);
        return cpam_fail(err, CPAM_CORRUPT, 0, "the authentication tag does not match");
    }
    return CPAM_OK;
}
