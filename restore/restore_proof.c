/*
 * restore_proof.c - nothing is believed to be on disk that was not read back from the records.
 *
 * A file may be made of several packs, written by several threads: the CRCs of its parts, taken
 * from the bytes that were written, are combined and held against the manifest's.
 */
#include "restore_proof.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypto/digest.h"
#include "io/file.h"
#include "pg/backup_label.h"
#include "pg/backup_manifest.h"
#include "pg/crc32c.h"
#include "restore_keep.h"
#include "restore_tree.h"

enum
{
    MAP_MAX = 1 << 20 /* bytes of a tablespace_map */
};

struct proof
{
    const struct restore_files *files;
    struct restore_spill *spill;
    struct restore_keep *keep;
    struct backup_manifest *manifest;
    struct sink *out;
    struct sha256 *sha;
    /* the file whose extents come */
    bool is_open, left_out, kept, emptied;
    struct manifest_entry entry;
    char path[MANIFEST_PATH_MAX];
    uint32_t crc;
    /* tablespace_map, if it was written anew */
    bool map_changed;
    uint64_t map_size;
    uint32_t map_crc;
};

static enum cpam_status
manifest_bytes(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    struct proof *self = arg;

    CPAM_TRY(sha256_add(self->sha, data, size, err));
    return sink_write(self->out, data, size, err);
}

static enum cpam_status
manifest_digest(void *arg, uint8_t out[32], struct cpam_err *err)
{
    return sha256_end(((struct proof *) arg)->sha, out, err);
}

static enum cpam_status
file_end(struct proof *self, struct cpam_err *err)
{
    if (!self->is_open)
        return CPAM_OK;
    self->is_open = false;
    if (self->kept)
        self->crc = self->entry.crc; /* it was read and found right */
    if (self->emptied)
        self->entry.crc = self->crc = crc32c_zeros(0, self->entry.size);
    if (self->crc != self->entry.crc)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "\"%s\": what was restored has the CRC %08x, the backup's manifest says "
                         "%08x",
                         self->path, self->crc, self->entry.crc);
    struct manifest_entry *file = &self->entry;
    if (self->map_changed && strcmp(self->path, "tablespace_map") == 0)
    {
        file->size = self->map_size;
        file->crc = self->map_crc;
    }
    CPAM_TRY(restore_keep_file(self->keep, file, err));
    return backup_manifest_file(self->manifest, file->path, file->size, file->mtime, file->crc,
                                err);
}

static enum cpam_status
directory_end(struct proof *self, const struct manifest_entry *entry, struct cpam_err *err)
{
    const char *relative;

    restore_places_of(self->files->places, entry->path, &relative);
    if (*relative == '\0')
        return CPAM_OK; /* a place has its mode, and is fsynced last */
    return restore_keep_directory(self->keep, entry, err);
}

static enum cpam_status
link_make(struct proof *self, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct io *io = self->files->io;
    const char *relative;
    struct restore_place *place = restore_places_of(self->files->places, entry->path, &relative);
    const char *name;
    int parent;

    if (*relative == '\0')
        return CPAM_OK;
    CPAM_TRY(tree_parent(io, place->fd, relative, &parent, &name, err));
    enum cpam_status status = CPAM_OK;
    if (io->ops->symlink(io, entry->target, parent, name) < 0)
        status = cpam_fail(err, CPAM_IO, errno, "could not make the link \"%s\"", entry->path);
    else
        status = file_sync(io, parent, entry->path, err);
    io->ops->close(io, parent);
    return status;
}

static enum cpam_status
on_entry(void *arg, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct proof *self = arg;

    CPAM_TRY(file_end(self, err));
    switch (entry->kind)
    {
    case MANIFEST_DIRECTORY: return directory_end(self, entry, err);
    case MANIFEST_LINK: return link_make(self, entry, err);
    case MANIFEST_FILE:
        self->left_out = restore_leaves_out(entry->path);
        if (self->left_out)
            return CPAM_OK;
        if (strlen(entry->path) >= sizeof(self->path))
            return cpam_fail(err, CPAM_INVALID, 0, "\"%.64s...\": the path is too long",
                             entry->path);
        memcpy(self->path, entry->path, strlen(entry->path) + 1);
        self->entry = *entry;
        self->entry.path = self->path;
        self->crc = 0;
        self->kept = false;
        self->emptied = restore_databases_empties(self->files->survey->databases, entry->path);
        self->is_open = true;
        return CPAM_OK;
    case MANIFEST_PACK:
    case MANIFEST_TABLESPACE: return CPAM_OK;
    }
    return CPAM_OK;
}

static enum cpam_status
on_extents(void *arg, uint64_t at, const struct manifest_extent *extents, size_t count,
           struct cpam_err *err)
{
    struct proof *self = arg;

    (void) at;
    for (size_t i = 0; i < count && !self->left_out && !self->emptied; i++)
    {
        struct spill_extent extent;

        if (extents[i].pack < 0)
        {
            self->crc = crc32c_zeros(self->crc, extents[i].size);
            continue;
        }
        CPAM_TRY(spill_extent_next(self->spill, (size_t) extents[i].pack, &extent, err));
        self->kept = self->kept || extent.kept;
        if (!extent.written || extent.size != extents[i].size)
            return cpam_fail(err, CPAM_INTERNAL, 0, "\"%s\": a part was never written", self->path);
        self->crc = crc32c_combine(self->crc, extent.crc, extent.size);
    }
    return CPAM_OK;
}

struct map_rewrite
{
    struct restore_places *places;
    struct cpam_buf out;
};

static enum cpam_status
map_line(void *arg, const char *oid, const char *path, struct cpam_err *err)
{
    struct map_rewrite *self = arg;
    char prefix[64];

    snprintf(prefix, sizeof(prefix), "pg_tblspc/%s", oid);
    for (size_t i = 1; i < self->places->count; i++)
        if (strcmp(self->places->items[i].prefix, prefix) == 0)
            path = self->places->items[i].path;
    return tablespace_map_line(&self->out, oid, path, err);
}

/* The server makes the links anew from tablespace_map at its first start (trap 6), so it names the places
   as they are; a backup's may not, even without --tablespace-map: one of a server whose encoding is not
   UTF-8 came through that encoding's conversion. */
static enum cpam_status
map_remap(struct proof *self, struct cpam_err *err)
{
    struct restore_places *places = self->files->places;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf old = {0};
    struct map_rewrite rewrite = {.places = places};
    char path[RESTORE_PATH_MAX + 16];

    snprintf(path, sizeof(path), "%s/tablespace_map", places->items[0].path);
    if (!file_exists(self->files->io, path))
        return CPAM_OK;
    CPAM_TRY(file_read_all(self->files->io, path, MAP_MAX, &old, err));
    enum cpam_status status =
        tablespace_map_parse((const char *) old.data, old.size, map_line, &rewrite, err);
    self->map_changed = status == CPAM_OK && (rewrite.out.size != old.size ||
                                              memcmp(rewrite.out.data, old.data, old.size) != 0);
    if (self->map_changed)
    {
        self->map_size = rewrite.out.size;
        self->map_crc = crc32c(0, rewrite.out.data, rewrite.out.size);
        status =
            file_write_all(self->files->io, path, 0600, rewrite.out.data, rewrite.out.size, err);
    }
    cpam_buf_clear(&rewrite.out);
    return status;
}

static enum cpam_status
pass(struct proof *self, struct cpam_err *err)
{
    static const struct manifest_reader_ops ops = {.entry = on_entry, .extents = on_extents};
    const struct restore_files *files = self->files;
    const struct backup_summary *summary = files->summary;
    struct backup_manifest_out out = {manifest_bytes, manifest_digest, self};
    CPAM_AUTO(backup_manifest_free) struct backup_manifest *manifest = NULL;

    CPAM_TRY(backup_manifest_new(&out, summary->major, summary->sysid, &manifest, err));
    self->manifest = manifest;
    CPAM_TRY(manifest_read(files->repo, summary, &ops, self, err));
    CPAM_TRY(file_end(self, err));
    CPAM_TRY(restore_keep_finish(self->keep, err));
    CPAM_TRY(backup_manifest_finish(manifest, summary->timeline, summary->start, summary->stop,
                                    files->history, err));
    return sink_finish(self->out, err);
}

enum cpam_status
restore_proof(const struct restore_files *files, struct restore_spill *spill, struct cpam_err *err)
{
    CPAM_AUTO(restore_keep_free) struct restore_keep *keep = NULL;
    CPAM_AUTO(sink_free) struct sink *out = NULL;
    CPAM_AUTO(sha256_free) struct sha256 *sha = NULL;
    struct proof self = {.files = files, .spill = spill};
    char path[RESTORE_PATH_MAX + 16];

    CPAM_TRY(map_remap(&self, err));
    CPAM_TRY(restore_keep_new(files, &keep, err));
    self.keep = keep;
    snprintf(path, sizeof(path), "%s/backup_manifest", files->places->items[0].path);
    CPAM_TRY(sha256_new(&sha, err));
    CPAM_TRY(sink_file_push(&out, files->io, path, 0600, err));
    self.out = out;
    self.sha = sha;
    return pass(&self, err);
}
