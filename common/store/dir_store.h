/*
 * dir_store.h - a store in a directory: file:///var/backups/cpam.
 *
 * Names that must be new are published by link(2), or renameat2(RENAME_NOREPLACE) where the file
 * system knows no hard links.  Absent means: open(2) of the file itself said ENOENT while the root
 * directory is there; ESTALE, EIO, EACCES and a missing root (an unmounted disk) are not absence.
 */
#ifndef CPAM_STORE_DIR_STORE_H
#define CPAM_STORE_DIR_STORE_H

#include "store/store.h"

/* root: an absolute path (borrowed during the call).  Opens nothing yet. */
enum cpam_status dir_store_open(struct io *io, const char *root, struct store **out,
                                struct cpam_err *err) CPAM_CHECK;

#endif
