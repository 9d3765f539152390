/*
 * spill.h - notes about a backup that would not fit into memory, in a file without a name.
 *
 * Only what the manifest will say goes here (some 300 bytes a file), never a file's content.  The
 * file is gone with the process, whatever happens to it.  Several threads may append at once.
 */
#ifndef CPAM_REPO_SPILL_H
#define CPAM_REPO_SPILL_H

#include "base/buf.h"
#include "base/scope.h"
#include "io/io.h"

enum
{
    SPILL_NOTE_MAX = 64 << 20 /* bytes of one note */
};

struct spill;
enum cpam_status spill_new(struct io *io, const char *dir, struct spill **out,
                           struct cpam_err *err) CPAM_CHECK;
/* *at: where the note is. */
enum cpam_status spill_add(struct spill *spill, const void *data, size_t size, uint64_t *at,
                           struct cpam_err *err) CPAM_CHECK;
/* The note at `at` replaces what *out holds; *next (may be NULL) is where the one behind it is. */
enum cpam_status spill_get(struct spill *spill, uint64_t at, struct cpam_buf *out, uint64_t *next,
                           struct cpam_err *err) CPAM_CHECK;
uint64_t spill_size(struct spill *spill);
void spill_free(struct spill *spill);
CPAM_SCOPED(spill_free, struct spill);

#endif
