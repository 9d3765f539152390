/*
 * dir_store.c - a store in a directory: opening it; reading and writing are files of their own.
 */
#include "store/dir_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/dir_parts.h"
#include "store/dir_probe.h"

static void
dir_free(struct store *store)
{
    struct dir_store *self = dir_self(store);

    dir_forget_all(self);
    free(self->root);
    free(store->url);
    free(self);
}

static enum cpam_status
dir_prepare(struct store *store, struct cpam_err *err)
{
    return dir_probe(store, dir_self(store)->root, DIR_MODE, err);
}

static enum cpam_status
dir_keeping(struct store *store, bool ask, enum store_keeping *out, struct cpam_err *err)
{
    (void) store, (void) ask, (void) err;
    *out = STORE_KEEPS_NO_VERSIONS;
    return CPAM_OK;
}

enum cpam_status
dir_store_open(struct io *io, const char *root, struct store **out, struct cpam_err *err)
{
    static const struct store_ops ops = {
        .put_new = dir_put_new,
        .put_new_fd = dir_put_new_fd,
        .put_stream = dir_put_stream,
        .get = dir_get,
        .head = dir_head,
        .list = dir_list_store,
        .versions = dir_versions,
        .settle = dir_settle,
        .remove = dir_remove,
        .prepare = dir_prepare,
        .keeping = dir_keeping,
        .free = dir_free,
    };
    size_t len = strlen(root);

    while (len > 1 && root[len - 1] == '/')
        len--;
    if (root[0] != '/' || len < 2)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "the directory of a repository is an absolute path, not \"%s\"", root);
    struct dir_store *self = calloc(1, sizeof(*self));
    if (self == NULL || (self->root = strndup(root, len)) == NULL ||
        asprintf(&self->base.url, "file://%s", self->root) < 0)
    {
        if (self != NULL)
            free(self->root);
        free(self);
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to open \"%s\"", root);
    }
    self->base.ops = &ops;
    self->base.io = io;
    *out = &self->base;
    return CPAM_OK;
}
