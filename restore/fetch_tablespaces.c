/*
 * fetch_tablespaces.c - records as they pass, and the directories they speak of.
 */
#include "fetch_tablespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "pg/backup_label.h"
#include "pg/tablespace_search.h"
#include "pg/wal_walk.h"

enum
{
    PATH_ROOM = 4096,
    LABEL_MAX = 1 << 20,  /* bytes of backup_label and tablespace_map */
    ENDS = 2,             /* pages of a segment that a record from the one before can reach into */
    TIMELINES_BACK = 1000 /* of the segment before; one lies in pg_wal, whichever was replayed */
};

/* --- directories ------------------------------------------------------------------------------ */

struct judgement
{
    struct io *io;
    const struct fetch_situation *situation;
    struct lsn redo;         /* what lies before is not replayed; 0: not known */
    struct cpam_err failure; /* .status CPAM_OK: none; CPAM_EXISTS: a conflict */
};

static bool
is_absent(int sys)
{
    return sys == ENOENT || sys == ENOTDIR;
}

static void
could_not_look(struct judgement *self, const char *path)
{
    (void) !cpam_fail(&self->failure, CPAM_IO, errno,
                      "%s: could not look at \"%s\", which a CREATE TABLESPACE in it is about",
                      self->situation->name.text, path);
}

/* Does this link of the server's lead to the path, or to where its folder is? */
static bool
leads_to(struct io *io, const char *link, const char *path, const struct stat *place,
         const char *folder)
{
    char to[TABLESPACE_PATH_MAX + 1], there[PATH_ROOM + 400];
    struct stat about;
    ssize_t size = io->ops->readlink(io, AT_FDCWD, link, to, sizeof(to));

    if (size < 0)
        return false;
    if ((size_t) size == strlen(path) && memcmp(to, path, (size_t) size) == 0)
        return true;
    snprintf(there, sizeof(there), "%s/%s", link, folder);
    return io->ops->stat(io, AT_FDCWD, there, 0, &about) == 0 && about.st_dev == place->st_dev &&
           about.st_ino == place->st_ino;
}

/* This server made it, or base-fetch did: some link of its own leads there. */
static bool
has_link(struct judgement *self, const char *path, const struct stat *place, const char *folder)
{
    struct io *io = self->io;
    char dir[PATH_ROOM], link[PATH_ROOM + 300];
    const struct dirent *entry;
    bool own = false;

    snprintf(dir, sizeof(dir), "%s/pg_tblspc", self->situation->data);
    DIR *links = io->ops->opendir(io, AT_FDCWD, dir);
    if (links == NULL && !is_absent(errno))
        could_not_look(self, dir);
    if (links == NULL)
        return false;
    while (!own && (entry = io->ops->readdir(io, links)) != NULL)
    {
        snprintf(link, sizeof(link), "%s/%s", dir, entry->d_name);
        own = leads_to(io, link, path, place, folder);
    }
    io->ops->closedir(io, links);
    return own;
}

static enum cpam_status
on_mapped(void *arg, const char *oid, const char *path, struct cpam_err *err)
{
    const char **wanted = arg;

    (void) oid, (void) err;
    if (*wanted != NULL && strcmp(*wanted, path) == 0)
        *wanted = NULL;
    return CPAM_OK;
}

/* The server makes its links by this file, behind the first segments it asks for. */
static bool
is_mapped(struct judgement *self, const char *path)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char map[PATH_ROOM];
    const char *wanted = path;
    struct cpam_err ignored;

    snprintf(map, sizeof(map), "%s/tablespace_map", self->situation->data);
    return file_read_all(self->io, map, LABEL_MAX, &text, &ignored) == CPAM_OK &&
           tablespace_map_parse((const char *) text.data, text.size, on_mapped, &wanted,
                                &ignored) == CPAM_OK &&
           wanted == NULL;
}

/* Where replay begins, by what the server reads itself. */
static struct lsn
redo_of(struct judgement *self)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char path[PATH_ROOM];
    struct backup_label label;
    struct cpam_err ignored;
    enum cpam_status status;

    snprintf(path, sizeof(path), "%s/backup_label", self->situation->data);
    status = file_read_all(self->io, path, LABEL_MAX, &text, &ignored);
    if (status == CPAM_NOT_FOUND)
        return self->situation->control.redo;
    if (status == CPAM_OK &&
        backup_label_parse((const char *) text.data, text.size, &label, &ignored) == CPAM_OK)
        return label.start;
    return (struct lsn){0};
}

static void
look_at(struct judgement *self, const struct tablespace_created *created, struct lsn at)
{
    const struct fetch_situation *situation = self->situation;
    char folder[64], place[TABLESPACE_PATH_MAX + 64], lsn[LSN_TEXT_MAX];
    struct stat about;

    if (created->path[0] != '/')
        return; /* one in place lies in the data directory */
    snprintf(folder, sizeof(folder), "PG_%u_%" PRIu32, situation->control.major,
             situation->control.catalog_version);
    snprintf(place, sizeof(place), "%s/%s", created->path, folder);
    if (self->io->ops->stat(self->io, AT_FDCWD, place, 0, &about) != 0)
    {
        if (!is_absent(errno))
            could_not_look(self, place);
        return;
    }
    if (has_link(self, created->path, &about, folder) || self->failure.status != CPAM_OK ||
        is_mapped(self, created->path))
        return;
    lsn_format(at, lsn);
    (void) !cpam_fail(
        &self->failure, CPAM_EXISTS, 0,
        "%s: it has a CREATE TABLESPACE in \"%s\" (at %s), and replay would take \"%s\" "
        "for this server's own, which it is not",
        situation->name.text, created->path, lsn, place);
    cpam_err_hint(
        &self->failure,
        "if it is another server's, recover where this path is not (another host, a "
        "container), or to a target in an earlier segment; if the target lies before %s, or "
        "both are meant to use it: cpam-wal-fetch --any-tablespace in restore_command; if it "
        "was left by a lost server, move it aside, and start this one again: mv '%s' '%s.old'",
        lsn, place, place);
}

static void
on_record(void *arg, struct lsn at, const uint8_t *head, size_t length)
{
    struct judgement *self = arg;
    struct tablespace_created created;

    if (self->failure.status == CPAM_OK && at.at >= self->redo.at &&
        tablespace_record_parse(head, length, &created))
        look_at(self, &created, at);
}

/* --- segments in files -------------------------------------------------------------------------- */

/* The segment before, of the timeline it was replayed on; *fd -1: it is not there, or, if `failed`, can't
   be had. */
static void
open_before(struct io *io, const struct fetch_situation *situation, char path[PATH_ROOM], int *fd,
            bool *failed)
{
    uint32_t size = situation->control.segment_size;
    char name[SEGMENT_NAME_MAX];
    struct cpam_err ignored;
    struct segment segment;
    struct stat about;

    *fd = -1;
    *failed = false;
    if (archive_name_segment(&situation->name, size, &segment, &ignored) != CPAM_OK ||
        segment.number == 0)
        return;
    segment.number--;
    for (int tries = 0; *fd < 0 && segment.timeline.id > 0 && tries < TIMELINES_BACK; tries++)
    {
        segment_format(segment, size, name);
        segment.timeline.id--;
        snprintf(path, PATH_ROOM, "%s/%s", situation->directory, name);
        enum cpam_status status = file_open(io, path, O_RDONLY | O_NOFOLLOW, 0, fd, &ignored);
        *failed |= status != CPAM_OK && status != CPAM_NOT_FOUND;
        if (status != CPAM_OK)
            continue;
        if (io->ops->fstat(io, *fd, &about) == 0 && about.st_size == (off_t) size)
            return;
        io->ops->close(io, *fd);
        *fd = -1;
    }
}

static enum cpam_status
page_size_of(struct io *io, int fd, const char *path, size_t *size, struct cpam_err *err)
{
    uint8_t first[64];
    size_t got;

    CPAM_TRY(file_read_at(io, fd, path, first, sizeof(first), 0, &got, err));
    *size = wal_page_size(first, got);
    return CPAM_OK;
}

typedef void (*page_fn)(void *arg, const uint8_t *page, size_t size);

/* The pages from `at` on, as many as `bytes` hold. */
static enum cpam_status
each_page(struct io *io, int fd, const char *path, uint64_t at, uint64_t bytes, size_t page_size,
          page_fn fn, void *arg, struct cpam_err *err)
{
    CPAM_AUTO(free) uint8_t *data = malloc(WAL_PAGE_MAX);
    size_t got;

    if (data == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory to look at WAL");
    for (uint64_t end = at + bytes; at < end; at += got)
    {
        size_t want = end - at < WAL_PAGE_MAX ? (size_t) (end - at) : (size_t) WAL_PAGE_MAX;

        CPAM_TRY(file_read_at(io, fd, path, data, want, at, &got, err));
        if (got < page_size)
            return cpam_fail(err, CPAM_IO, 0, "\"%s\" ended while it was read", path);
        got -= got % page_size;
        for (size_t page = 0; page < got; page += page_size)
            fn(arg, data + page, page_size);
    }
    return CPAM_OK;
}

static void
walk_page(void *arg, const uint8_t *page, size_t size)
{
    (void) size;
    wal_walk_page(arg, page);
}

static void
search_page(void *arg, const uint8_t *page, size_t size)
{
    tablespace_search_add(arg, page, size);
}

/* The segment before it, if that is there, and the segment itself. */
static enum cpam_status
walk_both(struct judgement *self, int fd, const char *path, struct cpam_err *err)
{
    CPAM_AUTO(free) struct wal_walk *walk = malloc(sizeof(*walk));
    uint32_t size = self->situation->control.segment_size;
    char before[PATH_ROOM];
    struct cpam_err ignored;
    struct segment segment;
    size_t page_size;
    bool failed;
    int before_fd;

    if (walk == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory to look at WAL");
    CPAM_TRY(archive_name_segment(&self->situation->name, size, &segment, err));
    struct lsn start = segment_start(segment, size);
    CPAM_TRY(page_size_of(self->io, fd, path, &page_size, err));
    wal_walk_begin(walk, page_size, on_record, self);
    open_before(self->io, self->situation, before, &before_fd, &failed);
    if (before_fd >= 0)
    {
        struct judgement none = {.io = self->io, .failure.status = CPAM_CANCELLED};

        walk->arg = &none; /* its own records were replayed */
        wal_walk_segment(walk, (struct lsn){start.at - size});
        enum cpam_status status =
            each_page(self->io, before_fd, before, 0, size, page_size, walk_page, walk, &ignored);
        self->io->ops->close(self->io, before_fd);
        walk->arg = self;
        if (status != CPAM_OK)
            wal_walk_begin(walk, page_size, on_record, self);
    }
    wal_walk_segment(walk, start);
    return each_page(self->io, fd, path, 0, size, page_size, walk_page, walk, err);
}

enum cpam_status
tablespaces_judge(struct io *io, const struct fetch_situation *situation, const char *path,
                  struct cpam_err *err)
{
    struct judgement self = {.io = io, .situation = situation, .failure.status = CPAM_OK};
    int fd;

    self.redo = redo_of(&self);
    CPAM_TRY(file_open(io, path, O_RDONLY | O_NOFOLLOW, 0, &fd, err));
    enum cpam_status status = walk_both(&self, fd, path, err);
    io->ops->close(io, fd);
    CPAM_TRY(status);
    if (self.failure.status == CPAM_OK)
        return CPAM_OK;
    *err = self.failure;
    return err->status;
}

/* --- as it passes ------------------------------------------------------------------------------- */

struct tablespace_watch
{
    struct sink base;
    struct sink *to;
    bool any;
    struct tablespace_search search;
};

static void
on_found(void *arg)
{
    ((struct tablespace_watch *) arg)->any = true;
}

bool
tablespaces_cross(struct io *io, const struct fetch_situation *situation, const char *path)
{
    CPAM_AUTO(tablespace_watch_free) struct tablespace_watch *watch = NULL;
    uint32_t size = situation->control.segment_size;
    char before[PATH_ROOM];
    struct cpam_err ignored;
    size_t page_size;
    bool failed;
    int before_fd, fd;

    if (tablespace_watch_new(&watch, &ignored) != CPAM_OK)
        return true;
    open_before(io, situation, before, &before_fd, &failed);
    if (before_fd < 0)
        return failed; /* without its beginning the server could not read the record either */
    enum cpam_status status = page_size_of(io, before_fd, before, &page_size, &ignored);
    if (status == CPAM_OK)
    {
        tablespace_search_begin(&watch->search, page_size, on_found, watch);
        status = each_page(io, before_fd, before, size - ENDS * page_size, ENDS * page_size,
                           page_size, search_page, &watch->search, &ignored);
    }
    io->ops->close(io, before_fd);
    watch->any = false; /* what lies in it whole was replayed */
    if (status == CPAM_OK)
        status = file_open(io, path, O_RDONLY | O_NOFOLLOW, 0, &fd, &ignored);
    if (status != CPAM_OK)
        return true;
    status = each_page(io, fd, path, 0, ENDS * page_size, page_size, search_page, &watch->search,
                       &ignored);
    io->ops->close(io, fd);
    return status != CPAM_OK || watch->any;
}

enum cpam_status
tablespaces_check(struct io *io, const struct fetch_situation *situation, const char *path,
                  bool suspected, struct cpam_err *err)
{
    if (!suspected && !tablespaces_cross(io, situation, path))
        return CPAM_OK;
    return tablespaces_judge(io, situation, path, err);
}

static enum cpam_status
watch_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct tablespace_watch *watch = (struct tablespace_watch *) sink;

    tablespace_search_add(&watch->search, data, size);
    return sink_write(watch->to, data, size, err);
}

enum cpam_status
tablespace_watch_new(struct tablespace_watch **out, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = watch_write};

    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory to look at WAL");
    (*out)->base.ops = &ops;
    return CPAM_OK;
}

void
tablespace_watch_free(struct tablespace_watch *watch)
{
    free(watch);
}

struct sink *
tablespace_watch_over(struct tablespace_watch *watch, struct sink *to)
{
    watch->to = to;
    watch->any = false;
    tablespace_search_begin(&watch->search, 0, on_found, watch);
    return &watch->base;
}

bool
tablespace_watch_any(const struct tablespace_watch *watch)
{
    return watch->any;
}
