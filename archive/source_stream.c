/*
 * source_stream.c - a backup out of BASE_BACKUP: the replication protocol's side of it.
 *
 * PostgreSQL 14 takes bare keywords and sends one COPY an archive; from 15 on options stand in
 * parentheses, and one COPY carries messages: n a new archive, d its content, p progress, m a manifest
 * (not asked for).  Tablespaces come first, the data directory last, and in it pg_control last of all.
 * Anything that does not come in this order ends the backup.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backup_source.h"
#include "base/log.h"
#include "base/text.h"
#include "stream_server.h"
#include "stream_take.h"

#define CONNECT_TIME INT64_C(30000000)    /* us */
#define START_TIME   INT64_C(14400000000) /* a spread checkpoint may take its time: 4 h */
#define SILENCE_TIME INT64_C(900000000)   /* without a byte while the backup runs */
#define SLICE        INT64_C(500000)      /* how long a signal may wait */

enum
{
    COMMAND_MAX = 512,
    ARCHIVE_MAX = 32 /* "4294967295.tar" */
};

/* One archive of the backup; the last one is the data directory's. */
struct archive
{
    char oid[16]; /* "": the data directory's */
    char *location;
};

struct stream
{
    struct backup_source base;
    struct pgconn *replication;
    struct archive *archives;
    size_t count;
    size_t current;      /* the one that comes, from 1 on; 0: none yet */
    enum codec_id codec; /* of the archives */
    bool links;          /* asked for, instead of a tablespace_map */
    uint64_t bytes;
    struct lsn start, stop;
    struct timeline timeline; /* both lie on */
    struct stream_take *take;
    struct stream_taken taken;
};

static struct stream *
stream_of(struct backup_source *source)
{
    return (struct stream *) source;
}

static enum cpam_status
unexpected(const char *what, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_CORRUPT, 0,
                     "the server does not answer BASE_BACKUP as it should: %s", what);
}

/* --- waiting, while a signal may come ----------------------------------------------------------- */

/* CPAM_OK: wait on; `began` is when this wait did. */
static enum cpam_status
still_waiting(const struct stream *self, int64_t began, int64_t patience, struct cpam_err *err)
{
    struct io *io = self->base.spec.io;

    if (*self->base.spec.stopped != 0)
        return cpam_fail(err, CPAM_CANCELLED, 0, "the backup was stopped");
    if (io->ops->monotonic(io) - began < patience)
        return CPAM_OK;
    return cpam_fail(err, CPAM_TRANSIENT, 0, "the server has sent nothing of the backup for %lld s",
                     (long long) (patience / 1000000));
}

static enum cpam_status
next_answer(struct stream *self, int64_t patience, enum pgconn_answer *kind, struct pgrows **rows,
            struct cpam_err *err)
{
    struct io *io = self->base.spec.io;
    int64_t began = io->ops->monotonic(io);

    for (;;)
    {
        enum cpam_status status =
            pgconn_next(self->replication, deadline_after(io, SLICE), kind, rows, err);

        if (status != CPAM_DEADLINE)
            return status;
        CPAM_TRY(still_waiting(self, began, patience, err));
    }
}

static enum cpam_status
next_message(struct stream *self, const uint8_t **data, size_t *size, struct cpam_err *err)
{
    struct io *io = self->base.spec.io;
    int64_t began = io->ops->monotonic(io);

    for (;;)
    {
        enum cpam_status status =
            pgconn_copy_read(self->replication, deadline_after(io, SLICE), data, size, err);

        if (status != CPAM_DEADLINE)
            return status;
        CPAM_TRY(still_waiting(self, began, SILENCE_TIME, err));
    }
}

/* Exactly this must come next. */
static enum cpam_status
expect(struct stream *self, enum pgconn_answer wanted, int64_t patience, const char *what,
       struct pgrows **rows, struct cpam_err *err)
{
    enum pgconn_answer kind;
    CPAM_AUTO(pgrows_free) struct pgrows *found = NULL;

    do
    {
        pgrows_free(CPAM_STEAL(found));
        CPAM_TRY(next_answer(self, patience, &kind, &found, err));
    } while (kind == PGCONN_COMMAND && wanted != PGCONN_COMMAND);
    if (kind != wanted)
        return unexpected(what, err);
    if (rows != NULL)
        *rows = CPAM_STEAL(found);
    return CPAM_OK;
}

/* --- the beginning ------------------------------------------------------------------------------ */

static enum cpam_status
stream_meet(struct backup_source *source, struct cpam_err *err)
{
    struct stream *self = stream_of(source);
    struct io *io = source->spec.io;

    CPAM_TRY(backup_source_connect(source, err));
    CPAM_TRY(stream_server_check(io, source->conn, backup_source_standby(source), &source->facts,
                                 &source->control, err));
    CPAM_TRY(pgconn_open_replication(io, cpam_buf_text(&source->conninfo), "cpam-base-push",
                                     deadline_after(io, CONNECT_TIME), &self->replication, err));
    return stream_server_same(io, source->conn, self->replication, source->facts.sysid, err);
}

/* A position in WAL and a timeline, as BASE_BACKUP begins and ends with. */
static enum cpam_status
take_position(const struct pgrows *rows, struct lsn *lsn, struct timeline *timeline,
              struct cpam_err *err)
{
    uint64_t id;

    if (rows->rows != 1 || rows->columns != 2 || rows->values[0] == NULL || rows->values[1] == NULL)
        return unexpected("no position in WAL", err);
    CPAM_TRY(lsn_parse(rows->values[0], lsn, err));
    CPAM_TRY(text_parse_u64(rows->values[1], UINT32_MAX, &id, err));
    timeline->id = (uint32_t) id;
    return CPAM_OK;
}

static enum cpam_status
take_archive(struct stream *self, const char *const *row, struct cpam_err *err)
{
    struct archive *archive = &self->archives[self->count];
    uint64_t oid, kib;

    if (row[0] != NULL)
    {
        CPAM_TRY(text_parse_u64(row[0], UINT32_MAX, &oid, err));
        snprintf(archive->oid, sizeof(archive->oid), "%" PRIu64, oid);
    }
    archive->location = strdup(row[1] == NULL ? "" : row[1]);
    if (archive->location == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the tablespaces");
    self->count++;
    if ((archive->oid[0] == '\0') != (archive->location[0] == '\0'))
        return unexpected("a tablespace without a place", err);
    if (row[2] == NULL)
        return CPAM_OK;
    CPAM_TRY(text_parse_u64(row[2], UINT64_MAX >> 10, &kib, err));
    self->bytes += kib << 10;
    return CPAM_OK;
}

static enum cpam_status
take_archives(struct stream *self, const struct pgrows *rows, struct cpam_err *err)
{
    if (rows->columns != 3 || rows->rows == 0 || rows->rows > PLAN_TABLESPACES_MAX)
        return unexpected("no list of tablespaces", err);
    self->archives = calloc(rows->rows, sizeof(*self->archives));
    if (self->archives == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the tablespaces");
    for (size_t i = 0; i < rows->rows; i++)
    {
        CPAM_TRY(take_archive(self, rows->values + i * 3, err));
        if ((self->archives[i].oid[0] == '\0') != (i + 1 == rows->rows))
            return unexpected("the data directory is not the last archive", err);
    }
    return CPAM_OK;
}

static enum cpam_status
begin_command(const struct stream *self, const char *label, bool fast, char out[COMMAND_MAX],
              struct cpam_err *err)
{
    /* a label is ours: letters, digits and underscores; a quote would end the text it stands in */
    if (strpbrk(label, "'\\") != NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "the label \"%s\" can't be told to the server", label);
    char compression[48] = "";

    if (self->codec != CODEC_NONE)
        snprintf(compression, sizeof(compression), ", COMPRESSION '%s'", codec_name(self->codec));
    if (self->base.facts.version_num >= 150000)
        snprintf(out, COMMAND_MAX,
                 "BASE_BACKUP (LABEL '%.200s', PROGRESS true, CHECKPOINT '%s', WAIT false, "
                 "TABLESPACE_MAP %s, VERIFY_CHECKSUMS false%s)",
                 label, fast ? "fast" : "spread", self->links ? "false" : "true", compression);
    else
        snprintf(out, COMMAND_MAX,
                 "BASE_BACKUP LABEL '%.200s' PROGRESS %s NOWAIT TABLESPACE_MAP "
                 "NOVERIFY_CHECKSUMS",
                 label, fast ? "FAST" : "");
    return CPAM_OK;
}

/* Sends the command, and takes the position it begins at. */
static enum cpam_status
begin_backup(struct stream *self, const char *label, bool fast, struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *position = NULL;
    char command[COMMAND_MAX];

    CPAM_TRY(begin_command(self, label, fast, command, err));
    CPAM_TRY(pgconn_send(self->replication, command, err));
    CPAM_TRY(expect(self, PGCONN_ROWS, START_TIME, "no start", &position, err));
    return take_position(position, &self->start, &self->timeline, err);
}

/*
 * base.stream_compression.  A server is built with codecs or without; one that does not know what is
 * asked for says so before anything begins, and with auto the next one is asked for.  It says so in its
 * own language, so every refusal is taken for one of the codec: another reason comes again without any.
 */
static enum cpam_status
begin_compressed(struct stream *self, const char *label, bool fast, struct cpam_err *err)
{
    static const enum codec_id order[] = {CODEC_ZSTD, CODEC_LZ4, CODEC_GZIP};
    const char *wanted = self->base.spec.settings->base.stream_compression;
    bool is_auto = strcmp(wanted, "auto") == 0;

    self->codec = CODEC_NONE;
    if (self->base.facts.version_num < 150000 || (is_auto && pgconn_is_local(self->replication)))
        return begin_backup(self, label, fast, err);
    if (!is_auto)
    {
        CPAM_TRY(codec_by_name(wanted, &self->codec, err));
        return begin_backup(self, label, fast, err);
    }
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
    {
        self->codec = order[i];
        enum cpam_status status = begin_backup(self, label, fast, err);

        if (status != CPAM_REFUSED)
            return status;
        cpam_log(LOG_DEBUG, "%s", err->text);
        CPAM_TRY(expect(self, PGCONN_DONE, SILENCE_TIME, "more than a refusal", NULL, err));
    }
    self->codec = CODEC_NONE;
    return begin_backup(self, label, fast, err);
}

static enum cpam_status
stream_start(struct backup_source *source, const char *label, bool fast, struct backup_start *out,
             struct cpam_err *err)
{
    struct stream *self = stream_of(source);
    CPAM_AUTO(pgrows_free) struct pgrows *archives = NULL;

    CPAM_TRY(
        stream_server_in_place(source->spec.io, source->conn, &source->facts, &self->links, err));
    CPAM_TRY(server_time(source->spec.io, source->conn, &out->time, err));
    CPAM_TRY(begin_compressed(self, label, fast, err));
    CPAM_TRY(expect(self, PGCONN_ROWS, SILENCE_TIME, "no list of tablespaces", &archives, err));
    CPAM_TRY(take_archives(self, archives, err));
    out->lsn = self->start;
    return CPAM_OK;
}

static enum cpam_status
stream_plan(struct backup_source *source, struct plan *plan, uint64_t *bytes, struct cpam_err *err)
{
    struct stream *self = stream_of(source);
    bool links;

    *bytes = self->bytes;
    CPAM_TRY(stream_server_in_place(source->spec.io, source->conn, &source->facts, &links, err));
    if (links && !self->links)
        return cpam_fail(err, CPAM_TRANSIENT, 0,
                         "an in-place tablespace was created while the backup began");
    CPAM_TRY(
        stream_take_new(source->spec.io, source->spec.settings->state, plan, &self->take, err));
    for (size_t i = 0; i + 1 < self->count; i++)
        CPAM_TRY(stream_take_tablespace(self->take, self->archives[i].oid,
                                        self->archives[i].location, err));
    return CPAM_OK;
}

/* --- the archives ------------------------------------------------------------------------------- */

static enum cpam_status
begin_archive(struct stream *self, struct push_copy *copy, struct cpam_err *err)
{
    const struct archive *archive;

    if (self->current == self->count)
        return unexpected("more archives than tablespaces", err);
    archive = &self->archives[self->current++];
    return stream_take_begin(self->take, copy, archive->oid[0] == '\0' ? NULL : archive->oid,
                             self->codec, err);
}

static enum cpam_status
end_archive(struct stream *self, bool terminated, struct cpam_err *err)
{
    enum cpam_status status = stream_take_end(self->take, terminated, err);

    if (status != CPAM_OK)
        cpam_err_prefix(err, "the archive of \"%s\"", self->archives[self->current - 1].location);
    return status;
}

/* n: name and place, which have to be those of the next one in the list. */
static enum cpam_status
new_archive(struct stream *self, struct push_copy *copy, const uint8_t *data, size_t size,
            struct cpam_err *err)
{
    static const char *const suffixes[] = {
        [CODEC_NONE] = "", [CODEC_LZ4] = ".lz4", [CODEC_ZSTD] = ".zst", [CODEC_GZIP] = ".gz"};
    const uint8_t *name_end = memchr(data, '\0', size);
    char wanted[ARCHIVE_MAX];

    if (self->current > 0)
        CPAM_TRY(end_archive(self, true, err));
    CPAM_TRY(begin_archive(self, copy, err));
    const struct archive *archive = &self->archives[self->current - 1];
    size_t length = strlen(archive->location) + 1;

    snprintf(wanted, sizeof(wanted), "%s.tar%s", archive->oid[0] == '\0' ? "base" : archive->oid,
             suffixes[self->codec]);
    if (name_end == NULL || strcmp((const char *) data, wanted) != 0 ||
        (size_t) (data + size - name_end - 1) != length ||
        memcmp(name_end + 1, archive->location, length) != 0)
        return unexpected("an archive that is not the next in its list", err);
    return CPAM_OK;
}

static enum cpam_status
take_message(struct stream *self, struct push_copy *copy, const uint8_t *data, size_t size,
             struct cpam_err *err)
{
    switch (data[0])
    {
    case 'n': return new_archive(self, copy, data + 1, size - 1, err);
    case 'p': return size == 9 ? CPAM_OK : unexpected("a message about progress", err);
    case 'd':
        if (self->current == 0)
            return unexpected("content without an archive", err);
        return stream_take_write(self->take, data + 1, size - 1, err);
    default: return unexpected("a message of an unknown kind", err);
    }
}

/* From 15 on: one COPY. */
static enum cpam_status
copy_typed(struct stream *self, struct push_copy *copy, struct cpam_err *err)
{
    const uint8_t *data;
    size_t size;

    CPAM_TRY(expect(self, PGCONN_COPY, SILENCE_TIME, "no archives", NULL, err));
    for (;;)
    {
        CPAM_TRY(next_message(self, &data, &size, err));
        if (data == NULL)
            break;
        CPAM_TRY(take_message(self, copy, data, size, err));
    }
    return CPAM_OK;
}

/* 14: one COPY an archive. */
static enum cpam_status
copy_plain(struct stream *self, struct push_copy *copy, struct cpam_err *err)
{
    const uint8_t *data;
    size_t size;

    while (self->current < self->count)
    {
        CPAM_TRY(
            expect(self, PGCONN_COPY, SILENCE_TIME, "fewer archives than tablespaces", NULL, err));
        CPAM_TRY(begin_archive(self, copy, err));
        for (;;)
        {
            CPAM_TRY(next_message(self, &data, &size, err));
            if (data == NULL)
                break;
            CPAM_TRY(stream_take_write(self->take, data, size, err));
        }
        if (self->current < self->count)
            CPAM_TRY(end_archive(self, false, err));
    }
    return CPAM_OK;
}

/*
 * The server's word on how it ended comes before ours on what was missing: an archive that is cut short
 * is so because of an error that the server tells next.
 */
static enum cpam_status
stream_copy(struct backup_source *source, struct push_copy *copy, struct cpam_err *err)
{
    struct stream *self = stream_of(source);
    bool typed = source->facts.version_num >= 150000;
    CPAM_AUTO(pgrows_free) struct pgrows *position = NULL;
    struct timeline timeline;
    struct lsn stop;

    CPAM_TRY(typed ? copy_typed(self, copy, err) : copy_plain(self, copy, err));
    CPAM_TRY(expect(self, PGCONN_ROWS, SILENCE_TIME, "no end", &position, err));
    if (self->current != self->count)
        return unexpected("fewer archives than tablespaces", err);
    CPAM_TRY(end_archive(self, typed, err));
    CPAM_TRY(take_position(position, &stop, &timeline, err));
    CPAM_TRY(expect(self, PGCONN_DONE, SILENCE_TIME, "more than an end", NULL, err));
    if (timeline.id != self->timeline.id)
        return cpam_fail(err, CPAM_REFUSED, 0,
                         "the server went over from timeline %" PRIu32 " to %" PRIu32
                         " during the backup",
                         self->timeline.id, timeline.id);
    self->stop = stop;
    CPAM_TRY(stream_take_finish(self->take, &self->taken, err));
    source->control_part = self->taken.control_part;
    return push_copy_pieces_end(copy, err);
}

/* --- the end ------------------------------------------------------------------------------------ */

static enum cpam_status
stream_control(struct backup_source *source, uint8_t bytes[CONTROL_FILE_SIZE], struct control *out,
               struct cpam_err *err)
{
    struct stream *self = stream_of(source);

    memcpy(bytes, self->taken.control->data, CONTROL_FILE_SIZE);
    enum cpam_status status = control_parse(bytes, CONTROL_FILE_SIZE, out, err);
    if (status == CPAM_CORRUPT)
    {
        cpam_err_prefix(err, "the server read pg_control while it wrote it");
        cpam_err_hint(err, "there is no backup; begin another one");
    }
    if (status == CPAM_OK && out->sysid != source->facts.sysid)
        return cpam_fail(err, CPAM_FOREIGN, 0,
                         "the stream is of another cluster: its system identifier is %" PRIu64
                         ", not %" PRIu64,
                         out->sysid, source->facts.sysid);
    return status;
}

static enum cpam_status
stream_stop(struct backup_source *source, struct backup_stop *out, struct cpam_err *err)
{
    struct stream *self = stream_of(source);
    const struct cpam_buf *label = self->taken.label, *map = self->taken.map;

    out->lsn = self->stop;
    CPAM_TRY(cpam_buf_append(&out->label_text, label->data, label->size, BACKUP_TEXT_MAX, err));
    if (map->size > 0)
        CPAM_TRY(cpam_buf_append(&out->map_text, map->data, map->size, BACKUP_TEXT_MAX, err));
    CPAM_TRY(backup_stop_moment(source->spec.io, source->conn, out, err));
    if (out->label.timeline.id != self->timeline.id)
        return unexpected("a backup_label of another timeline", err);
    return CPAM_OK;
}

static void
stream_free(struct backup_source *source)
{
    struct stream *self = stream_of(source);

    pgconn_free(self->replication);
    stream_take_free(self->take);
    for (size_t i = 0; i < self->count; i++)
        free(self->archives[i].location);
    free(self->archives);
    free(self);
}

enum cpam_status
source_stream_new(struct backup_source **out, struct cpam_err *err)
{
    static const struct backup_source_ops ops = {stream_meet, stream_start,   stream_plan,
                                                 stream_copy, stream_control, stream_stop,
                                                 stream_free};
    struct stream *self = calloc(1, sizeof(*self));

    *out = NULL;
    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a backup's source");
    self->base.ops = &ops;
    self->base.part_size = STREAM_PART_SIZE;
    *out = &self->base;
    return CPAM_OK;
}
