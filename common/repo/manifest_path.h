/*
 * manifest_path.h - which paths a manifest may name; for manifest_*.c.
 */
#ifndef CPAM_REPO_MANIFEST_PATH_H
#define CPAM_REPO_MANIFEST_PATH_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Relative, 1..MANIFEST_PATH_MAX bytes, no empty, "." or ".." part.  CPAM_CORRUPT otherwise.
 */
enum cpam_status manifest_path_check(const char *path, struct cpam_err *err) CPAM_CHECK;

/*
 * Is the folder path lies in known to be one?  last_dir is the last directory entry before it ("" at
 * the beginning): entries are in order, so a folder that may still get entries is it or one of its
 * ancestors.
 */
bool manifest_parent_known(const char *last_dir, const char *path);

#endif
