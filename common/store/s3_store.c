/*
 * s3_store.c - struct store over a bucket: keys, puts, reads, listings.
 */
#include <inttypes.h>
#include <string.h>

#include "store/s3_parts.h"

enum cpam_status
s3_store_key(struct s3_store *self, const char *key, const char **out, struct cpam_err *err)
{
    self->key.size = 0;
    CPAM_TRY(cpam_buf_printf(&self->key, S3_STORE_PREFIX_MAX + STORE_KEY_MAX + 2, err, "%s%s",
                             self->prefix, key));
    *out = cpam_buf_text(&self->key);
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a key");
    return CPAM_OK;
}

void
s3_store_class(const struct s3_store *self, enum store_class class, struct s3_put *put)
{
    put->lock = true;
    switch (class)
    {
    case STORE_CLASS_WAL: put->storage_class = self->class_wal; break;
    case STORE_CLASS_BASE:
        put->storage_class = self->class_base;
        put->lock_more = self->lock_more_base;
        break;
    case STORE_CLASS_META: break;
    }
}

static enum cpam_status
put_body(struct s3_store *self, const char *key, const struct http_body *body,
         enum store_class class, struct cpam_err *err)
{
    struct deadline deadline = store_operation_deadline(&self->base);
    struct s3_put put = {.body = *body};
    struct s3_info info;

    s3_store_class(self, class, &put);
    CPAM_TRY(s3_store_key(self, key, &put.key, err));
    CPAM_TRY(s3_put_new(self->s3, &put, deadline, &info, err));
    CPAM_TRY(s3_store_confirm(self, put.key, &info, deadline, err));
    return s3_store_locked(self, &put, &info, deadline, err);
}

static enum cpam_status
s3_store_put_new(struct store *store, const char *key, const void *data, size_t size,
                 enum store_class class, struct cpam_err *err)
{
    const struct http_body body = {.data = data, .fd = -1, .size = size};

    return put_body((struct s3_store *) store, key, &body, class, err);
}

static enum cpam_status
s3_store_put_new_fd(struct store *store, const char *key, int fd, uint64_t size,
                    enum store_class class, struct cpam_err *err)
{
    const struct http_body body = {.fd = fd, .size = size};

    return put_body((struct s3_store *) store, key, &body, class, err);
}

static void
info_to(const struct s3_info *from, struct store_info *to)
{
    to->size = from->size;
    to->modified = from->modified;
    to->locked_until = from->locked_until;
    memcpy(to->version, from->version, sizeof(to->version));
}

enum cpam_status
s3_store_get(struct store *store, const char *key, const char *version,
             const struct store_range *range, struct sink *to, struct store_info *info,
             struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    struct deadline deadline = store_operation_deadline(store);
    struct s3_get get = {.version = version,
                         .offset = range != NULL ? range->offset : 0,
                         .size = range != NULL ? range->size : 0,
                         .to = to};
    struct s3_info found;

    CPAM_TRY(s3_store_key(self, key, &get.key, err));
    enum cpam_status status = s3_get(self->s3, &get, deadline, &found, err);
    if (status == CPAM_NOT_FOUND && version[0] == '\0')
        return s3_store_absent(self, get.key, deadline, err);
    if (status == CPAM_OK)
        info_to(&found, info);
    return status;
}

static enum cpam_status
s3_store_head(struct store *store, const char *key, struct store_info *info, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    struct deadline deadline = store_operation_deadline(store);
    struct s3_info found;
    const char *full;

    CPAM_TRY(s3_store_key(self, key, &full, err));
    enum cpam_status status = s3_head(self->s3, full, NULL, deadline, &found, err);
    if (status == CPAM_NOT_FOUND)
        return s3_store_absent(self, full, deadline, err);
    if (status == CPAM_OK)
        info_to(&found, info);
    return status;
}

/* --- listings ------------------------------------------------------------------------------- */

struct telling
{
    size_t skip; /* bytes of prefix in front of our keys */
    store_list_fn fn;
    void *arg;
};

static enum cpam_status
tell(void *arg, const struct s3_entry *entry, struct cpam_err *err)
{
    const struct telling *telling = arg;
    const struct store_entry told = {.key = entry->key + telling->skip,
                                     .is_prefix = entry->is_prefix,
                                     .size = entry->size,
                                     .modified = entry->modified};

    return telling->fn(telling->arg, &told, err);
}

static enum cpam_status
s3_store_list(struct store *store, const char *prefix, const char *after, bool delimited,
              store_list_fn fn, void *arg, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf full = {0}, full_after = {0};
    struct telling telling = {.skip = strlen(self->prefix), .fn = fn, .arg = arg};
    struct s3_list list = {.delimited = delimited};
    size_t limit = S3_STORE_PREFIX_MAX + STORE_KEY_MAX + 2;

    CPAM_TRY(cpam_buf_printf(&full, limit, err, "%s%s", self->prefix, prefix));
    if (after != NULL)
        CPAM_TRY(cpam_buf_printf(&full_after, limit, err, "%s%s", self->prefix, after));
    list.prefix = cpam_buf_text(&full);
    list.after = after != NULL ? cpam_buf_text(&full_after) : NULL;
    if (list.prefix == NULL || (after != NULL && list.after == NULL))
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a key");
    /* a listing may take as many pages as it likes: patience is for one request, and the whole is
       under the command's deadline */
    return s3_list(self->s3, &list, tell, &telling, store->deadline, err);
}

struct collecting
{
    struct store_version *out;
    size_t cap, count;
};

static enum cpam_status
collect(void *arg, const struct s3_entry *entry, struct cpam_err *err)
{
    struct collecting *collecting = arg;

    if (collecting->count == collecting->cap)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "\"%s\" has more than %zu versions", entry->key,
                         collecting->cap);
    if (strlen(entry->version) >= STORE_VERSION_MAX)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "\"%s\" has a version id that is too long",
                         entry->key);
    struct store_version *to = &collecting->out[collecting->count++];
    *to = (struct store_version){
        .is_marker = entry->is_marker, .size = entry->size, .modified = entry->modified};
    memcpy(to->id, entry->version, strlen(entry->version) + 1);
    return CPAM_OK;
}

/* A bucket without versions: the object itself. */
static enum cpam_status
only_version(struct s3_store *self, const char *full, struct deadline deadline,
             struct store_version *out, size_t cap, size_t *count, struct cpam_err *err)
{
    struct s3_info info;
    enum cpam_status status = s3_head(self->s3, full, NULL, deadline, &info, err);

    *count = 0;
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    if (status != CPAM_OK || cap == 0)
        return status;
    out[0] = (struct store_version){.size = info.size, .modified = info.modified};
    *count = 1;
    return CPAM_OK;
}

void
s3_store_oldest_first(struct store_version *versions, size_t count)
{
    for (size_t i = 0; i < count / 2; i++)
    {
        struct store_version swap = versions[i];

        versions[i] = versions[count - 1 - i];
        versions[count - 1 - i] = swap;
    }
}

static enum cpam_status
s3_store_versions(struct store *store, const char *key, struct store_version *out, size_t cap,
                  size_t *count, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    struct deadline deadline = store_operation_deadline(store);
    struct collecting collecting = {.out = out, .cap = cap};
    bool versioned = false;
    const char *full;

    CPAM_TRY(s3_store_key(self, key, &full, err));
    CPAM_TRY(s3_store_versioned(self, deadline, &versioned, err));
    if (!versioned)
        return only_version(self, full, deadline, out, cap, count, err);
    CPAM_TRY(s3_versions(self->s3, full, collect, &collecting, deadline, err));
    s3_store_oldest_first(out, collecting.count);
    *count = collecting.count;
    return CPAM_OK;
}

static enum cpam_status
s3_store_remove(struct store *store, const char *key, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    const char *full;

    CPAM_TRY(s3_store_key(self, key, &full, err));
    return s3_delete(self->s3, full, NULL, store_operation_deadline(store), err);
}

/* --- opening -------------------------------------------------------------------------------- */

void
s3_store_free(struct store *store)
{
    struct s3_store *self = (struct s3_store *) store;

    s3_free(self->s3);
    cpam_buf_clear(&self->key);
    free(self->prefix);
    free(self->class_base);
    free(self->class_wal);
    free(self->parts_dir);
    free(store->url);
    free(self);
}

static void
s3_store_share(struct store *store, const struct store *with)
{
    struct s3_store *self = (struct s3_store *) store;
    const struct s3_store *other = (const struct s3_store *) with;

    s3_share(self->s3, other->s3);
    self->versioning = other->versioning; /* the other may be in use by its thread */
    self->locks = other->locks;
}

static const struct store_ops s3_store_ops = {.put_new = s3_store_put_new,
                                              .put_new_fd = s3_store_put_new_fd,
                                              .put_stream = s3_store_put_stream,
                                              .get = s3_store_get,
                                              .head = s3_store_head,
                                              .list = s3_store_list,
                                              .versions = s3_store_versions,
                                              .remove = s3_store_remove,
                                              .settle = s3_store_settle,
                                              .refuses_taken = s3_store_refuses_taken,
                                              .prepare = s3_store_prepare,
                                              .share = s3_store_share,
                                              .keeping = s3_store_keeping,
                                              .free = s3_store_free};

static enum cpam_status
joined(char **out, struct cpam_err *err, const char *a, const char *b, const char *c)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    CPAM_TRY(cpam_buf_printf(&text, 1024, err, "%s%s%s", a, b, c));
    *out = strdup(text.size > 0 ? cpam_buf_text(&text) : "");
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a store");
    return CPAM_OK;
}

static enum cpam_status
check_prefix(const char *prefix, struct cpam_err *err)
{
    size_t size = strlen(prefix);

    if (size == 0)
        return CPAM_OK;
    if (size > S3_STORE_PREFIX_MAX)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "the folder \"%s\" in the bucket is too long: %d bytes "
                         "are allowed",
                         prefix, S3_STORE_PREFIX_MAX);
    if (store_key_check(prefix, err) != CPAM_OK)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "the folder \"%s\" in the bucket can only have letters, digits, '.', '_', "
                         "'-' and single slashes",
                         prefix);
    return CPAM_OK;
}

enum cpam_status
s3_store_open(struct io *io, const struct s3_store_settings *settings, struct http *http,
              struct credentials *credentials, struct store **out, struct cpam_err *err)
{
    const char *prefix = settings->prefix != NULL ? settings->prefix : "";
    const char *slash = prefix[0] != '\0' ? "/" : "";
    CPAM_AUTO(free) char *probe = NULL;
    struct s3_settings s3 = settings->s3;

    CPAM_TRY(check_prefix(prefix, err));
    if (settings->s3.bucket == NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "the url names no bucket");
    struct s3_store *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a store");
    self->base.ops = settings->as_of != 0 ? &s3_as_of_ops : &s3_store_ops;
    self->as_of = settings->as_of;
    self->versioning = S3_STORE_NOT_ASKED;
    self->base.io = io;
    self->lock_more_base = settings->lock_more_base;
    self->base.lock_us = settings->s3.lock_mode != NULL ? settings->s3.lock_us : 0;
    self->max_parts = settings->max_parts != 0 ? settings->max_parts : S3_PARTS_MAX;
    CPAM_AUTO(store_free) struct store *owner = &self->base;
    CPAM_TRY(joined(&self->prefix, err, prefix, slash, ""));
    CPAM_TRY(joined(&probe, err, self->prefix, "probe/", ""));
    s3.probe = settings->one_file ? NULL : probe;
    if (settings->class_base != NULL)
        CPAM_TRY(joined(&self->class_base, err, settings->class_base, "", ""));
    if (settings->class_wal != NULL)
        CPAM_TRY(joined(&self->class_wal, err, settings->class_wal, "", ""));
    CPAM_TRY(joined(&self->parts_dir, err,
                    settings->parts_dir != NULL ? settings->parts_dir : "/var/tmp", "", ""));
    CPAM_TRY(joined(&self->base.url, err, "s3://", settings->s3.bucket, ""));
    if (prefix[0] != '\0')
    {
        CPAM_AUTO(free) char *bucket = CPAM_STEAL(self->base.url);

        CPAM_TRY(joined(&self->base.url, err, bucket, slash, prefix));
    }
    /* the last step that can fail: from here on http and credentials are kept */
    CPAM_TRY(s3_open(io, &s3, http, credentials, &self->s3, err));
    *out = CPAM_STEAL(owner);
    return CPAM_OK;
}
