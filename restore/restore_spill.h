/*
 * restore_spill.h - what a restore has to remember of millions of files, on disk.
 *
 * The manifest names files in order; packs hold their bytes in another.  So each extent's record
 * goes to a file without a name in the data directory, grouped by pack: how many extents each pack
 * has is known from the survey, so a record's place is known when it comes.  In memory stay twelve
 * bytes a pack.  The CRC of each extent is written into its record once its bytes are on disk, and
 * read again when the manifest passes for the last time, in the same order.
 *
 * Records of different packs may be read and marked by several threads at once.
 */
#ifndef CPAM_RESTORE_RESTORE_SPILL_H
#define CPAM_RESTORE_RESTORE_SPILL_H

#include <stdbool.h>

#include "base/scope.h"
#include "io/io.h"
#include "repo/manifest.h"

/* What workers have to know of a file. */
struct spill_file
{
    uint64_t size;   /* bytes */
    uint64_t tags;   /* where those of its pages are (restore_blocks.h); SPILL_NO_TAGS */
    uint64_t number; /* that they were made with */
};
#define SPILL_NO_TAGS UINT64_MAX

struct spill_extent
{
    uint64_t path; /* where its file's path is, from spill_path() */
    uint64_t at;   /* in the file */
    uint64_t size;
    uint32_t frame, offset; /* in the pack */
    uint32_t crc;           /* of the content, once written */
    uint32_t place;         /* number of the place */
    uint8_t written;        /* 1 once it is */
    uint8_t is_large;       /* 1 if its file is, as restore_pack.h has it */
    uint8_t look;           /* 1: its file was there, and has tags: some pages may be right */
    uint8_t kept;           /* 1: its file was there, and is right as it is */
};

struct restore_spill;

/* pack_extents is borrowed while the spill lives.  The files are made in `dir`, and unlinked at
   once. */
enum cpam_status restore_spill_new(struct io *io, const char *dir, const uint32_t *pack_extents,
                                   size_t pack_count, struct restore_spill **out,
                                   struct cpam_err *err) CPAM_CHECK;
void restore_spill_free(struct restore_spill *spill);
CPAM_SCOPED(restore_spill_free, struct restore_spill);

/* First passage: in the manifest's order. */
enum cpam_status spill_pack(struct restore_spill *spill, const struct manifest_pack *pack,
                            struct cpam_err *err) CPAM_CHECK;
enum cpam_status spill_path(struct restore_spill *spill, const char *path,
                            const struct spill_file *file, uint64_t *out,
                            struct cpam_err *err) CPAM_CHECK;
enum cpam_status spill_extent_add(struct restore_spill *spill, size_t pack,
                                  const struct spill_extent *extent,
                                  struct cpam_err *err) CPAM_CHECK;
/* The first passage is over: what is still in memory goes out. */
enum cpam_status spill_flush(struct restore_spill *spill, struct cpam_err *err) CPAM_CHECK;

/* For workers; spill_pack_clear() gives the lengths back. */
enum cpam_status spill_pack_get(struct restore_spill *spill, size_t index,
                                struct manifest_pack *out, struct cpam_err *err) CPAM_CHECK;
void spill_pack_clear(struct manifest_pack *pack);
enum cpam_status spill_path_get(struct restore_spill *spill, uint64_t path,
                                char out[MANIFEST_PATH_MAX], struct spill_file *file,
                                struct cpam_err *err) CPAM_CHECK;
/* All extents of the pack, in the order they were added; to be freed. */
enum cpam_status spill_extents_get(struct restore_spill *spill, size_t pack,
                                   struct spill_extent **out, size_t *count,
                                   struct cpam_err *err) CPAM_CHECK;
enum cpam_status spill_extents_put(struct restore_spill *spill, size_t pack,
                                   const struct spill_extent *extents, size_t count,
                                   struct cpam_err *err) CPAM_CHECK;

/* Last passage: the next extent of this pack, in the order they were added. */
enum cpam_status spill_extent_next(struct restore_spill *spill, size_t pack,
                                   struct spill_extent *out, struct cpam_err *err) CPAM_CHECK;

#endif
