/*
 * authentic.h - reading an object as the oldest of its versions that authenticates.
 *
 * Object Lock protects versions, not names: a plain PUT or DELETE still lays a newer version or a
 * delete marker on top of a locked object (format-1.md fault 5).  So wherever a store has versions,
 * the object is the oldest version the check accepts, and a marker hides nothing.  A store without
 * versions costs one request; one with versions a second one, to list them.
 */
#ifndef CPAM_REPO_AUTHENTIC_H
#define CPAM_REPO_AUTHENTIC_H

#include "store/store.h"

/* Of a read that failed: was something seen, and is it wrong?  What could not be read is another matter:
   only the former may send anybody to an older version, or to go on without. */
bool authentic_wrong(enum cpam_status status);

/* Is this (the range that was asked for) the genuine thing?  CPAM_OK, or why not. */
typedef enum cpam_status (*authentic_check)(void *arg, const void *data, size_t size,
                                            struct cpam_err *err);

/*
 * Reads range (NULL: all) of key into *out, at most limit bytes, and fills *info (its version is
 * the one that was taken).  CPAM_INVALID: longer than limit.  CPAM_NOT_FOUND: proven absent.
 * CPAM_UNKNOWN: a marker is all there is to see, and no version below it is genuine.  The check's
 * own failure: no version is genuine; the sentence is about the oldest.
 */
enum cpam_status authentic_get(struct store *store, const char *key,
                               const struct store_range *range, size_t limit, authentic_check check,
                               void *arg, struct cpam_buf *out, struct store_info *info,
                               struct cpam_err *err) CPAM_CHECK;

#endif
