/*
 * store.h - objects by key, in a directory or an S3 bucket.
 *
 * A key is relative to the repository's root ("wal/...", "backup/..."): 1..900 bytes of
 * [A-Za-z0-9._/-], no empty, "." or ".." part.  Objects are immutable: there is no way to overwrite
 * one through this interface.
 *
 * What the outcomes promise, on every store:
 *   CPAM_OK         it happened, and is durable (directory: fsynced; S3: acknowledged and then
 *                   confirmed in length and checksum)
 *   CPAM_NOT_FOUND  the store answered, and the object is not there.  A 404 behind a delete marker
 *                   is CPAM_UNKNOWN, not this.
 *   CPAM_EXISTS     (put) an object of that name is there; nothing was changed
 *   CPAM_REFUSED    403, a wrong credential, a missing bucket or root directory, a policy
 *   CPAM_DEADLINE / CPAM_TRANSIENT / CPAM_UNKNOWN  could not be told
 *   CPAM_CORRUPT    the answer is not what was asked for: wrong length, wrong checksum, an error
 *                   document inside a 200
 *
 * A store is used by one thread at a time; each worker opens its own (store_opener below).
 * The public operations retry by themselves, below, in one place (http/retry), under the deadline.
 */
#ifndef CPAM_STORE_STORE_H
#define CPAM_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/scope.h"
#include "io/io.h"
#include "io/pace.h"
#include "io/sink.h"

enum
{
    STORE_KEY_MAX = 900,
    STORE_VERSION_MAX = 1024,
    STORE_VERSIONS_MAX = 64 /* versions of one key that are looked at; more is CPAM_UNKNOWN */
};

/* What a caller says about an object it puts; a store without the notion ignores it. */
enum store_class
{
    STORE_CLASS_WAL,  /* storage_class.wal */
    STORE_CLASS_BASE, /* storage_class.base */
    STORE_CLASS_META  /* small control objects: always the store's standard class */
};

struct store_info
{
    uint64_t size;                   /* bytes */
    int64_t modified;                /* us since 1970 UTC by the store's clock, 0 if unknown */
    char version[STORE_VERSION_MAX]; /* "" where the store has no versions */
    int64_t locked_until;            /* us since 1970 UTC; 0: it is not, or nobody told */
};

struct store_range
{
    uint64_t offset;
    uint64_t size; /* 0: to the end of the object */
};

/* One entry of a listing; strings are valid during the call only.  Return other than CPAM_OK to
   stop the listing with that status (fill err).  CPAM_CANCELLED stops it without a failure:
   store_list then returns CPAM_OK. */
struct store_entry
{
    const char *key; /* relative to the repository's root; a common prefix ends in '/' */
    bool is_prefix;  /* with a delimiter: everything below key */
    uint64_t size;
    int64_t modified; /* us since 1970 UTC */
};
typedef enum cpam_status (*store_list_fn)(void *arg, const struct store_entry *entry,
                                          struct cpam_err *err);

struct store_version
{
    char id[STORE_VERSION_MAX]; /* "null" for an object from before versioning */
    bool is_marker;             /* a delete marker */
    uint64_t size;
    int64_t modified;
};

/* Does a store keep what was under a name before? */
enum store_keeping
{
    STORE_KEEPING_UNKNOWN,
    STORE_KEEPS_NO_VERSIONS, /* a directory; a bucket that never had versioning */
    STORE_KEEPS_VERSIONS
};

struct store;

struct store_ops
{
    enum cpam_status (*put_new)(struct store *store, const char *key, const void *data, size_t size,
                                enum store_class class, struct cpam_err *err);
    enum cpam_status (*put_new_fd)(struct store *store, const char *key, int fd, uint64_t size,
                                   enum store_class class, struct cpam_err *err);
    enum cpam_status (*put_stream)(struct store *store, const char *key, enum store_class class,
                                   struct sink **out, struct cpam_err *err);
    enum cpam_status (*get)(struct store *store, const char *key, const char *version,
                            const struct store_range *range, struct sink *to,
                            struct store_info *info, struct cpam_err *err);
    enum cpam_status (*head)(struct store *store, const char *key, struct store_info *info,
                             struct cpam_err *err);
    enum cpam_status (*list)(struct store *store, const char *prefix, const char *after,
                             bool delimited, store_list_fn fn, void *arg, struct cpam_err *err);
    enum cpam_status (*versions)(struct store *store, const char *key, struct store_version *out,
                                 size_t cap, size_t *count, struct cpam_err *err);
    enum cpam_status (*remove)(struct store *store, const char *key, struct cpam_err *err);
    /* NULL: whatever can be read is durable already */
    enum cpam_status (*settle)(struct store *store, const char *key, struct cpam_err *err);
    /* NULL: not known */
    enum cpam_status (*refuses_taken)(struct store *store, const char *key, const void *data,
                                      size_t size, bool *refuses, struct cpam_err *err);
    enum cpam_status (*prepare)(struct store *store, struct cpam_err *err);
    /* NULL: there is nothing to find out */
    void (*share)(struct store *store, const struct store *with);
    /* NULL: not known; ask: by a request, unless it is known already */
    enum cpam_status (*keeping)(struct store *store, bool ask, enum store_keeping *out,
                                struct cpam_err *err);
    void (*free)(struct store *store);
};

struct store
{
    const struct store_ops *ops;
    struct io *io;
    struct deadline deadline; /* of the whole command; {0}: none */
    int64_t patience;         /* us one operation may take with all its retries; 0: no limit */
    struct pace *send;        /* limits what is written; NULL: no limit.  S3: see http/client.h */
    int64_t lock_us;          /* what is put is locked for so long at least; 0: it is not */
    char *url;                /* for messages; never holds a secret; owned by the implementation */
};

/* CPAM_INVALID for anything that is not a key as described above.  The operations check by
   themselves. */
enum cpam_status store_key_check(const char *key, struct cpam_err *err) CPAM_CHECK;

/*
 * put_new: put-if-absent of a body in memory, as one request.  When the answer got lost and the
 * retry finds the name taken, the answer is still CPAM_EXISTS: telling one's own object from
 * another's is the caller's (wal archive, format-1.md fault 29).
 */
enum cpam_status store_put_new(struct store *store, const char *key, const void *data, size_t size,
                               enum store_class class, struct cpam_err *err) CPAM_CHECK;

/* The same with a body of `size` bytes read from fd at offset 0 (an unlinked spool file). */
enum cpam_status store_put_new_fd(struct store *store, const char *key, int fd, uint64_t size,
                                  enum store_class class, struct cpam_err *err) CPAM_CHECK;

/*
 * A body of unknown length (manifest, blocks): a sink that has stored it durably when its finish
 * returns CPAM_OK.  Up to one part it goes out as put_new; beyond that as a multipart upload, whose
 * name must be exclusive by other means (the backup's reserved label).  free aborts.
 */
enum cpam_status store_put_stream(struct store *store, const char *key, enum store_class class,
                                  struct sink **out, struct cpam_err *err) CPAM_CHECK;

/*
 * Read a range (NULL: all) into `to`, which is written but neither finished nor freed.  version
 * "" or NULL: the current one.  info may be NULL; info->size is the whole object's size.
 * The bytes written are exactly the ones asked for, or the call fails; on failure some may have
 * been written already.  A range that starts at or behind the end is CPAM_CORRUPT.
 */
enum cpam_status store_get(struct store *store, const char *key, const char *version,
                           const struct store_range *range, struct sink *to,
                           struct store_info *info, struct cpam_err *err) CPAM_CHECK;

/* The same into a buffer that is emptied first, refused beyond limit bytes (CPAM_CORRUPT). */
enum cpam_status store_get_buf(struct store *store, const char *key, const char *version,
                               const struct store_range *range, struct cpam_buf *to, size_t limit,
                               struct store_info *info, struct cpam_err *err) CPAM_CHECK;

enum cpam_status store_head(struct store *store, const char *key, struct store_info *info,
                            struct cpam_err *err) CPAM_CHECK;

/*
 * Keys that start with prefix, behind `after` (NULL: from the beginning), in byte order.
 * delimited: stop at the next '/' behind prefix and report common prefixes.  A listing that could
 * not be finished fails; it is never cut short silently.
 */
enum cpam_status store_list(struct store *store, const char *prefix, const char *after,
                            bool delimited, store_list_fn fn, void *arg,
                            struct cpam_err *err) CPAM_CHECK;

/*
 * All versions and delete markers of one key, OLDEST first.  *count is 0 when there never was one.
 * A store (or bucket) without versions reports the object itself with id "".
 */
enum cpam_status store_versions(struct store *store, const char *key, struct store_version *out,
                                size_t cap, size_t *count, struct cpam_err *err) CPAM_CHECK;

/*
 * Make sure that an object somebody else put is durable, before its presence is acknowledged: who
 * put it into a directory may have been killed between giving it its name and the fsync that makes
 * the name survive a power cut, or into a bucket between the put and the lock.  CPAM_EXISTS from a put implies it.
 */
enum cpam_status store_settle(struct store *store, const char *key,
                              struct cpam_err *err) CPAM_CHECK;

/*
 * Is a put under a name that is taken sure to leave what is there?  Asked once by who would rather put
 * than look first.  key is one that holds exactly these bytes: to tell, they may be put again, which
 * changes nothing even where the store has no conditional writes.  false also when it could not be
 * told, and for stores in which looking first costs next to nothing (a directory).
 */
enum cpam_status store_refuses_taken(struct store *store, const char *key, const void *data,
                                     size_t size, bool *refuses, struct cpam_err *err) CPAM_CHECK;

/*
 * Whether versions are kept; ask: by a request if it is not known.  It may change: what reads by it
 * looks at the versions that come with the answers.
 */
enum cpam_status store_keeping(struct store *store, bool ask, enum store_keeping *out,
                               struct cpam_err *err) CPAM_CHECK;

/* Remove one object; removing an absent one is CPAM_OK. */
enum cpam_status store_remove(struct store *store, const char *key,
                              struct cpam_err *err) CPAM_CHECK;

/* For `cpam-repo create`: make the root if it can be made (a directory), and prove by doing it
   that put-if-absent is enforced, reads see writes, and listings are complete. */
enum cpam_status store_prepare(struct store *store, struct cpam_err *err) CPAM_CHECK;

/* Another connection to the same place, of the same kind and just opened: what one of them finds out
   about it (what it looks at when something is put) the other one knows, also while both are used. */
void store_share(struct store *store, const struct store *with);

void store_free(struct store *store);
CPAM_SCOPED(store_free, struct store);

/* One operation's deadline: the sooner of the store's deadline and patience from now. */
struct deadline store_operation_deadline(const struct store *store);

#endif
