/*
 * arena.c - a list of blocks, filled from the front.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum
{
    BLOCK_SIZE = 16 << 10
};

struct block
{
    struct block *next;
    _Alignas(max_align_t) unsigned char data[];
};

struct arena
{
    struct block *blocks; /* the newest first */
    size_t used, cap;     /* of the newest block */
    size_t left;          /* until the limit */
};

enum cpam_status
arena_new(size_t limit, struct arena **out, struct cpam_err *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    (*out)->left = limit;
    return CPAM_OK;
}

void
arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    while (arena->blocks != NULL)
    {
        struct block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
    free(arena);
}

enum cpam_status
arena_take(struct arena *arena, size_t size, void **out, struct cpam_err *err)
{
    const size_t align = _Alignof(max_align_t);

    *out = NULL;
    if (size > arena->left || size > SIZE_MAX / 2)
        return cpam_fail(err, CPAM_INVALID, 0, "more than the memory allowed for it");
    size_t taken = (size + align - 1) / align * align;
    if (arena->blocks == NULL || taken > arena->cap - arena->used)
    {
        size_t cap = taken > BLOCK_SIZE ? taken : BLOCK_SIZE;
        struct block *block = calloc(1, sizeof(*block) + cap);

        if (block == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory: %zu bytes", cap);
        block->next = arena->blocks;
        arena->blocks = block;
        arena->cap = cap;
        arena->used = 0;
    }
    *out = arena->blocks->data + arena->used;
    arena->used += taken;
    arena->left -= taken > arena->left ? arena->left : taken;
    return CPAM_OK;
}

enum cpam_status
arena_text(struct arena *arena, const char *text, size_t size, const char **out,
           struct cpam_err *err)
{
    void *copy;

    CPAM_TRY(arena_take(arena, size + 1, &copy, err));
    if (size > 0)
        memcpy(copy, text, size);
    *out = copy;
    return CPAM_OK;
}
