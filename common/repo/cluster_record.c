/*
 * cluster_record.c - cluster/<sysid>.json: the system identifiers that belong into a repository.
 *
 * A WAL file or a backup is taken only from a database whose record is here (requirements row P6),
 * so that a second initdb, or another cluster's configuration, is noticed before it mixes in.
 */
#include "repo/repo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "repo/layout.h"
#include "repo/record.h"

static enum cpam_status
cluster_parse(const json_t *body, const char *key, struct cluster_record *out, struct cpam_err *err)
{
    struct record_reader reader = record_read(body, key, err);

    out->sysid = record_number_text(&reader, "sysid", UINT64_MAX);
    out->major = (unsigned) record_number(&reader, "major", 99);
    out->segment_size = (uint32_t) record_number(&reader, "segment_size", SEGMENT_SIZE_MAX);
    record_time(&reader, "since");
    if (!reader.failed && !segment_size_valid(out->segment_size))
        record_refuse(&reader, "segment_size", "a size of WAL segments");
    return record_end(&reader);
}

enum cpam_status
cluster_record_get(struct repo *repo, uint64_t sysid, struct cluster_record *out,
                   struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    char key[LAYOUT_KEY_MAX];
    enum cpam_status status;

    layout_cluster(sysid, key);
    status = record_get(repo, key, &body, NULL, err);
    if (status == CPAM_NOT_FOUND)
    {
        cpam_fail(err, CPAM_NOT_FOUND, 0,
                  "system identifier %" PRIu64 " is not registered in repository \"%s\"", sysid,
                  repo_name(repo));
        cpam_err_hint(err, "if this database belongs here (a new initdb, or after pg_upgrade), "
                           "register it with: cpam-repo create");
    }
    if (status != CPAM_OK)
        return status;
    CPAM_TRY(cluster_parse(body, key, out, err));
    /* the name is under the signature, so this can only be a fault of the writer */
    if (out->sysid != sysid)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" speaks of system identifier %" PRIu64, key,
                         out->sysid);
    return CPAM_OK;
}

enum cpam_status
cluster_record_put(struct repo *repo, const struct cluster_record *record, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    struct cluster_record stored;
    char key[LAYOUT_KEY_MAX];
    bool failed = false;
    enum cpam_status status;

    layout_cluster(record->sysid, key);
    CPAM_TRY(record_new(repo, &body, err));
    record_set_number_text(body, &failed, "sysid", record->sysid);
    record_set(body, &failed, "major", json_integer(record->major));
    record_set(body, &failed, "segment_size", json_integer(record->segment_size));
    record_set_time(body, &failed, "since", repo_io(repo)->ops->now(repo_io(repo)));
    CPAM_TRY(record_made(key, failed, err));
    status = record_put(repo, key, body, err);
    if (status != CPAM_EXISTS)
        return status;
    CPAM_TRY(cluster_record_get(repo, record->sysid, &stored, err));
    if (stored.major == record->major && stored.segment_size == record->segment_size)
        return CPAM_OK;
    return cpam_fail(err, CPAM_EXISTS, 0,
                     "system identifier %" PRIu64 " is registered in repository \"%s\" as "
                     "PostgreSQL %u with segments of %" PRIu32 " bytes, not %u with %" PRIu32,
                     record->sysid, repo_name(repo), stored.major, stored.segment_size,
                     record->major, record->segment_size);
}

struct gathering
{
    struct repo *repo;
    uint64_t *out;
    size_t cap, count;
};

static enum cpam_status
gather(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct gathering *gathering = arg;
    const char *name = layout_base_name(entry->key);
    size_t length = strlen(name);
    char digits[24];
    uint64_t sysid;
    struct cpam_err ignored;

    if (length < 6 || length - 5 >= sizeof(digits) || strcmp(name + length - 5, ".json") != 0)
        return CPAM_OK;
    memcpy(digits, name, length - 5);
    digits[length - 5] = '\0';
    if (text_parse_u64(digits, UINT64_MAX, &sysid, &ignored) != CPAM_OK)
        return CPAM_OK;
    if (gathering->count == gathering->cap)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "more than %zu system identifiers are registered in repository \"%s\"",
                         gathering->cap, repo_name(gathering->repo));
    gathering->out[gathering->count++] = sysid;
    return CPAM_OK;
}

enum cpam_status
cluster_record_list(struct repo *repo, uint64_t *out, size_t cap, size_t *count,
                    struct cpam_err *err)
{
    struct gathering gathering = {repo, out, cap, 0};

    *count = 0;
    CPAM_TRY(store_list(repo_store(repo), LAYOUT_CLUSTERS, NULL, false, gather, &gathering, err));
    /* names prove nothing: anybody who can write to the bucket can make them */
    for (size_t i = 0; i < gathering.count; i++)
    {
        struct cluster_record record;
        enum cpam_status status = cluster_record_get(repo, out[i], &record, err);

        if (status == CPAM_OK)
            out[(*count)++] = out[i];
        else if (status == CPAM_CORRUPT || status == CPAM_FOREIGN)
            cpam_log(LOG_WARNING, "%s", err->text);
        else
            return status;
    }
    return CPAM_OK;
}
