/*
 * repo_known.c - remembering what need not be asked twice.
 */
#include "repo/repo_known.h"

#include <pthread.h>
#include <string.h>

#include "repo/layout.h"

enum
{
    CLUSTERS_MAX = 4, /* a process archives one; after pg_upgrade perhaps another */
    IDENTITY_MAX = 1 << 20
};

enum refusing
{
    REFUSING_NOT_ASKED,
    REFUSING_BEING_ASKED,
    REFUSING_NOT_KNOWN,
    REFUSING_KNOWN
};

struct repo_known
{
    pthread_mutex_t lock;
    unsigned users;
    struct cpam_buf identity; /* never changed once there are several users */
    uint64_t clusters[CLUSTERS_MAX];
    size_t cluster_count;
    enum refusing refusing;
};

enum cpam_status
repo_known_new(struct repo_known **out, struct cpam_err *err)
{
    struct repo_known *known = calloc(1, sizeof(*known));

    *out = known;
    if (known == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to open a repository");
    pthread_mutex_init(&known->lock, NULL);
    known->users = 1;
    return CPAM_OK;
}

struct repo_known *
repo_known_share(struct repo_known *known)
{
    pthread_mutex_lock(&known->lock);
    known->users++;
    pthread_mutex_unlock(&known->lock);
    return known;
}

void
repo_known_free(struct repo_known *known)
{
    if (known == NULL)
        return;
    pthread_mutex_lock(&known->lock);
    bool last = --known->users == 0;
    pthread_mutex_unlock(&known->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&known->lock);
    cpam_buf_clear(&known->identity);
    free(known);
}

enum cpam_status
repo_known_identity(struct repo_known *known, const void *text, size_t size, struct cpam_err *err)
{
    known->identity.size = 0;
    return cpam_buf_append(&known->identity, text, size, IDENTITY_MAX, err);
}

enum cpam_status
repo_still_same(struct repo *repo, struct cpam_err *err)
{
    const struct cpam_buf *identity = &repo_known_of(repo)->identity;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf now = {0};
    struct store_info info;

    CPAM_TRY(store_get_buf(repo_store(repo), LAYOUT_IDENTITY, NULL, NULL, &now, IDENTITY_MAX, &info,
                           err));
    if (now.size == identity->size && memcmp(now.data, identity->data, now.size) == 0)
        return CPAM_OK;
    return cpam_fail(err, CPAM_REFUSED, 0, "repository \"%s\" was replaced by another one",
                     repo_name(repo));
}

static bool
has_cluster(struct repo_known *known, uint64_t sysid)
{
    bool found = false;

    pthread_mutex_lock(&known->lock);
    for (size_t i = 0; i < known->cluster_count; i++)
        found |= known->clusters[i] == sysid;
    pthread_mutex_unlock(&known->lock);
    return found;
}

enum cpam_status
repo_knows_cluster(struct repo *repo, uint64_t sysid, struct cpam_err *err)
{
    struct repo_known *known = repo_known_of(repo);
    struct cluster_record record;

    if (has_cluster(known, sysid))
        return CPAM_OK;
    CPAM_TRY(cluster_record_get(repo, sysid, &record, err));
    pthread_mutex_lock(&known->lock);
    if (known->cluster_count < CLUSTERS_MAX)
        known->clusters[known->cluster_count++] = sysid;
    pthread_mutex_unlock(&known->lock);
    return CPAM_OK;
}

enum cpam_status
repo_refuses_taken(struct repo *repo, bool *refuses, struct cpam_err *err)
{
    struct repo_known *known = repo_known_of(repo);
    enum cpam_status status;

    pthread_mutex_lock(&known->lock);
    enum refusing refusing = known->refusing;
    if (refusing == REFUSING_NOT_ASKED && known->identity.size > 0)
        known->refusing = REFUSING_BEING_ASKED;
    pthread_mutex_unlock(&known->lock);
    *refuses = refusing == REFUSING_KNOWN;
    /* a repository that was not opened but created has no identity that was read: nothing to try with */
    if (refusing != REFUSING_NOT_ASKED || known->identity.size == 0)
        return CPAM_OK;
    status = store_refuses_taken(repo_store(repo), LAYOUT_IDENTITY, known->identity.data,
                                 known->identity.size, refuses, err);
    pthread_mutex_lock(&known->lock);
    known->refusing = status != CPAM_OK ? REFUSING_NOT_ASKED
                      : *refuses        ? REFUSING_KNOWN
                                        : REFUSING_NOT_KNOWN;
    pthread_mutex_unlock(&known->lock);
    return status;
}
