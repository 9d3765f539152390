/*
 * manifest_read.c - a manifest streamed through callbacks, every rule of it held.
 *
 * The object's header hash and frames digest come from the authenticated summary, so what is read
 * here is what that backup's writer wrote.  The rules are checked all the same: they also catch a
 * writer that is wrong.  Kept in memory: the plaintext lengths of all packs' frames (4 bytes for
 * each MiB of the backup) and the line at hand.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "repo/layout.h"
#include "repo/manifest_line.h"
#include "repo/manifest_path.h"
#include "repo/object_read.h"
#include "repo/parents.h"
#include "repo/summary.h"

struct known_pack
{
    uint32_t frame_count;
    uint32_t *rlen;
};

struct manifest_reader
{
    struct sink base;
    struct repo *repo;
    const struct backup_summary *summary;
    const struct manifest_reader_ops *ops;
    void *arg;
    struct sha256 *sha;
    struct cpam_buf line; /* an unfinished one */
    uint64_t lines, files, bytes;
    struct known_pack *packs;
    size_t pack_count, pack_cap;
    uint64_t *used; /* packs seen of each parent, and behind those of the backup itself */
    char *last, *last_dir;
    uint64_t last_oid;
    enum manifest_kind stage;
    /* the file whose extents are coming */
    uint64_t file_size, file_at;
    size_t extents_due;
    bool ended;
};

static enum cpam_status
bad(struct manifest_reader *self, struct cpam_err *err, const char *why)
{
    return cpam_fail(err, CPAM_CORRUPT, 0, "manifest of backup \"%s\", line %" PRIu64 ": %s",
                     self->summary->label, self->lines + 1, why);
}

static enum cpam_status
read_settings(struct manifest_reader *self, const json_t *settings, struct cpam_err *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(settings) || json_object_size(settings) > MANIFEST_SETTINGS_MAX)
        return bad(self, err, "\"settings\" is no object of settings");
    /* jansson's iteration takes a non-const object, and changes nothing */
    void *at = json_object_iter((json_t *) (uintptr_t) settings);
    for (; at != NULL; at = json_object_iter_next((json_t *) (uintptr_t) settings, at))
    {
        name = json_object_iter_key(at);
        value = json_object_iter_value(at);
        if (!json_is_string(value))
            return bad(self, err, "a setting is no text");
        struct manifest_setting setting = {name, json_string_value(value)};
        if (self->ops->setting != NULL)
            CPAM_TRY(self->ops->setting(self->arg, &setting, err));
    }
    return CPAM_OK;
}

static enum cpam_status
take_head(struct manifest_reader *self, const json_t *json, struct cpam_err *err)
{
    const struct backup_summary *summary = self->summary;
    struct record_reader reader = record_read(json, "manifest, line 1", err);
    char uuid[TEXT_UUID_MAX];
    bool failed = false;

    if (self->lines != 0)
        return bad(self, err, "a second head");
    text_format_uuid(keyring_uuid(repo_keyring(self->repo)), uuid);
    record_string(&reader, "t");
    if (record_number(&reader, "v", UINT32_MAX) != 1)
        record_refuse(&reader, "v", "1, the one version this program knows");
    if (strcmp(record_string(&reader, "repo"), uuid) != 0)
        record_refuse(&reader, "repo", "this repository");
    if (record_number_text(&reader, "sysid", UINT64_MAX) != summary->sysid)
        record_refuse(&reader, "sysid", "the summary's");
    if (strcmp(record_string(&reader, "label"), summary->label) != 0)
        record_refuse(&reader, "label", "the summary's");
    CPAM_AUTO(json_doc_free) json_t *parents = summary_parents(summary->parents, &failed);
    if (failed || !json_equal(record_member(&reader, "parents"), parents))
        record_refuse(&reader, "parents", "the summary's");
    if (strcmp(record_string(&reader, "epoch"), summary->epoch) != 0)
        record_refuse(&reader, "epoch", "the summary's");
    const json_t *settings = record_member(&reader, "settings");

    CPAM_TRY(record_end(&reader));
    return read_settings(self, settings, err);
}

static enum cpam_status
take_pack(struct manifest_reader *self, struct manifest_line *line, struct cpam_err *err)
{
    struct manifest_pack *pack = &line->pack;
    char label[BACKUP_LABEL_MAX];

    if (pack->index != self->pack_count)
        return bad(self, err, "packs are not counted from 0");
    if (!layout_pack_label(pack->key, label))
        return bad(self, err, "a pack's key is none");
    if (strcmp(label, self->summary->label) == 0)
        self->used[parents_count(self->summary->parents, NULL)]++;
    else if (parents_find(self->summary->parents, label) >= 0)
        self->used[parents_find(self->summary->parents, label)]++;
    else
        return bad(self, err, "a pack's key is neither one of this backup nor of its parents");
    if (self->pack_count == self->pack_cap)
    {
        size_t cap = self->pack_cap == 0 ? 64 : self->pack_cap * 2;
        void *grown = realloc(self->packs, cap * sizeof(*self->packs));

        if (grown == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the packs of a manifest");
        self->packs = grown;
        self->pack_cap = cap;
    }
    CPAM_TRY(self->ops->entry(self->arg, &line->entry, err));
    self->packs[self->pack_count++] = (struct known_pack){pack->frame_count, pack->rlen};
    pack->rlen = NULL; /* taken over */
    return CPAM_OK;
}

static enum cpam_status
take_extents(struct manifest_reader *self, const struct manifest_line *line, struct cpam_err *err)
{
    uint64_t at = self->file_at;

    for (size_t i = 0; i < line->extent_count; i++)
    {
        const struct manifest_extent *extent = &line->extents[i];

        if (extent->size > self->file_size - self->file_at)
            return bad(self, err, "extents hold more than their file");
        self->file_at += extent->size;
        if (extent->pack < 0)
            continue;
        if ((uint64_t) extent->pack >= self->pack_count)
            return bad(self, err, "an extent names a pack that was not listed");
        const struct known_pack *pack = &self->packs[extent->pack];
        uint64_t left = extent->size + extent->offset;

        if (extent->frame >= pack->frame_count || extent->offset >= pack->rlen[extent->frame])
            return bad(self, err, "an extent begins outside of its frame");
        for (uint32_t frame = extent->frame; left > pack->rlen[frame];)
        {
            left -= pack->rlen[frame];
            if (++frame == pack->frame_count)
                return bad(self, err, "an extent runs beyond its pack");
        }
    }
    self->extents_due -= line->extent_count;
    if (self->extents_due == 0 && self->file_at != self->file_size)
        return bad(self, err, "extents hold less than their file");
    if (line->extent_count == 0)
        return CPAM_OK;
    return self->ops->extents(self->arg, at, line->extents, line->extent_count, err);
}

static enum cpam_status
remember(char **at, const char *path, struct cpam_err *err)
{
    char *copy = strdup(path);

    if (copy == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
    free(*at);
    *at = copy;
    return CPAM_OK;
}

static enum cpam_status
take_entry(struct manifest_reader *self, struct manifest_line *line, struct cpam_err *err)
{
    const struct manifest_entry *entry = &line->entry;

    if (manifest_path_compare(self->last, entry->path) >= 0)
        return bad(self, err, "paths are not in strictly ascending order");
    if (!manifest_parent_known(self->last_dir, entry->path))
        return bad(self, err, "a path lies in no directory of the manifest");
    CPAM_TRY(remember(&self->last, entry->path, err));
    if (entry->kind == MANIFEST_DIRECTORY)
        CPAM_TRY(remember(&self->last_dir, entry->path, err));
    CPAM_TRY(self->ops->entry(self->arg, entry, err));
    if (entry->kind != MANIFEST_FILE)
        return CPAM_OK;
    if (entry->size > INT64_MAX - self->bytes)
        return bad(self, err, "the files are larger than any disk");
    self->files++;
    self->bytes += entry->size;
    self->file_size = entry->size;
    self->file_at = 0;
    self->extents_due = entry->extent_count;
    return take_extents(self, line, err);
}

static enum cpam_status
take_tablespace(struct manifest_reader *self, struct manifest_line *line, struct cpam_err *err)
{
    struct cpam_err ignored;
    uint64_t oid;

    if (text_parse_u64(line->entry.oid, UINT32_MAX, &oid, &ignored) != CPAM_OK ||
        oid <= self->last_oid || line->entry.oid[0] == '0')
        return bad(self, err, "tablespaces are not in ascending order of their oids");
    if (line->target[0] != '/')
        return bad(self, err, "a tablespace lies at no absolute path");
    self->last_oid = oid;
    return self->ops->entry(self->arg, &line->entry, err);
}

/* Held member by member against the authenticated summary. */
static enum cpam_status
check_summary(struct manifest_reader *self, const json_t *stored, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *expected = json_object();

    CPAM_TRY(summary_set_common(self->repo, self->summary, expected, err));
    /* the cluster's name may change with its folder; it is bound nowhere */
    const char *cluster = json_string_value(json_object_get(stored, "cluster"));

    if (cluster == NULL || !json_is_object(stored))
        return bad(self, err, "the end holds no summary");
    if (json_object_set_new(expected, "cluster", json_string(cluster)) != 0)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to compare summaries");
    for (void *at = json_object_iter(expected); at != NULL;
         at = json_object_iter_next(expected, at))
        if (!json_equal(json_object_iter_value(at),
                        json_object_get(stored, json_object_iter_key(at))))
            return cpam_fail(err, CPAM_CORRUPT, 0,
                             "backup \"%s\": its summary and its manifest tell different \"%s\"",
                             self->summary->label, json_object_iter_key(at));
    if (json_object_size(stored) != json_object_size(expected))
        return bad(self, err, "the end's summary has members this version does not know");
    return CPAM_OK;
}

/* As many packs of each backup as the summary says. */
static bool
packs_as_told(const struct manifest_reader *self)
{
    const char *at = self->summary->parents;
    char label[BACKUP_LABEL_MAX];
    uint64_t told, others;
    unsigned i = 0;

    for (; parents_next(&at, label, &told); i++)
        if (self->used[i] != told)
            return false;
    parents_count(self->summary->parents, &others);
    return self->used[i] + others == self->summary->packs;
}

static enum cpam_status
take_end(struct manifest_reader *self, const json_t *json, struct cpam_err *err)
{
    struct record_reader reader = record_read(json, "manifest, last line", err);
    uint8_t digest[SHA256_SIZE], stored[SHA256_SIZE];

    CPAM_TRY(sha256_end(self->sha, digest, err));
    record_string(&reader, "t");
    if (record_number(&reader, "files", INT64_MAX) != self->files)
        record_refuse(&reader, "files", "the number of files above");
    if (record_number(&reader, "bytes", INT64_MAX) != self->bytes)
        record_refuse(&reader, "bytes", "the bytes of the files above");
    if (record_number(&reader, "packs", INT64_MAX) != self->pack_count || !packs_as_told(self))
        record_refuse(&reader, "packs", "the number of packs above");
    if (record_number(&reader, "lines", INT64_MAX) != self->lines)
        record_refuse(&reader, "lines", "the number of lines above");
    record_hex(&reader, "sha256", stored, SHA256_SIZE);
    if (memcmp(stored, digest, SHA256_SIZE) != 0)
        record_refuse(&reader, "sha256", "the digest of the lines above");
    const json_t *summary = record_member(&reader, "summary");

    CPAM_TRY(record_end(&reader));
    CPAM_TRY(check_summary(self, summary, err));
    self->ended = true;
    return CPAM_OK;
}

static enum cpam_status
take_ordered(struct manifest_reader *self, struct manifest_line *line, struct cpam_err *err)
{
    enum manifest_kind kind = line->entry.kind;
    enum manifest_kind stage = kind <= MANIFEST_TABLESPACE ? kind : MANIFEST_DIRECTORY;

    if (stage < self->stage)
        return bad(self, err, "packs, tablespaces and entries are mixed");
    self->stage = stage;
    if (kind == MANIFEST_PACK)
        return take_pack(self, line, err);
    if (kind == MANIFEST_TABLESPACE)
        return take_tablespace(self, line, err);
    return take_entry(self, line, err);
}

static enum cpam_status
take_line(struct manifest_reader *self, const void *text, size_t size, struct cpam_err *err)
{
    __attribute__((cleanup(manifest_line_clear_scoped_))) struct manifest_line line = {0};

    if (self->ended)
        return bad(self, err, "there is more behind the end");
    CPAM_TRY(manifest_line_parse(self->lines + 1, text, size, &line, err));
    bool is_more = strcmp(line.type, "x") == 0;
    bool is_head = strcmp(line.type, "head") == 0;

    if (is_more != (self->extents_due > 0))
        return bad(self, err, is_more ? "extents of no file" : "extents are missing");
    if ((self->lines == 0) != is_head)
        return bad(self, err, "the head is not where it belongs");
    if (strcmp(line.type, "end") == 0)
        return take_end(self, line.json, err);
    if (is_head)
        CPAM_TRY(take_head(self, line.json, err));
    else if (!is_more)
        CPAM_TRY(take_ordered(self, &line, err));
    else if (line.extent_count == 0 || line.extent_count > self->extents_due)
        return bad(self, err, "extents of no file");
    else
        CPAM_TRY(take_extents(self, &line, err));
    self->lines++;
    CPAM_TRY(sha256_add(self->sha, text, size, err));
    return sha256_add(self->sha, "\n", 1, err);
}

static enum cpam_status
reader_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct manifest_reader *self = (struct manifest_reader *) sink;
    const char *at = data;

    while (size > 0)
    {
        const char *end = memchr(at, '\n', size);
        size_t take = end == NULL ? size : (size_t) (end - at);

        if (cpam_buf_append(&self->line, at, take, MANIFEST_LINE_MAX, err) != CPAM_OK)
            return bad(self, err, "the line is too long");
        if (end == NULL)
            return CPAM_OK;
        CPAM_TRY(take_line(self, self->line.data, self->line.size, err));
        self->line.size = 0;
        at += take + 1;
        size -= take + 1;
    }
    return CPAM_OK;
}

static void
reader_clear_scoped_(struct manifest_reader *self)
{
    for (size_t i = 0; i < self->pack_count; i++)
        free(self->packs[i].rlen);
    free(self->packs);
    free(self->used);
    free(self->last);
    free(self->last_dir);
    sha256_free(self->sha);
    cpam_buf_clear(&self->line);
}

enum cpam_status
manifest_read(struct repo *repo, const struct backup_summary *summary,
              const struct manifest_reader_ops *ops, void *arg, struct cpam_err *err)
{
    static const struct sink_ops sink_ops = {.write = reader_write};
    __attribute__((cleanup(reader_clear_scoped_))) struct manifest_reader reader = {
        .base.ops = &sink_ops, .repo = repo, .summary = summary, .ops = ops, .arg = arg};
    struct object_want want = {.kind = OBJECT_MANIFEST,
                               .sysid = summary->sysid,
                               .h = summary->manifest_h,
                               .d = summary->manifest_d};
    char key[LAYOUT_KEY_MAX];

    layout_manifest(summary->label, key);
    want.name = key;
    reader.last = strdup("");
    reader.last_dir = strdup("");
    reader.used = calloc(parents_count(summary->parents, NULL) + 1, sizeof(*reader.used));
    if (reader.last == NULL || reader.last_dir == NULL || reader.used == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to read a manifest");
    CPAM_TRY(sha256_new(&reader.sha, err));
    CPAM_TRY(object_read(repo, &want, 0, &reader.base, NULL, err));
    if (!reader.ended || reader.line.size != 0)
        return bad(&reader, err, "it is cut short");
    return CPAM_OK;
}
