/*
 * arena.h - many small things with one life.
 *
 * Everything taken from an arena is freed at once with it.  The limit is given where it is made;
 * passing it is CPAM_INVALID, no memory is CPAM_NO_MEMORY.  Memory comes zeroed, aligned for any
 * type.
 */
#ifndef CPAM_BASE_ARENA_H
#define CPAM_BASE_ARENA_H

#include <stddef.h>

#include "base/err.h"
#include "base/scope.h"

struct arena;

enum cpam_status arena_new(size_t limit, struct arena **out, struct cpam_err *err) CPAM_CHECK;
void arena_free(struct arena *arena);
CPAM_SCOPED(arena_free, struct arena);

enum cpam_status arena_take(struct arena *arena, size_t size, void **out,
                            struct cpam_err *err) CPAM_CHECK;

/* A copy of size bytes with a NUL behind them. */
enum cpam_status arena_text(struct arena *arena, const char *text, size_t size, const char **out,
                            struct cpam_err *err) CPAM_CHECK;

#endif
