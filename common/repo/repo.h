/*
 * repo.h - one opened repository: a store, its proven identity, and the keys to use with it.
 *
 * repo.json (format-1.md 2.8) names format, UUID, cluster; it is verified before anything else is
 * believed.  An opened repository is used by one thread; repo_another() gives a worker its own
 * connection to the same one (the keyring, which is read-only, is shared and counted), and may be
 * called while another thread uses it.
 */
#ifndef CPAM_REPO_REPO_H
#define CPAM_REPO_REPO_H

#include "object/object.h"
#include "store/store.h"

/* What opens a store for one thread; made from the configuration by cli/repositories. */
struct store_opener
{
    enum cpam_status (*open)(const struct store_opener *opener, struct store **out,
                             struct cpam_err *err);
    void *arg;
};

struct repo_settings
{
    const char *name; /* of the repository in the configuration, for messages */
    const char *cluster;
    bool required;
    const struct store_opener *opener; /* kept; outlives the repo */
    enum codec_id wal_codec, base_codec;
    int wal_level, base_level;
    /* Where a sealed WAL segment that is too large to be held in memory waits, in an unlinked file.
       NULL: /var/tmp. */
    const char *spool;
    /* Where the bytes of a summary are kept until it is stored, so that the next push can finish
       what this one could not (format-1.md section 0, seq).  NULL: they are not kept. */
    const char *state;
};

struct repo;

/* Opens and proves the identity.  keyring (kept, counted by the caller: must outlive the repo) is
   bound to the UUID found. CPAM_NOT_FOUND: no repository there yet (hint: cpam-repo create). */
enum cpam_status repo_open(struct io *io, const struct repo_settings *settings,
                           struct keyring *keyring, struct deadline deadline, struct repo **out,
                           struct cpam_err *err) CPAM_CHECK;
enum cpam_status repo_another(struct repo *repo, struct repo **out,
                              struct cpam_err *err) CPAM_CHECK;
/* Makes repo.json with a new UUID.  CPAM_EXISTS when there is one (with its UUID and cluster). */
enum cpam_status repo_create(struct io *io, const struct repo_settings *settings,
                             struct keyring *keyring, struct cpam_err *err) CPAM_CHECK;
void repo_free(struct repo *repo);
CPAM_SCOPED(repo_free, struct repo);

struct io *repo_io(struct repo *repo);
struct store *repo_store(struct repo *repo);
struct keyring *repo_keyring(struct repo *repo);
struct seal_session *repo_session(struct repo *repo); /* made at first use; NULL before */
enum cpam_status repo_seal(struct repo *repo, struct seal_session **out,
                           struct cpam_err *err) CPAM_CHECK;
enum cpam_status repo_opener(struct repo *repo, struct object_opener **out,
                             struct cpam_err *err) CPAM_CHECK;
const char *repo_name(const struct repo *repo);
const char *repo_cluster(const struct repo *repo);
const struct repo_settings *repo_settings(const struct repo *repo);

/* cluster/<sysid>.json: which system identifiers may write here. */
struct cluster_record
{
    uint64_t sysid;
    unsigned major;
    uint32_t segment_size;
};
enum cpam_status cluster_record_get(struct repo *repo, uint64_t sysid, struct cluster_record *out,
                                    struct cpam_err *err) CPAM_CHECK;
/* Put-if-absent; the same record again is CPAM_OK. */
enum cpam_status cluster_record_put(struct repo *repo, const struct cluster_record *record,
                                    struct cpam_err *err) CPAM_CHECK;
/* System identifiers known here, at most cap; CPAM_INVALID if there are more. */
enum cpam_status cluster_record_list(struct repo *repo, uint64_t *out, size_t cap, size_t *count,
                                     struct cpam_err *err) CPAM_CHECK;

#endif
