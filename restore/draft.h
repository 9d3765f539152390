/*
 * draft.h - a file on its way to its name: made with the first byte, thrown away or given a name.
 *
 * Its failures are CPAM_IO, never CPAM_NOT_FOUND: a directory that is missing here must not read as
 * a file that is missing in the archive.
 */
#ifndef CPAM_RESTORE_DRAFT_H
#define CPAM_RESTORE_DRAFT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/io.h"

struct draft
{
    struct io *io;
    const char *path; /* temporary; kept */
    bool exists;
    int fd;        /* -1: closed */
    uint64_t size; /* bytes taken since it was made */
};

void draft_init(struct draft *draft, struct io *io, const char *path);

/* The file, empty, where it does not exist yet. */
enum cpam_status draft_make(struct draft *draft, struct cpam_err *err) CPAM_CHECK;
enum cpam_status draft_write(struct draft *draft, const void *data, size_t size,
                             struct cpam_err *err) CPAM_CHECK;
/* Close it (once all is written) and give it this name, in place of what has it. */
enum cpam_status draft_close(struct draft *draft, struct cpam_err *err) CPAM_CHECK;
enum cpam_status draft_rename(struct draft *draft, const char *name,
                              struct cpam_err *err) CPAM_CHECK;

/* Nothing of it is left, and it can begin again.  Also once it has its name: that stays. */
void draft_drop(struct draft *draft);

#endif
