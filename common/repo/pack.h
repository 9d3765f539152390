/*
 * pack.h - frames of files, gathered into objects of kind 7 (format-1.md 2.5).
 *
 * A pack_set is one backup's packs: it numbers them and remembers, on disk, what the manifest has to
 * say of each.  A pack_writer fills one pack after the other for one thread; a pack is sealed in
 * memory and put at once when it is full, so a writer holds at most pack_size bytes of it.
 */
#ifndef CPAM_REPO_PACK_H
#define CPAM_REPO_PACK_H

#include "repo/manifest.h"

enum
{
    PACK_SIZE_MIN = 4 << 20, /* bytes, sealed */
    PACK_SIZE_MAX = 1 << 30,
    PACK_FRAME_SIZE = 1 << OBJECT_FRAME_LOG2, /* bytes of plaintext a frame holds at most */
    PACK_FRAMES_MAX = 16384 /* of a pack: keeps its manifest line below MANIFEST_LINE_MAX */
};

struct pack_set_spec
{
    const char *label;
    unsigned attempt; /* 1..255 */
    uint64_t sysid;
    uint64_t pack_size; /* bytes a sealed pack has at most */
    const char *state;  /* where the notes go (spill.h) */
};

struct pack_set;
enum cpam_status pack_set_new(struct io *io, const struct pack_set_spec *spec,
                              struct pack_set **out, struct cpam_err *err) CPAM_CHECK;
void pack_set_free(struct pack_set *set);
CPAM_SCOPED(pack_set_free, struct pack_set);
uint64_t pack_set_count(struct pack_set *set);
uint64_t pack_set_stored(struct pack_set *set); /* bytes of all packs that were put */
/* In the order of their index, once all writers have finished. */
typedef enum cpam_status (*pack_fn)(void *arg, const struct manifest_pack *pack,
                                    struct cpam_err *err);
enum cpam_status pack_set_each(struct pack_set *set, pack_fn fn, void *arg,
                               struct cpam_err *err) CPAM_CHECK;

/* Where a frame went. */
struct pack_place
{
    uint32_t pack, frame;
};

struct pack_writer;
enum cpam_status pack_writer_new(struct repo *repo, struct pack_set *set, struct pack_writer **out,
                                 struct cpam_err *err) CPAM_CHECK;
/* size 1..PACK_FRAME_SIZE bytes of plaintext. */
enum cpam_status pack_writer_frame(struct pack_writer *writer, const void *data, size_t size,
                                   struct pack_place *place, struct cpam_err *err) CPAM_CHECK;
/* Puts what is left.  A name that is taken by anything but this very object is CPAM_EXISTS: another
   content under a pack's name is never success (format-1.md fault 31). */
enum cpam_status pack_writer_finish(struct pack_writer *writer, struct cpam_err *err) CPAM_CHECK;
void pack_writer_free(struct pack_writer *writer);
CPAM_SCOPED(pack_writer_free, struct pack_writer);

#endif
