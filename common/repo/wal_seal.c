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
#include "repo/layout.h"
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
spec_of(const struct wal_sealing *sealing)
{
    const struct repo_settings *settings = repo_settings(sealing->repo);

    return (struct object_spec){.kind = wal_object_kind(sealing->item->name.kind),
                                .sysid = sealing->item->sysid,
                                .name = layout_logical_name(sealing->key),
                                .content_id = sealing->content_id,
                                .raw_length = sealing->item->size,
                                .codec = settings->wal_codec,
                                .level = settings->wal_level};
}

static void
gate_enter(const struct wal_gate *gate)
{
    if (gate != NULL)
        gate->enter(gate->arg);
}

static void
gate_leave(const struct wal_gate *gate)
{
    if (gate != NULL)
        gate->leave(gate->arg);
}

static enum cpam_status
seal_into_memory(const struct wal_sealing *sealing, struct cpam_buf *sealed,
                 struct object_digest *digest, struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    struct object_spec spec = spec_of(sealing);
    struct seal_session *session;
    size_t limit = sealing->item->data.size + sealing->item->data.size / 64 + SEAL_SLACK;

    CPAM_TRY(repo_seal(sealing->repo, &session, err));
    /* memory that is not written to costs nothing, growing by copies would */
    CPAM_TRY(cpam_buf_reserve(sealed, limit, limit, err));
    CPAM_TRY(sink_buf_push(&chain, sealed, limit, err));
    CPAM_TRY(object_writer_new(session, &spec, chain, &writer, err));
    CPAM_TRY(wal_item_each(sealing->item, write_sealed, writer, err));
    CPAM_TRY(object_writer_finish(writer, digest, err));
    return sink_finish(chain, err);
}

static enum cpam_status
put_memory(const struct wal_sealing *sealing, struct object_digest *digest, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf sealed = {0};
    enum cpam_status status;

    gate_enter(sealing->gate);
    status = seal_into_memory(sealing, &sealed, digest, err);
    gate_leave(sealing->gate);
    CPAM_TRY(status);
    return store_put_new(repo_store(sealing->repo), sealing->key, sealed.data, sealed.size,
                         STORE_CLASS_WAL, err);
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

struct written
{
    struct object_writer *writer;
    struct content_id *id;
};

static enum cpam_status
write_and_identify(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    const struct written *written = arg;

    CPAM_TRY(content_id_add(written->id, data, size, err));
    return object_writer_write(written->writer, data, size, err);
}

/* *same: the bytes that were sealed have the content id that stands in the header. */
static enum cpam_status
seal_into_file(const struct wal_sealing *sealing, int fd, const char *path,
               struct object_digest *digest, bool *same, struct cpam_err *err)
{
    static const struct sink_ops ops = {fd_write, fd_finish, fd_free};
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    CPAM_AUTO(content_id_free) struct content_id *id = NULL;
    struct sink_fd to = {{&ops, NULL}, repo_io(sealing->repo), fd, path, 0};
    struct object_spec spec = spec_of(sealing);
    uint8_t again[CONTENT_ID_SIZE];
    struct seal_session *session;

    CPAM_TRY(repo_seal(sealing->repo, &session, err));
    CPAM_TRY(
        content_id_new(repo_keyring(sealing->repo), layout_logical_name(sealing->key), &id, err));
    CPAM_TRY(object_writer_new(session, &spec, &to.base, &writer, err));
    struct written written = {writer, id};
    CPAM_TRY(wal_item_each(sealing->item, write_and_identify, &written, err));
    CPAM_TRY(object_writer_finish(writer, digest, err));
    CPAM_TRY(content_id_end(id, again, err));
    *same = memcmp(again, sealing->content_id, CONTENT_ID_SIZE) == 0;
    return CPAM_OK;
}

static enum cpam_status
put_file(const struct wal_sealing *sealing, const char *dir, int fd, struct object_digest *digest,
         struct cpam_err *err)
{
    bool same = false;
    enum cpam_status status;

    gate_enter(sealing->gate);
    status = seal_into_file(sealing, fd, dir, digest, &same, err);
    gate_leave(sealing->gate);
    CPAM_TRY(status);
    /* nothing was sent; PostgreSQL calls again, and then both readings are made anew */
    if (!same)
        return cpam_fail(err, CPAM_TRANSIENT, 0, "\"%s\" was changed while it was read",
                         sealing->item->path);
    return store_put_new_fd(repo_store(sealing->repo), sealing->key, fd, digest->size,
                            STORE_CLASS_WAL, err);
}

enum cpam_status
wal_seal_put(const struct wal_sealing *sealing, struct object_digest *digest, struct cpam_err *err)
{
    struct io *io = repo_io(sealing->repo);
    const char *dir = repo_settings(sealing->repo)->spool;
    enum cpam_status status;
    int fd = -1;

    if (sealing->item->fd < 0)
        return put_memory(sealing, digest, err);
    if (dir == NULL)
        dir = "/var/tmp";
    status = spill_open(io, dir, &fd, err);
    if (status == CPAM_OK)
        status = put_file(sealing, dir, fd, digest, err);
    if (fd >= 0)
        io->ops->close(io, fd); /* nothing of it is kept */
    return status;
}
