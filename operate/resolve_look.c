/*
 * resolve_look.c - what the archive has under a name, held against the file a server wants archived.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "io/file.h"
#include "resolve.h"

#define LOOK_TIME ((int64_t) 300 * 1000000) /* us for one repository */

enum
{
    LATER_MAX = 4096 /* timelines that are looked at */
};

/* --- byte by byte ----------------------------------------------------------------------------- */

/* Where what is archived goes: held against the local file, while it passes. */
struct differing
{
    struct sink base;
    struct io *io;
    int fd;
    const char *path;
    uint64_t at, first;
    bool differs;
    uint8_t head[WAL_LONG_HEADER_SIZE];
};

static enum cpam_status
differ_piece(struct differing *self, const uint8_t *data, size_t size, struct cpam_err *err)
{
    uint8_t local[16 << 10];

    for (size_t done = 0; done < size && !self->differs;)
    {
        size_t want = size - done < sizeof(local) ? size - done : sizeof(local), got, same = 0;

        CPAM_TRY(
            file_read_at(self->io, self->fd, self->path, local, want, self->at + done, &got, err));
        while (same < got && local[same] == data[done + same])
            same++;
        self->differs = same < want;
        self->first = self->at + done + same;
        done += want;
    }
    return CPAM_OK;
}

static enum cpam_status
differ_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct differing *self = (struct differing *) sink;

    if (self->at < sizeof(self->head))
    {
        size_t room = sizeof(self->head) - (size_t) self->at;

        memcpy(self->head + self->at, data, size < room ? size : room);
    }
    if (self->fd >= 0 && !self->differs)
        CPAM_TRY(differ_piece(self, data, size, err));
    self->at += size;
    return CPAM_OK;
}

/* A damaged object is a finding, and not the end: it can be put aside too. */
static void
read_archived(struct resolve *resolve, struct resolve_view *view, int fd)
{
    static const struct sink_ops ops = {.write = differ_write};
    struct differing differing = {
        .base.ops = &ops, .io = resolve->cli->io, .fd = fd, .path = resolve->path};
    struct repo *repo = repository_repo(view->opened);
    struct cpam_err err;
    struct wal_page page;

    if (keyring_sealed(repo_keyring(repo)) && !keyring_can_open(repo_keyring(repo)))
        return;
    if (wal_archive_get(repo, resolve->sysid, resolve->name.text, &differing.base, NULL, &err) !=
        CPAM_OK)
    {
        snprintf(view->trouble, sizeof(view->trouble), "%.500s", err.text);
        return;
    }
    if (differing.at >= sizeof(differing.head) && resolve->name.kind == ARCHIVE_SEGMENT &&
        wal_page_parse(differing.head, sizeof(differing.head), &page, &err) == CPAM_OK)
    {
        view->archived.timeline = page.timeline;
        view->archived.has_timeline = true;
        view->lsn = page.address;
        view->has_lsn = true;
    }
    view->compared = fd >= 0;
    view->offset = differing.differs ? differing.first : differing.at;
    view->lsn.at += view->offset;
    if (view->compared && !differing.differs && differing.at == view->local.bytes)
        view->state = RESOLVE_SAME; /* whatever their ids, which change with the keys */
}

/* --- timelines -------------------------------------------------------------------------------- */

/* Did a later timeline leave this one before the two contents part? */
static enum cpam_status
find_switch(struct resolve *resolve, struct resolve_view *view, struct cpam_err *err)
{
    CPAM_AUTO(free) struct timeline *known = calloc(LATER_MAX, sizeof(*known));
    struct repo *repo = repository_repo(view->opened);
    struct timeline own = resolve->name.timeline;
    size_t count = 0;

    if (known == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the timelines");
    CPAM_TRY(wal_archive_timelines(repo, resolve->sysid, known, LATER_MAX, &count, err));
    for (size_t i = 0; i < count; i++)
    {
        CPAM_AUTO(history_free) struct history *history = NULL;
        struct cpam_err why;
        struct lsn end;

        if (known[i].id <= own.id)
            continue;
        if (wal_archive_history(repo, resolve->sysid, known[i], &history, &why) != CPAM_OK)
            cpam_log(LOG_WARNING, "the history of timeline %" PRIu32 " was not looked at: %s",
                     known[i].id, why.text);
        else if (history_switch_point(history, own, &end) && end.at <= view->lsn.at)
        {
            view->left_for = known[i];
            view->left_at = end;
            return CPAM_OK;
        }
    }
    return CPAM_OK;
}

/* --- one repository --------------------------------------------------------------------------- */

static enum cpam_status
look_local(struct resolve *resolve, struct resolve_view *view, struct cpam_err *err)
{
    struct resolve_side *side = &view->local;

    if (resolve->item == NULL)
        return CPAM_OK;
    const struct wal_page *page = wal_item_page(resolve->item);
    side->there = side->has_timeline = true;
    side->bytes = wal_item_size(resolve->item);
    side->sysid = resolve->sysid;
    side->when = resolve->written;
    side->timeline = page != NULL ? page->timeline : resolve->name.timeline;
    return wal_item_content_id(repository_repo(view->opened), resolve->item, side->content, err);
}

static enum cpam_status
look_archived(struct resolve *resolve, struct resolve_view *view, struct cpam_err *err)
{
    struct resolve_side *side = &view->archived;
    struct object_header header;
    enum cpam_status status = wal_archive_header(repository_repo(view->opened), resolve->sysid,
                                                 resolve->name.text, &header, err);

    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    if (status == CPAM_CORRUPT || status == CPAM_FOREIGN)
        cpam_err_hint(err, "what lies there was not written by this cluster: find out who can write"
                           " to the store, and move it away by hand");
    CPAM_TRY(status);
    side->there = true;
    memcpy(side->content, header.content_id, CONTENT_ID_SIZE);
    side->bytes = header.raw_length;
    side->sysid = header.sysid;
    side->when = header.created;
    side->timeline = resolve->name.timeline;
    side->has_timeline = resolve->name.kind == ARCHIVE_HISTORY;
    return CPAM_OK;
}

static enum cpam_status
state_of(struct resolve *resolve, struct resolve_view *view, struct cpam_err *err)
{
    int fd = -1;

    view->state = RESOLVE_ABSENT;
    if (!view->archived.there)
        return CPAM_OK;
    view->state = resolve->item == NULL ? RESOLVE_ALONE : RESOLVE_CONFLICT;
    if (resolve->item != NULL)
        CPAM_TRY(file_open(resolve->cli->io, resolve->path, O_RDONLY, 0, &fd, err));
    read_archived(resolve, view, fd);
    if (fd >= 0)
        CPAM_TRY(file_close(resolve->cli->io, fd, resolve->path, err));
    /* without a key to read it, the ids tell */
    if (view->state == RESOLVE_CONFLICT && !view->compared && view->trouble[0] == '\0' &&
        memcmp(view->archived.content, view->local.content, CONTENT_ID_SIZE) == 0)
        view->state = RESOLVE_SAME;
    if (view->state != RESOLVE_CONFLICT)
        return CPAM_OK;
    if (view->compared && view->has_lsn)
        CPAM_TRY(find_switch(resolve, view, err));
    bool held = false;
    CPAM_TRY(quarantine_holds(repository_repo(view->opened), resolve->item, &held, err));
    if (held)
        view->state = RESOLVE_ASIDE;
    return CPAM_OK;
}

static enum cpam_status
look_into(struct resolve *resolve, struct resolve_view *view, struct cpam_err *err)
{
    const struct repository_purpose purpose = {.for_write = true, .for_read = true};
    struct io *io = resolve->cli->io;

    CPAM_TRY(repository_open(io, resolve->cli->settings, view->settings, purpose,
                             deadline_after(io, LOOK_TIME), &view->opened, err));
    CPAM_TRY(look_local(resolve, view, err));
    CPAM_TRY(look_archived(resolve, view, err));
    return state_of(resolve, view, err);
}

/* --- the local file --------------------------------------------------------------------------- */

static enum cpam_status
read_local(struct resolve *resolve, struct cpam_err *err)
{
    struct cli *cli = resolve->cli;
    const char *file = resolve->options->file, *data = cli->settings->postgresql.data;
    struct control control;
    struct stat about;

    CPAM_TRY(control_file_read(cli->io, data, &control, err));
    resolve->sysid = control.sysid;
    int size = file != NULL ? snprintf(resolve->path, sizeof(resolve->path), "%s", file)
                            : snprintf(resolve->path, sizeof(resolve->path), "%s/pg_wal/%s", data,
                                       resolve->name.text);
    if (size >= (int) sizeof(resolve->path))
        return cpam_fail(err, CPAM_USAGE, 0, "the path \"%.100s...\" is too long", resolve->path);
    enum cpam_status status = wal_item_read(cli->io, resolve->path, resolve->name.text,
                                            control.sysid, &resolve->item, err);
    if (status == CPAM_NOT_FOUND && file == NULL)
        return CPAM_OK;
    CPAM_TRY(status);
    CPAM_TRY(file_stat(cli->io, resolve->path, &about, err));
    resolve->written = (int64_t) about.st_mtim.tv_sec * 1000000 + about.st_mtim.tv_nsec / 1000;
    return CPAM_OK;
}

enum cpam_status
resolve_look(struct resolve *resolve, struct cpam_err *err)
{
    const struct settings *settings = resolve->cli->settings;

    CPAM_TRY(read_local(resolve, err));
    for (size_t i = 0; i < settings->repository_count; i++)
    {
        struct resolve_view *view = &resolve->views[resolve->count];

        if (!repo_is_meant(resolve->cli, &settings->repositories[i]))
            continue;
        view->settings = &settings->repositories[i];
        resolve->count++;
        enum cpam_status status = look_into(resolve, view, err);
        if (status != CPAM_OK)
        {
            if (strncmp(err->text, "repository \"", strlen("repository \"")) != 0)
                cpam_err_prefix(err, "repository \"%s\"", view->settings->name);
            return err->status = status == CPAM_NOT_FOUND ? CPAM_REFUSED : status;
        }
    }
    return CPAM_OK;
}

void
resolve_clear(struct resolve *resolve)
{
    for (size_t i = 0; i < resolve->count; i++)
        repository_free(resolve->views[i].opened);
    wal_item_free(resolve->item);
}
