/*
 * dir_list.c - listing a directory store: keys in byte order, as an object store would give them.
 *
 * The tree is walked depth first.  A directory sorts as its name with the '/' its keys go on with
 * ("a-b" comes before "a/c", '-' being less than '/'), so that the walk's order is the byte order
 * of whole keys.  Each directory is read to its end and closed before the walk goes deeper.
 *
 * Not objects: temporaries (".cpam-*"), names that can't be part of a key ("lost+found"), and what
 * is neither a regular file nor a directory.  An entry that is gone when looked at was removed
 * meanwhile, as an object store would say; every other failure ends the listing, and so does a link that
 * leads nowhere where the prefix asks for it: what it led to can't be listed.
 */
#include "store/dir_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "store/dir_link.h"

enum
{
    NAMES_MAX = 512 << 20 /* bytes of names in one directory */
};

struct names
{
    struct cpam_buf text;   /* each with its NUL; a directory's ends in '/' */
    struct cpam_buf starts; /* const char *, sorted; made by sort_names */
    size_t count;
};

static void
names_clear_scoped_(struct names *names)
{
    cpam_buf_clear(&names->text);
    cpam_buf_clear(&names->starts);
}

static enum cpam_status
unreadable(const struct dir_listing *listing, const char *key, int sys, struct cpam_err *err)
{
    enum cpam_status status = sys == EACCES || sys == EPERM ? CPAM_REFUSED : CPAM_UNKNOWN;

    return cpam_fail(err, status, sys, "could not list \"%s\" in %s", key, listing->url);
}

/* What looking at this path failed with: gone is no failure. */
static enum cpam_status
failed(const struct dir_listing *listing, const char *path, int sys, struct cpam_err *err)
{
    if (sys != ENOENT)
        return unreadable(listing, path, sys, err);
    return dir_check_links(listing->io, listing->root_fd, path, listing->url, err);
}

static enum cpam_status
in_time(const struct dir_listing *listing, struct cpam_err *err)
{
    if (deadline_left(listing->io, listing->deadline) > 0)
        return CPAM_OK;
    return cpam_fail(err, CPAM_DEADLINE, 0, "the time for listing \"%s\" in %s is used up",
                     listing->prefix, listing->url);
}

/* The entry's key ("dir" + name, directories with '/') into *key. */
static enum cpam_status
make_key(struct cpam_buf *key, const char *dir, const char *name, struct cpam_err *err)
{
    key->size = 0;
    CPAM_TRY(cpam_buf_append(key, dir, strlen(dir), SIZE_MAX / 2, err));
    return cpam_buf_append(key, name, strlen(name) + 1, SIZE_MAX / 2, err);
}

/* What kind of thing is it: 'd', 'f', or 0 for neither, gone, or a link that is not asked for. */
static enum cpam_status
kind_of(const struct dir_listing *listing, const char *dir, const struct dirent *entry, char *kind,
        struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf key = {0};
    struct stat about;

    *kind = 0;
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG)
    {
        *kind = entry->d_type == DT_DIR ? 'd' : 'f';
        return CPAM_OK;
    }
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return CPAM_OK;
    CPAM_TRY(make_key(&key, dir, entry->d_name, err));
    const char *path = (const char *) key.data;
    if (strncmp(path, listing->prefix, strlen(listing->prefix)) != 0)
        return CPAM_OK;
    if (listing->io->ops->stat(listing->io, listing->root_fd, path, 0, &about) != 0)
        return failed(listing, path, errno, err);
    if (S_ISDIR(about.st_mode))
        *kind = 'd';
    else if (S_ISREG(about.st_mode))
        *kind = 'f';
    return CPAM_OK;
}

static enum cpam_status
read_names(const struct dir_listing *listing, const char *dir, DIR *open, struct names *names,
           struct cpam_err *err)
{
    const struct io_ops *ops = listing->io->ops;
    struct cpam_err ignored;
    struct dirent *entry;
    char kind;

    while (errno = 0, (entry = ops->readdir(listing->io, open)) != NULL)
    {
        if (strncmp(entry->d_name, ".cpam-", 6) == 0 ||
            store_key_check(entry->d_name, &ignored) != CPAM_OK)
            continue;
        CPAM_TRY(kind_of(listing, dir, entry, &kind, err));
        if (kind == 0)
            continue;
        size_t len = strlen(entry->d_name);
        CPAM_TRY(cpam_buf_append(&names->text, entry->d_name, len, NAMES_MAX, err));
        CPAM_TRY(cpam_buf_append(&names->text, "/", kind == 'd' ? 2 : 0, NAMES_MAX, err));
        CPAM_TRY(cpam_buf_append(&names->text, "", kind == 'f' ? 1 : 0, NAMES_MAX, err));
        names->count++;
    }
    if (errno != 0)
        return unreadable(listing, dir, errno, err);
    return CPAM_OK;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static enum cpam_status
sort_names(struct names *names, struct cpam_err *err)
{
    const char *at = (const char *) names->text.data;

    for (size_t i = 0; i < names->count; i++)
    {
        CPAM_TRY(cpam_buf_append(&names->starts, &at, sizeof(at), SIZE_MAX / 2, err));
        at += strlen(at) + 1;
    }
    if (names->count > 0)
        qsort(names->starts.data, names->count, sizeof(at), compare_names);
    return CPAM_OK;
}

/* dir is "" or ends in '/'.  A directory that is not there (any more) has no names. */
static enum cpam_status
names_of(const struct dir_listing *listing, const char *dir, struct names *names,
         struct cpam_err *err)
{
    DIR *open =
        listing->io->ops->opendir(listing->io, listing->root_fd, dir[0] == '\0' ? "." : dir);

    if (open == NULL)
        return failed(listing, dir, errno, err);
    enum cpam_status status = read_names(listing, dir, open, names, err);
    listing->io->ops->closedir(listing->io, open);
    if (status == CPAM_OK)
        status = sort_names(names, err);
    return status;
}

static const char *
name_at(const struct names *names, size_t i)
{
    const char *name;

    memcpy(&name, names->starts.data + i * sizeof(name), sizeof(name));
    return name;
}

/* Is an object below this directory that comes behind `after`? */
static enum cpam_status
holds_object(const struct dir_listing *listing, const char *dir, bool *holds, struct cpam_err *err)
{
    CPAM_AUTO(names_clear) struct names names = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf key = {0};

    CPAM_TRY(in_time(listing, err));
    CPAM_TRY(names_of(listing, dir, &names, err));
    for (size_t i = names.count; i > 0 && !*holds; i--)
    {
        CPAM_TRY(make_key(&key, dir, name_at(&names, i - 1), err));
        const char *path = (const char *) key.data;
        bool is_dir = path[key.size - 2] == '/';
        bool behind = listing->after == NULL || strcmp(path, listing->after) > 0 ||
                      (is_dir && strncmp(path, listing->after, key.size - 1) == 0);

        if (!behind)
            return CPAM_OK; /* and neither are those before it */
        if (is_dir)
            CPAM_TRY(holds_object(listing, path, holds, err));
        else
            *holds = true;
    }
    return CPAM_OK;
}

static enum cpam_status
report_file(const struct dir_listing *listing, const char *key, struct cpam_err *err)
{
    struct stat about;

    if (listing->io->ops->stat(listing->io, listing->root_fd, key, 0, &about) != 0)
        return failed(listing, key, errno, err);
    struct store_entry entry = {
        .key = key,
        .size = (uint64_t) about.st_size,
        .modified = (int64_t) about.st_mtim.tv_sec * 1000000 + about.st_mtim.tv_nsec / 1000,
    };
    return listing->fn(listing->arg, &entry, err);
}

static enum cpam_status
report_prefix(const struct dir_listing *listing, const char *key, struct cpam_err *err)
{
    bool holds = false;

    CPAM_TRY(holds_object(listing, key, &holds, err));
    if (!holds)
        return CPAM_OK;
    struct store_entry entry = {.key = key, .is_prefix = true};
    return listing->fn(listing->arg, &entry, err);
}

static enum cpam_status
walk(const struct dir_listing *listing, const char *dir, struct cpam_err *err)
{
    CPAM_AUTO(names_clear) struct names names = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf key_buf = {0};
    size_t prefix_len = strlen(listing->prefix);

    CPAM_TRY(in_time(listing, err));
    CPAM_TRY(names_of(listing, dir, &names, err));
    for (size_t i = 0; i < names.count; i++)
    {
        CPAM_TRY(make_key(&key_buf, dir, name_at(&names, i), err));
        const char *key = (const char *) key_buf.data;
        size_t len = key_buf.size - 1;
        bool is_dir = key[len - 1] == '/';
        bool after_inside =
            is_dir && listing->after != NULL && strncmp(key, listing->after, len) == 0;

        if (len > STORE_KEY_MAX || strncmp(key, listing->prefix, prefix_len) != 0)
            continue;
        if (listing->after != NULL && !after_inside && strcmp(key, listing->after) <= 0)
            continue;
        if (!is_dir)
            CPAM_TRY(report_file(listing, key, err));
        else if (listing->delimited)
            CPAM_TRY(report_prefix(listing, key, err));
        else
            CPAM_TRY(walk(listing, key, err));
    }
    return CPAM_OK;
}

enum cpam_status
dir_list(const struct dir_listing *listing, struct cpam_err *err)
{
    /* The last '/' of the prefix ends the directory where the walk begins. */
    const char *slash = strrchr(listing->prefix, '/');
    size_t len = slash == NULL ? 0 : (size_t) (slash - listing->prefix) + 1;
    CPAM_AUTO(free) char *dir = strndup(listing->prefix, len);

    if (dir == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a listing");
    enum cpam_status status = walk(listing, dir, err);
    return status == CPAM_CANCELLED ? CPAM_OK : status;
}
