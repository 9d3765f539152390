/*
 * s3_lock.c - is what was put locked?
 *
 * Object Lock is asked for in headers of the put, and a store that does not know them, or a bucket without
 * Object Lock behind a gateway, drops them without a word: what somebody thinks is safe from deletion is
 * not.  So the first object is looked at, and locked apart where it is not locked, as those in parts are
 * (s3/multipart.c).
 */
#include <string.h>

#include "base/log.h"
#include "store/s3_parts.h"

static const char grant[] =
    "the bucket needs Object Lock, and the credentials s3:PutObjectRetention and, to see that it is "
    "done, s3:GetObjectRetention";

/* What becomes of an object of this version ("": any); *locks stays where another one is in front. */
static enum cpam_status
settle(struct s3_store *self, const struct s3_put *put, const char *version,
       struct deadline deadline, enum s3_store_locks *locks, struct cpam_err *err)
{
    struct s3_info found;

    *locks = S3_STORE_LOCKS_UNTOLD;
    CPAM_TRY(s3_head(self->s3, put->key, NULL, deadline, &found, err));
    if (version[0] != '\0' && strcmp(found.version, version) != 0)
    {
        *locks = S3_STORE_LOCKS_NOT_SEEN;
        return CPAM_OK;
    }
    if (found.is_locked)
    {
        *locks = S3_STORE_LOCKS_WITH_PUT;
        return CPAM_OK;
    }
    *locks = S3_STORE_LOCKS_NOT;
    CPAM_TRY(s3_lock(self->s3, put->key, version, put->lock_more, deadline, err));
    *locks = S3_STORE_LOCKS_UNTOLD;
    CPAM_TRY(s3_head(self->s3, put->key, NULL, deadline, &found, err));
    if (found.is_locked)
        *locks = S3_STORE_LOCKS_AFTER_PUT;
    return CPAM_OK;
}

static void
warn_untold(const struct s3_store *self)
{
    cpam_log(LOG_WARNING,
             "%s does not show whether what is put there is locked, as object_lock asks for: %s",
             self->base.url, grant);
}

enum cpam_status
s3_store_locked(struct s3_store *self, const struct s3_put *put, const struct s3_info *info,
                struct deadline deadline, struct cpam_err *err)
{
    enum s3_store_locks locks;
    struct cpam_err why;

    if (!put->lock || self->base.lock_us == 0)
        return CPAM_OK;
    if (self->locks == S3_STORE_LOCKS_AFTER_PUT)
        return s3_lock(self->s3, put->key, info->version, put->lock_more, deadline, err);
    if (self->locks != S3_STORE_LOCKS_NOT_SEEN)
        return CPAM_OK;
    enum cpam_status status = settle(self, put, info->version, deadline, &locks, &why);
    if (status != CPAM_OK)
        cpam_log(LOG_WARNING, "%s, as object_lock asks for: %s; %s",
                 locks == S3_STORE_LOCKS_NOT ? "what is put is not locked"
                                             : "it could not be told whether what is put is locked",
                 why.text, grant);
    else if (locks == S3_STORE_LOCKS_UNTOLD)
        warn_untold(self);
    /* a store that is out of breath is asked again with the next one */
    if (status != CPAM_TRANSIENT && status != CPAM_DEADLINE)
        self->locks = (int) locks;
    return CPAM_OK;
}

enum cpam_status
s3_store_settle(struct store *store, const char *key, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    struct deadline deadline = store_operation_deadline(store);
    struct s3_put put = {.lock = true};
    enum s3_store_locks locks;
    int known = self->locks;

    if (self->base.lock_us == 0 ||
        (known != S3_STORE_LOCKS_NOT_SEEN && known != S3_STORE_LOCKS_AFTER_PUT))
        return CPAM_OK;
    CPAM_TRY(s3_store_key(self, key, &put.key, err));
    enum cpam_status status = settle(self, &put, "", deadline, &locks, err);
    if (status == CPAM_OK || locks != S3_STORE_LOCKS_NOT || known == S3_STORE_LOCKS_AFTER_PUT ||
        status == CPAM_TRANSIENT || status == CPAM_DEADLINE)
        return status;
    cpam_log(LOG_WARNING, "what is there is not locked, as object_lock asks for: %s; %s", err->text,
             grant);
    return CPAM_OK;
}

enum cpam_status
s3_store_prove_lock(struct s3_store *self, const char *full, struct deadline deadline,
                    struct cpam_err *err)
{
    const struct s3_put put = {.key = full};
    enum s3_store_locks locks;

    if (self->base.lock_us == 0)
        return CPAM_OK;
    enum cpam_status status = settle(self, &put, "", deadline, &locks, err);
    if (status != CPAM_OK && status != CPAM_TRANSIENT && status != CPAM_DEADLINE)
    {
        cpam_err_prefix(err, "%s does not lock what is put there, as object_lock asks for",
                        self->base.url);
        cpam_err_hint(err, "%s", grant);
    }
    if (status == CPAM_OK && locks == S3_STORE_LOCKS_UNTOLD)
        warn_untold(self);
    return status;
}
