/*
 * wal_item.c - reading a file that PostgreSQL wants archived, and checking that it is what its
 * name says.
 *
 * A segment stays on its descriptor, and its content is read when it is sealed, once: what is known
 * again by its content id is what is sent.  What has been checked of its first page is held against
 * each reading.  Small files are read here.
 */
#include "repo/wal_item.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/room.h"
#include "io/file.h"

enum
{
    TEXT_FILE_MAX = 1 << 20 /* bytes of a .history or .backup file */
};

void
wal_item_free(struct wal_item *item)
{
    if (item == NULL)
        return;
    if (item->fd >= 0)
        item->io->ops->close(item->io, item->fd);
    cpam_buf_clear(&item->data);
    free(item->path);
    free(item);
}

uint64_t
wal_item_sysid(const struct wal_item *item)
{
    return item->sysid;
}

uint64_t
wal_item_size(const struct wal_item *item)
{
    return item->size;
}

static bool
is_wal(const struct archive_name *name)
{
    return name->kind == ARCHIVE_SEGMENT || name->kind == ARCHIVE_PARTIAL;
}

static enum cpam_status
changed_size(const struct wal_item *item, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" changed its size while it was read", item->path);
}

const struct wal_page *
wal_item_page(const struct wal_item *item)
{
    return is_wal(&item->name) ? &item->page : NULL;
}

/* Exactly item->size bytes, and then the end of the file. */
static enum cpam_status
read_whole(struct wal_item *item, struct cpam_err *err)
{
    size_t got;
    uint8_t more;

    CPAM_TRY(cpam_buf_reserve(&item->data, (size_t) item->size, TEXT_FILE_MAX, err));
    CPAM_TRY(file_read(item->io, item->fd, item->path, item->data.data, (size_t) item->size,
                       &item->data.size, err));
    CPAM_TRY(file_read(item->io, item->fd, item->path, &more, 1, &got, err));
    if (item->data.size != item->size || got != 0)
        return changed_size(item, err);
    int fd = item->fd;
    item->fd = -1;
    return file_close(item->io, fd, item->path, err);
}

static enum cpam_status
open_item(struct wal_item *item, struct cpam_err *err)
{
    uint64_t max = is_wal(&item->name) ? (uint64_t) SEGMENT_SIZE_MAX : TEXT_FILE_MAX;
    struct stat about;

    CPAM_TRY(file_open(item->io, item->path, O_RDONLY, 0, &item->fd, err));
    if (item->io->ops->fstat(item->io, item->fd, &about) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", item->path);
    if (!S_ISREG(about.st_mode))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is no regular file", item->path);
    item->size = (uint64_t) about.st_size;
    item->written = about.st_mtim;
    if (item->size == 0)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" is empty", item->path);
    if (item->size > max)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\" has %" PRIu64 " bytes, more than any file of its kind (%" PRIu64
                         ")",
                         item->path, item->size, max);
    return is_wal(&item->name) ? CPAM_OK : read_whole(item, err);
}

enum cpam_status
wal_item_history(const struct wal_item *item, struct timeline timeline, struct history **out,
                 struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    const char *slash = strrchr(item->path, '/');
    int dir = slash == NULL ? 0 : (int) (slash - item->path + 1);

    CPAM_TRY(cpam_buf_printf(&path, 1 << 16, err, "%.*s%08" PRIX32 ".history", dir, item->path,
                             timeline.id));
    const char *name = cpam_buf_text(&path);
    if (name == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
    CPAM_TRY(file_read_all(item->io, name, HISTORY_FILE_MAX, &text, err));
    return history_parse(timeline, cpam_buf_text(&text), text.size, out, err);
}

/* Requirements row P7, and trap 2: after a promotion the first segment is a copy of the parent's. */
static enum cpam_status
check_wal(struct wal_item *item, uint64_t sysid, struct cpam_err *err)
{
    CPAM_AUTO(history_free) struct history *history = NULL;
    bool needs_history = false;
    size_t size;
    enum cpam_status status;

    CPAM_TRY(file_read_at(item->io, item->fd, item->path, item->head, sizeof(item->head), 0, &size,
                          err));
    status = wal_page_parse(item->head, size, &item->page, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "\"%s\"", item->name.text);
        return status;
    }
    status = wal_page_check(&item->page, &item->name, item->size, sysid, NULL, &needs_history, err);
    if (status != CPAM_OK && needs_history)
    {
        struct cpam_err why;

        if (wal_item_history(item, item->name.timeline, &history, &why) != CPAM_OK)
        {
            cpam_fail(err, CPAM_INVALID, 0,
                      "\"%s\" begins with a page of timeline %" PRIu32
                      ", which is right only in the segment where timeline %" PRIu32
                      " began, and that could not be checked: %s",
                      item->name.text, item->page.timeline.id, item->name.timeline.id, why.text);
            return err->status;
        }
        status = wal_page_check(&item->page, &item->name, item->size, sysid, history,
                                &needs_history, err);
    }
    item->sysid = item->page.sysid;
    return status;
}

static enum cpam_status
check_history(struct wal_item *item, struct cpam_err *err)
{
    CPAM_AUTO(history_free) struct history *history = NULL;

    if (item->name.timeline.id == 1)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\" can't be: timeline 1 has no history, PostgreSQL never writes one",
                         item->name.text);
    const char *text = cpam_buf_text(&item->data);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for \"%s\"", item->name.text);
    CPAM_TRY(history_parse(item->name.timeline, text, item->data.size, &history, err));
    if (history->count == 0)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" names no ancestor", item->name.text);
    return CPAM_OK;
}

/* xlog.c writes it at the end of a backup; its first line names the segment it is called after. */
static enum cpam_status
check_backup_history(struct wal_item *item, struct cpam_err *err)
{
    static const char start[] = "START WAL LOCATION: ";
    char wanted[48];
    const char *text = cpam_buf_text(&item->data);

    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for \"%s\"", item->name.text);
    const char *line_end = strchr(text, '\n');
    const char *file;

    snprintf(wanted, sizeof(wanted), "(file %.24s)", item->name.text);
    file = strstr(text, wanted);
    if (strncmp(text, start, sizeof(start) - 1) != 0 || line_end == NULL || file == NULL ||
        file > line_end)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%s\" is no backup history file of its segment: its first line is not "
                         "\"START WAL LOCATION: ... (file %.24s)\"",
                         item->name.text, item->name.text);
    return CPAM_OK;
}

static enum cpam_status
check_content(struct wal_item *item, uint64_t sysid, struct cpam_err *err)
{
    if (is_wal(&item->name))
        return check_wal(item, sysid, err);
    if (sysid == 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "\"%s\" does not say which cluster it is of, and no data directory did",
                         item->name.text);
    item->sysid = sysid;
    return item->name.kind == ARCHIVE_HISTORY ? check_history(item, err)
                                              : check_backup_history(item, err);
}

enum cpam_status
wal_item_read(struct io *io, const char *path, const char *name, uint64_t sysid,
              struct wal_item **out, struct cpam_err *err)
{
    CPAM_AUTO(wal_item_free) struct wal_item *item = calloc(1, sizeof(*item));

    *out = NULL;
    if (item == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for \"%s\"", path);
    item->io = io;
    item->fd = -1;
    item->path = strdup(path);
    if (item->path == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for \"%s\"", path);
    CPAM_TRY(archive_name_parse(name, &item->name, err));
    CPAM_TRY(open_item(item, err));
    CPAM_TRY(check_content(item, sysid, err));
    *out = CPAM_STEAL(item);
    return CPAM_OK;
}

static enum cpam_status
was_changed(const struct wal_item *item, struct cpam_err *err)
{
    /* PostgreSQL calls again, and then everything is looked at anew */
    return cpam_fail(err, CPAM_TRANSIENT, 0, "\"%s\" was changed while it was read", item->path);
}

/*
 * The end of the file is where it was, and nobody has written to it.  Once enough repositories have a
 * segment the server may recycle it, and fill it with the content of another one, while a slower
 * repository's thread still reads the descriptor.
 */
static enum cpam_status
still_ends(struct wal_item *item, struct cpam_err *err)
{
    struct stat about;
    uint8_t more;
    size_t got;

    CPAM_TRY(file_read_at(item->io, item->fd, item->path, &more, 1, item->size, &got, err));
    if (got != 0)
        return changed_size(item, err);
    if (item->io->ops->fstat(item->io, item->fd, &about) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", item->path);
    return about.st_mtim.tv_sec == item->written.tv_sec &&
                   about.st_mtim.tv_nsec == item->written.tv_nsec
               ? CPAM_OK
               : was_changed(item, err);
}

enum cpam_status
wal_item_each(struct wal_item *item, wal_item_fn fn, void *arg, struct cpam_err *err)
{
    CPAM_AUTO(room_give) struct cpam_buf chunk = {0};

    if (item->fd < 0)
        return fn(arg, item->data.data, item->data.size, err);
    CPAM_TRY(room_take(ROOM_FRAME, &chunk, err));
    for (uint64_t at = 0; at < item->size;)
    {
        uint64_t left = item->size - at;
        size_t want = left < WAL_ITEM_CHUNK ? (size_t) left : WAL_ITEM_CHUNK;
        size_t got;

        CPAM_TRY(file_read_at(item->io, item->fd, item->path, chunk.data, want, at, &got, err));
        if (got != want)
            return changed_size(item, err);
        if (at == 0 && memcmp(chunk.data, item->head, sizeof(item->head)) != 0)
            return was_changed(item, err);
        CPAM_TRY(fn(arg, chunk.data, got, err));
        at += got;
    }
    return still_ends(item, err);
}
