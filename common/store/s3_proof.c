/*
 * s3_proof.c - what an answer of the store proves: that a put is durable and alone, that a key is
 * absent.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "store/s3_parts.h"

enum cpam_status
s3_store_versioned(struct s3_store *self, struct deadline deadline, bool *versioned,
                   struct cpam_err *err)
{
    if (self->versioning == S3_STORE_NOT_ASKED)
    {
        enum s3_versioning found;

        CPAM_TRY(s3_versioning(self->s3, deadline, &found, err));
        self->versioning = found;
    }
    *versioned =
        self->versioning == S3_VERSIONING_ENABLED || self->versioning == S3_VERSIONING_SUSPENDED;
    return CPAM_OK;
}

enum cpam_status
s3_store_keeping(struct store *store, bool ask, enum store_keeping *out, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    bool versioned = false;

    *out = STORE_KEEPING_UNKNOWN;
    if (!ask && self->versioning == S3_STORE_NOT_ASKED)
        return CPAM_OK;
    CPAM_TRY(s3_store_versioned(self, store_operation_deadline(store), &versioned, err));
    if (versioned)
        *out = STORE_KEEPS_VERSIONS;
    else if (self->versioning == S3_VERSIONING_NEVER)
        *out = STORE_KEEPS_NO_VERSIONS;
    return CPAM_OK;
}

/* What a listing of versions (newest first) shows beside the one that was just put. */
struct lookout
{
    const struct s3_info *put;
    bool seen; /* ours was listed */
    bool good; /* with the right length and ETag */
    bool older, marker;
};

static enum cpam_status
look_out(void *arg, const struct s3_entry *entry, struct cpam_err *err)
{
    struct lookout *lookout = arg;
    const char *wanted = lookout->put->version[0] != '\0' ? lookout->put->version : "null";

    (void) err;
    if (!entry->is_marker && strcmp(entry->version, wanted) == 0)
    {
        lookout->seen = true;
        lookout->good = entry->size == lookout->put->size &&
                        (entry->etag[0] == '\0' || strcmp(entry->etag, lookout->put->etag) == 0);
    }
    else if (lookout->seen && entry->is_marker)
        lookout->marker = true;
    else if (lookout->seen)
        lookout->older = true;
    return CPAM_OK;
}

/*
 * A bucket that names a version of what it has keeps versions, whatever it tells of itself: its policy may
 * hide ?versioning, or somebody switched it on since it was asked.  The answer to a put proves nothing:
 * Cloudflare R2 has an id in it, and no versions.
 */
static bool
names_version(const struct s3_info *info)
{
    return info->version[0] != '\0' && strcmp(info->version, "null") != 0;
}

static enum cpam_status
confirm_among_versions(struct s3_store *self, const char *full, const struct s3_info *put,
                       struct deadline deadline, struct cpam_err *err)
{
    struct lookout lookout = {.put = put};
    const char *bucket = s3_bucket(self->s3);

    enum cpam_status status = s3_versions(self->s3, full, look_out, &lookout, deadline, err);
    if (status == CPAM_REFUSED && s3_code_is(self->s3, "NotImplemented"))
        return CPAM_OK; /* what can't be listed can't be in front of it when it is read */
    if (status == CPAM_REFUSED)
    {
        cpam_err_prefix(err,
                        "the bucket keeps versions, and whether \"s3://%s/%s\" has an older one, "
                        "which would be the one that counts, can't be told",
                        bucket, full);
        cpam_err_hint(err, "who writes to a bucket that keeps versions needs s3:ListBucketVersions "
                           "(and s3:GetBucketVersioning)");
    }
    CPAM_TRY(status);
    if (lookout.older)
        return cpam_fail(err, CPAM_EXISTS, 0,
                         "\"s3://%s/%s\" has an older version, which is the one that counts",
                         bucket, full);
    if (!lookout.good)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the store acknowledged \"s3://%s/%s\" with %" PRIu64
                         " bytes, but lists no such version of it",
                         bucket, full, put->size);
    if (lookout.marker)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "\"s3://%s/%s\" is stored, but under the name lies a delete marker: "
                         "somebody removed what was there before",
                         bucket, full);
    return CPAM_OK;
}

enum cpam_status
s3_store_confirm(struct s3_store *self, const char *full, const struct s3_info *put,
                 struct deadline deadline, struct cpam_err *err)
{
    bool versioned = false;
    struct s3_info found;

    CPAM_TRY(s3_store_versioned(self, deadline, &versioned, err));
    if (versioned)
        return confirm_among_versions(self, full, put, deadline, err);
    enum cpam_status status = s3_head(self->s3, full, NULL, deadline, &found, err);
    if (status == CPAM_NOT_FOUND)
    {
        err->status = CPAM_UNKNOWN;
        cpam_err_prefix(err, "the store acknowledged a put, but does not find the object");
        return CPAM_UNKNOWN;
    }
    if (status != CPAM_OK)
        return status;
    if (names_version(&found) && names_version(put))
        return confirm_among_versions(self, full, put, deadline, err);
    if (found.size != put->size || strcmp(found.etag, put->etag) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "\"s3://%s/%s\" was put with %" PRIu64 " bytes and ETag %s, but the store "
                         "now has %" PRIu64 " bytes and ETag %s",
                         s3_bucket(self->s3), full, put->size, put->etag, found.size, found.etag);
    return names_version(&found) ? confirm_among_versions(self, full, &found, deadline, err)
                                 : CPAM_OK;
}

static enum cpam_status
see_any(void *arg, const struct s3_entry *entry, struct cpam_err *err)
{
    size_t *seen = arg;

    (void) entry, (void) err;
    (*seen)++;
    return CPAM_OK;
}

enum cpam_status
s3_store_absent(struct s3_store *self, const char *full, struct deadline deadline,
                struct cpam_err *err)
{
    const struct cpam_err absent = *err;
    bool versioned = false;
    size_t seen = 0;

    CPAM_TRY(s3_store_versioned(self, deadline, &versioned, err));
    if (versioned)
        CPAM_TRY(s3_versions(self->s3, full, see_any, &seen, deadline, err));
    *err = absent;
    if (seen == 0)
        return CPAM_NOT_FOUND;
    err->status = CPAM_UNKNOWN;
    cpam_err_prefix(err, "%zu older versions or delete markers are listed under the name", seen);
    return CPAM_UNKNOWN;
}

/*
 * A bucket that keeps versions loses nothing, whatever it thinks of If-None-Match: the put is then
 * CPAM_EXISTS by the versions that are listed (s3_store_confirm).  While versioning is suspended a
 * put replaces the version "null", so there the condition has to hold as in a bucket without.
 */
enum cpam_status
s3_store_refuses_taken(struct store *store, const char *key, const void *data, size_t size,
                       bool *refuses, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    struct deadline deadline = store_operation_deadline(store);
    struct s3_put put = {.body = {.data = data, .fd = -1, .size = size}};
    struct s3_info info;
    struct cpam_err why;
    bool versioned = false;

    CPAM_TRY(s3_store_versioned(self, deadline, &versioned, err));
    *refuses = self->versioning == S3_VERSIONING_ENABLED;
    if (*refuses)
        return CPAM_OK;
    CPAM_TRY(s3_store_key(self, key, &put.key, err));
    enum cpam_status status = s3_put_new(self->s3, &put, deadline, &info, &why);
    *refuses = status == CPAM_EXISTS;
    if (status == CPAM_OK)
        cpam_log(LOG_WARNING,
                 "%s takes a PUT with \"If-None-Match: *\" and overwrites all the same: two "
                 "servers that archive the same segment at the same moment would not be noticed",
                 store->url);
    else if (status != CPAM_EXISTS)
        cpam_log(LOG_DEBUG, "whether %s has conditional writes was not told: %s", store->url,
                 why.text);
    return CPAM_OK;
}
