/*
 * key_file.h - files that hold exactly one key: keyfile, writer key, x25519 private key.
 *
 * UTF-8 lines; "#" starts a comment, empty lines are skipped; one line is the key, or, for an
 * x25519 private key, the word "secret" and the key.  Mode and owner as secret_read_file demands.
 */
#ifndef CPAM_CRYPTO_KEY_FILE_H
#define CPAM_CRYPTO_KEY_FILE_H

#include "crypto/key_text.h"
#include "crypto/secret.h"

enum cpam_status key_file_read(struct io *io, const char *path, enum key_text_kind kind,
                               struct secret **out, struct cpam_err *err) CPAM_CHECK;

/* Any secret kind; *kind says which it was. */
enum cpam_status key_file_read_any(struct io *io, const char *path, enum key_text_kind *kind,
                                   struct secret **out, struct cpam_err *err) CPAM_CHECK;

/*
 * A new file, mode 0600, whole or not at all, never over an existing one (CPAM_EXISTS): comment
 * lines (each starting with "#", may be ""), then the key.
 */
enum cpam_status key_file_write(struct io *io, const char *path, enum key_text_kind kind,
                                const struct secret *key, const char *comment,
                                struct cpam_err *err) CPAM_CHECK;

/* What of a key may be shown: the public key's text, or, for a keyfile, its recipient id. */
enum cpam_status key_file_public(enum key_text_kind kind, const struct secret *key,
                                 char out[KEY_TEXT_MAX], struct cpam_err *err) CPAM_CHECK;

#endif
