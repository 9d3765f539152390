/*
 * passphrase.h - a passphrase is a keyfile whose 32 bytes are
 * scrypt(passphrase, repository UUID, N = 2^17, r = 8, p = 1).
 *
 * Deriving takes 128 MiB and a third of a second, too much for every segment: the key is kept in
 * state_dir, 0600, with the identity (device, inode, size, change time) of the passphrase file it
 * was derived from; a file that has changed since is derived anew.  A state directory that can't be
 * written costs time only.
 */
#ifndef CPAM_CRYPTO_PASSPHRASE_H
#define CPAM_CRYPTO_PASSPHRASE_H

#include "crypto/secret.h"

/* `passphrase` was read from path; state_dir may be NULL. */
enum cpam_status passphrase_key(struct io *io, const char *path, const struct secret *passphrase,
                                const uint8_t uuid[16], const char *state_dir, struct secret **out,
                                struct cpam_err *err) CPAM_CHECK;

#endif
