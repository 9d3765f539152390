/*
 * guard.h - what goes along with a body so that the store refuses it when it was damaged on its way.
 *
 * Content-MD5 is what every store looks at, and the slowest digest there is.  A CRC-32C costs next to
 * nothing and a SHA-256 less than half, but not every store looks at them: so it is found out, by
 * sending a few bytes with a wrong one.  A store that refuses those bytes looks; one that takes them, or
 * says anything else, gets Content-MD5 as before.
 *
 * A small body always has Content-MD5: nothing is asked for the sake of a few kilobytes.
 */
#ifndef CPAM_S3_GUARD_H
#define CPAM_S3_GUARD_H

#include "s3/call.h"

enum
{
    GUARD_SMALL = 256 << 10 /* bytes: up to here a body has Content-MD5 */
};

enum s3_guard_kind
{
    GUARD_MD5,    /* and the answer's ETag is held against it */
    GUARD_SHA256, /* as the payload's digest, which is signed */
    GUARD_CRC32C  /* x-amz-checksum-crc32c; an answer that names one is held against it */
};

struct s3_guard; /* what is known of a bucket, for all connections to it */

enum cpam_status s3_guard_new(struct s3_guard **out, struct cpam_err *err) CPAM_CHECK;
struct s3_guard *s3_guard_share(struct s3_guard *guard);
void s3_guard_free(struct s3_guard *guard); /* the last one frees it */

/* For a body of so many bytes.  The store is asked once; while another thread asks, and where nothing
   may be tried (settings.probe NULL) or it has a lock (S3 wants Content-MD5 with it), it is GUARD_MD5. */
enum s3_guard_kind s3_guard_for(struct s3 *s3, const struct s3_put *put, struct deadline deadline);

#endif
