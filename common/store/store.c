/*
 * store.c - what is the same for every store: keys are checked before they reach one, and small
 * objects are read into memory under a limit.
 */
#include "store/store.h"

#include <string.h>

static bool
key_byte(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

/* Parts of [A-Za-z0-9._-], neither empty nor "." nor ".."; open_end: the last part may be cut off
   anywhere, as in a prefix. */
static bool
parts_valid(const char *text, bool open_end)
{
    for (;;)
    {
        size_t len = 0;

        while (key_byte(text[len]))
            len++;
        if (text[len] == '\0' && open_end)
            return true;
        bool dots = len <= 2 && strncmp(text, "..", len) == 0;
        if (dots || (text[len] != '/' && text[len] != '\0'))
            return false;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
}

enum cpam_status
store_key_check(const char *key, struct cpam_err *err)
{
    if (strlen(key) <= STORE_KEY_MAX && parts_valid(key, false))
        return CPAM_OK;
    return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is not a valid key of a repository", key);
}

enum cpam_status
store_put_new(struct store *store, const char *key, const void *data, size_t size,
              enum store_class class, struct cpam_err *err)
{
    CPAM_TRY(store_key_check(key, err));
    return store->ops->put_new(store, key, data, size, class, err);
}

enum cpam_status
store_put_new_fd(struct store *store, const char *key, int fd, uint64_t size,
                 enum store_class class, struct cpam_err *err)
{
    CPAM_TRY(store_key_check(key, err));
    return store->ops->put_new_fd(store, key, fd, size, class, err);
}

enum cpam_status
store_put_stream(struct store *store, const char *key, enum store_class class, struct sink **out,
                 struct cpam_err *err)
{
    CPAM_TRY(store_key_check(key, err));
    return store->ops->put_stream(store, key, class, out, err);
}

enum cpam_status
store_get(struct store *store, const char *key, const char *version,
          const struct store_range *range, struct sink *to, struct store_info *info,
          struct cpam_err *err)
{
    struct store_info ignored;

    CPAM_TRY(store_key_check(key, err));
    return store->ops->get(store, key, version == NULL ? "" : version, range, to,
                           info == NULL ? &ignored : info, err);
}

/* Takes an object into a buffer; more than the limit is the store's fault, not the caller's. */
struct taking
{
    struct sink base;
    struct cpam_buf *to;
    size_t limit;
    const char *key, *url;
};

static enum cpam_status
take(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct taking *self = (struct taking *) sink;

    if (size > self->limit - self->to->size)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" in %s is larger than the allowed %zu bytes",
                         self->key, self->url, self->limit);
    return cpam_buf_append(self->to, data, size, self->limit, err);
}

enum cpam_status
store_get_buf(struct store *store, const char *key, const char *version,
              const struct store_range *range, struct cpam_buf *to, size_t limit,
              struct store_info *info, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = take}; /* neither finished nor freed */
    struct taking taking = {{&ops, NULL}, to, limit, key, store->url};

    to->size = 0;
    return store_get(store, key, version, range, &taking.base, info, err);
}

enum cpam_status
store_head(struct store *store, const char *key, struct store_info *info, struct cpam_err *err)
{
    CPAM_TRY(store_key_check(key, err));
    return store->ops->head(store, key, info, err);
}

enum cpam_status
store_list(struct store *store, const char *prefix, const char *after, bool delimited,
           store_list_fn fn, void *arg, struct cpam_err *err)
{
    if (strlen(prefix) > STORE_KEY_MAX || !parts_valid(prefix, true))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is not a valid prefix of keys", prefix);
    return store->ops->list(store, prefix, after, delimited, fn, arg, err);
}

enum cpam_status
store_versions(struct store *store, const char *key, struct store_version *out, size_t cap,
               size_t *count, struct cpam_err *err)
{
    CPAM_TRY(store_key_check(key, err));
    return store->ops->versions(store, key, out, cap, count, err);
}

enum cpam_status
store_settle(struct store *store, const char *key, struct cpam_err *err)
{
    CPAM_TRY(store_key_check(key, err));
    return store->ops->settle == NULL ? CPAM_OK : store->ops->settle(store, key, err);
}

enum cpam_status
store_refuses_taken(struct store *store, const char *key, const void *data, size_t size,
                    bool *refuses, struct cpam_err *err)
{
    *refuses = false;
    CPAM_TRY(store_key_check(key, err));
    if (store->ops->refuses_taken == NULL)
        return CPAM_OK;
    return store->ops->refuses_taken(store, key, data, size, refuses, err);
}

enum cpam_status
store_keeping(struct store *store, bool ask, enum store_keeping *out, struct cpam_err *err)
{
    *out = STORE_KEEPING_UNKNOWN;
    return store->ops->keeping == NULL ? CPAM_OK : store->ops->keeping(store, ask, out, err);
}

enum cpam_status
store_remove(struct store *store, const char *key, struct cpam_err *err)
{
    CPAM_TRY(store_key_check(key, err));
    return store->ops->remove(store, key, err);
}

enum cpam_status
store_prepare(struct store *store, struct cpam_err *err)
{
    return store->ops->prepare(store, err);
}

void
store_share(struct store *store, const struct store *with)
{
    if (store->ops->share != NULL)
        store->ops->share(store, with);
}

void
store_free(struct store *store)
{
    if (store != NULL)
        store->ops->free(store);
}

struct deadline
store_operation_deadline(const struct store *store)
{
    if (store->patience <= 0)
        return store->deadline;
    return deadline_sooner(store->deadline, deadline_after(store->io, store->patience));
}
