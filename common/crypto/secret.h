/*
 * secret.h - bytes that must not become text.
 *
 * A secret is made from a file, the environment, random, or a KDF; it is wiped when freed, lives in
 * memory that core dumps leave out (MADV_DONTDUMP, and secrets_protect_process() turns dumps off),
 * is compared in constant time, and has no printf form.
 */
#ifndef CPAM_CRYPTO_SECRET_H
#define CPAM_CRYPTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/scope.h"
#include "io/io.h"

enum
{
    SECRET_MAX = 4096 /* bytes */
};

struct secret;

/* A copy of size bytes (1..SECRET_MAX); the caller wipes its own. */
enum cpam_status secret_new(const void *data, size_t size, struct secret **out,
                            struct cpam_err *err) CPAM_CHECK;
enum cpam_status secret_random(struct io *io, size_t size, struct secret **out,
                               struct cpam_err *err) CPAM_CHECK;
/*
 * The file's bytes less one final LF.  Refused (CPAM_USAGE, with the chmod that mends it) when
 * fstat on the open descriptor shows group or other permission bits, a file that is not regular, or
 * an owner other than root or the effective user.
 */
enum cpam_status secret_read_file(struct io *io, const char *path, struct secret **out,
                                  struct cpam_err *err) CPAM_CHECK;
const uint8_t *secret_data(const struct secret *secret);
size_t secret_size(const struct secret *secret);
bool secret_equal(const struct secret *a, const struct secret *b);
void secret_free(struct secret *secret);
CPAM_SCOPED(secret_free, struct secret);

/* No core dumps of this process (prctl, RLIMIT_CORE); called first thing by every program. */
void secrets_protect_process(void);

#endif
