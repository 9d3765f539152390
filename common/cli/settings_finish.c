/*
 * settings_finish.c - the values against each other, and in the form the programs use.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/settings_check.h"
#include "cli/settings_table.h"
#include "cli/yaml_tree.h"

#define DAY_US ((int64_t) 86400 * 1000000)

static const struct
{
    const char *word;
    enum key_kind kind;
} key_kinds[] = {
    {"keyfile", KEY_KEYFILE},
    {"passphrase", KEY_PASSPHRASE},
    {"x25519", KEY_X25519},
    {"kms", KEY_KMS},
};

enum cpam_status
settings_keep_key(struct settings_raw *raw, const char *list, const struct yaml_node *node,
                  struct cpam_err *err)
{
    struct key_setting *keys = NULL;
    size_t *count = NULL;

    if (strcmp(list, "encryption.recipients") == 0)
    {
        keys = raw->recipients;
        count = &raw->recipient_count;
    }
    else if (strcmp(list, "encryption.identities") == 0)
    {
        keys = raw->identities;
        count = &raw->identity_count;
    }
    else
        return CPAM_OK;
    for (size_t i = 0; i < sizeof(key_kinds) / sizeof(key_kinds[0]); i++)
        if (strcmp(node->key, key_kinds[i].word) == 0)
        {
            /* "@/path" of a passphrase: what is kept is the path */
            keys[(*count)++] = (struct key_setting){
                key_kinds[i].kind, node->value + (key_kinds[i].kind == KEY_PASSPHRASE)};
            return CPAM_OK;
        }
    return cpam_fail(err, CPAM_INTERNAL, 0, "no kind of key for \"%s\"", node->key);
}

static enum cpam_status
finish_encryption(struct settings_raw *raw, struct arena *arena, struct cpam_err *err)
{
    const char *file = raw->settings.file;
    struct keyring_settings *keys = &raw->settings.encryption;
    void *copy;

    if (!raw->encryption_written)
    {
        cpam_fail(err, CPAM_USAGE, 0, "%s: the section \"encryption\" is missing", file);
        cpam_err_hint(err, "\"encryption: { recipients: [ { keyfile: /etc/cpam/key } ] }\" seals "
                           "everything with that key; \"encryption: none\" seals nothing");
        return CPAM_USAGE;
    }
    keys->accept_unsigned = strcmp(raw->unsigned_mode, "accept") == 0;
    keys->state_dir = raw->settings.state;
    if (keys->none)
        return CPAM_OK;
    if (raw->recipient_count == 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "%s:%u: encryption needs at least one recipient (or \"encryption: none\")",
                         file, raw->encryption_line);
    bool has_public = false;
    for (size_t i = 0; i < raw->recipient_count; i++)
        has_public = has_public || raw->recipients[i].kind == KEY_X25519 ||
                     raw->recipients[i].kind == KEY_KMS;
    if (has_public && raw->writer_key == NULL && raw->trusted_writers.count == 0)
    {
        /* Anybody can seal to a public key, so a signature must tell ours.  A host that only reads
           names the writers instead; writing without a key is refused by keyring_new. */
        cpam_fail(
            err, CPAM_USAGE, 0,
            "%s:%u: encryption.writer_key is missing: with an x25519 or kms recipient anybody "
            "could write objects that look like this cluster's",
            file, raw->encryption_line);
        cpam_err_hint(err, "make one with \"cpam-keys generate writer /etc/cpam/writer\" and write "
                           "\"writer_key: /etc/cpam/writer\" below encryption");
        return CPAM_USAGE;
    }
    CPAM_TRY(arena_take(arena, sizeof(raw->recipients) + sizeof(raw->identities), &copy, err));
    struct key_setting *at = copy;
    memcpy(at, raw->recipients, sizeof(raw->recipients));
    memcpy(at + KEYRING_RECIPIENTS_MAX, raw->identities, sizeof(raw->identities));
    keys->recipients = at;
    keys->recipient_count = raw->recipient_count;
    keys->identities = at + KEYRING_RECIPIENTS_MAX;
    keys->identity_count = raw->identity_count;
    keys->writer_key = raw->writer_key;
    keys->trusted_writers = raw->trusted_writers.items;
    keys->trusted_writer_count = raw->trusted_writers.count;
    return CPAM_OK;
}

static enum cpam_status
refuse_repository(const struct settings_raw *raw, const struct repository_settings *repository,
                  const char *what, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_USAGE, 0, "%s:%u: repository \"%s\": %s", raw->settings.file,
                     repository->line, repository->name, what);
}

static enum cpam_status
finish_credentials(struct settings_raw *raw, struct repository_raw *from, struct cpam_err *err)
{
    struct repository_settings *to = &from->settings;

    to->credentials =
        strcmp(from->credentials, "static") == 0 ? CREDENTIALS_STATIC : CREDENTIALS_AUTO;
    bool both = to->access_key_id != NULL && to->secret_access_key != NULL;
    bool any = to->access_key_id != NULL || to->secret_access_key != NULL;
    if (to->credentials == CREDENTIALS_STATIC && !both)
        return refuse_repository(
            raw, to, "credentials: static needs access_key_id and secret_access_key", err);
    if (to->credentials == CREDENTIALS_AUTO && any)
        return refuse_repository(
            raw, to, "access_key_id and secret_access_key are used with credentials: static only",
            err);
    return CPAM_OK;
}

/* The url without a slash at its end, so that a key has exactly one between its parts. */
static enum cpam_status
trim_url(struct repository_settings *repository, struct arena *arena, struct cpam_err *err)
{
    size_t length = strlen(repository->url);

    if (repository->url[length - 1] != '/')
        return CPAM_OK;
    return arena_text(arena, repository->url, length - 1, &repository->url, err);
}

static enum cpam_status
finish_repository(struct settings_raw *raw, size_t index, struct arena *arena, struct cpam_err *err)
{
    struct repository_raw *from = &raw->repositories[index];
    struct repository_settings *to = &from->settings;
    char what[160];

    CPAM_TRY(trim_url(to, arena, err));
    for (size_t i = 0; i < index; i++)
    {
        const struct repository_settings *other = &raw->repositories[i].settings;

        if (strcmp(other->name, to->name) == 0)
            return refuse_repository(raw, to, "another repository has the same name", err);
        if (strcmp(other->url, to->url) == 0)
            return refuse_repository(raw, to, "another repository has the same url", err);
    }
    if (strncmp(to->url, "file:", 5) == 0 && from->s3_key != NULL)
    {
        snprintf(what, sizeof(what), "%s has no meaning for a folder (file://)", from->s3_key);
        return refuse_repository(raw, to, what, err);
    }
    bool kms =
        to->server_side_encryption != NULL && strcmp(to->server_side_encryption, "aws:kms") == 0;
    if (to->kms_key != NULL && !kms)
        return refuse_repository(raw, to,
                                 "kms_key is used with server_side_encryption: aws:kms only", err);
    to->lock_us = (int64_t) from->lock_days * DAY_US;
    CPAM_TRY(finish_credentials(raw, from, err));
    raw->settings.repositories[index] = *to;
    return CPAM_OK;
}

static enum cpam_status
finish_codec(struct settings_raw *raw, const char *name, struct codec_setting *out,
             struct cpam_err *err)
{
    int min, max;

    CPAM_TRY(codec_by_name(name, &out->codec, err));
    out->level = (int) raw->level;
    codec_levels(out->codec, &min, &max);
    if (out->codec != CODEC_NONE && (out->level < min || out->level > max))
        return cpam_fail(err, CPAM_USAGE, 0,
                         "%s: compression.level: %d is not one of %s's, %d to %d",
                         raw->settings.file, out->level, name, min, max);
    return CPAM_OK;
}

/* all, any, or a number of the repositories with `required: true`. */
static enum cpam_status
finish_acknowledge(struct settings_raw *raw, unsigned required, struct cpam_err *err)
{
    struct settings *settings = &raw->settings;
    const char *text = settings->wal.acknowledge;
    uint64_t number = required;

    if (strcmp(text, "any") == 0)
        number = 1;
    else if (strcmp(text, "all") != 0)
        CPAM_TRY(text_parse_u64(text, SETTINGS_REPOSITORIES_MAX, &number, err));
    settings->wal.push_needed = (unsigned) number;
    if (number <= required)
        return CPAM_OK;
    cpam_fail(err, CPAM_USAGE, 0,
              "%s: wal.push.acknowledge: %s: only %u of the repositories %s required, so that no "
              "push would ever be durable",
              settings->file, text, required, required == 1 ? "is" : "are");
    cpam_err_hint(err, "write a number up to %u, or \"required: true\" at more repositories",
                  required);
    return CPAM_USAGE;
}

enum cpam_status
settings_finish(struct settings_raw *raw, struct arena *arena, struct cpam_err *err)
{
    unsigned required = 0;

    for (size_t i = 0; i < raw->settings.repository_count; i++)
    {
        CPAM_TRY(finish_repository(raw, i, arena, err));
        required += raw->settings.repositories[i].required;
    }
    if (required == 0)
        return cpam_fail(
            err, CPAM_USAGE, 0,
            "%s: no repository is required, so that nothing pushed would ever be known "
            "to be safe",
            raw->settings.file);
    CPAM_TRY(finish_acknowledge(raw, required, err));
    CPAM_TRY(finish_encryption(raw, arena, err));
    CPAM_TRY(finish_codec(raw, raw->wal_codec, &raw->settings.wal_codec, err));
    CPAM_TRY(finish_codec(raw, raw->base_codec, &raw->settings.base_codec, err));
    raw->settings.wal.push_direct = strcmp(raw->push_mode, "direct") == 0;
    return CPAM_OK;
}
