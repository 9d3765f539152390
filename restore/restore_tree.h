/*
 * restore_tree.h - small steps on directories: look, empty, open one beneath another.
 */
#ifndef CPAM_RESTORE_RESTORE_TREE_H
#define CPAM_RESTORE_RESTORE_TREE_H

#include <stdbool.h>

#include "base/err.h"
#include "io/io.h"

enum tree_state
{
    TREE_ABSENT,
    TREE_EMPTY, /* a "lost+found" does not count, nor a file of ours that never got its name */
    TREE_FULL,
    TREE_OTHER /* no directory */
};

enum cpam_status tree_look(struct io *io, const char *path, enum tree_state *out,
                           struct cpam_err *err) CPAM_CHECK;

/* Removes everything in the directory whose name begins with `own` but `keep`; links are removed,
   never followed, but for the directory's own path. */
enum cpam_status tree_empty(struct io *io, const char *path, const char *own, const char *keep,
                            struct cpam_err *err) CPAM_CHECK;

/* Removes what has this name in the directory, with all that is in it; links are not followed. */
enum cpam_status tree_remove(struct io *io, int dir_fd, const char *name,
                             struct cpam_err *err) CPAM_CHECK;

/* Removes the files in the directory that a killed run never gave their names (file_is_temporary). */
enum cpam_status tree_clear_temporaries(struct io *io, int dir_fd, const char *path,
                                        struct cpam_err *err) CPAM_CHECK;

/* Opens a directory that is no link, as one its owner can read, search and write: what lies in it is
   about to change.  -1 with errno, as open. */
int tree_open_own(struct io *io, int dir_fd, const char *name);

/* Bytes on disk of what tree_empty() would remove, holes left out. */
enum cpam_status tree_bytes(struct io *io, const char *path, uint64_t *out,
                            struct cpam_err *err) CPAM_CHECK;

/* "a/b/c" beneath dir_fd, without following links: a descriptor of its directory and its last
   part.  The caller closes *parent. */
enum cpam_status tree_parent(struct io *io, int dir_fd, const char *path, int *parent,
                             const char **name, struct cpam_err *err) CPAM_CHECK;

#endif
