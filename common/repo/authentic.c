/*
 * authentic.c - choosing among the versions of an object.
 */
#include "repo/authentic.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

static enum cpam_status
get_version(struct store *store, const char *key, const char *version,
            const struct store_range *range, size_t limit, struct cpam_buf *out,
            struct store_info *info, struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;

    out->size = 0;
    CPAM_TRY(sink_buf_push(&chain, out, limit, err));
    CPAM_TRY(store_get(store, key, version, range, chain, info, err));
    return sink_finish(chain, err);
}

bool
authentic_wrong(enum cpam_status status)
{
    return status == CPAM_CORRUPT || status == CPAM_FOREIGN || status == CPAM_INVALID;
}

/*
 * Oldest first.  *taken is false when there is nothing but markers or versions that do not
 * authenticate; *err then speaks of the oldest of those, or is untouched when there were none.
 */
static enum cpam_status
take_oldest(struct store *store, const char *key, const struct store_range *range, size_t limit,
            authentic_check check, void *arg, const char *have, struct cpam_buf *out,
            struct store_info *info, bool *taken, struct cpam_err *err)
{
    CPAM_AUTO(free) struct store_version *versions = calloc(STORE_VERSIONS_MAX, sizeof(*versions));
    size_t count = 0;
    bool refused = false;

    *taken = false;
    if (versions == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the versions of \"%s\"", key);
    CPAM_TRY(store_versions(store, key, versions, STORE_VERSIONS_MAX, &count, err));
    /* a store without versions, or one that names them and does not list them: what was read already
       is all there is */
    if (count == 1 && versions[0].id[0] == '\0')
    {
        *taken = have != NULL;
        return CPAM_OK;
    }
    for (size_t i = 0; i < count; i++)
    {
        struct cpam_err why;
        enum cpam_status status;

        if (versions[i].is_marker)
            continue;
        /* the bytes at hand are this version's, and have passed */
        if (have != NULL && !refused && strcmp(have, versions[i].id) == 0)
        {
            *taken = true;
            return CPAM_OK;
        }
        status = get_version(store, key, versions[i].id, range, limit, out, info, &why);
        if (status == CPAM_OK)
            status = check(arg, out->data, out->size, &why);
        if (status == CPAM_OK)
        {
            cpam_log(LOG_WARNING,
                     "\"%s\" has %zu versions or delete markers in \"%s\"; the oldest "
                     "genuine version is used",
                     key, count, store->url);
            snprintf(info->version, sizeof(info->version), "%s", versions[i].id);
            *taken = true;
            return CPAM_OK;
        }
        if (!authentic_wrong(status))
        {
            *err = why;
            /* it is listed: lost by the store, or removed just now, and no proof of an absence */
            if (status == CPAM_NOT_FOUND)
                cpam_err_prefix(err, "version %s is listed, but not there", versions[i].id);
            return err->status = status == CPAM_NOT_FOUND ? CPAM_UNKNOWN : status;
        }
        cpam_log(LOG_WARNING, "version %s of \"%s\" is not genuine: %s", versions[i].id, key,
                 why.text);
        if (!refused)
            *err = why;
        refused = true;
    }
    return refused ? err->status : CPAM_OK;
}

enum cpam_status
authentic_get(struct store *store, const char *key, const struct store_range *range, size_t limit,
              authentic_check check, void *arg, struct cpam_buf *out, struct store_info *info,
              struct cpam_err *err)
{
    struct cpam_err older;
    enum cpam_status status;
    bool taken = false;

    memset(info, 0, sizeof(*info));
    status = get_version(store, key, NULL, range, limit, out, info, err);
    if (status == CPAM_OK)
        status = check(arg, out->data, out->size, err);
    if (status == CPAM_OK && info->version[0] == '\0')
        return CPAM_OK;
    if (status == CPAM_OK)
    {
        char current[STORE_VERSION_MAX];

        snprintf(current, sizeof(current), "%s", info->version);
        CPAM_TRY(
            take_oldest(store, key, range, limit, check, arg, current, out, info, &taken, err));
        if (!taken)
            return cpam_fail(err, CPAM_UNKNOWN, 0,
                             "\"%s\" was read, and then was in no listing of its versions", key);
        return CPAM_OK;
    }
    if (status != CPAM_UNKNOWN && !authentic_wrong(status))
        return status;
    /* hidden by a marker, or something else on top */
    older = *err;
    enum cpam_status below =
        take_oldest(store, key, range, limit, check, arg, NULL, out, info, &taken, &older);
    if (below == CPAM_OK && taken)
        return CPAM_OK;
    if (below != CPAM_OK && !authentic_wrong(below))
    {
        *err = older;
        return below;
    }
    return status;
}
