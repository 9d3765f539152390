/*
 * gap.c - the records of WAL that was given up: written, listed, asked.
 */
#include "repo/gap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "repo/authentic.h"
#include "repo/layout.h"
#include "repo/record.h"

/* A record that was signed speaks of what its key says, or its writer was wrong. */
static enum cpam_status
gap_parse(const json_t *body, const char *key, struct gap *out, struct cpam_err *err)
{
    struct record_reader reader = record_read(body, key, err);
    char first[SEGMENT_NAME_MAX], last[SEGMENT_NAME_MAX], wanted[LAYOUT_KEY_MAX];
    struct cpam_err why;

    *out = (struct gap){0};
    out->sysid = record_number_text(&reader, "sysid", UINT64_MAX);
    record_text(&reader, "first", first, sizeof(first));
    record_text(&reader, "last", last, sizeof(last));
    out->segment_size = (uint32_t) record_number(&reader, "segment_size", SEGMENT_SIZE_MAX);
    out->backlog = record_number_text(&reader, "waiting", UINT64_MAX);
    out->created = record_time(&reader, "created");
    if (!reader.failed && !segment_size_valid(out->segment_size))
        record_refuse(&reader, "segment_size", "a size of WAL segments");
    if (!reader.failed && segment_parse(first, out->segment_size, &out->first, &why) != CPAM_OK)
        record_refuse(&reader, "first", "a segment");
    if (!reader.failed &&
        (segment_parse(last, out->segment_size, &out->last, &why) != CPAM_OK ||
         out->last.timeline.id != out->first.timeline.id || out->last.number < out->first.number))
        record_refuse(&reader, "last", "a segment behind the first");
    CPAM_TRY(record_end(&reader));
    layout_gaps(out->sysid, out->first.timeline, wanted);
    size_t folder = strlen(wanted);
    if (strncmp(key, wanted, folder) != 0 || strcmp(key + folder, first) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" speaks of segment %s of %" PRIu64, key,
                         first, out->sysid);
    return CPAM_OK;
}

static enum cpam_status
gap_get(struct repo *repo, const char *key, struct gap *out, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;

    CPAM_TRY(record_get(repo, key, &body, NULL, err));
    return gap_parse(body, key, out, err);
}

static void
gap_key(uint64_t sysid, struct timeline timeline, const char *first, char out[LAYOUT_KEY_MAX])
{
    layout_gaps(sysid, timeline, out);
    size_t at = strlen(out);
    snprintf(out + at, LAYOUT_KEY_MAX - at, "%s", first);
}

enum cpam_status
gap_put(struct repo *repo, const struct gap *gap, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    char first[SEGMENT_NAME_MAX], last[SEGMENT_NAME_MAX], key[LAYOUT_KEY_MAX];
    struct gap stored;
    bool failed = false;

    segment_format(gap->first, gap->segment_size, first);
    segment_format(gap->last, gap->segment_size, last);
    gap_key(gap->sysid, gap->first.timeline, first, key);
    CPAM_TRY(record_new(repo, &body, err));
    record_set_number_text(body, &failed, "sysid", gap->sysid);
    record_set(body, &failed, "first", json_string(first));
    record_set(body, &failed, "last", json_string(last));
    record_set(body, &failed, "segment_size", json_integer(gap->segment_size));
    record_set_number_text(body, &failed, "waiting", gap->backlog);
    record_set_time(body, &failed, "created", gap->created);
    CPAM_TRY(record_made(key, failed, err));
    enum cpam_status status = record_put(repo, key, body, err);
    if (status != CPAM_EXISTS)
        return status;
    CPAM_TRY(gap_get(repo, key, &stored, err));
    if (stored.last.number != gap->last.number)
        return cpam_fail(err, CPAM_EXISTS, 0, "\"%s\" records another gap, up to segment %" PRIX64,
                         key, stored.last.number);
    return store_settle(repo_store(repo), key, err);
}

struct listing
{
    struct repo *repo;
    gap_fn fn;
    void *arg;
};

/* What is called like no segment was not written by us, and is nobody's gap. */
static bool
is_segment(const char *key)
{
    struct archive_name name;
    struct cpam_err ignored;

    return archive_name_parse(layout_base_name(key), &name, &ignored) == CPAM_OK &&
           name.kind == ARCHIVE_SEGMENT;
}

static enum cpam_status
list_one(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    const struct listing *listing = arg;
    struct gap gap;

    if (!is_segment(entry->key))
        return CPAM_OK;
    enum cpam_status status = gap_get(listing->repo, entry->key, &gap, err);
    if (authentic_wrong(status))
    {
        cpam_log(LOG_WARNING, "%s", err->text);
        return CPAM_OK;
    }
    CPAM_TRY(status);
    return listing->fn(listing->arg, &gap, err);
}

enum cpam_status
gap_list(struct repo *repo, uint64_t sysid, struct timeline timeline, gap_fn fn, void *arg,
         struct cpam_err *err)
{
    struct listing listing = {repo, fn, arg};
    char folder[LAYOUT_KEY_MAX];

    layout_gaps(sysid, timeline, folder);
    return store_list(repo_store(repo), folder, NULL, false, list_one, &listing, err);
}

/* The last record that begins not behind the segment: runs do not overlap. */
struct nearest
{
    const char *name;
    char key[LAYOUT_KEY_MAX];
};

static enum cpam_status
note_nearest(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct nearest *nearest = arg;
    size_t size = strlen(entry->key) + 1;

    (void) err;
    if (is_segment(entry->key) && size <= sizeof(nearest->key) &&
        strcmp(layout_base_name(entry->key), nearest->name) <= 0)
        memcpy(nearest->key, entry->key, size);
    return CPAM_OK;
}

enum cpam_status
gap_covers(struct repo *repo, uint64_t sysid, const struct archive_name *segment, bool *covered,
           struct gap *out, struct cpam_err *err)
{
    struct nearest nearest = {.name = segment->text};
    char folder[LAYOUT_KEY_MAX];
    struct segment asked;

    *covered = false;
    if (segment->kind != ARCHIVE_SEGMENT)
        return CPAM_OK;
    layout_gaps(sysid, segment->timeline, folder);
    CPAM_TRY(store_list(repo_store(repo), folder, NULL, false, note_nearest, &nearest, err));
    if (nearest.key[0] == '\0')
        return CPAM_OK;
    enum cpam_status status = gap_get(repo, nearest.key, out, err);
    if (authentic_wrong(status))
    {
        cpam_log(LOG_WARNING, "%s", err->text);
        return CPAM_OK;
    }
    CPAM_TRY(status);
    CPAM_TRY(segment_parse(segment->text, out->segment_size, &asked, err));
    *covered = asked.number <= out->last.number;
    return CPAM_OK;
}

void
gap_format(const struct gap *gap, char out[GAP_TEXT_MAX])
{
    char first[SEGMENT_NAME_MAX], last[SEGMENT_NAME_MAX], when[TEXT_TIME_MAX];

    segment_format(gap->first, gap->segment_size, first);
    segment_format(gap->last, gap->segment_size, last);
    text_format_time(gap->created, when);
    if (gap->first.number == gap->last.number)
        snprintf(out, GAP_TEXT_MAX, "segment %s was given up on purpose on %s (wal.push.queue_max)",
                 first, when);
    else
        snprintf(out, GAP_TEXT_MAX,
                 "segments %s to %s were given up on purpose on %s (wal.push.queue_max)", first,
                 last, when);
}
