/*
 * s3_as_of.c - the bucket as it was at a moment, in spite of what was deleted or laid on top since.
 *
 * Nothing is believed because of its time: it only decides which versions there were.  Which of those
 * is the object is decided as ever, by the oldest that authenticates (repo/authentic.h).
 *
 *   - Versions and delete markers that are younger than the moment do not exist.
 *   - A key whose youngest is a marker was deleted by then: it is in no listing, and reading it by
 *     name is CPAM_UNKNOWN as behind any marker.
 *   - Times have the store's granularity, often a second: of the same time, a version wins.
 */
#include <inttypes.h>
#include <string.h>

#include "store/s3_parts.h"

struct choice
{
    int64_t as_of;
    bool found, is_marker;
    struct store_info info;
};

/* A store that keeps the time of a version to itself can't answer. */
static enum cpam_status
existed(const struct s3_entry *entry, int64_t as_of, bool *yes, struct cpam_err *err)
{
    *yes = entry->modified <= as_of;
    if (entry->modified != 0)
        return CPAM_OK;
    return cpam_fail(err, CPAM_UNKNOWN, 0, "the store does not tell of when a version of \"%s\" is",
                     entry->key);
}

static enum cpam_status
choose(void *arg, const struct s3_entry *entry, struct cpam_err *err)
{
    struct choice *choice = arg;
    bool yes = false;

    CPAM_TRY(existed(entry, choice->as_of, &yes, err));
    if (!yes)
        return CPAM_OK;
    bool same = choice->found && entry->modified == choice->info.modified;
    if (choice->found && entry->modified < choice->info.modified)
        return CPAM_OK;
    if (same && (entry->is_marker || !choice->is_marker))
        return CPAM_OK; /* newest first: the one at hand is the younger one */
    if (strlen(entry->version) >= STORE_VERSION_MAX)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "\"%s\" has a version id that is too long",
                         entry->key);
    choice->found = true;
    choice->is_marker = entry->is_marker;
    choice->info.size = entry->size;
    choice->info.modified = entry->modified;
    memcpy(choice->info.version, entry->version, strlen(entry->version) + 1);
    return CPAM_OK;
}

/* A bucket without versions has forgotten. */
static enum cpam_status
check_versioned(struct s3_store *self, struct deadline deadline, struct cpam_err *err)
{
    bool versioned = false;

    CPAM_TRY(s3_store_versioned(self, deadline, &versioned, err));
    if (versioned)
        return CPAM_OK;
    if (self->versioning == S3_VERSIONING_UNTOLD)
    {
        cpam_fail(
            err, CPAM_REFUSED, 0,
            "--as-of needs a bucket that keeps versions, and %s does not tell whether it does",
            self->base.url);
        cpam_err_hint(err, "the reader needs s3:GetBucketVersioning and s3:ListBucketVersions");
        return CPAM_REFUSED;
    }
    return cpam_fail(
        err, CPAM_REFUSED, 0,
        "--as-of needs a bucket that keeps versions, and %s does not: what was deleted "
        "or overwritten in it is gone",
        self->base.url);
}

static enum cpam_status
find(struct s3_store *self, const char *full, struct deadline deadline, struct store_info *info,
     struct cpam_err *err)
{
    struct choice choice = {.as_of = self->as_of};

    CPAM_TRY(check_versioned(self, deadline, err));
    CPAM_TRY(s3_versions(self->s3, full, choose, &choice, deadline, err));
    if (!choice.found)
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "\"s3://%s/%s\" was not there at that time",
                         s3_bucket(self->s3), full);
    if (choice.is_marker)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "\"s3://%s/%s\" lay under a delete marker at that time",
                         s3_bucket(self->s3), full);
    *info = choice.info;
    return CPAM_OK;
}

static enum cpam_status
as_of_get(struct store *store, const char *key, const char *version,
          const struct store_range *range, struct sink *to, struct store_info *info,
          struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    struct deadline deadline = store_operation_deadline(store);
    const char *full;

    if (version[0] != '\0')
        return s3_store_get(store, key, version, range, to, info, err);
    CPAM_TRY(s3_store_key(self, key, &full, err));
    CPAM_TRY(find(self, full, deadline, info, err));
    CPAM_AUTO(free) char *chosen = strdup(info->version);
    if (chosen == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a version");
    enum cpam_status status = s3_store_get(store, key, chosen, range, to, info, err);
    if (status == CPAM_NOT_FOUND)
    {
        cpam_err_prefix(err, "version %.80s is listed, but not there", chosen);
        return err->status = CPAM_UNKNOWN;
    }
    memcpy(info->version, chosen, strlen(chosen) + 1);
    return status;
}

static enum cpam_status
as_of_head(struct store *store, const char *key, struct store_info *info, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    const char *full;

    CPAM_TRY(s3_store_key(self, key, &full, err));
    return find(self, full, store_operation_deadline(store), info, err);
}

/* --- listings ------------------------------------------------------------------------------- */

struct gathering
{
    struct choice choice; /* among the versions of `key` */
    char *key;            /* whole; NULL: none yet */
    const char *after;    /* whole; NULL: from the beginning */
    size_t skip;          /* bytes in front of our keys */
    store_list_fn fn;
    void *arg;
    bool stopped; /* fn has had enough */
};

/* The key before the one that begins now. */
static enum cpam_status
tell_key(struct gathering *self, struct cpam_err *err)
{
    const struct choice *choice = &self->choice;

    if (self->key == NULL || !choice->found || choice->is_marker)
        return CPAM_OK;
    const struct store_entry told = {.key = self->key + self->skip,
                                     .size = choice->info.size,
                                     .modified = choice->info.modified};
    enum cpam_status status = self->fn(self->arg, &told, err);
    self->stopped = status == CPAM_CANCELLED;
    return status;
}

static enum cpam_status
gather(void *arg, const struct s3_entry *entry, struct cpam_err *err)
{
    struct gathering *self = arg;

    if (self->after != NULL && !entry->is_prefix && strcmp(entry->key, self->after) <= 0)
        return CPAM_OK;
    if (self->key != NULL && strcmp(self->key, entry->key) == 0)
        return choose(&self->choice, entry, err);
    CPAM_TRY(tell_key(self, err));
    free(self->key);
    self->key = NULL;
    self->choice.found = false;
    if (entry->is_prefix)
    {
        /* what lies below may all be younger, or deleted: who looks there finds out */
        const struct store_entry told = {.key = entry->key + self->skip, .is_prefix = true};
        enum cpam_status status = self->fn(self->arg, &told, err);

        self->stopped = status == CPAM_CANCELLED;
        return status;
    }
    self->key = strdup(entry->key);
    if (self->key == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a key");
    return choose(&self->choice, entry, err);
}

static enum cpam_status
as_of_list(struct store *store, const char *prefix, const char *after, bool delimited,
           store_list_fn fn, void *arg, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf full = {0}, full_after = {0};
    struct gathering gathering = {
        .choice.as_of = self->as_of, .skip = strlen(self->prefix), .fn = fn, .arg = arg};
    struct s3_list list = {.delimited = delimited};
    size_t limit = S3_STORE_PREFIX_MAX + STORE_KEY_MAX + 2;

    CPAM_TRY(check_versioned(self, store_operation_deadline(store), err));
    CPAM_TRY(cpam_buf_printf(&full, limit, err, "%s%s", self->prefix, prefix));
    if (after != NULL)
        CPAM_TRY(cpam_buf_printf(&full_after, limit, err, "%s%s", self->prefix, after));
    list.prefix = cpam_buf_text(&full);
    list.after = after != NULL ? cpam_buf_text(&full_after) : NULL;
    if (list.prefix == NULL || (after != NULL && list.after == NULL))
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a key");
    gathering.after = list.after;
    enum cpam_status status =
        s3_list_versions(self->s3, &list, gather, &gathering, store->deadline, err);
    if (status == CPAM_OK && !gathering.stopped)
        status = tell_key(&gathering, err);
    free(gathering.key);
    return status == CPAM_CANCELLED ? CPAM_OK : status;
}

struct collecting
{
    int64_t as_of;
    struct store_version *out; /* newest first */
    size_t cap, count;
};

static enum cpam_status
collect(void *arg, const struct s3_entry *entry, struct cpam_err *err)
{
    struct collecting *collecting = arg;
    bool yes = false;

    CPAM_TRY(existed(entry, collecting->as_of, &yes, err));
    if (!yes)
        return CPAM_OK;
    if (collecting->count == collecting->cap || strlen(entry->version) >= STORE_VERSION_MAX)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "\"%s\" has more than %zu versions, or odd ones",
                         entry->key, collecting->cap);
    struct store_version *to = &collecting->out[collecting->count++];
    *to = (struct store_version){
        .is_marker = entry->is_marker, .size = entry->size, .modified = entry->modified};
    memcpy(to->id, entry->version, strlen(entry->version) + 1);
    return CPAM_OK;
}

static enum cpam_status
as_of_versions(struct store *store, const char *key, struct store_version *out, size_t cap,
               size_t *count, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    struct deadline deadline = store_operation_deadline(store);
    struct collecting collecting = {.as_of = self->as_of, .out = out, .cap = cap};
    const char *full;

    CPAM_TRY(s3_store_key(self, key, &full, err));
    CPAM_TRY(check_versioned(self, deadline, err));
    CPAM_TRY(s3_versions(self->s3, full, collect, &collecting, deadline, err));
    s3_store_oldest_first(out, collecting.count);
    *count = collecting.count;
    return CPAM_OK;
}

/* --- the past is not written to ------------------------------------------------------------- */

static enum cpam_status
refuse(const struct store *store, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_REFUSED, 0,
                     "%s is read as of a moment in the past: nothing can be "
                     "put into it or removed from it",
                     store->url);
}

static enum cpam_status
as_of_put_new(struct store *store, const char *key, const void *data, size_t size,
              enum store_class class, struct cpam_err *err)
{
    (void) key, (void) data, (void) size, (void) class;
    return refuse(store, err);
}

static enum cpam_status
as_of_put_new_fd(struct store *store, const char *key, int fd, uint64_t size,
                 enum store_class class, struct cpam_err *err)
{
    (void) key, (void) fd, (void) size, (void) class;
    return refuse(store, err);
}

static enum cpam_status
as_of_put_stream(struct store *store, const char *key, enum store_class class, struct sink **out,
                 struct cpam_err *err)
{
    (void) key, (void) class, (void) out;
    return refuse(store, err);
}

static enum cpam_status
as_of_remove(struct store *store, const char *key, struct cpam_err *err)
{
    (void) key;
    return refuse(store, err);
}

static enum cpam_status
as_of_prepare(struct store *store, struct cpam_err *err)
{
    return refuse(store, err);
}

const struct store_ops s3_as_of_ops = {.put_new = as_of_put_new,
                                       .put_new_fd = as_of_put_new_fd,
                                       .put_stream = as_of_put_stream,
                                       .get = as_of_get,
                                       .head = as_of_head,
                                       .list = as_of_list,
                                       .versions = as_of_versions,
                                       .remove = as_of_remove,
                                       .prepare = as_of_prepare,
                                       .free = s3_store_free};
