/*
 * restore_spill.c - three nameless files: packs, paths, extents.  Only this process reads them, so
 * their bytes are in this machine's order.
 */
#include "restore_spill.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "io/file.h"

enum
{
    SPILL_FILES = 3,
    FLUSH_AT = 256 * 1024, /* bytes of paths and packs kept before they are written */
    BUFFER_LIMIT = 16 << 20
};

enum spill_part
{
    FILE_PACKS,
    FILE_PATHS,
    FILE_EXTENTS
};

static const char *const names[SPILL_FILES] = {".cpam-restore-packs", ".cpam-restore-paths",
                                               ".cpam-restore-extents"};

struct restore_spill
{
    struct io *io;
    size_t pack_count, packs_seen;
    const uint32_t *pack_extents;
    uint64_t *first;   /* of each pack's records, and one behind the last */
    uint32_t *next;    /* how many of a pack have passed */
    uint64_t *pack_at; /* where the pack's line lies */
    int fd[SPILL_FILES];
    struct cpam_buf pending[2]; /* of packs and paths */
    uint64_t size[2];           /* written already */
};

/* The fixed part of a pack's line; frame_count lengths in the object and as many in plaintext follow. */
struct pack_line
{
    struct manifest_pack pack;
};

static enum cpam_status
file_new(struct restore_spill *spill, const char *dir, enum spill_part which, struct cpam_err *err)
{
    char path[MANIFEST_PATH_MAX + 64];

    snprintf(path, sizeof(path), "%s/%s", dir, names[which]);
    CPAM_TRY(file_open(spill->io, path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600,
                       &spill->fd[which], err));
    return file_unlink(spill->io, path, err);
}

enum cpam_status
restore_spill_new(struct io *io, const char *dir, const uint32_t *pack_extents, size_t pack_count,
                  struct restore_spill **out, struct cpam_err *err)
{
    CPAM_AUTO(restore_spill_free) struct restore_spill *spill = calloc(1, sizeof(*spill));

    if (spill == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    spill->io = io;
    for (int i = 0; i < SPILL_FILES; i++)
        spill->fd[i] = -1;
    spill->pack_count = pack_count;
    spill->pack_extents = pack_extents;
    spill->first = calloc(pack_count + 1, sizeof(*spill->first));
    spill->next = calloc(pack_count + 1, sizeof(*spill->next));
    spill->pack_at = calloc(pack_count + 1, sizeof(*spill->pack_at));
    if (spill->first == NULL || spill->next == NULL || spill->pack_at == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    for (size_t i = 0; i < pack_count; i++)
        spill->first[i + 1] = spill->first[i] + pack_extents[i];
    for (int i = 0; i < SPILL_FILES; i++)
        CPAM_TRY(file_new(spill, dir, (enum spill_part) i, err));
    *out = CPAM_STEAL(spill);
    return CPAM_OK;
}

void
restore_spill_free(struct restore_spill *spill)
{
    if (spill == NULL)
        return;
    for (int i = 0; i < SPILL_FILES; i++)
        if (spill->fd[i] >= 0)
            spill->io->ops->close(spill->io, spill->fd[i]);
    cpam_buf_clear(&spill->pending[FILE_PACKS]);
    cpam_buf_clear(&spill->pending[FILE_PATHS]);
    free(spill->first);
    free(spill->next);
    free(spill->pack_at);
    free(spill);
}

static enum cpam_status
pending_flush(struct restore_spill *spill, enum spill_part which, struct cpam_err *err)
{
    struct cpam_buf *pending = &spill->pending[which];

    CPAM_TRY(file_write_at(spill->io, spill->fd[which], names[which], pending->data, pending->size,
                           spill->size[which], err));
    spill->size[which] += pending->size;
    pending->size = 0;
    return CPAM_OK;
}

static enum cpam_status
pending_add(struct restore_spill *spill, enum spill_part which, const void *data, size_t size,
            struct cpam_err *err)
{
    if (spill->pending[which].size >= FLUSH_AT)
        CPAM_TRY(pending_flush(spill, which, err));
    return cpam_buf_append(&spill->pending[which], data, size, BUFFER_LIMIT, err);
}

enum cpam_status
spill_pack(struct restore_spill *spill, const struct manifest_pack *pack, struct cpam_err *err)
{
    struct pack_line line = {.pack = *pack};

    if (spill->packs_seen == spill->pack_count || pack->index != spill->packs_seen)
        return cpam_fail(err, CPAM_INTERNAL, 0, "the manifest has other packs than before");
    line.pack.clen = NULL;
    line.pack.rlen = NULL;
    spill->pack_at[spill->packs_seen++] = spill->size[FILE_PACKS] + spill->pending[FILE_PACKS].size;
    /* a flush in between does not move what comes: the offset counts written and pending */
    CPAM_TRY(pending_add(spill, FILE_PACKS, &line, sizeof(line), err));
    CPAM_TRY(cpam_buf_append(&spill->pending[FILE_PACKS], pack->clen,
                             pack->frame_count * sizeof(*pack->clen), BUFFER_LIMIT, err));
    return cpam_buf_append(&spill->pending[FILE_PACKS], pack->rlen,
                           pack->frame_count * sizeof(*pack->rlen), BUFFER_LIMIT, err);
}

enum cpam_status
spill_path(struct restore_spill *spill, const char *path, const struct spill_file *file,
           uint64_t *out, struct cpam_err *err)
{
    *out = spill->size[FILE_PATHS] + spill->pending[FILE_PATHS].size;
    CPAM_TRY(cpam_buf_append(&spill->pending[FILE_PATHS], file, sizeof(*file), BUFFER_LIMIT, err));
    return pending_add(spill, FILE_PATHS, path, strlen(path) + 1, err);
}

enum cpam_status
spill_extent_add(struct restore_spill *spill, size_t pack, const struct spill_extent *extent,
                 struct cpam_err *err)
{
    if (pack >= spill->pack_count || spill->next[pack] >= spill->pack_extents[pack])
        return cpam_fail(err, CPAM_INTERNAL, 0, "the manifest has other extents than before");
    uint64_t number = spill->first[pack] + spill->next[pack]++;
    return file_write_at(spill->io, spill->fd[FILE_EXTENTS], names[FILE_EXTENTS], extent,
                         sizeof(*extent), number * sizeof(*extent), err);
}

enum cpam_status
spill_flush(struct restore_spill *spill, struct cpam_err *err)
{
    CPAM_TRY(pending_flush(spill, FILE_PACKS, err));
    CPAM_TRY(pending_flush(spill, FILE_PATHS, err));
    memset(spill->next, 0, spill->pack_count * sizeof(*spill->next));
    if (spill->packs_seen != spill->pack_count)
        return cpam_fail(err, CPAM_INTERNAL, 0, "the manifest has fewer packs than before");
    return CPAM_OK;
}

static enum cpam_status
read_exactly(struct restore_spill *spill, enum spill_part which, void *data, size_t size,
             uint64_t at, struct cpam_err *err)
{
    size_t got = 0;

    CPAM_TRY(file_read_at(spill->io, spill->fd[which], names[which], data, size, at, &got, err));
    if (got != size)
        return cpam_fail(err, CPAM_IO, 0, "\"%s\" ends too early", names[which]);
    return CPAM_OK;
}

enum cpam_status
spill_pack_get(struct restore_spill *spill, size_t index, struct manifest_pack *out,
               struct cpam_err *err)
{
    struct pack_line line;

    CPAM_TRY(read_exactly(spill, FILE_PACKS, &line, sizeof(line), spill->pack_at[index], err));
    size_t count = line.pack.frame_count;
    size_t size = 2 * count * sizeof(*line.pack.clen);
    line.pack.clen = malloc(size == 0 ? 1 : size);
    if (line.pack.clen == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a pack's frames");
    line.pack.rlen = line.pack.clen + count;
    *out = line.pack;
    enum cpam_status status =
        read_exactly(spill, FILE_PACKS, out->clen, size, spill->pack_at[index] + sizeof(line), err);
    if (status != CPAM_OK)
        spill_pack_clear(out);
    return status;
}

void
spill_pack_clear(struct manifest_pack *pack)
{
    free(pack->clen);
    pack->clen = NULL;
    pack->rlen = NULL;
}

enum cpam_status
spill_path_get(struct restore_spill *spill, uint64_t path, char out[MANIFEST_PATH_MAX],
               struct spill_file *file, struct cpam_err *err)
{
    size_t got = 0;

    CPAM_TRY(read_exactly(spill, FILE_PATHS, file, sizeof(*file), path, err));
    CPAM_TRY(file_read_at(spill->io, spill->fd[FILE_PATHS], names[FILE_PATHS], out,
                          MANIFEST_PATH_MAX, path + sizeof(*file), &got, err));
    if (memchr(out, '\0', got) == NULL)
        return cpam_fail(err, CPAM_IO, 0, "\"%s\" ends too early", names[FILE_PATHS]);
    return CPAM_OK;
}

enum cpam_status
spill_extents_get(struct restore_spill *spill, size_t pack, struct spill_extent **out,
                  size_t *count, struct cpam_err *err)
{
    size_t size = spill->pack_extents[pack] * sizeof(**out);
    CPAM_AUTO(free) struct spill_extent *extents = malloc(size == 0 ? 1 : size);

    if (extents == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a pack's %u extents",
                         spill->pack_extents[pack]);
    CPAM_TRY(
        read_exactly(spill, FILE_EXTENTS, extents, size, spill->first[pack] * sizeof(**out), err));
    *count = spill->pack_extents[pack];
    *out = CPAM_STEAL(extents);
    return CPAM_OK;
}

enum cpam_status
spill_extents_put(struct restore_spill *spill, size_t pack, const struct spill_extent *extents,
                  size_t count, struct cpam_err *err)
{
    return file_write_at(spill->io, spill->fd[FILE_EXTENTS], names[FILE_EXTENTS], extents,
                         count * sizeof(*extents), spill->first[pack] * sizeof(*extents), err);
}

enum cpam_status
spill_extent_next(struct restore_spill *spill, size_t pack, struct spill_extent *out,
                  struct cpam_err *err)
{
    if (pack >= spill->pack_count || spill->next[pack] >= spill->pack_extents[pack])
        return cpam_fail(err, CPAM_INTERNAL, 0, "the manifest has other extents than before");
    uint64_t number = spill->first[pack] + spill->next[pack]++;
    return read_exactly(spill, FILE_EXTENTS, out, sizeof(*out), number * sizeof(*out), err);
}
