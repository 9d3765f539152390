/*
 * wal_seal.c - one WAL file into one sealed object.
 *
 * What fits into memory is sealed from the very bytes whose content id was taken.  A larger segment
 * is read a second time, into an unlinked file that is sent from there; its id is taken again while
 * it is sealed, and when the two differ the file changed in between and nothing is sent: the next
 * call starts over, with a new salt (format-1.md section 0 "One pass", fault 19).
 */
#include "repo/wal_seal.h"

#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "repo/spill.h"

enum
{
    SEAL_SLACK = 64 << 10 /* bytes an object may have beyond its content and its frames */
};

static enum cpam_status
write_sealed(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    return object_writer_write(arg, data, size, err);
}

static struct object_spec
spec_of(struct repo *repo, const struct wal_item *item, const char *key, const uint8_t *content_id)
{
    const struct repo_settings *settings = repo_settings(repo);

    return (struct object_spec){.kind = wal_object_kind(item->name.kind),
                                .sysid = item->sysid,
                                .name = key,
                                .content_id = content_id,
                                .raw_length = item->size,
                                .codec = settings->wal_codec,
                                .level = settings->wal_level};
}

static enum cpam_status
seal_memory(struct repo *repo, struct wal_item *item, const char *key, const uint8_t *content_id,
            struct object_digest *digest, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf sealed = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    struct object_spec spec = spec_of(repo, item, key, content_id);
    struct seal_session *session;
    size_t limit = item->data.size + item->data.size / 64 + SEAL_SLACK;

    CPAM_TRY(repo_seal(repo, &session, err));
    /* memory that is not written to costs nothing, growing by copies would */
    CPAM_TRY(cpam_buf_reserve(&sealed, limit, limit, err));
    CPAM_TRY(sink_buf_push(&chain, &sealed, limit, err));
    CPAM_TRY(object_writer_new(session, &spec, chain, &writer, err));
    CPAM_TRY(wal_item_each(item, write_sealed, writer, err));
    CPAM_TRY(object_writer_finish(writer, digest, err));
    CPAM_TRY(sink_finish(chain, err));
    return store_put_new(repo_store(repo), key, sealed.data, sealed.size, STORE_CLASS_WAL, err);
}

/* The end of a chain: bytes into a descriptor that somebody else owns. */
struct sink_fd
{
    struct sink base;
    struct io *io;
    int fd;
    const char *path;
    uint64_t at;
};

static enum cpam_status
fd_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct sink_fd *self = (struct sink_fd *) sink;

    CPAM_TRY(file_write_at(self->io, self->fd, self->path, data, size, self->at, err));
    self->at += size;
    return CPAM_OK;
}

static enum cpam_status
fd_finish(struct sink *sink, struct cpam_err *err)
{
    (void) sink;
    (void) err;
    return CPAM_OK;
}

static void
fd_free(struct sink *sink)
{
    (void) sink;
}

struct sealing
{
    struct object_writer *writer;
    struct content_id *id;
};

static enum cpam_status
write_and_identify(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    const struct sealing *sealing = arg;

    CPAM_TRY(content_id_add(sealing->id, data, size, err));
    return object_writer_write(sealing->writer, data, size, err);
}

/* *same: the bytes that were sealed have the content id that stands in the header. */
static enum cpam_status
seal_into(struct repo *repo, struct wal_item *item, const char *key, const uint8_t *content_id,
          int fd, const char *path, struct object_digest *digest, bool *same, struct cpam_err *err)
{
    static const struct sink_ops ops = {fd_write, fd_finish, fd_free};
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    CPAM_AUTO(content_id_free) struct content_id *id = NULL;
    struct sink_fd to = {{&ops, NULL}, repo_io(repo), fd, path, 0};
    struct object_spec spec = spec_of(repo, item, key, content_id);
    uint8_t again[CONTENT_ID_SIZE];
    struct seal_session *session;

    CPAM_TRY(repo_seal(repo, &session, err));
    CPAM_TRY(content_id_new(repo_keyring(repo), key, &id, err));
    CPAM_TRY(object_writer_new(session, &spec, &to.base, &writer, err));
    struct sealing sealing = {writer, id};
    CPAM_TRY(wal_item_each(item, write_and_identify, &sealing, err));
    CPAM_TRY(object_writer_finish(writer, digest, err));
    CPAM_TRY(content_id_end(id, again, err));
    *same = memcmp(again, content_id, CONTENT_ID_SIZE) == 0;
    return CPAM_OK;
}

static enum cpam_status
seal_and_send(struct repo *repo, struct wal_item *item, const char *key, const uint8_t *content_id,
              const char *dir, int fd, struct object_digest *digest, struct cpam_err *err)
{
    bool same = false;

    CPAM_TRY(seal_into(repo, item, key, content_id, fd, dir, digest, &same, err));
    /* nothing was sent; PostgreSQL calls again, and then both readings are made anew */
    if (!same)
        return cpam_fail(err, CPAM_TRANSIENT, 0, "\"%s\" was changed while it was read",
                         item->path);
    return store_put_new_fd(repo_store(repo), key, fd, digest->size, STORE_CLASS_WAL, err);
}

enum cpam_status
wal_seal_put(struct repo *repo, struct wal_item *item, const char *key,
             const uint8_t content_id[CONTENT_ID_SIZE], struct object_digest *digest,
             struct cpam_err *err)
{
    struct io *io = repo_io(repo);
    const char *dir = repo_settings(repo)->spool;
    enum cpam_status status;
    int fd = -1;

    if (item->fd < 0)
        return seal_memory(repo, item, key, content_id, digest, err);
    if (dir == NULL)
        dir = "/var/tmp";
    status = spill_open(io, dir, &fd, err);
    if (status == CPAM_OK)
        status = seal_and_send(repo, item, key, content_id, dir, fd, digest, err);
    if (fd >= 0)
        io->ops->close(io, fd); /* nothing of it is kept */
    return status;
}
