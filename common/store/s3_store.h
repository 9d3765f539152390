/*
 * s3_store.h - a store in a bucket: s3://bucket/prefix.
 *
 * How the promises of store.h are kept here:
 *   - A put is conditional (If-None-Match: *), checked by the store on its way in (s3.h), and
 *     looked at afterwards: by HEAD, or where the bucket keeps versions by ListObjectVersions.  There
 *     the oldest version of a name is the one that counts, so that a put that finds an older one is
 *     CPAM_EXISTS: that holds for what a delete marker hid, and for stores that do not look at
 *     If-None-Match in such buckets (radosgw 16); of two racing puts exactly one is the oldest.
 *     A delete marker below one's own version, with nothing older, is CPAM_UNKNOWN.
 *   - Absent means S3's own NoSuchKey without a delete marker; in a bucket with versions also that
 *     no version and no marker of the key is listed.  Where the store does not tell whether it keeps
 *     versions (403, or the question is unknown to it), NoSuchKey alone has to do: a bucket with
 *     versions should let its readers ask (s3:GetBucketVersioning, s3:ListBucketVersions).
 *   - put_stream sends parts of s3_store_part_size() and looks at the joined object's length and ETag.
 *     A part of more than S3_STORE_PART waits in a file without a name, so that memory does not grow.
 *   - remove lays a delete marker where the bucket keeps versions.
 *   - as_of: what a bucket with versions held at a moment, whatever was deleted or put on top of it
 *     since.  Any other bucket is refused (CPAM_REFUSED), and so is everything but reading.
 */
#ifndef CPAM_STORE_S3_STORE_H
#define CPAM_STORE_S3_STORE_H

#include "s3/s3.h"
#include "store/store.h"

enum
{
    S3_STORE_PART = 16 << 20, /* bytes held in memory by put_stream; the first parts have so many */
    S3_STORE_PREFIX_MAX = 120 /* bytes: S3's keys end at 1024, ours at STORE_KEY_MAX */
};

struct s3_store_settings
{
    struct s3_settings s3;
    const char *prefix;                 /* "" or "folder/cluster": no slash at either end */
    const char *class_base, *class_wal; /* storage classes; NULL: the bucket's own */
    int64_t lock_more_base; /* us the objects of a backup are locked beyond s3.lock_us */
    unsigned max_parts;     /* the store takes of one object; 0: S3_PARTS_MAX */
    const char *parts_dir;  /* where parts wait that memory does not hold; NULL: /var/tmp */
    bool one_file;          /* will be put: the store is not asked what it looks at (s3/guard.h) */
    int64_t as_of; /* us since 1970 UTC: read only, and what the bucket held then; 0: now */
};

/*
 * Bytes of part `number` (0..) of at most max_parts: 16 MiB for the first tenth of them, twice as many
 * for each tenth behind it, up to 4 GiB (S3 takes 5).  With 10,000 parts an object can have 11.7 TiB,
 * with 1,000 parts 1.1 TiB; what is below 15 GiB (1.5 GiB) stays with parts of 16 MiB.
 *
 * Of what this suite stores only a manifest comes as a stream (some 100 bytes a file, sealed: 5 million
 * files are below 1 GiB).  A pack, 1 GiB at most (PACK_SIZE_MAX), and a WAL file are single puts.
 */
uint64_t s3_store_part_size(unsigned number, unsigned max_parts);

/* Asks nothing of the bucket yet.  Keeps http and credentials and frees them, unless it fails. */
enum cpam_status s3_store_open(struct io *io, const struct s3_store_settings *settings,
                               struct http *http, struct credentials *credentials,
                               struct store **out, struct cpam_err *err) CPAM_CHECK;

#endif
