/*
 * dir_probe.c - making the directory of a new repository, and proving what the store's promises
 * rest on by doing it: a name can be taken once only, reads see writes, listings are complete.
 *
 * The root is made with all its missing parents: "cpam-repo create" is a person's explicit wish,
 * and the shortest configuration names a directory that is not there yet.  (Pushes never make it:
 * an unmounted disk would turn into a second repository.)
 */
#include "store/dir_probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"

enum
{
    PROBES = 3,
    RANDOM = 8,
    KEY_MAX = 64
};

struct seen
{
    size_t count;
    char keys[PROBES][KEY_MAX];
};

static enum cpam_status
see(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct seen *seen = arg;

    if (seen->count == PROBES || strlen(entry->key) >= KEY_MAX)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "a listing shows \"%s\", which nobody wrote",
                         entry->key);
    memcpy(seen->keys[seen->count++], entry->key, strlen(entry->key) + 1);
    return CPAM_OK;
}

static enum cpam_status
prove_once(struct store *store, const char *key, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf body = {0};

    CPAM_TRY(store_put_new(store, key, "first", 5, STORE_CLASS_META, err));
    enum cpam_status status = store_put_new(store, key, "second", 6, STORE_CLASS_META, err);
    if (status == CPAM_OK)
    {
        cpam_fail(err, CPAM_REFUSED, 0, "%s lets a second writer take a name that is taken",
                  store->url);
        cpam_err_hint(err, "use a file system with hard links; nothing here would be safe from "
                           "being overwritten");
        return CPAM_REFUSED;
    }
    if (status != CPAM_EXISTS)
        return status;
    CPAM_TRY(store_get_buf(store, key, NULL, NULL, &body, 16, NULL, err));
    if (body.size != 5 || memcmp(body.data, "first", 5) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "%s gives back other bytes than were stored",
                         store->url);
    return CPAM_OK;
}

static enum cpam_status
prove_all(struct store *store, const char *folder, char keys[PROBES][KEY_MAX], struct cpam_err *err)
{
    struct seen seen = {0};

    for (int i = 0; i < PROBES; i++)
        CPAM_TRY(prove_once(store, keys[i], err));
    CPAM_TRY(store_list(store, folder, NULL, false, see, &seen, err));
    for (size_t i = 0; i < PROBES; i++)
        if (seen.count != PROBES || strcmp(seen.keys[i], keys[i]) != 0)
            return cpam_fail(err, CPAM_UNKNOWN, 0, "a listing of %s does not show \"%s\"",
                             store->url, keys[i]);
    return CPAM_OK;
}

enum cpam_status
dir_probe(struct store *store, const char *root, mode_t mode, struct cpam_err *err)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t random[RANDOM];
    char text[2 * RANDOM + 1] = "";
    char folder[KEY_MAX / 2];
    char keys[PROBES][KEY_MAX];

    enum cpam_status status = file_make_dirs(store->io, root, mode, err);
    if (status != CPAM_OK && (err->sys == EACCES || err->sys == EPERM || err->sys == EROFS))
    {
        err->status = CPAM_REFUSED;
        cpam_err_hint(err, "make \"%s\" and give it to the user this program runs as", root);
    }
    CPAM_TRY(status == CPAM_OK ? CPAM_OK : err->status);
    if (store->io->ops->random(store->io, random, sizeof(random)) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not get random bytes");
    for (size_t i = 0; i < RANDOM; i++)
    {
        text[2 * i] = hex[random[i] >> 4];
        text[2 * i + 1] = hex[random[i] & 15];
    }
    snprintf(folder, sizeof(folder), "probe/%s/", text);
    for (int i = 0; i < PROBES; i++)
        snprintf(keys[i], KEY_MAX, "%s%d", folder, i);

    status = prove_all(store, folder, keys, err);
    struct cpam_err later;
    for (int i = 0; i < PROBES; i++)
    {
        enum cpam_status removed = store_remove(store, keys[i], &later);
        if (status == CPAM_OK && removed != CPAM_OK)
        {
            *err = later;
            status = removed;
        }
    }
    return status;
}
