/*
 * wal_seal.c - one WAL file into one sealed object.
 *
 * What was made fits into one room (base/room.h): the file is read once, and each piece is known
 * again by the content id and compressed while it is at hand; when the id is complete, the frames
 * are sealed where they stand (object_packer.c).  What does not fit is read a second time, into an
 * unlinked file that is sent from there: compressed WAL that is not sealed yet never touches a
 * disk.  Its id is taken again while it is sealed, and when the two differ the file changed in
 * between and nothing is sent: the next call starts over, with a new salt (format-1.md section 0
 * "One pass", fault 19).
 *
 * Sealed objects that wait for a slow store stay in memory up to WAITING_MAX bytes in all; beyond
 * that they wait in an unlinked file.  Of objects that hardly get smaller only one at a time is made:
 * whoever comes to LARGE bytes goes on alone.
 */
#include "repo/wal_seal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "io/file.h"
#include "repo/layout.h"

enum
{
    ONCE_MAX = 256 << 20, /* larger files are not tried to be held: it would be in vain */
    WAITING_MAX = 8 << 20,
    LARGE = 3 << 20
};

static const char spool_else[] = "/var/tmp";
static atomic_size_t waiting; /* bytes of sealed objects in memory, of all threads */
static pthread_mutex_t large =
    PTHREAD_MUTEX_INITIALIZER; /* held by who has more than LARGE bytes */

static void
gate_enter(const struct wal_sealing *sealing)
{
    if (sealing->gate != NULL)
        sealing->gate->enter(sealing->gate->arg);
}

static void
gate_leave(const struct wal_sealing *sealing)
{
    if (sealing->gate != NULL)
        sealing->gate->leave(sealing->gate->arg);
}

static struct object_spec
spec_of(const struct wal_sealing *sealing, const uint8_t *content_id)
{
    const struct repo_settings *settings = repo_settings(sealing->repo);

    return (struct object_spec){.kind = wal_object_kind(sealing->item->name.kind),
                                .sysid = sealing->item->sysid,
                                .name = layout_logical_name(sealing->key),
                                .content_id = content_id,
                                .raw_length = sealing->item->size,
                                .codec = settings->wal_codec,
                                .level = settings->wal_level};
}

static enum cpam_status
id_of(const struct wal_sealing *sealing, struct content_id **out, struct cpam_err *err)
{
    return content_id_new(repo_keyring(sealing->repo), layout_logical_name(sealing->key), out, err);
}

static enum cpam_status
was_changed(const struct wal_sealing *sealing, struct cpam_err *err)
{
    /* nothing was sent; PostgreSQL calls again, and then everything is made anew */
    return cpam_fail(err, CPAM_TRANSIENT, 0, "\"%s\" was changed while it was read",
                     sealing->item->path);
}

static enum cpam_status
check_expected(const struct wal_sealing *sealing, const uint8_t *content_id, struct cpam_err *err)
{
    if (sealing->expected == NULL || memcmp(sealing->expected, content_id, CONTENT_ID_SIZE) == 0)
        return CPAM_OK;
    return was_changed(sealing, err);
}

/* --- once: in memory -------------------------------------------------------------------------- */

/* An object that is made, or was. */
struct made
{
    struct cpam_buf room;
    bool is_large; /* the right to be is held */
};

static void
let_others(struct made *made)
{
    if (made->is_large)
        pthread_mutex_unlock(&large);
    made->is_large = false;
}

static void
made_clear(struct made *made)
{
    room_give(&made->room);
    let_others(made);
}

static void
made_clear_scoped_(struct made *made)
{
    made_clear(made);
}

struct packing
{
    struct object_packer *packer;
    struct content_id *id;
    struct made *made;
    bool full; /* the object does not fit */
};

static enum cpam_status
identify_and_pack(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    struct packing *packing = arg;

    if (!packing->made->is_large && packing->made->room.size > LARGE)
    {
        pthread_mutex_lock(&large);
        packing->made->is_large = true;
    }
    CPAM_TRY(content_id_add(packing->id, data, size, err));
    enum cpam_status status = object_packer_frame(packing->packer, data, size, err);
    packing->full = status == CPAM_INVALID;
    return status;
}

static enum cpam_status
pack(const struct wal_sealing *sealing, struct made *made, bool *fits, uint8_t *content_id,
     struct object_digest *digest, struct cpam_err *err)
{
    CPAM_AUTO(object_packer_free) struct object_packer *packer = NULL;
    CPAM_AUTO(content_id_free) struct content_id *id = NULL;
    struct object_spec spec = spec_of(sealing, NULL);
    struct seal_session *session;
    enum cpam_status status;

    CPAM_TRY(repo_seal(sealing->repo, &session, err));
    CPAM_TRY(id_of(sealing, &id, err));
    CPAM_TRY(object_packer_new(session, &spec, &made->room, &packer, err));
    struct packing packing = {packer, id, made, false};
    status = wal_item_each(sealing->item, identify_and_pack, &packing, err);
    *fits = !packing.full;
    CPAM_TRY(status);
    CPAM_TRY(content_id_end(id, content_id, err));
    CPAM_TRY(check_expected(sealing, content_id, err));
    return object_packer_seal(packer, content_id, digest, err);
}

static const char *
spool_of(const struct wal_sealing *sealing)
{
    const char *dir = repo_settings(sealing->repo)->spool;

    return dir != NULL ? dir : spool_else;
}

/* An unlinked file; a spool that is gone or read-only keeps nothing from being archived. */
static enum cpam_status
open_spill(const struct wal_sealing *sealing, int *fd, struct cpam_err *err)
{
    struct io *io = repo_io(sealing->repo);
    struct cpam_err ignored;
    enum cpam_status status = file_open_unnamed(io, spool_of(sealing), fd, err);

    if (status == CPAM_OK || repo_settings(sealing->repo)->spool == NULL)
        return status;
    return file_open_unnamed(io, spool_else, fd, &ignored) == CPAM_OK ? CPAM_OK : status;
}

/* The object into an unlinked file; *fd -1 where that can't be had: then it stays in memory. */
static void
put_by(const struct wal_sealing *sealing, const struct cpam_buf *held, int *fd)
{
    struct io *io = repo_io(sealing->repo);
    struct cpam_err why;

    if (open_spill(sealing, fd, &why) == CPAM_OK &&
        file_write_at(io, *fd, spool_of(sealing), held->data, held->size, 0, &why) == CPAM_OK)
        return;
    cpam_log(LOG_DEBUG, "a sealed segment stays in memory: %s", why.text);
    if (*fd >= 0)
        io->ops->close(io, *fd);
    *fd = -1;
}

static enum cpam_status
send_made(const struct wal_sealing *sealing, struct made *made, struct cpam_err *err)
{
    struct store *store = repo_store(sealing->repo);
    const struct cpam_buf *held = &made->room;
    size_t size = held->size;
    enum cpam_status status;
    int fd = -1;

    if (atomic_fetch_add(&waiting, size) + size > WAITING_MAX)
        put_by(sealing, held, &fd);
    if (fd >= 0)
        made_clear(made);
    let_others(made); /* a store that stalls holds up nobody else's */
    if (fd < 0)
        status = store_put_new(store, sealing->key, held->data, size, STORE_CLASS_WAL, err);
    atomic_fetch_sub(&waiting, size);
    if (fd < 0)
        return status;
    status = store_put_new_fd(store, sealing->key, fd, size, STORE_CLASS_WAL, err);
    repo_io(sealing->repo)->ops->close(repo_io(sealing->repo), fd);
    return status;
}

static enum cpam_status
put_once(const struct wal_sealing *sealing, bool *fits, uint8_t *content_id,
         struct object_digest *digest, struct cpam_err *err)
{
    CPAM_AUTO(made_clear) struct made made = {0};
    enum cpam_status status;

    gate_enter(sealing);
    status = room_take(ROOM_OBJECT, &made.room, err);
    if (status == CPAM_OK)
        status = pack(sealing, &made, fits, content_id, digest, err);
    gate_leave(sealing);
    CPAM_TRY(status);
    return send_made(sealing, &made, err);
}

/* --- twice: into a file ----------------------------------------------------------------------- */

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

/* The bytes that are sealed have the content id that stands in the header, or it fails. */
static enum cpam_status
seal_into(const struct wal_sealing *sealing, const uint8_t *content_id, struct sink *to,
          struct object_digest *digest, struct cpam_err *err)
{
    CPAM_AUTO(object_writer_free) struct object_writer *writer = NULL;
    CPAM_AUTO(content_id_free) struct content_id *id = NULL;
    struct object_spec spec = spec_of(sealing, content_id);
    uint8_t again[CONTENT_ID_SIZE];
    struct seal_session *session;

    CPAM_TRY(repo_seal(sealing->repo, &session, err));
    CPAM_TRY(id_of(sealing, &id, err));
    CPAM_TRY(object_writer_new(session, &spec, to, &writer, err));
    struct written written = {writer, id};
    CPAM_TRY(wal_item_each(sealing->item, write_and_identify, &written, err));
    CPAM_TRY(object_writer_finish(writer, digest, err));
    CPAM_TRY(content_id_end(id, again, err));
    return memcmp(again, content_id, CONTENT_ID_SIZE) == 0 ? CPAM_OK : was_changed(sealing, err);
}

static enum cpam_status
seal_twice(const struct wal_sealing *sealing, struct sink *to, uint8_t *content_id,
           struct object_digest *digest, struct cpam_err *err)
{
    CPAM_TRY(wal_content_id(sealing->repo, sealing->item, sealing->key, content_id, err));
    CPAM_TRY(check_expected(sealing, content_id, err));
    return seal_into(sealing, content_id, to, digest, err);
}

static enum cpam_status
put_twice(const struct wal_sealing *sealing, int fd, uint8_t *content_id,
          struct object_digest *digest, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = fd_write};
    struct sink_fd to = {{&ops, NULL}, repo_io(sealing->repo), fd, spool_of(sealing), 0};
    enum cpam_status status;

    gate_enter(sealing);
    status = seal_twice(sealing, &to.base, content_id, digest, err);
    gate_leave(sealing);
    CPAM_TRY(status);
    return store_put_new_fd(repo_store(sealing->repo), sealing->key, fd, digest->size,
                            STORE_CLASS_WAL, err);
}

enum cpam_status
wal_seal_put(const struct wal_sealing *sealing, uint8_t *content_id, struct object_digest *digest,
             struct cpam_err *err)
{
    struct io *io = repo_io(sealing->repo);
    uint8_t ignored[CONTENT_ID_SIZE];
    enum cpam_status status;
    bool fits = true;
    int fd = -1;

    if (content_id == NULL)
        content_id = ignored;
    if (sealing->item->size <= ONCE_MAX)
    {
        status = put_once(sealing, &fits, content_id, digest, err);
        if (fits)
            return status;
    }
    status = open_spill(sealing, &fd, err);
    if (status == CPAM_OK)
        status = put_twice(sealing, fd, content_id, digest, err);
    if (fd >= 0)
        io->ops->close(io, fd); /* nothing of it is kept */
    return status;
}
