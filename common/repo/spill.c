/*
 * spill.c - notes one behind the other, each with its length in front.
 */
#include "repo/spill.h"

#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "io/file.h"

struct spill
{
    struct io *io;
    char *dir;
    int fd;
    pthread_mutex_t lock;
    uint64_t size;
};

enum cpam_status
spill_new(struct io *io, const char *dir, struct spill **out, struct cpam_err *err)
{
    CPAM_AUTO(spill_free) struct spill *spill = calloc(1, sizeof(*spill));

    *out = NULL;
    if (spill == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a file of notes");
    spill->io = io;
    spill->fd = -1;
    pthread_mutex_init(&spill->lock, NULL);
    spill->dir = strdup(dir);
    if (spill->dir == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a file of notes");
    CPAM_TRY(file_open_unnamed(io, dir, &spill->fd, err));
    *out = CPAM_STEAL(spill);
    return CPAM_OK;
}

enum cpam_status
spill_add(struct spill *spill, const void *data, size_t size, uint64_t *at, struct cpam_err *err)
{
    uint8_t length[4];

    if (size > SPILL_NOTE_MAX)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a note of %zu bytes is too long", size);
    le32_put(length, (uint32_t) size);
    pthread_mutex_lock(&spill->lock);
    *at = spill->size;
    spill->size += sizeof(length) + size;
    pthread_mutex_unlock(&spill->lock);
    CPAM_TRY(file_write_at(spill->io, spill->fd, spill->dir, length, sizeof(length), *at, err));
    return file_write_at(spill->io, spill->fd, spill->dir, data, size, *at + sizeof(length), err);
}

enum cpam_status
spill_get(struct spill *spill, uint64_t at, struct cpam_buf *out, uint64_t *next,
          struct cpam_err *err)
{
    uint8_t length[4];
    size_t got, size;

    CPAM_TRY(file_read_at(spill->io, spill->fd, spill->dir, length, sizeof(length), at, &got, err));
    size = le32_get(length);
    if (got != sizeof(length) || size > SPILL_NOTE_MAX)
        return cpam_fail(err, CPAM_INTERNAL, 0, "there is no note at %llu",
                         (unsigned long long) at);
    out->size = 0;
    CPAM_TRY(cpam_buf_reserve(out, size + 1, SPILL_NOTE_MAX + 1, err));
    CPAM_TRY(file_read_at(spill->io, spill->fd, spill->dir, out->data, size, at + sizeof(length),
                          &got, err));
    if (got != size)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a note ends early");
    out->size = size;
    if (next != NULL)
        *next = at + sizeof(length) + size;
    return CPAM_OK;
}

uint64_t
spill_size(struct spill *spill)
{
    pthread_mutex_lock(&spill->lock);
    uint64_t size = spill->size;
    pthread_mutex_unlock(&spill->lock);
    return size;
}

void
spill_free(struct spill *spill)
{
    if (spill == NULL)
        return;
    if (spill->fd >= 0)
        spill->io->ops->close(spill->io, spill->fd); /* nothing of it is kept */
    pthread_mutex_destroy(&spill->lock);
    free(spill->dir);
    free(spill);
}
