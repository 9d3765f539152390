/*
 * pack.c - filling packs, putting them, and remembering what is in them.
 */
#include "repo/pack.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "repo/layout.h"
#include "repo/object_read.h"
#include "repo/spill.h"

struct pack_set
{
    struct pack_set_spec spec;
    char label[BACKUP_LABEL_MAX];
    struct spill *notes;
    pthread_mutex_t lock;
    uint32_t opened;
    uint64_t *notes_at; /* of each pack, by index: 8 bytes a pack are all that stays in memory */
    size_t cap;
    uint64_t stored;
};

struct pack_writer
{
    struct repo *repo;
    struct pack_set *set;
    struct cpam_buf sealed;
    struct sink *chain;
    struct object_writer *object; /* NULL: no pack is open */
    struct manifest_pack pack;
};

enum cpam_status
pack_set_new(struct io *io, const struct pack_set_spec *spec, struct pack_set **out,
             struct cpam_err *err)
{
    CPAM_AUTO(pack_set_free) struct pack_set *set = calloc(1, sizeof(*set));

    *out = NULL;
    if (set == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the packs of a backup");
    pthread_mutex_init(&set->lock, NULL);
    set->spec = *spec;
    if (spec->pack_size < PACK_SIZE_MIN || spec->pack_size > PACK_SIZE_MAX)
        return cpam_fail(err, CPAM_USAGE, 0, "base.pack_size is %" PRIu64 ", not %d to %d bytes",
                         spec->pack_size, PACK_SIZE_MIN, PACK_SIZE_MAX);
    CPAM_TRY(label_check(spec->label, err));
    memcpy(set->label, spec->label, strlen(spec->label) + 1);
    set->spec.label = set->label;
    CPAM_TRY(spill_new(io, spec->state, &set->notes, err));
    *out = CPAM_STEAL(set);
    return CPAM_OK;
}

void
pack_set_free(struct pack_set *set)
{
    if (set == NULL)
        return;
    spill_free(set->notes);
    pthread_mutex_destroy(&set->lock);
    free(set->notes_at);
    free(set);
}

uint64_t
pack_set_count(struct pack_set *set)
{
    pthread_mutex_lock(&set->lock);
    uint64_t count = set->opened;
    pthread_mutex_unlock(&set->lock);
    return count;
}

uint64_t
pack_set_stored(struct pack_set *set)
{
    pthread_mutex_lock(&set->lock);
    uint64_t stored = set->stored;
    pthread_mutex_unlock(&set->lock);
    return stored;
}

static enum cpam_status
next_index(struct pack_set *set, uint32_t *index, struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;

    pthread_mutex_lock(&set->lock);
    if (set->opened == MANIFEST_PACKS_MAX)
        status = cpam_fail(err, CPAM_INVALID, 0,
                           "a backup of more than %d packs: choose a larger "
                           "base.pack_size",
                           MANIFEST_PACKS_MAX);
    else if (set->opened == set->cap)
    {
        size_t cap = set->cap == 0 ? 256 : set->cap * 2;
        uint64_t *grown = realloc(set->notes_at, cap * sizeof(*grown));

        if (grown == NULL)
            status = cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the packs of a backup");
        else
        {
            for (size_t i = set->cap; i < cap; i++)
                grown[i] = UINT64_MAX;
            set->notes_at = grown;
            set->cap = cap;
        }
    }
    if (status == CPAM_OK)
        *index = set->opened++;
    pthread_mutex_unlock(&set->lock);
    return status;
}

static void
close_pack(struct pack_writer *writer)
{
    object_writer_free(CPAM_STEAL(writer->object));
    sink_free(CPAM_STEAL(writer->chain));
    writer->sealed.size = 0;
}

static enum cpam_status
open_pack(struct pack_writer *writer, struct cpam_err *err)
{
    const struct repo_settings *settings = repo_settings(writer->repo);
    struct pack_set *set = writer->set;
    struct manifest_pack *pack = &writer->pack;
    struct seal_session *session;
    char key[LAYOUT_KEY_MAX];

    pack->frame_count = 0;
    CPAM_TRY(next_index(set, &pack->index, err));
    layout_pack(set->label, set->spec.attempt, pack->index, key);
    memcpy(pack->key, key, sizeof(pack->key));
    struct object_spec spec = {.kind = OBJECT_PACK,
                               .sysid = set->spec.sysid,
                               .name = pack->key,
                               .raw_length = OBJECT_LENGTH_UNKNOWN,
                               .codec = settings->base_codec,
                               .level = settings->base_level};

    CPAM_TRY(repo_seal(writer->repo, &session, err));
    CPAM_TRY(cpam_buf_reserve(&writer->sealed, set->spec.pack_size, set->spec.pack_size, err));
    CPAM_TRY(sink_buf_push(&writer->chain, &writer->sealed, set->spec.pack_size, err));
    return object_writer_new(session, &spec, writer->chain, &writer->object, err);
}

/* Name taken: only by this very object, whose answer was lost, is it stored. */
static enum cpam_status
is_own(struct pack_writer *writer, const struct object_digest *digest, struct cpam_err *err)
{
    struct object_want want = {
        .kind = OBJECT_PACK, .sysid = writer->set->spec.sysid, .name = writer->pack.key};
    struct object_header header;
    struct store_info info;

    CPAM_TRY(object_choose(writer->repo, &want, &header, &info, err));
    if (memcmp(header.h, digest->h, SHA256_SIZE) != 0 || info.size != digest->size)
        return cpam_fail(err, CPAM_EXISTS, 0,
                         "\"%s\" is taken by something this push did not write", writer->pack.key);
    return CPAM_OK;
}

static enum cpam_status
note_pack(struct pack_set *set, const struct manifest_pack *pack, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf note = {0};
    size_t frames = pack->frame_count * sizeof(uint32_t);
    uint64_t at;

    CPAM_TRY(cpam_buf_append(&note, pack, sizeof(*pack), SPILL_NOTE_MAX, err));
    CPAM_TRY(cpam_buf_append(&note, pack->clen, frames, SPILL_NOTE_MAX, err));
    CPAM_TRY(cpam_buf_append(&note, pack->rlen, frames, SPILL_NOTE_MAX, err));
    CPAM_TRY(spill_add(set->notes, note.data, note.size, &at, err));
    pthread_mutex_lock(&set->lock);
    set->notes_at[pack->index] = at;
    set->stored += pack->size;
    pthread_mutex_unlock(&set->lock);
    return CPAM_OK;
}

static enum cpam_status
put_pack(struct pack_writer *writer, struct cpam_err *err)
{
    struct manifest_pack *pack = &writer->pack;
    struct object_digest digest;
    enum cpam_status status;

    CPAM_TRY(object_writer_finish(writer->object, &digest, err));
    CPAM_TRY(sink_finish(writer->chain, err));
    status = store_put_new(repo_store(writer->repo), pack->key, writer->sealed.data,
                           writer->sealed.size, STORE_CLASS_BASE, err);
    if (status == CPAM_EXISTS)
        status = is_own(writer, &digest, err);
    if (status != CPAM_OK)
        return status;
    memcpy(pack->h, digest.h, SHA256_SIZE);
    memcpy(pack->d, digest.d, SHA256_SIZE);
    pack->size = digest.size;
    pack->body_offset = digest.body_offset;
    close_pack(writer);
    return note_pack(writer->set, pack, err);
}

enum cpam_status
pack_writer_new(struct repo *repo, struct pack_set *set, struct pack_writer **out,
                struct cpam_err *err)
{
    CPAM_AUTO(pack_writer_free) struct pack_writer *writer = calloc(1, sizeof(*writer));

    *out = NULL;
    if (writer == NULL || (writer->pack.clen = calloc(PACK_FRAMES_MAX, sizeof(uint32_t))) == NULL ||
        (writer->pack.rlen = calloc(PACK_FRAMES_MAX, sizeof(uint32_t))) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to write packs");
    writer->repo = repo;
    writer->set = set;
    *out = CPAM_STEAL(writer);
    return CPAM_OK;
}

enum cpam_status
pack_writer_frame(struct pack_writer *writer, const void *data, size_t size,
                  struct pack_place *place, struct cpam_err *err)
{
    struct manifest_pack *pack = &writer->pack;
    /* what this frame can add at most: itself, and its entry in the final frame's list */
    uint64_t most = OBJECT_FRAME_HEADER_SIZE + OBJECT_TAG_SIZE + size + 8;

    if (writer->object != NULL &&
        (pack->frame_count == PACK_FRAMES_MAX ||
         object_writer_size(writer->object) + most > writer->set->spec.pack_size))
        CPAM_TRY(put_pack(writer, err));
    if (writer->object == NULL)
        CPAM_TRY(open_pack(writer, err));
    CPAM_TRY(object_writer_frame(writer->object, data, size, &pack->clen[pack->frame_count], err));
    pack->rlen[pack->frame_count] = (uint32_t) size;
    *place = (struct pack_place){pack->index, pack->frame_count++};
    return CPAM_OK;
}

enum cpam_status
pack_writer_finish(struct pack_writer *writer, struct cpam_err *err)
{
    return writer->object == NULL ? CPAM_OK : put_pack(writer, err);
}

void
pack_writer_free(struct pack_writer *writer)
{
    if (writer == NULL)
        return;
    close_pack(writer);
    cpam_buf_clear(&writer->sealed);
    free(writer->pack.clen);
    free(writer->pack.rlen);
    free(writer);
}

enum cpam_status
pack_set_each(struct pack_set *set, pack_fn fn, void *arg, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf note = {0};

    for (uint32_t i = 0; i < set->opened; i++)
    {
        struct manifest_pack pack;

        if (set->notes_at[i] == UINT64_MAX)
            return cpam_fail(err, CPAM_INTERNAL, 0, "pack %" PRIu32 " was never put", i);
        CPAM_TRY(spill_get(set->notes, set->notes_at[i], &note, NULL, err));
        memcpy(&pack, note.data, sizeof(pack));
        size_t frames = pack.frame_count * sizeof(uint32_t);
        CPAM_AUTO(free) uint32_t *lengths = malloc(2 * frames + 1);
        if (lengths == NULL || note.size != sizeof(pack) + 2 * frames)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the frames of a pack");
        memcpy(lengths, note.data + sizeof(pack), 2 * frames);
        pack.clen = lengths;
        pack.rlen = lengths + pack.frame_count;
        CPAM_TRY(fn(arg, &pack, err));
    }
    return CPAM_OK;
}
