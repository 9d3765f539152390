/*
 * restore_pack.h - one pack fetched, opened, and its frames' bytes written to where they belong.
 *
 * The pack's header is held against the hash the manifest names before anything is opened, and each
 * frame is authenticated before a byte of it is used.  When much of a pack is wanted, it is read
 * whole, and the digest of all frames is compared at the end; else only the frames that are wanted
 * are asked for.
 *
 * Each part of a large file is fsynced here, by the worker that wrote it.  Small files are left to the last passage
 * (restore_keep.h): many at a time, they share what they wait for.
 */
#ifndef CPAM_RESTORE_RESTORE_PACK_H
#define CPAM_RESTORE_RESTORE_PACK_H

#include <stdatomic.h>

#include "repo/repo.h"
#include "restore_places.h"
#include "restore_spill.h"

enum
{
    RESTORE_SMALL = 256 * 1024 /* bytes; a file up to this is fsynced and read back at the end */
};

/* Of all workers together. */
struct restore_tally
{
    _Atomic uint64_t fetched; /* bytes of packs and tags that were asked for */
    _Atomic uint64_t kept;    /* bytes of files that were right already */
    size_t kept_wal;          /* files in pg_wal/before-restore */
    bool by_file;             /* pages had no tags: files were right or wrong as a whole */
};

struct restore_compare;

struct restore_pack_job
{
    struct io *io;
    struct repo *repo; /* this thread's */
    struct restore_places *places;
    struct restore_spill *spill;
    struct restore_tally *tally;
    struct restore_compare *compare; /* this thread's; NULL: nothing on disk is looked at */
    uint64_t sysid;
    void (*wrote)(void *arg, uint64_t bytes); /* for progress; NULL: nobody looks */
    void *arg;
};

enum cpam_status restore_pack(const struct restore_pack_job *job, size_t index,
                              struct cpam_err *err) CPAM_CHECK;

/* The path on disk of a path of the manifest: pg_control waits under another name. */
const char *restore_disk_path(const char *path);
#define RESTORE_CONTROL      "global/pg_control"
#define RESTORE_CONTROL_WAIT "global/pg_control" RESTORE_MARKER

#endif
