/*
 * room.c - mapped buffers, the last two of each size kept.
 */
#include "base/room.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>

enum
{
    SPARES_MAX = 2
};

struct spares
{
    size_t size;
    uint8_t *rooms[SPARES_MAX];
    size_t count;
};

static struct spares all_spares[] = {{.size = ROOM_FRAME}, {.size = ROOM_OBJECT}};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct spares *
spares_of(size_t size)
{
    for (size_t i = 0; i < sizeof(all_spares) / sizeof(all_spares[0]); i++)
        if (all_spares[i].size == size)
            return &all_spares[i];
    return NULL;
}

enum cpam_status
room_take(size_t size, struct cpam_buf *out, struct cpam_err *err)
{
    struct spares *spares = spares_of(size);
    uint8_t *room = NULL;

    if (spares == NULL)
        return cpam_fail(err, CPAM_INTERNAL, 0, "there is no room of %zu bytes", size);
    pthread_mutex_lock(&lock);
    if (spares->count > 0)
        room = spares->rooms[--spares->count];
    pthread_mutex_unlock(&lock);
    if (room == NULL)
    {
        void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (mapped == MAP_FAILED)
            return cpam_fail(err, CPAM_NO_MEMORY, errno, "no memory for %zu bytes", size);
        room = mapped;
    }
    *out = (struct cpam_buf){.data = room, .cap = size};
    return CPAM_OK;
}

void
room_give(struct cpam_buf *room)
{
    struct spares *spares = spares_of(room->cap);
    bool kept = false;

    if (room->data == NULL)
        return;
    if (room->cap > ROOM_KEPT)
        (void) madvise(room->data + ROOM_KEPT, room->cap - ROOM_KEPT, MADV_DONTNEED);
    pthread_mutex_lock(&lock);
    if (spares->count < SPARES_MAX)
    {
        spares->rooms[spares->count++] = room->data;
        kept = true;
    }
    pthread_mutex_unlock(&lock);
    if (!kept)
        munmap(room->data, room->cap);
    *room = (struct cpam_buf){0};
}
