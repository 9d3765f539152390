/*
 * summary.c - a backup's summary, written and read member by member.
 */
#include "repo/summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "repo/layout.h"
#include "repo/parents.h"

/* How many packs a backup uses, label by label: expiry keeps or drops packs by whole label. */
static json_t *
packs_of(const struct backup_summary *summary, bool *failed)
{
    json_t *packs = json_object();
    const char *at = summary->parents;
    char label[BACKUP_LABEL_MAX];
    uint64_t count, others;

    parents_count(summary->parents, &others);
    record_set(packs, failed, summary->label, json_integer((json_int_t) (summary->packs - others)));
    while (parents_next(&at, label, &count))
        record_set(packs, failed, label, json_integer((json_int_t) count));
    return packs;
}

json_t *
summary_parents(const char *parents, bool *failed)
{
    json_t *labels = json_array();
    char label[BACKUP_LABEL_MAX];
    uint64_t count;

    while (parents_next(&parents, label, &count))
        *failed |= json_array_append_new(labels, json_string(label)) != 0;
    return labels;
}

enum cpam_status
summary_set_common(const struct repo *repo, const struct backup_summary *summary, json_t *object,
                   struct cpam_err *err)
{
    bool failed = false;

    record_set(object, &failed, "cluster", json_string(repo_cluster(repo)));
    record_set_number_text(object, &failed, "sysid", summary->sysid);
    record_set(object, &failed, "label", json_string(summary->label));
    record_set(object, &failed, "kind", json_string(summary->kind));
    record_set(object, &failed, "parents", summary_parents(summary->parents, &failed));
    record_set(object, &failed, "epoch", json_string(summary->epoch));
    record_set(object, &failed, "major", json_integer(summary->major));
    record_set(object, &failed, "pg_version", json_string(summary->pg_version));
    record_set(object, &failed, "timeline", json_integer(summary->timeline.id));
    record_set_lsn(object, &failed, "start_lsn", summary->start);
    record_set_lsn(object, &failed, "stop_lsn", summary->stop);
    record_set_time(object, &failed, "start_time", summary->start_time);
    record_set_time(object, &failed, "stop_time", summary->stop_time);
    record_set(object, &failed, "segment_size", json_integer(summary->segment_size));
    record_set(object, &failed, "wal_first", json_string(summary->wal_first));
    record_set(object, &failed, "wal_last", json_string(summary->wal_last));
    record_set(object, &failed, "files", json_integer((json_int_t) summary->files));
    record_set(object, &failed, "bytes", json_integer((json_int_t) summary->bytes));
    record_set(object, &failed, "packs", packs_of(summary, &failed));
    record_set(object, &failed, "stored_bytes", json_integer((json_int_t) summary->stored_bytes));
    record_set(object, &failed, "checksums", json_boolean(summary->has_checksums));
    record_set(object, &failed, "damaged_pages", json_integer((json_int_t) summary->damaged_pages));
    record_set(object, &failed, "damaged_first", json_string(summary->damaged_first));
    record_set(object, &failed, "snapshot", json_string(summary->snapshot));
    record_set(object, &failed, "retain_until", json_null());
    record_set(object, &failed, "audit", json_null());
    record_set(object, &failed, "tool", json_string(summary->tool_version));
    return record_made("a summary", failed, err);
}

/* An object of the backup, by the hash of its header, the digest of its frames, and its bytes. */
static json_t *
object_named(const uint8_t *h, const uint8_t *d, uint64_t size, bool *failed)
{
    json_t *object = json_object();

    record_set_hex(object, failed, "h", h, SHA256_SIZE);
    record_set_hex(object, failed, "d", d, SHA256_SIZE);
    record_set(object, failed, "size", json_integer((json_int_t) size));
    return object;
}

enum cpam_status
summary_body(struct repo *repo, const struct backup_summary *summary, json_t **out,
             struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    bool failed = false;

    CPAM_TRY(record_new(repo, &body, err));
    record_set_number_text(body, &failed, "seq", summary->seq);
    if (summary->has_prev)
        record_set_hex(body, &failed, "prev", summary->prev, SHA256_SIZE);
    else
        record_set(body, &failed, "prev", json_null());
    record_set(
        body, &failed, "manifest",
        object_named(summary->manifest_h, summary->manifest_d, summary->manifest_size, &failed));
    record_set(body, &failed, "blocks",
               summary->has_blocks ? object_named(summary->blocks_h, summary->blocks_d,
                                                  summary->blocks_size, &failed)
                                   : json_null());
    CPAM_TRY(record_made("a summary", failed, err));
    CPAM_TRY(summary_set_common(repo, summary, body, err));
    *out = CPAM_STEAL(body);
    return CPAM_OK;
}

static bool
count_of(const json_t *packs, const char *label, uint64_t *count)
{
    const json_t *item = json_object_get(packs, label);

    *count = json_is_integer(item) ? (uint64_t) json_integer_value(item) : 0;
    return json_is_integer(item) && json_integer_value(item) >= 0 &&
           json_integer_value(item) <= UINT32_MAX;
}

/* "parents" names whose packs it uses, "packs" how many of each, its own among them. */
static void
parse_packs(struct record_reader *reader, const json_t *parents, struct backup_summary *out)
{
    const json_t *packs = record_member(reader, "packs");
    struct cpam_err ignored;
    uint64_t count = 0;

    if (packs == NULL || parents == NULL)
        return;
    if (!json_is_array(parents) || !count_of(packs, out->label, &out->packs) ||
        json_object_size(packs) != json_array_size(parents) + 1)
        record_refuse(reader, "packs", "the numbers of packs of this backup and its parents");
    for (size_t i = 0; i < json_array_size(parents) && !reader->failed; i++)
    {
        const char *label = json_string_value(json_array_get(parents, i));

        if (label == NULL || strcmp(label, out->label) == 0 ||
            label_check(label, &ignored) != CPAM_OK || !count_of(packs, label, &count) ||
            parents_add(out->parents, label, count, &ignored) != CPAM_OK)
            record_refuse(reader, "parents", "different backups that \"packs\" has as well");
        out->packs += count;
    }
}

static void
parse_object(struct record_reader *outer, const json_t *object, uint8_t *h, uint8_t *d,
             uint64_t *size)
{
    struct record_reader reader = record_read(object, outer->what, outer->err);

    record_hex(&reader, "h", h, SHA256_SIZE);
    record_hex(&reader, "d", d, SHA256_SIZE);
    *size = record_number(&reader, "size", INT64_MAX);
    if (record_end(&reader) != CPAM_OK)
        outer->failed = true;
}

static void
parse_objects(struct record_reader *reader, struct backup_summary *out)
{
    const json_t *manifest = record_member(reader, "manifest");
    const json_t *blocks = record_member(reader, "blocks");

    if (manifest != NULL)
        parse_object(reader, manifest, out->manifest_h, out->manifest_d, &out->manifest_size);
    out->has_blocks = blocks != NULL && !json_is_null(blocks);
    if (out->has_blocks && !reader->failed)
        parse_object(reader, blocks, out->blocks_h, out->blocks_d, &out->blocks_size);
}

static void
parse_sequence(struct record_reader *reader, struct backup_summary *out)
{
    const json_t *prev = json_object_get(reader->object, "prev");

    out->seq = record_number_text(reader, "seq", UINT64_MAX - 1);
    out->has_prev = !json_is_null(prev);
    if (out->has_prev)
        record_hex(reader, "prev", out->prev, SHA256_SIZE);
    else
        record_null(reader, "prev");
}

static void
check_sense(struct record_reader *reader, const struct backup_summary *out)
{
    struct cpam_err ignored;

    if (reader->failed)
        return;
    bool is_full = strcmp(out->kind, BACKUP_FULL) == 0;

    if (label_check(out->label, &ignored) != CPAM_OK)
        record_refuse(reader, "label", "a backup label");
    else if (!is_full && strcmp(out->kind, BACKUP_INCREMENTAL) != 0)
        record_refuse(reader, "kind", "a kind of backup this version knows");
    else if (label_check(out->epoch, &ignored) != CPAM_OK ||
             is_full != (strcmp(out->epoch, out->label) == 0))
        record_refuse(reader, "epoch", "the label of the full backup");
    else if (is_full && out->parents[0] != '\0')
        record_refuse(reader, "parents", "empty in a full backup");
    else if (out->seq == 0)
        record_refuse(reader, "seq", "a number from 1");
    else if (out->timeline.id == 0)
        record_refuse(reader, "timeline", "a timeline");
    else if (!segment_size_valid(out->segment_size))
        record_refuse(reader, "segment_size", "a size of WAL segments");
    else if (out->stop.at < out->start.at || out->start.at == 0)
        record_refuse(reader, "stop_lsn", "at or behind start_lsn");
}

enum cpam_status
summary_parse(const json_t *body, const char *key, struct backup_summary *out, struct cpam_err *err)
{
    struct record_reader reader = record_read(body, key, err);

    memset(out, 0, sizeof(*out));
    record_string(&reader, "cluster");
    out->sysid = record_number_text(&reader, "sysid", UINT64_MAX);
    record_text(&reader, "label", out->label, sizeof(out->label));
    parse_sequence(&reader, out);
    record_text(&reader, "kind", out->kind, sizeof(out->kind));
    const json_t *parents = record_member(&reader, "parents");
    record_text(&reader, "epoch", out->epoch, sizeof(out->epoch));
    out->major = (unsigned) record_number(&reader, "major", 99);
    record_text(&reader, "pg_version", out->pg_version, sizeof(out->pg_version));
    out->timeline.id = (uint32_t) record_number(&reader, "timeline", UINT32_MAX);
    out->start = record_lsn(&reader, "start_lsn");
    out->stop = record_lsn(&reader, "stop_lsn");
    out->start_time = record_time(&reader, "start_time");
    out->stop_time = record_time(&reader, "stop_time");
    out->segment_size = (uint32_t) record_number(&reader, "segment_size", SEGMENT_SIZE_MAX);
    record_text(&reader, "wal_first", out->wal_first, sizeof(out->wal_first));
    record_text(&reader, "wal_last", out->wal_last, sizeof(out->wal_last));
    out->files = record_number(&reader, "files", INT64_MAX);
    out->bytes = record_number(&reader, "bytes", INT64_MAX);
    parse_packs(&reader, parents, out);
    out->stored_bytes = record_number(&reader, "stored_bytes", INT64_MAX);
    out->has_checksums = record_bool(&reader, "checksums");
    out->damaged_pages = record_number(&reader, "damaged_pages", INT64_MAX);
    record_text(&reader, "damaged_first", out->damaged_first, sizeof(out->damaged_first));
    record_text(&reader, "snapshot", out->snapshot, sizeof(out->snapshot));
    parse_objects(&reader, out);
    record_null(&reader, "retain_until");
    record_null(&reader, "audit");
    record_text(&reader, "tool", out->tool_version, sizeof(out->tool_version));
    check_sense(&reader, out);
    return record_end(&reader);
}

enum cpam_status
backup_summary_read(struct repo *repo, const char *label, struct backup_summary *out,
                    struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    uint8_t digest[SHA256_SIZE];
    char key[LAYOUT_KEY_MAX];

    CPAM_TRY(label_check(label, err));
    layout_summary(label, key);
    CPAM_TRY(record_get(repo, key, &body, digest, err));
    CPAM_TRY(summary_parse(body, key, out, err));
    /* the name is under the signature, so this can only be a fault of the writer */
    if (strcmp(out->label, label) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" speaks of backup \"%s\"", key, out->label);
    memcpy(out->digest, digest, SHA256_SIZE);
    return CPAM_OK;
}
