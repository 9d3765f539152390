/*
 * wal_archive.c - making a WAL file durable under a name nobody can take twice.
 *
 * The name is asked for first, with one ranged request for the header of what may be there: the
 * same content again costs that request and sends no body (requirements row P1).  Only an absent
 * name is put, with put-if-absent, so that of two pushers one wins whatever happens in between (P3).
 * A name that is taken after all is compared in the same way: it may be our own object, whose
 * answer was lost (format-1.md fault 29).
 */
#include <string.h>

#include "base/log.h"
#include "io/file.h"
#include "repo/layout.h"
#include "repo/object_read.h"
#include "repo/quarantine.h"
#include "repo/repo_known.h"
#include "repo/wal_item.h"
#include "repo/wal_refuse.h"
#include "repo/wal_seal.h"

static const enum object_kind kinds[] = {
    [ARCHIVE_SEGMENT] = OBJECT_WAL,
    [ARCHIVE_HISTORY] = OBJECT_HISTORY,
    [ARCHIVE_BACKUP_HISTORY] = OBJECT_BACKUP_HISTORY,
    [ARCHIVE_PARTIAL] = OBJECT_PARTIAL,
};

enum object_kind
wal_object_kind(enum archive_name_kind kind)
{
    return kinds[kind];
}

/* One name of one item in one repository. */
struct putting
{
    struct repo *repo;
    struct wal_item *item;
    const struct wal_put_how *how;
    char key[LAYOUT_KEY_MAX];
    uint8_t content_id[CONTENT_ID_SIZE]; /* once it is known: not before it is needed */
    bool has_id;
};

static enum cpam_status
add_to_id(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    return content_id_add(arg, data, size, err);
}

enum cpam_status
wal_content_id(struct repo *repo, struct wal_item *item, const char *key,
               uint8_t out[CONTENT_ID_SIZE], struct cpam_err *err)
{
    CPAM_AUTO(content_id_free) struct content_id *id = NULL;

    CPAM_TRY(content_id_new(repo_keyring(repo), layout_logical_name(key), &id, err));
    CPAM_TRY(wal_item_each(item, add_to_id, id, err));
    return content_id_end(id, out, err);
}

/* Sealing tells the id; what is refused, or compared without an identity, is read for it. */
static enum cpam_status
know_id(struct putting *put, struct cpam_err *err)
{
    if (!put->has_id)
        CPAM_TRY(wal_content_id(put->repo, put->item, put->key, put->content_id, err));
    put->has_id = true;
    return CPAM_OK;
}

enum cpam_status
wal_item_content_id(struct repo *repo, struct wal_item *item, uint8_t out[CONTENT_ID_SIZE],
                    struct cpam_err *err)
{
    char key[LAYOUT_KEY_MAX];

    layout_wal(item->sysid, &item->name, key);
    return wal_content_id(repo, item, key, out, err);
}

/* Compares what is stored with the item while it is read, and keeps its first page. */
struct comparing
{
    struct sink base;
    struct putting *put;
    uint64_t at;
    uint64_t differs_at; /* the first byte that differs, WAL_NOT_COMPARED: none so far */
    uint8_t head[WAL_LONG_HEADER_SIZE];
};

/* Where two pieces begin to differ; size: nowhere. */
static size_t
first_difference(const uint8_t *one, const uint8_t *other, size_t size)
{
    size_t at = 0;

    if (memcmp(one, other, size) == 0)
        return size;
    while (one[at] == other[at])
        at++;
    return at;
}

/* What is stored from self->at on, against the item's content there. */
static enum cpam_status
compare_piece(struct comparing *self, const uint8_t *data, size_t size, struct cpam_err *err)
{
    struct wal_item *item = self->put->item;
    uint8_t piece[16 << 10];

    for (size_t done = 0; done < size && self->differs_at == WAL_NOT_COMPARED;)
    {
        size_t want = size - done < sizeof(piece) ? size - done : sizeof(piece);
        uint64_t at = self->at + done;
        const uint8_t *ours = piece;
        size_t got, same;

        if (item->fd >= 0)
            CPAM_TRY(file_read_at(item->io, item->fd, item->path, piece, want, at, &got, err));
        else
        {
            uint64_t left = at < item->size ? item->size - at : 0;

            ours = item->data.data + (left > 0 ? at : 0);
            got = left < want ? (size_t) left : want;
        }
        same = first_difference(ours, data + done, got);
        if (same < want)
            self->differs_at = at + same;
        done += want;
    }
    return CPAM_OK;
}

static enum cpam_status
compare_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct comparing *self = (struct comparing *) sink;

    if (self->at < sizeof(self->head))
    {
        size_t room = sizeof(self->head) - (size_t) self->at;

        memcpy(self->head + self->at, data, size < room ? size : room);
    }
    CPAM_TRY(compare_piece(self, data, size, err));
    self->at += size;
    return CPAM_OK;
}

/* What has the name. */
struct found
{
    struct object_header header;
    struct wal_page page; /* with has_page */
    bool same, has_page;
    uint64_t differs_at; /* or WAL_NOT_COMPARED: only ids were */
};

/*
 * Read what is stored, all of it, and compare: what is answered 0 has to be there in every byte, and
 * a header that says so is not enough (whoever can write to the store can cut an object off behind
 * it).  It also tells what the stored file is, and decides after a rotation of keys, when the same
 * content has another id (format-1.md section 0).  Without an identity the id tells that it is the
 * same content, and the writer's signature over all frames that it is all there.
 */
static enum cpam_status
compare_content(struct putting *put, struct found *found, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = compare_write};
    struct comparing compare = {.base.ops = &ops, .put = put, .differs_at = WAL_NOT_COMPARED};
    struct object_want want = {
        .kind = wal_object_kind(put->item->name.kind), .sysid = put->item->sysid, .name = put->key};
    struct cpam_err ignored;

    if (!keyring_can_open(repo_keyring(put->repo)))
    {
        CPAM_TRY(object_pass_proof(put->repo, &want, WAL_HELD_MAX, &found->header, err));
        CPAM_TRY(know_id(put, err));
        found->same = found->header.raw_length == put->item->size &&
                      memcmp(found->header.content_id, put->content_id, CONTENT_ID_SIZE) == 0;
        return CPAM_OK;
    }
    CPAM_TRY(object_pass(put->repo, &want, WAL_HELD_MAX, &compare.base, &found->header, err));
    if (compare.differs_at == WAL_NOT_COMPARED && compare.at != put->item->size)
        compare.differs_at = compare.at; /* the stored one ends there */
    found->differs_at = compare.differs_at;
    found->same = compare.differs_at == WAL_NOT_COMPARED;
    found->has_page =
        compare.at >= sizeof(compare.head) &&
        wal_page_parse(compare.head, sizeof(compare.head), &found->page, &ignored) == CPAM_OK;
    return CPAM_OK;
}

enum verdict
{
    VERDICT_ABSENT,
    VERDICT_SAME,
    VERDICT_OTHER
};

/* What has the name?  h (may be NULL) gets the header hash of what is there. */
static enum cpam_status
look(struct putting *put, enum verdict *verdict, uint8_t h[SHA256_SIZE], struct cpam_err *err)
{
    struct found found = {.differs_at = WAL_NOT_COMPARED};
    enum cpam_status status;

    *verdict = VERDICT_ABSENT;
    status = compare_content(put, &found, err);
    /* with nothing but a marker, the name is free for put-if-absent to decide */
    if (status == CPAM_NOT_FOUND || status == CPAM_UNKNOWN)
        return CPAM_OK;
    if (status == CPAM_CORRUPT || status == CPAM_FOREIGN)
        cpam_err_hint(
            err,
            "the server keeps its file and this is tried again; unless something on the"
            " way to the store changes its answers, what is stored as \"%s\" is damaged or"
            " was not written here: find out who can write to the store, move it out of"
            " the way (and keep it), and this push goes through",
            put->key);
    /* foreign is what somebody planted, and not the file that is being pushed */
    if (status != CPAM_OK)
        return err->status = status == CPAM_FOREIGN ? CPAM_CORRUPT : status;
    if (h != NULL)
        memcpy(h, found.header.h, SHA256_SIZE);
    *verdict = found.same ? VERDICT_SAME : VERDICT_OTHER;
    if (found.same)
        return CPAM_OK;
    CPAM_TRY(know_id(put, err));
    struct wal_refusal refusal = {.repo = put->repo,
                                  .item = put->item,
                                  .content_id = put->content_id,
                                  .stored = &found.header,
                                  .page = found.has_page ? &found.page : NULL,
                                  .differs_at = found.differs_at};
    wal_refuse(&refusal, err);
    return CPAM_OK;
}

/* P6: asked only where something is about to be written; what is there passed once. */
static enum cpam_status
check_cluster(const struct putting *put, struct cpam_err *err)
{
    enum cpam_status status = repo_knows_cluster(put->repo, put->item->sysid, err);

    return status == CPAM_NOT_FOUND ? (err->status = CPAM_FOREIGN) : status;
}

/* Who put it may have died before it was durable, and our answer says that it is. */
static enum cpam_status
was_durable(const struct putting *put, struct cpam_err *err)
{
    return store_settle(repo_store(put->repo), put->key, err);
}

/* VERDICT_OTHER leaves the sentence of the refusal in *err. */
static enum cpam_status
put_name(struct putting *put, bool probably_absent, enum verdict *verdict, bool *was_there,
         struct cpam_err *err)
{
    struct wal_sealing sealing = {put->repo, put->item, put->key, put->how->gate, NULL};
    struct object_digest digest;
    uint8_t stored_h[SHA256_SIZE];
    bool put_at_once = false;
    enum cpam_status status;

    *was_there = false;
    put->has_id = false;
    if (probably_absent)
        CPAM_TRY(repo_refuses_taken(put->repo, &put_at_once, err));
    if (!put_at_once)
    {
        CPAM_TRY(look(put, verdict, NULL, err));
        *was_there = *verdict == VERDICT_SAME;
        if (*verdict != VERDICT_ABSENT)
            return *was_there ? was_durable(put, err) : CPAM_OK;
    }
    CPAM_TRY(check_cluster(put, err));
    status = wal_seal_put(&sealing, put->content_id, &digest, err);
    put->has_id = status == CPAM_OK || status == CPAM_EXISTS;
    if (status != CPAM_EXISTS)
    {
        *verdict = VERDICT_SAME;
        return status;
    }
    CPAM_TRY(look(put, verdict, stored_h, err));
    if (*verdict == VERDICT_ABSENT)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "\"%s\" could not be put because it exists, and then did not exist",
                         put->key);
    /* our own header hash: the object is this very one, and the answer to its put was lost */
    *was_there = *verdict == VERDICT_SAME && memcmp(stored_h, digest.h, SHA256_SIZE) != 0;
    return *was_there ? was_durable(put, err) : CPAM_OK;
}

/* The refusal in *err, unless a person has put this very content into quarantine: it is durable. */
static enum cpam_status
refuse_unless_aside(const struct putting *put, bool *was_there, struct cpam_err *err)
{
    const char *name = put->item->name.text;
    struct cpam_err why;
    bool held = false;

    if (quarantine_holds(put->repo, put->item, &held, &why) != CPAM_OK)
        cpam_log(LOG_WARNING, "whether \"%s\" is in quarantine could not be told: %s", name,
                 why.text);
    if (!held)
        return err->status;
    *was_there = true;
    cpam_log(LOG_WARNING,
             "\"%s\" is archived with other content; this one is in quarantine in \"%s\", and "
             "counts as archived",
             name, repo_name(put->repo));
    return CPAM_OK;
}

static enum cpam_status
put_item(struct putting *put, bool *was_there, struct cpam_err *err)
{
    const struct wal_item *item = put->item;
    enum verdict verdict;

    layout_wal(item->sysid, &item->name, put->key);
    CPAM_TRY(put_name(put, put->how->probably_absent, &verdict, was_there, err));
    if (verdict == VERDICT_SAME)
        return CPAM_OK;
    if (item->name.kind != ARCHIVE_PARTIAL && item->name.kind != ARCHIVE_BACKUP_HISTORY)
        return refuse_unless_aside(put, was_there, err);

    /* postgresql.md trap 9: an archiver stuck on one of these would block everything behind it */
    char first[LAYOUT_KEY_MAX];

    memcpy(first, put->key, sizeof(first));
    layout_wal_beside(item->sysid, &item->name, put->content_id, put->key);
    CPAM_TRY(put_name(put, false, &verdict, was_there, err));
    if (verdict != VERDICT_SAME)
        return err->status;
    if (!*was_there)
        cpam_log(LOG_WARNING,
                 "\"%s\" is archived with other content; this one was put beside it "
                 "as \"%s\"",
                 first, put->key);
    return CPAM_OK;
}

enum cpam_status
wal_archive_put_how(struct repo *repo, struct wal_item *item, const struct wal_put_how *how,
                    bool *was_there, struct cpam_err *err)
{
    static const struct wal_put_how plain = {0};
    struct putting put = {.repo = repo, .item = item, .how = how != NULL ? how : &plain};
    enum cpam_status status = put_item(&put, was_there, err);

    if (status != CPAM_OK)
        cpam_err_prefix(err, "repository \"%s\"", repo_name(repo));
    return status;
}

enum cpam_status
wal_archive_put(struct repo *repo, struct wal_item *item, bool *was_there, struct cpam_err *err)
{
    return wal_archive_put_how(repo, item, NULL, was_there, err);
}
