/*
 * stream_take.c - what becomes of each entry of an archive.
 */
#include "stream_take.h"

#include <stdio.h>
#include <string.h>

#include "compress/unpacker.h"
#include "pg/backup_label.h"
#include "pg/excluded.h"
#include "pg/tar.h"
#include "push_session.h"
#include "stream_notes.h"

/* A file whose content is kept in memory. */
enum kept
{
    KEPT_LABEL,
    KEPT_MAP,
    KEPT_CONTROL,
    KEPT_COUNT
};

static const struct
{
    const char *path;
    size_t limit;
} kept_files[KEPT_COUNT] = {[KEPT_LABEL] = {"backup_label", BACKUP_TEXT_MAX},
                            [KEPT_MAP] = {"tablespace_map", BACKUP_TEXT_MAX},
                            [KEPT_CONTROL] = {PUSH_CONTROL_PATH, CONTROL_FILE_SIZE}};

struct stream_take
{
    struct plan *plan;
    struct push_copy *copy;
    struct stream_notes *notes;
    struct tar_reader *tar;      /* of the archive that comes */
    struct unpacker *unpacker;   /* before it; NULL: it is not compressed */
    char prefix[32];             /* of its paths: "" or "pg_tblspc/16384/" */
    struct cpam_buf tablespaces; /* path and location of each that has a link, with their NULs */
    struct cpam_buf map;         /* what a tablespace_map says of them */
    size_t links;                /* that have come */
    struct cpam_buf texts[KEPT_COUNT];
    bool has[KEPT_COUNT];
    bool control_last; /* no file has come behind it */
    uint64_t control_part;
    /* the file that comes */
    struct cpam_buf *text; /* it is kept here; NULL: it goes to the workers or is passed over */
    size_t limit;
    bool passed_over;
    char path[TAR_NAME_MAX + 32];
    struct source_entry entry;
    uint64_t first_part, part_count, taken; /* taken: bytes in whole pieces */
    struct push_piece piece;
    size_t piece_size; /* it will have */
};

enum cpam_status
stream_take_new(struct io *io, const char *state, struct plan *plan, struct stream_take **out,
                struct cpam_err *err)
{
    CPAM_AUTO(stream_take_free) struct stream_take *take = calloc(1, sizeof(*take));

    *out = NULL;
    if (take == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to read a stream");
    take->plan = plan;
    CPAM_TRY(stream_notes_new(io, state, &take->notes, err));
    *out = CPAM_STEAL(take);
    return CPAM_OK;
}

void
stream_take_free(struct stream_take *take)
{
    if (take == NULL)
        return;
    for (size_t i = 0; i < KEPT_COUNT; i++)
        cpam_buf_clear(&take->texts[i]);
    cpam_buf_clear(&take->tablespaces);
    cpam_buf_clear(&take->map);
    free(take->piece.content);
    unpacker_free(take->unpacker);
    tar_reader_free(take->tar);
    stream_notes_free(take->notes);
    free(take);
}

enum cpam_status
stream_take_tablespace(struct stream_take *take, const char *oid, const char *location,
                       struct cpam_err *err)
{
    char path[32];
    struct source_entry entry = {.kind = MANIFEST_DIRECTORY,
                                 .path = path,
                                 .target = location[0] == '/' ? location : NULL,
                                 .mode = 0700};

    snprintf(path, sizeof(path), "pg_tblspc/%.16s", oid);
    if (entry.target != NULL)
    {
        CPAM_TRY(cpam_buf_append(&take->tablespaces, path, strlen(path) + 1, BACKUP_TEXT_MAX, err));
        CPAM_TRY(cpam_buf_append(&take->tablespaces, location, strlen(location) + 1,
                                 BACKUP_TEXT_MAX, err));
        CPAM_TRY(tablespace_map_line(&take->map, oid, location, err));
    }
    return stream_notes_add(take->notes, &entry, 0, 0, err);
}

/* A piece begins: as much of the file as a part holds. */
static enum cpam_status
begin_piece(struct stream_take *take, struct cpam_err *err)
{
    uint64_t left = take->entry.size - take->taken, part;

    CPAM_TRY(plan_extra_part(take->plan, &part, err));
    take->first_part = take->part_count++ == 0 ? part : take->first_part;
    take->piece_size = left < STREAM_PART_SIZE ? (size_t) left : STREAM_PART_SIZE;
    take->piece = (struct push_piece){.path = take->path,
                                      .part = part,
                                      .offset = take->taken,
                                      .content = malloc(take->piece_size + 1)};
    if (take->piece.content == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a piece of a file");
    return CPAM_OK;
}

static enum cpam_status
end_piece(struct stream_take *take, struct cpam_err *err)
{
    const struct push_piece piece = take->piece;

    take->taken += piece.size;
    take->piece.content = NULL; /* the workers' now */
    return push_copy_piece(take->copy, &piece, err);
}

static enum cpam_status
begin_file(struct stream_take *take, struct cpam_err *err)
{
    take->taken = take->part_count = 0;
    take->text = NULL;
    take->control_last = false;
    for (size_t i = 0; i < KEPT_COUNT; i++)
        if (strcmp(take->path, kept_files[i].path) == 0)
        {
            if (take->has[i] || take->entry.size > kept_files[i].limit)
                return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" comes twice, or is too large",
                                 take->path);
            take->has[i] = true;
            take->text = &take->texts[i];
            take->limit = kept_files[i].limit;
            take->control_last = i == KEPT_CONTROL;
            return CPAM_OK;
        }
    take->passed_over = excluded_path(take->path, false) != EXCLUDED_NOT;
    return take->passed_over ? CPAM_OK : begin_piece(take, err);
}

/* The link of a tablespace that was noted already; there is no other kind. */
static enum cpam_status
take_link(struct stream_take *take, const char *target, struct cpam_err *err)
{
    const char *at = (const char *) take->tablespaces.data;
    const char *end = at + take->tablespaces.size;

    while (take->tablespaces.size > 0 && at < end)
    {
        const char *location = at + strlen(at) + 1;

        if (strcmp(at, take->path) == 0 && strcmp(location, target) == 0)
        {
            take->links++;
            return CPAM_OK;
        }
        at = location + strlen(location) + 1;
    }
    return cpam_fail(err, CPAM_CORRUPT, 0,
                     "the link \"%s\" to \"%s\" is not that of a tablespace the server has told",
                     take->path, target);
}

static enum cpam_status
on_entry(void *arg, const struct tar_entry *found, struct cpam_err *err)
{
    struct stream_take *take = arg;

    snprintf(take->path, sizeof(take->path), "%s%s", take->prefix, found->path);
    take->entry =
        (struct source_entry){.kind = found->kind == TAR_FILE ? MANIFEST_FILE : MANIFEST_DIRECTORY,
                              .path = take->path,
                              .mode = found->mode,
                              .size = found->size,
                              .mtime = found->mtime * 1000000};
    if (found->kind == TAR_FILE)
        return begin_file(take, err);
    if (found->kind == TAR_LINK)
        return take_link(take, found->target, err);
    if (excluded_path(take->path, true) == EXCLUDED_WHOLE)
        return CPAM_OK;
    return stream_notes_add(take->notes, &take->entry, 0, 0, err);
}

static enum cpam_status
on_content(void *arg, const uint8_t *data, size_t size, struct cpam_err *err)
{
    struct stream_take *take = arg;

    if (take->text != NULL)
        return cpam_buf_append(take->text, data, size, take->limit, err);
    if (take->passed_over)
        return CPAM_OK;
    while (size > 0)
    {
        size_t room = take->piece_size - take->piece.size;

        if (room == 0)
        {
            CPAM_TRY(end_piece(take, err));
            CPAM_TRY(begin_piece(take, err));
            room = take->piece_size;
        }
        room = room < size ? room : size;
        memcpy(take->piece.content + take->piece.size, data, room);
        take->piece.size += room;
        data += room;
        size -= room;
    }
    return CPAM_OK;
}

static enum cpam_status
on_file_end(void *arg, struct cpam_err *err)
{
    struct stream_take *take = arg;

    if (take->text != NULL && take->control_last)
    {
        CPAM_TRY(plan_extra_part(take->plan, &take->control_part, err));
        return stream_notes_add(take->notes, &take->entry, take->control_part, 1, err);
    }
    if (take->text != NULL || take->passed_over)
        return CPAM_OK;
    CPAM_TRY(end_piece(take, err));
    return stream_notes_add(take->notes, &take->entry, take->first_part, take->part_count, err);
}

/* Unpacked bytes of the archive (an unpacker_fn). */
static enum cpam_status
on_unpacked(void *arg, const uint8_t *data, size_t size, struct cpam_err *err)
{
    struct stream_take *take = arg;

    return tar_reader_write(take->tar, data, size, err);
}

enum cpam_status
stream_take_begin(struct stream_take *take, struct push_copy *copy, const char *oid,
                  enum codec_id codec, struct cpam_err *err)
{
    static const struct tar_events events = {on_entry, on_content, on_file_end};

    take->copy = copy;
    take->prefix[0] = '\0';
    if (oid != NULL)
        snprintf(take->prefix, sizeof(take->prefix), "pg_tblspc/%.16s/", oid);
    if (codec != CODEC_NONE)
        CPAM_TRY(unpacker_new(codec, on_unpacked, take, &take->unpacker, err));
    return tar_reader_new(&events, take, &take->tar, err);
}

enum cpam_status
stream_take_write(struct stream_take *take, const uint8_t *data, size_t size, struct cpam_err *err)
{
    return take->unpacker == NULL ? tar_reader_write(take->tar, data, size, err)
                                  : unpacker_write(take->unpacker, data, size, err);
}

enum cpam_status
stream_take_end(struct stream_take *take, bool terminated, struct cpam_err *err)
{
    if (take->unpacker != NULL)
        CPAM_TRY(unpacker_end(take->unpacker, err));
    CPAM_TRY(tar_reader_end(take->tar, terminated, err));
    unpacker_free(CPAM_STEAL(take->unpacker));
    tar_reader_free(CPAM_STEAL(take->tar));
    return CPAM_OK;
}

enum cpam_status
stream_take_finish(struct stream_take *take, struct stream_taken *out, struct cpam_err *err)
{
    if (!take->has[KEPT_LABEL])
        return cpam_fail(err, CPAM_CORRUPT, 0, "the stream has no backup_label");
    if (!take->control_last || take->texts[KEPT_CONTROL].size != CONTROL_FILE_SIZE)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the last file of the stream is not a whole " PUSH_CONTROL_PATH);
    if (take->map.size > 0 && !take->has[KEPT_MAP] && take->links == 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the stream does not say where tablespaces lie");
    *out = (struct stream_taken){&take->texts[KEPT_LABEL],
                                 take->has[KEPT_MAP] ? &take->texts[KEPT_MAP] : &take->map,
                                 &take->texts[KEPT_CONTROL], take->control_part};
    return stream_notes_sort(take->notes, take->plan, err);
}
