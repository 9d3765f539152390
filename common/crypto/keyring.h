/*
 * keyring.h - who can open, who signs, whom to believe: the keys one configuration names.
 *
 * format-1.md: section 0 (which recipients need a writer key), 2.3 (stanzas), 2.7 (match key),
 * 2.8 (signed JSON), 2.10 (key texts).  Keyrings are made from the configuration once, before the
 * repository's UUID is known, and bound to a repository with keyring_bind(), which derives what
 * depends on the UUID (scrypt of passphrases, HMAC keys, the match key).
 *
 * After keyring_bind a keyring is read-only and may be used by several threads.
 */
#ifndef CPAM_CRYPTO_KEYRING_H
#define CPAM_CRYPTO_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/scope.h"
#include "io/io.h"

enum
{
    KEYRING_RECIPIENTS_MAX = 16,
    KEYRING_WRITERS_MAX = 64,
    STANZAS_MAX = 8192 /* bytes of all stanzas of an object */
};

enum key_kind
{
    KEY_KEYFILE,    /* path of a keyfile */
    KEY_PASSPHRASE, /* path of a file with the passphrase, from "@/path" */
    KEY_X25519,     /* recipient: cpam1pub... text; identity: path of a private key file */
    KEY_KMS         /* reserved: refused as not built yet */
};

struct key_setting
{
    enum key_kind kind;
    const char *value;
};

/* What the configuration's `encryption` section says; all borrowed during keyring_new. */
struct keyring_settings
{
    bool none; /* `encryption: none` was written */
    const struct key_setting *recipients;
    size_t recipient_count;
    const struct key_setting *identities;
    size_t identity_count;
    const char *writer_key;             /* path, or NULL */
    const char *const *trusted_writers; /* cpam1wpub... */
    size_t trusted_writer_count;
    bool accept_unsigned; /* unsigned: accept */
    const char
        *state_dir; /* where a derived passphrase key is kept, 0600; NULL: derive each time */
};

struct keyring;

/*
 * Reads the key files that are needed for writing and reading.  A file that is absent is an error
 * unless it is only needed for a role the program does not play: `for_write` reads recipients and
 * the writer key, `for_read` identities (writing takes those that are keyfiles or passphrases too, if
 * they are there, to believe what was signed before a key was changed).  A keyfile or passphrase recipient is an identity too.
 * With an x25519 (or any public-key) recipient and no writer key: CPAM_USAGE naming
 * "cpam-keys generate writer FILE".
 */
enum cpam_status keyring_new(struct io *io, const struct keyring_settings *settings, bool for_write,
                             bool for_read, struct keyring **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status keyring_bind(struct keyring *keyring, const uint8_t uuid[16],
                              struct cpam_err *err) CPAM_CHECK;
void keyring_free(struct keyring *keyring);
CPAM_SCOPED(keyring_free, struct keyring);

bool keyring_sealed(const struct keyring *keyring); /* false for `encryption: none` */
bool keyring_signs(const struct keyring *keyring);  /* objects carry a writer signature */
bool keyring_can_open(const struct keyring *keyring);
/* Has everybody for whom the (bound) keyring seals now one of these ids (of stanzas, 8 bytes each)?
   And what the ids are: at most KEYRING_RECIPIENTS_MAX. */
bool keyring_seals_for(const struct keyring *keyring, const uint8_t (*ids)[8], size_t count);
size_t keyring_recipients(const struct keyring *keyring, uint8_t (*ids)[8]);
const uint8_t *keyring_uuid(const struct keyring *keyring);

/*
 * Clear JSON (2.8).  sign: json holds one object "{...}" without the final members; appended are
 * ,"alg":..,"writer":..,"sig":..} LF.  verify: the whole stored text; *body is the JSON as a
 * complete object without the three members (a NUL-terminated text in `out`), only if authentic.
 * Anything else is CPAM_CORRUPT (or CPAM_FOREIGN: signed by a writer that is not trusted), with
 * what was found.  Before keyring_bind of a foreign UUID nothing verifies: repo.json is read by
 * repo_identity, which passes the UUID it claims.
 */
enum cpam_status keyring_sign_json(const struct keyring *keyring, const char *logical_name,
                                   struct cpam_buf *json, struct cpam_err *err) CPAM_CHECK;
enum cpam_status keyring_verify_json(const struct keyring *keyring, const char *logical_name,
                                     const void *text, size_t size, struct cpam_buf *out,
                                     struct cpam_err *err) CPAM_CHECK;

#endif
