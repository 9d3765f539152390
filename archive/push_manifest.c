/*
 * push_manifest.c - packs, tablespaces, entries: one pass over each, nothing kept.
 */
#include "push_manifest.h"

#include <stdio.h>
#include <string.h>

#include "repo/blocks.h"
#include "repo/layout.h"

struct assembly
{
    const struct push_manifest *from;
    struct backup_summary *summary;
    struct manifest_writer *writer;
    size_t number;                /* of the repository */
    uint32_t own, before;         /* packs of this attempt, and with those of earlier ones */
    struct blocks_writer *blocks; /* or NULL */
    size_t extras_done;
};

static enum cpam_status
add_pack(void *arg, const struct manifest_pack *pack, struct cpam_err *err)
{
    struct assembly *self = arg;
    struct manifest_entry entry = {.kind = MANIFEST_PACK, .pack = pack};

    self->summary->packs++;
    return manifest_writer_add(self->writer, &entry, NULL, err);
}

/* A pack that was there, behind those of this attempt. */
static enum cpam_status
add_there(struct assembly *self, const struct known_pack_use *use, const struct pack_copy *copy,
          struct cpam_err *err)
{
    struct manifest_pack pack = *use->pack;
    struct manifest_entry entry = {.kind = MANIFEST_PACK, .pack = &pack};

    if (!copy->stored)
        return cpam_fail(err, CPAM_INTERNAL, 0, "pack \"%s\" was never put here", pack.key);
    pack.index = (uint32_t) self->summary->packs++;
    pack.size = copy->size;
    pack.body_offset = copy->body_offset;
    memcpy(pack.h, copy->h, SHA256_SIZE);
    memcpy(pack.d, copy->d, SHA256_SIZE);
    return manifest_writer_add(self->writer, &entry, NULL, err);
}

static enum cpam_status
add_adopted(void *arg, const struct known_pack_use *use, struct cpam_err *err)
{
    struct assembly *self = arg;

    self->summary->stored_bytes += use->copies[self->number].size;
    return add_there(self, use, &use->copies[self->number], err);
}

static enum cpam_status
add_parents(void *arg, const struct known_pack_use *use, struct cpam_err *err)
{
    struct assembly *self = arg;

    return add_there(self, use, &use->copies[self->from->base->slots[self->number]], err);
}

/* Links in pg_tblspc come in the order of their names; a manifest has them in that of their oids. */
struct tablespaces
{
    struct
    {
        uint32_t oid;
        char *path;
    } * items;
    size_t count;
};

static void
tablespaces_clear_scoped_(struct tablespaces *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->items[i].path);
    free(self->items);
}

static enum cpam_status
note_tablespace(void *arg, const struct plan_entry *entry, struct cpam_err *err)
{
    static const char parent[] = "pg_tblspc/";
    struct tablespaces *self = arg;
    uint64_t oid = 0;

    if (entry->source.kind != MANIFEST_DIRECTORY || entry->source.target == NULL ||
        strncmp(entry->source.path, parent, sizeof(parent) - 1) != 0)
        return CPAM_OK;
    for (const char *at = entry->source.path + sizeof(parent) - 1; *at != '\0'; at++)
        oid = oid * 10 + (uint64_t) (*at - '0');
    if (oid == 0 || oid > UINT32_MAX || self->count == PLAN_TABLESPACES_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is no tablespace, or there are too many",
                         entry->source.path);
    void *grown = realloc(self->items, (self->count + 1) * sizeof(*self->items));
    if (grown != NULL)
        self->items = grown;
    char *path = strdup(entry->source.target);
    if (grown == NULL || path == NULL)
    {
        free(path);
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the tablespaces");
    }
    size_t at = self->count++;
    for (; at > 0 && self->items[at - 1].oid > (uint32_t) oid; at--)
        self->items[at] = self->items[at - 1];
    self->items[at].oid = (uint32_t) oid;
    self->items[at].path = path;
    return CPAM_OK;
}

static enum cpam_status
add_tablespaces(struct assembly *self, struct cpam_err *err)
{
    __attribute__((cleanup(tablespaces_clear_scoped_))) struct tablespaces all = {0};

    CPAM_TRY(plan_each(self->from->plan, note_tablespace, &all, err));
    for (size_t i = 0; i < all.count; i++)
    {
        char oid[16];
        struct manifest_entry entry = {
            .kind = MANIFEST_TABLESPACE, .oid = oid, .target = all.items[i].path};

        snprintf(oid, sizeof(oid), "%u", all.items[i].oid);
        CPAM_TRY(manifest_writer_add(self->writer, &entry, NULL, err));
    }
    return CPAM_OK;
}

/* Packs that were there are known by ids so far. */
static void
number_packs(const struct assembly *self, struct plan_content *content)
{
    const struct push_base *base = self->from->base;

    for (size_t i = 0; i < content->extent_count; i++)
    {
        int64_t *pack = &content->extents[i].pack;

        if (!PUSH_PACK_IS_ID(*pack))
            continue;
        *pack = PUSH_PACK_ORDINAL(*pack) == 0
                    ? self->own + push_known_rank(base->before, *pack)
                    : self->before + push_known_rank(base->known, *pack - PUSH_PARENT_SHIFT);
    }
}

struct tags_of_file
{
    struct blocks_writer *blocks;
    uint64_t count;
};

static enum cpam_status
add_some_tags(void *arg, const uint8_t *tags, uint64_t tag_count, struct cpam_err *err)
{
    struct tags_of_file *self = arg;

    self->count += tag_count;
    return blocks_writer_tags(self->blocks, tags, tag_count * BLOCK_TAG_SIZE, err);
}

static enum cpam_status
add_tags(const struct assembly *self, const char *path, uint64_t first_part, uint64_t part_count,
         uint64_t size, struct cpam_err *err)
{
    struct tags_of_file file = {.blocks = self->blocks};
    uint64_t number;

    CPAM_TRY(push_file_number(path, &number, err));
    CPAM_TRY(blocks_writer_file(self->blocks, number, err));
    CPAM_TRY(plan_tags(self->from->plan, first_part, part_count, add_some_tags, &file, err));
    if (file.count != block_count(size))
        return cpam_fail(err, CPAM_INTERNAL, 0, "\"%s\" has other tags than pages", path);
    return CPAM_OK;
}

static enum cpam_status
add_content(struct assembly *self, struct manifest_entry *entry, struct plan_content *content,
            struct cpam_err *err)
{
    entry->size = content->size;
    entry->crc = content->crc;
    entry->extent_count = content->extent_count;
    number_packs(self, content);
    self->summary->files++;
    self->summary->bytes += content->size;
    return manifest_writer_add(self->writer, entry, content->extents, err);
}

static enum cpam_status
add_file(struct assembly *self, struct manifest_entry *entry, uint64_t first_part,
         uint64_t part_count, struct cpam_err *err)
{
    struct plan_content content;
    enum cpam_status status = plan_content(self->from->plan, first_part, part_count, &content, err);

    if (status == CPAM_OK && !content.vanished)
        status = self->blocks != NULL
                     ? add_tags(self, entry->path, first_part, part_count, content.size, err)
                     : add_content(self, entry, &content, err);
    plan_content_clear(&content);
    return status;
}

/* The extras whose place is before path (NULL: all that are left). */
static enum cpam_status
add_extras(struct assembly *self, const char *path, struct cpam_err *err)
{
    while (self->extras_done < self->from->extra_count)
    {
        const struct push_extra *extra = &self->from->extras[self->extras_done];
        struct manifest_entry entry = {
            .kind = MANIFEST_FILE, .path = extra->path, .mode = 0600, .mtime = extra->mtime};

        if (path != NULL && manifest_path_compare(extra->path, path) > 0)
            return CPAM_OK;
        CPAM_TRY(add_file(self, &entry, extra->part, 1, err));
        self->extras_done++;
    }
    return CPAM_OK;
}

static enum cpam_status
add_entry(void *arg, const struct plan_entry *planned, struct cpam_err *err)
{
    struct assembly *self = arg;
    const struct source_entry *source = &planned->source;
    struct manifest_entry entry = {.kind = source->kind,
                                   .path = source->path,
                                   .target = source->target,
                                   .mode = source->mode,
                                   .mtime = source->mtime};

    CPAM_TRY(add_extras(self, source->path, err));
    if (source->kind == MANIFEST_FILE)
        return add_file(self, &entry, planned->first_part, planned->part_count, err);
    return self->blocks != NULL ? CPAM_OK : manifest_writer_add(self->writer, &entry, NULL, err);
}

/* All entries, in order: once for their tags, once for the manifest. */
static enum cpam_status
add_entries(struct assembly *self, struct cpam_err *err)
{
    self->extras_done = 0;
    CPAM_TRY(plan_each(self->from->plan, add_entry, self, err));
    return add_extras(self, NULL, err);
}

static enum cpam_status
put_blocks(struct repo *repo, struct assembly *self, struct cpam_err *err)
{
    CPAM_AUTO(blocks_writer_free) struct blocks_writer *blocks = NULL;

    CPAM_TRY(blocks_writer_new(repo, self->summary, self->from->base->head.key, &blocks, err));
    self->blocks = blocks;
    CPAM_TRY(add_entries(self, err));
    self->blocks = NULL;
    return blocks_writer_finish(blocks, self->summary, err);
}

enum cpam_status
push_manifest_put(struct repo *repo, size_t number, const struct push_manifest *from,
                  struct backup_summary *summary, struct cpam_err *err)
{
    CPAM_AUTO(manifest_writer_free) struct manifest_writer *writer = NULL;
    struct assembly assembly = {.from = from, .summary = summary, .number = number};

    summary->files = summary->bytes = summary->packs = 0;
    summary->stored_bytes = pack_set_stored(from->packs, number);
    if (from->base != NULL)
        CPAM_TRY(put_blocks(repo, &assembly, err));
    CPAM_TRY(manifest_writer_new(repo, summary, from->settings, from->setting_count, &writer, err));
    assembly.writer = writer;
    CPAM_TRY(pack_set_each(from->packs, number, add_pack, &assembly, err));
    assembly.own = (uint32_t) summary->packs;
    if (from->base != NULL && from->base->before != NULL)
        CPAM_TRY(push_known_used(from->base->before, add_adopted, &assembly, err));
    assembly.before = (uint32_t) summary->packs;
    if (from->base != NULL && from->base->known != NULL)
        CPAM_TRY(push_known_used(from->base->known, add_parents, &assembly, err));
    CPAM_TRY(add_tablespaces(&assembly, err));
    CPAM_TRY(add_entries(&assembly, err));
    return manifest_writer_finish(writer, summary, err);
}
