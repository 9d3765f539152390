/*
 * pack.h - frames of files, gathered into objects of kind 7 (format-1.md 2.5), in one repository or
 * in several at once.
 *
 * A pack_set is one backup's packs: it numbers them and remembers, on disk, what the manifests have
 * to say of each.  A pack_writer fills one pack after the other for one thread; a pack is sealed in
 * memory and put at once when it is full.
 *
 * Every repository gets the same packs with the same frames in the same places; what differs is the
 * key they are sealed with, and so H, d, the length of the header and its stanzas, and the object.
 * A frame is compressed once.  A full pack is put into one repository, sealed anew in its place for
 * the next one, put there, and so on: a writer holds pack_size bytes, however many repositories
 * there are, and a repository alone costs nothing more.
 *
 * A repository that fails is dropped with its reason, and the others go on.
 */
#ifndef CPAM_REPO_PACK_H
#define CPAM_REPO_PACK_H

#include "repo/manifest.h"

enum
{
    PACK_SIZE_MIN = 4 << 20, /* bytes, sealed */
    PACK_SIZE_MAX = 1 << 30,
    PACK_FRAME_SIZE = 1 << OBJECT_FRAME_LOG2, /* bytes of plaintext a frame holds at most */
    PACK_FRAMES_MAX = 16384, /* of a pack: keeps its manifest line below MANIFEST_LINE_MAX */
    PACK_REPOS_MAX = 16
};

/* What of a pack is one repository's own. */
struct pack_copy
{
    bool stored;
    uint8_t h[SHA256_SIZE], d[SHA256_SIZE];
    uint64_t size; /* bytes of the object */
    uint32_t body_offset;
};

struct pack_set_spec
{
    const char *label;
    unsigned attempt; /* 1..255 */
    uint64_t sysid;
    uint64_t pack_size; /* bytes a sealed pack has at most */
    const char *state;  /* where the notes go (spill.h) */
    size_t repos;       /* 1..PACK_REPOS_MAX repositories, known by number from here on */
    /* Told of each pack that was put, from any thread; NULL: nobody. */
    void (*noted)(void *arg, const struct manifest_pack *pack, const struct pack_copy *copies);
    void *arg;
};

struct pack_set;
enum cpam_status pack_set_new(struct io *io, const struct pack_set_spec *spec,
                              struct pack_set **out, struct cpam_err *err) CPAM_CHECK;
void pack_set_free(struct pack_set *set);
CPAM_SCOPED(pack_set_free, struct pack_set);
const struct pack_set_spec *pack_set_spec(const struct pack_set *set);
uint64_t pack_set_count(struct pack_set *set);
/* Bytes of all packs that were put into this repository. */
uint64_t pack_set_stored(struct pack_set *set, size_t repo);

/* This repository gets nothing more.  Of several reasons the first is kept.  From any thread, as the
   two below. */
void pack_set_drop(struct pack_set *set, size_t repo, const struct cpam_err *reason);
/* CPAM_OK while it was not dropped; the reason then. */
enum cpam_status pack_set_reason(struct pack_set *set, size_t repo,
                                 struct cpam_err *reason) CPAM_CHECK;
/* How many are not dropped. */
size_t pack_set_left(struct pack_set *set);

/* Of one repository that was not dropped, in the order of their index, once all writers have
   finished. */
typedef enum cpam_status (*pack_fn)(void *arg, const struct manifest_pack *pack,
                                    struct cpam_err *err);
enum cpam_status pack_set_each(struct pack_set *set, size_t repo, pack_fn fn, void *arg,
                               struct cpam_err *err) CPAM_CHECK;

/* For those who put packs: the next index, and what is in the pack that has it.  Of *pack, index,
   key, frame_count, clen and rlen are noted; copies are spec.repos of them, by number. */
enum cpam_status pack_set_next(struct pack_set *set, uint32_t *index,
                               struct cpam_err *err) CPAM_CHECK;
enum cpam_status pack_set_note(struct pack_set *set, const struct manifest_pack *pack,
                               const struct pack_copy *copies, struct cpam_err *err) CPAM_CHECK;

/* Where a frame went. */
struct pack_place
{
    uint32_t pack, frame;
};

struct pack_writer;
/* repos: as many as the set has, by number; kept (not the array).  NULL for one that was dropped. */
enum cpam_status pack_writer_new(struct repo *const *repos, struct pack_set *set,
                                 struct pack_writer **out, struct cpam_err *err) CPAM_CHECK;
/* size 1..PACK_FRAME_SIZE bytes of plaintext.  Fails when no repository is left (pack_set_reason()
   tells why of each), or for a reason that is no repository's own. */
enum cpam_status pack_writer_frame(struct pack_writer *writer, const void *data, size_t size,
                                   struct pack_place *place, struct cpam_err *err) CPAM_CHECK;
/* The next frames are of one file, of which this is known (compress/trial.h); borrowed until it is said
   of another one.  NULL, as at the beginning: of several, or of none. */
void pack_writer_of_file(struct pack_writer *writer, struct codec_trial *trial);
/* Puts what is left.  A name that is taken by anything but this very object is CPAM_EXISTS: another
   content under a pack's name is never success (format-1.md fault 31). */
enum cpam_status pack_writer_finish(struct pack_writer *writer, struct cpam_err *err) CPAM_CHECK;
void pack_writer_free(struct pack_writer *writer);
CPAM_SCOPED(pack_writer_free, struct pack_writer);

#endif
