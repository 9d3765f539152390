/*
 * memory_store.c - see memory_store.h.
 */
#include "repo/memory_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

struct memory_store
{
    struct store base;
    struct memory_bucket *bucket;
};

void
memory_bucket_init(struct memory_bucket *bucket)
{
    memset(bucket, 0, sizeof(*bucket));
    pthread_mutex_init(&bucket->lock, NULL);
    bucket->fail_after = -1;
    bucket->clock = 1700000000000000;
}

static void
object_clear(struct memory_object *object)
{
    for (size_t i = 0; i < object->count; i++)
        free(object->versions[i].data);
    object->count = 0;
}

void
memory_bucket_clear(struct memory_bucket *bucket)
{
    for (size_t i = 0; i < bucket->count; i++)
        object_clear(&bucket->objects[i]);
    free(bucket->objects);
    pthread_mutex_destroy(&bucket->lock);
    memset(bucket, 0, sizeof(*bucket));
}

struct memory_object *
memory_find(struct memory_bucket *bucket, const char *key)
{
    for (size_t i = 0; i < bucket->count; i++)
        if (strcmp(bucket->objects[i].key, key) == 0)
            return &bucket->objects[i];
    return NULL;
}

static struct memory_object *
object_make(struct memory_bucket *bucket, const char *key)
{
    struct memory_object *object = memory_find(bucket, key);
    size_t at = 0;

    if (object != NULL)
        return object;
    bucket->objects = realloc(bucket->objects, (bucket->count + 1) * sizeof(*object));
    ck_assert_ptr_nonnull(bucket->objects);
    while (at < bucket->count && strcmp(bucket->objects[at].key, key) < 0)
        at++;
    memmove(bucket->objects + at + 1, bucket->objects + at, (bucket->count - at) * sizeof(*object));
    bucket->count++;
    object = &bucket->objects[at];
    memset(object, 0, sizeof(*object));
    snprintf(object->key, sizeof(object->key), "%s", key);
    return object;
}

static struct memory_version *
version_add(struct memory_bucket *bucket, struct memory_object *object)
{
    ck_assert_uint_lt(object->count, 8);
    if (!bucket->versioned)
        object_clear(object);
    struct memory_version *version = &object->versions[object->count++];

    memset(version, 0, sizeof(*version));
    if (bucket->versioned)
        snprintf(version->id, sizeof(version->id), "v%u", ++bucket->next_version);
    version->modified = bucket->clock++;
    return version;
}

void
memory_overwrite(struct memory_bucket *bucket, const char *key, const void *data, size_t size)
{
    struct memory_version *version = version_add(bucket, object_make(bucket, key));

    version->data = malloc(size + 1);
    ck_assert_ptr_nonnull(version->data);
    memcpy(version->data, data, size);
    version->size = size;
}

void
memory_delete(struct memory_bucket *bucket, const char *key)
{
    struct memory_object *object = memory_find(bucket, key);

    if (object == NULL)
        return;
    if (bucket->versioned)
        version_add(bucket, object)->is_marker = true;
    else
        object_clear(object);
}

static struct memory_version *
newest(struct memory_object *object)
{
    return object == NULL || object->count == 0 ? NULL : &object->versions[object->count - 1];
}

struct memory_version *
memory_current(struct memory_bucket *bucket, const char *key)
{
    struct memory_version *version = newest(memory_find(bucket, key));

    ck_assert_msg(version != NULL && !version->is_marker, "nothing is stored as %s", key);
    return version;
}

static enum cpam_status
asked(struct store *store, const char *key, struct cpam_err *err)
{
    struct memory_bucket *bucket = ((struct memory_store *) store)->bucket;

    bucket->requests++;
    ck_assert(bucket->gate == NULL || *bucket->gate == 0);
    if (bucket->fail_all == CPAM_OK)
        return CPAM_OK;
    if (bucket->fail_after > 0)
    {
        bucket->fail_after--;
        return CPAM_OK;
    }
    return cpam_fail(err, bucket->fail_all, 0, "\"%s\": the store does not want to", key);
}

static enum cpam_status
put_new_locked(struct store *store, const char *key, const void *data, size_t size,
               struct cpam_err *err)
{
    struct memory_bucket *bucket = ((struct memory_store *) store)->bucket;

    CPAM_TRY(asked(store, key, err));
    bucket->bodies++;
    struct memory_version *there = newest(memory_find(bucket, key));

    if (there != NULL && !there->is_marker)
        return cpam_fail(err, CPAM_EXISTS, 0, "\"%s\" exists", key);
    memory_overwrite(bucket, key, data, size);
    if (bucket->lose_put_answer)
    {
        bucket->lose_put_answer = false;
        return cpam_fail(err, CPAM_EXISTS, 0, "\"%s\" exists", key);
    }
    return CPAM_OK;
}

static enum cpam_status
memory_put_new(struct store *store, const char *key, const void *data, size_t size,
               enum store_class class, struct cpam_err *err)
{
    struct memory_bucket *bucket = ((struct memory_store *) store)->bucket;

    (void) class;
    if (bucket->before_put != NULL)
        bucket->before_put(bucket->before_put_arg, key);
    pthread_mutex_lock(&bucket->lock);
    enum cpam_status status = put_new_locked(store, key, data, size, err);
    pthread_mutex_unlock(&bucket->lock);
    return status;
}

static enum cpam_status
memory_put_new_fd(struct store *store, const char *key, int fd, uint64_t size,
                  enum store_class class, struct cpam_err *err)
{
    uint8_t *data = malloc(size + 1);

    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(pread(fd, data, size + 1, 0), (ssize_t) size);
    enum cpam_status status = memory_put_new(store, key, data, size, class, err);
    free(data);
    return status;
}

struct memory_stream
{
    struct sink base;
    struct store *store;
    char key[STORE_KEY_MAX + 1];
    struct cpam_buf body;
};

static enum cpam_status
stream_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    return cpam_buf_append(&((struct memory_stream *) sink)->body, data, size, SIZE_MAX / 2, err);
}

static enum cpam_status
stream_finish(struct sink *sink, struct cpam_err *err)
{
    struct memory_stream *self = (struct memory_stream *) sink;

    return memory_put_new(self->store, self->key, self->body.data, self->body.size,
                          STORE_CLASS_META, err);
}

static void
stream_free(struct sink *sink)
{
    cpam_buf_clear(&((struct memory_stream *) sink)->body);
    free(sink);
}

static enum cpam_status
memory_put_stream(struct store *store, const char *key, enum store_class class, struct sink **out,
                  struct cpam_err *err)
{
    static const struct sink_ops ops = {stream_write, stream_finish, stream_free};
    struct memory_stream *stream = calloc(1, sizeof(*stream));

    (void) class;
    (void) err;
    ck_assert_ptr_nonnull(stream);
    stream->base.ops = &ops;
    stream->store = store;
    snprintf(stream->key, sizeof(stream->key), "%s", key);
    *out = &stream->base;
    return CPAM_OK;
}

static struct memory_version *
version_named(struct memory_object *object, const char *id)
{
    if (id == NULL || id[0] == '\0')
        return newest(object);
    for (size_t i = 0; object != NULL && i < object->count; i++)
        if (strcmp(object->versions[i].id, id) == 0)
            return &object->versions[i];
    return NULL;
}

static enum cpam_status
find_version(struct store *store, const char *key, const char *id, struct memory_version **out,
             struct cpam_err *err)
{
    struct memory_bucket *bucket = ((struct memory_store *) store)->bucket;

    CPAM_TRY(asked(store, key, err));
    *out = version_named(memory_find(bucket, key), id);
    if (*out == NULL || (id != NULL && bucket->lost != NULL && strcmp(id, bucket->lost) == 0))
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "\"%s\" is not there", key);
    if ((*out)->is_marker)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "\"%s\" is hidden by a delete marker", key);
    return CPAM_OK;
}

static void
tell(const struct memory_version *version, struct store_info *info)
{
    if (info == NULL)
        return;
    memset(info, 0, sizeof(*info));
    info->size = version->size;
    info->modified = version->modified;
    snprintf(info->version, sizeof(info->version), "%s", version->id);
}

static enum cpam_status
memory_get(struct store *store, const char *key, const char *version,
           const struct store_range *range, struct sink *to, struct store_info *info,
           struct cpam_err *err)
{
    struct memory_bucket *bucket = ((struct memory_store *) store)->bucket;
    struct memory_version *found = NULL;
    struct cpam_buf copy = {0};

    pthread_mutex_lock(&bucket->lock);
    enum cpam_status status = find_version(store, key, version, &found, err);
    uint64_t offset = range == NULL ? 0 : range->offset;

    if (status == CPAM_OK && range == NULL && found->size > 64 << 20 && bucket->lose_large_at > 0 &&
        --bucket->lose_large_at == 0)
        status = cpam_fail(err, CPAM_NOT_FOUND, 0, "\"%s\" is not there", key);
    if (status == CPAM_OK && range != NULL && offset >= found->size)
        status = cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" ends before %llu", key,
                           (unsigned long long) offset);
    if (status == CPAM_OK)
    {
        uint64_t size = found->size - offset;

        if (range != NULL && range->size != 0 && range->size < size)
            size = range->size;
        else if (range != NULL && range->size > size)
            status = cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" ends before its range does", key);
        tell(found, info);
        if (status == CPAM_OK)
            status = cpam_buf_append(&copy, found->data + offset, size, SIZE_MAX / 2, err);
    }
    pthread_mutex_unlock(&bucket->lock);
    /* pieces, as a network would bring them */
    for (size_t at = 0; status == CPAM_OK && at < copy.size; at += 10007)
    {
        status =
            sink_write(to, copy.data + at, copy.size - at < 10007 ? copy.size - at : 10007, err);
        if (status == CPAM_OK && range == NULL && bucket->lose_after > 0 && at > bucket->lose_after)
            status = cpam_fail(err, CPAM_NOT_FOUND, 0, "\"%s\" is not there", key);
    }
    cpam_buf_clear(&copy);
    return status;
}

static enum cpam_status
memory_head(struct store *store, const char *key, struct store_info *info, struct cpam_err *err)
{
    struct memory_version *found = NULL;

    CPAM_TRY(find_version(store, key, NULL, &found, err));
    tell(found, info);
    return CPAM_OK;
}

static enum cpam_status
memory_list(struct store *store, const char *prefix, const char *after, bool delimited,
            store_list_fn fn, void *arg, struct cpam_err *err)
{
    struct memory_bucket *bucket = ((struct memory_store *) store)->bucket;
    char last[STORE_KEY_MAX + 1] = "";
    size_t length = strlen(prefix);

    CPAM_TRY(asked(store, prefix, err));
    for (size_t i = 0; i < bucket->count; i++)
    {
        struct memory_object *object = &bucket->objects[i];
        struct memory_version *version = newest(object);
        struct store_entry entry = {.key = object->key};
        char shown[STORE_KEY_MAX + 1];

        if (version == NULL || version->is_marker || strncmp(object->key, prefix, length) != 0)
            continue;
        const char *slash = delimited ? strchr(object->key + length, '/') : NULL;
        if (slash != NULL)
        {
            snprintf(shown, sizeof(shown), "%.*s", (int) (slash + 1 - object->key), object->key);
            entry.key = shown;
            entry.is_prefix = true;
            if (strcmp(shown, last) == 0)
                continue;
            memcpy(last, shown, sizeof(last));
        }
        if (after != NULL && strcmp(entry.key, after) <= 0)
            continue;
        entry.size = version->size;
        entry.modified = version->modified;
        enum cpam_status status = fn(arg, &entry, err);
        if (status == CPAM_CANCELLED)
            return CPAM_OK;
        if (status != CPAM_OK)
            return status;
    }
    return CPAM_OK;
}

static enum cpam_status
memory_versions(struct store *store, const char *key, struct store_version *out, size_t cap,
                size_t *count, struct cpam_err *err)
{
    struct memory_object *object;
    struct memory_bucket *bucket = ((struct memory_store *) store)->bucket;

    *count = 0;
    pthread_mutex_lock(&bucket->lock);
    enum cpam_status status = asked(store, key, err);
    object = status == CPAM_OK ? memory_find(bucket, key) : NULL;
    for (size_t i = 0; object != NULL && i < object->count && i < cap; i++)
    {
        memset(&out[i], 0, sizeof(out[i]));
        snprintf(out[i].id, sizeof(out[i].id), "%s", bucket->untold ? "" : object->versions[i].id);
        out[i].is_marker = object->versions[i].is_marker;
        out[i].size = object->versions[i].size;
        out[i].modified = object->versions[i].modified;
        *count = i + 1;
    }
    pthread_mutex_unlock(&bucket->lock);
    return status;
}

static enum cpam_status
memory_remove(struct store *store, const char *key, struct cpam_err *err)
{
    CPAM_TRY(asked(store, key, err));
    memory_delete(((struct memory_store *) store)->bucket, key);
    return CPAM_OK;
}

static enum cpam_status
memory_settle(struct store *store, const char *key, struct cpam_err *err)
{
    (void) key;
    (void) err;
    ((struct memory_store *) store)->bucket->settled++;
    return CPAM_OK;
}

static enum cpam_status
memory_refuses_taken(struct store *store, const char *key, const void *data, size_t size,
                     bool *refuses, struct cpam_err *err)
{
    struct memory_bucket *bucket = ((struct memory_store *) store)->bucket;

    CPAM_TRY(asked(store, key, err));
    pthread_mutex_lock(&bucket->lock);
    const struct memory_version *there = memory_current(bucket, key);

    /* the same bytes, or it could do harm */
    ck_assert_uint_eq(there->size, size);
    ck_assert_mem_eq(there->data, data, size);
    bucket->probed++;
    *refuses = bucket->refuses;
    pthread_mutex_unlock(&bucket->lock);
    return CPAM_OK;
}

static enum cpam_status
memory_keeping(struct store *store, bool ask, enum store_keeping *out, struct cpam_err *err)
{
    (void) ask, (void) err;
    *out = ((struct memory_store *) store)->bucket->keeping;
    return CPAM_OK;
}

static enum cpam_status
memory_prepare(struct store *store, struct cpam_err *err)
{
    return asked(store, "", err);
}

static void
memory_free(struct store *store)
{
    free(store->url);
    free(store);
}

static const struct store_ops memory_ops = {
    .put_new = memory_put_new,
    .put_new_fd = memory_put_new_fd,
    .put_stream = memory_put_stream,
    .get = memory_get,
    .head = memory_head,
    .list = memory_list,
    .versions = memory_versions,
    .settle = memory_settle,
    .refuses_taken = memory_refuses_taken,
    .remove = memory_remove,
    .prepare = memory_prepare,
    .keeping = memory_keeping,
    .free = memory_free,
};

static enum cpam_status
memory_open(const struct store_opener *opener, struct store **out, struct cpam_err *err)
{
    struct memory_store *store = calloc(1, sizeof(*store));

    (void) err;
    ck_assert_ptr_nonnull(store);
    store->base.ops = &memory_ops;
    store->base.io = io_posix();
    store->base.url = strdup("memory://bucket");
    store->bucket = opener->arg;
    *out = &store->base;
    return CPAM_OK;
}

struct store_opener
memory_opener(struct memory_bucket *bucket, struct io *io)
{
    (void) io;
    return (struct store_opener){memory_open, bucket};
}
