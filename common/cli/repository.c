/*
 * repository.c - keyring, opener and repo of one entry of `repositories`.
 *
 * The URL's scheme chooses the store, by the table below.  Credentials are looked up for each store
 * that is opened (each worker has its own), so that a long backup does not go on with what has been
 * replaced since.
 */
#include "cli/repository.h"

#include <string.h>

#include "base/text.h"
#include "http/client.h"
#include "store/dir_store.h"
#include "store/s3_store.h"

enum
{
    URL_MAX = 4096,
    PATIENCE = 300000000 /* us one operation may take with its retries, in a command without a
                            sooner deadline */
};

/* From when a full backup is due to the end of an incremental one begun just before: BACKUP_TIME_MAX,
   and what clocks and retries may add. */
#define LOCK_MARGIN (INT64_C(7) * 24 * 3600 * 1000000) /* us */

struct repository
{
    struct io *io;
    const struct settings *settings;
    const struct repository_settings *which;
    struct deadline deadline;
    struct pace *own_send, *receive; /* repositories[].bandwidth, or NULL */
    struct repository_purpose purpose;
    struct store_opener opener;
    struct repo_settings repo_settings;
    struct keyring *keyring;
    struct repo *repo;
};

/* --- URL schemes ---------------------------------------------------------------------------- */

/* What all stores of one repository share. */
struct limits
{
    struct pace *send, *receive; /* NULL: none */
    unsigned senders;            /* as in struct repository_purpose */
    bool one_file;               /* likewise */
};

/* rest: what stands behind "scheme://", without slashes at its end. */
typedef enum cpam_status (*scheme_open)(struct io *io, const struct repository_settings *which,
                                        const struct limits *limits, const char *rest,
                                        const struct settings *settings, struct store **out,
                                        struct cpam_err *err);

static enum cpam_status
text_of(struct cpam_buf *buf, const char **out, struct cpam_err *err)
{
    *out = cpam_buf_text(buf);
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a repository's url");
    return CPAM_OK;
}

static enum cpam_status
open_directory(struct io *io, const struct repository_settings *which, const struct limits *limits,
               const char *rest, const struct settings *settings, struct store **out,
               struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf root = {0};
    const char *path;

    if (settings->as_of != 0)
        return cpam_fail(
            err, CPAM_REFUSED, 0,
            "--as-of needs a bucket that keeps versions: the directory \"%s\" does not "
            "know what was in it before",
            rest);
    if (rest[0] != '/')
        return cpam_fail(err, CPAM_USAGE, 0,
                         "\"%s\" names no absolute path: it must begin with \"file:///\"",
                         which->url);
    CPAM_TRY(cpam_buf_printf(&root, URL_MAX, err, "%s/%s", rest, settings->cluster));
    CPAM_TRY(text_of(&root, &path, err));
    CPAM_TRY(dir_store_open(io, path, out, err));
    (*out)->send = limits->send;
    return CPAM_OK;
}

static enum cpam_status
find_credentials(struct io *io, const struct repository_settings *which, struct credentials **out,
                 struct cpam_err *err)
{
    if (which->credentials == CREDENTIALS_STATIC)
        return credentials_static(io, which->access_key_id, which->secret_access_key, out, err);
    return credentials_auto(io, out, err);
}

/*
 * A pack is used by later backups until the next full one, which are to be locked as long as any other
 * (format-1.md fault 6).  How late the last of them may end is known when the pack is put.
 */
static int64_t
locked_longer(const struct settings *settings)
{
    return strcmp(settings->base.mode, "full") == 0 ? 0 : settings->base.full_every + LOCK_MARGIN;
}

static enum cpam_status
open_bucket(struct io *io, const struct repository_settings *which, const struct limits *limits,
            const char *rest, const struct settings *settings, struct store **out,
            struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf bucket = {0}, prefix = {0};
    CPAM_AUTO(http_free) struct http *http = NULL;
    CPAM_AUTO(credentials_free) struct credentials *credentials = NULL;
    const struct http_options options = {
        .ca_file = which->ca_file, .send = limits->send, .receive = limits->receive};
    size_t bucket_size = strcspn(rest, "/");
    const char *folder = rest[bucket_size] == '/' ? rest + bucket_size + 1 : "";
    struct s3_store_settings bucket_settings = {
        .s3 = {.region = which->region,
               .endpoint = which->endpoint,
               .addressing = which->addressing,
               .expected_bucket_owner = which->expected_bucket_owner,
               .server_side_encryption = which->server_side_encryption,
               .kms_key = which->kms_key,
               .lock_mode = which->lock_mode,
               .lock_us = which->lock_us},
        .class_base = which->class_base,
        .class_wal = which->class_wal,
        .lock_more_base = locked_longer(settings),
        .max_parts = which->max_parts,
        .parts_dir = settings->state,
        .one_file = limits->one_file,
        .as_of = settings->as_of};

    CPAM_TRY(cpam_buf_append(&bucket, rest, bucket_size, URL_MAX, err));
    CPAM_TRY(cpam_buf_printf(&prefix, URL_MAX, err, "%s%s%s", folder, folder[0] != '\0' ? "/" : "",
                             settings->cluster));
    CPAM_TRY(text_of(&bucket, &bucket_settings.s3.bucket, err));
    CPAM_TRY(text_of(&prefix, &bucket_settings.prefix, err));
    CPAM_TRY(find_credentials(io, which, &credentials, err));
    CPAM_TRY(http_client_new(io, &options, &http, err));
    CPAM_TRY(s3_store_open(io, &bucket_settings, http, credentials, out, err));
    http = NULL; /* both are the store's now */
    credentials = NULL;
    return CPAM_OK;
}

static const struct
{
    const char *scheme;
    scheme_open open;
} schemes[] = {
    {"file://", open_directory},
    {"s3://", open_bucket},
};

static enum cpam_status
open_url(struct io *io, const struct settings *settings, const struct repository_settings *which,
         const struct limits *limits, struct store **out, struct cpam_err *err)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
    {
        size_t size = strlen(schemes[i].scheme);

        if (strncmp(which->url, schemes[i].scheme, size) != 0)
            continue;
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf rest = {0};
        const char *text;
        size_t rest_size = strlen(which->url + size);

        while (rest_size > 1 && which->url[size + rest_size - 1] == '/')
            rest_size--;
        CPAM_TRY(cpam_buf_append(&rest, which->url + size, rest_size, URL_MAX, err));
        CPAM_TRY(text_of(&rest, &text, err));
        return schemes[i].open(io, which, limits, text, settings, out, err);
    }
    cpam_fail(err, CPAM_USAGE, 0, "\"%s\" is not the url of a repository", which->url);
    cpam_err_hint(err, "it is file:///absolute/path or s3://bucket/folder (line %u of %s)",
                  which->line, settings->file);
    return CPAM_USAGE;
}

/* An operation held up by a limit needs the time that its share of the rate takes it. */
static int64_t
patience(const struct settings *settings, const struct limits *limits)
{
    uint64_t rate = pace_rate(limits->send);
    uint64_t senders = limits->senders != 0 ? limits->senders : settings->base.workers;
    uint64_t waiting = settings->base.pack_size * (senders + 1);

    return PATIENCE + (rate == 0 ? 0 : (int64_t) (waiting / rate) * 1000000);
}

static enum cpam_status
open_store(struct io *io, const struct settings *settings, const struct repository_settings *which,
           const struct limits *limits, struct deadline deadline, struct store **out,
           struct cpam_err *err)
{
    CPAM_TRY(open_url(io, settings, which, limits, out, err));
    (*out)->deadline = deadline;
    (*out)->patience = patience(settings, limits);
    return CPAM_OK;
}

enum cpam_status
repository_store_open(struct io *io, const struct settings *settings,
                      const struct repository_settings *which, struct deadline deadline,
                      struct store **out, struct cpam_err *err)
{
    return open_store(io, settings, which, &(struct limits){0}, deadline, out, err);
}

/* --- repositories --------------------------------------------------------------------------- */

static enum cpam_status
opener_open(const struct store_opener *opener, struct store **out, struct cpam_err *err)
{
    const struct repository *repository = opener->arg;
    const struct limits limits = {.send = repository->own_send != NULL ? repository->own_send
                                                                       : repository->purpose.send,
                                  .receive = repository->receive,
                                  .senders = repository->purpose.senders,
                                  .one_file = repository->purpose.one_file};

    return open_store(repository->io, repository->settings, repository->which, &limits,
                      repository->deadline, out, err);
}

enum cpam_status
repository_open_new(struct io *io, const struct settings *settings,
                    const struct repository_settings *which, struct repository_purpose purpose,
                    struct deadline deadline, struct repository **out, struct cpam_err *err)
{
    CPAM_AUTO(repository_free) struct repository *repository = calloc(1, sizeof(*repository));

    if (repository == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a repository");
    repository->io = io;
    repository->settings = settings;
    repository->which = which;
    repository->deadline = deadline;
    repository->purpose = purpose;
    if (which->bandwidth > 0)
    {
        CPAM_TRY(pace_new(io, which->bandwidth, purpose.send, &repository->own_send, err));
        CPAM_TRY(pace_new(io, which->bandwidth, NULL, &repository->receive, err));
    }
    repository->opener = (struct store_opener){.open = opener_open, .arg = repository};
    repository->repo_settings = (struct repo_settings){.name = which->name,
                                                       .cluster = settings->cluster,
                                                       .required = which->required,
                                                       .opener = &repository->opener,
                                                       .wal_codec = settings->wal_codec.codec,
                                                       .base_codec = settings->base_codec.codec,
                                                       .wal_level = settings->wal_codec.level,
                                                       .base_level = settings->base_codec.level,
                                                       .spool = settings->wal.spool,
                                                       .state = settings->state};
    CPAM_TRY(keyring_new(io, &settings->encryption, purpose.for_write, purpose.for_read,
                         &repository->keyring, err));
    *out = CPAM_STEAL(repository);
    return CPAM_OK;
}

enum cpam_status
repository_open(struct io *io, const struct settings *settings,
                const struct repository_settings *which, struct repository_purpose purpose,
                struct deadline deadline, struct repository **out, struct cpam_err *err)
{
    CPAM_AUTO(repository_free) struct repository *repository = NULL;

    CPAM_TRY(repository_open_new(io, settings, which, purpose, deadline, &repository, err));
    CPAM_TRY(repo_open(io, &repository->repo_settings, repository->keyring, deadline,
                       &repository->repo, err));
    *out = CPAM_STEAL(repository);
    return CPAM_OK;
}

struct repo *
repository_repo(struct repository *repository)
{
    return repository->repo;
}

struct keyring *
repository_keyring(struct repository *repository)
{
    return repository->keyring;
}

const struct repo_settings *
repository_repo_settings(const struct repository *repository)
{
    return &repository->repo_settings;
}

void
repository_free(struct repository *repository)
{
    if (repository == NULL)
        return;
    repo_free(repository->repo);
    keyring_free(repository->keyring);
    pace_free(repository->own_send);
    pace_free(repository->receive);
    free(repository);
}
