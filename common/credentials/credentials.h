/*
 * credentials.h - who signs the requests to a store.
 *
 * Sources are tried in a fixed order, and the first that has something decides: half a credential
 * (an access key id without its secret) is an error there and then, never passed over, since going
 * on would sign as somebody else.  The secrets live in struct secret; an access key id is a name.
 *
 * Sources built: static (configuration), environment, shared files.  Web identity,
 * credential_process, container and instance metadata are known by name: where their environment
 * says that they are meant, the error says that this version can't use them yet.
 */
#ifndef CPAM_CREDENTIALS_CREDENTIALS_H
#define CPAM_CREDENTIALS_CREDENTIALS_H

#include "base/err.h"
#include "base/scope.h"
#include "crypto/secret.h"
#include "io/io.h"

enum
{
    CREDENTIALS_ID_MAX = 128,        /* bytes of an access key id */
    CREDENTIALS_FILE_MAX = 256 << 10 /* of a shared credentials file */
};

struct credentials
{
    char *access_key_id;
    struct secret *secret_key;
    struct secret *session_token; /* NULL: none */
    char *source;                 /* where it came from, for messages */
};

/* From the configuration.  secret_access_key is the value itself, or "@/path" of a file that only
   its owner reads. */
enum cpam_status credentials_static(struct io *io, const char *access_key_id,
                                    const char *secret_access_key, struct credentials **out,
                                    struct cpam_err *err) CPAM_CHECK;

/* CPAM_NOT_FOUND when the source has nothing; *err says what was looked at. */
enum cpam_status credentials_environment(struct io *io, struct credentials **out,
                                         struct cpam_err *err) CPAM_CHECK;
enum cpam_status credentials_shared_file(struct io *io, struct credentials **out,
                                         struct cpam_err *err) CPAM_CHECK;

/* Environment, then shared files.  CPAM_REFUSED when none has anything: the sentence lists what was
   looked at. */
enum cpam_status credentials_auto(struct io *io, struct credentials **out,
                                  struct cpam_err *err) CPAM_CHECK;

/* For the sources: copies its arguments; refuses what can't be in a header (CPAM_USAGE). */
enum cpam_status credentials_new(const char *access_key_id, const void *secret, size_t secret_size,
                                 const void *token, size_t token_size, const char *source,
                                 struct credentials **out, struct cpam_err *err) CPAM_CHECK;
void credentials_free(struct credentials *credentials);
CPAM_SCOPED(credentials_free, struct credentials);

#endif
