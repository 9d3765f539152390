/*
 * s3.h - one bucket of an S3-compatible store, request by request.
 *
 * Every function is one operation with its retries (http/retry), under the deadline it is given,
 * and ends in one of these (the S3 code, message and request id are in the sentence):
 *   CPAM_OK         the store said so, with an answer that holds together
 *   CPAM_NOT_FOUND  404 NoSuchKey or NoSuchVersion, without a delete marker, in a document that is
 *                   whole and about what was asked for
 *   CPAM_UNKNOWN    404 behind a delete marker, a 404 that is not S3's, a listing that contradicts
 *                   itself
 *   CPAM_EXISTS     412 to a conditional PUT
 *   CPAM_REFUSED    403, 301 (wrong region), NoSuchBucket, a certificate, an unknown feature
 *   CPAM_CORRUPT    the answer is not what was asked for
 *   CPAM_TRANSIENT / CPAM_DEADLINE   tried again until the time was up
 *
 * Bodies that are sent carry a digest, so that a store refuses what was damaged on its way: Content-MD5,
 * or for large ones a CRC-32C or a signed SHA-256 where the store was seen to look at it (guard.h).
 * Over plain HTTP the SHA-256 is signed in any case; over TLS, which has integrity of its own, the
 * payload is else UNSIGNED-PAYLOAD.
 *
 * Keys are whole keys in the bucket.  A struct s3 is used by one thread at a time.
 */
#ifndef CPAM_S3_S3_H
#define CPAM_S3_S3_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/scope.h"
#include "credentials/credentials.h"
#include "http/http.h"
#include "io/io.h"
#include "io/sink.h"

enum
{
    S3_ETAG_MAX = 160,
    S3_VERSION_MAX = 1024,
    S3_REPLY_MAX = 8 << 20, /* bytes of a listing page or another XML answer */
    S3_UPLOAD_ID_MAX = 1024,
    S3_PARTS_MAX = 10000,
    S3_PROBE_MAX = 256
};

struct s3_settings
{
    const char *bucket;
    const char *region;     /* NULL: us-east-1 */
    const char *endpoint;   /* URL without a path; NULL: AWS for the region */
    const char *addressing; /* NULL, "auto", "virtual", "path"; auto: virtual at AWS, else path */
    const char *expected_bucket_owner;  /* account id, or NULL; a store other than AWS ignores it */
    const char *server_side_encryption; /* NULL, "none", "AES256", "aws:kms" */
    const char *kms_key;
    const char *lock_mode; /* NULL, "COMPLIANCE", "GOVERNANCE" */
    int64_t lock_us;
    const char *probe; /* how keys begin that may be put to see what the store looks at, at most
                          S3_PROBE_MAX bytes; NULL: nothing is tried, Content-MD5 it is */
};

struct s3;

/* Keeps http and credentials (and frees them, unless it fails); copies the settings. */
enum cpam_status s3_open(struct io *io, const struct s3_settings *settings, struct http *http,
                         struct credentials *credentials, struct s3 **out,
                         struct cpam_err *err) CPAM_CHECK;
void s3_free(struct s3 *s3);
CPAM_SCOPED(s3_free, struct s3);

/* Another connection to the same bucket: what one of them finds out the other one knows. */
void s3_share(struct s3 *s3, const struct s3 *with);

const char *s3_bucket(const struct s3 *s3);
/* Did the last answer bring this code in its error document? */
bool s3_code_is(const struct s3 *s3, const char *code);

/* What the store says about an object. */
struct s3_info
{
    uint64_t size;
    int64_t modified;       /* us since 1970 UTC, 0: not told */
    char etag[S3_ETAG_MAX]; /* without its quotes */
    char version[S3_VERSION_MAX];
    bool is_locked;       /* it said so; without the right to know, a store says nothing */
    int64_t locked_until; /* us since 1970 UTC, 0: not told */
};

struct s3_put
{
    const char *key;
    struct http_body body;
    const char *storage_class; /* NULL: the bucket's */
    bool lock;                 /* as the settings say, */
    int64_t lock_more;         /* and so many us longer */
};

/* Put-if-absent (If-None-Match: *).  info: what the store acknowledged.  Where the body went with
   Content-MD5 its ETag has been held against it (unless SSE-KMS hides it); else the store has been seen
   to refuse a body that is not the one its digest belongs to. */
enum cpam_status s3_put_new(struct s3 *s3, const struct s3_put *put, struct deadline deadline,
                            struct s3_info *info, struct cpam_err *err) CPAM_CHECK;

struct s3_get
{
    const char *key, *version; /* version NULL or "": the current one */
    uint64_t offset;
    uint64_t size; /* 0: to the end */
    struct sink *to;
};

/* Goes on where it was cut when the connection breaks in the middle; the same object by its ETag,
   or CPAM_CORRUPT. */
enum cpam_status s3_get(struct s3 *s3, const struct s3_get *get, struct deadline deadline,
                        struct s3_info *info, struct cpam_err *err) CPAM_CHECK;
/* A 404, which has no document here, is asked again as a GET of one byte, so that a missing bucket
   is not taken for a missing key. */
enum cpam_status s3_head(struct s3 *s3, const char *key, const char *version,
                         struct deadline deadline, struct s3_info *info,
                         struct cpam_err *err) CPAM_CHECK;
enum cpam_status s3_delete(struct s3 *s3, const char *key, const char *version,
                           struct deadline deadline, struct cpam_err *err) CPAM_CHECK;

/* Lock an object that is there as the settings say, and so many us longer; version "": the current one. */
enum cpam_status s3_lock(struct s3 *s3, const char *key, const char *version, int64_t more,
                         struct deadline deadline, struct cpam_err *err) CPAM_CHECK;

/* --- listings ------------------------------------------------------------------------------- */

struct s3_entry
{
    const char *key; /* valid during the call; decoded */
    bool is_prefix;
    bool is_marker;      /* versions: a delete marker */
    const char *version; /* versions: its id */
    const char *etag;    /* without quotes, or "" */
    uint64_t size;
    int64_t modified;
};

/* CPAM_CANCELLED ends the listing without a failure. */
typedef enum cpam_status (*s3_entry_fn)(void *arg, const struct s3_entry *entry,
                                        struct cpam_err *err);

struct s3_list
{
    const char *prefix, *after; /* after NULL: from the beginning */
    bool delimited;             /* at '/' */
};

/* ListObjectsV2, in byte order of keys and prefixes together; pages that do not ascend, repeat
   a token or end without saying so are CPAM_UNKNOWN. */
enum cpam_status s3_list(struct s3 *s3, const struct s3_list *list, s3_entry_fn fn, void *arg,
                         struct deadline deadline, struct cpam_err *err) CPAM_CHECK;

/* ListObjectVersions of one key: newest first, as the store lists them. */
enum cpam_status s3_versions(struct s3 *s3, const char *key, s3_entry_fn fn, void *arg,
                             struct deadline deadline, struct cpam_err *err) CPAM_CHECK;

/*
 * ListObjectVersions of all keys behind list->after, in byte order of keys (and, if delimited, of
 * prefixes); of one key its versions and markers, as the store lists them.  What s3_list holds
 * against a listing is held against this one too.
 */
enum cpam_status s3_list_versions(struct s3 *s3, const struct s3_list *list, s3_entry_fn fn,
                                  void *arg, struct deadline deadline,
                                  struct cpam_err *err) CPAM_CHECK;

enum s3_versioning
{
    S3_VERSIONING_UNTOLD, /* the store refused to say, or does not know the question */
    S3_VERSIONING_NEVER,
    S3_VERSIONING_ENABLED,
    S3_VERSIONING_SUSPENDED
};
enum cpam_status s3_versioning(struct s3 *s3, struct deadline deadline, enum s3_versioning *out,
                               struct cpam_err *err) CPAM_CHECK;

/* --- multipart ------------------------------------------------------------------------------ */

struct s3_upload; /* begun, not completed: freeing it leaves it there, abort first */

enum cpam_status s3_upload_new(struct s3 *s3, const struct s3_put *put, struct deadline deadline,
                               struct s3_upload **out, struct cpam_err *err) CPAM_CHECK;
/* The next part; each but the last at least 5 MiB.  A refusal of its number or size says so. */
enum cpam_status s3_upload_part(struct s3_upload *upload, const struct http_body *body,
                                struct deadline deadline, struct cpam_err *err) CPAM_CHECK;
/* Completes, then looks (HEAD) whether length and ETag are those of the parts that were sent, and
   whether it is locked, if it was to be: else it is locked then.
   A completion whose answer got lost is settled by the same look. */
enum cpam_status s3_upload_complete(struct s3_upload *upload, struct deadline deadline,
                                    struct s3_info *info, struct cpam_err *err) CPAM_CHECK;
enum cpam_status s3_upload_abort(struct s3_upload *upload, struct deadline deadline,
                                 struct cpam_err *err) CPAM_CHECK;
void s3_upload_free(struct s3_upload *upload);
CPAM_SCOPED(s3_upload_free, struct s3_upload);

#endif
