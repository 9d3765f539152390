/*
 * dir_parts.h - the parts of a directory store: dir_store.c (opening), dir_read.c, dir_write.c.
 */
#ifndef CPAM_STORE_DIR_PARTS_H
#define CPAM_STORE_DIR_PARTS_H

#include "store/store.h"

enum
{
    DIR_KNOWN_MAX = 64, /* directories whose entries are known to be durable */
    DIR_MODE = 0700,
    DIR_OBJECT_MODE = 0400
};

struct dir_store
{
    struct store base;
    char *root;
    char *known[DIR_KNOWN_MAX];
    size_t known_next;
};

static inline struct dir_store *
dir_self(struct store *store)
{
    return (struct dir_store *) store;
}

/* CPAM_DEADLINE once the store's time is used up. */
enum cpam_status dir_in_time(struct store *store, const char *key, struct cpam_err *err) CPAM_CHECK;

/* A descriptor of the root; CPAM_REFUSED if it is not there: that is no absence of anything. */
enum cpam_status dir_open_root(struct dir_store *self, int *out, struct cpam_err *err) CPAM_CHECK;

/* Opens an object and says what it is; CPAM_NOT_FOUND is proven. */
enum cpam_status dir_open_object(struct dir_store *self, const char *key, int *out,
                                 struct stat *about, struct cpam_err *err) CPAM_CHECK;

void dir_forget_all(struct dir_store *self);

/* dir_read.c */
enum cpam_status dir_head(struct store *store, const char *key, struct store_info *info,
                          struct cpam_err *err) CPAM_CHECK;
enum cpam_status dir_get(struct store *store, const char *key, const char *version,
                         const struct store_range *range, struct sink *to, struct store_info *info,
                         struct cpam_err *err) CPAM_CHECK;
enum cpam_status dir_versions(struct store *store, const char *key, struct store_version *out,
                              size_t cap, size_t *count, struct cpam_err *err) CPAM_CHECK;
enum cpam_status dir_list_store(struct store *store, const char *prefix, const char *after,
                                bool delimited, store_list_fn fn, void *arg,
                                struct cpam_err *err) CPAM_CHECK;

/* dir_write.c */
enum cpam_status dir_put_new(struct store *store, const char *key, const void *data, size_t size,
                             enum store_class class, struct cpam_err *err) CPAM_CHECK;
enum cpam_status dir_put_new_fd(struct store *store, const char *key, int fd, uint64_t size,
                                enum store_class class, struct cpam_err *err) CPAM_CHECK;
enum cpam_status dir_put_stream(struct store *store, const char *key, enum store_class class,
                                struct sink **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status dir_settle(struct store *store, const char *key, struct cpam_err *err) CPAM_CHECK;
enum cpam_status dir_remove(struct store *store, const char *key, struct cpam_err *err) CPAM_CHECK;

#endif
