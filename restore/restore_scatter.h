/*
 * restore_scatter.h - a pack's plaintext, in order, written to where its pieces belong.
 *
 * Stretches may be left out; bytes nobody wants are passed over.  Each part of a large file is
 * fsynced by who wrote it.
 */
#ifndef CPAM_RESTORE_RESTORE_SCATTER_H
#define CPAM_RESTORE_RESTORE_SCATTER_H

#include "io/direct.h"
#include "restore_pack.h"
#include "restore_pieces.h"

struct restore_scatter
{
    struct sink base; /* for the whole plaintext from the start */
    const struct restore_pack_job *job;
    const struct spill_extent *extents;
    struct restore_pieces *pieces;
    size_t low;  /* of pieces->order: those before it are done */
    uint64_t at; /* of the plaintext: what comes next */
    int fd;      /* of the file written last */
    uint64_t open_path;
    bool is_open, is_large;
    struct direct direct;
    struct spill_file file;
    char path[MANIFEST_PATH_MAX];
};

void restore_scatter_begin(struct restore_scatter *scatter, const struct restore_pack_job *job,
                           const struct spill_extent *extents, struct restore_pieces *pieces);
/* The next bytes are those from `at` on; never backwards. */
enum cpam_status restore_scatter_write(struct restore_scatter *scatter, uint64_t at,
                                       const void *data, size_t size,
                                       struct cpam_err *err) CPAM_CHECK;
/* Fails unless every wanted piece was written whole. */
enum cpam_status restore_scatter_end(struct restore_scatter *scatter,
                                     struct cpam_err *err) CPAM_CHECK;
/* Closes what a failure left open. */
void restore_scatter_clear(struct restore_scatter *scatter);

#endif
