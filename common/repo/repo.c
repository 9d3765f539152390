/*
 * repo.c - opening a repository: its identity first, everything else on top of it.
 *
 * repo.json says which repository this is; until its signature (or HMAC) holds under the UUID it
 * claims, nothing else in the store is looked at.  What it says about sealing is held against the
 * configuration and never replaces it: policy does not come from the repository (format-1.md
 * fault 20).
 */
#include "repo/repo.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "repo/authentic.h"
#include "repo/layout.h"
#include "repo/record.h"
#include "repo/repo_known.h"

enum
{
    CLUSTER_NAME_MAX = 65
};

struct repo
{
    struct io *io;
    struct repo_settings settings; /* its texts are the caller's */
    struct store *store;
    struct deadline deadline; /* of what is opened, here and by repo_another() */
    struct keyring *keyring;  /* the caller's */
    struct seal_session *session;
    struct object_opener *opener;
    struct repo_known *known; /* shared with every repo_another() */
};

struct identity
{
    char uuid_text[TEXT_UUID_MAX];
    uint8_t uuid[16];
    char cluster[CLUSTER_NAME_MAX];
    bool sealed;
};

/* What the text claims; believed by nobody before keyring_verify_json. */
static enum cpam_status
identity_parse(const void *text, size_t size, struct identity *out, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;

    CPAM_TRY(json_read(LAYOUT_IDENTITY, text, size, RECORD_MAX, &body, err));
    const json_t *format = json_object_get(body, "format");
    const char *uuid = json_string_value(json_object_get(body, "repo"));
    const char *cluster = json_string_value(json_object_get(body, "cluster"));

    if (!json_is_integer(format) || json_integer_value(format) != RECORD_FORMAT)
        return cpam_fail(err, CPAM_INVALID, 0,
                         LAYOUT_IDENTITY
                         " is of another format than %d, the one this program knows",
                         RECORD_FORMAT);
    if (uuid == NULL || cluster == NULL || strlen(cluster) >= sizeof(out->cluster))
        return cpam_fail(err, CPAM_CORRUPT, 0, LAYOUT_IDENTITY " names no repository and cluster");
    CPAM_TRY(text_parse_uuid(uuid, out->uuid, err));
    snprintf(out->uuid_text, sizeof(out->uuid_text), "%s", uuid);
    snprintf(out->cluster, sizeof(out->cluster), "%s", cluster);
    out->sealed = json_is_true(json_object_get(body, "sealed"));
    return CPAM_OK;
}

struct identity_check
{
    struct keyring *keyring;
    struct identity *identity;
};

static enum cpam_status
identity_check(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    const struct identity_check *check = arg;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf plain = {0};

    CPAM_TRY(identity_parse(data, size, check->identity, err));
    CPAM_TRY(keyring_bind(check->keyring, check->identity->uuid, err));
    CPAM_TRY(keyring_verify_json(check->keyring, LAYOUT_IDENTITY, data, size, &plain, err));
    /* again, from what was authenticated */
    return identity_parse(plain.data, plain.size, check->identity, err);
}

static enum cpam_status
policy_check(const struct repo *repo, const struct identity *identity, struct cpam_err *err)
{
    if (identity->sealed == keyring_sealed(repo->keyring))
        return CPAM_OK;
    cpam_fail(err, CPAM_USAGE, 0, "the repository was made %s encryption, but the configuration %s",
              identity->sealed ? "with" : "without",
              identity->sealed ? "says \"encryption: none\"" : "names keys to encrypt with");
    cpam_err_hint(err, "correct the \"encryption\" section, or use another repository");
    return err->status;
}

static enum cpam_status
repo_new(struct io *io, const struct repo_settings *settings, struct keyring *keyring,
         struct deadline deadline, struct repo **out, struct cpam_err *err)
{
    CPAM_AUTO(repo_free) struct repo *repo = calloc(1, sizeof(*repo));

    if (repo == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to open a repository");
    CPAM_TRY(repo_known_new(&repo->known, err));
    repo->io = io;
    repo->settings = *settings;
    repo->keyring = keyring;
    CPAM_TRY(settings->opener->open(settings->opener, &repo->store, err));
    repo->store->deadline = deadline_sooner(repo->store->deadline, deadline);
    repo->deadline = repo->store->deadline;
    *out = CPAM_STEAL(repo);
    return CPAM_OK;
}

static enum cpam_status
prefixed(enum cpam_status status, const struct repo_settings *settings, struct cpam_err *err)
{
    if (status != CPAM_OK)
        cpam_err_prefix(err, "repository \"%s\"", settings->name);
    return status;
}

static enum cpam_status
open_proven(struct io *io, const struct repo_settings *settings, struct keyring *keyring,
            struct deadline deadline, struct repo **out, struct cpam_err *err)
{
    CPAM_AUTO(repo_free) struct repo *repo = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct identity identity;
    struct identity_check check = {keyring, &identity};
    struct store_info info;
    enum cpam_status status;

    CPAM_TRY(repo_new(io, settings, keyring, deadline, &repo, err));
    status = authentic_get(repo->store, LAYOUT_IDENTITY, NULL, RECORD_MAX, identity_check, &check,
                           &text, &info, err);
    if (status == CPAM_NOT_FOUND)
    {
        cpam_fail(err, CPAM_NOT_FOUND, 0, "there is no repository of cluster \"%s\" at \"%s\"",
                  settings->cluster, repo->store->url);
        cpam_err_hint(err, "make it with: cpam-repo create --repo %s", settings->name);
    }
    if (status != CPAM_OK)
        return status;
    CPAM_TRY(policy_check(repo, &identity, err));
    CPAM_TRY(repo_known_identity(repo->known, text.data, text.size, err));
    /* a cluster may be renamed with its folder; the UUID is what counts */
    if (strcmp(identity.cluster, settings->cluster) != 0)
        cpam_log(LOG_INFO, "repository \"%s\" was made for cluster \"%s\"", settings->name,
                 identity.cluster);
    *out = CPAM_STEAL(repo);
    return CPAM_OK;
}

enum cpam_status
repo_open(struct io *io, const struct repo_settings *settings, struct keyring *keyring,
          struct deadline deadline, struct repo **out, struct cpam_err *err)
{
    *out = NULL;
    return prefixed(open_proven(io, settings, keyring, deadline, out, err), settings, err);
}

enum cpam_status
repo_another(struct repo *repo, struct repo **out, struct cpam_err *err)
{
    enum cpam_status status;

    *out = NULL;
    status = repo_new(repo->io, &repo->settings, repo->keyring, repo->deadline, out, err);
    if (status != CPAM_OK)
        return prefixed(status, &repo->settings, err);
    repo_known_free((*out)->known);
    (*out)->known = repo_known_share(repo->known);
    store_share((*out)->store, repo->store);
    return CPAM_OK;
}

static enum cpam_status
uuid_new(struct io *io, uint8_t uuid[16], struct cpam_err *err)
{
    if (io->ops->random(io, uuid, 16) != 0)
        return cpam_fail(err, CPAM_IO, 0, "no random bytes for the repository's UUID");
    uuid[6] = (uint8_t) ((uuid[6] & 0x0f) | 0x40); /* RFC 9562: version 4, variant 10 */
    uuid[8] = (uint8_t) ((uuid[8] & 0x3f) | 0x80);
    return CPAM_OK;
}

static enum cpam_status
identity_make(struct repo *repo, const uint8_t uuid[16], struct cpam_buf *text,
              struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    bool failed = false;

    CPAM_TRY(keyring_bind(repo->keyring, uuid, err));
    CPAM_TRY(record_new(repo, &body, err));
    record_set(body, &failed, "cluster", json_string(repo->settings.cluster));
    record_set(body, &failed, "block_size", json_integer(8192));
    record_set(body, &failed, "sealed", json_boolean(keyring_sealed(repo->keyring)));
    record_set_time(body, &failed, "created", repo->io->ops->now(repo->io));
    CPAM_TRY(record_made(LAYOUT_IDENTITY, failed, err));
    return record_sign(repo, LAYOUT_IDENTITY, body, text, err);
}

/* CPAM_EXISTS with what is there; CPAM_OK when nothing is. */
static enum cpam_status
identity_absent(struct repo *repo, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct identity identity;
    enum cpam_status status =
        store_get_buf(repo->store, LAYOUT_IDENTITY, NULL, NULL, &text, RECORD_MAX, NULL, err);

    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    if (status != CPAM_OK)
        return status;
    if (identity_parse(text.data, text.size, &identity, err) != CPAM_OK)
        return cpam_fail(err, CPAM_EXISTS, 0,
                         "there is a " LAYOUT_IDENTITY " at \"%s\" already, and it makes no sense",
                         repo->store->url);
    return cpam_fail(err, CPAM_EXISTS, 0,
                     "there is a repository at \"%s\" already: %s, of cluster \"%s\"",
                     repo->store->url, identity.uuid_text, identity.cluster);
}

static enum cpam_status
create_new(struct repo *repo, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    uint8_t uuid[16];

    CPAM_TRY(store_prepare(repo->store, err));
    CPAM_TRY(identity_absent(repo, err));
    CPAM_TRY(uuid_new(repo->io, uuid, err));
    CPAM_TRY(identity_make(repo, uuid, &text, err));
    enum cpam_status status =
        store_put_new(repo->store, LAYOUT_IDENTITY, text.data, text.size, STORE_CLASS_META, err);
    if (status != CPAM_EXISTS)
        return status;
    /* somebody was faster, or the answer to our own request was lost: the bytes tell */
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf stored = {0};
    CPAM_TRY(
        store_get_buf(repo->store, LAYOUT_IDENTITY, NULL, NULL, &stored, RECORD_MAX, NULL, err));
    if (stored.size == text.size && memcmp(stored.data, text.data, text.size) == 0)
        return CPAM_OK;
    CPAM_TRY(identity_absent(repo, err));
    return cpam_fail(err, CPAM_EXISTS, 0, "another repository was made at \"%s\" just now",
                     repo->store->url);
}

enum cpam_status
repo_create(struct io *io, const struct repo_settings *settings, struct keyring *keyring,
            struct cpam_err *err)
{
    CPAM_AUTO(repo_free) struct repo *repo = NULL;
    enum cpam_status status;

    status = repo_new(io, settings, keyring, (struct deadline){0}, &repo, err);
    if (status == CPAM_OK)
        status = create_new(repo, err);
    return prefixed(status, settings, err);
}

void
repo_free(struct repo *repo)
{
    if (repo == NULL)
        return;
    object_opener_free(repo->opener);
    seal_session_free(repo->session);
    store_free(repo->store);
    repo_known_free(repo->known);
    free(repo);
}

struct io *
repo_io(struct repo *repo)
{
    return repo->io;
}

struct store *
repo_store(struct repo *repo)
{
    return repo->store;
}

struct repo_known *
repo_known_of(struct repo *repo)
{
    return repo->known;
}

struct keyring *
repo_keyring(struct repo *repo)
{
    return repo->keyring;
}

struct seal_session *
repo_session(struct repo *repo)
{
    return repo->session;
}

enum cpam_status
repo_seal(struct repo *repo, struct seal_session **out, struct cpam_err *err)
{
    if (repo->session == NULL)
        CPAM_TRY(seal_session_new(repo->io, repo->keyring, &repo->session, err));
    *out = repo->session;
    return CPAM_OK;
}

enum cpam_status
repo_opener(struct repo *repo, struct object_opener **out, struct cpam_err *err)
{
    if (repo->opener == NULL)
        CPAM_TRY(object_opener_new(repo->io, repo->keyring, &repo->opener, err));
    *out = repo->opener;
    return CPAM_OK;
}

const char *
repo_name(const struct repo *repo)
{
    return repo->settings.name;
}

const char *
repo_cluster(const struct repo *repo)
{
    return repo->settings.cluster;
}

const struct repo_settings *
repo_settings(const struct repo *repo)
{
    return &repo->settings;
}
