/*
 * dir_list.h - listing a directory store: keys in byte order, as an object store would give them.
 */
#ifndef CPAM_STORE_DIR_LIST_H
#define CPAM_STORE_DIR_LIST_H

#include "store/store.h"

struct dir_listing
{
    struct io *io;
    int root_fd; /* everything is looked up below it, so that a disk can't go away unnoticed */
    const char *url;
    const char *prefix;
    const char *after; /* NULL: from the beginning */
    bool delimited;
    struct deadline deadline;
    store_list_fn fn;
    void *arg;
};

/* As store_list().  Directories without an object below them don't exist for a listing. */
enum cpam_status dir_list(const struct dir_listing *listing, struct cpam_err *err) CPAM_CHECK;

#endif
