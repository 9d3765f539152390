/*
 * s3_prepare.c - before a repository is made: does this store keep what it promises?
 *
 * Stores differ most where it hurts most: some refuse If-None-Match, some take it and overwrite all
 * the same.  So it is tried, on an object of a random name, which is removed again as far as the
 * credentials allow.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "store/s3_parts.h"

static const char first[] = "CPAM probe: the first content\n";
static const char second[] = "CPAM probe: another content, which must be refused\n";

enum
{
    PROBE_VERSIONS = 8 /* the three puts make at most three */
};

struct probe
{
    struct s3_store *self;
    struct deadline deadline;
    char key[64];     /* relative */
    const char *full; /* in the bucket */
};

static enum cpam_status
ignores_condition(const struct probe *probe, struct cpam_err *err)
{
    cpam_fail(err, CPAM_REFUSED, 0,
              "%s takes a PUT with \"If-None-Match: *\" and overwrites all the same",
              probe->self->base.url);
    cpam_err_hint(err, "archived WAL could be overwritten there unnoticed: use a store with "
                       "conditional writes, or switch them on");
    return CPAM_REFUSED;
}

static enum cpam_status
put_probe(const struct probe *probe, const char *text, struct cpam_err *err)
{
    return store_put_new(&probe->self->base, probe->key, text, strlen(text), STORE_CLASS_META, err);
}

/* The first put succeeds, and two more are refused (the second against a cache that forgets). */
static enum cpam_status
prove_condition(const struct probe *probe, struct cpam_err *err)
{
    enum cpam_status status = put_probe(probe, first, err);

    if (status == CPAM_REFUSED && s3_code_is(probe->self->s3, "NotImplemented"))
        cpam_err_hint(err, "this store refuses \"If-None-Match: *\", without which archived WAL "
                           "could be overwritten: use a store with conditional writes");
    if (status != CPAM_OK)
        return status;
    for (int i = 0; i < 2; i++)
    {
        status = put_probe(probe, second, err);
        if (status == CPAM_OK)
            return ignores_condition(probe, err);
        if (status != CPAM_EXISTS)
            return status;
    }
    return CPAM_OK;
}

/* The oldest version is the object: where a store keeps versions, the refused may lie on top. */
static enum cpam_status
prove_read(const struct probe *probe, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf got = {0};
    struct store_version versions[PROBE_VERSIONS];
    size_t count = 0;

    CPAM_TRY(store_versions(&probe->self->base, probe->key, versions, PROBE_VERSIONS, &count, err));
    if (count == 0)
        return cpam_fail(err, CPAM_REFUSED, 0, "%s does not find \"%s\", which was just stored",
                         probe->self->base.url, probe->key);
    CPAM_TRY(
        store_get_buf(&probe->self->base, probe->key, versions[0].id, NULL, &got, 4096, NULL, err));
    if (got.size != strlen(first) || memcmp(got.data, first, got.size) != 0)
        return cpam_fail(err, CPAM_REFUSED, 0,
                         "%s gives back other bytes than were stored in \"%s\"",
                         probe->self->base.url, probe->key);
    return CPAM_OK;
}

static enum cpam_status
see_probe(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    bool *seen = arg;

    (void) err;
    *seen |= !entry->is_prefix;
    return CPAM_OK;
}

static enum cpam_status
prove_list(const struct probe *probe, struct cpam_err *err)
{
    bool seen = false;

    CPAM_TRY(store_list(&probe->self->base, probe->key, NULL, false, see_probe, &seen, err));
    if (!seen)
        return cpam_fail(err, CPAM_REFUSED, 0, "%s does not list \"%s\", which was just stored",
                         probe->self->base.url, probe->key);
    /* what comes after a segment is asked for in this way, and tells the archive's end from a hole */
    enum cpam_status status =
        store_list(&probe->self->base, probe->key, probe->key, false, see_probe, &seen, err);
    if (status != CPAM_UNKNOWN)
        return status;
    cpam_err_hint(err, "this store does not begin a listing behind \"start-after\", without which "
                       "no recovery could tell the end of the archive: use another one");
    return err->status = CPAM_REFUSED;
}

/* A writer that may not delete is a good writer: its probe stays. */
static void
remove_probe(const struct probe *probe)
{
    struct store_version versions[PROBE_VERSIONS];
    struct cpam_err err;
    size_t count = 0;
    enum cpam_status status =
        store_versions(&probe->self->base, probe->key, versions, PROBE_VERSIONS, &count, &err);

    for (size_t i = 0; i < count && status == CPAM_OK; i++)
        status = s3_delete(probe->self->s3, probe->full, versions[i].id, probe->deadline, &err);
    if (status != CPAM_OK)
        cpam_log(LOG_INFO, "the probe stays where it is: %s", err.text);
}

enum cpam_status
s3_store_prepare(struct store *store, struct cpam_err *err)
{
    struct s3_store *self = (struct s3_store *) store;
    struct probe probe = {.self = self, .deadline = store->deadline};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf full = {0};
    uint64_t chance = 0;

    if (store->io->ops->random(store->io, &chance, sizeof(chance)) != 0)
        return cpam_fail(err, CPAM_IO, 0, "the system has no random numbers");
    snprintf(probe.key, sizeof(probe.key), "probe/%016llx", (unsigned long long) chance);
    CPAM_TRY(cpam_buf_printf(&full, S3_STORE_PREFIX_MAX + STORE_KEY_MAX, err, "%s%s", self->prefix,
                             probe.key));
    probe.full = cpam_buf_text(&full);
    if (probe.full == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a key");

    enum cpam_status status = prove_condition(&probe, err);
    if (status != CPAM_OK && status != CPAM_REFUSED)
        cpam_err_prefix(err, "could not try out %s", store->url);
    if (status == CPAM_OK)
        status = prove_read(&probe, err);
    if (status == CPAM_OK)
        status = prove_list(&probe, err);
    if (status == CPAM_OK)
        status = s3_store_prove_lock(self, probe.full, probe.deadline, err);
    if (status == CPAM_OK)
        remove_probe(&probe);
    return status;
}
