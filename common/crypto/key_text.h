/*
 * key_text.h - keys as one word of text, with a checksum (docs/format.md, "Key texts").
 *
 * prefix || lower-case base32 without padding of (type || key || first 4 of
 * SHA-256(prefix || type || key)).  Reading folds case and refuses spare bits that are not zero.
 * No error ever shows the text of a secret key.
 */
#ifndef CPAM_CRYPTO_KEY_TEXT_H
#define CPAM_CRYPTO_KEY_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum
{
    KEY_TEXT_KEY_SIZE = 32, /* bytes of every kind that is built so far */
    KEY_TEXT_MAX = 80       /* bytes with the NUL */
};

enum key_text_kind
{
    KEY_TEXT_X25519_PUBLIC, /* cpam1pub, type 1 */
    KEY_TEXT_X25519_SECRET, /* cpam1sec, type 1 */
    KEY_TEXT_WRITER_PUBLIC, /* cpam1wpub, type 1: Ed25519 */
    KEY_TEXT_WRITER_SECRET, /* cpam1wsec, type 1 */
    KEY_TEXT_KEYFILE,       /* cpam1key, type 5 */
    KEY_TEXT_COUNT
};

/* "an x25519 private key", ... */
const char *key_text_kind_name(enum key_text_kind kind);

enum cpam_status key_text_format(enum key_text_kind kind, const uint8_t key[KEY_TEXT_KEY_SIZE],
                                 char out[KEY_TEXT_MAX], struct cpam_err *err) CPAM_CHECK;

/* size bytes of text, all of it the key.  CPAM_USAGE says what it is instead. */
enum cpam_status key_text_parse(enum key_text_kind kind, const char *text, size_t size,
                                uint8_t key[KEY_TEXT_KEY_SIZE], struct cpam_err *err) CPAM_CHECK;

/* Which of the kinds the prefix and type say it is; KEY_TEXT_COUNT: none. */
enum key_text_kind key_text_kind_of(const char *text, size_t size);

#endif
