/*
 * quarantine_record.c - the signed record beside what is in quarantine, and the listing of it.
 *
 * The record is bound to its whole key, the 16 hex digits of the content with it, so that none can
 * be laid beside another content.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "repo/quarantine_parts.h"
#include "repo/record.h"

#define RECORD_ENDING ".json"

static void
record_key(const char *place, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, "%.*s" RECORD_ENDING,
             (int) (LAYOUT_KEY_MAX - sizeof(RECORD_ENDING)), place);
}

static enum cpam_status
record_parse(const json_t *body, const char *key, uint64_t sysid, const char *name,
             struct quarantine_record *out, struct cpam_err *err)
{
    struct record_reader reader = record_read(body, key, err);
    char named[ARCHIVE_NAME_MAX], side[16];

    memset(out, 0, sizeof(*out));
    record_text(&reader, "name", named, sizeof(named));
    if (strcmp(named, name) != 0)
        record_refuse(&reader, "name", "the name it lies under");
    if (record_number_text(&reader, "sysid", UINT64_MAX) != sysid)
        record_refuse(&reader, "sysid", "the one it lies under");
    record_hex(&reader, "content", out->content, CONTENT_ID_SIZE);
    out->has_kept = !json_is_null(json_object_get(body, "kept"));
    if (out->has_kept)
        record_hex(&reader, "kept", out->kept, CONTENT_ID_SIZE);
    else
        record_null(&reader, "kept");
    record_text(&reader, "side", side, sizeof(side));
    out->was_archived = strcmp(side, "archived") == 0;
    if (!out->was_archived && strcmp(side, "local") != 0)
        record_refuse(&reader, "side", "\"archived\" or \"local\"");
    out->bytes = record_number_text(&reader, "bytes", UINT64_MAX);
    record_text(&reader, "reason", out->reason, sizeof(out->reason));
    record_text(&reader, "by", out->by, sizeof(out->by));
    out->when = record_time(&reader, "when");
    return record_end(&reader);
}

static enum cpam_status
record_find(struct repo *repo, const char *place, uint64_t sysid, const char *name,
            struct quarantine_record *out, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    char key[LAYOUT_KEY_MAX];

    record_key(place, key);
    CPAM_TRY(record_get(repo, key, &body, NULL, err));
    return record_parse(body, key, sysid, name, out, err);
}

enum cpam_status
quarantine_record_check(const struct aside *aside, struct cpam_err *err)
{
    struct quarantine_record record;

    CPAM_TRY(record_find(aside->repo, aside->place, aside->sysid, aside->name.text, &record, err));
    if (memcmp(record.content, aside->content, CONTENT_ID_SIZE) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the record beside \"%s\" speaks of another content",
                         aside->place);
    return CPAM_OK;
}

enum cpam_status
quarantine_record_put(const struct aside *aside, bool was_archived,
                      const struct quarantine_note *note, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    struct io *io = repo_io(aside->repo);
    char key[LAYOUT_KEY_MAX];
    bool failed = false;

    record_key(aside->place, key);
    CPAM_TRY(record_new(aside->repo, &body, err));
    record_set(body, &failed, "name", json_string(aside->name.text));
    record_set_number_text(body, &failed, "sysid", aside->sysid);
    record_set_hex(body, &failed, "content", aside->content, CONTENT_ID_SIZE);
    if (note->kept != NULL)
        record_set_hex(body, &failed, "kept", note->kept, CONTENT_ID_SIZE);
    else
        record_set(body, &failed, "kept", json_null());
    record_set(body, &failed, "side", json_string(was_archived ? "archived" : "local"));
    record_set_number_text(body, &failed, "bytes", aside->bytes);
    record_set(body, &failed, "reason", json_string(note->reason));
    record_set(body, &failed, "by", json_string(note->by));
    record_set_time(body, &failed, "when", io->ops->now(io));
    CPAM_TRY(record_made(key, failed, err));
    enum cpam_status status = record_put(aside->repo, key, body, err);
    if (status != CPAM_EXISTS)
        return status;
    /* of a run that was cut short, or of an earlier decision on the same content */
    CPAM_TRY(quarantine_record_check(aside, err));
    return store_settle(repo_store(aside->repo), key, err);
}

/* --- listing ---------------------------------------------------------------------------------- */

struct listing
{
    quarantine_fn fn;
    void *arg;
};

/* "quarantine/<16 hex>/wal/<sysid>/.../<name>", and nothing else that may lie there. */
static bool
entry_parse(const struct store_entry *entry, struct quarantined *out)
{
    const char *logical = layout_logical_name(entry->key);
    struct archive_name name;
    char expected[LAYOUT_KEY_MAX];
    struct cpam_err ignored;
    uint64_t sysid;

    if (logical == entry->key || sscanf(logical, "wal/%" SCNu64 "/", &sysid) != 1 ||
        archive_name_parse(layout_base_name(logical), &name, &ignored) != CPAM_OK)
        return false;
    layout_wal(sysid, &name, expected);
    if (strcmp(expected, logical) != 0)
        return false;
    *out = (struct quarantined){.sysid = sysid, .size = entry->size, .when = entry->modified};
    snprintf(out->name, sizeof(out->name), "%s", name.text);
    memcpy(out->content, entry->key + sizeof(LAYOUT_QUARANTINE) - 1, sizeof(out->content) - 1);
    return true;
}

static enum cpam_status
list_entry(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    const struct listing *listing = arg;
    struct quarantined one;

    return entry_parse(entry, &one) ? listing->fn(listing->arg, &one, err) : CPAM_OK;
}

enum cpam_status
quarantine_list(struct repo *repo, quarantine_fn fn, void *arg, struct cpam_err *err)
{
    struct listing listing = {fn, arg};

    return store_list(repo_store(repo), LAYOUT_QUARANTINE, NULL, false, list_entry, &listing, err);
}

enum cpam_status
quarantine_record_get(struct repo *repo, const struct quarantined *one,
                      struct quarantine_record *out, struct cpam_err *err)
{
    struct archive_name name;
    char key[LAYOUT_KEY_MAX], place[LAYOUT_KEY_MAX];

    CPAM_TRY(archive_name_parse(one->name, &name, err));
    layout_wal(one->sysid, &name, key);
    snprintf(place, sizeof(place), LAYOUT_QUARANTINE "%s/%.150s", one->content, key);
    return record_find(repo, place, one->sysid, one->name, out, err);
}
