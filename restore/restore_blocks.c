/*
 * restore_blocks.c - the content of a blocks object as it came, in one file.
 */
#include "restore_blocks.h"

#include <openssl/crypto.h>

#include "base/bytes.h"
#include "io/file.h"

struct restore_blocks
{
    struct sink base; /* takes the content */
    struct io *io;
    int fd;
    uint64_t size, at; /* bytes there are; where the next file begins */
    uint8_t key[BLOCK_KEY_SIZE];
};

static const char name[] = "tags of pages";

static enum cpam_status
keep(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct restore_blocks *self = (struct restore_blocks *) sink;

    CPAM_TRY(file_write_at(self->io, self->fd, name, data, size, self->size, err));
    self->size += size;
    return CPAM_OK;
}

static enum cpam_status
exactly(const struct restore_blocks *self, uint8_t *out, size_t size, uint64_t at,
        struct cpam_err *err)
{
    size_t got = 0;

    CPAM_TRY(file_read_at(self->io, self->fd, name, out, size, at, &got, err));
    if (got != size)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the tags of the backup's pages end too early");
    return CPAM_OK;
}

enum cpam_status
restore_blocks_new(struct io *io, const char *dir, struct repo *repo,
                   const struct backup_summary *summary, struct restore_blocks **out,
                   struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = keep};
    CPAM_AUTO(restore_blocks_free) struct restore_blocks *self = calloc(1, sizeof(*self));

    *out = NULL;
    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    *self = (struct restore_blocks){.base.ops = &ops, .io = io, .fd = -1, .at = BLOCK_KEY_SIZE};
    if (!summary->has_blocks)
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "the backup has no tags of its pages");
    CPAM_TRY(file_open_unnamed(io, dir, &self->fd, err));
    CPAM_TRY(blocks_read(repo, summary, &self->base, err));
    CPAM_TRY(exactly(self, self->key, sizeof(self->key), 0, err));
    *out = CPAM_STEAL(self);
    return CPAM_OK;
}

void
restore_blocks_free(struct restore_blocks *self)
{
    if (self == NULL)
        return;
    if (self->fd >= 0)
        self->io->ops->close(self->io, self->fd);
    OPENSSL_cleanse(self->key, sizeof(self->key));
    free(self);
}

enum cpam_status
restore_blocks_next(struct restore_blocks *self, struct spill_file *file, struct cpam_err *err)
{
    uint8_t number[BLOCK_NUMBER_SIZE];
    uint64_t tags = block_count(file->size) * BLOCK_TAG_SIZE;

    CPAM_TRY(exactly(self, number, sizeof(number), self->at, err));
    if (tags > self->size - self->at - sizeof(number))
        return cpam_fail(err, CPAM_CORRUPT, 0, "the tags of the backup's pages end too early");
    file->number = be64_get(number);
    file->tags = self->at + sizeof(number);
    self->at = file->tags + tags;
    return CPAM_OK;
}

enum cpam_status
restore_blocks_end(const struct restore_blocks *self, struct cpam_err *err)
{
    if (self->at != self->size)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "there are more tags of pages than the backup has pages");
    return CPAM_OK;
}

const uint8_t *
restore_blocks_key(const struct restore_blocks *self)
{
    return self->key;
}

enum cpam_status
restore_blocks_tags(const struct restore_blocks *self, const struct spill_file *file, uint64_t page,
                    size_t count, uint8_t *out, struct cpam_err *err)
{
    return exactly(self, out, count * BLOCK_TAG_SIZE, file->tags + page * BLOCK_TAG_SIZE, err);
}
