/*
 * name.h - names of objects and buckets as stores spell them.
 */
#ifndef CPAM_S3_NAME_H
#define CPAM_S3_NAME_H

#include <stdbool.h>

#include "base/err.h"

/* "%41+" as a listing with encoding-type=url writes it, in place. */
enum cpam_status s3_url_decode(char *text, struct cpam_err *err) CPAM_CHECK;

/*
 * Can this be the store's way to spell our name?  Stores have ways of their own: radosgw leaves a bucket's
 * tenant out, SeaweedFS writes a key with a '/' in front, some encode and some don't, a gateway has a
 * folder before what it was asked for.  So what fits is the name or, from one of the characters of
 * `between` on, the end of it or more than it; and what is empty says nothing.
 */
bool s3_is_named(const char *theirs, const char *ours, const char *between);

#endif
