/*
 * openssl_err.h - OpenSSL's failures as sentences.
 *
 * The cryptographic calls of this layer fail for want of memory, or because OpenSSL was built or
 * configured without an algorithm; the queue's last reason tells which.
 */
#ifndef CPAM_CRYPTO_OPENSSL_ERR_H
#define CPAM_CRYPTO_OPENSSL_ERR_H

#include <openssl/err.h>

#include "base/err.h"

static inline enum cpam_status
openssl_fail(struct cpam_err *err, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return cpam_fail(err, CPAM_INTERNAL, 0, "OpenSSL could not %s: %s", what,
                     reason != NULL ? reason : "no reason given");
}

#endif
