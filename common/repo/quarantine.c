/*
 * quarantine.c - copying, comparing, and only then taking away.
 *
 * An object is bound to its logical name and not to its key, so that the same sealed bytes open in
 * quarantine as well: the stored side is moved without a key, and the copy is held against the
 * original bit by bit.  Only where the content was put aside before, sealed anew by another run, are
 * content ids compared instead.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "crypto/authority.h"
#include "io/file.h"
#include "repo/object_read.h"
#include "repo/quarantine_parts.h"
#include "repo/wal_seal.h"

void
quarantine_aside(struct repo *repo, uint64_t sysid, const struct archive_name *name,
                 struct aside *out)
{
    *out = (struct aside){.repo = repo, .sysid = sysid, .name = *name};
    layout_wal(sysid, name, out->key);
}

void
quarantine_place(struct aside *aside)
{
    layout_quarantine(aside->key, aside->content, aside->place);
}

static struct object_want
want_of(const struct aside *aside, const char *key)
{
    return (struct object_want){
        .kind = wal_object_kind(aside->name.kind), .sysid = aside->sysid, .name = key};
}

/* --- the same content? ------------------------------------------------------------------------ */

/*
 * Does this very content lie in its place, whole?  Its header's content id is under the writer's
 * proof, and so is every frame behind it, with an identity or without.
 */
static enum cpam_status
lies_there(const struct aside *aside, bool *there, struct cpam_err *err)
{
    const struct object_want want = want_of(aside, aside->place);
    struct object_header header;
    enum cpam_status status;

    *there = false;
    if (keyring_can_open(repo_keyring(aside->repo)))
        status = object_read(aside->repo, &want, WAL_HELD_MAX, sink_nowhere(), &header, err);
    else
        status = object_prove(aside->repo, &want, WAL_HELD_MAX, &header, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    if (status != CPAM_OK)
        return status;
    *there = memcmp(header.content_id, aside->content, CONTENT_ID_SIZE) == 0;
    return CPAM_OK;
}

static enum cpam_status
must_lie_there(const struct aside *aside, struct cpam_err *err)
{
    bool there = false;

    CPAM_TRY(lies_there(aside, &there, err));
    if (!there)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "\"%s\" is taken by something else than the content it is named after",
                         aside->place);
    return store_settle(repo_store(aside->repo), aside->place, err);
}

/* --- the local side --------------------------------------------------------------------------- */

static enum cpam_status
put_aside(struct repo *repo, struct wal_item *item, const struct quarantine_note *note,
          struct cpam_err *err)
{
    struct cluster_record record;
    struct object_digest digest;
    struct aside aside;
    struct wal_sealing sealing = {
        .repo = repo, .item = item, .key = aside.place, .expected = aside.content};
    enum cpam_status status;

    quarantine_aside(repo, item->sysid, &item->name, &aside);
    aside.bytes = item->size;
    CPAM_TRY(wal_content_id(repo, item, aside.key, aside.content, err));
    quarantine_place(&aside);
    status = cluster_record_get(repo, item->sysid, &record, err);
    if (status == CPAM_NOT_FOUND)
        return err->status = CPAM_FOREIGN;
    CPAM_TRY(status);
    status = wal_seal_put(&sealing, NULL, &digest, err);
    if (status == CPAM_EXISTS)
        status = must_lie_there(&aside, err);
    CPAM_TRY(status);
    return quarantine_record_put(&aside, false, note, err);
}

enum cpam_status
quarantine_put(struct repo *repo, struct wal_item *item, const struct quarantine_note *note,
               struct cpam_err *err)
{
    enum cpam_status status = put_aside(repo, item, note, err);

    if (status != CPAM_OK)
        cpam_err_prefix(err, "repository \"%s\": could not put \"%s\" into quarantine",
                        repo_name(repo), item->name.text);
    return status;
}

/* What the content's id is, made with one of the keys that are held. */
struct identifying
{
    struct content_id *id;
};

static enum cpam_status
identify(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    return content_id_add(((struct identifying *) arg)->id, data, size, err);
}

static enum cpam_status
holds_by_root(struct aside *aside, struct wal_item *item, size_t root, bool *holds,
              struct cpam_err *err)
{
    CPAM_AUTO(content_id_free) struct content_id *id = NULL;
    enum cpam_status status;

    CPAM_TRY(content_id_new_root(repo_keyring(aside->repo), root, aside->key, &id, err));
    struct identifying identifying = {id};
    CPAM_TRY(wal_item_each(item, identify, &identifying, err));
    CPAM_TRY(content_id_end(id, aside->content, err));
    quarantine_place(aside);
    /* asked first: it is small, and nearly always decides */
    status = quarantine_record_check(aside, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    CPAM_TRY(status);
    CPAM_TRY(lies_there(aside, holds, err));
    return *holds ? store_settle(repo_store(aside->repo), aside->place, err) : CPAM_OK;
}

enum cpam_status
quarantine_holds(struct repo *repo, struct wal_item *item, bool *holds, struct cpam_err *err)
{
    size_t roots = keyring_match_roots(repo_keyring(repo));
    struct aside aside;

    *holds = false;
    quarantine_aside(repo, item->sysid, &item->name, &aside);
    for (size_t root = 0; root < roots && !*holds; root++)
        CPAM_TRY(holds_by_root(&aside, item, root, holds, err));
    return CPAM_OK;
}

/* --- the stored side -------------------------------------------------------------------------- */

/* Counts, sums up, and writes into fd unless that is -1. */
struct summing
{
    struct sink base;
    struct io *io;
    int fd;
    const char *path;
    uint64_t size;
    struct sha256 *sha;
};

static enum cpam_status
sum_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct summing *self = (struct summing *) sink;

    if (self->fd >= 0)
        CPAM_TRY(file_write_at(self->io, self->fd, self->path, data, size, self->size, err));
    self->size += size;
    return sha256_add(self->sha, data, size, err);
}

struct sum
{
    uint64_t size;
    uint8_t sha[SHA256_SIZE];
};

/* The bytes as they are stored, into fd unless that is -1. */
static enum cpam_status
read_sealed(struct repo *repo, const char *key, const char *version, int fd, const char *path,
            struct sum *sum, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = sum_write};
    CPAM_AUTO(sha256_free) struct sha256 *sha = NULL;
    struct store_info info;

    CPAM_TRY(sha256_new(&sha, err));
    struct summing summing = {{&ops, NULL}, repo_io(repo), fd, path, 0, sha};
    CPAM_TRY(store_get(repo_store(repo), key, version, NULL, &summing.base, &info, err));
    sum->size = summing.size;
    return sha256_end(sha, sum->sha, err);
}

static enum cpam_status
copy_through(const struct aside *aside, const char *version, int fd, const char *dir,
             struct cpam_err *err)
{
    struct store *store = repo_store(aside->repo);
    struct sum original, copy;
    enum cpam_status status;

    CPAM_TRY(read_sealed(aside->repo, aside->key, version, fd, dir, &original, err));
    status = store_put_new_fd(store, aside->place, fd, original.size, STORE_CLASS_WAL, err);
    if (status != CPAM_OK && status != CPAM_EXISTS)
        return status;
    CPAM_TRY(read_sealed(aside->repo, aside->place, NULL, -1, dir, &copy, err));
    if (copy.size == original.size && memcmp(copy.sha, original.sha, SHA256_SIZE) == 0)
        return store_settle(store, aside->place, err);
    if (status == CPAM_EXISTS)
        return must_lie_there(aside, err);
    return cpam_fail(err, CPAM_CORRUPT, 0,
                     "\"%s\" was copied to \"%s\", and something else is read from there: it stays"
                     " where it is",
                     aside->key, aside->place);
}

static enum cpam_status
copy_aside(const struct aside *aside, const char *version, struct cpam_err *err)
{
    struct io *io = repo_io(aside->repo);
    const char *dir = repo_settings(aside->repo)->spool;
    int fd = -1;

    if (dir == NULL)
        dir = "/var/tmp";
    enum cpam_status status = file_open_unnamed(io, dir, &fd, err);
    if (status == CPAM_OK)
        status = copy_through(aside, version, fd, dir, err);
    if (fd >= 0)
        io->ops->close(io, fd); /* nothing of it is kept */
    return status;
}

/* Taking a name away frees it only where nothing older comes back from under it. */
static enum cpam_status
refuse_versions(const struct aside *aside, const struct store_version *versions, size_t count,
                struct cpam_err *err)
{
    char ids[400] = "";
    size_t at = 0;

    for (size_t i = 0; i < count && at < sizeof(ids); i++)
        at += (size_t) snprintf(ids + at, sizeof(ids) - at, "%s%s%.64s", i == 0 ? "" : ", ",
                                versions[i].is_marker ? "marker " : "", versions[i].id);
    cpam_fail(err, CPAM_REFUSED, 0,
              "\"%s\" lies in quarantine now, and still has its name: \"%s\" keeps versions, and a "
              "removal would hide it without freeing the name",
              aside->key, repo_store(aside->repo)->url);
    cpam_err_hint(
        err,
        "somebody with the right to delete versions removes each of this key (aws s3api "
        "delete-object --bucket ... --key .../%s --version-id ID, IDs: %s), and then runs "
        "this again; what Object Lock holds can't go before its date: keep the archived "
        "side, or archive into another repository",
        aside->key, ids);
    return CPAM_REFUSED;
}

static enum cpam_status
take_away(const struct aside *aside, const struct store_info *info, struct cpam_err *err)
{
    CPAM_AUTO(free) struct store_version *versions = calloc(STORE_VERSIONS_MAX, sizeof(*versions));
    struct store *store = repo_store(aside->repo);
    struct store_info left;
    size_t count = 0;

    if (versions == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the versions of \"%s\"",
                         aside->key);
    CPAM_TRY(store_versions(store, aside->key, versions, STORE_VERSIONS_MAX, &count, err));
    if (info->version[0] != '\0' || count > 1 || (count == 1 && versions[0].id[0] != '\0'))
        return refuse_versions(aside, versions, count, err);
    CPAM_TRY(store_remove(store, aside->key, err));
    enum cpam_status status = store_head(store, aside->key, &left, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    if (status == CPAM_OK)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "\"%s\" was removed, and is there again",
                         aside->key);
    return status;
}

static enum cpam_status
move_aside(struct repo *repo, uint64_t sysid, const char *name, const struct quarantine_note *note,
           struct cpam_err *err)
{
    struct object_header header;
    struct archive_name parsed;
    struct store_info info;
    struct aside aside;

    CPAM_TRY(archive_name_parse(name, &parsed, err));
    quarantine_aside(repo, sysid, &parsed, &aside);
    const struct object_want want = want_of(&aside, aside.key);
    CPAM_TRY(object_choose(repo, &want, &header, &info, err));
    memcpy(aside.content, header.content_id, CONTENT_ID_SIZE);
    aside.bytes = header.raw_length;
    quarantine_place(&aside);
    CPAM_TRY(copy_aside(&aside, info.version, err));
    CPAM_TRY(quarantine_record_put(&aside, true, note, err));
    return take_away(&aside, &info, err);
}

enum cpam_status
quarantine_move(struct repo *repo, uint64_t sysid, const char *name,
                const struct quarantine_note *note, struct cpam_err *err)
{
    enum cpam_status status = move_aside(repo, sysid, name, note, err);

    if (status != CPAM_OK)
        cpam_err_prefix(err, "repository \"%s\"", repo_name(repo));
    return status;
}
