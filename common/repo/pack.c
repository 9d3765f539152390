/*
 * pack.c - filling packs and putting them, into one repository after the other.
 *
 * The first repository that is left is the one whose key a pack is written with; for each further
 * one the pack is sealed anew in its place.  Two buffers would let two repositories be sent to at
 * once, and cost pack_size for each of them and each worker; a slow store is better answered with
 * more workers, which have a pack each under way anyway.
 */
#include "repo/pack.h"

#include <string.h>

#include "repo/layout.h"
#include "repo/object_read.h"

struct pack_writer
{
    struct repo *repos[PACK_REPOS_MAX]; /* NULL: dropped */
    size_t count;
    struct pack_set *set;
    struct cpam_buf sealed;
    struct sink *chain;
    struct object_writer *object; /* NULL: no pack is open */
    struct codec_trial *trial;
    size_t first;   /* the repository whose key it is written with */
    uint32_t extra; /* bytes by which the object may be longer in another one */
    struct manifest_pack pack;
};

static void
close_pack(struct pack_writer *writer)
{
    object_writer_free(CPAM_STEAL(writer->object));
    sink_free(CPAM_STEAL(writer->chain));
    writer->sealed.size = 0;
}

static bool
gets_it(const struct pack_writer *writer, size_t repo)
{
    struct cpam_err ignored;

    return writer->repos[repo] != NULL && pack_set_reason(writer->set, repo, &ignored) == CPAM_OK;
}

static void
drop(struct pack_writer *writer, size_t repo, const struct cpam_err *reason)
{
    writer->repos[repo] = NULL;
    pack_set_drop(writer->set, repo, reason);
}

static struct object_spec
pack_spec(const struct pack_writer *writer, struct repo *repo)
{
    const struct repo_settings *settings = repo_settings(repo);

    return (struct object_spec){.kind = OBJECT_PACK,
                                .sysid = pack_set_spec(writer->set)->sysid,
                                .name = writer->pack.key,
                                .raw_length = OBJECT_LENGTH_UNKNOWN,
                                .codec = settings->base_codec,
                                .level = settings->base_level};
}

/* A session in every repository that is left; the first of them, and how much longer than its the
   headers of the others are. */
static enum cpam_status
meet_repos(struct pack_writer *writer, struct seal_session **first, struct cpam_err *err)
{
    enum cpam_status status = CPAM_CANCELLED;
    uint32_t longest = 0, own = 0;

    *first = NULL;
    cpam_fail(err, CPAM_CANCELLED, 0, "no repository is left");
    for (size_t i = 0; i < writer->count; i++)
    {
        struct seal_session *session;

        if (!gets_it(writer, i))
            continue;
        status = repo_seal(writer->repos[i], &session, err);
        if (status != CPAM_OK)
        {
            drop(writer, i, err);
            continue;
        }
        uint32_t size = object_body_offset(session);
        if (*first == NULL)
        {
            *first = session;
            writer->first = i;
            own = size;
        }
        longest = size > longest ? size : longest;
    }
    writer->extra = longest - own;
    return *first != NULL ? CPAM_OK : status;
}

static enum cpam_status
open_pack(struct pack_writer *writer, struct cpam_err *err)
{
    const struct pack_set_spec *set = pack_set_spec(writer->set);
    struct manifest_pack *pack = &writer->pack;
    struct seal_session *session;
    char key[LAYOUT_KEY_MAX];

    pack->frame_count = 0;
    CPAM_TRY(meet_repos(writer, &session, err));
    CPAM_TRY(pack_set_next(writer->set, &pack->index, err));
    layout_pack(set->label, set->attempt, pack->index, key);
    memcpy(pack->key, key, sizeof(pack->key));
    struct object_spec spec = pack_spec(writer, writer->repos[writer->first]);

    CPAM_TRY(cpam_buf_reserve(&writer->sealed, set->pack_size, set->pack_size, err));
    CPAM_TRY(sink_buf_push(&writer->chain, &writer->sealed, set->pack_size, err));
    return object_writer_new(session, &spec, writer->chain, &writer->object, err);
}

/* Name taken: only by this very object, whose answer was lost, is it stored. */
static enum cpam_status
is_own(struct pack_writer *writer, struct repo *repo, const struct object_digest *digest,
       struct cpam_err *err)
{
    struct object_want want = {
        .kind = OBJECT_PACK, .sysid = pack_set_spec(writer->set)->sysid, .name = writer->pack.key};
    struct object_header header;
    struct store_info info;

    CPAM_TRY(object_choose(repo, &want, &header, &info, err));
    if (memcmp(header.h, digest->h, SHA256_SIZE) != 0 || info.size != digest->size)
        return cpam_fail(err, CPAM_EXISTS, 0,
                         "\"%s\" is taken by something this push did not write", writer->pack.key);
    return CPAM_OK;
}

static enum cpam_status
put_copy(struct pack_writer *writer, size_t number, const struct object_digest *digest,
         struct pack_copy *copy, struct cpam_err *err)
{
    struct repo *repo = writer->repos[number];
    enum cpam_status status = store_put_new(repo_store(repo), writer->pack.key, writer->sealed.data,
                                            writer->sealed.size, STORE_CLASS_BASE, err);

    if (status == CPAM_EXISTS)
        status = is_own(writer, repo, digest, err);
    if (status != CPAM_OK)
        return status;
    *copy = (struct pack_copy){
        .stored = true, .size = digest->size, .body_offset = digest->body_offset};
    memcpy(copy->h, digest->h, SHA256_SIZE);
    memcpy(copy->d, digest->d, SHA256_SIZE);
    return CPAM_OK;
}

/* The pack that lies sealed in memory, as an object of this repository. */
static enum cpam_status
seal_anew(struct pack_writer *writer, size_t number, struct object_digest *digest,
          struct cpam_err *err)
{
    struct repo *repo = writer->repos[number];
    struct object_spec spec = pack_spec(writer, repo);
    struct seal_session *session;

    CPAM_TRY(repo_seal(repo, &session, err));
    return object_writer_reseal(writer->object, session, &spec, &writer->sealed, digest, err);
}

static enum cpam_status
put_pack(struct pack_writer *writer, struct cpam_err *err)
{
    struct pack_copy copies[PACK_REPOS_MAX] = {0};
    struct object_digest digest;
    enum cpam_status status = CPAM_CANCELLED;
    size_t stored = 0;

    cpam_fail(err, CPAM_CANCELLED, 0, "no repository is left");
    CPAM_TRY(object_writer_finish(writer->object, &digest, err));
    CPAM_TRY(sink_finish(writer->chain, err));
    for (size_t i = writer->first; i < writer->count; i++)
    {
        if (!gets_it(writer, i))
            continue;
        status = i == writer->first ? CPAM_OK : seal_anew(writer, i, &digest, err);
        if (status == CPAM_OK)
            status = put_copy(writer, i, &digest, &copies[i], err);
        if (status == CPAM_OK)
            stored++;
        else
            drop(writer, i, err);
    }
    if (stored == 0)
        return status;
    close_pack(writer);
    return pack_set_note(writer->set, &writer->pack, copies, err);
}

enum cpam_status
pack_writer_new(struct repo *const *repos, struct pack_set *set, struct pack_writer **out,
                struct cpam_err *err)
{
    CPAM_AUTO(pack_writer_free) struct pack_writer *writer = calloc(1, sizeof(*writer));

    *out = NULL;
    if (writer == NULL || (writer->pack.clen = calloc(PACK_FRAMES_MAX, sizeof(uint32_t))) == NULL ||
        (writer->pack.rlen = calloc(PACK_FRAMES_MAX, sizeof(uint32_t))) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to write packs");
    writer->set = set;
    writer->count = pack_set_spec(set)->repos;
    for (size_t i = 0; i < writer->count; i++)
        writer->repos[i] = repos[i];
    *out = CPAM_STEAL(writer);
    return CPAM_OK;
}

enum cpam_status
pack_writer_frame(struct pack_writer *writer, const void *data, size_t size,
                  struct pack_place *place, struct cpam_err *err)
{
    struct manifest_pack *pack = &writer->pack;
    /* what this frame can add at most: itself, and its entry in the final frame's list */
    uint64_t most = OBJECT_FRAME_HEADER_SIZE + OBJECT_TAG_SIZE + size + 8 + writer->extra;

    if (writer->object != NULL &&
        (pack->frame_count == PACK_FRAMES_MAX ||
         object_writer_size(writer->object) + most > pack_set_spec(writer->set)->pack_size))
        CPAM_TRY(put_pack(writer, err));
    if (writer->object == NULL)
        CPAM_TRY(open_pack(writer, err));
    object_writer_of_file(writer->object, writer->trial);
    CPAM_TRY(object_writer_frame(writer->object, data, size, &pack->clen[pack->frame_count], err));
    pack->rlen[pack->frame_count] = (uint32_t) size;
    *place = (struct pack_place){pack->index, pack->frame_count++};
    return CPAM_OK;
}

void
pack_writer_of_file(struct pack_writer *writer, struct codec_trial *trial)
{
    writer->trial = trial;
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
