/*
 * s3_parts.h - what the files of the S3 store share.
 */
#ifndef CPAM_STORE_S3_PARTS_H
#define CPAM_STORE_S3_PARTS_H

#include <stdatomic.h>

#include "store/s3_store.h"

enum
{
    S3_STORE_NOT_ASKED = -1
};

/* How what is put becomes locked, where it is to be (s3_lock.c). */
enum s3_store_locks
{
    S3_STORE_LOCKS_NOT_SEEN, /* nothing was put yet */
    S3_STORE_LOCKS_WITH_PUT,
    S3_STORE_LOCKS_AFTER_PUT, /* it drops what a put says of a lock, and takes it afterwards */
    S3_STORE_LOCKS_UNTOLD,    /* it does not show locks to this user */
    S3_STORE_LOCKS_NOT        /* it refuses to */
};

struct s3_store
{
    struct store base;
    struct s3 *s3;
    char *prefix; /* "" or "folder/cluster/" */
    char *class_base, *class_wal;
    atomic_int versioning; /* an s3_versioning once it was asked for, else S3_STORE_NOT_ASKED */
    atomic_int locks;      /* an s3_store_locks */
    int64_t lock_more_base;
    unsigned max_parts;
    char *parts_dir;
    int64_t as_of;       /* us since 1970 UTC; 0: now (s3_as_of.c) */
    struct cpam_buf key; /* the whole key of the operation under way */
};

/* The key in the bucket; valid until the next call. */
enum cpam_status s3_store_key(struct s3_store *self, const char *key, const char **out,
                              struct cpam_err *err) CPAM_CHECK;

/* Does the bucket keep versions?  Asked once, and by one of several connections. */
enum cpam_status s3_store_versioned(struct s3_store *self, struct deadline deadline,
                                    bool *versioned, struct cpam_err *err) CPAM_CHECK;

enum cpam_status s3_store_keeping(struct store *store, bool ask, enum store_keeping *out,
                                  struct cpam_err *err) CPAM_CHECK;

enum cpam_status s3_store_get(struct store *store, const char *key, const char *version,
                              const struct store_range *range, struct sink *to,
                              struct store_info *info, struct cpam_err *err) CPAM_CHECK;
/* A store lists newest first. */
void s3_store_oldest_first(struct store_version *versions, size_t count);
void s3_store_free(struct store *store);

/* For a store that is read as of a moment. */
extern const struct store_ops s3_as_of_ops;

/* Of a put: its class and its lock. */
void s3_store_class(const struct s3_store *self, enum store_class class, struct s3_put *put);

/* After a put was acknowledged: is it there, is it that, and is it alone? */
enum cpam_status s3_store_confirm(struct s3_store *self, const char *full,
                                  const struct s3_info *acknowledged, struct deadline deadline,
                                  struct cpam_err *err) CPAM_CHECK;

/*
 * After a put in one piece was confirmed: is it locked, if it was to be?  Looked at with the first one; a
 * store that can't is warned of, and takes what comes all the same.  Fails only where each object has to
 * be locked apart and this one could not be.
 */
enum cpam_status s3_store_locked(struct s3_store *self, const struct s3_put *put,
                                 const struct s3_info *info, struct deadline deadline,
                                 struct cpam_err *err) CPAM_CHECK;
/* An object that is there already: whoever put it may have died before he locked it apart. */
enum cpam_status s3_store_settle(struct store *store, const char *key,
                                 struct cpam_err *err) CPAM_CHECK;
/* For s3_store_prepare: the same of an object that was just put; fails where it can't be locked. */
enum cpam_status s3_store_prove_lock(struct s3_store *self, const char *full,
                                     struct deadline deadline, struct cpam_err *err) CPAM_CHECK;

/* A get or head said NOT_FOUND: CPAM_NOT_FOUND if that is proven, else CPAM_UNKNOWN. */
enum cpam_status s3_store_absent(struct s3_store *self, const char *full, struct deadline deadline,
                                 struct cpam_err *err) CPAM_CHECK;

enum cpam_status s3_store_refuses_taken(struct store *store, const char *key, const void *data,
                                        size_t size, bool *refuses,
                                        struct cpam_err *err) CPAM_CHECK;
enum cpam_status s3_store_put_stream(struct store *store, const char *key, enum store_class class,
                                     struct sink **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status s3_store_prepare(struct store *store, struct cpam_err *err) CPAM_CHECK;

#endif
