/*
 * keyring.c - reads the keys a configuration names, and binds them to a repository.
 *
 * Recipients come first in the list of entries, then identities that are not recipients too.
 */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/key_file.h"
#include "crypto/keyring_internal.h"
#include "crypto/passphrase.h"

/* What keyring_new was asked for. */
struct role
{
    bool writes, reads;
};

static enum cpam_status
copy_text(const char *text, char **out, struct cpam_err *err)
{
    *out = strdup(text);
    return *out != NULL ? CPAM_OK : cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a keyring");
}

static enum cpam_status
parse_x25519_public(const char *text, struct key_entry *entry, struct cpam_err *err)
{
    CPAM_TRY(key_text_parse(KEY_TEXT_X25519_PUBLIC, text, strlen(text), entry->public_key, err));
    return stanza_x25519_id(entry->public_key, entry->id, err);
}

/* Reads what the entry's file holds. */
static enum cpam_status
entry_load(struct io *io, const char *path, struct key_entry *entry, struct cpam_err *err)
{
    CPAM_TRY(copy_text(path, &entry->path, err));
    if (entry->kind == KEY_PASSPHRASE)
        return secret_read_file(io, path, &entry->passphrase, err);
    if (entry->kind == KEY_KEYFILE)
    {
        CPAM_TRY(key_file_read(io, path, KEY_TEXT_KEYFILE, &entry->key, err));
        return stanza_keyfile_id(secret_data(entry->key), entry->id, err);
    }
    CPAM_TRY(key_file_read(io, path, KEY_TEXT_X25519_SECRET, &entry->key, err));
    CPAM_TRY(x25519_public(secret_data(entry->key), entry->public_key, err));
    return stanza_x25519_id(entry->public_key, entry->id, err);
}

static void
entry_clear(struct key_entry *entry)
{
    free(entry->path);
    secret_free(entry->passphrase);
    secret_free(entry->key);
    memset(entry, 0, sizeof(*entry));
}

/* CPAM_NOT_FOUND of a key file is a fault of the configuration or the host, with a way out. */
static enum cpam_status
explain_absent(enum cpam_status status, const char *what, struct cpam_err *err)
{
    if (status != CPAM_OK)
        cpam_err_prefix(err, "encryption.%s", what);
    if (status != CPAM_NOT_FOUND)
        return status;
    cpam_err_hint(err, "\"cpam-repo create\" makes the keyfile of a new repository; for one that"
                       " exists, put its key file back in place");
    err->status = CPAM_USAGE;
    return CPAM_USAGE;
}

static enum cpam_status
add_recipient(struct keyring *keyring, const struct keyring_settings *settings,
              const struct key_setting *setting, struct role role, struct cpam_err *err)
{
    struct key_entry *entry = &keyring->entries[keyring->entry_count];
    enum cpam_status status;

    if (setting->kind == KEY_KMS)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "encryption.recipients: kms recipients are not built yet; use keyfile,"
                         " passphrase or x25519");
    *entry = (struct key_entry){.kind = setting->kind, .recipient = true};
    if (setting->kind == KEY_X25519)
        status = parse_x25519_public(setting->value, entry, err);
    else
    {
        entry->identity = true; /* who shares it can open with it */
        status = entry_load(keyring->io, setting->value, entry, err);
        if (status == CPAM_NOT_FOUND && !role.writes && settings->identity_count > 0)
        {
            entry_clear(entry); /* a host that reads with other identities */
            return CPAM_OK;
        }
    }
    keyring->entry_count++; /* from here on keyring_free clears it */
    return explain_absent(status, "recipients", err);
}

static bool
has_file(const struct keyring *keyring, const struct key_setting *setting)
{
    for (size_t at = 0; at < keyring->entry_count; at++)
    {
        if (keyring->entries[at].kind == setting->kind && keyring->entries[at].path != NULL &&
            strcmp(keyring->entries[at].path, setting->value) == 0)
            return true;
    }
    return false;
}

static enum cpam_status
add_identity(struct keyring *keyring, const struct key_setting *setting, struct cpam_err *err)
{
    struct key_entry *entry = &keyring->entries[keyring->entry_count];

    if (setting->kind == KEY_KMS)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "encryption.identities: kms identities are not built yet");
    if (has_file(keyring, setting))
        return CPAM_OK;
    *entry = (struct key_entry){.kind = setting->kind, .identity = true};
    keyring->entry_count++;
    return explain_absent(entry_load(keyring->io, setting->value, entry, err), "identities", err);
}

/*
 * Who only writes opens nothing, but has to believe what was signed with a keyfile or passphrase that
 * was in use before (repo.json, summaries), and to know content again by its older ids.
 */
static enum cpam_status
add_older(struct keyring *keyring, const struct key_setting *setting, struct cpam_err *err)
{
    struct stat stat;

    if ((setting->kind != KEY_KEYFILE && setting->kind != KEY_PASSPHRASE) ||
        keyring->io->ops->stat(keyring->io, AT_FDCWD, setting->value, 0, &stat) != 0)
        return CPAM_OK; /* for reading alone, or kept elsewhere */
    return add_identity(keyring, setting, err);
}

/* Writer id: the first 8 bytes of SHA-256(algorithm || public key). */
static enum cpam_status
writer_id(struct trusted_writer *writer, struct cpam_err *err)
{
    uint8_t text[1 + SIGNATURE_PUBLIC_SIZE] = {AUTHORITY_ED25519}, digest[SHA256_SIZE];

    memcpy(text + 1, writer->public_key, SIGNATURE_PUBLIC_SIZE);
    CPAM_TRY(sha256_of(text, sizeof(text), digest, err));
    memcpy(writer->id, digest, AUTHORITY_WRITER_SIZE);
    return CPAM_OK;
}

/* The writer key: needed for writing; whoever can read it trusts it. */
static enum cpam_status
load_writer(struct keyring *keyring, const char *path, struct role role, struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *seed = NULL;
    enum cpam_status status = key_file_read(keyring->io, path, KEY_TEXT_WRITER_SECRET, &seed, err);

    if (status != CPAM_OK && !role.writes)
        return CPAM_OK; /* a restore host has trusted_writers instead */
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "encryption.writer_key");
        if (status == CPAM_NOT_FOUND)
            cpam_err_hint(err, "make one with: cpam-keys generate writer \"%s\"", path);
        return status == CPAM_NOT_FOUND ? CPAM_USAGE : status;
    }
    CPAM_TRY(signature_public(seed, keyring->own.public_key, err));
    CPAM_TRY(writer_id(&keyring->own, err));
    keyring->trusted[keyring->trusted_count++] = keyring->own;
    if (role.writes)
        keyring->writer = CPAM_STEAL(seed);
    return CPAM_OK;
}

static enum cpam_status
load_trusted(struct keyring *keyring, const struct keyring_settings *settings, struct cpam_err *err)
{
    for (size_t at = 0; at < settings->trusted_writer_count; at++)
    {
        struct trusted_writer *writer = &keyring->trusted[keyring->trusted_count];
        const char *text = settings->trusted_writers[at];
        enum cpam_status status =
            key_text_parse(KEY_TEXT_WRITER_PUBLIC, text, strlen(text), writer->public_key, err);

        if (status != CPAM_OK)
        {
            cpam_err_prefix(err, "encryption.trusted_writers[%zu]", at);
            return status;
        }
        CPAM_TRY(writer_id(writer, err));
        keyring->trusted_count++;
    }
    return CPAM_OK;
}

static bool
has_public_key_recipient(const struct keyring *keyring)
{
    for (size_t at = 0; at < keyring->entry_count; at++)
    {
        if (keyring->entries[at].kind == KEY_X25519)
            return true;
    }
    return false;
}

/* What the keys together must allow. */
static enum cpam_status
check_policy(const struct keyring *keyring, struct role role, struct cpam_err *err)
{
    bool open_to_all = has_public_key_recipient(keyring);

    if (role.writes && open_to_all && keyring->writer == NULL)
    {
        cpam_fail(err, CPAM_USAGE, 0,
                  "encryption.recipients has a public key, with which anybody can seal; so what"
                  " is written must be signed, and encryption.writer_key is not set");
        cpam_err_hint(err, "make one with: cpam-keys generate writer /etc/cpam/writer");
        return CPAM_USAGE;
    }
    if (role.reads && open_to_all && keyring->trusted_count == 0 && !keyring->accept_unsigned)
    {
        cpam_fail(err, CPAM_USAGE, 0,
                  "encryption.trusted_writers is empty: nothing that was sealed for a public key"
                  " can be believed");
        cpam_err_hint(err, "add the cpam1wpub... line that \"cpam-keys public FILE\" prints for"
                           " the database host's writer key");
        return CPAM_USAGE;
    }
    return CPAM_OK;
}

static enum cpam_status
keyring_load(struct keyring *keyring, const struct keyring_settings *settings, struct role role,
             struct cpam_err *err)
{
    if (settings->recipient_count == 0 && role.writes)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "encryption.recipients is empty: nobody could open what is written");
    for (size_t at = 0; at < settings->recipient_count; at++)
        CPAM_TRY(add_recipient(keyring, settings, &settings->recipients[at], role, err));
    for (size_t at = 0; at < settings->identity_count; at++)
    {
        enum cpam_status status = CPAM_OK;

        if (role.reads)
            status = add_identity(keyring, &settings->identities[at], err);
        else
            status = add_older(keyring, &settings->identities[at], err);
        CPAM_TRY(status);
    }
    if (settings->writer_key != NULL)
        CPAM_TRY(load_writer(keyring, settings->writer_key, role, err));
    CPAM_TRY(load_trusted(keyring, settings, err));
    return check_policy(keyring, role, err);
}

enum cpam_status
keyring_new(struct io *io, const struct keyring_settings *settings, bool for_write, bool for_read,
            struct keyring **out, struct cpam_err *err)
{
    CPAM_AUTO(keyring_free) struct keyring *keyring = calloc(1, sizeof(*keyring));
    struct role role = {for_write, for_read};

    if (keyring == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a keyring");
    keyring->io = io;
    keyring->none = settings->none;
    keyring->accept_unsigned = settings->accept_unsigned;
    if (settings->recipient_count > KEYRING_RECIPIENTS_MAX ||
        settings->identity_count > KEYRING_RECIPIENTS_MAX ||
        settings->trusted_writer_count > KEYRING_WRITERS_MAX)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "encryption: at most %d recipients, %d identities and %d trusted writers",
                         KEYRING_RECIPIENTS_MAX, KEYRING_RECIPIENTS_MAX, KEYRING_WRITERS_MAX);
    if (settings->state_dir != NULL)
        CPAM_TRY(copy_text(settings->state_dir, &keyring->state_dir, err));
    if (!keyring->none)
        CPAM_TRY(keyring_load(keyring, settings, role, err));
    *out = CPAM_STEAL(keyring);
    return CPAM_OK;
}

enum cpam_status
keyring_bind(struct keyring *keyring, const uint8_t uuid[16], struct cpam_err *err)
{
    bool again = keyring->bound && memcmp(keyring->uuid, uuid, 16) == 0;

    memcpy(keyring->uuid, uuid, 16);
    for (size_t at = 0; !again && at < keyring->entry_count; at++)
    {
        struct key_entry *entry = &keyring->entries[at];

        if (entry->kind != KEY_PASSPHRASE)
            continue;
        keyring->bound = false; /* until all of them are there */
        secret_free(entry->key);
        entry->key = NULL;
        CPAM_TRY(passphrase_key(keyring->io, entry->path, entry->passphrase, uuid,
                                keyring->state_dir, &entry->key, err));
        CPAM_TRY(stanza_keyfile_id(secret_data(entry->key), entry->id, err));
    }
    keyring->bound = true;
    return CPAM_OK;
}

void
keyring_free(struct keyring *keyring)
{
    if (keyring == NULL)
        return;
    for (size_t at = 0; at < KEYRING_ENTRIES_MAX; at++)
        entry_clear(&keyring->entries[at]);
    secret_free(keyring->writer);
    free(keyring->state_dir);
    free(keyring);
}

size_t
keyring_recipients(const struct keyring *keyring, uint8_t (*ids)[STANZA_ID_SIZE])
{
    size_t count = 0;

    for (size_t at = 0; at < keyring->entry_count && count < KEYRING_RECIPIENTS_MAX; at++)
        if (keyring->entries[at].recipient)
            memcpy(ids[count++], keyring->entries[at].id, STANZA_ID_SIZE);
    return count;
}

bool
keyring_seals_for(const struct keyring *keyring, const uint8_t (*ids)[STANZA_ID_SIZE], size_t count)
{
    uint8_t own[KEYRING_RECIPIENTS_MAX][STANZA_ID_SIZE];
    size_t own_count = keyring_recipients(keyring, own);

    for (size_t i = 0; i < own_count; i++)
    {
        bool found = false;

        for (size_t k = 0; k < count; k++)
            found = found || memcmp(own[i], ids[k], STANZA_ID_SIZE) == 0;
        if (!found)
            return false;
    }
    return true;
}

bool
keyring_sealed(const struct keyring *keyring)
{
    return !keyring->none;
}

bool
keyring_signs(const struct keyring *keyring)
{
    struct authority authority;

    keyring_authority(keyring, &authority);
    return authority.algorithm != AUTHORITY_NONE;
}

bool
keyring_can_open(const struct keyring *keyring)
{
    for (size_t at = 0; at < keyring->entry_count; at++)
    {
        if (keyring->entries[at].identity)
            return true;
    }
    return keyring->none;
}

const uint8_t *
keyring_uuid(const struct keyring *keyring)
{
    return keyring->uuid;
}
